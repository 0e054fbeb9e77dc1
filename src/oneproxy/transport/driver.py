"""The one owner of clock, loop and sockets: it feeds the engine and sends what comes out."""

import asyncio
import time
from typing import Final

import structlog

from oneproxy.engine.core import Engine
from oneproxy.engine.flow import Flow
from oneproxy.transport.resolve import Resolver
from oneproxy.transport.udp import UdpListener

_log: Final = structlog.get_logger()
_FAULTS_LOGGED: Final = 20


class Clock:
    """Seconds since the epoch that never jump: the time of the start, and what passed since."""

    __slots__ = ("_offset",)

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.monotonic() + self._offset


class Driver:
    """Runs one engine over its listeners, in the running event loop."""

    def __init__(self, clock: Clock, listeners: list[UdpListener]) -> None:
        self._clock = clock
        self._listeners = listeners
        self._loop = asyncio.get_running_loop()
        self._resolver = Resolver()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._flushing = False
        self._now = clock.now()
        self._engine: Engine | None = None
        self.faults = 0

    def start(self, engine: Engine) -> None:
        """Begin to read."""
        self._engine = engine
        for listener in self._listeners:
            self._loop.add_reader(listener.socket, self._readable, listener)

    def stop(self) -> None:
        """Stop reading and give the addresses back."""
        for listener in self._listeners:
            self._loop.remove_reader(listener.socket)
            listener.close()
        if self._alarm is not None:
            self._alarm.cancel()

    def flush(self) -> None:
        """Send what the engine has put out and set the alarm for its next timer."""
        engine = self._engine
        assert engine is not None
        self._flushing = False
        out = engine.out
        try:
            for flow, data in out:
                address = flow.address
                if address is None:
                    self._send_to_name(flow, data)
                    continue
                try:
                    flow.listener.send(data, address)  # type: ignore[attr-defined]
                except OSError as error:
                    self._undelivered(flow, data, error)
        finally:
            # Whatever went wrong, nothing is sent twice.
            out.clear()
        deadline = engine.deadline()
        if deadline is not None and (self._alarm is None or deadline < self._alarm_at):
            self._set_alarm(deadline)

    def flush_soon(self) -> None:
        """Flush at the end of this turn of the loop: answers that come together leave together."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self.flush)

    def _readable(self, listener: UdpListener) -> None:
        self._now = self._clock.now()
        listener.drain(self._receive)
        self.flush()

    def _receive(self, flow: Flow, data: bytes) -> None:
        try:
            self._engine.receive(self._now, flow, data)  # type: ignore[union-attr]
        except Exception:
            # Our own fault; whatever it is, the next message is served.
            self._fault("message not handled")

    def _wake(self) -> None:
        self._alarm = None
        engine = self._engine
        assert engine is not None
        self._now = self._clock.now()
        try:
            engine.expire(self._now)
        except Exception:
            self._fault("timer not handled")
        self.flush()

    def _set_alarm(self, deadline: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = deadline
        # A timer fires at its instant or after it, so a hair is added against rounding.
        self._alarm = self._loop.call_later(max(0.0, deadline - self._clock.now()) + 0.0005, self._wake)

    def _undelivered(self, flow: Flow, data: bytes, error: OSError) -> None:
        """The engine learns of it after the present flush: it may put out more."""
        _log.debug("not sent", host=flow.host, port=flow.port, error=error.strerror)
        self._loop.call_soon(self._unreachable, data)

    def _unreachable(self, data: bytes) -> None:
        assert self._engine is not None
        try:
            self._engine.unreachable(self._clock.now(), data)
        except Exception:
            self._fault("failure not handled")
        self.flush()

    def _send_to_name(self, flow: Flow, data: bytes) -> None:
        def resolved(address: tuple[object, ...] | None) -> None:
            # Maybe called at once, inside of a flush: the engine hears of it later.
            if address is None:
                self._loop.call_soon(self._unreachable, data)
                return
            try:
                flow.listener.send(data, address)  # type: ignore[attr-defined]
            except OSError as error:
                self._undelivered(flow, data, error)

        ipv6 = flow.listener.ipv6  # type: ignore[attr-defined]
        if not self._resolver.resolve(self._clock.now(), flow.host, flow.port, ipv6, resolved):
            self._loop.call_soon(self._unreachable, data)

    def _fault(self, event: str) -> None:
        self.faults += 1
        if self.faults <= _FAULTS_LOGGED:
            _log.exception(event)
