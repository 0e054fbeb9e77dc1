"""CPU per registration: OneProxy and, where it is installed, Kamailio, both on PostgreSQL, in turn.

    python bench/registrations.py --rate 1000 --seconds 60 --rounds 1

A registration is a REGISTER that is challenged (401) and one with the digest (200), of one
of 10,000 users, and is answered when it is stored (Kamailio: db_mode 1). The CPU is that of
all processes of the server; the database's is printed apart. Both have the same cluster,
without fsync. Kamailio comes from Debian: apt-get install kamailio kamailio-postgres-modules.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psycopg
import registrar
from load import Server

from postgres import Cluster, programs
from system.server import DOMAIN, cpu_s, descendants
from system.sipp import Sipp, write_users

USERS = [f"user{number}" for number in range(10_000)]

Maker = Callable[[Path, str], Server]


def oneproxy(folder: Path, database: str) -> Server:
    """OneProxy that asks everybody for a password."""
    users = dict.fromkeys(USERS, registrar.PASSWORD)
    return Server(folder, subscribers=users, authenticate=["REGISTER"], database=database)


def kamailio(folder: Path, database: str) -> Server:
    """Kamailio that does the same."""
    return registrar.Registrar(folder, DOMAIN, database)


def cost_us(name: str, make: Maker, cluster: Cluster, rate: int, seconds: int) -> tuple[float, int]:
    """Microseconds of CPU per registration, and how many were lost; prints what became of them."""
    database = cluster.database()
    with tempfile.TemporaryDirectory() as path, make(Path(path), database) as server:
        folder = Path(path)
        rows = [
            f"{user};5999;[authentication username={user} password={registrar.PASSWORD}]" for user in USERS
        ]
        users = write_users(folder / "users", rows)
        _register(folder, server, users, len(USERS), rate)
        database_pids = [cluster.pid, *descendants(cluster.pid)]
        before, database_before = cpu_s(server.pids()), cpu_s(database_pids)
        shares = {pid: cpu_s([pid]) for pid in server.pids()}
        count = rate * seconds
        done, again = _register(folder, server, users, count, rate)
        spent_us = (cpu_s(server.pids()) - before) * 1e6 / max(done, 1)
        database_us = (cpu_s(database_pids) - database_before) * 1e6 / max(done, 1)
        parts = sorted(
            ((cpu_s([pid]) - was) * 1e6 / max(done, 1) for pid, was in shares.items()), reverse=True
        )
    with psycopg.connect(database) as connection:
        stored = connection.execute("SELECT count(*) FROM location").fetchone()
    shown = " + ".join(f"{part:.0f}" for part in parts if part >= 0.5)
    print(
        f"{name:9} {spent_us:5.0f} us of CPU a registration ({shown}), the database {database_us:.0f};"
        f" {done} done, {count - done} lost, {again} messages sent again, {stored and stored[0]} rows",
        flush=True,
    )
    return spent_us, count - done


def _register(folder: Path, server: Server, users: Path, count: int, rate: int) -> tuple[int, int]:
    """Register `count` times; how many were answered 200, and how many messages were sent again."""
    with Sipp(
        "register",
        folder,
        server=server.address,
        users=users,
        calls=count,
        rate=rate,
        timeout_s=count // rate + 60,
    ) as registering:
        result = registering.result()
    return result.done, result.retransmissions


def main() -> int:
    """Run the rounds and print the ratio; 1 where OneProxy lost one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=1000, help="registrations a second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    found = programs()
    if found is None:
        sys.exit("PostgreSQL is not installed: `sh tests/setup.sh` does it")
    makers: dict[str, Maker] = {"OneProxy": oneproxy}
    if registrar.installed():
        makers["Kamailio"] = kamailio
    else:
        print("Kamailio or its PostgreSQL modules are not installed: OneProxy alone")
    costs: dict[str, list[float]] = {name: [] for name in makers}
    lost = 0
    cluster = Cluster(found)
    try:
        for _ in range(arguments.rounds):
            for name, make in makers.items():
                spent_us, missing = cost_us(name, make, cluster, arguments.rate, arguments.seconds)
                costs[name].append(spent_us)
                lost += missing if name == "OneProxy" else 0
    finally:
        cluster.remove()
    if len(makers) == 2:
        ours, theirs = (statistics.median(cost) for cost in costs.values())
        print(f"OneProxy / Kamailio at {arguments.rate} registrations/s: {ours / theirs:.2f}, lost {lost}")
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
