"""The ways to choose that are compared: ours, the plain ones, and those of Kamailio's dispatcher.

All of them try the next gateway on the same failures and after the same silence, and each
gateway once. The plain ones know nothing of health. Kamailio's are as the documentation of its
dispatcher module gives them, with its best settings rather than its defaults: every gateway is
sent OPTIONS, is inactive after `ds_probing_threshold` that were not answered and active again
after `ds_inactive_threshold` that were, and failure_route goes on with `ds_next_dst`.
"""

from random import Random
from typing import Protocol

from simulated import SimulatedCall, SimulatedGateway

from oneproxy.site.model import Gateway, Provider, Site
from oneproxy.trunks.answer import Answer
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.trunks import Trunks
from oneproxy.trunks.walk import Walk

#: Of every way: how long a gateway has for any response, and how often it is sent OPTIONS.
TRY_FOR_S = 3.0
PROBE_EVERY_S = 10.0


class Way(Protocol):
    """A way to choose. Gateways are numbers; None: nobody takes the call."""

    def begin(self, now: float, call: SimulatedCall) -> int | None:
        """Who is tried first."""

    def failed(self, now: float, call: SimulatedCall, status: int) -> int | None:
        """The last one has failed, with 503 or, for 0, by silence: who is tried next."""

    def responded(self, now: float, call: SimulatedCall) -> None:
        """The first response has come, and the call is answered."""

    def ended(self, now: float, call: SimulatedCall) -> None:
        """The call is over, or the caller gave up."""

    def probed(self, now: float, gateway: int, ms: float) -> None:
        """OPTIONS were answered after `ms`; never is infinite."""


class Ours:
    """The code of `oneproxy.trunks`, with its defaults."""

    def __init__(self, gateways: list[SimulatedGateway], seed: int, choice: str = "latency") -> None:
        made = tuple(
            Gateway(
                str(number),
                "sip:x",
                max_calls=one.capacity,
                weight=one.capacity // 10 or 1,
                probe_every_s=int(PROBE_EVERY_S),
            )
            for number, one in enumerate(gateways)
        )
        provider = Provider("p", gateway=made, choice=choice, try_for_ms=int(TRY_FOR_S * 1000))
        self.trunks = Trunks(Site({}, {}, providers={"p": provider}), Random(seed))

    def begin(self, now: float, call: SimulatedCall) -> int | None:
        walk = call.state = self.trunks.walk("p")
        return _number(walk.begin(now))

    def failed(self, now: float, call: SimulatedCall, status: int) -> int | None:
        walk = call.state
        assert isinstance(walk, Walk)
        return _number(walk.failed(now, status or 408, None if status else "timeout"))

    def responded(self, now: float, call: SimulatedCall) -> None:
        walk = call.state
        assert isinstance(walk, Walk)
        assert walk.attempt is not None
        walk.attempt.answered(now)

    def ended(self, now: float, call: SimulatedCall) -> None:
        walk = call.state
        assert isinstance(walk, Walk)
        walk.end(now)

    def probed(self, now: float, gateway: int, ms: float) -> None:
        provider = self.trunks.find("p")
        assert provider is not None
        answer = (200, None) if ms <= TRY_FOR_S * 1000 else (408, "timeout")
        provider.probed(now, str(gateway), *answer)


def _number(found: Attempt | Answer) -> int | None:
    return found.gateway.place if isinstance(found, Attempt) else None


class Listed:
    """Makes a list of gateways when a call comes, and goes along it."""

    def __init__(self, gateways: list[SimulatedGateway], seed: int) -> None:
        self.count = len(gateways)
        self.capacity = [one.capacity for one in gateways]
        self.calls = [0] * self.count
        self.random = Random(seed)
        self.turn = -1

    def listed(self, now: float) -> list[int]:
        """All gateways that may take a call, in the order in which they are tried."""
        raise NotImplementedError

    def begin(self, now: float, call: SimulatedCall) -> int | None:
        call.state = (left := self.listed(now))
        return self._next(left)

    def failed(self, now: float, call: SimulatedCall, status: int) -> int | None:
        left = call.state
        assert isinstance(left, list)
        self.calls[left.pop(0)] -= 1
        return self._next(left)

    def responded(self, now: float, call: SimulatedCall) -> None:
        pass

    def ended(self, now: float, call: SimulatedCall) -> None:
        left = call.state
        assert isinstance(left, list)
        if left:
            self.calls[left[0]] -= 1

    def probed(self, now: float, gateway: int, ms: float) -> None:
        pass

    def _next(self, left: list[int]) -> int | None:
        if not left:
            return None
        self.calls[left[0]] += 1
        return left[0]


