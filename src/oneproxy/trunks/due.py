"""What is due when: the next one is found at once, and those that wait cost nothing."""

from collections.abc import Callable, Hashable
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

#: Entries of the heap that nobody waits for any more, before it is made anew.
_SPARE: Final = 64


class Due(Generic[Item]):
    """Instants of items, one each, in seconds since the epoch.

    on_sooner: called when something is due sooner than all else was, so that whoever owns the clock
    looks at `deadline` again.
    """

    __slots__ = ("_at", "_heap", "_numbers", "on_sooner")

    def __init__(self) -> None:
        self.on_sooner: Callable[[], None] | None = None
        #: The instant of each that has one, and the number of its entry in the heap: other entries
        #: of it are of the past.
        self._at: dict[Item, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Item]] = []
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._at)

    def set(self, item: Item, at: float | None) -> None:
        """From now on `item` is due then, and not when it was before; None: not at all."""
        if at is None:
            self._at.pop(item, None)
            return
        known = self._at.get(item)
        if known is not None and known[0] == at:
            return
        self._numbers += 1
        self._at[item] = at, self._numbers
        if len(self._heap) > 2 * len(self._at) + _SPARE:
            self._heap = [(at, number, one) for one, (at, number) in self._at.items()]
            heapify(self._heap)
        else:
            heappush(self._heap, (at, self._numbers, item))
        if self.on_sooner is not None and self._heap[0][1] == self._numbers:
            self.on_sooner()

    def deadline(self) -> float | None:
        """When the first one is due."""
        heap = self._heap
        while heap:
            at, number, item = heap[0]
            known = self._at.get(item)
            if known is not None and known[1] == number:
                return at
            heappop(heap)
        return None

    def pop(self, now: float) -> Item | None:
        """The first one that is due now, which is not due any more then; None: there is none."""
        at = self.deadline()
        if at is None or at > now:
            return None
        item = heappop(self._heap)[2]
        del self._at[item]
        return item
