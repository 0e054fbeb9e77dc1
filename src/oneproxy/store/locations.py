"""The `location` table: saving changes, reading pages, clearing out what has expired.

Functions on an open connection; the caller commits. All of them may be repeated.

What every registration costs is one statement for a whole group, given to the driver as
text; PostgreSQL takes the rows as one JSON text. `save` does it in a transaction; `prepared`
and `statements` are the same for who sends them without waiting (`store/direct.py`).
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Delete, Select, and_, bindparam, delete, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from oneproxy.registrar.bindings import STATIC, Binding, Change
from oneproxy.store.database import straight
from oneproxy.store.tables import location, setting

#: (aor, key of the binding), as they stand in the columns `aor` and `contact`.
Key = tuple[str, str]

#: PostgreSQL takes keys of 2,704 octets; both columns and their headers must fit.
MAX_KEY_OCTETS: Final = 2_600
#: All texts of a binding: a page of bindings then stays far below the largest frame.
MAX_BINDING_OCTETS: Final = 8_192
#: CSeq (RFC 3261 8.1.1.5) and reg-id (RFC 5626 4.2) are below 2**31, q is far below.
MAX_INTEGER: Final = 2**31 - 1
#: Bindings in a page, rows that one step of sweeping looks at, and bindings that people
#: are shown at once.
PAGE: Final = 2_000
SWEEP: Final = 5_000
LISTED: Final = 100

#: Before the first key, and above every text of Latin-1 (code points end here).
START: Final[Key] = ("", "")
LAST: Final = "\U0010ffff"

_paths = msgspec.json.Decoder(tuple[str, ...])
_json = msgspec.json.Encoder()
_key = tuple_(location.c.aor, location.c.contact)
_after = tuple_(bindparam("after_aor"), bindparam("after_contact"))
_to = tuple_(bindparam("to_aor"), bindparam("to_contact"))

_remove: Final[Delete] = delete(location).where(
    and_(location.c.aor == bindparam("key_aor"), location.c.contact == bindparam("key_contact"))
)
#: Of a binding that is meant alone (`bindings.is_meant`).
_remove_meant: Final[Delete] = _remove.where(
    location.c.call_id == bindparam("meant_call_id"), location.c.cseq <= bindparam("meant_cseq")
)
_step_end: Final[Select[Any]] = (
    select(location.c.aor, location.c.contact)
    .where(_key > _after)
    .order_by(location.c.aor, location.c.contact)
    .offset(bindparam("rows"))
    .limit(1)
)
_clear: Final[Delete] = delete(location).where(_key > _after, location.c.expires_at <= bindparam("now"))
_clear_to: Final[Delete] = _clear.where(_key <= _to)


_COLUMNS: Final = tuple(str(column.name) for column in location.columns)
#: A row, each value by the name of its column.
_Row: Final[Any] = msgspec.defstruct("_Row", [(name, object) for name in _COLUMNS], gc=False)
_NAMES: Final = ", ".join(_COLUMNS)
_FRESH: Final = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[2:])
#: How a statement names its values, and how a list of AoRs is given.
_MARKS: Final = {"sqlite": "?", "postgresql": "%s"}
_ANY: Final = {"sqlite": "IN (SELECT value FROM json_each(?))", "postgresql": "= ANY(%s)"}

_INTO: Final = f"INSERT INTO location ({_NAMES})"
#: As `bindings.gives_way` has it.
_GIVES_WAY: Final = (
    f"excluded.source = '{STATIC}' OR location.source <> '{STATIC}' AND (location.call_id <> excluded.call_id"
    " OR location.cseq <= excluded.cseq OR location.expires_at <= excluded.since)"
)
_OVER: Final = f"ON CONFLICT (aor, contact) DO UPDATE SET {_FRESH} WHERE {_GIVES_WAY}"
_FROM_JSON: Final = (
    f"{_INTO} SELECT {_NAMES} FROM json_populate_recordset(NULL::location, {{}}::json) {_OVER}"
)
_store: Final = {
    "sqlite": f"{_INTO} VALUES ({', '.join('?' * len(_COLUMNS))}) {_OVER}",
    "postgresql": _FROM_JSON.format("%s"),
}
#: The same for PostgreSQL, as prepared statements: their names, and their text.
_STORE: Final = "oneproxy_store"
_REMOVE: Final = "oneproxy_remove"
_REMOVE_MEANT: Final = "oneproxy_remove_meant"
_WHERE_KEY: Final = "DELETE FROM location WHERE aor = $1 AND contact = $2"
PREPARED: Final = {
    _STORE: _FROM_JSON.format("$1"),
    _REMOVE: _WHERE_KEY,
    _REMOVE_MEANT: f"{_WHERE_KEY} AND call_id = $3 AND cseq <= $4",
}
#: The setting that is written to see whether something can be.
PROBE: Final = "probe"


def _upsert(dialect: Any) -> Any:
    """Write a setting, whatever it was."""
    fresh = dialect.insert(setting)
    return fresh.on_conflict_do_update(index_elements=["name"], set_={"value": fresh.excluded.value})


_store_probe: Final = {"sqlite": _upsert(sqlite), "postgresql": _upsert(postgresql)}


def _select(where: str) -> dict[str, str]:
    """A query for whole rows in key order, for each database; "{}" in `where` is a value."""
    return {
        dialect: f"SELECT {_NAMES} FROM location WHERE {where.format(*[mark] * 4, any=_ANY[dialect])}"
        f" ORDER BY aor, contact"
        for dialect, mark in _MARKS.items()
    }


_page: Final = _select("aor > {} AND expires_at > {}")
_fetch: Final = _select("aor {any} AND expires_at > {}")
_listing: Final = _select("(aor, contact) > ({}, {}) AND aor < {} AND expires_at > {}")


def unfit(change: Change) -> str | None:
    """Why no database can store `change`, or None.

    A change that fails would take everyone's in its transaction with it, so what a phone
    can do wrong is found before.
    """
    aor = change.aor
    for key in change.removed:
        why = _unfit_key(aor, key)
        if why is not None:
            return why
    for binding in change.stored:
        why = _unfit_key(aor, binding.key) or _unfit_binding(binding)
        if why is not None:
            return why
    return None


def _unfit_key(aor: str, key: str) -> str | None:
    # Latin-1 takes two octets a character at most: nearly all need no closer look.
    if 2 * (len(aor) + len(key)) > MAX_KEY_OCTETS and len(aor.encode()) + len(key.encode()) > MAX_KEY_OCTETS:
        return "contact too long"
    if "\0" in aor or "\0" in key:
        return "NUL in a text"
    return None


def _unfit_binding(binding: Binding) -> str | None:
    texts = binding.call_id + binding.source + binding.user_agent + binding.instance + binding.flow
    if binding.path:
        texts += "".join(binding.path)
    if len(texts) > MAX_BINDING_OCTETS:
        return "binding too long"
    if "\0" in texts:
        return "NUL in a text"
    if (
        0 <= binding.cseq <= MAX_INTEGER
        and 0 <= binding.reg_id <= MAX_INTEGER
        and 0 <= binding.q <= MAX_INTEGER
    ):
        return None
    return "number out of range"


def apart(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """`changes` in parts, in order, none of which comes to one binding twice.

    What becomes of the second depends on what became of the first; a node has one change of an
    address-of-record on its way at a time, so nearly always all of them are one part.
    """
    part: list[Change] = []
    touched: set[Key] = set()
    for change in changes:
        aor = change.aor
        keys = {(aor, binding.key) for binding in change.stored}
        keys.update((aor, key) for key in change.removed)
        if not touched.isdisjoint(keys):
            yield part
            part, touched = [], set()
        part.append(change)
        touched |= keys
    yield part


def wait_for_locks(connection: Connection, longest_s: float) -> None:
    """Have no statement of the open transaction wait longer for a row that is locked by somebody else.

    SQLite locks all of its file, and has a time for that.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(longest_s * 1000)}")


