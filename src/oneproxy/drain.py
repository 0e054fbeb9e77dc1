"""The recorder's part that puts call records from the journals of nodes into the database.

    journal of a node -- read --> a piece -- store, commit --> table cdr
                     <---------------- store_drained ----------

In a thread and over a connection of its own, so that no REGISTER waits for it. A piece is stored before
the journal is told so: whoever dies between has the next one store it again, which has no effect. So
it does not matter which nodes run, or whether they are there any more: each folder is read to its end.
While the database is away nothing is lost and nothing waits but the records in their journals.
"""

import asyncio
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import msgspec
import structlog

from oneproxy import logs
from oneproxy.ipc.call_records import RecordsHealth
from oneproxy.records import tail
from oneproxy.records.record import decode_record
from oneproxy.site.entries import part
from oneproxy.site.model import Cdr, Machine, Version
from oneproxy.store.database import StoreError
from oneproxy.store.records import Records, Refused

#: Before the journals are looked at again, where they had nothing, and after a fault.
POLL_S: Final = 0.5
AGAIN_S: Final = 1.0
#: Between two steps that delete old rows, and after the last one.
EXPIRE_EVERY_S: Final = 2.0
EXPIRE_PAUSE_S: Final = 60.0
#: How long the end of OneProxy waits for what is not stored yet.
FINISH_S: Final = 3.0
#: And how much longer for a piece that the database does not end.
LINGER_S: Final = 1.0
#: How often the site is looked at: keep_days is in no hurry.
FOLLOW_S: Final = 1.0
#: Where records are kept that no database takes, in the folder of their journal.
REFUSED: Final = "refused.jsonl"
_DAY_MS: Final = 86_400_000
#: What the files of a journal are called that are numbered.
_SEGMENT: Final = ".log"

log = structlog.get_logger()


class Piece(Protocol):
    """Some records of a journal, as `records.tail` reads them."""

    @property
    def records(self) -> list[bytes]:
        """The JSON of each."""
        ...

    @property
    def place(self) -> Any:
        """Where to go on when these are stored."""
        ...

    @property
    def lost(self) -> int:
        """How many segments are gone that nobody has read."""
        ...

    @property
    def ended(self) -> bool:
        """Whether there is nothing more for now."""
        ...


class Tail(Protocol):
    """Reads journals: the module `records.tail`. All of it raises OSError."""

    def folders(self, directory: str) -> list[str]:
        """The journals that there are."""
        ...

    def load_drained(self, folder: str) -> Any:
        """Up to which place records are stored."""
        ...

    def read(self, folder: str, after: Any, most: int) -> Piece:
        """The next records behind a place."""
        ...

    def store_drained(self, folder: str, place: Any) -> None:
        """They are stored up to this place."""
        ...


class Feed(Protocol):
    """Who knows the site: `sitefeed.Feed`."""

    latest: Version | None

    async def single(self, section: str) -> str:
        """The value of a section that is one table, "" where there is none. Raises StoreError."""
        ...


