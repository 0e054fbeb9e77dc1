"""What it costs to keep calls beyond the process, and their records until the recorder has them: for each
call, in a pass, for the recorder, and at the start.

    python bench/journal.py --standing 50000 --rate 1000 --seconds 10

In memory but for the journal, which is in --folder. Calls have headers of usual lengths. "The journal
alone" is given entries that are made already; a keeper makes them of calls.
The CPU is that of all threads of the process, without that of a loop that only keeps the pace.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from oneproxy.engine.call import Call, CallEvent, Session, Watch
from oneproxy.engine.following import Following
from oneproxy.engine.origin import OwnRequest
from oneproxy.engine.standing import Standing
from oneproxy.engine.tables import Tables
from oneproxy.records.entries import Kind, encode
from oneproxy.records.journal import Journal
from oneproxy.records.keeper import Keeper
from oneproxy.records.reading import read
from oneproxy.records.segments import NOWHERE
from oneproxy.records.tail import read as read_tail
from oneproxy.sip.check import check
from oneproxy.sip.message import Request, Response, split

STANDS_DATA: Final = b"s" * 500
RECORD_DATA: Final = b"r" * 600
NOW: Final = 1_800_000_000.0
TURN_S: Final = 0.005
#: What 50 ms bring at a thousand calls a second, and how often that is measured.
BATCH: Final = 50
BATCHES: Final = 400
ROUTE: Final = "<sip:198.51.100.1:5060;lr;mark=5f2c90a1b3d4e687aa22bb44cc66dd88>"
HEAD: Final = (
    "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-{n}\r\nRecord-Route: " + ROUTE + "\r\n"
    'From: "Agent {n}" <sip:agent{n}@contact-centre.example.com>;tag=as{n:08x}\r\n'
    "To: <sip:+351210000{n}@contact-centre.example.com>{tag}\r\n"
    "Call-ID: {n:08x}3c267fb9147a6d3b2a4e91@192.0.2.10\r\nCSeq: 102 INVITE\r\n"
    "Contact: <sip:{who}{n}@192.0.2.10:5060;transport=udp;ob>\r\nSupported: timer\r\n"
)


class Held:
    """A call of a gateway."""

    def end(self, now: float) -> None:
        """It is over."""


class Office:
    """A table of followed calls whose watch hears nothing."""

    def __init__(self, capacity: int) -> None:
        self.following = Following(Tables(NOW), capacity, lambda _: False, self.send)

    def send(self, _now: float, _own: OwnRequest) -> None:
        """Nothing is sent."""

    def note(self, _now: float, _call: Call, _event: CallEvent) -> None:
        """The watch."""

    def answered(self, number: int) -> Call:
        """One more call."""
        invite = split(
            ("INVITE sip:a@b SIP/2.0\r\n" + HEAD.format(n=number, tag="", who="alice") + "\r\n").encode()
        )
        ok = split(("SIP/2.0 200 OK\r\n" + HEAD.format(n=number, tag=";tag=b", who="bob") + "\r\n").encode())
        assert isinstance(invite, Request)
        assert check(invite) is None
        assert isinstance(ok, Response)
        followed = self.following.begin(NOW, invite, self, Session(1800))
        assert followed is not None
        followed.responded(NOW + 1, ok)
        return followed.call


async def pace(rate: int, seconds: float, call: Callable[[], None]) -> float:
    """So many calls a second, turn by turn; CPU seconds."""
    loop = asyncio.get_running_loop()
    began, done, cpu = loop.time(), 0, time.process_time()
    while (passed := loop.time() - began) < seconds:
        while done < passed * rate:
            call()
            done += 1
        await asyncio.sleep(TURN_S)
    return time.process_time() - cpu


async def lags(is_over: Callable[[], bool]) -> list[float]:
    """How long each turn of the loop took."""
    taken = []
    while not is_over():
        before = time.perf_counter()
        await asyncio.sleep(0)
        taken.append(time.perf_counter() - before)
    return taken


class Given:
    """Who gives the journal calls that come and go: an entry of 500 octets, and a record of 600."""

    def __init__(self) -> None:
        self.entries_left: list[bytes] = []
        self.number = 0
        self.size = 0

    def one_call(self) -> None:
        """It is answered, and another one is over."""
        self.number += 1
        self.entries_left.append(encode(Kind.STANDS, self.number, STANDS_DATA))
        self.entries_left.append(encode(Kind.RECORD, self.number, RECORD_DATA))

    def changes(self) -> list[bytes]:
        """As `records.journal.Whole`."""
        changes, self.entries_left = self.entries_left, []
        return changes

    def entries(self) -> Iterator[bytes]:
        """As `records.journal.Whole`."""
        return iter(())


async def measure_journal(folder: Path, rate: int, seconds: float) -> None:
    """The journal alone."""
    given = Given()
    journal = Journal(str(folder), given, read(str(folder)).good)
    await asyncio.sleep(0.2)

    def one_call() -> None:
        given.one_call()
        journal.wake()

    cpu = time.process_time()
    for _ in range(BATCHES):
        for _ in range(BATCH):
            given.one_call()
        journal._write()
    cpu = time.process_time() - cpu
    print(
        f"the journal alone, in batches of {BATCH}: {cpu / BATCHES / BATCH * 1e6:.2f} us of CPU for a call;"
    )
    idle = min([await pace(rate, seconds / 2, lambda: None) for _ in range(2)]) * 2
    busy = await pace(rate, seconds, one_call)
    print(f"  at {rate}/s: {(busy - idle) / (rate * seconds) * 1e6:.2f} us, all threads")
    journal.close()
    cpu, count, place = time.process_time(), 0, NOWHERE
    while not (piece := read_tail(str(folder), place, 500)).ended:
        place = piece.place
        count += len(piece.records)
    count += len(piece.records)
    cpu = time.process_time() - cpu
    print(f"  the recorder reads {count} records: {cpu / count * 1e6:.2f} us of CPU for each")


def hold(_provider: str, _gateway: str, _started_at: float) -> Held:
    """A call of a gateway."""
    return Held()


def never(_now: float, _standing: Standing, _watch: Watch) -> Call | None:
    """Nothing stands."""
    return None


async def measure(path: Path, standing: int, rate: int, seconds: float) -> None:
    """All of it."""
    office = Office(standing + 2)
    keeper = Keeper(str(path), office.following.standing)
    keeper.start(NOW, never, hold)
    journal = keeper._journal
    assert journal is not None
    calls = deque(office.answered(number) for number in range(standing))
    for call in calls:
        keeper.answered(call, "carrier-a", "gateway-1")
    await asyncio.sleep(0.1)
    print(f"with a keeper: {standing} calls, {journal.octets / standing:.0f} octets each")

    def one_call() -> None:
        # The oldest one ends and begins again: as many stand, and nothing else is measured.
        call = calls.popleft()
        keeper.ended(call)
        journal.add(encode(Kind.RECORD, 0, RECORD_DATA))
        keeper.answered(call, "carrier-a", "gateway-1")
        calls.append(call)

    cpu = time.process_time()
    for _ in range(BATCHES):
        for _ in range(BATCH):
            one_call()
        journal._write()
    cpu = time.process_time() - cpu
    print(
        f"in batches of {BATCH}, one after the other: {cpu / BATCHES / BATCH * 1e6:.2f} us of CPU for a call"
    )

    idle = min([await pace(rate, seconds / 2, lambda: None) for _ in range(2)]) * 2
    before = journal._shelf.records
    busy = await pace(rate, seconds, one_call)
    count = rate * seconds
    print(f"at {rate}/s: {(busy - idle) / count * 1e6:.2f} us of CPU for a call, all threads;", end=" ")
    print(f"{journal._shelf.records - before} records")

    cpu = time.process_time()
    journal._is_unsure = True
    journal._judge()
    taken = sorted(await lags(lambda: journal._pass is None))
    cpu = time.process_time() - cpu
    print(
        f"pass over {standing}: {cpu * 1e3:.0f} ms of CPU in {len(taken)} turns,"
        f" the longest {taken[-1] * 1e3:.2f} ms, one in a hundred {taken[-len(taken) // 100] * 1e3:.2f} ms"
    )
    keeper.close()
    again = Office(standing + 2)
    keeper = Keeper(str(path), again.following.standing)
    began = time.perf_counter()
    count = keeper.start(NOW + 2, again.following.adopt, hold)
    print(f"start: {count} calls are followed again after {(time.perf_counter() - began) * 1e3:.0f} ms")
    keeper.close()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--standing", type=int, default=50_000)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--folder", default=os.getcwd())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        asyncio.run(measure_journal(Path(folder) / "alone", arguments.rate, arguments.seconds))
        asyncio.run(measure(Path(folder) / "calls", arguments.standing, arguments.rate, arguments.seconds))


if __name__ == "__main__":
    main()
