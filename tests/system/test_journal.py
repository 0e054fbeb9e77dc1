"""A process that is killed while it writes its journal, again and again; and a disk that is really full."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from oneproxy.records.reading import read
from oneproxy.records.segments import NOWHERE, Place, numbers, store_drained
from oneproxy.records.tail import read as read_tail

TESTS = Path(__file__).parents[1]
#: Calls at once.
_CALLS = 300

CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from journals import Book

async def main():
    async with Book(Path(sys.argv[2]), 100_000) as book:
        while True:
            for _ in range(20):
                book.begin(b"%d " % (book.last + 1) * 40)
                if len(book.stands) > 300:
                    oldest = min(book.stands)
                    book.record(oldest, b"%d" % oldest)
            await asyncio.sleep(0)
            if not book._changes and book.journal.is_kept:
                print(book.last, flush=True)
            while not book.journal.is_kept:
                await asyncio.sleep(0)

asyncio.run(main())
"""


class Recorder:
    """What reads the records while they are written."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._place: Place = NOWHERE
        self.stored: list[int] = []

    def go_on(self) -> bool:
        """Store some; whether there are more."""
        piece = read_tail(self._folder, self._place, 50)
        assert not piece.lost
        self.stored += map(int, piece.records)
        self._place = piece.place
        if piece.records:
            store_drained(self._folder, piece.place)
        return not piece.ended


def kill_at(path: Path, lines: int, spin: int, recorder: Recorder) -> int:
    """Run the process until it has said so many lines, and then a little; the last number it said."""
    command = [sys.executable, "-c", CHILD, str(TESTS), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = 0
        for _ in range(lines):
            said = int(child.stdout.readline())
            recorder.go_on()
        for _ in range(spin):
            pass
        child.kill()
        rest = child.stdout.read().split()
    return int(rest[-1]) if rest else said


def test_what_was_written_survives_a_process_that_is_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    path = tmp_path / "calls"
    recorder = Recorder(path)
    drawn = random.Random(5)
    most = torn = 0
    for _ in range(8):
        said = kill_at(path, drawn.randint(2, 8), drawn.randint(0, 3_000_000), recorder)
        found = read(str(path))
        present = (path / f"{found.good.number:08}.log").read_bytes()
        torn += present.rstrip(b"\0")[found.good.octets :] != b""
        while recorder.go_on():
            pass
        last = max(found.standing)
        assert last >= said
        # Each call is on or has one record, none is both, and none is missing.
        assert recorder.stored == list(range(1, min(found.standing)))
        assert found.standing == {
            number: b"%d " % number * 40 for number in range(min(found.standing), last + 1)
        }
        assert len(found.standing) <= _CALLS + 1
        most = max(most, last - said)
    assert numbers(str(path))[0] > 1
    record_property("figure", f"killed 8 times: {torn} torn ends, {most} entries beyond the last one said")


ON_A_FULL_DISK = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from journals import Book, drain
from oneproxy.records.journal import RETRY_S
from waiting import pass_time, until

folder, stage = Path(sys.argv[2]), sys.argv[3]

def left():
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize

def fill():
    with open(folder / "others", "wb", buffering=0) as others:
        for size in (4096, 1):
            try:
                while True:
                    others.write(bytes(size))
            except OSError:
                pass

async def put(book, count):
    for _ in range(count):
        number = book.begin(b"%d" % (book.last + 1) * 20)
        if number > 100:
            book.record(number - 100, b"%d" % (number - 100) * 20)
        if not number % 20:
            book.journal._write()
            await asyncio.sleep(0)
    await book.written()

async def killed():
    book = Book(folder / "calls", 65536)
    book.open()
    await put(book, 1000)
    await book.settled()
    fill()
    assert left() == 0
    # All of the disk is full, and a spare is used up for a part.
    before = len(book.segments())
    while len(book.segments()) == before:
        await put(book, 20)
    assert book.journal.is_kept
    print(book.last, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

async def goes_on():
    async with Book(folder / "calls", 65536) as book:
        last = book.last
        assert left() == 0
        assert min(book.stands) == last - 99
        assert [len(book.stands), len(drain(folder / "calls")[0])] == [100, last - 100]
        # The rest of that segment first, and then memory.
        await put(book, 20)
        assert book.journal.is_kept
        await put(book, 3000)
        assert not book.journal.is_kept
        (folder / "others").unlink()
        pass_time(RETRY_S)
        await until(lambda: book.journal.is_kept)
        await book.settled()
        assert book.journal.lost == 0
        assert book.read() == book.stands
        assert drain(folder / "calls")[0] == [b"%d" % number * 20 for number in range(1, book.last - 99)]
        print(book.last, flush=True)

asyncio.run(killed() if stage == "killed" else goes_on())
"""


def test_a_disk_that_is_full_loses_no_record_of_a_process_that_is_killed_and_none_of_one_that_goes_on(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    # A disk of its own, which goes with the processes.
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    run = f'"{sys.executable}" -c "$0" "{TESTS}" "{tmp_path}"'
    script = f'mount -t tmpfs -o size=2m none "{tmp_path}" && {{ {run} killed; echo $?; {run} on; }}'
    done = subprocess.run(
        ["unshare", *user, "--mount", "sh", "-c", script, ON_A_FULL_DISK],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Between what is logged.
    first, status, second = filter(str.isdecimal, done.stdout.splitlines())
    assert status == "137"
    record_property("figure", f"killed on a full disk after {first} calls, {second} in all: none lost")