class Table(Protocol):
    """Table `cdr`: `store.records.Records`. All of it raises StoreError."""

    batch: int

    def prepare(self) -> None:
        """Have a place for records of this month and the next."""
        ...

    def store(self, records: Sequence[bytes]) -> list[Refused]:
        """Store them; those that no database takes."""
        ...

    def expire(self, before_ms: int) -> bool:
        """Delete some of what began before; whether there is more."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Drain:
    """Drains the journals beside `directory` into `table`."""

    def __init__(self, directory: str, table: Table, tail: Tail) -> None:
        self._directory = directory
        self._table = table
        self._tail = tail
        #: What the site says of call records.
        self.cdr = Cdr()
        #: Since the start: records stored and refused, segments that were lost.
        self.stored = 0
        self.refused = 0
        self.lost = 0
        #: Why nothing can be stored, "" where it can; and when the oldest record ended that waits for it.
        self._reason = ""
        self._oldest_ms = 0
        self._waiting = 0
        self._expire_at = 0.0
        self._finish_at: float | None = None
        self._wake = threading.Event()
        self._seldom = logs.RateLimited(log)
        self._thread = threading.Thread(target=self._run, name="drain", daemon=True)

    def start(self) -> None:
        """Begin, until `finish`."""
        self._thread.start()

    def finish(self, patience_s: float = FINISH_S) -> None:
        """Store what the journals have, for so long, and end. Waits for that, and for the piece in hand."""
        self._finish_at = time.monotonic() + patience_s
        self._wake.set()
        # A database that hangs has longer patience than we may have; what is not stored stays in its journal.
        self._thread.join(patience_s + LINGER_S)

    async def follow(self, feed: Feed) -> None:
        """Go by the newest version of the site, for ever; cancel it to end."""
        known: Version | None = None
        while True:
            latest = feed.latest
            if latest is not None and latest != known:
                try:
                    self.cdr = _cdr_of(await feed.single("cdr"))
                    known = latest
                except StoreError as error:
                    self._seldom.warning("site not read", time.monotonic(), reason=str(error))
            await asyncio.sleep(FOLLOW_S)

    def health(self) -> RecordsHealth:
        """How it fares; from any thread."""
        return RecordsHealth(
            self.stored, self.refused, self.lost, self._waiting, self._oldest_ms, self._reason
        )

    def turn(self, now: float) -> float:
        """One piece of each journal, or else one step of clearing out; how long to wait before the next turn.

        now: seconds of a clock that does not go back.
        """
        try:
            if self._drain(now):
                return 0.0
            if self._finish_at is None and now >= self._expire_at:
                self._expire_at = now + self._expire()
        except StoreError as error:
            self._fail(str(error))
            return AGAIN_S
        except OSError as error:
            self._complain(now, self._directory, error)
            return AGAIN_S
        return POLL_S

    def _run(self) -> None:
        while True:
            now = time.monotonic()
            try:
                wait_s = self.turn(now)
            except Exception:
                # Our own fault; the journals keep what there is.
                self._seldom.warning("call records not drained", now, exc_info=True)
                wait_s = AGAIN_S
            finish_at = self._finish_at
            if finish_at is not None and (wait_s or time.monotonic() >= finish_at):
                break
            if wait_s:
                self._wake.wait(wait_s)
        self._table.close()

    def _drain(self, now: float) -> bool:
        """Store a piece of each journal; whether there is more. Raises StoreError and OSError."""
        more = False
        waiting = 0
        for folder in self._tail.folders(self._directory):
            try:
                if not self._drain_one(folder):
                    more = True
                    waiting += self._behind(folder)
            except OSError as error:
                # Those of others are none the worse for it.
                self._complain(now, folder, error)
        self._waiting = waiting
        return more

    def _drain_one(self, folder: str) -> bool:
        """Store a piece of a journal; whether that was the last for now. Raises StoreError and OSError."""
        place = self._tail.load_drained(folder)
        piece = self._tail.read(folder, place, self._table.batch)
        if piece.records:
            self._store(folder, piece.records)
        if piece.place != place:
            self._tail.store_drained(folder, piece.place)
        self.lost += piece.lost
        return piece.ended

    def _store(self, folder: str, records: list[bytes]) -> None:
        try:
            refused = self._table.store(records)
        except StoreError:
            self._oldest_ms = _ended_ms(records[0])
            raise
        if refused:
            keep_refused(os.path.join(folder, REFUSED), refused)
            self.refused += len(refused)
            kept_in = os.path.join(folder, REFUSED)
            reason, count = refused[0].reason, len(refused)
            log.error("call records refused", reason=reason, records=count, kept_in=kept_in)
        self.stored += len(records) - len(refused)
        self._succeed()

    def _expire(self) -> float:
        """One step of clearing out; how long to wait before the next one. Raises StoreError."""
        cdr = self.cdr
        if cdr.enabled:
            self._table.prepare()
            self._succeed()
        if cdr.keep_days and self._table.expire(int(time.time() * 1000) - cdr.keep_days * _DAY_MS):
            return EXPIRE_EVERY_S
        return EXPIRE_PAUSE_S

    def _succeed(self) -> None:
        if self._reason:
            log.info("call records stored again")
        self._reason, self._oldest_ms = "", 0

    def _fail(self, reason: str) -> None:
        """Nothing can be stored: said once, until it can."""
        if not self._reason:
            log.warning("call records not stored", reason=reason)
        self._reason = reason
        with suppress(OSError):
            self._waiting = sum(self._behind(folder) for folder in self._tail.folders(self._directory))

    def _complain(self, now: float, folder: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        self._seldom.warning("journal not drained", now, folder, folder=folder, reason=reason)

    def _behind(self, folder: str) -> int:
        place = self._tail.load_drained(folder)
        return octets_behind(folder, place.segment, place.octets)


def begin_drain(machine: Machine) -> Drain:
    """Begin to drain the journals of this machine's nodes."""
    drain = Drain(os.path.dirname(machine.last_site), Records(machine.proxy_database), tail)
    drain.start()
    return drain


def _cdr_of(value: str) -> Cdr:
    """What [cdr] says; the defaults where somebody wrote into the database by hand."""
    with suppress(msgspec.MsgspecError):
        found = part("cdr", value)
        if isinstance(found, Cdr):
            return found
    return Cdr()


def octets_behind(folder: str, segment: int, octets: int) -> int:
    """How much of a journal may wait behind a place, at most: files have room before it is written.

    Raises OSError.
    """
    behind = 0
    with os.scandir(folder) as found:
        for one in found:
            number = one.name.removesuffix(_SEGMENT)
            if one.name.endswith(_SEGMENT) and number.isdecimal() and int(number) >= segment:
                # One that has been removed meanwhile waits no more.
                with suppress(FileNotFoundError):
                    behind += one.stat().st_size - (octets if int(number) == segment else 0)
    return max(behind, 0)


def keep_refused(path: str, refused: Sequence[Refused]) -> None:
    """Add records to a file of JSON lines, which its own user alone may read. Raises OSError.

    record: the text of one; octets: one that is no text, a character for each.
    """
    lines = b"".join(msgspec.json.encode(_line(one)) + b"\n" for one in refused)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def _line(refused: Refused) -> dict[str, str]:
    try:
        return {"reason": refused.reason, "record": refused.record.decode()}
    except UnicodeDecodeError:
        return {"reason": refused.reason, "octets": refused.record.decode("latin-1")}


def _ended_ms(record: bytes) -> int:
    """When a call was over; 0 where that cannot be told."""
    try:
        found = decode_record(record)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return 0
    return found.ended_ms or found.started_ms
