"""Gateways and calls that are made up, all of them from seeds: the same for every way to choose.

What happens to a call at a gateway depends on the call's own draws and on the gateway's state at
that time, never on who chose it: so ways to choose are compared by the same luck.
"""

from math import exp
from random import Random

#: What the gateways of one scenario have in common unless it says otherwise.
MEDIAN_MS = 60.0
SIGMA = 0.5
WORK_MS = 8.0


class SimulatedGateway:
    """A peer that answers INVITE and OPTIONS, or does not.

    median_ms, sigma: of the log-normal time to the first response, besides waiting for the
    gateway's processor, which has `work_ms` to do for each INVITE, one after the other. failing:
    the share of INVITEs that it answers 503. capacity: calls at once, beyond which it does; 0 for
    no bound. outages: from when to when nothing is heard of it, seconds from the beginning.
    """

    def __init__(
        self,
        median_ms: float = MEDIAN_MS,
        failing: float = 0.0,
        capacity: int = 0,
        outages: tuple[tuple[float, float], ...] = (),
    ) -> None:
        self.median_ms = median_ms
        self.failing = failing
        self.capacity = capacity
        self.outages = outages
        self.calls = 0
        #: INVITEs that were beyond its capacity.
        self.overflows = 0
        self._free_at = 0.0

    def is_silent(self, now: float) -> bool:
        """Whether nothing is heard of it."""
        return any(begins <= now < ends for begins, ends in self.outages)

    def invited(self, now: float, luck: "Luck") -> tuple[float, int]:
        """When it gives its first response to an INVITE, and 180 or 503; never, and 0.

        A call that it takes is one of its calls from now on.
        """
        if self.is_silent(now):
            return float("inf"), 0
        began = max(now, self._free_at)
        self._free_at = began + WORK_MS / 1000.0
        at = self._free_at + self.median_ms * exp(SIGMA * luck.latency) / 1000.0
        if self.capacity and self.calls >= self.capacity:
            self.overflows += 1
            return at, 503
        if luck.failure < self.failing:
            return at, 503
        self.calls += 1
        return at, 180

    def pinged(self, now: float, random: Random) -> float:
        """After how many milliseconds it answers OPTIONS; never is infinite."""
        if self.is_silent(now):
            return float("inf")
        return self.median_ms * exp(SIGMA * random.gauss())


class Luck:
    """What is drawn for one INVITE of a call."""

    __slots__ = ("failure", "latency")

    def __init__(self, random: Random) -> None:
        self.latency = random.gauss()
        self.failure = random.random()


class SimulatedCall:
    """Who calls when, for how long, and with which luck at each gateway that is tried."""

    __slots__ = ("at", "holds_s", "luck", "number", "state", "tries")

    def __init__(self, number: int, at: float, holds_s: float, random: Random) -> None:
        self.number = number
        self.at = at
        self.holds_s = holds_s
        self.luck = [Luck(random) for _ in range(8)]
        #: How many gateways have been tried, and what the way to choose keeps with the call.
        self.tries = 0
        self.state: object = None


def calls_of(seed: int, per_s: float, holds_s: float, lasts_s: float) -> list[SimulatedCall]:
    """Calls that come at random, `per_s` in a second on average, for `holds_s` on average."""
    random = Random(seed)
    calls: list[SimulatedCall] = []
    at = random.expovariate(per_s)
    while at < lasts_s:
        calls.append(SimulatedCall(len(calls), at, random.expovariate(1.0 / holds_s), random))
        at += random.expovariate(per_s)
    return calls
