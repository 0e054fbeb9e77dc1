"""The node's part that takes on no more than the site allows and than it has time for, sends neighbours
no more than they want, and tells of what it refused."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import structlog

from oneproxy.congestion.count import Bound, Count
from oneproxy.congestion.episode import Episode
from oneproxy.congestion.episodes import Episodes
from oneproxy.congestion.limit import CallLimit
from oneproxy.congestion.limits import Limits
from oneproxy.congestion.overload import Overload
from oneproxy.congestion.slowdowns import Slowdowns
from oneproxy.engine.core import Engine
from oneproxy.engine.decisions import Ask
from oneproxy.engine.flow import Flow
from oneproxy.engine.holds import dialled
from oneproxy.ipc.limits import LimitsFound
from oneproxy.limit_views import limits_found
from oneproxy.site.model import Site
from oneproxy.transport.alarm import Alarm
from oneproxy.transport.driver import Driver
from oneproxy.transport.stream import StreamListener
from oneproxy.transport.turns import Turns
from oneproxy.transport.udp import UdpListener
from oneproxy.transport.waiting import Lag

log: Final = structlog.get_logger()
#: Characters of who was refused that a line of the log takes.
_LOGGED: Final = 128


#: Where messages wait, besides the sockets of UDP, which are counted from 0.
_LOOP: Final = -1
_STREAMS: Final = -2


class CongestionWork:
    """The limits of one engine's gate, what is refused while it is overloaded, and what it keeps from others.

    limits: those that its policy has, of domains, sources and others.
    """

    def __init__(
        self,
        engine: Engine,
        site: Site,
        limits: Limits | None = None,
        has_no_room: Callable[[], bool] = bool,
    ) -> None:
        self._gate = gate = engine.gate
        self._neighbours = engine.neighbours
        self._telling = engine.telling
        self._slowed = Slowdowns(_slowing, _slowed)
        self._neighbours.on_slowed = self._note_slowed
        self._episode = Episode(_began, _ended)
        self._episodes = Episodes(_one_began, _one_ended)
        self._shed_episode = Episode(_overloaded, _no_more_overloaded)
        self._limit = CallLimit(engine.calls, self._episode, has_no_room)
        self._limits = limits
        self._overload = Overload(gate.shedding)
        gate.shedding.on_refused = self._shed_episode.note
        self._alarm: Alarm | None = None
        self._lag: Lag | None = None
        if limits is not None:
            limits.on_refused = self._episodes.note
            limits.spares = self._spares
            limits.sources.on_full = gate.shut
        self.take(site)

    def start(self, driver: Driver) -> None:
        """Begin to notice that nothing is refused any more. driver: started."""
        sleepers = (self._episode, self._episodes, self._shed_episode, self._slowed)
        self._alarm = Alarm(driver, asyncio.get_running_loop(), sleepers)

    def watch(
        self, listeners: Iterable[UdpListener | StreamListener], turns: Turns, now: Callable[[], float]
    ) -> None:
        """Begin to measure how long messages wait. now: seconds since the epoch."""
        waited = self._overload.waited
        blind = False
        for place, listener in enumerate(listeners):
            if isinstance(listener, UdpListener):
                listener.on_waited = partial(waited, place)
            blind = blind or not (isinstance(listener, UdpListener) and listener.tells)
        turns.on_waited = lambda wait_s: waited(_STREAMS, now(), wait_s, 0)
        if blind:
            self._lag = Lag(asyncio.get_running_loop(), now, partial(waited, _LOOP))

    def take(self, site: Site) -> None:
        """The site has changed, and the steps know it: calls are taken on by this one from now on.

        Those that began count.
        """
        congestion = site.congestion
        self._limit.take(congestion, site.cdr.enabled and site.cdr.when_full == "refuse-calls")
        self._overload.take(congestion)
        gate, limits = self._gate, self._limits
        gate.limit = self._limit if self._limit.is_set else None
        gate.sources = limits.sources if limits is not None and limits.sources.any else None
        gate.retry_after_s = congestion.retry_after_s
        gate.emergency = frozenset(congestion.emergency)
        gate.priority = frozenset(congestion.priority)
        gate.look_again()
        self._neighbours.asks = self._telling.is_on = congestion.oc
        self._neighbours.max_retry_after_s = congestion.max_retry_after_s

    @property
    def drops(self) -> int:
        """Datagrams that the kernel had no room for."""
        return self._overload.drops

    def waits(self) -> tuple[float, float]:
        """The longest wait of the last minute or two, and the mean, in milliseconds."""
        longest_s, mean_s = self._overload.waits()
        return round(1000 * longest_s, 1), round(1000 * mean_s, 2)

    def period(self) -> tuple[float, float]:
        """The same of the time since it was asked for the last time."""
        longest_s, mean_s = self._overload.period()
        return round(1000 * longest_s, 1), round(1000 * mean_s, 2)

    def loss_percent(self, now: float) -> int:
        """The share of new calls that is refused, as of now: when nothing comes nobody measures."""
        return self._gate.loss(now)

    async def found(self, calls_of: Callable[[str], int], now: float) -> LimitsFound:
        """How full the limits are. calls_of: how many calls a provider has."""
        return await limits_found(self._limit, self._limits or Limits(), calls_of, now)

    def stop(self) -> None:
        """The node ends."""
        if self._alarm is not None:
            self._alarm.stop()
        if self._lag is not None:
            self._lag.stop()
        self._episode.close()
        self._shed_episode.close()
        self._episodes.close()
        self._slowed.close()

    def _spares(self, ask: Ask) -> bool:
        return self._gate.spares(ask.flow, ask.request, dialled(ask))

    def _note_slowed(self, now: float, flow: Flow, cause: str) -> None:
        self._slowed.note(now, f"{flow.listener.transport.lower()}:{flow.host}:{flow.port}", cause)


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


def _slowing(neighbour: str, cause: str) -> None:
    log.warning("less sent to a neighbour", neighbour=neighbour, code=cause)


def _slowed(neighbour: str, kept: dict[str, int], seconds: float) -> None:
    log.warning(
        "all sent to a neighbour again",
        neighbour=neighbour,
        not_sent=sum(kept.values()),
        seconds=round(seconds, 1),
        codes=kept,
    )


def _overloaded(cause: str) -> None:
    log.warning("overloaded", code=cause)


def _no_more_overloaded(refused: dict[str, int], seconds: float) -> None:
    log.warning("no more overloaded", refused=sum(refused.values()), seconds=round(seconds, 1), codes=refused)
