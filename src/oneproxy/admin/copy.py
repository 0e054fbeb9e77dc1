"""The site as the admin process has it: every entry of one version, brought up to date when it is asked for.

Reading, searching and checking a change cost the recorder nothing but the rows that differ
from the version that is here already.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from oneproxy.admin.answers import find
from oneproxy.admin.asking import Desk
from oneproxy.admin.relevant import Relevant
from oneproxy.ipc.desk import PAGE, Look, Looked, Rows, RowsFound
from oneproxy.site.model import Entries, Key, Row, Version

#: Keys that are put in their places one by one; more of them are sorted with the others.
FEW: Final = 100


class SiteCopy:
    """The entries of `version`. They change in `fresh` alone, all at once."""

    def __init__(self, desk: Desk) -> None:
        self.version = Version(0, 0.0)
        self.entries: Entries = {}
        #: Which of them a change is checked with.
        self.relevant = Relevant()
        self._desk = desk
        self._keys: dict[str, list[str]] = {}
        self._turn = asyncio.Lock()

    async def fresh(self) -> Version:
        """Become the newest version, and say which it is. Raises what `find` does."""
        async with self._turn:
            looked = await find(self._desk, Look(self.version.version, self.version.at), Looked)
            latest = looked.latest
            if (latest.version, latest.at) != (self.version.version, self.version.at):
                base = self.version.version if looked.known else 0
                rows: list[Row] = []
                after: Key = ("", "")
                while True:
                    page = (await find(self._desk, Rows(base, latest.version, after), RowsFound)).rows
                    rows += page
                    if len(page) < PAGE:
                        break
                    after = page[-1][:2]
                self._take(latest, rows, whole=base == 0)
            return self.version

    def keys(self, section: str, prefix: str, after: str, most: int) -> list[str]:
        """The next keys of a section behind `after` that begin with `prefix`."""
        keys = self._keys.get(section, [])
        begin = max(bisect_right(keys, after), bisect_left(keys, prefix))
        found = []
        for key in keys[begin : begin + most]:
            if not key.startswith(prefix):
                break
            found.append(key)
        return found

    def _take(self, version: Version, rows: Sequence[Row], whole: bool) -> None:
        if whole:
            self.entries = {}
            self.relevant.clear()
        self.relevant.take(self.entries, rows)
        changed: dict[str, list[str]] = {}
        for section, key, value in rows:
            changed.setdefault(section, []).append(key)
            if value:
                self.entries[section, key] = value
            else:
                self.entries.pop((section, key), None)
        self.version = version
        by_section: dict[str, list[str]] = {} if whole else dict(self._keys)
        for section, touched in changed.items():
            by_section[section] = self._sorted_keys(section, by_section.get(section, []), touched)
        self._keys = by_section

    def _sorted_keys(self, section: str, known: list[str], touched: list[str]) -> list[str]:
        """The keys of a section, where `known` were those before `touched` came and went."""
        keys = list(known)
        if len(touched) > FEW:
            return sorted(
                set(keys) - set(touched) | {key for key in touched if (section, key) in self.entries}
            )
        for key in touched:
            at = bisect_left(keys, key)
            is_known = at < len(keys) and keys[at] == key
            if (section, key) in self.entries:
                if not is_known:
                    keys.insert(at, key)
            elif is_known:
                del keys[at]
        return keys
