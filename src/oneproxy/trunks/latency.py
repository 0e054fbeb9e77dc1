"""How long a gateway takes to its first response: an average that jumps at once to a peak.

Two parts, each with a memory of its own. The *mean* moves a little with every response, and
remembers a slow gateway through a quiet time. The *excess* is what the last peak was above it: a
gateway that has just become slow is left alone from its first slow response on, and one that lost
a single datagram (RFC 3261 17.1.1.2: 500 ms until it is sent again) is forgiven in seconds.

What nothing is heard of is forgotten by and by, or a gateway that was slow once, and gets no
calls for it, would never get the call that shows it is fast again. Only time with calls counts
for that: where one call comes a minute, not every third of them goes to find that out.
"""

from math import exp2
from typing import Final

#: What a gateway is taken for that nothing is known of: fast, so that it is tried, but not so
#: fast that all calls go there before the first one is answered.
UNKNOWN_MS: Final = 20.0
#: How much of a response goes into the mean, where the one before it is not long ago.
_SHARE: Final = 0.05
#: The time in which half of the excess is forgotten; and, of who gets no calls, half of the rest.
_EXCESS_HALF_S: Final = 1.0
_IDLE_HALF_S: Final = 120.0
#: The most that one call adds to the time with calls.
_MOST_S: Final = 0.2


class Traffic:
    """The time with calls of one provider: as it goes by, but at most 0.2 s for each call."""

    __slots__ = ("_at", "lived_s")

    def __init__(self) -> None:
        self.lived_s = 0.0
        self._at = 0.0

    def began(self, now: float) -> None:
        """A call goes to one of its gateways."""
        since_s = now - self._at
        self.lived_s += since_s if since_s < _MOST_S else _MOST_S
        self._at = now


class Latency:
    """The time to the first response of one gateway, in milliseconds."""

    __slots__ = ("_lived_at", "_traffic", "at", "excess_ms", "mean_ms")

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self.mean_ms = 0.0
        self.excess_ms = 0.0
        #: When the last response was taken in, seconds since the epoch; 0: none.
        self.at = 0.0
        self._lived_at = 0.0

    def observe(self, now: float, ms: float) -> None:
        """A first response has come after `ms`, or none has for so long."""
        if not self.at:
            self.mean_ms = ms
        else:
            # The less is known yet of what was, the more this one says.
            known = forgotten(self._traffic.lived_s - self._lived_at)
            self.mean_ms += (ms - self.mean_ms) * (1.0 - (1.0 - _SHARE) * known)
        above = ms - self.mean_ms
        excess = self.excess_ms * exp2((self.at - now) / _EXCESS_HALF_S) if self.excess_ms else 0.0
        self.excess_ms = above if above > excess else excess
        self.at = now
        self._lived_at = self._traffic.lived_s

    def value(self, now: float) -> float:
        """What to expect of the next call, in milliseconds."""
        if not self.at:
            return UNKNOWN_MS
        expected_ms = self.mean_ms * forgotten(self._traffic.lived_s - self._lived_at)
        if self.excess_ms:
            expected_ms += self.excess_ms * exp2((self.at - now) / _EXCESS_HALF_S)
        return expected_ms


def forgotten(idle_s: float) -> float:
    """What is left of what was known after so much time with calls of others, 1 to 0."""
    return 1.0 if idle_s < 1.0 else exp2(-idle_s / _IDLE_HALF_S)
