"""The journal of a node: written soon, kept small, and never in the way."""

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from structlog.testing import capture_logs

from journals import Book, drain, segment, write
from oneproxy.records import file, journal, shelf
from oneproxy.records.entries import Kind, encode
from oneproxy.records.file import Segment
from oneproxy.records.journal import DROP_OLDEST, EVERY_S, FLUSH_S, PIECE, REFUSE_CALLS, RETRY_S
from oneproxy.records.segments import Place, numbers, path_of, store_drained
from oneproxy.records.shelf import LOOK_S
from waiting import pass_time, until

Scene = Callable[[Book], Coroutine[Any, Any, None]]
#: Small ones, so that there are many.
SMALL = 4096
NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def play(path: Path, scene: Scene, segment_octets: int = SMALL) -> None:
    """Run a scene with a journal in a folder."""

    async def run() -> None:
        async with Book(path, segment_octets) as book:
            await scene(book)

    asyncio.run(run())


class Disk:
    """One that is full while `is_full`: no segment can be made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self._prepare = file.prepare
        monkeypatch.setattr(shelf, "prepare", self.prepare)

    def prepare(self, folder: str, number: int, room: int) -> Segment:
        """As `file.prepare`."""
        if self.is_full:
            raise NO_SPACE
        return self._prepare(folder, number, room)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk of the test."""
    return Disk(monkeypatch)


async def put(book: Book, records: int) -> None:
    """So many records, each of which is written by itself."""
    for _ in range(records):
        book.record(0, b"%d " % len(book.records) * 30)
        book.journal._write()
        await asyncio.sleep(0)


async def look(book: Book) -> None:
    """What is needed no more is removed."""
    await book.settled()
    pass_time(LOOK_S)
    await asyncio.sleep(0.01)
    await book.settled()


def test_what_is_put_is_in_the_file_at_the_end_of_the_turn(tmp_path: Path) -> None:
    async def scene(book: Book) -> None:
        book.begin(b"one")
        book.begin(b"two")
        assert book.read() == {}
        await asyncio.sleep(0)
        assert book.read() == {1: b"one", 2: b"two"}

    play(tmp_path / "calls", scene)


def test_what_comes_soon_after_waits_until_it_is_worth_a_write(tmp_path: Path) -> None:
    async def scene(book: Book) -> None:
        # The test's clock stands, so nothing is late by chance.
        clock = [1000.0]
        loop = asyncio.get_running_loop()
        loop.time = lambda: clock[0]  # type: ignore[method-assign]
        book.begin()
        await asyncio.sleep(0)
        for _ in range(5):
            book.begin()
            await asyncio.sleep(0)
            clock[0] += EVERY_S / 6
        assert len(book.read()) == 1
        clock[0] += EVERY_S / 3
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(book.read()) == 6

    play(tmp_path / "calls", scene)


def test_a_record_ends_its_call_and_both_are_there_or_neither(tmp_path: Path) -> None:
    async def scene(book: Book) -> None:
        book.begin(b"one")
        book.begin(b"two")
        book.record(1, b'{"id":"1"}')
        book.record(0, b'{"id":"refused"}')
        await book.written()
        assert book.read() == {2: b"two"}
        assert book.drained() == [b'{"id":"1"}', b'{"id":"refused"}']

    play(tmp_path / "calls", scene)


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    old = write(path, 1, segment())
    old.chmod(0o644)

    async def scene(book: Book) -> None:
        await put(book, 100)
        await book.settled()
        assert {one.stat().st_mode & 0o777 for one in path.iterdir()} == {0o600}

    play(path, scene)

    async def nothing(_: Book) -> None:
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700

    play(tmp_path / "new", nothing)


def test_a_restart_goes_on_with_what_stands_in_the_same_segment(tmp_path: Path) -> None:
    path = tmp_path / "calls"

    async def first(book: Book) -> None:
        book.begin(b"one")
        book.end(book.begin(b"two"))
        book.record(0, b"first")

    async def second(book: Book) -> None:
        assert (book.stands, book.last) == ({1: b"one"}, 2)
        book.end(1)
        book.begin(b"three")
        book.record(0, b"second")

    async def third(book: Book) -> None:
        assert (book.stands, book.last) == ({3: b"three"}, 3)
        assert book.drained() == [b"first", b"second"]
        assert book.segments() == [1]
        assert numbers(str(path)) == [1, 2]

    for scene in (first, second, third):
        play(path, scene)


