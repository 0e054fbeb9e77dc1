"""A million bindings: how long a node that starts needs for them while it serves, and what they cost.

    python bench/million.py --bindings 1000000 --database postgresql

The table is filled, the server started, and from then on users are asked for (REGISTER as a
query), registered and called, drawn from all of them, until all are loaded. Prints the time
of the load, the answers meanwhile and their times, the memory of node and recorder, what a call
to users drawn from all costs beside 1,000 and beside all, and what a look-up costs in memory.
"""

import argparse
import itertools
import os
import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from load import Server
from sqlalchemy import text

from oneproxy import hugepages
from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.location import Location
from oneproxy.store import locations
from oneproxy.store.database import Database
from postgres import Cluster, programs
from system.server import DOMAIN, cpu_s, resident_bytes
from system.sipp import Sipp, write_users
from system.wire import Client

CHUNK: Final = 5_000
LOOKUPS: Final = 100_000
FEW: Final = 1_000
#: Calls that are begun while it loads, and in how many seconds; calls that are measured then.
CALLS_MEANWHILE: Final = 2_000
LASTS_S: Final = 10
CALLS: Final = 8_000
CALL_RATE: Final = 800
#: CPU in one second of a server that nobody asks for anything.
IDLE_S: Final = 0.03
#: User agents as phones have them: few, and long.
AGENTS: Final = [f"Acme Desk Phone {model}/5.{patch}.1-release" for model in range(10) for patch in range(5)]


def binding(number: int, now: float, called: str = "") -> tuple[str, Binding]:
    """The binding of one user. called: "host:port" where all of them answer."""
    host = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    made = Binding(
        f"sip:user{number:07}@{called or f'{host}:5060'};transport=udp",
        now + 3600 + number % 600,
        1000,
        f"{number:08x}-5b1c-4e0a-9f3d-{number * 7919 & 0xFFFFFFFFFFFF:012x}@{host}",
        2,
        f"udp:{host}:5060",
        now,
        user_agent=AGENTS[number % len(AGENTS)],
    )
    return f"user{number:07}@{DOMAIN}", made


def fill(url: str, count: int, called: str) -> None:
    """Put the rows there, as the recorder would."""
    database = Database("proxy", url)
    database.open()
    connection = database.connection()
    now = time.time()
    for begin in range(0, count, CHUNK):
        rows = (binding(number, now, called) for number in range(begin, min(begin + CHUNK, count)))
        locations.save(connection, [Change(aor, (), (one,)) for aor, one in rows])
        connection.commit()
    if database.dialect == "postgresql":
        connection.execute(text("ANALYZE location"))
        connection.commit()
    database.drop()


