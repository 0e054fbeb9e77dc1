"""Whatever becomes of a journal's octets, what is read is what was written up to some place; and
whatever is put in whatever order, what is read is what stands, and each record once."""

import asyncio
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from journals import Book, drain
from oneproxy.records import file, journal, shelf
from oneproxy.records.entries import HEADER_OCTETS, Decoder, Entry, Kind, encode
from oneproxy.records.file import Segment
from oneproxy.records.journal import RETRY_S
from oneproxy.records.segments import NOWHERE, Place, path_of, store_drained
from oneproxy.records.shelf import LOOK_S
from oneproxy.records.tail import read as read_tail
from waiting import pass_time

written = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.integers(0, 2**64 - 1), st.binary(max_size=40)), max_size=8
)


def decoded(octets: bytes) -> tuple[list[Entry], Decoder]:
    decoder = Decoder()
    return decoder.feed(octets), decoder


def whole(entries: list[Entry], octets: int) -> tuple[list[Entry], int]:
    """Those that are whole within so many octets, and where the last of these ends."""
    at, kept = 0, []
    for entry in entries:
        end = at + len(encode(*entry))
        if end > octets:
            break
        at = end
        kept.append(entry)
    return kept, at


@settings(deadline=None)
@given(written)
def test_a_segment_that_is_cut_anywhere_has_what_is_whole(entries: list[Entry]) -> None:
    octets = b"".join(encode(*entry) for entry in entries)
    for cut in range(len(octets) + 1):
        read, decoder = decoded(octets[:cut])
        assert (read, decoder.at) == whole(entries, cut)
        assert decoder.fault is None
        # As one whose room was set aside.
        read, decoder = decoded(octets[:cut] + bytes(100))
        assert read[: len(whole(entries, cut)[0])] == whole(entries, cut)[0]
        assert read == entries[: len(read)]


@settings(deadline=None)
@given(written, st.integers(1, 255))
def test_an_octet_that_was_changed_ends_what_is_read(entries: list[Entry], changed: int) -> None:
    octets = b"".join(encode(*entry) for entry in entries)
    for at in range(len(octets)):
        spoilt = octets[:at] + bytes([octets[at] ^ changed]) + octets[at + 1 :]
        read, decoder = decoded(spoilt)
        assert (read, decoder.at) == whole(entries, at)


@settings(deadline=None)
@given(written, st.lists(st.integers(1, 50)))
def test_octets_come_in_any_pieces(entries: list[Entry], sizes: list[int]) -> None:
    octets = b"".join(encode(*entry) for entry in entries)
    decoder, read, at = Decoder(), [], 0
    for size in [*sizes, len(octets)]:
        read += decoder.feed(octets[at : at + size])
        at += size
    assert (read, decoder.at, decoder.fault) == (entries, len(octets), None)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_octets_are_read_without_an_exception(octets: bytes) -> None:
    _, decoder = decoded(octets)
    while decoder.pass_over():
        decoder.feed(b"")
    decoder.end()
    assert decoder.at <= len(octets)


#: So small that a few calls fill one.
SEGMENT_OCTETS = 400
steps = st.one_of(
    st.tuples(st.just("begin"), st.binary(max_size=30)),
    st.tuples(st.just("change"), st.integers(0, 99), st.binary(max_size=30)),
    st.tuples(st.just("end"), st.integers(0, 99)),
    st.tuples(st.just("over"), st.integers(0, 99)),
    st.tuples(st.just("refused")),
    st.tuples(st.just("turns"), st.integers(1, 4)),
    st.tuples(st.just("recorder"), st.integers(1, 5)),
    st.tuples(st.just("power"), st.integers(0, 2000)),
    st.tuples(st.sampled_from(["again", "settle", "restart", "kill", "fill", "spoil", "free", "look"])),
)