def save(connection: Connection, changes: Iterable[Change]) -> None:
    """Do `changes`, in order, in the open transaction. Raises SQLAlchemyError.

    Rows go in the order of their keys: recorders that write the same rows at one time
    then wait for each other and seldom in a circle, where one removes what another stores.
    """
    for part in apart(changes):
        _save(connection, part)


def _save(connection: Connection, changes: Sequence[Change]) -> None:
    """Do changes that come to no binding twice; each removes before it stores."""
    removed, meant = _removals(changes)
    if removed:
        connection.execute(_remove, [{"key_aor": aor, "key_contact": key} for aor, key in removed])
    if meant:
        names = ("key_aor", "key_contact", "meant_call_id", "meant_cseq")
        connection.execute(_remove_meant, [dict(zip(names, row, strict=True)) for row in meant])
    rows = _rows(changes)
    if rows:
        if connection.dialect.name == "sqlite":
            if not connection.in_transaction():
                # So that it commits what SQLite begins by itself.
                connection.begin()
            straight(connection, _store["sqlite"], rows)
        else:
            connection.exec_driver_sql(_store["postgresql"], (_as_json(rows).decode(),))


def statements(changes: Iterable[Change]) -> list[tuple[str, list[bytes]]]:
    """What `save` does, as names of `PREPARED` with their values, in order, for PostgreSQL.

    They have to be one transaction.
    """
    found: list[tuple[str, list[bytes]]] = []
    for part in apart(changes):
        removed, meant = _removals(part)
        for name, keys in ((_REMOVE, removed), (_REMOVE_MEANT, meant)):
            found += [(name, [str(value).encode() for value in key]) for key in keys]
        rows = _rows(part)
        if rows:
            found.append((_STORE, [_as_json(rows)]))
    return found


