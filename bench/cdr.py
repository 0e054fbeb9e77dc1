"""How long it takes to find the last calls of a number among many records, and to store them.

    python bench/cdr.py --rows 10000000 --months 12

In a PostgreSQL server of its own, which is gone afterwards. Cold is after a restart of the server,
and, where we may say so to the kernel, without what it remembers of files.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from oneproxy.records.wanted import Wanted
from oneproxy.store.database import Database
from oneproxy.store.record_search import RecordSearch, query
from oneproxy.store.records import Records
from postgres import Cluster, programs
from recorded import AT_MS, a_record, journalled

FIRST: Final = "2025-12-01"
#: Callers and numbers called that there are.
CALLERS: Final = 20_000
CALLED: Final = 500_000
ROUNDS: Final = 200
STORED: Final = 50_000
DROP_CACHES: Final = Path("/proc/sys/vm/drop_caches")
FILL: Final = """
INSERT INTO cdr (id, started_at, first_response_at, ringing_at, answered_at, ended_at, post_dial_delay_ms,
    duration_ms, status, reason, q850, ended_by, call_id, from_tag, to_tag, caller_uri, callee_uri, caller,
    callee, routed_caller, routed_callee, domain, subscriber, source, transport, provider, gateway, attempts,
    node, caller_agent, callee_agent)
SELECT overlay(overlay(gen_random_uuid()::text PLACING substr(h, 1, 8) FROM 1)
        PLACING substr(h, 9, 4) FROM 10)::uuid,
    at, at + interval '300 ms', at + interval '900 ms', CASE WHEN n %% 3 > 0 THEN at + interval '5 s' END,
    at + interval '65 s', 300, CASE WHEN n %% 3 > 0 THEN 60000 END,
    CASE WHEN n %% 3 > 0 THEN 200 ELSE 486 END,
    'Q.850;cause=16', 16, 'caller', md5(n::text) || '@192.0.2.10', left(md5('f' || n), 10),
    left(md5('t' || n), 10), 'sip:' || caller, 'sip:' || callee || '@example.com', caller, callee,
    'sip:' || caller, 'sip:00' || callee || '@198.51.100.7', 'example.com', caller, '192.0.2.7:5060', 'udp',
    'carrier-' || n %% 4, 'g' || n %% 16, jsonb_build_array(jsonb_build_object(
        'to', 'sip:00' || callee || '@198.51.100.7', 'status', 200, 'started_ms', 1795604309123 + n,
        'ended_ms', 1795604314123 + n, 'first_response_ms', 1795604309423 + n, 'provider', 'carrier-a',
        'gateway', 'a1')), 'edge-1-0', 'Phone/1.2.3', 'Gateway 7.1'
FROM (SELECT n, at, lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') AS h,
        'agent' || (hashint4(n) & 2147483647) %% {callers} || '@example.com' AS caller,
        '+3519' || lpad(((hashint4(n + 7) & 2147483647) %% {called})::text, 8, '0') AS callee
    FROM (SELECT n, '{begin}'::timestamptz + (('{begin}'::timestamptz + interval '1 month'
            - '{begin}'::timestamptz) * (n - {low}) / {rows}) AS at
        FROM generate_series({low}, {low} + {rows} - 1) AS n) AS times) AS calls