def load(server: Server, count: int, folder: Path) -> None:
    """Ask, register and call while it loads; print what was seen."""
    calling = placed(server, folder, count, CALLS_MEANWHILE, CALLS_MEANWHILE // LASTS_S)
    client = Client(server.host, server.port)
    before = resident_bytes([server.child("node"), server.child("recorder")])
    times: dict[str, list[float]] = {"query": [], "registration": []}
    wrong = 0
    drawn = random.Random(1)
    for number in itertools.count():
        user = f"user{drawn.randrange(count):07}"
        kind = "registration" if number % 4 == 0 else "query"
        contact = f"sip:{user}@127.0.0.1:9" if kind == "registration" else None
        began = time.monotonic()
        answer = client.ask("REGISTER", f"sip:{DOMAIN}", f"{user}@{DOMAIN}", contact=contact)
        times[kind].append((time.monotonic() - began) * 1000)
        contacts = [] if answer is None else answer.headers.get("contact", [])
        # What was there before is among them, whether its page has come or not.
        wrong += not any(f"sip:{user}@127.0.0.1:" in value for value in contacts)
        if number % 50 == 0 and "bindings loaded" in server.log():
            break
    client.close()
    called = calling.result()
    calling.__exit__(None, None, None)
    found = re.search(r'"bindings": (\d+), "seconds": ([0-9.]+)', server.log())
    print(f"loaded: {found and found.group(1)} bindings in {found and found.group(2)} s while serving")
    for kind, took in times.items():
        middle = statistics.median(took)
        print(f"  {len(took)} times a {kind} meanwhile: {middle:.1f} ms, the slowest {max(took):.0f} ms")
    print(
        f"  {called.done} calls meanwhile and a little later, {called.failed} failed {called.reasons or ''}"
    )
    print(f"  {wrong} answers without the binding that was there before")
    node, recorder = (resident_bytes([server.child(name)]) for name in ("node", "recorder"))
    print(
        f"  {(node + recorder - before) / 1e6:.0f} MB more since the start; node {node / 1e6:.0f} MB,"
        f" recorder {recorder / 1e6:.0f} MB"
    )


def placed(server: Server, folder: Path, count: int, calls: int, rate: int) -> Sipp:
    """Calls to users drawn from `count`, under way."""
    drawn = random.Random(2)
    dialled = write_users(
        folder / "dialled", [f"user{drawn.randrange(count):07}" for _ in range(20_000)], "SEQUENTIAL"
    )
    return Sipp(
        "call",
        folder,
        server=server.address,
        users=dialled,
        calls=calls,
        rate=rate,
        timeout_s=calls // rate + 90,
        options=["-d", "200"],
    )


def call_us(url: str, count: int, port: int, folder: Path, *, first: bool) -> float:
    """CPU of node and recorder for a call to one of `count` users that answer at `port`."""
    fill(url, count, f"127.0.0.1:{port}")
    more = f"[capacity]\nregistrations = {count + 100_000}"
    with Server(folder, subscribers={"a": "b"}, more=more, database=url) as server:
        if first:
            load(server, count, folder)
        while "bindings loaded" not in server.log():
            time.sleep(0.1)
        _settle(server)
        before = cpu_s(server.pids())
        with placed(server, folder, count, CALLS, CALL_RATE) as calling:
            result = calling.result()
        spent_us = (cpu_s(server.pids()) - before) / max(result.done, 1) * 1e6
    print(
        f"a call beside {count} bindings: {spent_us:.0f} us of CPU, {result.failed} of {CALLS} failed",
        flush=True,
    )
    return spent_us


def _settle(server: Server) -> None:
    """Wait until nothing is done beside calls: memory is put into huge pages after a load."""
    spent_s = 1.0
    while spent_s > IDLE_S:
        before = cpu_s(server.pids())
        time.sleep(1)
        spent_s = cpu_s(server.pids()) - before


def in_memory(count: int) -> None:
    """What a binding takes and a look-up costs, without processes; a node's memory is in huge pages.

    Of the same 1,000 users again and again it costs what the table costs; of users drawn from
    all also the time that the processor waits for memory.
    """
    now = time.time()
    for size in (FEW, count):
        location = Location(count)
        before = resident_bytes([os.getpid()])
        for begin in range(0, size, CHUNK):
            location.load([binding(number, now) for number in range(begin, min(begin + CHUNK, size))], False)
        location.load([])
        each = (resident_bytes([os.getpid()]) - before) / size
        hugepages.collapse(set())
        drawn = random.Random(1)
        few, all_of_them = (
            min(_lookups_s(location, aors, now) for _ in range(9)) / LOOKUPS * 1e9
            for aors in (
                [f"user{drawn.randrange(size):07}@{DOMAIN}" for _ in range(FEW)] * (LOOKUPS // FEW),
                [f"user{drawn.randrange(size):07}@{DOMAIN}" for _ in range(LOOKUPS)],
            )
        )
        print(
            f"in memory, {size}: {each:.0f} octets a binding; a look-up takes {few:.0f} ns of {FEW} users,"
            f" {all_of_them:.0f} ns of all"
        )


def _lookups_s(location: Location, aors: list[str], now: float) -> float:
    began = time.perf_counter()
    for aor in aors:
        location.lookup(aor, now)
    return time.perf_counter() - began


def main() -> int:
    """Fill, start, load and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bindings", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    arguments = parser.parse_args()
    found = programs()
    if found is None:
        sys.exit("PostgreSQL is not installed: `sh tests/setup.sh` does it")
    cluster = Cluster(found) if arguments.database == "postgresql" else None
    try:
        with tempfile.TemporaryDirectory() as folder:
            with Sipp("answer", Path(folder)) as called:
                costs = []
                for count in (arguments.bindings, FEW):
                    place = Path(folder) / str(count)
                    place.mkdir()
                    url = cluster.database() if cluster else f"sqlite:///{place}/oneproxy.db"
                    costs.append(call_us(url, count, called.port, place, first=count == arguments.bindings))
            print(f"beside {arguments.bindings} / beside {FEW}: {costs[0] / costs[1]:.2f}")
        in_memory(arguments.bindings)
    finally:
        if cluster is not None:
            cluster.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
