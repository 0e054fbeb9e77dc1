"""The journal of a node: written soon, kept small, and never in the way."""

import asyncio
import errno
import os
import resource
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from structlog.testing import capture_logs

from journals import Book
from oneproxy.records import file, journal
from oneproxy.records.entries import HEADER, Kind, encode
from oneproxy.records.journal import EVERY_S, FLUSH_S, RETRY_S
from waiting import pass_time, until

Scene = Callable[[Book], Coroutine[Any, Any, None]]


def play(path: Path, scene: Scene, floor: int = 1 << 30) -> None:
    """Run a scene with a journal in a folder."""

    async def run() -> None:
        async with Book(path, floor) as book:
            await scene(book)

    asyncio.run(run())


@contextmanager
def room(octets: int) -> Iterator[None]:
    """No file may grow beyond so many octets: what does not fit is written in part, and refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    path.write_bytes(HEADER)
    path.chmod(0o644)

    async def scene(book: Book) -> None:
        assert path.stat().st_mode & 0o777 == 0o600
        before = path.stat().st_ino
        book.journal._compact()
        await until(lambda: path.stat().st_ino != before)
        assert path.stat().st_mode & 0o777 == 0o600

    play(path, scene)


def test_a_restart_goes_on_with_what_stands(tmp_path: Path) -> None:
    path = tmp_path / "calls"

    async def first(book: Book) -> None:
        book.begin(b"one")
        book.end(book.begin(b"two"))

    async def second(book: Book) -> None:
        assert (book.stands, book.last) == ({1: b"one"}, 2)
        book.end(1)
        book.begin(b"three")

    async def third(book: Book) -> None:
        assert (book.stands, book.last) == ({3: b"three"}, 3)

    for scene in (first, second, third):
        play(path, scene)


def test_a_torn_end_is_cut_off_before_anything_is_added(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    path.write_bytes(HEADER + encode(Kind.STANDS, 1, b"one") + encode(Kind.STANDS, 2, b"two")[:-1])

    async def scene(book: Book) -> None:
        book.begin(b"three")
        await book.written()
        assert book.read() == {1: b"one", 2: b"three"}

    play(path, scene)


def test_a_header_that_was_torn_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    path.write_bytes(HEADER[:7])

    async def scene(book: Book) -> None:
        book.begin(b"one")
        await book.written()
        assert book.read() == {1: b"one"}

    play(path, scene)


def test_the_machine_is_asked_to_keep_it_once_a_second_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(journal, "flush", asked.append)

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
        monkeypatch.setattr(journal, "flush", hang)
        book.begin()
        await book.written()
        pass_time(FLUSH_S)
        await until(asked.is_set)
        book.begin()
        await book.written()
        assert len(book.read()) == 2
        monkeypatch.undo()
        hangs.set()

    play(tmp_path / "calls", scene)


def test_a_file_of_calls_that_are_over_is_made_small_again(tmp_path: Path) -> None:
    path = tmp_path / "calls"

    async def scene(book: Book) -> None:
        for number in range(1, 1001):
            book.begin(b"%d" % number)
            if number > 10:
                book.end(number - 10)
        await book.written()
        size = path.stat().st_size
        book.journal.floor = 0
        book.begin(b"last")
        await until(lambda: path.stat().st_size < size / 10)
        await book.settled()
        assert book.read() == book.stands
        assert len(book.stands) == 11
        assert not path.with_name("calls.new").exists()
        book.begin(b"after it")
        await book.written()
        assert book.read() == book.stands

    play(path, scene)


def test_what_is_put_during_a_compaction_is_in_both_files(tmp_path: Path) -> None:
    path = tmp_path / "calls"

    async def scene(book: Book) -> None:
        for _ in range(10 * journal.PIECE):
            book.begin()
        await book.written()
        book.journal._compact()
        before = path.stat().st_ino
        turn = 0
        while path.stat().st_ino == before:
            turn += 1
            first, *_, last = book.stands
            book.end(first)
            book.change(last, b"turn %d" % turn)
            book.begin()
            book.journal._write()
            assert book.read() == book.stands
            await asyncio.sleep(0)
        await book.settled()
        assert turn >= 10
        assert book.read() == book.stands

    play(path, scene)


def test_a_compaction_of_many_calls_writes_a_few_in_a_turn(tmp_path: Path) -> None:
    async def scene(book: Book) -> None:
        for _ in range(5 * journal.PIECE):
            book.begin()
        await book.written()
        taken: list[int] = []
        entries = book.entries

        def counted() -> Iterator[bytes]:
            for entry in entries():
                taken[-1] += 1
                yield entry

        book.entries = counted  # type: ignore[method-assign]
        book.journal._compact()
        while book.journal._compaction is not None:
            taken.append(0)
            await asyncio.sleep(0)
        assert sum(taken) == 5 * journal.PIECE
        assert max(taken) <= journal.PIECE

    play(tmp_path / "calls", scene)


def test_a_compaction_that_the_end_of_the_process_overtakes_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "calls"

    async def scene(book: Book) -> None:
        for _ in range(500):
            book.begin()
        await book.written()
        book.journal._compact()
        await asyncio.sleep(0)
        book.end(7)
        book.close()
        assert book.read() == book.stands
        assert sorted(one.name for one in tmp_path.iterdir()) == ["calls", "copy"]

    play(path, scene)


def test_a_full_disk_is_told_once_and_calls_are_kept_again_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "calls"

    async def scene(book: Book) -> None:
        for _ in range(20):
            book.begin()
        await book.written()
        size = path.stat().st_size
        before = dict(book.stands)
        with room(size + 50):
            for _ in range(3):
                book.begin()
                book.end(book.begin())
                await book.written()
            assert not book.journal.is_kept
            # What was there is whole, though a part of an entry had been written.
            assert path.stat().st_size == size
            assert book.read() == before
            pass_time(RETRY_S)
            book.begin()
            await book.settled()
            await until(lambda: book.journal._retry is not None)
            await book.written()
            assert not book.journal.is_kept
        lost = book.journal.lost
        assert lost >= 9
        pass_time(RETRY_S)
        await until(lambda: book.journal.is_kept)
        await book.settled()
        assert book.read() == book.stands
        book.begin()
        await book.written()
        assert book.read() == book.stands
        assert book.journal.lost == lost

    with capture_logs() as logged:
        play(path, scene)
    assert [one["event"] for one in logged] == ["calls not kept", "calls kept again"]
    assert logged[0]["reason"] == os.strerror(errno.EFBIG)
    assert not path.with_name("calls.new").exists()


def test_a_compaction_for_which_there_is_no_room_leaves_the_file_in_use(tmp_path: Path) -> None:
    path = tmp_path / "calls"

    async def scene(book: Book) -> None:
        for _ in range(300):
            book.begin()
        await book.written()
        refused = []

        def write(fd: int, data: memoryview) -> int:
            if os.readlink(f"/proc/self/fd/{fd}").endswith(".new") and len(data) > 100:
                refused.append(fd)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return os.write(fd, data)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(file, "write", write)
            book.journal._compact()
            await book.settled()
        assert refused
        book.begin()
        await book.written()
        assert book.journal.is_kept
        assert book.read() == book.stands
        assert not path.with_name("calls.new").exists()

    with capture_logs() as logged:
        play(path, scene)
    assert [(one["event"], one["reason"]) for one in logged] == [
        ("calls not kept", os.strerror(errno.ENOSPC))
    ]


def test_what_can_not_be_opened_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "away" / "calls"

    async def scene(book: Book) -> None:
        book.begin(b"one")
        await book.written()
        assert (book.journal.is_kept, book.journal.lost) == (False, 1)
        path.parent.mkdir()
        pass_time(RETRY_S)
        await until(lambda: book.journal.is_kept)
        assert book.read() == {1: b"one"}

    with capture_logs() as logged:
        play(path, scene)
    assert [one["event"] for one in logged] == ["calls not kept", "calls kept again"]


def test_a_flush_that_fails_has_all_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "calls"

    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def scene(book: Book) -> None:
        book.begin()
        await book.written()
        before = path.stat().st_ino
        monkeypatch.setattr(journal, "flush", fail)
        pass_time(FLUSH_S)
        await until(lambda: not book.journal.is_kept)
        monkeypatch.undo()
        book.begin()
        pass_time(RETRY_S)
        await until(lambda: book.journal.is_kept)
        assert path.stat().st_ino != before
        assert book.read() == book.stands

    play(path, scene)


def test_what_is_spoilt_while_it_takes_its_place_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "calls"
    sealed, goes_on = Event(), Event()
    seal = file.seal

    def slow(*arguments: Any) -> None:
        seal(*arguments)
        sealed.set()
        assert goes_on.wait(60)

    async def scene(book: Book) -> None:
        book.begin()
        await book.written()
        monkeypatch.setattr(journal, "seal", slow)
        book.journal._compact()
        await until(sealed.is_set)
        with room(path.stat().st_size + 10):
            book.begin()
            await book.written()
        goes_on.set()
        await book.settled()
        assert not book.journal.is_kept
        monkeypatch.undo()
        pass_time(RETRY_S)
        await until(lambda: book.journal.is_kept)
        await book.settled()
        assert book.read() == book.stands

    with capture_logs() as logged:
        play(path, scene)
    assert {one["event"] for one in logged} == {"calls not kept", "calls kept again"}
