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

from oneproxy.records.entries import Header, Kind, encode, encode_header
from oneproxy.records.journal import Journal
from oneproxy.records.reading import read
from oneproxy.records.segments import NOWHERE, Place, numbers, path_of
from oneproxy.records.shelf import SEGMENT_OCTETS
from oneproxy.records.tail import read as read_tail
from waiting import until


def segment(*entries: bytes, number: int = 1, since: int = 1, records: int = 0) -> bytes:
    """The octets of a segment."""
    return encode_header(Header(number, since, records)) + b"".join(entries)


def write(folder: Path, number: int, octets: bytes) -> Path:
    """Have a segment with these octets in a folder."""
    folder.mkdir(exist_ok=True)
    path = Path(path_of(str(folder), number))
    path.write_bytes(octets)
    return path


def drain(folder: Path, after: Place = NOWHERE, most: int = 7) -> tuple[list[bytes], Place]:
    """All records from a place on, some at a time, and where to go on."""
    records: list[bytes] = []
    while True:
        piece = read_tail(str(folder), after, most)
        assert len(piece.records) <= most
        records += piece.records
        after = piece.place
        if piece.ended:
            return records, after


class Book:
    """A journal and, beside it, all that stands and all records."""

    def __init__(self, path: Path, segment_octets: int = SEGMENT_OCTETS) -> None:
        self.path = path
        self.stands: dict[int, bytes] = {}
        self.records: list[bytes] = []
        self.last = 0
        self._changes: list[bytes] = []
        self._segment_octets = segment_octets
        self._journal: Journal | None = None

    async def __aenter__(self) -> "Book":
        """Go on with what is in the folder."""
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
        self._journal = Journal(str(self.path), self, found.good, self._segment_octets)

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

    def record(self, number: int, data: bytes) -> None:
        """A call is over, and has a record; 0 for one that never stood."""
        self.stands.pop(number, None)
        self.records.append(data)
        self.put(encode(Kind.RECORD, number, data))

    async def written(self) -> None:
        """Wait until nothing waits to be written, or all that does waits for room."""
        await until(lambda: not self._changes)

    async def settled(self) -> None:
        """Wait until nothing is left to be done."""
        await until(lambda: self.journal.is_idle)

    def read(self) -> dict[int, bytes]:
        """What a process would find that started now."""
        copy = self.path.with_name("copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.path, copy)
        return read(str(copy)).standing

    def drained(self) -> list[bytes]:
        """All records that a recorder would find now."""
        return drain(self.path)[0]

    def segments(self) -> list[int]:
        """Those that are begun."""
        present = self.journal._shelf.present
        last = 0 if present is None else present.number
        return [number for number in numbers(str(self.path)) if number <= last]
