"""Call records as rows of table `cdr`: statements that store many, and how they stand in each database.

PostgreSQL gets the records of a journal as they are, in one JSON array, and takes them apart itself:
2 us of our CPU for each of 1,240 octets. SQLite's functions for JSON run in our process: by them a
record takes 43 us in a table that is small, decoded here and given row by row 9.5.
"""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from oneproxy.records.record import Attempt, Record, decode_record
from oneproxy.store.database import straight
from oneproxy.store.tables import cdr

COLUMNS: Final = tuple(str(column.name) for column in cdr.columns)
NAMES: Final = ", ".join(COLUMNS)
#: The field of a record that a column is of, where it has another name: instants.
FIELDS: Final = {column: column.replace("_at", "_ms") for column in COLUMNS if column.endswith("_at")}
#: Whole numbers beside the instants.
_NUMBERS: Final = ("post_dial_delay_ms", "duration_ms", "status", "q850")
_BEGIN: Final = f"INSERT INTO cdr ({NAMES})"
#: The first instant that "YYYY" does not hold.
_END_OF_CALENDAR_MS: Final = 253_402_300_800_000


class UnfitError(Exception):
    """Records that are none; the text is one line for people."""


def _taken_apart(column: str) -> str:
    """What PostgreSQL makes of a field. What a record leaves out is NULL; a call that was answered
    and over at once lasted 0 ms."""
    if column in FIELDS:
        return f"to_timestamp(r.{FIELDS[column]} / 1000.0)"
    if column == "duration_ms":
        return "coalesce(r.duration_ms, CASE WHEN r.answered_ms IS NOT NULL THEN 0 END)"
    return f"r.{column}"


def _type(column: str) -> str:
    if column in FIELDS:
        return f"{FIELDS[column]} bigint"
    kinds = {"id": "uuid", "attempts": "jsonb", "status": "integer", "q850": "integer"}
    return f"{column} {kinds.get(column, 'bigint' if column.endswith('_ms') else 'text')}"


_FROM_JSON: Final = (
    f"{_BEGIN} SELECT {', '.join(map(_taken_apart, COLUMNS))} FROM json_to_recordset(%s::json)"
    f" AS r({', '.join(map(_type, COLUMNS))}) ON CONFLICT DO NOTHING"
)
_ROW: Final = f"{_BEGIN} VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT DO NOTHING"


def _defined(column: str) -> Any:
    """A field of `_Row`: what was left out stays None, and attempts stay the JSON that they are."""
    name = FIELDS.get(column, column)
    if column in ("id", "started_at"):
        return (name, str if column == "id" else int)
    if column == "attempts":
        return (name, msgspec.Raw, msgspec.Raw())
    return (name, int | None if column in FIELDS or column in _NUMBERS else str | None, None)


_Row: Final[Any] = msgspec.defstruct("_Row", [_defined(column) for column in COLUMNS], gc=False)
_rows: Final = msgspec.json.Decoder(list[_Row])
_attempts: Final = msgspec.json.Decoder(list[Attempt])


def array_of(records: Sequence[bytes]) -> str:
    """One JSON array of them. Raises UnfitError where it would be no text."""
    if not all(records):
        raise UnfitError("there is nothing in it")
    joined = b"[%b]" % b",".join(records)
    if b"\0" in joined:
        raise UnfitError("a NUL in it")
    try:
        return joined.decode()
    except UnicodeDecodeError as error:
        raise UnfitError("it is not UTF-8") from error


def insert(connection: Connection, records: Sequence[bytes], array: str) -> None:
    """Store them; those that are there already stay as they are.

    array: the same, as `array_of` makes it. Raises UnfitError, and SQLAlchemyError.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_FROM_JSON, (array,))
        return
    if "\\u" in array:
        # Rare, since the journal escapes little: what PostgreSQL would refuse.
        for record in records:
            _look_at_texts(record)
    try:
        rows = _rows.decode(array)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise UnfitError(f"it is no record: {error}") from error
    values = [_values(row) for row in rows]
    if not connection.in_transaction():
        # So that it commits what SQLite begins by itself.
        connection.begin()
    straight(connection, _ROW, values)


def _look_at_texts(record: bytes) -> None:
    """See that every text is one, in attempts too."""
    try:
        found = decode_record(record)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise UnfitError(f"it is no record: {error}") from error
    if any("\0" in text for text in _texts((found, *found.attempts))):
        raise UnfitError("a NUL in a text")


def _texts(structs: Iterable[msgspec.Struct]) -> Iterable[str]:
    for struct in structs:
        yield from (value for value in msgspec.structs.astuple(struct) if isinstance(value, str))


def _values(row: Any) -> tuple[Any, ...]:
    """A row as SQLite has it. Raises UnfitError."""
    duration_ms = row.duration_ms
    if duration_ms is None and row.answered_ms:
        duration_ms = 0
    return (
        row.id,
        instant(row.started_ms),
        row.first_response_ms and instant(row.first_response_ms),
        row.ringing_ms and instant(row.ringing_ms),
        row.answered_ms and instant(row.answered_ms),
        row.ended_ms and instant(row.ended_ms),
        row.post_dial_delay_ms,
        duration_ms,
        row.status,
        row.cause,
        row.reason,
        row.q850,
        row.ended_by,
        row.call_id,
        row.from_tag,
        row.to_tag,
        row.caller_uri,
        row.callee_uri,
        row.caller,
        row.callee,
        row.routed_caller,
        row.routed_callee,
        row.domain,
        row.subscriber,
        row.source,
        row.transport,
        row.provider,
        row.gateway,
        str(row.attempts, "utf-8") or None,
        row.node,
        row.caller_agent,
        row.callee_agent,
    )


def instant(at_ms: int) -> str:
    """An instant as SQLite has it: "2026-11-25 10:58:29.123". Raises UnfitError."""
    if not 0 <= at_ms < _END_OF_CALENDAR_MS:
        raise UnfitError(f"the instant {at_ms} ms, which no calendar has")
    return f"{_second(at_ms // 1000)}.{at_ms % 1000:03}"


@lru_cache(8192)
def _second(at: int) -> str:
    """Records that come together have most of their seconds in common: 0.1 us for 1."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


def record_of(row: Sequence[Any]) -> Record:
    """The record of a row that was read: instants in milliseconds, or as SQLite has them."""
    values = {
        FIELDS.get(column, column): _read(column, value)
        for column, value in zip(COLUMNS, row, strict=True)
        if value is not None
    }
    return Record(**values)


def _read(column: str, value: Any) -> Any:
    if column == "attempts":
        return attempts_of(value)
    if column in FIELDS and isinstance(value, str):
        return _milliseconds(value)
    return value


def attempts_of(text: str) -> list[Attempt]:
    """The attempts in a column; none where somebody has written something else there."""
    try:
        return _attempts.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return []


def _milliseconds(text: str) -> int:
    """Milliseconds since the epoch of an instant as SQLite has it."""
    whole, _, fraction = text.partition(".")
    at = datetime.fromisoformat(f"{whole}+00:00")
    return int(at.timestamp()) * 1000 + int(fraction or 0)
