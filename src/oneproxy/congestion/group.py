"""The limits of one kind: those that are for somebody, and the one that each has for himself."""

from collections.abc import Iterator

from oneproxy.congestion.count import Bound, Count
from oneproxy.congestion.table import Share, Table
from oneproxy.engine.decisions import Hold


class Group:
    """Counts by whom they are of. each: of the limit that all others, and these too, have by themselves."""

    __slots__ = ("any", "counts", "each")

    def __init__(self) -> None:
        self.counts: dict[str, Count] = {}
        self.each: Table | None = None
        #: Whether there is any limit.
        self.any = False

    def take(self, counts: dict[str, Count], each: Table | None) -> None:
        """These are the limits from now on."""
        self.counts = counts
        self.each = each
        self.any = bool(counts) or each is not None

    def add(self, whom: str, holds: list[Hold]) -> None:
        """A call is one of theirs: add what it is counted by."""
        count = self.counts.get(whom)
        if count is not None:
            holds.append(count)
        if self.each is not None:
            holds.append(Share(self.each, whom))

    def bounds(self) -> Iterator[Bound]:
        """Its limits."""
        if self.each is not None:
            yield self.each.bound
        for count in self.counts.values():
            yield count.bound
