"""The `location` table: saving changes, reading pages, clearing out what has expired.

Functions on an open connection; the caller commits. All of them may be repeated.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Delete, Select, and_, bindparam, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from oneproxy.registrar.bindings import Binding, Change
from oneproxy.store.tables import location

#: (aor, key of the binding), as they stand in the columns `aor` and `contact`.
Key = tuple[str, str]

#: PostgreSQL takes keys of 2,704 octets; both columns and their headers must fit.
MAX_KEY_OCTETS: Final = 2_600
#: All texts of a binding: a page of bindings then stays far below the largest frame.
MAX_BINDING_OCTETS: Final = 8_192
#: CSeq (RFC 3261 8.1.1.5) and reg-id (RFC 5626 4.2) are below 2**31, q is far below.
MAX_INTEGER: Final = 2**31 - 1
#: Bindings in a page, and rows that one step of sweeping looks at.
PAGE: Final = 2_000
SWEEP: Final = 5_000

#: Before the first key.
START: Final[Key] = ("", "")

_paths = msgspec.json.Decoder(tuple[str, ...])
_key = tuple_(location.c.aor, location.c.contact)
_after = tuple_(bindparam("after_aor"), bindparam("after_contact"))
_to = tuple_(bindparam("to_aor"), bindparam("to_contact"))

_remove: Final[Delete] = delete(location).where(
    and_(location.c.aor == bindparam("key_aor"), location.c.contact == bindparam("key_contact"))
)
_page: Final[Select[Any]] = (
    select(location)
    .where(_key > _after, location.c.expires_at > bindparam("now"))
    .order_by(location.c.aor, location.c.contact)
    .limit(bindparam("rows"))
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


def _upsert(dialect: Any) -> Any:
    """INSERT ... ON CONFLICT DO UPDATE, which both databases spell alike."""
    insert = dialect.insert(location)
    fresh = {
        column.name: insert.excluded[column.name] for column in location.columns if not column.primary_key
    }
    return insert.on_conflict_do_update(index_elements=["aor", "contact"], set_=fresh)


_store: Final = {"sqlite": _upsert(sqlite), "postgresql": _upsert(postgresql)}


def unfit(change: Change) -> str | None:
    """Why no database can store `change`, or None.

    A change that fails would take everyone's in its transaction with it, so what a phone
    can do wrong is found before.
    """
    keys = [(change.aor, key) for key in change.removed]
    keys += [(change.aor, binding.key) for binding in change.stored]
    for aor, key in keys:
        if len(aor.encode()) + len(key.encode()) > MAX_KEY_OCTETS:
            return "contact too long"
        if "\0" in aor or "\0" in key:
            return "NUL in a text"
    for binding in change.stored:
        texts = (
            binding.call_id,
            binding.source,
            binding.user_agent,
            binding.instance,
            binding.flow,
            *binding.path,
        )
        if sum(map(len, texts)) > MAX_BINDING_OCTETS:
            return "binding too long"
        if any("\0" in text for text in texts):
            return "NUL in a text"
        if not all(0 <= number <= MAX_INTEGER for number in (binding.cseq, binding.reg_id, binding.q)):
            return "number out of range"
    return None


def fold(changes: Iterable[Change]) -> dict[Key, Binding | None]:
    """What is left of `changes`, done one after the other: a binding to store, None to remove."""
    left: dict[Key, Binding | None] = {}
    for change in changes:
        for key in change.removed:
            left[change.aor, key] = None
        for binding in change.stored:
            left[change.aor, binding.key] = binding
    return left


def save(connection: Connection, changes: Iterable[Change]) -> None:
    """Do `changes`, in order, in the open transaction. Raises SQLAlchemyError.

    Rows go in the order of their keys: recorders that write the same rows at one time
    then wait for each other and never in a circle.
    """
    removed: list[dict[str, Any]] = []
    stored: list[dict[str, Any]] = []
    for (aor, key), binding in sorted(fold(changes).items(), key=lambda item: item[0]):
        if binding is None:
            removed.append({"key_aor": aor, "key_contact": key})
        else:
            stored.append(_row(aor, binding))
    if removed:
        connection.execute(_remove, removed)
    if stored:
        connection.execute(_store[connection.dialect.name], stored)


def page(connection: Connection, now: float, after: Key, rows: int = PAGE) -> list[tuple[str, Binding]]:
    """The next `rows` bindings after key `after` that have not expired at `now`, in key order.

    Fewer than `rows` of them: these are the last. Raises SQLAlchemyError.
    """
    wanted = {"after_aor": after[0], "after_contact": after[1], "now": now, "rows": rows}
    found = connection.execute(_page, wanted)
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
        ) in found.all()
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


def _row(aor: str, binding: Binding) -> dict[str, Any]:
    """The columns of a binding."""
    return {
        "aor": aor,
        "contact": binding.key,
        "expires_at": binding.expires_at,
        "q": binding.q,
        "call_id": binding.call_id,
        "cseq": binding.cseq,
        "source": binding.source,
        "since": binding.since,
        "path": msgspec.json.encode(binding.path).decode() if binding.path else "[]",
        "user_agent": binding.user_agent,
        "instance": binding.instance,
        "reg_id": binding.reg_id,
        "flow": binding.flow,
    }
