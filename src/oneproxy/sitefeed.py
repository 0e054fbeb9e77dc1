"""The recorder's part that gives the nodes the site.

It looks for a new version, or is told of one, and sends every node what differs from the
version that it has: parts of bounded size, then the word that they are true. A version that
is replaced while it is sent is sent to its end; the next one follows. What was read last is
kept in a file, for a start without the database.
"""

import asyncio
import bisect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import structlog

from oneproxy import logs
from oneproxy.ipc.messages import Follow, SitePart, SiteVersion
from oneproxy.ipc.peer import Peer
from oneproxy.ipc.stream import encode
from oneproxy.site import last
from oneproxy.site.last import LastSite
from oneproxy.site.model import Key, Row, Version
from oneproxy.store.database import StoreError
from oneproxy.store.site_rows import START
from oneproxy.store.sites import PART

#: How often a new version is looked for: in SQLite, and where the database tells of it.
LOOK_S: Final = 0.5
LOOK_TOLD_S: Final = 5.0
#: Above every key of an entry.
LAST: Final = "\U0010ffff"
#: After a fault of the database.
AGAIN_S: Final = 1.0
#: Entries that are kept in the file at a time, and the part of the time that this may take.
KEEP: Final = 1_000
KEEP_SHARE: Final = 10
#: After a fault of the disk.
KEEP_AGAIN_S: Final = 60.0

log = structlog.get_logger()


class Source(Protocol):
    """Where the site is read. Raises StoreError."""

    def look(self) -> Version:
        """The newest version."""
        ...

    def find(self, version: int) -> Version | None:
        """The version of this number."""
        ...

    def page(self, base: int, version: int, after: Key, rows: int) -> list[Row]:
        """As `site_rows.page`."""
        ...

    def prune(self, now: float) -> None:
        """Forget versions that are too many."""
        ...


class Kept:
    """The site in the file, while there is no database."""

    def __init__(self, kept: LastSite) -> None:
        self._version = kept.version
        self._rows = kept.rows

    def look(self) -> Version:
        """The one version that there is."""
        return self._version

    def find(self, version: int) -> Version | None:
        """That, or None."""
        return self._version if version == self._version.version else None

    def prune(self, _now: float) -> None:
        """There is one version."""

    def page(self, base: int, version: int, after: Key, rows: int) -> list[Row]:
        """The next entries behind `after`; base is 0, since nothing is known of other versions."""
        assert base == 0 and version == self._version.version
        begin = bisect.bisect_right(self._rows, after, key=lambda row: row[:2])
        return self._rows[begin : begin + rows]


class _Follower:
    """A node, the version that it has, and the one that is being sent to it."""

    __slots__ = ("after", "base", "first", "has", "peer", "sending")

    def __init__(self, peer: Peer, has: Version | None) -> None:
        self.peer = peer
        #: None: it knows of none, and has to be told even that there is none.
        self.has = has
        self.sending: Version | None = None
        #: Of which version what is sent makes it; 0: of nothing.
        self.base = 0
        self.after: Key = START
        self.first = True


