"""One run: the calls of a scenario, at simulated time, over gateways chosen in one way."""

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from scenarios import Scenario
from simulated import SimulatedCall, calls_of
from ways import PROBE_EVERY_S, TRY_FOR_S, Listed, Ours, Way

#: Who has heard nothing for so long hangs up.
PATIENCE_S = 8.0
#: Simulated time begins then; nothing may depend on it.
BEGIN = 1_800_000_000.0


class Run(NamedTuple):
    """calls: how many there were. times_ms: of those that were completed, from the caller's INVITE
    to the first response of the gateway that took it. overflows: INVITEs to gateways that had no
    room.
    """

    calls: int
    times_ms: list[float]
    overflows: int


class Simulation:
    """Events in the order of time."""

    def __init__(self, scenario: Scenario, make: type[Ours] | type[Listed], seed: int) -> None:
        self.gateways = scenario.gateways()
        self.way: Way = make(self.gateways, seed)
        self.calls = calls_of(seed, scenario.per_s, scenario.holds_s, scenario.lasts_s)
        self.times_ms: list[float] = []
        self._random = Random(seed + 1)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = 0
        self._lasts_s = scenario.lasts_s

    def run(self) -> Run:
        """All calls, from the first INVITE to the last BYE."""
        self._probe(0.0)
        for call in self.calls:
            self._at(call.at, lambda now, call=call: self._begin(now, call))  # type: ignore[misc]
        events = self._events
        while events:
            now, _, act = heappop(events)
            act(now)
        assert not any(gateway.calls for gateway in self.gateways)
        return Run(len(self.calls), self.times_ms, sum(gateway.overflows for gateway in self.gateways))

    def _at(self, when: float, act: Callable[[float], None]) -> None:
        self._number += 1
        heappush(self._events, (when, self._number, act))

    def _probe(self, now: float) -> None:
        for number, gateway in enumerate(self.gateways):
            ms = gateway.pinged(now, self._random)
            told_at = now + min(ms / 1000.0, TRY_FOR_S)
            self._at(told_at, lambda at, number=number, ms=ms: self.way.probed(BEGIN + at, number, ms))  # type: ignore[misc]
        if now + PROBE_EVERY_S < self._lasts_s:
            self._at(now + PROBE_EVERY_S, self._probe)

    def _begin(self, now: float, call: SimulatedCall) -> None:
        self._invite(now, call, self.way.begin(BEGIN + now, call))

    def _invite(self, now: float, call: SimulatedCall, number: int | None) -> None:
        if number is None:
            return
        gateway = self.gateways[number]
        responds_at, status = gateway.invited(now, call.luck[call.tries])
        call.tries += 1
        gives_up_at = call.at + PATIENCE_S
        gone_at = now + TRY_FOR_S
        if min(responds_at, gone_at) > gives_up_at:
            self._at(gives_up_at, lambda at: self._give_up(at, call, number, status))
        elif responds_at > gone_at:
            self._at(gone_at, lambda at: self._failed(at, call, number, 0, status))
        elif status == 180:
            self._at(responds_at, lambda at: self._answered(at, call, number))
        else:
            self._at(responds_at, lambda at: self._failed(at, call, number, 503, status))

    def _failed(self, now: float, call: SimulatedCall, number: int, status: int, said: int) -> None:
        if said == 180:
            self.gateways[number].calls -= 1  # it would have taken it, and is sent a CANCEL
        self._invite(now, call, self.way.failed(BEGIN + now, call, status))

    def _give_up(self, now: float, call: SimulatedCall, number: int, said: int) -> None:
        if said == 180:
            self.gateways[number].calls -= 1
        self.way.ended(BEGIN + now, call)

    def _answered(self, now: float, call: SimulatedCall, number: int) -> None:
        self.way.responded(BEGIN + now, call)
        self.times_ms.append((now - call.at) * 1000.0)
        self._at(now + call.holds_s, lambda at: self._over(at, call, number))

    def _over(self, now: float, call: SimulatedCall, number: int) -> None:
        self.gateways[number].calls -= 1
        self.way.ended(BEGIN + now, call)
