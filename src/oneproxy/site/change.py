"""A change of some entries of a site that comes without a file: checked whole, as a file is."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from oneproxy.site.build import table_entries
from oneproxy.site.checks import find_faults
from oneproxy.site.entries import NAMED_BY, SINGLES, decode_value, encode_value, ordered
from oneproxy.site.lines import Path
from oneproxy.site.mistake import Mistake, key_text
from oneproxy.site.model import Entries
from oneproxy.site.schema import SITE_SECTIONS
from oneproxy.site.tables import Fault, read_tables


class Edit(Struct, frozen=True):
    """One table put in place of the entry of this key, or added; None: the entry is removed.

    A table is as in the file, a password in it too. It may leave out what it is named by
    (`aor` of a subscriber), which is the key then; one that is named otherwise renames.
    """

    section: str
    key: str
    table: dict[str, Any] | None


def check_edits(entries: Entries, edits: Iterable[Edit]) -> Entries | list[Mistake]:
    """The entries after these edits, or every mistake, by key alone: `subscriber.a@b.aliases[1]`."""
    changed = dict(entries)
    mistakes = []
    for edit in edits:
        at = (edit.section, edit.key)
        name = f"{edit.section}.{edit.key}" if edit.key else edit.section
        if edit.section not in SITE_SECTIONS:
            allowed = ", ".join(sorted(SITE_SECTIONS))
            mistakes.append(Mistake(0, name, "an unknown section", allowed))
        elif edit.table is None and at not in changed:
            mistakes.append(Mistake(0, name, "no such entry", "one that is there to be removed"))
        elif edit.table is None:
            del changed[at]
        else:
            named_by = NAMED_BY.get(edit.section)
            changed[at] = encode_value(({named_by: edit.key} if named_by else {}) | edit.table)
    return mistakes or check_entries(changed)


def check_entries(entries: Entries) -> Entries | list[Mistake]:
    """These entries as they are stored, or every mistake in them."""
    document: dict[str, Any] = {}
    keys: dict[str, list[str]] = {}
    for section, key, value in ordered(entries):
        table = decode_value(value)
        if section in SINGLES:
            document[section] = table
        else:
            document.setdefault(section, []).append(table)
            keys.setdefault(section, []).append(key)
    tables, faults = read_tables(document, machine=False, keys=keys)
    faults.extend(find_faults(tables))
    if not faults:
        return table_entries(tables)
    return [_mistake(fault, keys) for fault in faults]


def _mistake(fault: Fault, keys: dict[str, list[str]]) -> Mistake:
    path: Path = fault.path
    if len(path) < 2 or not isinstance(path[1], int):
        return Mistake(0, key_text(path), fault.found, fault.allowed)
    key = keys[str(path[0])][path[1]]
    return Mistake(0, key_text((path[0], key, *path[2:])), fault.found, fault.allowed)
