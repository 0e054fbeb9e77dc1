"""Whether call records are lost or doubled when the database goes, and all of OneProxy is killed.

    python bench/records.py postgresql --rate 300 --away 300
    python bench/records.py sqlite --rate 100 --away 60

Calls go on all the time. `postgresql`: the server is stopped, and started again `--away` seconds later.
`sqlite`: the disk that database and journal share becomes full, and is freed (needs root, to mount it).
In the middle of that `kill -9` of every process, and a start. In the end there must be exactly one record
of each call whose BYE was answered, with the right duration. Exit status 1 where there is not.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy
from load import Server

import postgres
from two_ends import TwoEnds, judge

BEFORE_S = 10.0
AFTER_S = 10.0
DRAINED_S = 120.0
DISK = "64m"


class Disk:
    """A small file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Leave no octet free."""
        with self._filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue

    def free(self) -> None:
        """Have room again."""
        self._filler.unlink()


@contextmanager
def disk(size: str) -> Iterator[Disk]:
    """Mounted, and unmounted at the end."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
        try:
            yield Disk(Path(folder))
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


async def play(
    server: Server, rate: int, away_s: float, go: Callable[[], None], come: Callable[[], None]
) -> TwoEnds:
    """The whole piece; the calls, once they are over."""
    async with TwoEnds(server.host, server.port, "bob@oneproxy.test") as ends:
        await ends.register()
        calling = asyncio.create_task(ends.call(rate, BEFORE_S + away_s + AFTER_S))
        await asyncio.sleep(BEFORE_S)
        await asyncio.to_thread(go)
        print("database away", flush=True)
        await asyncio.sleep(away_s / 2)
        await asyncio.to_thread(server.kill_all)
        await asyncio.to_thread(server.start, 60.0)
        print("all of OneProxy killed and started", flush=True)
        await asyncio.sleep(away_s / 2)
        await asyncio.to_thread(come)
        print("database back", flush=True)
        await calling
        left = await ends.settle()
        print(f"{left} calls whose BYE nobody answered", flush=True)
    return ends


def rows_of(url: str) -> list[tuple[str, float, int]]:
    """Call-ID, start and duration of all records of answered calls."""
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        found = connection.execute(
            sqlalchemy.text("SELECT call_id, 0, coalesce(duration_ms, -1) FROM cdr WHERE status < 300")
        ).all()
    engine.dispose()
    return [(one[0], 0.0, one[2]) for one in found]


def report(ends: TwoEnds, url: str) -> int:
    """Wait until all has come, and say what did."""
    began = time.monotonic()
    answered = sum(1 for told in ends.calls.values() if told.answered_at)
    ended = sum(1 for told in ends.calls.values() if told.ended_at)
    wrong = ["nothing looked at"]
    while wrong and time.monotonic() < began + DRAINED_S:
        time.sleep(1)
        rows = rows_of(url)
        wrong = judge(ends.calls, rows)
    print(
        f"{len(ends.calls)} calls offered, {answered} answered, {ended} whose BYE was answered;"
        f" {len(rows)} records of answered calls {time.monotonic() - began:.0f} s later;"
        f" {len(wrong)} wrong {wrong[:5]}"
    )
    return int(bool(wrong))


def main() -> int:
    """Run one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database", choices=["postgresql", "sqlite"])
    parser.add_argument("--rate", type=int, default=300, help="calls a second")
    parser.add_argument("--away", type=float, default=300, help="seconds that the database is away")
    arguments = parser.parse_args()
    more = '[cdr]\nenabled = true\n[[access]]\nsource = "127.0.0.1"\naction = "trust"\n'
    if arguments.database == "sqlite":
        with disk(DISK) as small:
            server = Server(small.folder, subscribers={"bob": "secret"}, more=more)
            server.start()
            try:
                ends = asyncio.run(play(server, arguments.rate, arguments.away, small.fill, small.free))
                return report(ends, f"sqlite:///{small.folder}/oneproxy.db")
            finally:
                server.close()
    programs = postgres.programs()
    if programs is None:
        sys.exit("PostgreSQL is not installed: tests/setup.sh installs it")
    cluster = postgres.Cluster(programs)
    try:
        url = cluster.database()
        with (
            tempfile.TemporaryDirectory() as folder,
            Server(Path(folder), subscribers={"bob": "secret"}, more=more, database=url) as server,
        ):
            ends = asyncio.run(play(server, arguments.rate, arguments.away, cluster.stop, cluster.start))
            return report(ends, url)
    finally:
        cluster.remove()


if __name__ == "__main__":
    sys.exit(main())
