"""The counts of a limit that each has for himself: each caller, each address.

The table is bounded. One whose calls have left the window and ended is forgotten when others come: with
each new one the two that were looked at longest ago are looked at. When it is full of busy ones, calls of
somebody new are let through and not counted: refused, they would be those of everybody but the first
hundred thousand, and whoever can begin calls in the name of so many could shut out all others.
"""

from collections import OrderedDict
from typing import Final

from oneproxy.congestion.count import Bound, Count

#: Counts in a table.
CAPACITY: Final = 100_000
#: How many are looked at for each new one, and where there is no room.
_LOOKS: Final = 2
_LOOKS_WHEN_FULL: Final = 8


class Table:
    """The counts by whom they are of."""

    __slots__ = ("_capacity", "bound", "counts", "uncounted")

    def __init__(self, bound: Bound, capacity: int = CAPACITY) -> None:
        self.bound = bound
        self._capacity = capacity
        #: In the order in which they were looked at. Of a plain dictionary the first one is the
        #: dearer to find the more have gone before it.
        self.counts: OrderedDict[str, Count] = OrderedDict()
        #: Calls that went on without being counted, since there was no room.
        self.uncounted = 0

    def open(self, of: str, now: float) -> Count | None:
        """The count of somebody whose call begins; None where there is no room for it."""
        counts = self.counts
        count = counts.get(of)
        if count is not None:
            return count
        self._forget(_LOOKS, now)
        if len(counts) >= self._capacity:
            self._forget(_LOOKS_WHEN_FULL, now)
            if len(counts) >= self._capacity:
                self.uncounted += 1
                return None
        count = counts[of] = Count(self.bound, of)
        return count

    def _forget(self, looks: int, now: float) -> None:
        counts = self.counts
        for _ in range(min(looks, len(counts))):
            of, count = counts.popitem(last=False)
            if not count.is_idle(now):
                counts[of] = count


class Share:
    """What one call holds of a table: nothing is made for it before it begins.

    So whoever is refused for another reason, or is asked for a password, takes no place.
    """

    __slots__ = ("_count", "of", "table")

    def __init__(self, table: Table, of: str) -> None:
        self.table = table
        self.of = of
        self._count: Count | None = None

    @property
    def key(self) -> str:
        """As of `Count`."""
        return f"{self.table.bound.key} {self.of}"

    @property
    def lasts(self) -> bool:
        """As of `Count`."""
        return self.table.bound.lasts

    @property
    def cause(self) -> str:
        """As of `Count`."""
        count = self.table.counts.get(self.of)
        return self.table.bound.per_period if count is None else count.cause

    def full_until(self, now: float) -> float:
        """As of `Count`."""
        count = self.table.counts.get(self.of)
        return 0.0 if count is None else count.full_until(now)

    def begun(self, now: float) -> None:
        """As of `Count`."""
        count = self._count = self.table.open(self.of, now)
        if count is not None:
            count.begun(now)

    def resumed(self, now: float) -> None:
        """As of `Count`."""
        count = self._count = self.table.open(self.of, now)
        if count is not None:
            count.resumed(now)

    def ended(self, now: float) -> None:
        """As of `Count`."""
        if self._count is not None:
            self._count.ended(now)

    def refused(self, now: float) -> None:
        """As of `Count`."""
        count = self.table.counts.get(self.of)
        if count is not None:
            count.refused(now)