class Feed:
    """Gives the site of `source` to the nodes that follow it.

    in_thread: has the database's thread do something. look_s: how often to look.
    """

    def __init__(
        self, source: Source, in_thread: Callable[..., Awaitable[Any]], look_s: float = LOOK_S
    ) -> None:
        self.source = source
        self.look_s = look_s
        self.latest: Version | None = None
        self._in_thread = in_thread
        self._followers: dict[Peer, _Follower] = {}
        self._look_at = 0.0
        self._try_at = 0.0
        self._changed = asyncio.Event()
        self._seldom = logs.RateLimited(log)

    def follows(self, peer: Peer, follow: Follow) -> None:
        """A node wants the site, and says which version it has."""
        has = Version(follow.version, follow.at) if follow.version else None
        self._followers[peer] = _Follower(peer, has)

    def left(self, peer: Peer) -> None:
        """A node has disconnected."""
        self._followers.pop(peer, None)

    def heard(self) -> None:
        """There may be a new version: look at once."""
        self._look_at = 0.0

    def begin_anew(self, source: Source, look_s: float) -> None:
        """The site is in another place from now on; what is being sent is not finished."""
        self.source, self.look_s = source, look_s
        self.latest = None
        self.heard()
        for follower in self._followers.values():
            follower.sending = None

    async def single(self, section: str) -> str:
        """The value that a section of one table has in the newest version, "" where there is none.

        Raises StoreError.
        """
        if self.latest is None:
            return ""
        # The first entry behind all whose section comes before it.
        before = (section[:-1], LAST)
        rows: list[Row] = await self._in_thread(self.source.page, 0, self.latest.version, before, 1)
        return rows[0][2] if rows and rows[0][0] == section else ""

    def wake_at(self, now: float) -> float:
        """When there is something to be done."""
        if now >= self._look_at or self._next() is not None:
            return max(now, self._try_at)
        return max(self._look_at, self._try_at)

    async def work(self, now: float) -> None:
        """Look for a new version where it is time, and send one part where somebody takes it."""
        if now < self._try_at:
            return
        try:
            if now >= self._look_at:
                await self._look(now)
            follower = self._next()
            if follower is not None:
                await self._send(follower)
        except StoreError as error:
            self._try_at = now + AGAIN_S
            self._seldom.warning("site not read", now, reason=str(error))

    async def _look(self, now: float) -> None:
        source = self.source
        self._look_at = now + self.look_s
        found: Version = await self._in_thread(source.look)
        if found == self.latest or source is not self.source:
            return
        self.latest = found
        self._changed.set()
        if found.version:
            log.info("site", version=found.version, by=found.who, comment=found.comment)
        else:
            log.warning("no site", consequence="no domain is served; `oneproxy apply FILE` gives it one")
        # By whoever it was written: here is who knows how many are to be kept.
        await self._in_thread(source.prune, found.at)

    def _next(self) -> _Follower | None:
        """A node that takes more and has not got the newest version."""
        latest = self.latest
        if latest is None:
            return None
        for follower in self._followers.values():
            if follower.peer.writable and (follower.sending is not None or not _is(follower.has, latest)):
                return follower
        return None

    async def _send(self, follower: _Follower) -> None:
        """Send a node the next part, and behind the last one the word that they are true."""
        source, latest = self.source, self.latest
        assert latest is not None
        if follower.sending is None:
            base = 0
            if follower.has is not None:
                known = await self._in_thread(source.find, follower.has.version)
                # A number alone could be of another history, of before a database was restored.
                base = follower.has.version if _is(follower.has, known) else 0
            follower.base = base if base <= latest.version else 0
            follower.sending, follower.after, follower.first = latest, START, True
        target = follower.sending
        rows: list[Row] = await self._in_thread(
            source.page, follower.base, target.version, follower.after, PART
        )
        if self._followers.get(follower.peer) is not follower or follower.sending is not target:
            # It left, or the site is elsewhere now.
            return
        if rows or follower.first:
            follower.peer.send(encode(SitePart(rows, follower.first)))
        follower.first = False
        if len(rows) == PART:
            follower.after = rows[-1][:2]
            return
        follower.peer.send(encode(SiteVersion(target.version, target.at, follower.base == 0)))
        follower.has, follower.sending = target, None
        # In turn: the others come first now.
        self._followers[follower.peer] = self._followers.pop(follower.peer)

    async def keep(self, path: str, secret: bytes) -> None:
        """Keep every version that is read in the file `path`, for ever; cancel it to end."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            version, source = self.latest, self.source
            if version is None or not version.version or isinstance(source, Kept):
                continue
            head = await asyncio.to_thread(last.read_head, path)
            if head == last.Head(last.FORMAT, version.version, version.at, secret.hex()):
                continue
            began = time.monotonic()
            try:
                await self._keep(path, secret, version, source)
            except (OSError, StoreError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                log.warning("last site not kept", file=path, reason=reason, again_in_s=KEEP_AGAIN_S)
                self._changed.set()
                await asyncio.sleep(KEEP_AGAIN_S)
            # A large site that changes every second is not written every second.
            await asyncio.sleep(KEEP_SHARE * (time.monotonic() - began))

    async def _keep(self, path: str, secret: bytes, version: Version, source: Source) -> None:
        with last.Writer(path, version, secret) as writer:
            after = START
            while True:
                rows: list[Row] = await self._in_thread(source.page, 0, version.version, after, KEEP)
                await asyncio.to_thread(writer.add, rows)
                if len(rows) < KEEP:
                    break
                after = rows[-1][:2]
            await asyncio.to_thread(writer.finish)


def _is(one: Version | None, other: Version | None) -> bool:
    """Whether they are the same version of the same history."""
    return one is not None and other is not None and (one.version, one.at) == (other.version, other.at)
