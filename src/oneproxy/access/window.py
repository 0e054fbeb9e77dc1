"""Counting what each of many sources did in a time that slides, in a memory that is bounded.

The window is cut into slices, each a table of its own; the oldest is dropped whole, so nothing
is ever looked for. Of a slice that reaches out of the window only the share counts that is still
inside, as if what it holds had come evenly: a count is right to an eighth of the window.
"""

from collections.abc import Hashable
from typing import Final

_SLICES: Final = 8


class Window:
    """How often each key came within the last `window_s` seconds.

    capacity: the most entries of all slices together. Beyond it the oldest slice goes before its
    time: with so many keys the window gets shorter, and the memory no larger.
    """

    __slots__ = ("_capacity", "_number", "_size", "_slice_s", "_slices", "window_s")

    def __init__(self, window_s: float, capacity: int) -> None:
        self.window_s = window_s
        self._slice_s = window_s / _SLICES
        self._capacity = capacity
        #: The present slice first, then those before it.
        self._slices: list[dict[Hashable, int]] = [{} for _ in range(_SLICES + 1)]
        #: Which one the first is, counted since the epoch.
        self._number = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, key: Hashable, now: float) -> float:
        """Count one more of `key`; how many there are now."""
        self._turn(now)
        current = self._slices[0]
        count = current.get(key, 0)
        if not count:
            if self._size >= self._capacity:
                self._make_room()
            self._size += 1
        self._slices[0][key] = count + 1
        return self._sum(key, now)

    def count(self, key: Hashable, now: float) -> float:
        """How many of `key` there are."""
        self._turn(now)
        return self._sum(key, now)

    def forget(self, key: Hashable) -> None:
        """Begin anew with `key`."""
        for one in self._slices:
            if one.pop(key, 0):
                self._size -= 1

    def _sum(self, key: Hashable, now: float) -> float:
        *inside, oldest = self._slices
        total: float = sum([one.get(key, 0) for one in inside])
        leaving = oldest.get(key, 0)
        if leaving:
            total += leaving * (1.0 - (now / self._slice_s - self._number))
        return total

    def _turn(self, now: float) -> None:
        """Begin the slices that time has come to."""
        number = int(now / self._slice_s)
        passed = number - self._number
        if passed <= 0:
            return
        self._number = number
        slices = self._slices
        for _ in range(min(passed, len(slices))):
            self._size -= len(slices.pop())
            slices.insert(0, {})

    def _make_room(self) -> None:
        """Let go of the oldest that there is."""
        for one in reversed(self._slices):
            if one:
                self._size -= len(one)
                one.clear()
                return
