"""The alarm of those who have something due beside the engine's timers."""

from asyncio import TimerHandle
from collections.abc import Callable, Sequence
from math import inf
from typing import Final, Protocol

import structlog

from oneproxy.logs import Faults
from oneproxy.transport.loop import Loop
from oneproxy.transport.wire import Wire

_log: Final = structlog.get_logger()
#: A timer fires at its instant or after it, so a hair is added against rounding.
_HAIR_S: Final = 0.0005


class Sleeper(Protocol):
    """Who is to be woken at its deadline, and says when that has become sooner. Times are the driver's."""

    on_sooner: Callable[[], None] | None

    def deadline(self) -> float | None:
        """When `expire` is wanted next, or None."""
        ...

    def expire(self, now: float) -> None:
        """Do what is due."""
        ...


class Alarm:
    """One timer of the loop for all of them; what they put out is sent by the driver."""

    def __init__(self, driver: Wire, loop: Loop, sleepers: Sequence[Sleeper]) -> None:
        """driver: started."""
        self._driver = driver
        self._loop = loop
        self._sleepers = sleepers
        self._timer: TimerHandle | None = None
        self._at = inf
        self._faults = Faults(_log)
        for sleeper in sleepers:
            sleeper.on_sooner = self.set
        self.set()

    @property
    def faults(self) -> int:
        """How many faults of our own there were."""
        return self._faults.count

    def set(self) -> None:
        """Look anew at when somebody wants to be woken; a time that is too early does no harm."""
        at = min((at for one in self._sleepers if (at := one.deadline()) is not None), default=inf)
        if at >= self._at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = self._loop.call_later(max(0.0, at - self._driver.now()) + _HAIR_S, self._wake)

    def stop(self) -> None:
        """Wake nobody any more."""
        self._at = -inf
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self) -> None:
        self._timer = None
        # Whoever is due sooner while somebody is served is looked at afterwards.
        self._at = -inf
        for sleeper in self._sleepers:
            try:
                sleeper.expire(self._driver.now())
            except Exception:
                # Our own fault; whoever else is due is served.
                self._faults.note("what was due not done", self._loop.time())
        self._driver.flush()
        self._at = inf
        self.set()
