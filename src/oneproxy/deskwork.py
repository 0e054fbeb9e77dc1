"""What the admin process has done with the databases: blocking calls, all from one thread.

The connections are others than those of `work`, and so is the thread: a page of a long
list, or a version of many entries, keeps no REGISTER waiting for its commit.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from oneproxy.ipc.call_records import MAX_RECORDS_OCTETS, MOST_RECORDS, FindRecords, RecordsFound
from oneproxy.ipc.desk import (
    PAGE,
    Bindings,
    BindingsFound,
    Differences,
    DifferencesFound,
    Found,
    Look,
    Looked,
    LookUp,
    Refused,
    Rows,
    RowsFound,
    Stale,
    Versions,
    VersionsFound,
    Write,
    Written,
)
from oneproxy.records.record import encode_record
from oneproxy.site.difference import Difference
from oneproxy.site.model import Version
from oneproxy.store import locations
from oneproxy.store.database import Database, StoreError, reason
from oneproxy.store.record_search import RecordSearch, SlowError
from oneproxy.store.sites import Sites
from oneproxy.store.sites import Stale as Overtaken

#: Questions that are answered from the databases alone.
Reading = Look | Rows | Differences | Versions | Bindings | LookUp

_Found = TypeVar("_Found")

#: The code of `Refused` where the database cannot be used, and where it takes too long.
DATABASE: Final = "database"
SLOW: Final = "slow"


class DeskWork:
    """The databases of this machine, opened at the first question."""

    def __init__(self, proxy_url: str, system_url: str) -> None:
        """Raises StoreError for URLs that cannot be used."""
        self._proxy = Database("proxy", proxy_url)
        self._system = self._proxy if system_url in ("", proxy_url) else Database("system", system_url)
        self._sites = Sites(self._system)

    def close(self) -> None:
        """Close the connections."""
        self._proxy.drop()
        self._system.drop()

    def answer(self, question: Reading, now: float) -> Found:
        """What is asked for; now: seconds since the epoch."""
        try:
            return self._answer(question, now)
        except StoreError:
            # The server may have been restarted since, which breaks a connection once.
            pass
        try:
            return self._answer(question, now)
        except StoreError as error:
            return Refused(DATABASE, str(error))

    def write(self, write: Write, differing: list[Difference], now: float) -> Found:
        """Write a version. Not tried twice: it may be written although the connection broke."""
        try:
            found = self._sites.write(write.base, differing, Version(0, now, write.who, write.comment))
        except StoreError as error:
            return Refused(DATABASE, str(error))
        if isinstance(found, Overtaken):
            return Stale(found.version)
        return Written(found.version)

    def faults(self) -> tuple[str, str]:
        """Why the proxy and the system database cannot be used; "" where they can."""
        return self._fault(self._proxy), self._fault(self._system)

    def _answer(self, question: Reading, now: float) -> Found:
        match question:
            case Look():
                return self._look(question)
            case Rows(base, version, after):
                return RowsFound(self._sites.page(base, version, after, PAGE))
            case Differences(of, to, after):
                return DifferencesFound(self._sites.differing(of, to, after, PAGE))
            case Versions(most, 0):
                return VersionsFound(self._sites.versions(min(most, PAGE)))
            case Versions(_, version):
                found = self._sites.find(version)
                return VersionsFound([] if found is None else [found])
            case Bindings(prefix, after, most):
                rows = min(most, PAGE)
                return BindingsFound(
                    self._read(lambda link: locations.listing(link, now, after, prefix, rows))
                )
            case LookUp(aor):
                return BindingsFound(self._read(lambda link: locations.fetch(link, now, [aor])))

    def _look(self, look: Look) -> Looked:
        latest = self._sites.latest()
        if not look.version or (look.version, look.at) == (latest.version, latest.at):
            return Looked(latest, bool(look.version))
        # A number alone could be of another history, of before a database was restored.
        known = self._sites.find(look.version)
        return Looked(latest, known is not None and known.at == look.at)

    def _read(self, read: Callable[[Connection], _Found]) -> _Found:
        """Read in a transaction of its own. Raises StoreError."""
        try:
            connection = self._proxy.connection()
            found = read(connection)
            connection.rollback()
        except SQLAlchemyError as error:
            self._proxy.drop()
            raise StoreError(self._proxy.complaint(reason(error))) from None
        return found

    def _fault(self, database: Database) -> str:
        for attempt in (1, 2):
            try:
                connection = database.connection()
                connection.execute(text("SELECT 1"))
                connection.rollback()
            except (SQLAlchemyError, StoreError) as error:
                database.drop()
                if attempt == 2 or isinstance(error, StoreError):
                    return reason(error)
            else:
                return ""
        raise AssertionError("the second attempt returns")


class SearchWork:
    """Looks for call records, in a thread of its own: a search may take seconds."""

    def __init__(self, proxy_url: str) -> None:
        """Raises StoreError for a URL that cannot be used."""
        self._search = RecordSearch(proxy_url)

    def close(self) -> None:
        """Close the connection."""
        self._search.close()

    def find(self, question: FindRecords) -> Found:
        """The records that are wanted, as many as fit into an answer."""
        rows = max(1, min(question.most, MOST_RECORDS))
        try:
            records = self._search.find(question.wanted, question.after, rows)
        except SlowError as error:
            return Refused(SLOW, str(error))
        except StoreError as error:
            return Refused(DATABASE, str(error))
        size = 0
        for count, record in enumerate(records):
            size += len(encode_record(record))
            if size > MAX_RECORDS_OCTETS and count:
                return RecordsFound(records[:count], True)
        return RecordsFound(records, len(records) == rows)
