"""The site in the system database: read, replaced whole, brought back.

A change is made of the version that it was based on. When another one came first it is
refused as `Stale`, or made again of that one; nothing is lost silently.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from oneproxy.site.difference import Difference, differences
from oneproxy.site.model import Entries, Key, Row, Version
from oneproxy.store import site_differences, site_rows
from oneproxy.store.database import Database, StoreError, reason
from oneproxy.store.site_rows import FileOf

#: Times that a change is made again because another one came first.
TRIES: Final = 10
#: Entries in a message to a node: 1 ms of its time.
PART: Final = 250

_Found = TypeVar("_Found")


class Stale(Struct, frozen=True):
    """The change was based on a version that is not the newest any more: this one is."""

    version: int


class Written(Struct, frozen=True):
    """The version that the site has now, and what differs from the one before; may be nothing."""

    version: Version
    differing: list[Difference]


class Sites:
    """The versions of the site in `database`, which is open. Raises StoreError.

    keep: how many of them `prune` leaves; 0: all.
    """

    def __init__(self, database: Database, keep: int = 0) -> None:
        self._database = database
        self._keep = keep
        #: SQLite's number of what was seen, and the connection that it is of: each counts anew.
        self._seen: tuple[Connection, int] | None = None
        self._latest = site_rows.NOTHING

    def latest(self) -> Version:
        """The newest version; number 0 where there is none."""
        return self._read(site_rows.latest)

    def look(self) -> Version:
        """The same, for who asks several times a second: SQLite is not read where nobody wrote."""

        def ask(connection: Connection) -> Version:
            number = site_rows.data_version(connection)
            seen = None if number is None else (connection, number)
            if seen is None or seen != self._seen:
                self._latest = site_rows.latest(connection)
                self._seen = seen
            return self._latest

        return self._read(ask)

    def find(self, version: int) -> Version | None:
        """The version of this number."""
        return self._read(lambda connection: site_rows.find(connection, version))

    def versions(self, most: int) -> list[Version]:
        """The newest versions, newest first, each with how much differs from the one before."""
        return self._read(lambda connection: site_rows.list_versions(connection, most))

    def entries(self, version: int) -> Entries:
        """Every entry of a version."""
        return self._read(lambda connection: site_rows.read(connection, version))

    def page(self, base: int, version: int, after: Key, rows: int = PART) -> list[Row]:
        """As `site_rows.page`."""
        return self._read(lambda connection: site_rows.page(connection, base, version, after, rows))

    def differing(self, of: int, to: int, after: Key, rows: int) -> list[Difference]:
        """As `site_differences.differing`."""
        return self._read(lambda connection: site_differences.differing(connection, of, to, after, rows))

    def write(self, base: int, differing: list[Difference], fresh: Version) -> Written | Stale:
        """Have the newest version, which has to be `base`, differ so; what `check_edits` found sound."""
        return self._write(base, differing, fresh, None)

    def replace(self, wanted: Entries, fresh: Version, file: FileOf | None = None) -> Written | Stale:
        """Have `wanted` be the site. Without a difference there is no new version.

        fresh: who, when and why; its number does not count. file: where it was read from.
        """
        for _ in range(TRIES):
            base = self.latest().version
            # Read before the lock is taken, so that others wait for what differs alone.
            differing = differences(self.entries(base), wanted)
            written = self._write(base, differing, fresh, file)
            if isinstance(written, Written):
                return written
        return written

    def is_applied(self, file: FileOf) -> bool:
        """Whether the site in a file is the one that came last from it, or last from any file."""
        return self._read(lambda connection: site_rows.is_applied(connection, file))

    def runs(self, file: FileOf) -> bool:
        """Whether the newest version is what is in the file, and nothing was changed since."""
        return self._read(lambda connection: site_rows.runs(connection, file))

    def roll_back(self, to: int, fresh: Version) -> Written | Stale | None:
        """A new version that equals the version `to`; None where there is no such version."""
        entries = self.entries(to)
        # It goes with its entries: if it is there now, these were whole.
        return None if self.find(to) is None else self.replace(entries, fresh)

    def prune(self, now: float) -> None:
        """Forget some of the versions that are too many at `now`, seconds since the epoch."""
        if not self._keep:
            return

        def work(connection: Connection) -> None:
            site_rows.prune(connection, self._keep, now)
            connection.commit()
            self._seen = None

        self._read(work)

    def _write(
        self, base: int, differing: list[Difference], fresh: Version, file: FileOf | None
    ) -> Written | Stale:
        if not differing and file is None:
            return Written(self.latest(), [])

        def work(connection: Connection) -> Written | Stale:
            site_rows.lock(connection)
            version = site_rows.latest(connection)
            if version.version != base:
                return Stale(version.version)
            if differing:
                version = Version(base + 1, fresh.at, fresh.who, fresh.comment)
                site_rows.write(connection, version, differing)
            if file is not None:
                site_rows.note_file(connection, file, version.version, fresh.at)
            connection.commit()
            # Our own commit does not change the number that SQLite tells those who look.
            self._seen = None
            return Written(version, differing)

        return self._read(work)

    def _read(self, work: Callable[[Connection], _Found]) -> _Found:
        """Do `work` in a transaction that it may commit."""
        try:
            connection = self._database.connection()
            found = work(connection)
            connection.rollback()
        except SQLAlchemyError as error:
            self._database.drop()
            raise StoreError(self._database.complaint(reason(error))) from None
        except BaseException:
            self._database.drop()
            raise
        return found