class RoundRobin(Listed):
    """One after the other."""

    def listed(self, now: float) -> list[int]:
        self.turn = (self.turn + 1) % self.count
        return [(self.turn + step) % self.count for step in range(self.count)]


class AtRandom(Listed):
    """In any order."""

    def listed(self, now: float) -> list[int]:
        return self.random.sample(range(self.count), self.count)


class LeastLoaded(Listed):
    """By calls for the maximum, or by calls, and not beyond the maximum."""

    def listed(self, now: float) -> list[int]:
        calls, most = self.calls, self.capacity
        left = [one for one in range(self.count) if not most[one] or calls[one] < most[one]]
        self.random.shuffle(left)
        return sorted(left, key=lambda one: calls[one] / (most[one] or 1))


class Dispatcher(Listed):
    """What Kamailio's algorithms have in common: OPTIONS, and who is inactive for them."""

    #: ds_probing_threshold and ds_inactive_threshold; both are 1 by default.
    PROBING_THRESHOLD = 1
    INACTIVE_THRESHOLD = 1

    def __init__(self, gateways: list[SimulatedGateway], seed: int) -> None:
        super().__init__(gateways, seed)
        self.active = [True] * self.count
        self.row = [0] * self.count

    def probed(self, now: float, gateway: int, ms: float) -> None:
        is_answered = ms <= TRY_FOR_S * 1000
        if is_answered is self.active[gateway]:
            self.row[gateway] = 0
            return
        self.row[gateway] += 1
        if self.row[gateway] >= (self.INACTIVE_THRESHOLD if is_answered else self.PROBING_THRESHOLD):
            self.active[gateway] = is_answered
            self.row[gateway] = 0

    def actives(self) -> list[int]:
        return [one for one in range(self.count) if self.active[one]]

    def turns(self, among: list[int]) -> list[int]:
        """`among`, from the one whose turn it is on."""
        self.turn += 1
        first = self.turn % len(among) if among else 0
        return among[first:] + among[:first]


class Kamailio4(Dispatcher):
    """Algorithm 4: round robin."""

    def listed(self, now: float) -> list[int]:
        return self.turns(self.actives())


class Kamailio10(Dispatcher):
    """Algorithm 10: call load, the one with the least calls, `maxload` not exceeded; then in order."""

    def listed(self, now: float) -> list[int]:
        calls, most = self.calls, self.capacity
        left = [one for one in self.actives() if not most[one] or calls[one] < most[one]]
        if not left:
            return []
        first = min(left, key=lambda one: calls[one])
        return [first, *(one for one in left if one != first)]


class Kamailio13(Dispatcher):
    """Algorithm 13: round robin among those of the highest priority, lowered by latency.

    By one for as many milliseconds of estimated latency as the priority says, which is 30 as in
    the example of the documentation; ds_latency_estimator_alpha is 900, which is its default.
    """

    PRIORITY = 30
    ALPHA = 0.9

    def __init__(self, gateways: list[SimulatedGateway], seed: int) -> None:
        super().__init__(gateways, seed)
        self.latency_ms = [0.0] * self.count

    def probed(self, now: float, gateway: int, ms: float) -> None:
        super().probed(now, gateway, ms)
        if ms <= TRY_FOR_S * 1000:
            known = self.latency_ms[gateway]
            self.latency_ms[gateway] = known * self.ALPHA + ms * (1 - self.ALPHA) if known else ms

    def listed(self, now: float) -> list[int]:
        groups: dict[int, list[int]] = {}
        for one in self.actives():
            lowered = self.PRIORITY - int(self.latency_ms[one] / self.PRIORITY)
            groups.setdefault(max(lowered, 1), []).append(one)
        order: list[int] = []
        for priority in sorted(groups, reverse=True):
            order += groups[priority] if order else self.turns(groups[priority])
        return order


WAYS = {
    "OneProxy": Ours,
    "round robin": RoundRobin,
    "least loaded": LeastLoaded,
    "random": AtRandom,
    "Kamailio 4": Kamailio4,
    "Kamailio 10": Kamailio10,
    "Kamailio 13": Kamailio13,
}