def _removals(changes: Iterable[Change]) -> tuple[list[Key], list[tuple[str, str, str, int]]]:
    """Keys that go whatever is there, and those with the Call-ID and CSeq that are meant; sorted."""
    removed: list[Key] = []
    meant: list[tuple[str, str, str, int]] = []
    for change in changes:
        if change.removed:
            for key, which in zip_longest(change.removed, change.meant):
                if which is None:
                    removed.append((change.aor, key))
                else:
                    meant.append((change.aor, key, *which))
    return sorted(removed), sorted(meant)


def _rows(changes: Iterable[Change]) -> list[tuple[Any, ...]]:
    """The rows that `changes` store, sorted by their keys."""
    return sorted(_row(change.aor, binding) for change in changes for binding in change.stored)


def _as_json(rows: list[tuple[Any, ...]]) -> bytes:
    """Rows as PostgreSQL takes them: objects, a third as dear to make as dicts that are encoded."""
    return _json.encode([_Row(*row) for row in rows])


def page(
    connection: Connection, now: float, after: str, rows: int = PAGE
) -> tuple[list[tuple[str, Binding]], bool]:
    """Bindings that live at `now` of the AoRs that follow `after`, and whether these are all.

    All of each AoR, in key order: some `rows` of them. Raises SQLAlchemyError.
    """
    found = _bindings(connection, _page, (after, now), rows)
    if len(found) < rows:
        return found, True
    # The last AoR may have more.
    last = found[-1][0]
    whole = len(found)
    while whole and found[whole - 1][0] == last:
        whole -= 1
    return found[:whole] + fetch(connection, now, [last]), False


def fetch(connection: Connection, now: float, aors: Sequence[str]) -> list[tuple[str, Binding]]:
    """The bindings of `aors` that live at `now`, in key order. Raises SQLAlchemyError."""
    wanted: Any = list(aors)
    if connection.dialect.name == "sqlite":
        wanted = _json.encode(wanted).decode()
    return _bindings(connection, _fetch, (wanted, now))


def listing(
    connection: Connection, now: float, after: Key, prefix: str, rows: int = LISTED
) -> list[tuple[str, Binding]]:
    """The next `rows` bindings after key `after` of AoRs that begin with `prefix`.

    Those that live at `now`, in key order. Raises SQLAlchemyError.
    """
    after = max(after, (prefix, ""))
    return _bindings(connection, _listing, (*after, prefix + LAST, now), rows)


def probe(connection: Connection) -> None:
    """Raises SQLAlchemyError where the table can't be read, or nothing can be written.

    The caller commits: a full disk and a server that is read-only let everybody read, and
    nodes that were told that it is back would only be refused again.
    """
    connection.execute(_store_probe[connection.dialect.name], {"name": PROBE, "value": os.urandom(16)})
    connection.execute(text("SELECT 1 FROM location WHERE aor = ''"))


def _bindings(
    connection: Connection, query: dict[str, str], values: tuple[Any, ...], rows: int | None = None
) -> list[tuple[str, Binding]]:
    """What one of the queries above finds, at most `rows`."""
    statement = query[connection.dialect.name]
    if rows is not None:
        statement = f"{statement} LIMIT {rows}"
    found = connection.exec_driver_sql(statement, values)
    return [
        (
            aor,
            Binding(
                contact.removesuffix(f" {reg_id} {instance}") if reg_id else contact,
                expires_at,
                q,
                call_id,
                cseq,
                source,
                since,
                () if path == "[]" else _paths.decode(path),
                user_agent,
                instance,
                reg_id,
                flow,
            ),
        )
        for (
            aor,
            contact,
            expires_at,
            q,
            call_id,
            cseq,
            source,
            since,
            path,
            user_agent,
            instance,
            reg_id,
            flow,
        ) in found.cursor.fetchall()
    ]


def sweep(connection: Connection, now: float, after: Key, rows: int = SWEEP) -> Key | None:
    """Delete what has expired at `now` among the `rows` rows after `after`; where to go on, or None.

    Small steps by key: neither a long transaction nor an index on the expiry.
    """
    where: dict[str, Any] = {"after_aor": after[0], "after_contact": after[1]}
    end = connection.execute(_step_end, where | {"rows": rows - 1}).first()
    if end is None:
        connection.execute(_clear, where | {"now": now})
        return None
    connection.execute(_clear_to, where | {"now": now, "to_aor": end[0], "to_contact": end[1]})
    return (end[0], end[1])


def _row(aor: str, binding: Binding) -> tuple[Any, ...]:
    """The columns of a binding."""
    return (
        aor,
        binding.key,
        binding.expires_at,
        binding.q,
        binding.call_id,
        binding.cseq,
        binding.source,
        binding.since,
        _json.encode(binding.path).decode() if binding.path else "[]",
        binding.user_agent,
        binding.instance,
        binding.reg_id,
        binding.flow,
    )
