"""Looking for call records: the newest that fit, page by page.

Pages follow the key (started_at, id) downwards, so that each row is seen once whatever comes meanwhile.
What is asked of a number becomes one query for each index that knows it, since "caller or callee" would
have all of the table read; each gives as many rows as the page has, and they are merged.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from oneproxy.records.record import Record
from oneproxy.records.wanted import Wanted
from oneproxy.store.database import Database, StoreError, reason
from oneproxy.store.record_rows import COLUMNS, FIELDS, UnfitError, instant, record_of

#: How long a search may take: it is for people, who can say less of it.
SEARCH_S: Final = 4.0
#: Steps of SQLite between two looks at the clock.
_STEPS: Final = 20_000
#: SQLSTATE query_canceled.
_CANCELLED: Final = "57014"
#: How far from the instant in its id a record may say that it began: their clock is the same.
_ID_APART_MS: Final = 60_000
#: A row's place: when it began, and its id.
Place = tuple[int, str]


class SlowError(StoreError):
    """A search takes too long."""


def _shown(column: str) -> str:
    """How PostgreSQL is asked for a column; instants in milliseconds, since years may pass 9999."""
    if column in FIELDS:
        return f"(extract(epoch FROM {column}) * 1000)::bigint"
    return f"{column}::text" if column in ("id", "attempts") else column


_SELECT: Final = {
    "sqlite": f"SELECT {', '.join(COLUMNS)} FROM cdr",
    "postgresql": f"SELECT {', '.join(map(_shown, COLUMNS))}, started_at AS at, id AS key FROM cdr",
}
#: By the columns themselves, and not by what is shown of them: that is how the indexes are.
_ORDER: Final = {
    "sqlite": "ORDER BY cdr.started_at DESC, cdr.id DESC LIMIT ?",
    "postgresql": "ORDER BY cdr.started_at DESC, cdr.id DESC LIMIT %s",
}


class RecordSearch:
    """Searches table `cdr` in the proxy database at `url`, over a connection of its own; one thread."""

    def __init__(self, url: str) -> None:
        """Raises StoreError for a URL that cannot be used."""
        self._database = Database("proxy", url)

    def close(self) -> None:
        """Close the connection."""
        self._database.drop()

    def find(self, wanted: Wanted, after: Place | None, rows: int) -> list[Record]:
        """The newest records behind `after`, at most `rows`. Raises StoreError."""
        for attempt in (1, 2):
            try:
                connection = self._database.connection()
                with _limited(connection):
                    found = search(connection, wanted, after, rows)
                connection.rollback()
                return found
            except SQLAlchemyError as error:
                self._database.drop()
                if _is_slow(error):
                    why = f"the search takes longer than {SEARCH_S:.0f} s"
                    raise SlowError(f"{why}; say `since`, or a whole number or Call-ID") from None
                if attempt == 2 or not (isinstance(error, DBAPIError) and error.connection_invalidated):
                    raise StoreError(self._database.complaint(reason(error))) from None
        raise AssertionError("the second attempt returns")


@contextmanager
def _limited(connection: Connection) -> Iterator[None]:
    """Have a search end after SEARCH_S."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(SEARCH_S * 1000)}")
        yield
        return
    driver: Any = connection.connection.driver_connection
    end_at = time.monotonic() + SEARCH_S
    driver.set_progress_handler(lambda: time.monotonic() > end_at, _STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


def search(connection: Connection, wanted: Wanted, after: Place | None, rows: int) -> list[Record]:
    """The newest records behind `after`, at most `rows`. Raises SQLAlchemyError."""
    try:
        statement, values = query(connection.dialect.name, wanted, after, rows)
    except UnfitError:
        # Before the epoch, or after the end of the calendar: nothing began there.
        return []
    found: dict[str, Record] = {}
    for row in connection.exec_driver_sql(statement, values):
        record = record_of(row[: len(COLUMNS)])
        found.setdefault(record.id, record)
    return list(found.values())[:rows]


def query(dialect: str, wanted: Wanted, after: Place | None, rows: int) -> tuple[str, tuple[Any, ...]]:
    """The statement, and its values. Some rows may come twice, one behind the other.

    Raises UnfitError for instants that are none.
    """
    common = _Conditions(dialect)
    common.add_all(wanted, after)
    queries: list[str] = []
    values: list[Any] = []
    for condition, value in _sides(dialect, wanted.number):
        where = " AND ".join(["TRUE", *common.texts, *condition])
        queries.append(f"SELECT * FROM ({_SELECT[dialect]} WHERE {where} {_ORDER[dialect]}) AS found")
        values += [*common.values, *value, rows]
    if len(queries) == 1:
        return queries[0], tuple(values)
    order = "at DESC, key DESC" if dialect == "postgresql" else "started_at DESC, id DESC"
    return f"{' UNION ALL '.join(queries)} ORDER BY {order}", tuple(values)


class _Conditions:
    """What all rows have to have, as text and values."""

    def __init__(self, dialect: str) -> None:
        self.texts: list[str] = []
        self.values: list[Any] = []
        self._is_postgresql = dialect == "postgresql"
        self._mark = "%s" if self._is_postgresql else "?"

    def add_all(self, wanted: Wanted, after: Place | None) -> None:
        """Raises UnfitError where an instant is none."""
        if wanted.id:
            self._add_id(wanted.id)
        for column in ("caller", "callee"):
            text = getattr(wanted, column)
            if text:
                condition, values = _of_side(self._mark, column, text)
                self._add(condition, *values)
        if wanted.call_id:
            self._add(f"call_id = {self._mark}", wanted.call_id)
        provider, _, gateway = wanted.gateway.rpartition("/")
        for column, text in (("provider", wanted.provider), ("provider", provider), ("gateway", gateway)):
            if text:
                self._add(f"{column} = {self._mark}", text)
        if wanted.status_from:
            self._add(f"status BETWEEN {self._mark} AND {self._mark}", wanted.status_from, wanted.status_to)
        if wanted.answered is not None:
            self._add(f"answered_at IS {'NOT ' if wanted.answered else ''}NULL")
        if wanted.since_ms:
            self._add(f"started_at >= {self._at}", self._instant(wanted.since_ms))
        if wanted.until_ms:
            self._add(f"started_at < {self._at}", self._instant(wanted.until_ms))
        if after is not None:
            self._add_after(after)

    def _add_id(self, key: str) -> None:
        # UUIDv7 (RFC 9562 5.7): its first 48 bits say when, which finds the row by the table's key.
        at_ms = UUID(key).int >> 80
        self._add(f"started_at >= {self._at}", self._instant(max(0, at_ms - _ID_APART_MS)))
        self._add(f"started_at <= {self._at}", self._instant(at_ms + _ID_APART_MS))
        self._add(f"id = {self._key}", key)

    def _add_after(self, after: Place) -> None:
        at = self._instant(after[0])
        # Said twice: by the first PostgreSQL leaves out partitions, by the second it finds the place.
        self._add(f"started_at <= {self._at}", at)
        self._add(f"(started_at, id) < ({self._at}, {self._key})", at, after[1])

    @property
    def _at(self) -> str:
        return "to_timestamp(%s / 1000.0)" if self._is_postgresql else "?"

    @property
    def _key(self) -> str:
        return "%s::uuid" if self._is_postgresql else "?"

    def _instant(self, at_ms: int) -> Any:
        text = instant(at_ms)
        return at_ms if self._is_postgresql else text

    def _add(self, text: str, *values: Any) -> None:
        self.texts.append(text)
        self.values += values


def _sides(dialect: str, number: str) -> Iterator[tuple[list[str], Sequence[Any]]]:
    """Where a number may stand, each for a query of its own; one without where no number is wanted."""
    if not number:
        yield [], ()
        return
    mark = "%s" if dialect == "postgresql" else "?"
    for column in ("caller", "callee"):
        if "*" in number or "@" in number:
            condition, values = _of_side(mark, column, number)
            yield [condition], values
        else:
            yield [f"{column} = {mark}"], (number,)
            # A user of whatever domain: what follows "alice@" and comes before "aliceA".
            yield [f"{column} >= {mark} AND {column} < {mark}"], (f"{number}@", f"{number}A")


def _of_side(mark: str, column: str, text: str) -> tuple[str, Sequence[Any]]:
    """The condition that a side is who `text` says."""
    if "*" in text:
        if mark == "?":
            pattern = "".join(f"[{one}]" if one in "?[" else one for one in text)
            return f"{column} GLOB ?", (pattern,)
        escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"{column} LIKE %s", (escaped.replace("*", "%"),)
    if "@" in text:
        return f"{column} = {mark}", (text,)
    return f"({column} = {mark} OR {column} >= {mark} AND {column} < {mark})", (text, f"{text}@", f"{text}A")


def _is_slow(error: SQLAlchemyError) -> bool:
    """Whether a search was ended for its time."""
    if not isinstance(error, DBAPIError):
        return False
    return getattr(error.orig, "sqlstate", None) == _CANCELLED or "interrupted" in str(error.orig)
