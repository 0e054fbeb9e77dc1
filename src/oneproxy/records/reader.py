"""Reads one segment from a place on, a piece at a time, be it written meanwhile or not."""

import os
from collections.abc import Iterator
from types import TracebackType
from typing import Final

from oneproxy.records.entries import HEADER_OCTETS, Decoder, Entry, Fault
from oneproxy.records.segments import path_of

#: Octets that are read at once.
_PIECE: Final = 1 << 18


class Reader:
    """An open segment, and how far it is read; a context manager. Raises OSError.

    after: octets from which on it is read; its header is passed over.
    """

    __slots__ = ("_after", "_decoder", "_fd", "_next")

    def __init__(self, folder: str, number: int, after: int = 0) -> None:
        self._fd = os.open(path_of(folder, number), os.O_RDONLY | os.O_CLOEXEC)
        self._after = self._next = max(after, HEADER_OCTETS)
        self._decoder = Decoder()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    @property
    def at(self) -> int:
        """Up to where the segment is good, as far as it is read."""
        return self._after + self._decoder.at

    @property
    def fault(self) -> Fault | None:
        """Why it is read no further; None while there is more, or where nothing further is written."""
        return self._decoder.fault

    def pieces(self) -> Iterator[list[Entry]]:
        """The entries of a piece after the other, to the end of what is written or to a fault."""
        decoder = self._decoder
        # What is left of the piece in which an entry was passed over.
        yield decoder.feed(b"")
        while decoder.fault is None and not decoder.is_over:
            octets = os.pread(self._fd, _PIECE, self._next)
            if not octets:
                decoder.end()
                return
            self._next += len(octets)
            yield decoder.feed(octets)

    def has_more(self) -> bool:
        """Whether anything is written behind where it seems to be over, as where a machine that lost power
        kept a later page of it and an earlier one not."""
        at = self.at
        while octets := os.pread(self._fd, _PIECE, at):
            if octets.count(0) != len(octets):
                return True
            at += len(octets)
        return False

    def pass_over(self) -> bool:
        """Go on behind the entry that is at fault; False where it can't be told where that ends."""
        return self._decoder.pass_over()
