"""Changes of the site from here: checked whole, as a file is, and written as one version.

The check is done in this process, of the entries that it has; the recorder is sent what
differs, and writes it if nobody was faster. When somebody was, the change is made again of
the newest version, unless whoever asks named the version that he saw (If-Match).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec import Struct

from oneproxy.admin.answers import find, refusal
from oneproxy.admin.asking import Desk
from oneproxy.admin.copy import SiteCopy
from oneproxy.admin.problem import ProblemError, mistakes_problem, not_found
from oneproxy.ipc.desk import (
    MAX_DIFFERING,
    PAGE,
    Differences,
    DifferencesFound,
    Refused,
    Stage,
    Staged,
    Versions,
    VersionsFound,
    Write,
    Written,
)
from oneproxy.site.change import Edit, check_edits
from oneproxy.site.difference import Difference, differences
from oneproxy.site.mistake import Mistake
from oneproxy.site.model import Entries, Key, Version

#: Times that a change is made again because another one came first.
TRIES: Final = 10
#: Octets of the values of one entry, and of those that are sent at once.
MAX_VALUE_OCTETS: Final = 1024 * 1024
STAGE_OCTETS: Final = 4 * 1024 * 1024

#: Makes the edits of the entries that there are. Raises ProblemError where it can't.
Prepare = Callable[[Entries], Sequence[Edit]]


class Author(Struct, frozen=True):
    """Who changes something, why, and which versions he saw; None: he does not say."""

    who: str
    comment: str
    seen: frozenset[int] | None


class Changed(Struct, frozen=True):
    """The version that the site has now, and what was changed."""

    version: Version
    differing: list[Difference]


class Changes:
    """Makes changes, one after the other. Raises ProblemError and RecorderAwayError."""

    def __init__(self, desk: Desk, copy: SiteCopy) -> None:
        self._desk = desk
        self._copy = copy
        self._turn = asyncio.Lock()

    async def make(self, prepare: Prepare, author: Author) -> Changed:
        """Carry out what `prepare` says, in one version or not at all."""

        async def differing(_base: int) -> list[Difference]:
            edits = prepare(self._copy.entries)
            relevant = self._copy.relevant.find(self._copy.entries, edits)
            # Ten thousand entries take half a second to check, and others read on meanwhile.
            return await asyncio.to_thread(_differing, relevant, edits)

        return await self._write(differing, author)

    async def roll_back(self, to: int, author: Author) -> Changed:
        """Have the newest version equal the version `to`. Raises ProblemError where it is not there."""

        async def differing(base: int) -> list[Difference]:
            found: list[Difference] = []
            after: Key = ("", "")
            while True:
                page = (await find(self._desk, Differences(base, to, after), DifferencesFound)).differing
                found += page
                if len(page) < PAGE:
                    # It goes with its entries: if it is there now, these were whole.
                    if not (await find(self._desk, Versions(version=to), VersionsFound)).versions:
                        raise not_found(f"version {to}")
                    return found
                after = (page[-1].section, page[-1].key)

        return await self._write(differing, author)

    async def _write(
        self, differing_of: Callable[[int], Awaitable[list[Difference]]], author: Author
    ) -> Changed:
        """differing_of: what is to differ from the version of this number."""
        async with self._turn:
            for _ in range(TRIES):
                version = await self._copy.fresh()
                base = version.version
                if author.seen is not None and base not in author.seen:
                    detail = f"the site has the version {base} by now; read it again"
                    raise ProblemError(412, "stale", detail, {"ETag": etag(base)})
                differing = await differing_of(base)
                if not differing:
                    return Changed(version, [])
                if len(differing) > MAX_DIFFERING:
                    raise ProblemError(422, "too-much", f"more than {MAX_DIFFERING} entries differ")
                await self._stage(differing)
                found = await self._desk.ask(Write(base, len(differing), author.who, author.comment))
                if isinstance(found, Written):
                    return Changed(found.version, differing)
                if isinstance(found, Refused) and found.code != "unfit":
                    raise refusal(found)
                # Somebody was faster, or the recorder was started again since the first part.
        reason = "others change the site faster than it can be read"
        raise ProblemError(503, "busy", reason, {"Retry-After": "1"})

    async def _stage(self, differing: Sequence[Difference]) -> None:
        """Send what is to be written, in parts of bounded size."""
        part: list[Difference] = []
        octets, first = 0, True
        for one in differing:
            size = len(one.before or "") + len(one.after or "")
            if part and (len(part) == PAGE or octets + size > STAGE_OCTETS):
                await find(self._desk, Stage(part, first), Staged)
                part, octets, first = [], 0, False
            part.append(one)
            octets += size
        await find(self._desk, Stage(part, first), Staged)


def etag(version: int) -> str:
    """The ETag of all that a version of the site has (RFC 9110 8.8.3)."""
    return f'"{version}"'


def _differing(entries: Entries, edits: Sequence[Edit]) -> list[Difference]:
    """What the edits change. Raises ProblemError with every mistake in them."""
    wanted = check_edits(entries, edits)
    if isinstance(wanted, list):
        raise mistakes_problem(wanted)
    differing = differences(entries, wanted)
    long = [one for one in differing if len(one.after or "") > MAX_VALUE_OCTETS]
    if long:
        raise mistakes_problem([_too_long(one) for one in long])
    return differing


def _too_long(one: Difference) -> Mistake:
    key = f"{one.section}.{one.key}" if one.key else one.section
    return Mistake(0, key, f"{len(one.after or '')} octets", f"at most {MAX_VALUE_OCTETS}")
