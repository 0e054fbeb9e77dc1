"""The partitions of table `cdr` in PostgreSQL: one for each month that there are records of.

    cdr_early     before 2025, what a clock that was never set says
    cdr_2026_11   November 2026 of UTC, made before its first record is stored
    cdr_late      from 2100 on

A clock that is wrong within these bounds makes partitions ahead of time, MOST_AHEAD of them at most;
records of further such months are refused, and kept in a file by whoever has them stored.

Functions on an open connection; the caller commits. A partition is made as a table by itself and
attached, which lets others read and write `cdr` meanwhile, as CREATE TABLE ... PARTITION OF does not.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

#: Months have partitions of their own from the first on, up to the end: as the migration has them.
FIRST_MS: Final = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1000)
END_MS: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000)
EARLY: Final = "cdr_early"
#: Partitions of months after the next one by the database's clock.
MOST_AHEAD: Final = 12
#: Any numbers that are ours: who makes partitions, and who drops them, does it alone.
MAKING_LOCK: Final = 0x0_4E_50_52_59
DROPPING_LOCK: Final = 0x0_4E_50_52_5A

_NAMES: Final = (
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = 'cdr'::regclass ORDER BY c.relname"
)
_MONTHS_OF: Final = (
    "SELECT DISTINCT to_char(to_timestamp(r.started_ms / 1000.0) AT TIME ZONE 'UTC', 'YYYY_MM')"
    " FROM json_to_recordset(%s::json) AS r(started_ms bigint)"
    f" WHERE r.started_ms >= {FIRST_MS} AND r.started_ms < {END_MS}"
)
_NOW: Final = (
    "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'),"
    " to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month', 'YYYY_MM')"
)


def names(connection: Connection) -> list[str]:
    """The partitions that there are."""
    return [str(name) for (name,) in connection.exec_driver_sql(_NAMES)]


def make_current(connection: Connection) -> None:
    """Have those of this month and the next one, by the database's clock."""
    row = connection.exec_driver_sql(_NOW).one()
    _make(connection, map(str, row))


def make_for(connection: Connection, records: str) -> None:
    """Have those that `records` need, a JSON array, as far as they may be made."""
    _make(connection, [str(month) for (month,) in connection.exec_driver_sql(_MONTHS_OF, (records,))])


def name_at(at_ms: int) -> str:
    """The partition that has this instant, in milliseconds since the epoch, up to END_MS."""
    if at_ms < FIRST_MS:
        return EARLY
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("cdr_%Y_%m")


def outlived(there: Iterable[str], before_ms: int) -> list[str]:
    """Those of months that ended before an instant, the oldest first."""
    last = name_at(before_ms)
    if last == EARLY:
        return []
    return sorted(name for name in there if _is_month(name) and name < last)


def drop(connection: Connection, name: str) -> None:
    """Drop one, with its rows. Detached first: `cdr` is locked for the blink that this takes."""
    connection.exec_driver_sql(f"ALTER TABLE cdr DETACH PARTITION {name}")
    connection.exec_driver_sql(f"DROP TABLE {name}")


def _is_month(name: str) -> bool:
    year, _, month = name.removeprefix("cdr_").partition("_")
    return name.startswith("cdr_") and year.isdecimal() and month.isdecimal()


def _make(connection: Connection, months: Iterable[str]) -> None:
    """Make what is missing; another recorder, which does so at the same time, has its turn first."""
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MAKING_LOCK})")
    there = set(names(connection))
    following = f"cdr_{connection.exec_driver_sql(_NOW).one()[1]}"
    ahead = sum(_is_month(name) and name > following for name in there)
    for month in sorted(months):
        name = f"cdr_{month}"
        if name in there:
            continue
        if name > following:
            if ahead >= MOST_AHEAD:
                continue
            ahead += 1
        begin, end = _bounds(month)
        connection.exec_driver_sql(
            f"CREATE TABLE IF NOT EXISTS {name} (LIKE cdr INCLUDING DEFAULTS INCLUDING INDEXES)"
        )
        connection.exec_driver_sql(
            f"ALTER TABLE cdr ATTACH PARTITION {name} FOR VALUES FROM ('{begin}') TO ('{end}')"
        )


def _bounds(month: str) -> tuple[str, str]:
    """The first instant of a month such as "2026_11", and that of the next one."""
    year, number = int(month[:4]), int(month[5:])
    following = (year + 1, 1) if number == 12 else (year, number + 1)
    return f"{year:04}-{number:02}-01 00:00:00+00", f"{following[0]:04}-{following[1]:02}-01 00:00:00+00"
