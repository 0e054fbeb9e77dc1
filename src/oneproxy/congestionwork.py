"""The node's part that takes on no more calls than the site allows, and tells of those that it refused."""

import asyncio
from typing import Final

import structlog

from oneproxy.congestion.episode import Episode
from oneproxy.congestion.limit import CallLimit
from oneproxy.engine.core import Engine
from oneproxy.site.model import Site
from oneproxy.transport.alarm import Alarm
from oneproxy.transport.driver import Driver

log: Final = structlog.get_logger()


class CongestionWork:
    """The limits of one engine's gate."""

    def __init__(self, engine: Engine, site: Site) -> None:
        self._gate = engine.gate
        self._episode = Episode(_began, _ended)
        self._limit = CallLimit(engine.calls, self._episode)
        self._alarm: Alarm | None = None
        self.take(site)

    def start(self, driver: Driver) -> None:
        """Begin to notice that nothing is refused any more. driver: started."""
        self._alarm = Alarm(driver, asyncio.get_running_loop(), (self._episode,))

    def take(self, site: Site) -> None:
        """The site has changed: calls are taken on by this one from now on. Those that began count."""
        congestion = site.congestion
        self._limit.take(congestion)
        gate = self._gate
        gate.limit = self._limit if self._limit.is_set else None
        gate.retry_after_s = congestion.retry_after_s
        gate.emergency = frozenset(congestion.emergency)
        gate.look_again()

    def stop(self) -> None:
        """The node ends."""
        if self._alarm is not None:
            self._alarm.stop()
        self._episode.close()


def _began(cause: str) -> None:
    log.warning("calls refused", code=cause)


def _ended(refused: dict[str, int], seconds: float) -> None:
    log.warning(
        "no more calls refused", refused=sum(refused.values()), seconds=round(seconds, 1), codes=refused
    )
