"""What is done with table `cdr` by who has records: storing them, and letting go of old ones.

Blocking calls over a connection of their own, all from one thread. Storing a record twice has no
further effect. A batch that the database refuses for what is in it is halved until the record is
alone, so that one keeps no other from being stored.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from oneproxy.store import partitions
from oneproxy.store.database import Database, UnreachableError, reason
from oneproxy.store.record_rows import UnfitError, array_of, insert, instant

#: Records in one transaction. SQLite lets nobody else write meanwhile, a REGISTER neither.
BATCH: Final = {"postgresql": 1_000, "sqlite": 250}
#: Rows that one step deletes.
EXPIRED: Final = 1_000
#: How long a step that deletes waits for what somebody else has locked.
LOCK_MS: Final = 500
#: Times that a transaction is tried, where the connection was broken or others were in its way.
TRIES: Final = 3
#: SQLSTATE: a deadlock or a serialization failure; no partition for a row; a lock not to be had.
_GAVE_WAY: Final = frozenset({"40001", "40P01"})
_NO_PARTITION: Final = "23514"
_LOCKED: Final = "55P03"
#: Classes of SQLSTATE: data exception, integrity, program limit exceeded.
_OF_A_RECORD: Final = frozenset({"22", "23", "54"})

_Found = TypeVar("_Found")

log = structlog.get_logger()


class Refused(NamedTuple):
    """A record that the database does not take."""

    record: bytes
    reason: str


class Records:
    """Table `cdr` in the proxy database at `url`. Raises StoreError for a URL that cannot be used."""

    def __init__(self, url: str) -> None:
        self._database = Database("proxy", url)
        #: How many records are best stored at once.
        self.batch = BATCH[self._database.dialect]

    def close(self) -> None:
        """Close the connection."""
        self._database.drop()

    def store(self, records: Sequence[bytes]) -> list[Refused]:
        """Store records, each the JSON of one; those that no database takes.

        Raises StoreError where they may be stored or not, and are to be stored again.
        """
        if not records:
            return []
        why = self._store(records)
        if why is None:
            return []
        if len(records) == 1:
            return [Refused(records[0], why)]
        middle = len(records) // 2
        return [*self.store(records[:middle]), *self.store(records[middle:])]

    def prepare(self) -> None:
        """Have a place for records of this month and the next one. Raises StoreError."""
        if self._database.dialect == "postgresql":
            self._do(partitions.make_current)

    def expire(self, before_ms: int) -> bool:
        """Delete some of what began before an instant; whether there is more. Raises StoreError."""
        if self._database.dialect == "sqlite":
            return self._do(lambda connection: _delete_sqlite(connection, before_ms))
        for name in self._do(lambda connection: partitions.outlived(partitions.names(connection), before_ms)):
            self._drop(name)
        return self._do(lambda connection: _delete_postgresql(connection, before_ms))

    def _drop(self, name: str) -> None:
        """Drop a partition, unless somebody else does so or has it locked: then the next step does."""
        if self._do(lambda connection: _drop(connection, name)):
            log.info("call records dropped", partition=name)

    def _store(self, records: Sequence[bytes]) -> str | None:
        """One transaction; why the database refuses what is in it. Raises StoreError."""
        made = False
        tries = 0
        while True:
            tries += 1
            try:
                array = array_of(records)
                connection = self._database.connection()
                insert(connection, records, array)
                connection.commit()
                return None
            except UnfitError as error:
                return str(error)
            except SQLAlchemyError as error:
                again = _may_pass(error) and tries < TRIES
                # Dropped in any case: what state a failed transaction left behind is not guessed at.
                self._database.drop()
                if _state(error) == _NO_PARTITION and not made:
                    made = True
                    self._do(lambda connection: partitions.make_for(connection, array))  # noqa: B023
                elif not again:
                    if _is_of_a_record(error):
                        return _told(error)
                    raise UnreachableError(self._database.complaint(reason(error))) from None

    def _do(self, work: Callable[[Connection], _Found]) -> _Found:
        """One transaction. Raises StoreError."""
        for attempt in (1, 2):
            try:
                connection = self._database.connection()
                found = work(connection)
                connection.commit()
                return found
            except SQLAlchemyError as error:
                self._database.drop()
                if attempt == 2 or not _may_pass(error):
                    raise UnreachableError(self._database.complaint(reason(error))) from None
        raise AssertionError("the second attempt returns")


def _drop(connection: Connection, name: str) -> bool:
    """Whether a partition was dropped."""
    if not _have_turn(connection) or name not in partitions.names(connection):
        return False
    try:
        partitions.drop(connection, name)
    except DBAPIError as error:
        if _state(error) != _LOCKED:
            raise
        # A backup, say, which reads all tables to its end.
        connection.rollback()
        return False
    return True


def _delete_postgresql(connection: Connection, before_ms: int) -> bool:
    """Delete some rows of the one month that an instant parts, and of those before all months; whether
    there are more."""
    if not _have_turn(connection):
        return False
    there = partitions.names(connection)
    for name in (partitions.EARLY, partitions.name_at(before_ms)):
        if name not in there:
            continue
        # By their places: of a row that is found by its key all partitions would be looked through.
        deleted = connection.exec_driver_sql(
            f"DELETE FROM {name} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {name}"
            " WHERE started_at < to_timestamp(%s / 1000.0) ORDER BY started_at LIMIT %s))",
            (before_ms, EXPIRED),
        )
        if deleted.rowcount == EXPIRED:
            return True
    return False


def _delete_sqlite(connection: Connection, before_ms: int) -> bool:
    deleted = connection.exec_driver_sql(
        "DELETE FROM cdr WHERE rowid IN"
        " (SELECT rowid FROM cdr WHERE started_at < ? ORDER BY started_at LIMIT ?)",
        (instant(max(before_ms, 0)), EXPIRED),
    )
    return deleted.rowcount == EXPIRED


def _have_turn(connection: Connection) -> bool:
    """Whether no other recorder is at it, until the transaction ends; nothing waits long for us."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MS}")
    lock = f"SELECT pg_try_advisory_xact_lock({partitions.DROPPING_LOCK})"
    return bool(connection.exec_driver_sql(lock).scalar())


def _state(error: Exception) -> str:
    """The SQLSTATE of what the server said; "" without one."""
    return (getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None) or ""


def _may_pass(error: SQLAlchemyError) -> bool:
    """Whether trying again at once may do better: a broken connection, or others in the way."""
    return _state(error) in _GAVE_WAY or (isinstance(error, DBAPIError) and error.connection_invalidated)


def _is_of_a_record(error: SQLAlchemyError) -> bool:
    """Whether what was to be stored is at fault, and not the database."""
    return isinstance(error, (DataError, IntegrityError)) or _state(error)[:2] in _OF_A_RECORD


def _told(error: SQLAlchemyError) -> str:
    """Why a record is refused. The server's own words for a missing partition do not say why."""
    if _state(error) == _NO_PARTITION:
        return f"its month has not come yet, as {partitions.MOST_AHEAD} others that there are records of"
    return reason(error)
