"""A process that is killed while it writes its journal, again and again."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from oneproxy.records.reading import read

TESTS = Path(__file__).parents[1]
#: Calls at once.
_CALLS = 300

CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from journals import Book

async def main():
    async with Book(Path(sys.argv[2]), floor=200_000) as book:
        while True:
            for _ in range(20):
                number = book.begin(b"%d " % (book.last + 1) * 40)
                if number - 300 in book.stands:
                    book.end(number - 300)
            await asyncio.sleep(0)
            if not book._changes:
                print(book.last, flush=True)

asyncio.run(main())
"""


def stands(last: int) -> dict[int, bytes]:
    """What stands once so many calls have begun."""
    return {number: b"%d " % number * 40 for number in range(max(last - _CALLS, 0) + 1, last + 1)}


def kill_at(path: Path, lines: int, spin: int) -> int:
    """Run the process until it has said so many lines, and then a little; the last number it said."""
    command = [sys.executable, "-c", CHILD, str(TESTS), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = 0
        for _ in range(lines):
            said = int(child.stdout.readline())
        for _ in range(spin):
            pass
        child.kill()
        rest = child.stdout.read().split()
    return int(rest[-1]) if rest else said


def test_what_was_written_survives_a_process_that_is_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    path = tmp_path / "calls"
    drawn = random.Random(5)
    most = torn = 0
    for _ in range(8):
        said = kill_at(path, drawn.randint(2, 8), drawn.randint(0, 3_000_000))
        size = path.stat().st_size
        found = read(str(path))
        torn += size > found.good
        # The end of a call is written behind its beginning: the last one may lack it.
        last = max(found.standing)
        assert found.standing in (stands(last), stands(last - 1) | {last: b"%d " % last * 40})
        assert last >= said
        most = max(most, last - said)
        assert size < 40_000_000
    record_property("figure", f"killed 8 times: {torn} torn ends, {most} entries beyond the last one said")
