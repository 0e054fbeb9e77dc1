"""How many calls begin within a period: a window that slides, and is exact wherever it begins.

Of N calls in a period, the next one may begin when the Nth before it has left the window. So
the instants of the last N are all that is to be known: a ring, in which one step per call is made.
"""

from array import array
from bisect import bisect_right


class Window:
    """The last `calls` instants. Those that it is told never go back.

    calls: the most in any `period_s` seconds; 0: any number, and nothing is remembered. A call that
    began at t is in the window until just before t + period_s. It takes 8 octets for each of
    `calls`, taken as it fills: 80 MB for ten million.
    """

    __slots__ = ("_began", "_oldest", "calls", "period_s")

    def __init__(self, calls: int, period_s: float) -> None:
        self.calls = calls
        self.period_s = period_s
        self._began = array("d")
        #: Where the oldest is, once there are `calls`.
        self._oldest = 0

    def full_until(self) -> float:
        """No further call may begin before this instant; 0.0 where there is room at any time."""
        if not self.calls or len(self._began) < self.calls:
            return 0.0
        return self._began[self._oldest] + self.period_s

    def add(self, now: float) -> None:
        """A call begins, be there room for it or not: those that are let in all the same count too."""
        if len(self._began) < self.calls:
            self._began.append(now)
        elif self.calls:
            self._began[self._oldest] = now
            self._oldest += 1
            if self._oldest == self.calls:
                self._oldest = 0

    def is_over(self, now: float) -> bool:
        """Whether the last call has left the window."""
        began = self._began
        # Where it is not full yet, `_oldest` is 0: the newest is the last either way.
        return not began or began[self._oldest - 1] + self.period_s <= now

    def within(self, now: float) -> int:
        """How many are in the window that ends at this instant, for people."""
        began, oldest, since = self._began, self._oldest, now - self.period_s
        if oldest and began[-1] <= since:
            return oldest - bisect_right(began, since, 0, oldest)
        return len(began) - bisect_right(began, since, oldest) + oldest

    def take(self, calls: int, period_s: float) -> None:
        """These are the bounds from now on. What has begun counts, as far back as it is known."""
        self.period_s = period_s
        if calls != self.calls:
            began = self._began[self._oldest :] + self._began[: self._oldest]
            self._began = began[max(0, len(began) - calls) :]
            self.calls, self._oldest = calls, 0
