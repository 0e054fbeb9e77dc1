"""Entries that wait in memory while there is no room on the disk: in order, and not without bound."""

from collections import deque
from typing import Final

from oneproxy.records.entries import ENTRY_OCTETS, KIND_AT, Kind, encode, split

#: Octets of entries that wait.
BOUND: Final = 64 << 20
_RECORD: Final = int(Kind.RECORD)


class Waiting:
    """Such entries. octets: all they have; bound: the most.

    is_spoilt: whether something is lost that says which calls stand, so that all of these have to be
    written anew.
    """

    __slots__ = ("_entries", "bound", "is_spoilt", "octets")

    def __init__(self) -> None:
        self._entries: deque[bytes] = deque()
        self.octets = 0
        self.bound = BOUND
        self.is_spoilt = False

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entries: list[bytes]) -> int:
        """Let them wait; how many records, the oldest, are lost for it."""
        self._entries.extend(entries)
        self.octets += sum(map(len, entries))
        return self._shrink() if self.octets > self.bound else 0

    def first(self, room: int, most: int) -> list[bytes]:
        """Those that wait longest and fit into so many octets, about `most` octets of them."""
        taken: list[bytes] = []
        octets = 0
        for entry in self._entries:
            octets += len(entry)
            if octets > room:
                break
            taken.append(entry)
            if octets >= most:
                break
        return taken

    def drop(self, count: int) -> None:
        """So many that wait longest have not to wait any more."""
        for _ in range(count):
            self.octets -= len(self._entries.popleft())

    def records(self) -> int:
        """How many records wait."""
        return sum(entry[KIND_AT] == _RECORD for entry in self._entries)

    def _shrink(self) -> int:
        """Lose the oldest records, down to three quarters of the bound.

        What a record says beside itself, that its call is over, stays, and so does all else for as
        long as that alone is not too much.
        """
        goal = self.bound * 3 // 4
        lost = 0
        kept: deque[bytes] = deque()
        while self._entries and self.octets > goal:
            entry = self._entries.popleft()
            if entry[KIND_AT] == _RECORD:
                lost += 1
                self.octets -= len(entry)
                _, number, _ = split(entry)
                if not number:
                    continue
                entry = encode(Kind.ENDED, number)
                self.octets += ENTRY_OCTETS
            kept.append(entry)
        while kept and self.octets > goal:
            self.octets -= len(kept.popleft())
            self.is_spoilt = True
        kept.extend(self._entries)
        self._entries = kept
        return lost
