"""One database: its URL, its connection, and what went wrong with it in one line.

A `Database` holds at most one connection, used by one thread. It opens it when asked,
drops it when it broke, and after a failed attempt waits a little before the next one,
so that a server that is down costs each group of changes a refusal and not a timeout.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from oneproxy.store.schema import HEAD, NewerSchemaError, ensure, version

#: How long SQLite waits for another process's lock, and PostgreSQL for its connection
#: and for one statement.
BUSY_S: Final = 5
CONNECT_S: Final = 5
STATEMENT_S: Final = 10
#: How long PostgreSQL keeps a transaction of ours that asks nothing: that of a machine which is
#: gone has locks on rows, and others that wait for these must not run out of STATEMENT_S.
IDLE_S: Final = 5
#: How long PostgreSQL waits for a row that somebody else has locked, and how long where it is looked
#: for which row that is. Commits of other recorders take milliseconds; the transaction that somebody
#: forgot to end lasts, and one row of it must not hold up all others.
LOCK_S: Final = 0.5
BRIEF_LOCK_S: Final = 0.05
#: After a failed attempt to connect no other is made for this long.
RETRY_S: Final = 1.0

DRIVERS: Final = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


class StoreError(Exception):
    """The database cannot do what was asked; the text is one line for people."""


class UnreachableError(StoreError):
    """It cannot be used now, but another time it may: a server that is down, a file that is locked."""


class Database:
    """The database at `url`; role is what people call it: "proxy" or "system".

    reading: nothing is written, for which the right to read is enough.
    Raises StoreError for a URL that names no database that is supported.
    """

    def __init__(self, role: str, url: str, reading: bool = False) -> None:
        self.role = role
        parsed = _parse(role, url)
        #: The URL without its password, for people.
        self.shown = shown(parsed)
        self._file = parsed.database if parsed.get_backend_name() == "sqlite" else None
        self._reading = reading
        self._engine = self._read_engine("mode=ro") if reading and self._is_file else _engine(parsed)
        self._connection: Connection | None = None
        self._retry_at = 0.0
        self._fault = ""

    @property
    def dialect(self) -> str:
        """ "sqlite" or "postgresql"."""
        return self._engine.dialect.name

    def open(self) -> None:
        """Connect, make or migrate the tables, and see that writing works. Raises StoreError.

        Where nothing is to be written: see that the tables are those that are known here.
        """
        if self._reading:
            self._open_reading()
            return
        self._check_place()
        try:
            connection = self.connection()
            self._check_encoding(connection)
            ensure(connection)
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                connection.rollback()
        except (SQLAlchemyError, NewerSchemaError) as error:
            self.drop()
            if isinstance(error, NewerSchemaError):
                raise StoreError(self.complaint(str(error), "install the version that made them")) from None
            kind = UnreachableError if _may_pass(error) else StoreError
            raise kind(self.complaint(reason(error))) from None

    def _open_reading(self) -> None:
        try:
            try:
                found = version(self.connection())
            except OperationalError:
                # A file that nobody has open needs others beside it, which only those may make who
                # may write there; but then nobody writes, and it can be taken as it is.
                if not self._is_file or os.path.exists(f"{self._file}-wal"):
                    raise
                self.drop()
                self._retry_at = 0.0
                self._engine = self._read_engine("immutable=1")
                found = version(self.connection())
            self.connection().rollback()
        except SQLAlchemyError as error:
            self.drop()
            raise UnreachableError(self.complaint(reason(error), "see that we may read it")) from None
        if found != HEAD:
            self.drop()
            why = "it has no tables" if found is None else f"its tables have version {found}, not {HEAD}"
            raise StoreError(self.complaint(why, "`oneproxy run` or `apply` of this version makes them"))

    @property
    def _is_file(self) -> bool:
        """Whether it is a file of SQLite by its plain name."""
        return self._file not in (None, "", ":memory:") and not str(self._file).startswith("file:")

    def _read_engine(self, how: str) -> Engine:
        uri = f"{Path(str(self._file)).absolute().as_uri()}?{how}"
        return create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(uri, uri=True, timeout=BUSY_S),
            poolclass=NullPool,
        )

    def exists(self) -> bool:
        """Whether there is a file; of a server nobody knows before it is asked."""
        return self._file is None or os.path.exists(self._file)

    def connection(self) -> Connection:
        """The connection, opened if there is none. Raises SQLAlchemyError or StoreError."""
        if self._connection is not None:
            return self._connection
        now = time.monotonic()
        if now < self._retry_at:
            raise UnreachableError(self._fault)
        try:
            self._connection = self._engine.connect()
        except SQLAlchemyError as error:
            self._retry_at = time.monotonic() + RETRY_S
            self._fault = reason(error)
            raise
        return self._connection

    def arguments(self) -> dict[str, Any]:
        """What psycopg needs to make a connection of its own."""
        _, named = self._engine.dialect.create_connect_args(self._engine.url)
        return dict(named)

    def drop(self) -> None:
        """Forget the connection; the next use opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except SQLAlchemyError:
                # It is broken already, which is why it is dropped; where SQLAlchemy has seen to
                # that itself it takes the connection for closed.
                with contextlib.suppress(SQLAlchemyError):
                    connection.invalidate()

    def complaint(self, why: str, way_out: str = "") -> str:
        """One line that names the database, what is wrong with it, and the way out."""
        if not way_out and self.dialect == "postgresql":
            way_out = "see that the server runs and lets us in"
        elif not way_out:
            way_out = "see that we may write it and its directory"
        change = f"change `{self.role}` under [database]"
        return f"cannot use the {self.role} database {self.shown}: {why}; {way_out}, or {change}"

    def _check_place(self) -> None:
        """SQLite says "unable to open database file" for everything: say which it is."""
        if self._file is None or self._file in ("", ":memory:") or self._file.startswith("file:"):
            return
        directory = os.path.dirname(os.path.abspath(self._file))
        if not os.path.isdir(directory):
            raise StoreError(
                f"cannot use the {self.role} database {self.shown}: "
                f"the directory {directory} does not exist; "
                f"create it, or change `{self.role}` under [database]"
            )
        if not os.access(directory, os.W_OK):
            raise StoreError(self.complaint(f"the directory {directory} cannot be written"))

    def _check_encoding(self, connection: Connection) -> None:
        """Any octet may stand in a contact, and only UTF8 stores them all."""
        if self.dialect != "postgresql":
            return
        encoding = connection.execute(text("SHOW server_encoding")).scalar()
        connection.rollback()
        if encoding != "UTF8":
            raise StoreError(
                f"cannot use the {self.role} database {self.shown}: its encoding is {encoding}; "
                "create it with ENCODING 'UTF8'"
            )


