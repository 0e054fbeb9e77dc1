"""The one owner of clock and loop: it feeds the engine and sends what comes out."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from oneproxy.engine.core import Engine
from oneproxy.engine.flow import Flow
from oneproxy.logs import Faults
from oneproxy.transport.connections import Connections
from oneproxy.transport.loop import Loop
from oneproxy.transport.stream import StreamListener
from oneproxy.transport.udp import UdpListener

_log: Final = structlog.get_logger()


def _nothing() -> None:
    """Nothing has to be kept."""


class Clock:
    """Seconds since the epoch that never jump: the time of the start, and what passed since."""

    __slots__ = ("_offset",)

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.monotonic() + self._offset


class Driver:
    """Runs one engine over its listeners, in the running event loop: their `Wire`."""

    def __init__(
        self,
        clock: Clock,
        listeners: Sequence[UdpListener | StreamListener],
        connections: Connections | None = None,
    ) -> None:
        self._clock = clock
        self._listeners = listeners
        self._connections = Connections() if connections is None else connections
        # Looked at after every batch, so it is no farther than this.
        self._dirty = self._connections.dirty
        self._loop: Loop = asyncio.get_running_loop()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._flushing = False
        self._stopped = False
        self._now = clock.now()
        self._engine: Engine | None = None
        self._faults = Faults(_log)
        #: Called before anything is sent: what nobody may hear of before it is kept is kept then.
        self.ahead: Callable[[], None] = _nothing

    @property
    def faults(self) -> int:
        """How many faults of our own there were."""
        return self._faults.count

    def start(self, engine: Engine) -> None:
        """Begin to read."""
        self._engine = engine
        self._connections.start(self)
        for listener in self._listeners:
            listener.start(self)

    def finish(self, until: float) -> None:
        """Serve what has come, accept no more connections, and say good-bye on those there are.

        They end by and by, as their peers let them. until: by the loop's clock; what was not
        taken in by then is lost.
        """
        for listener in self._listeners:
            if isinstance(listener, StreamListener):
                listener.close()
                continue
            now = self.now()
            while self._loop.time() < until and listener.drain(self.received, now):
                self.flush()
        self._connections.finish(until)

    def stop(self) -> None:
        """Stop reading, close all connections and give the addresses back."""
        self._stopped = True
        for listener in self._listeners:
            listener.close()
        self._connections.close()
        if self._alarm is not None:
            self._alarm.cancel()

    # What listeners and connections call.

    def now(self) -> float:
        """Seconds since the epoch. What is handed in until the next call came at this instant."""
        self._now = now = self._clock.now()
        return now

    def received(self, flow: Flow, data: bytes) -> None:
        """Hand one message to the engine."""
        try:
            self._engine.receive(self._now, flow, data)  # type: ignore[union-attr]
        except Exception:
            # Our own fault; whatever it is, the next message is served.
            self._fault("message not handled")

    def flush(self) -> None:
        """Send what the engine has put out and set the alarm for its next timer."""
        engine = self._engine
        assert engine is not None
        self._flushing = False
        out = engine.out
        if out:
            self._keep_ahead()
            if engine.telling.is_due(self._now):
                engine.telling.tell(self._now, out)
        for flow, data in out:
            try:
                flow.send(data)
            except OSError as error:
                _log.debug("not sent", host=flow.host, port=flow.port, error=error.strerror)
                self.undelivered(data)
            except Exception:
                self._fault("message not sent")
        out.clear()
        if self._dirty:
            self._connections.write()
        deadline = engine.deadline()
        if deadline is not None and (self._alarm is None or deadline < self._alarm_at):
            self._set_alarm(deadline)

    def _keep_ahead(self) -> None:
        try:
            self.ahead()
        except Exception:
            self._fault("nothing kept ahead")

    def flush_soon(self) -> None:
        """Flush at the end of this turn of the loop: answers that come together leave together."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self.flush)

    def undelivered(self, data: bytes) -> None:
        """The engine learns of it after the present flush: it may put out more."""
        if not self._stopped:
            self._loop.call_soon(self._undelivered, data)

    def closed(self, flow: Flow) -> None:
        """The engine learns of it after the present flush: it may put out more."""
        if not self._stopped:
            self._loop.call_soon(self._closed, flow)

    # What the loop calls.

    def _wake(self) -> None:
        self._alarm = None
        engine = self._engine
        assert engine is not None
        try:
            engine.expire(self.now())
        except Exception:
            self._fault("timer not handled")
        self.flush()

    def _undelivered(self, data: bytes) -> None:
        assert self._engine is not None
        try:
            self._engine.unreachable(self.now(), data)
        except Exception:
            self._fault("failure not handled")
        self.flush()

    def _closed(self, flow: Flow) -> None:
        assert self._engine is not None
        try:
            self._engine.closed(self.now(), flow)
        except Exception:
            self._fault("end of a connection not handled")
        self.flush()

    def _set_alarm(self, deadline: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = deadline
        # A timer fires at its instant or after it, so a hair is added against rounding.
        self._alarm = self._loop.call_later(max(0.0, deadline - self._clock.now()) + 0.0005, self._wake)

    def _fault(self, event: str) -> None:
        self._faults.note(event, self._loop.time())
