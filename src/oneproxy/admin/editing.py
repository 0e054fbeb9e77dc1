"""From what is asked for to edits of the site: which entry is meant, and what there may be already."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct

from oneproxy.admin.changes import Prepare
from oneproxy.admin.problem import ProblemError, mistake_problem, not_found
from oneproxy.site import texts
from oneproxy.site.change import Edit
from oneproxy.site.entries import NAMED_BY, decode_value, key_of
from oneproxy.site.model import Entries


class Kind(Struct, frozen=True):
    """One kind of entries: its section, the path that it is found at, and what one is called."""

    section: str
    path: str
    name: str


KINDS: Final = (
    Kind("subscriber", "/subscribers", "subscriber"),
    Kind("domain", "/domains", "domain"),
    Kind("access", "/access-rules", "access rule"),
)


def normal(kind: Kind, key: str) -> str:
    """A key as entries have it: hosts in lower case."""
    if kind.section == "access":
        return key
    user, at, host = key.rpartition("@")
    return f"{user}{at}{host.lower()}"


def path_of(kind: Kind, key: str) -> str:
    """Where an entry is found."""
    return f"/v1{kind.path}/{quote(key, safe='@')}"


def key_in(kind: Kind, table: Mapping[str, Any], place: int) -> str:
    """The key of a table that came. place: in its list, from 1 on. Raises ProblemError."""
    named_by = NAMED_BY.get(kind.section)
    if named_by is not None and not isinstance(table.get(named_by), str):
        raise mistake_problem(f"{kind.section}[{place}].{named_by}", "nothing", "what it is named by")
    if kind.section == "access" and not _is_rule(table):
        # It is going to be told what is wrong with it.
        return f"[{place}]"
    return normal(kind, key_of(kind.section, table))


def _is_rule(table: Mapping[str, Any]) -> bool:
    """Whether an access rule is well formed as far as its key goes."""
    source, client, methods = (table.get(key) for key in ("source", "client", "methods"))
    if methods is not None and not (
        isinstance(methods, list) and all(isinstance(one, str) for one in methods)
    ):
        return False
    if source is None:
        return isinstance(client, str)
    try:
        return isinstance(source, str) and bool(texts.network(source))
    except ValueError:
        return False


def keys_in(kind: Kind, tables: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys of tables that came. Raises ProblemError where two have the same."""
    keys: dict[str, int] = {}
    for place, table in enumerate(tables, 1):
        key = key_in(kind, table, place)
        if key in keys:
            found = f"{key} again"
            raise mistake_problem(
                f"{kind.section}[{place}]", found, f"once; it is {kind.section}[{keys[key]}]"
            )
        keys[key] = place
    return list(keys)


def named(kind: Kind, key: str, table: dict[str, Any]) -> dict[str, Any]:
    """A table that is put at `key`, with what it is named by. Raises ProblemError for another's."""
    named_by = NAMED_BY.get(kind.section)
    whole = {named_by: key} | table if named_by else dict(table)
    found = key_in(kind, whole, 1)
    if found not in (key, "[1]"):
        raise mistake_problem(f"{kind.section}.{key}", f"the table of {found}", f"the table of {key}")
    return whole


def creating(kind: Kind, tables: Sequence[dict[str, Any]]) -> Prepare:
    """Add these; none of them may be there."""
    keys = keys_in(kind, tables)

    def prepare(entries: Entries) -> list[Edit]:
        for key in keys:
            if (kind.section, key) in entries:
                raise ProblemError(409, "exists", f"there is a {kind.name} {key} already")
        return [Edit(kind.section, key, table) for key, table in zip(keys, tables, strict=True)]

    return prepare


def replacing(kind: Kind, keys: Sequence[str], tables: Sequence[dict[str, Any]]) -> Prepare:
    """Add these, or put them in the place of those that are there.

    Passwords are never shown, so who changes what he has read brings none: the password
    that there is stays then.
    """

    def prepare(entries: Entries) -> list[Edit]:
        return [
            Edit(kind.section, key, with_password(kind.section, key, table, entries))
            for key, table in zip(keys, tables, strict=True)
        ]

    return prepare


def deleting(kind: Kind, key: str) -> Prepare:
    """Remove one, which has to be there."""

    def prepare(entries: Entries) -> list[Edit]:
        if (kind.section, key) not in entries:
            raise not_found(f"{kind.name} {key}")
        return [Edit(kind.section, key, None)]

    return prepare


def with_password(section: str, key: str, table: dict[str, Any], entries: Entries) -> dict[str, Any]:
    """A subscriber's table with the HA1s that there are, where it brings no password.

    Not under another name: HA1s are made of it, and would let nobody in.
    """
    value = entries.get((section, key))
    if section != "subscriber" or value is None or not {"password", "ha1"}.isdisjoint(table):
        return table
    name = table.get("aor", key)
    if not isinstance(name, str) or normal(KINDS[0], name) != key:
        return table
    return table | {"ha1": decode_value(value).get("ha1")}