def _may_pass(error: SQLAlchemyError) -> bool:
    """Whether another time it may go well: SQLite's plain "error" is of tables that are not ours."""
    if not isinstance(error, OperationalError):
        return False
    return getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR


def _parse(role: str, url: str) -> URL:
    """Read a URL and choose the driver."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    driver = None if parsed is None else DRIVERS.get(parsed.drivername)
    if parsed is None or driver is None:
        # What cannot be read is not shown: there may be a password in it.
        found = "it is no URL" if parsed is None else f"{parsed.drivername} is not supported"
        raise StoreError(
            f"cannot use the {role} database: {found}; write `{role}` under [database] "
            "as sqlite:///path/to/file.db or postgresql://user:password@host/name"
        )
    return parsed.set(drivername=driver)


def shown(url: URL) -> str:
    """A URL as people may see it: without a password, also where it stands as a parameter."""
    secret = [name for name in url.query if "password" in name.lower()]
    plain = url.difference_update_query(secret)
    return plain.render_as_string(hide_password=True).replace("postgresql+psycopg:", "postgresql:")


def _engine(url: URL) -> Engine:
    """The engine for `url`; nothing is connected yet."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_S})
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    arguments = {
        "connect_timeout": CONNECT_S,
        "application_name": "oneproxy",
        # A server whose machine is gone sends nothing at all: these make it an error.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": int(STATEMENT_S * 1000),
    }
    arguments = {name: value for name, value in arguments.items() if name not in url.query}
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments)
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    """Settings of a connection.

    WAL lets people read while the recorder writes. FULL has each commit reach the disk:
    then a 200 OK survives a power failure as it survives kill -9, for one fsync per group.
    """
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    """Settings of a connection."""
    connection.execute(settings())
    connection.commit()


def straight(connection: Connection, statement: str, rows: Sequence[Any] | None = None) -> sqlite3.Cursor:
    """Have SQLite do it as it stands, for every row of `rows` where there are any.

    SQLAlchemy's share, of 0.1 ms each time, is left out. Raises SQLAlchemyError as that would.
    """
    driver: Any = connection.connection.driver_connection
    try:
        if rows is None:
            found: sqlite3.Cursor = driver.execute(statement)
        else:
            found = driver.executemany(statement, rows)
    except sqlite3.Error as error:
        dialect = connection.dialect
        raise DBAPIError.instance(statement, None, error, sqlite3.Error, dialect=dialect) from error
    return found


def settings() -> str:
    """What a connection to PostgreSQL begins with.

    No statement may hold up the recorder for long, nor a transaction of a machine that is gone.
    """
    return (
        f"SET statement_timeout = {int(STATEMENT_S * 1000)};"
        f"SET idle_in_transaction_session_timeout = {int(IDLE_S * 1000)}"
    )


def reason(error: Exception) -> str:
    """What the database said, in one line and without the statement and its values."""
    said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