@pytest.mark.parametrize("cut", range(1, 17 + 3))
def test_what_was_torn_is_written_over_and_nothing_of_it_comes_back(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "calls"
    # As a machine leaves it that lost power: the first page of three is not what it was.
    torn = encode(Kind.STANDS, 2, b"two")[:-cut] + bytes(cut)
    behind = encode(Kind.STANDS, 3, b"old") + encode(Kind.RECORD, 0, b"old")
    whole = segment(encode(Kind.STANDS, 1, b"one"), torn, behind)
    write(path, 1, whole + bytes(SMALL - len(whole)))

    async def scene(book: Book) -> None:
        assert book.stands == {1: b"one"}
        # As long as what was torn, so that what was behind it would follow.
        book.change(2, b"new")
        await book.written()
        assert book.read() == {1: b"one", 2: b"new"}
        assert book.drained() == []

    play(path, scene)


def test_what_the_recorder_has_read_and_the_machine_forgot_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    whole = segment(encode(Kind.RECORD, 0, b"kept"))
    write(path, 1, whole + bytes(SMALL - len(whole)))
    drained = Place(1, len(whole) + 20)
    store_drained(str(path), drained)

    async def scene(book: Book) -> None:
        book.record(0, b"new")
        await book.written()
        await until(lambda: drain(path, drained)[0] == [b"new"])
        assert book.segments() == [1, 2]

    play(path, scene)


def test_a_full_segment_is_followed_by_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "calls"

    async def scene(book: Book) -> None:
        for _ in range(10):
            book.begin()
        await put(book, 200)
        await book.settled()
        assert len(book.segments()) > 3
        assert (book.read(), book.drained()) == (book.stands, book.records)
        for number in book.segments()[:-1]:
            # What a closed one did not need it has given back.
            assert SMALL - 200 < (path / f"{number:08}.log").stat().st_size <= SMALL
        # The next one is there before it is needed.
        assert numbers(str(path))[-1] == book.segments()[-1] + 1

    play(path, scene)


def test_a_batch_is_parted_where_the_segment_ends(tmp_path: Path) -> None:
    async def scene(book: Book) -> None:
        for number in range(100):
            book.record(0, b"%d" % number * 30)
        await book.written()
        await book.settled()
        assert book.drained() == book.records

    play(tmp_path / "calls", scene)


def test_the_machine_is_asked_to_keep_it_once_a_second_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(shelf, "flush", asked.append)

    async def scene(book: Book) -> None:
        for _ in range(3):
            book.begin()
            await book.written()
            assert asked == []
        pass_time(FLUSH_S)
        await until(lambda: asked)
        assert len(asked) == 1
        pass_time(10 * FLUSH_S)
        await asyncio.sleep(0.01)
        assert len(asked) == 1
        book.begin()
        await book.written()
        pass_time(FLUSH_S)
        await until(lambda: len(asked) == 2)

    play(tmp_path / "calls", scene)


def test_a_disk_that_hangs_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, asked = Event(), Event()

    def hang(_fd: int) -> None:
        asked.set()
        assert hangs.wait(60)

    async def scene(book: Book) -> None:
        await book.settled()
        monkeypatch.setattr(shelf, "flush", hang)
        book.begin()
        await book.written()
        pass_time(FLUSH_S)
        await until(asked.is_set)
        book.begin()
        await book.written()
        assert len(book.read()) == 2
        # The spare too is used up before anything has to wait for the thread.
        while book.journal.is_kept:
            await put(book, 1)
        assert len(book.segments()) == 2
        monkeypatch.undo()
        hangs.set()
        await until(lambda: book.journal.is_kept)
        assert (book.read(), book.drained()) == (book.stands, book.records)

    play(tmp_path / "calls", scene)


def test_segments_are_removed_when_their_records_are_in_the_database_and_all_that_stands_is_behind(
    tmp_path: Path,
) -> None:
    path = tmp_path / "calls"

    async def scene(book: Book) -> None:
        for _ in range(5):
            book.begin()
        await put(book, 300)
        await look(book)
        assert book.segments()[0] == 1
        assert book.read() == book.stands
        records, place = drain(path)
        assert records == book.records
        store_drained(str(path), Place(3, 100))
        await look(book)
        assert book.segments()[0] == 3
        store_drained(str(path), place)
        await look(book)
        assert len(book.segments()) <= 6
        assert book.journal.octets <= 6 * SMALL
        assert (book.read(), drain(path, place)[0]) == (book.stands, [])
        assert book.journal.lost == 0

    play(path, scene)


def test_segments_without_records_are_removed_though_nobody_drains_them(tmp_path: Path) -> None:
    async def scene(book: Book) -> None:
        for number in range(1, 1000):
            book.begin()
            if number > 10:
                book.end(number - 10)
            if not number % 20:
                book.journal._write()
                await asyncio.sleep(0)
        await book.written()
        await look(book)
        assert book.segments()[0] > 10
        assert (book.read(), len(book.stands)) == (book.stands, 10)

    play(tmp_path / "calls", scene)


def test_what_stands_is_written_again_a_few_in_a_turn(tmp_path: Path) -> None:
    async def scene(book: Book) -> None:
        for _ in range(5 * PIECE):
            book.begin()
        await book.written()
        taken: list[int] = []
        entries = book.entries

        def counted() -> Iterator[bytes]:
            for entry in entries():
                taken[-1] += 1
                yield entry

        book.entries = counted  # type: ignore[method-assign]
        book.journal._is_unsure = True
        book.journal._judge()
        turn = 0
        while book.journal._pass is not None:
            taken.append(0)
            turn += 1
            first, *_, last = book.stands
            book.end(first)
            book.change(last, b"turn %d" % turn)
            book.begin()
            book.journal._write()
            await asyncio.sleep(0)
            assert book.read() == book.stands
        assert max(taken) <= PIECE
        assert turn > 5
        assert book.read() == book.stands

    play(tmp_path / "calls", scene, 1 << 20)


def test_a_process_that_ends_in_a_pass_has_lost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "calls"

    async def scene(book: Book) -> None:
        for _ in range(500):
            book.begin()
        await book.written()
        book.journal._is_unsure = True
        book.journal._judge()
        await asyncio.sleep(0)
        book.end(7)
        book.close()
        assert book.read() == book.stands

    play(path, scene, 1 << 20)


def test_a_disk_that_becomes_full_costs_nothing_while_there_is_a_spare_and_then_all_waits(
    tmp_path: Path, disk: Disk
) -> None:
    async def scene(book: Book) -> None:
        await book.settled()
        disk.is_full = True
        while book.journal.is_kept:
            book.end(book.begin())
            await put(book, 1)
        assert len(book.segments()) == 2
        kept = len(book.drained())
        for _ in range(3):
            book.end(book.begin())
            await put(book, 10)
            pass_time(RETRY_S)
            await asyncio.sleep(0.01)
        assert not book.journal.is_kept
        assert book.drained() == book.records[:kept]
        disk.is_full = False
        pass_time(RETRY_S)
        await until(lambda: book.journal.is_kept)
        await book.settled()
        assert (book.read(), book.drained(), book.journal.lost) == (book.stands, book.records, 0)

    with capture_logs() as logged:
        play(tmp_path / "calls", scene)
    events = [one["event"] for one in logged]
    assert events[-2:] == ["calls not kept", "calls kept again"]
    assert set(events) <= {"journal in trouble", "calls not kept", "calls kept again"}
    assert logged[-2]["reason"] == os.strerror(errno.ENOSPC)


def test_beyond_what_may_wait_the_oldest_records_are_lost_and_said(tmp_path: Path, disk: Disk) -> None:
    async def scene(book: Book) -> None:
        await book.settled()
        disk.is_full = True
        while book.journal.is_kept:
            await put(book, 1)
        kept = len(book.drained())
        await until(lambda: book.journal._was_in_trouble)
        book.journal._waiting.bound = 5000
        number = book.begin(b"stands")
        await put(book, 100)
        book.record(number, b"last")
        await book.written()
        lost = book.journal.lost
        assert lost > 50
        disk.is_full = False
        pass_time(RETRY_S)
        await until(lambda: book.journal.is_kept)
        await book.settled()
        assert book.drained() == book.records[:kept] + book.records[kept + lost :]
        assert (book.read(), book.journal.lost) == ({}, lost)
        assert logged[-1]["lost"] == lost

    with capture_logs() as logged:
        play(tmp_path / "calls", scene)
    assert [one["event"] for one in logged if one["event"] != "journal in trouble"] == [
        "calls not kept",
        "records lost",
        "calls kept again",
    ]


def test_where_more_is_lost_than_records_all_that_stands_is_written_anew(tmp_path: Path, disk: Disk) -> None:
    async def scene(book: Book) -> None:
        await book.settled()
        number = book.begin(b"long over")
        disk.is_full = True
        while book.journal.is_kept:
            await put(book, 1)
        book.end(number)
        book.journal._waiting.bound = 3000
        for _ in range(40):
            book.begin()
        await book.written()
        book.journal._waiting.bound = 1 << 20
        disk.is_full = False
        for _ in range(3):
            pass_time(RETRY_S)
            await asyncio.sleep(0.01)
        await until(lambda: book.journal.is_kept)
        await book.settled()
        assert book.read() == book.stands
        assert len(book.stands) == 40

    with capture_logs():
        play(tmp_path / "calls", scene)


def test_a_write_that_fails_in_the_middle_ends_the_segment_and_goes_on_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "calls"

    async def scene(book: Book) -> None:
        await put(book, 3)
        await book.settled()
        real, fail = os.pwrite, [True]

        def half(fd: int, data: bytes, at: int) -> int:
            if not fail:
                return real(fd, data, at)
            if len(data) > 150:
                return real(fd, data[:150], at)
            fail.clear()
            raise NO_SPACE

        monkeypatch.setattr(file, "pwrite", half)
        book.begin(b"x" * 20)
        for number in range(4):
            book.record(0, b"%d" % number * 60)
        await book.written()
        monkeypatch.undo()
        await book.settled()
        assert book.segments() == [1, 2]
        with capture_logs() as logged:
            assert (book.read(), book.drained()) == (book.stands, book.records)
        assert logged == []
        assert book.journal.is_kept

    with capture_logs() as logged:
        play(path, scene)
    assert [one["event"] for one in logged] == ["journal in trouble"]


def test_what_was_read_of_a_write_that_failed_in_the_middle_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "calls"

    async def scene(book: Book) -> None:
        await book.settled()
        present = book.journal._shelf.present
        assert present is not None
        ours, left = present.fd, [150]

        def fails(fd: int, data: bytes, at: int) -> int:
            if fd == ours and left:
                return os.pwrite(fd, data[: left.pop()], at)
            raise NO_SPACE

        monkeypatch.setattr(file, "pwrite", fails)
        for number in range(4):
            book.record(0, b"%d" % number * 60)
        await book.written()
        stored, place = drain(path)
        assert stored == book.records[:1]
        monkeypatch.setattr(file, "pwrite", os.pwrite)
        pass_time(RETRY_S)
        await until(lambda: book.journal.is_kept)
        await book.settled()
        assert stored + drain(path, place)[0] == book.records

    with capture_logs():
        play(path, scene)


def test_a_start_reads_from_where_a_pass_began_only_when_that_is_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PIECE", 2)

    async def scene(book: Book) -> None:
        for number in range(40):
            book.begin(b"%d" % number)
        await put(book, 60)
        await book.settled()
        present = book.journal._shelf.present
        assert present is not None
        while present.room - present.octets > 300:
            await put(book, 1)
        await book.settled()
        before = len(book.segments())
        book.journal._is_unsure = True
        book.journal._judge()
        await put(book, 3)
        assert len(book.segments()) == before + 1
        assert book.journal._pass is not None
        assert book.read() == book.stands
        await book.settled()
        assert book.read() == book.stands

    with capture_logs():
        play(tmp_path / "calls", scene)


def test_what_can_not_be_opened_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "away" / "calls"

    async def scene(book: Book) -> None:
        book.begin(b"one")
        await book.written()
        assert not book.journal.is_kept
        path.parent.mkdir()
        pass_time(RETRY_S)
        await until(lambda: book.journal.is_kept)
        await book.settled()
        assert book.read() == {1: b"one"}

    with capture_logs() as logged:
        play(path, scene)
    assert [one["event"] for one in logged] == ["calls not kept", "calls kept again"]


def test_a_node_that_ends_without_room_says_what_is_lost(tmp_path: Path, disk: Disk) -> None:
    disk.is_full = True

    async def scene(book: Book) -> None:
        book.record(0, b"one")
        book.begin()
        book.record(0, b"two")
        await book.written()
        book.journal.close()
        assert book.journal.lost == 2
        book._journal = None

    with capture_logs() as logged:
        play(tmp_path / "calls", scene)
    assert [(one["event"], one.get("records")) for one in logged] == [
        ("calls not kept", None),
        ("records lost", 2),
    ]


def test_a_flush_that_fails_has_all_that_stands_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def scene(book: Book) -> None:
        book.begin()
        await book.written()
        monkeypatch.setattr(shelf, "flush", fail)
        pass_time(FLUSH_S)
        await until(lambda: not book.journal.is_kept)
        pass_time(RETRY_S)
        await asyncio.sleep(0.01)
        assert not book.journal.is_kept
        monkeypatch.undo()
        book.begin()
        await book.written()
        pass_time(RETRY_S)
        await until(lambda: book.journal.is_kept)
        await book.settled()
        # A process that starts reads from where that began: what is older is not needed.
        assert book.read() == book.stands
        assert len(book.segments()) == 2

    with capture_logs() as logged:
        play(tmp_path / "calls", scene)
    assert {one["event"] for one in logged} == {"calls not kept", "calls kept again"}


def test_at_its_limit_the_oldest_records_are_dropped_counted_and_said(tmp_path: Path) -> None:
    path = tmp_path / "calls"

    async def scene(book: Book) -> None:
        book.journal.limit = 10 * SMALL
        for _ in range(5):
            book.begin()
        await put(book, 60)
        # Up to here the recorder has come, in the middle of a segment.
        had, place = drain(path)
        store_drained(str(path), place)
        for _ in range(40):
            await put(book, 30)
            await look(book)
        assert book.journal.octets <= 12 * SMALL
        left, _ = drain(path, place)
        assert left == book.records[-len(left) :]
        assert book.journal.lost == len(book.records) - len(left) - len(had) > 500
        assert book.read() == book.stands

    with capture_logs() as logged:
        play(path, scene)
    assert {one["event"] for one in logged} == {"records lost"}


def test_at_its_limit_a_journal_that_may_lose_nothing_is_full_until_a_tenth_is_free(tmp_path: Path) -> None:
    path = tmp_path / "calls"

    async def scene(book: Book) -> None:
        book.journal.limit = 10 * SMALL
        book.journal.when_full = REFUSE_CALLS
        assert book.journal.when_full == REFUSE_CALLS
        while not book.journal.is_full:
            await put(book, 5)
            await book.settled()
        assert 10 * SMALL <= book.journal.octets < 11 * SMALL
        # Calls that are on still end.
        await put(book, 50)
        await look(book)
        assert (book.drained(), book.journal.lost) == (book.records, 0)
        store_drained(str(path), Place(3, 0))
        await look(book)
        assert book.segments()[0] == 3
        assert book.journal.is_full
        store_drained(str(path), Place(6, 0))
        await look(book)
        assert not book.journal.is_full
        # Set while it runs.
        book.journal.limit = 2 * SMALL
        assert book.journal.is_full
        book.journal.when_full = DROP_OLDEST
        assert not book.journal.is_full

    play(path, scene)


def test_a_journal_of_which_too_much_waits_for_room_is_full(tmp_path: Path, disk: Disk) -> None:
    async def scene(book: Book) -> None:
        book.journal.when_full = REFUSE_CALLS
        await book.settled()
        disk.is_full = True
        book.journal._waiting.bound = 10_000
        while not book.journal.is_full:
            await put(book, 1)
        assert book.journal._waiting.octets > 5000
        disk.is_full = False
        pass_time(RETRY_S)
        await until(lambda: book.journal.is_kept)
        await put(book, 1)
        assert (book.journal.is_full, book.journal.lost) == (False, 0)

    with capture_logs():
        play(tmp_path / "calls", scene)


def test_segments_made_in_advance_are_used_by_the_next_process_too(tmp_path: Path, disk: Disk) -> None:
    path = tmp_path / "calls"

    async def first(book: Book) -> None:
        await book.settled()
        book.record(0, b"one")

    async def second(book: Book) -> None:
        disk.is_full = True
        while book.journal.is_kept:
            await put(book, 1)
        assert book.segments() == [1, 2]
        assert book.drained() == [b"one", *book.records[:-1]]

    play(path, first)
    with capture_logs():
        play(path, second)


@pytest.mark.parametrize("torn", [[(2, 0)], [(2, 100), (3, SMALL)]])
def test_a_segment_that_was_being_made_when_the_process_died_leaves_no_gap(
    tmp_path: Path, torn: list[tuple[int, int]]
) -> None:
    """A gap would be told as segments that are lost. torn: their numbers, and the octets that they had."""
    path = tmp_path / "calls"

    async def first(book: Book) -> None:
        book.begin(b"one")
        book.record(0, b"first")
        await book.written()

    async def second(book: Book) -> None:
        book.records.append(b"first")
        while len(book.segments()) < 4:
            await put(book, 1)
            await book.settled()
        assert book.segments() == [1, 2, 3, 4]
        assert book.drained() == book.records
        assert book.read() == {1: b"one"}

    play(path, first)
    for spare in numbers(str(path))[1:]:
        Path(path_of(str(path), spare)).unlink()
    for number, octets in torn:
        write(path, number, bytes(octets))
    with capture_logs() as logged:
        play(path, second)
        assert drain(path)[0][0] == b"first"
    assert [one["event"] for one in logged] == []
