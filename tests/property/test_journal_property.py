"""Whatever becomes of a journal's octets, what is read is what was written up to some place; and
whatever is put in whatever order, what is read is what stands."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from journals import Book
from oneproxy.records import file
from oneproxy.records.entries import HEADER, Decoder, Entry, Fault, Kind, encode
from oneproxy.records.journal import RETRY_S
from waiting import pass_time

if TYPE_CHECKING:
    from typing_extensions import Buffer

written = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.integers(0, 2**64 - 1), st.binary(max_size=40)), max_size=8
)


def decoded(octets: bytes) -> tuple[list[Entry], Decoder]:
    decoder = Decoder()
    return decoder.feed(octets), decoder


def whole(entries: list[Entry], octets: int) -> tuple[list[Entry], int]:
    """Those that are whole within so many octets, and where the last of these ends."""
    at, kept = len(HEADER), []
    for entry in entries:
        end = at + len(encode(*entry))
        if end > octets:
            break
        at = end
        kept.append(entry)
    return kept, at


@settings(deadline=None)
@given(written)
def test_a_journal_that_is_cut_anywhere_has_what_is_whole(entries: list[Entry]) -> None:
    octets = HEADER + b"".join(encode(*entry) for entry in entries)
    for cut in range(len(HEADER), len(octets) + 1):
        read, decoder = decoded(octets[:cut])
        assert (read, decoder.at) == whole(entries, cut)
        assert decoder.fault is None


@settings(deadline=None)
@given(written, st.integers(1, 255))
def test_an_octet_that_was_changed_ends_what_is_read(entries: list[Entry], changed: int) -> None:
    octets = HEADER + b"".join(encode(*entry) for entry in entries)
    for at in range(len(octets)):
        spoilt = octets[:at] + bytes([octets[at] ^ changed]) + octets[at + 1 :]
        read, decoder = decoded(spoilt)
        if at < len(HEADER):
            assert (read, decoder.at) == ([], 0)
            assert decoder.fault in (Fault.FOREIGN, Fault.VERSION)
        else:
            assert (read, decoder.at) == whole(entries, at)


@settings(deadline=None)
@given(written, st.lists(st.integers(1, 50)))
def test_octets_come_in_any_pieces(entries: list[Entry], sizes: list[int]) -> None:
    octets = HEADER + b"".join(encode(*entry) for entry in entries)
    decoder, read, at = Decoder(), [], 0
    for size in [*sizes, len(octets)]:
        read += decoder.feed(octets[at : at + size])
        at += size
    assert (read, decoder.at, decoder.fault) == (entries, len(octets), None)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_octets_are_read_without_an_exception(octets: bytes) -> None:
    for begin in (b"", HEADER):
        read, decoder = decoded(begin + octets)
        assert decoder.at <= len(begin + octets)
        assert read == [] or begin


steps = st.one_of(
    st.tuples(st.just("begin"), st.binary(max_size=30)),
    st.tuples(st.just("change"), st.integers(0, 99), st.binary(max_size=30)),
    st.tuples(st.just("end"), st.integers(0, 99)),
    st.tuples(st.just("turns"), st.integers(1, 4)),
    st.tuples(st.sampled_from(["compact", "settle", "restart", "kill", "fill", "free"])),
)


class Run:
    """A journal beside all that ever stood, driven by hypothesis."""

    def __init__(self, book: Book) -> None:
        self.book = book
        #: What stood after each thing that was put.
        self.ever = [dict(book.stands)]
        self.is_full = False

    def put(self, name: str, *arguments: object) -> None:
        """A call begins, changes or ends."""
        if arguments and isinstance(arguments[0], int):
            if not self.book.stands:
                return
            at, *others = arguments
            assert isinstance(at, int)
            arguments = (list(self.book.stands)[at % len(self.book.stands)], *others)
        getattr(self.book, name)(*arguments)
        self.ever.append(dict(self.book.stands))

    async def turns(self, count: int) -> None:
        """The loop goes round."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def compact(self) -> None:
        """A compaction begins, unless one is on."""
        self.book.journal._compact()

    async def settle(self) -> None:
        """All that is under way ends."""
        await self.book.written()
        await self.book.settled()
        self.check()
        if self.book.journal.is_kept:
            assert self.book.read() == self.book.stands

    async def restart(self) -> None:
        """The process ends in order and is started again."""
        was_kept, stood = self.book.journal.is_kept, dict(self.book.stands)
        self.book.close()
        self.book.open()
        assert self.book.stands in self.ever
        if was_kept and not self.is_full:
            assert self.book.stands == stood
        self.ever = [dict(self.book.stands)]

    async def kill(self) -> None:
        """The process is killed between two turns: what is in its memory is gone."""
        left = self.book.read()
        assert left in self.ever

    async def fill(self) -> None:
        """From now on the disk is full."""
        self.is_full = True

    async def free(self) -> None:
        """There is room again, and it is tried again."""
        self.is_full = False
        pass_time(RETRY_S)
        await self.turns(2)
        await self.settle()
        assert self.book.journal.is_kept

    def check(self) -> None:
        """A process that started now would find what stood at some time."""
        assert self.book.read() in self.ever

    def write(self, fd: int, data: "Buffer") -> int:
        """The disk: what it has no room for it takes in part."""
        if not self.is_full:
            return REAL(fd, data)
        octets = bytes(data)
        if len(octets) > 1:
            return REAL(fd, octets[: len(octets) // 2])
        raise OSError(28, "No space left on device")


REAL = file.write


async def run(path: Path, taken: list[tuple[object, ...]]) -> None:
    async with Book(path) as book:
        made = Run(book)
        file.write = made.write
        try:
            for name, *arguments in taken:
                if name in ("begin", "change", "end"):
                    made.put(str(name), *arguments)
                else:
                    await getattr(made, str(name))(*arguments)
                made.check()
            await made.free()
            await made.restart()
        finally:
            file.write = REAL


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=40))
def test_what_is_read_is_what_stood(taken: list[tuple[object, ...]]) -> None:
    with TemporaryDirectory() as folder, capture_logs():
        asyncio.run(run(Path(folder) / "calls", taken))
