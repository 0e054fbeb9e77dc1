"""The recorder's part that reads bindings for the nodes: all of them page by page, or some by name.

Nodes that load take turns, a page each, as far as they take more; who waits for some
addresses-of-record comes before all pages.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from oneproxy.ipc.messages import Fetch, Fetched, Load, Page
from oneproxy.ipc.peer import Peer
from oneproxy.ipc.stream import encode
from oneproxy.registrar.bindings import Binding

#: Before a page that could not be read is tried again.
LOAD_AGAIN_S: Final = 1.0
#: AoRs that are read at once.
MAX_FETCH: Final = 500


class Database(Protocol):
    """Where bindings are read; a text is the reason why they are not."""

    def page(self, now: float, after: str) -> tuple[list[tuple[str, Binding]], bool] | str:
        """Read all bindings of the AoRs that follow; and whether there are no more."""
        ...

    def fetch(self, now: float, aors: Sequence[str]) -> list[tuple[str, Binding]] | str:
        """Read the bindings of some AoRs."""
        ...


class _Loading:
    """A load under way for one node."""

    __slots__ = ("after", "now", "peer", "try_at")

    def __init__(self, peer: Peer, now: float) -> None:
        self.peer = peer
        self.now = now
        #: The last AoR that was sent.
        self.after = ""
        self.try_at = 0.0


class Reads:
    """What nodes wait for. in_thread: has the database's thread do something.

    has_read: told after a fetch, and after a page that could not be read; the fault, or "".
    """

    def __init__(self, in_thread: Callable[..., Awaitable[Any]], has_read: Callable[[str], None]) -> None:
        self._in_thread = in_thread
        self._has_read = has_read
        self._loads: deque[_Loading] = deque()
        self._fetches: deque[tuple[Peer, Fetch]] = deque()

    def loads(self, peer: Peer, load: Load) -> None:
        """A node wants all bindings; a load that it began before is forgotten."""
        self._loads = deque(loading for loading in self._loads if loading.peer is not peer)
        self._loads.append(_Loading(peer, load.now))

    def fetches(self, peer: Peer, fetch: Fetch) -> None:
        """A node wants the bindings of some AoRs, before pages."""
        self._fetches.append((peer, fetch))

    def left(self, peer: Peer) -> None:
        """A node has disconnected."""
        self._loads = deque(loading for loading in self._loads if loading.peer is not peer)
        self._fetches = deque(fetch for fetch in self._fetches if fetch[0] is not peer)

    def wake_at(self, now: float) -> float:
        """When there is something to be read."""
        if self._fetches:
            return now
        return min((loading.try_at for loading in self._loads if loading.peer.writable), default=math.inf)

    async def work(self, database: Database, now: float) -> None:
        """Read what is waited for by name, and one page."""
        if self._fetches:
            await self._fetch(database)
        loading = self._next_load(now)
        if loading is not None:
            await self._page(database, loading)

    async def _fetch(self, database: Database) -> None:
        """Read AoRs that nodes wait for, and send each node its own."""
        asked: list[tuple[Peer, Fetch]] = []
        aors: list[str] = []
        while self._fetches and (not asked or len(aors) + len(self._fetches[0][1].aors) <= MAX_FETCH):
            asked.append(self._fetches.popleft())
            aors += asked[-1][1].aors
        found = await self._in_thread(database.fetch, asked[0][1].now, aors)
        for peer, fetch in asked:
            if isinstance(found, str):
                peer.send(encode(Fetched(fetch.aors, [], True)))
            else:
                wanted = set(fetch.aors)
                peer.send(encode(Fetched(fetch.aors, [row for row in found if row[0] in wanted])))
        self._has_read(found if isinstance(found, str) else "")

    def _next_load(self, now: float) -> _Loading | None:
        """The load whose turn it is: one whose node takes more, in rotation."""
        for _ in range(len(self._loads)):
            loading = self._loads[0]
            self._loads.rotate(-1)
            if loading.peer.writable and now >= loading.try_at:
                return loading
        return None

    async def _page(self, database: Database, loading: _Loading) -> None:
        """Send the next page of a load."""
        found = await self._in_thread(database.page, loading.now, loading.after)
        if isinstance(found, str):
            loading.try_at = asyncio.get_running_loop().time() + LOAD_AGAIN_S
            self._has_read(found)
            return
        if loading not in self._loads:
            # The node left, or began anew, while the page was read.
            return
        bindings, last = found
        if last:
            self._loads.remove(loading)
        else:
            loading.after = bindings[-1][0]
        loading.peer.send(encode(Page(bindings, last)))