"""


def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--months", type=int, default=12)
    wanted = parser.parse_args()
    found = programs()
    if found is None:
        sys.exit("no PostgreSQL server under /usr/lib/postgresql")
    cluster = Cluster(found)
    try:
        url = cluster.database()
        with TemporaryDirectory() as folder:
            for one in (f"sqlite:///{folder}/cdr.db", url):
                database = Database("proxy", one)
                database.open()
                database.drop()
                store(one)
        fill(url, wanted.rows, wanted.months)
        look(cluster, url)
    finally:
        cluster.remove()


def store(url: str) -> None:
    """What storing costs us, as many at a time as the recorder stores."""
    table = Records(url)
    table.store(journalled(a_record(0, AT_MS - 1)))
    records = journalled(*(a_record(number, AT_MS + number) for number in range(STORED)))
    cpu, began = time.process_time(), time.perf_counter()
    for place in range(0, STORED, table.batch):
        assert table.store(records[place : place + table.batch]) == []
    cpu, took = time.process_time() - cpu, time.perf_counter() - began
    table.close()
    size = sum(map(len, records)) / STORED
    each = f"{cpu / STORED * 1e6:.1f} us of our CPU a record of {size:.0f} octets"
    print(f"stored in {url.partition(':')[0]}: {each}", flush=True)
    print(f"        {STORED / took:.0f} records/s", flush=True)


def fill(url: str, rows: int, months: int) -> None:
    """Rows of so many months, as many in each."""
    database = Database("proxy", url)
    connection = database.connection()
    connection.exec_driver_sql("SET statement_timeout = 0")
    connection.exec_driver_sql("SET synchronous_commit = off")
    connection.exec_driver_sql("TRUNCATE cdr")
    connection.commit()
    table = Records(url)
    year, month = map(int, FIRST.split("-")[:2])
    each = rows // months
    began = time.monotonic()
    for number in range(months):
        place = month - 1 + number
        begin = f"{year + place // 12:04}-{place % 12 + 1:02}-01 00:00:00+00"
        connection.exec_driver_sql("SET TIME ZONE 'UTC'")
        first = int(
            connection.exec_driver_sql(f"SELECT extract(epoch FROM '{begin}'::timestamptz)").scalar_one()
        )
        # The partition, by a record that is no matter.
        table.store(journalled(a_record(number, first * 1000)))
        text = FILL.format(begin=begin, low=number * each + 1, rows=each, callers=CALLERS, called=CALLED)
        connection.exec_driver_sql(text)
        connection.commit()
        print(f"filled {begin[:7]} after {time.monotonic() - began:.0f} s", flush=True)
    table.close()
    connection.exec_driver_sql("ANALYZE cdr")
    connection.commit()
    for name, what in (
        ("rows", "SELECT count(*) FROM cdr"),
        ("MB of rows", "SELECT sum(pg_table_size(relid)) / 1048576 FROM pg_partition_tree('cdr')"),
        ("MB of indexes", "SELECT sum(pg_indexes_size(relid)) / 1048576 FROM pg_partition_tree('cdr')"),
    ):
        print(f"{name}: {connection.exec_driver_sql(what).scalar_one():.0f}", flush=True)
    connection.commit()
    database.drop()


def look(cluster: Cluster, url: str) -> None:
    """The question behind GET /v1/cdr?number=..., and others that people ask."""
    asked: list[tuple[str, Callable[[int], Wanted]]] = [
        ("last 50 of a number", lambda n: Wanted(number=f"+3519{n * 977 % CALLED:08}")),
        ("last 50 of a user", lambda n: Wanted(number=f"agent{n * 977 % CALLERS}@example.com")),
        ("last 50 of a user by the name alone", lambda n: Wanted(number=f"agent{n * 977 % CALLERS}")),
        ("last 50 of a number that never called", lambda n: Wanted(number=f"+4912345{n:05}")),
        ("the newest 50", lambda _: Wanted()),
        ("last 50 failed ones of a gateway", lambda n: Wanted(gateway=f"g{n % 16}", answered=False)),
    ]
    for name, made in asked:
        cold = measure(cluster, url, made, 5)
        search = RecordSearch(url)
        warm = [timed(search, made(number % 20)) for number in range(ROUNDS)]
        search.close()
        print(
            f"{name}: cold {statistics.median(cold):.1f} ms (longest {max(cold):.1f}),"
            f" warm {statistics.median(warm[20:]):.2f} ms (longest {max(warm[20:]):.2f})",
            flush=True,
        )
    explain(url, Wanted(number=f"+3519{977:08}"))


def measure(cluster: Cluster, url: str, made: Callable[[int], Wanted], rounds: int) -> list[float]:
    """Milliseconds of a first question each."""
    found = []
    for number in range(rounds):
        cluster.stop()
        with suppress(OSError):
            DROP_CACHES.write_text("3")
        cluster.start()
        search = RecordSearch(url)
        search.find(Wanted(id="01a1102a-4a43-7000-8000-00000000000a"), None, 1)
        found.append(timed(search, made(100 + number)))
        search.close()
    return found


def timed(search: RecordSearch, wanted: Wanted) -> float:
    """Milliseconds of one question."""
    began = time.perf_counter()
    search.find(wanted, None, 50)
    return (time.perf_counter() - began) * 1000


def explain(url: str, wanted: Wanted) -> None:
    """What the server does."""
    database = Database("proxy", url)
    statement, values = query("postgresql", wanted, None, 50)
    for (line,) in database.connection().exec_driver_sql(
        f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {statement}", values
    ):
        print(line)
    database.drop()


if __name__ == "__main__":
    main()
