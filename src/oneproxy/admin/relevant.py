"""Which entries of a site a change has to be checked with, so that one subscriber more among
a hundred thousand is not checked with all of them.

Subscribers agree with each other on who has which name, and with domains on theirs; routes
with those of their prefix, and with providers; limits with providers and domains; nothing else is between
sections. So without the
entries that a change cannot meet, what is found wrong with it is the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from oneproxy.site.agreement import user_and_domain
from oneproxy.site.change import Edit
from oneproxy.site.entries import route_key
from oneproxy.site.model import Entries, Key, Row
from oneproxy.site.users import SEPARATORS, plain_user


class _Aliases(msgspec.Struct):
    """What is looked for in the table of a subscriber."""

    aliases: list[str] = []


#: The sections that are looked at whole where one is changed, beside the domains, without which
#: there is no site; others are the section itself. Of routes there may be a hundred thousand.
_MET: Final = {
    "provider": ("provider", "route", "congestion"),
    "route": ("provider",),
    "congestion": ("congestion", "provider"),
}

_decoder = msgspec.json.Decoder(_Aliases)


class Relevant:
    """Who has which name, and by that which subscribers a change may meet."""

    def __init__(self) -> None:
        #: "user@domain", as they are compared, to the AoR that has it: of aliases, and of AoRs that
        #: are spelled otherwise.
        self._owners: dict[str, str] = {}
        #: Entries of other sections, by section.
        self._others: dict[str, Entries] = {}

    def clear(self) -> None:
        """There is no entry."""
        self._owners.clear()
        self._others.clear()

    def take(self, entries: Entries, rows: Iterable[Row]) -> None:
        """These rows are going to be in `entries`, or gone from there where their value is empty."""
        fresh: dict[str, str] = {}
        for section, key, value in rows:
            if section != "subscriber":
                others = self._others.setdefault(section, {})
                if value:
                    others[section, key] = value
                else:
                    others.pop((section, key), None)
                continue
            for name in _names(key, entries.get((section, key), "")):
                self._owners.pop(name, None)
            fresh.update(dict.fromkeys(_names(key, value), key))
        # An alias that went from one to another is the other's, whichever row came first.
        self._owners.update(fresh)

    def find(self, entries: Entries, edits: Sequence[Edit]) -> Entries:
        """The entries that say whether these edits are sound: all where a domain goes."""
        found: Entries = {}
        sections = {"domain"}
        for edit in edits:
            sections.update(_MET.get(edit.section, (edit.section,)))
            if edit.section == "domain" and (edit.table is None or _renames(edit)):
                return dict(entries)
            if edit.section == "subscriber":
                for key in self._met(edit):
                    if key in entries:
                        found[key] = entries[key]
            if edit.section == "route":
                found |= {key: entries[key] for key in _routes_met(entries, edit)}
        for section in sections:
            found |= self._others.get(section, {})
        return found

    def _met(self, edit: Edit) -> Iterator[Key]:
        """The subscribers that an edit replaces, removes, or shares a name with."""
        yield "subscriber", edit.key
        if edit.table is None:
            return
        written = edit.table.get("aor", edit.key)
        user, domain = user_and_domain(written if isinstance(written, str) else edit.key)
        aliases = edit.table.get("aliases")
        for name in (user, *(aliases if isinstance(aliases, list) else ())):
            if isinstance(name, str):
                full = f"{plain_user(name)}@{domain}"
                yield "subscriber", full
                if full in self._owners:
                    yield "subscriber", self._owners[full]


def _routes_met(entries: Entries, edit: Edit) -> Iterator[Key]:
    """The routes of the prefix that an edit replaces or removes one of, and of the one that it puts in."""
    prefixes = {edit.key.partition(" ")[0]}
    written = None if edit.table is None else edit.table.get("prefix")
    if isinstance(written, str):
        prefixes |= {written, written.translate(SEPARATORS)}
    for prefix in prefixes:
        place = 1
        while ("route", route_key(prefix, place)) in entries:
            yield "route", route_key(prefix, place)
            place += 1


def _names(aor: str, value: str) -> Iterator[str]:
    """The names of a subscriber that its key does not tell, each with its domain; value: "" for none."""
    if not value:
        return
    user, domain = user_and_domain(aor)
    if not aor.startswith(f"{user}@"):
        yield f"{user}@{domain}"
    if '"aliases"' in value:
        for alias in _aliases(value):
            yield f"{plain_user(alias)}@{domain}"


def _aliases(value: str) -> list[str]:
    try:
        return _decoder.decode(value).aliases
    except msgspec.MsgspecError:
        # Written by somebody else; the check says what is wrong with it, when it is touched.
        return []


def _renames(edit: Edit) -> bool:
    """Whether the domain of this key would be gone afterwards."""
    table: dict[str, Any] = edit.table or {}
    name = table.get("name", edit.key)
    return not isinstance(name, str) or name.lower() != edit.key
