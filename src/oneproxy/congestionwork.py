"""The node's part that takes on no more calls than the site allows, and tells of those that it refused."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from oneproxy.congestion.count import Bound, Count
from oneproxy.congestion.episode import Episode
from oneproxy.congestion.episodes import Episodes
from oneproxy.congestion.limit import CallLimit
from oneproxy.congestion.limits import Limits
from oneproxy.engine.core import Engine
from oneproxy.engine.decisions import Ask
from oneproxy.engine.holds import dialled
from oneproxy.ipc.desk import LimitsFound
from oneproxy.limit_views import limits_found
from oneproxy.site.model import Site
from oneproxy.transport.alarm import Alarm
from oneproxy.transport.driver import Driver

log: Final = structlog.get_logger()
#: Characters of who was refused that a line of the log takes.
_LOGGED: Final = 128


class CongestionWork:
    """The limits of one engine's gate. limits: those that its policy has, of domains, sources and others."""

    def __init__(self, engine: Engine, site: Site, limits: Limits | None = None) -> None:
        self._gate = gate = engine.gate
        self._episode = Episode(_began, _ended)
        self._episodes = Episodes(_one_began, _one_ended)
        self._limit = CallLimit(engine.calls, self._episode)
        self._limits = limits
        self._alarm: Alarm | None = None
        if limits is not None:
            limits.on_refused = self._episodes.note
            limits.spares = self._spares
            limits.sources.on_full = gate.shut
        self.take(site)

    def start(self, driver: Driver) -> None:
        """Begin to notice that nothing is refused any more. driver: started."""
        self._alarm = Alarm(driver, asyncio.get_running_loop(), (self._episode, self._episodes))

    def take(self, site: Site) -> None:
        """The site has changed, and the steps know it: calls are taken on by this one from now on.

        Those that began count.
        """
        congestion = site.congestion
        self._limit.take(congestion)
        gate, limits = self._gate, self._limits
        gate.limit = self._limit if self._limit.is_set else None
        gate.sources = limits.sources if limits is not None and limits.sources.any else None
        gate.retry_after_s = congestion.retry_after_s
        gate.emergency = frozenset(congestion.emergency)
        gate.look_again()

    async def found(self, calls_of: Callable[[str], int], now: float) -> LimitsFound:
        """How full the limits are. calls_of: how many calls a provider has."""
        return await limits_found(self._limit, self._limits or Limits(), calls_of, now)

    def stop(self) -> None:
        """The node ends."""
        if self._alarm is not None:
            self._alarm.stop()
        self._episode.close()
        self._episodes.close()

    def _spares(self, ask: Ask) -> bool:
        return self._gate.spares(ask.flow, ask.request, dialled(ask))


def _began(cause: str) -> None:
    log.warning("calls refused", code=cause)


def _ended(refused: dict[str, int], seconds: float) -> None:
    log.warning(
        "no more calls refused", refused=sum(refused.values()), seconds=round(seconds, 1), codes=refused
    )


def _one_began(count: Count) -> None:
    of = {"of": count.of[:_LOGGED]} if count.of else {}
    log.warning("calls refused", code=count.cause, limit=count.bound.name, **of)


def _one_ended(bound: Bound, refused: dict[str, int], seconds: float) -> None:
    log.warning(
        "no more calls refused",
        limit=bound.name,
        refused=sum(refused.values()),
        seconds=round(seconds, 1),
        codes=refused,
    )
