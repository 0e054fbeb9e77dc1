"""What the recorder has its databases do: blocking calls, all from one thread.

Nothing here raises towards the recorder once the databases are open: a group of
batches ends in one verdict per batch, and what cannot be read is the reason for that.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import structlog
from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from oneproxy.registrar.bindings import Binding, Change
from oneproxy.store import locations
from oneproxy.store.database import BRIEF_LOCK_S, LOCK_S, Database, StoreError, UnreachableError, reason
from oneproxy.store.settings import farm_secret
from oneproxy.store.sites import Sites

#: Expired rows stay this long: the clocks of a farm's machines differ a little.
GRACE_S: Final = 60.0
#: Times that a transaction is tried: a broken connection is made again, and of two that wait
#: for each other the server ends one.
TRIES: Final = 3
#: SQLSTATE of those that were ended for the sake of others: serialization_failure, deadlock_detected.
_GAVE_WAY: Final = frozenset({"40001", "40P01"})
#: SQLSTATE of those that waited too long for a row: lock_not_available.
_LOCKED: Final = "55P03"
#: Changes of one batch whose rows are locked; where there are more nothing can be stored.
MOST_LOCKED: Final = 8
#: Classes of SQLSTATE: data exception, integrity, program limit exceeded (a key that is too long).
_OF_A_CHANGE: Final = frozenset({"22", "23", "54"})


class Away(str):
    """Why nothing can be stored now; what was tried may be stored or not."""

    __slots__ = ()


class Left(Struct, frozen=True):
    """Positions of the changes of a batch that cannot be stored, and of those that may be another time."""

    refused: tuple[int, ...]
    later: tuple[int, ...]


#: Of a batch: the positions of changes that cannot be stored, the others being
#: committed, or what is left of it; or why all of it was rolled back.
Verdict = tuple[int, ...] | Left | str

Found = TypeVar("Found")

log = structlog.get_logger()


class Work:
    """The databases of this machine. Raises StoreError for URLs that cannot be used.

    keep_versions: of the site; 0: all.
    """

    def __init__(self, proxy_url: str, system_url: str, keep_versions: int = 0) -> None:
        self.proxy = Database("proxy", proxy_url)
        self.system = self.proxy if system_url in ("", proxy_url) else Database("system", system_url)
        #: The versions of the site.
        self.sites = Sites(self.system, keep_versions)
        self._swept_to: locations.Key = locations.START
        #: Whether the last thing that was to be done failed whatever it was: the server is
        #: gone, the disk is full.
        self.away = False

    def open(self, farm_key: str) -> bytes:
        """Make the databases ready; the farm's secret. Raises StoreError.

        farm_key: the secret as configured; empty: the one kept in the system database.
        """
        self.proxy.open()
        if self.system is not self.proxy:
            self.system.open()
        if farm_key:
            return farm_key.encode()
        try:
            return farm_secret(self.system.connection())
        except SQLAlchemyError as error:
            raise UnreachableError(self.system.complaint(reason(error))) from None
        finally:
            if self.system is not self.proxy:
                self.system.drop()

    def close(self) -> None:
        """Close the connections."""
        self.proxy.drop()
        self.system.drop()

    def commit(self, group: Sequence[Sequence[Change]]) -> list[Verdict]:
        """Commit the batches of `group` in one transaction; a verdict for each."""
        refused, changes = sift(group)
        fault = self._save(changes)
        if fault is None:
            return list(refused)
        if fault.everyone:
            return [Away(fault.reason)] * len(group)
        if len(group) > 1:
            # One batch spoils the others: each for itself, then.
            return [verdict for batch in group for verdict in self.commit([batch])]
        left = [at for at in range(len(group[0])) if at not in refused[0]]
        if len(left) == 1 and fault.gave_way:
            return [fault.reason]
        positions = dict.fromkeys(refused[0], False)
        away = self._save_apart(group[0], left, fault, positions)
        return [_left(positions) if away is None else away]

    def _save_apart(
        self, batch: Sequence[Change], some: Sequence[int], why: "_Fault", positions: dict[int, bool]
    ) -> Away | None:
        """One change spoils the others: halves of them, until it is alone.

        some: the positions of changes that could not be stored together, and `why`. Goes into
        `positions`: those that are left, and whether they may be stored another time. Away: why
        the others may be stored or not.
        """
        if len(some) == 1:
            event = "change waits for a lock" if why.locked else "change refused"
            log.warning(event, aor=batch[some[0]].aor[:200], reason=why.reason)
            positions[some[0]] = why.locked
            # So many are not somebody's row but the table.
            self.away = sum(positions.values()) > MOST_LOCKED
            return Away(why.reason) if self.away else None
        middle = len(some) // 2
        for half in (some[:middle], some[middle:]):
            fault = self._save([batch[at] for at in half], BRIEF_LOCK_S)
            if fault is None:
                continue
            if fault.everyone or (fault.gave_way and len(half) == 1):
                # Others of the batch are stored, and this one may go well another time.
                self.away = True
                return Away(fault.reason)
            away = self._save_apart(batch, half, fault, positions)
            if away is not None:
                return away
        return None

    def page(self, now: float, after: str) -> tuple[list[tuple[str, Binding]], bool] | str:
        """All bindings that live at `now` of the AoRs that follow `after`, as many as make a page;
        and whether there are no more. Or why they cannot be read."""
        return self._read(lambda connection: locations.page(connection, now, after))

    def fetch(self, now: float, aors: Sequence[str]) -> list[tuple[str, Binding]] | str:
        """The bindings of `aors` that live at `now`; or why they cannot be read."""
        return self._read(lambda connection: locations.fetch(connection, now, aors))

    def look_up(self, aor: str) -> list[Binding] | str:
        """All rows of one AoR, expired ones that were not swept yet too; or why they cannot be read."""
        rows = self._read(lambda connection: locations.fetch(connection, 0.0, [aor]))
        return rows if isinstance(rows, str) else [binding for _, binding in rows]

    def listing(
        self, now: float, after: locations.Key, prefix: str = "", rows: int = locations.LISTED
    ) -> list[tuple[str, Binding]] | str:
        """The next `rows` bindings that live at `now`, of AoRs that begin with `prefix`, for people.

        after: the key of the last one seen, `locations.START` at first. Or why not.
        """
        return self._read(lambda connection: locations.listing(connection, now, after, prefix, rows))

    def probe(self) -> None:
        """See whether the database can be written; `away` says so."""
        try:
            connection = self.proxy.connection()
            locations.probe(connection)
            connection.commit()
            self.away = False
        except (SQLAlchemyError, StoreError) as error:
            self._broke(error)
            self.away = True

    def _read(self, read: Callable[[Connection], Found]) -> Found | str:
        """Read in a transaction of its own; done twice as in `_save`."""
        for attempt in (1, 2):
            try:
                connection = self.proxy.connection()
                found = read(connection)
                connection.rollback()
                self.away = False
                return found
            except (SQLAlchemyError, StoreError) as error:
                again = self._broke(error) and attempt == 1
                if not again:
                    self.away = True
                    return reason(error)
        raise AssertionError("the second attempt returns")

    def sweep(self, now: float) -> bool | str:
        """Delete some of what expired before `now`; whether the end was reached, or what failed."""
        try:
            connection = self.proxy.connection()
            locations.wait_for_locks(connection, BRIEF_LOCK_S)
            after = locations.sweep(connection, now - GRACE_S, self._swept_to)
            connection.commit()
        except (SQLAlchemyError, StoreError) as error:
            self._broke(error)
            return reason(error)
        self._swept_to = after or locations.START
        return after is None

    def _save(self, changes: list[Change], lock_s: float = LOCK_S) -> "_Fault | None":
        """One transaction. Done again where the connection turns out to have been broken:
        a server that was restarted meanwhile is no reason to refuse anybody. And where it gave
        way to that of another recorder, which removed and stored the same rows at this time."""
        for attempt in range(1, TRIES + 1):
            try:
                connection = self.proxy.connection()
                locations.wait_for_locks(connection, lock_s)
                locations.save(connection, changes)
                connection.commit()
                self.away = False
                return None
            except (SQLAlchemyError, StoreError) as error:
                gave_way = _gave_way(error)
                again = (self._broke(error) and attempt == 1) or (gave_way and attempt < TRIES)
                if not again:
                    locked = _state(error) == _LOCKED
                    everyone = not (gave_way or locked or _is_of_a_change(error))
                    fault = _Fault(reason(error), everyone, gave_way, locked)
                    self.away = everyone
                    return fault
            except Exception as error:
                # Our own fault, in what we made of somebody's change.
                log.exception("saving bindings failed")
                self.proxy.drop()
                return _Fault(f"{type(error).__name__}: {error}", False)
        raise AssertionError("the last attempt returns")

    def _broke(self, error: Exception) -> bool:
        """Clean up after a failure; whether a new connection may do better."""
        invalidated = isinstance(error, DBAPIError) and error.connection_invalidated
        # Dropped in any case: what state a failed transaction left behind is not guessed at.
        self.proxy.drop()
        return invalidated


def _left(positions: dict[int, bool]) -> Verdict:
    """What is left of a batch. positions: whether each may be stored another time."""
    refused = tuple(sorted(at for at, is_later in positions.items() if not is_later))
    later = tuple(sorted(at for at, is_later in positions.items() if is_later))
    return Left(refused, later) if later else refused


class _Fault:
    """Why a transaction failed, whether it would have whatever was in it, and whether it gave way or
    waited for a row that is locked."""

    __slots__ = ("everyone", "gave_way", "locked", "reason")

    def __init__(self, reason: str, everyone: bool, gave_way: bool = False, locked: bool = False) -> None:
        self.reason = reason
        self.everyone = everyone
        self.gave_way = gave_way
        self.locked = locked


def _state(error: Exception) -> str:
    """The SQLSTATE of what the server said; "" without one."""
    return (getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None) or ""


def _gave_way(error: Exception) -> bool:
    """Whether the server ended a transaction, and undid it, for the sake of another."""
    return _state(error) in _GAVE_WAY


def _is_of_a_change(error: Exception) -> bool:
    """Whether what was to be stored is at fault, and not the database."""
    return isinstance(error, (DataError, IntegrityError)) or _state(error)[:2] in _OF_A_CHANGE


def sift(group: Sequence[Sequence[Change]]) -> tuple[list[tuple[int, ...]], list[Change]]:
    """The changes of `group` that can be stored, and for each batch the positions of the others."""
    refused: list[tuple[int, ...]] = []
    changes: list[Change] = []
    for batch in group:
        unfit = _unfit(batch)
        refused.append(unfit)
        if unfit:
            changes += [change for at, change in enumerate(batch) if at not in unfit]
        else:
            changes += batch
    return refused, changes


def _unfit(batch: Sequence[Change]) -> tuple[int, ...]:
    """Positions of the changes that no database can store."""
    found = []
    for at, change in enumerate(batch):
        why = locations.unfit(change)
        if why is not None:
            found.append(at)
            log.warning("change refused", aor=change.aor[:200], reason=why)
    return tuple(found)
