"""How long a gateway takes to its first response: an average that jumps at once to a peak.

Two parts, each with a memory of its own. The *mean* moves a little with every response, and
remembers a slow gateway through a quiet time. The *excess* is what the last peak was above it: a
gateway that has just become slow is left alone from its first slow response on, and one that lost
a single datagram (RFC 3261 17.1.1.2: 500 ms until it is sent again) is forgiven in seconds.

What nothing is heard of is forgotten by and by, or a gateway that was slow once, and gets no
calls for it, would never get the call that shows it is fast again.
"""

from math import exp2
from typing import Final

#: What a gateway is taken for that nothing is known of: fast, so that it is tried, but not so
#: fast that all calls go there before the first one is answered.
UNKNOWN_MS: Final = 20.0
#: How much of a response goes into the mean, where the one before it is not long ago.
_SHARE: Final = 0.05
#: The time in which half of the excess, and half of the mean of who is idle, is forgotten.
_EXCESS_HALF_S: Final = 2.0
_IDLE_HALF_S: Final = 90.0


class Latency:
    """The time to the first response of one gateway, in milliseconds."""

    __slots__ = ("at", "excess_ms", "mean_ms")

    def __init__(self) -> None:
        self.mean_ms = 0.0
        self.excess_ms = 0.0
        #: When the last response was taken in, seconds since the epoch; 0: none.
        self.at = 0.0

    def observe(self, now: float, ms: float) -> None:
        """A first response has come after `ms`, or none has for so long."""
        idle_s = now - self.at
        if not self.at:
            self.mean_ms = ms
        else:
            # The less is known yet of what was, the more this one says.
            self.mean_ms += (ms - self.mean_ms) * (1.0 - (1.0 - _SHARE) * forgotten(idle_s))
        above = ms - self.mean_ms
        excess = self.excess_ms * exp2(-idle_s / _EXCESS_HALF_S) if self.excess_ms else 0.0
        self.excess_ms = above if above > excess else excess
        self.at = now

    def value(self, now: float) -> float:
        """What to expect of the next call, in milliseconds."""
        idle_s = now - self.at
        if idle_s < 1.0:
            return self.mean_ms + self.excess_ms
        if not self.at:
            return UNKNOWN_MS
        return self.mean_ms * exp2(-idle_s / _IDLE_HALF_S) + self.excess_ms * exp2(-idle_s / _EXCESS_HALF_S)


def forgotten(idle_s: float) -> float:
    """What is left of what was known after nothing was heard for so long, 1 to 0."""
    return 1.0 if idle_s < 1.0 else exp2(-idle_s / _IDLE_HALF_S)
