"""A journal in the hand of a test: what is put is known, and so what a reader has to find.

async with Book(path) as book:
    number = book.begin()
    await book.written()
    assert book.read() == book.stands
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from oneproxy.records.entries import Kind, encode
from oneproxy.records.journal import Journal
from oneproxy.records.reading import read
from waiting import until


class Book:
    """A journal and, beside it, all that stands."""

    def __init__(self, path: Path, floor: int = 1 << 30) -> None:
        """floor: as `Journal.floor`."""
        self.path = path
        self.stands: dict[int, bytes] = {}
        self.last = 0
        self._changes: list[bytes] = []
        self._floor = floor
        self._journal: Journal | None = None

    async def __aenter__(self) -> "Book":
        """Go on with what is in the file."""
        self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def open(self) -> None:
        """As a process that starts."""
        found = read(str(self.path))
        self.stands, self.last = found.standing, found.last
        self._changes.clear()
        self._journal = Journal(str(self.path), self, found.good)
        self._journal.floor = self._floor

    def close(self) -> None:
        """As one that ends."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    @property
    def journal(self) -> Journal:
        """The journal, which is open."""
        assert self._journal is not None
        return self._journal

    @property
    def size(self) -> int:
        """As `Whole.size`."""
        return sum(len(encode(Kind.STANDS, number, data)) for number, data in self.stands.items())

    def entries(self) -> Iterator[bytes]:
        """As `Whole.entries`."""
        for number in list(self.stands):
            if number in self.stands:
                yield encode(Kind.STANDS, number, self.stands[number])

    def changes(self) -> list[bytes]:
        """As `Whole.changes`."""
        changes, self._changes = self._changes, []
        return changes

    def put(self, entry: bytes) -> None:
        """Something has changed."""
        self._changes.append(entry)
        self.journal.wake()

    def begin(self, data: bytes = b"x" * 100) -> int:
        """A call is answered."""
        self.last += 1
        self.change(self.last, data)
        return self.last

    def change(self, number: int, data: bytes) -> None:
        """A call is refreshed."""
        self.stands[number] = data
        self.put(encode(Kind.STANDS, number, data))

    def end(self, number: int) -> None:
        """A call is over."""
        del self.stands[number]
        self.put(encode(Kind.ENDED, number))

    async def written(self) -> None:
        """Wait until nothing waits to be written."""
        await until(lambda: not self._changes)

    async def settled(self) -> None:
        """Wait until no compaction is on."""
        await until(lambda: self.journal._compaction is None)

    def read(self) -> dict[int, bytes]:
        """What a process would find that started now."""
        copy = self.path.with_name("copy")
        shutil.copyfile(self.path, copy)
        return read(str(copy)).standing