class Run:
    """A journal beside all that ever stood and all records, driven by hypothesis."""

    def __init__(self, book: Book) -> None:
        self.book = book
        #: What stood, and how many records there were, after each thing that was put.
        self.ever = [(dict(book.stands), 0)]
        #: What the recorder has stored, and how far it has come by that.
        self.stored: list[bytes] = []
        self.place = NOWHERE
        self.made = 0
        self.is_full = False
        self.is_spoilt = False

    def choose(self, at: int) -> int:
        """One of those that stand; 0 for none."""
        stands = list(self.book.stands)
        return stands[at % len(stands)] if stands else 0

    def noted(self) -> None:
        """Something was put."""
        self.ever.append((dict(self.book.stands), len(self.book.records)))

    async def begin(self, data: bytes) -> None:
        """A call is answered."""
        self.book.begin(data)
        self.noted()

    async def change(self, at: int, data: bytes) -> None:
        """A call is refreshed."""
        if number := self.choose(at):
            self.book.change(number, data)
            self.noted()

    async def end(self, at: int) -> None:
        """A call ends, and nobody wants its record."""
        if number := self.choose(at):
            self.book.end(number)
            self.noted()

    async def over(self, at: int) -> None:
        """A call ends and has its record."""
        self.made += 1
        if number := self.choose(at):
            self.book.record(number, b"%d of %d" % (self.made, number))
            self.noted()

    async def refused(self) -> None:
        """A call that never stood has its record."""
        self.made += 1
        self.book.record(0, b"%d" % self.made)
        self.noted()

    async def turns(self, count: int) -> None:
        """The loop goes round."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def recorder(self, most: int) -> None:
        """The recorder stores some, and says so; it may be a process that has just begun."""
        piece = read_tail(str(self.book.path), self.place, most)
        assert not piece.lost
        self.stored += piece.records
        self.place = piece.place
        if os.path.isdir(self.book.path):
            store_drained(str(self.book.path), self.place)
        assert self.stored == self.book.records[: len(self.stored)]

    async def again(self) -> None:
        """All that stands is written again."""
        self.book.journal._is_unsure = True
        self.book.journal._judge()

    async def look(self) -> None:
        """What is needed no more is removed."""
        pass_time(LOOK_S)
        await asyncio.sleep(0.001)

    async def settle(self) -> None:
        """All that is under way ends, if there is room."""
        await self.book.written()
        if not self.is_full and not self.is_spoilt:
            while not (self.book.journal.is_idle and self.book.journal.is_kept):
                pass_time(RETRY_S)
                await asyncio.sleep(0.001)
            assert self.book.read() == self.book.stands
            assert self.stored + drain(self.book.path, self.place)[0] == self.book.records

    async def restart(self) -> None:
        """The process ends in order and is started again."""
        await self.free()
        stood, records = dict(self.book.stands), list(self.book.records)
        self.book.close()
        self.open()
        assert (self.book.stands, self.book.records) == (stood, records)

    async def kill(self) -> None:
        """The process is killed between two turns: what is in its memory is gone."""
        self.abandon()
        self.open()

    async def power(self, octets: int) -> None:
        """The machine loses power, and the last of what was written."""
        present = self.book.journal._shelf.present
        self.abandon()
        if present is not None:
            kept = max(present.octets - octets, HEADER_OCTETS)
            path = Path(path_of(str(self.book.path), present.number))
            left = path.read_bytes()
            path.write_bytes(left[:kept] + bytes(len(left) - kept))
        self.open()

    async def fill(self) -> None:
        """From now on no segment can be made."""
        self.is_full = True

    async def spoil(self) -> None:
        """From now on what is written is written in part."""
        self.is_spoilt = True

    async def free(self) -> None:
        """There is room again, and it is tried again."""
        self.is_full = self.is_spoilt = False
        await self.settle()

    def abandon(self) -> None:
        """What is left of a process that is no more."""
        left = self.book.journal
        is_full, is_spoilt = self.is_full, self.is_spoilt
        self.is_full = self.is_spoilt = True
        for handle in (left._writing, left._going_on, left._piecing, left._flushing, left._retry):
            if handle is not None:
                handle.cancel()
        left._is_closed = True
        left._shelf.close()
        left._shelf.end()
        self.is_full, self.is_spoilt = is_full, is_spoilt

    def open(self) -> None:
        """The next process begins with what stood at some time, and the records of that time."""
        records = list(self.book.records)
        stored = len(self.stored)
        self.book.open()
        left = drain(self.book.path, self.place)[0]
        self.book.records = self.stored + left
        count = len(self.book.records)
        assert self.book.records == records[:count]
        # What the recorder has may have been forgotten by the machine.
        possible = [
            at
            for at, (stands, had) in enumerate(self.ever)
            if stands == self.book.stands and (had == count or (not left and had <= stored))
        ]
        assert possible
        self.ever[possible[-1] + 1 :] = [(dict(self.book.stands), count)]

    def check(self) -> None:
        """A process that started now would find what stood at some time, and the records of that time."""
        count = len(self.stored + drain(self.book.path, self.place)[0])
        assert (self.book.read(), count) in self.ever

    def prepare(self, folder: str, number: int, room: int) -> Segment:
        """The disk: whether it has room for one more."""
        if self.is_full:
            raise OSError(28, "No space left on device")
        return PREPARE(folder, number, room)

    def pwrite(self, fd: int, data: bytes, at: int) -> int:
        """The disk: what it has no room for it takes in part."""
        if not self.is_spoilt:
            return PWRITE(fd, data, at)
        if len(data) > 1:
            return PWRITE(fd, bytes(data)[: len(data) // 2], at)
        raise OSError(28, "No space left on device")


PWRITE = file.pwrite
PREPARE = file.prepare


async def run(path: Path, taken: list[tuple[object, ...]]) -> None:
    async with Book(path, SEGMENT_OCTETS) as book:
        made = Run(book)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(file, "pwrite", made.pwrite)
            patched.setattr(shelf, "prepare", made.prepare)
            # So that a few calls take several turns of a pass.
            patched.setattr(journal, "PIECE", 2)
            for name, *arguments in taken:
                await getattr(made, str(name))(*arguments)
                made.check()
            await made.restart()
            assert book.journal.lost == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(steps, max_size=60))
def test_what_is_read_is_what_stood_and_each_record_once(taken: list[tuple[object, ...]]) -> None:
    with TemporaryDirectory() as folder, capture_logs():
        asyncio.run(run(Path(folder) / "calls", taken))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=30), st.integers(4, 10), st.booleans())
def test_at_its_limit_what_is_lost_is_counted_and_the_rest_is_there_in_order(
    counts: list[int], segments: int, drains: bool
) -> None:
    async def scene(path: Path) -> None:
        async with Book(path, SEGMENT_OCTETS) as book:
            book.journal.limit = segments * SEGMENT_OCTETS
            stored, place = list[bytes](), NOWHERE
            for turn, count in enumerate(counts):
                for _ in range(count):
                    book.record(0, b"%d" % len(book.records))
                number = book.begin(b"%d" % turn)
                if turn % 3:
                    book.end(number)
                await book.written()
                await book.settled()
                pass_time(LOOK_S)
                await asyncio.sleep(0.001)
                await book.settled()
                if drains and not turn % 4:
                    piece = read_tail(str(path), place, 15)
                    stored += piece.records
                    place = piece.place
                    store_drained(str(path), place)
            left = drain(path, place)[0]
            assert left == book.records[len(book.records) - len(left) :]
            assert len(stored) + book.journal.lost + len(left) == len(book.records)
            assert book.read() == book.stands
            assert isinstance(place, Place)

    with TemporaryDirectory() as folder, capture_logs():
        asyncio.run(scene(Path(folder) / "calls"))
