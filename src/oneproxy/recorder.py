"""The recorder: the only process that speaks to the database.

Nodes connect and send batches of changes. All that wait when a commit begins go into
one transaction; an acknowledgement leaves only after its commit, so what a node was
told is stored. Databases block, so their work is done in one thread, a piece at a time,
while the loop reads on: what arrives meanwhile is the next group. Commits alone PostgreSQL does
without it (`store/direct.py`), as long as nothing goes wrong; the pieces take their turns all
the same.

    Save  --> waiting ---> [commit] ---> Saved, NotSaved; Changed to the other nodes
    Fetch --> fetches ---> [fetch]  ---> Fetched
    Load ---> loads   ---> [page]   ---> Page, until the last
                           [sweep]       now and then: what has expired
                           [probe]       while the database is away: whether it is back
    Follow -> sitefeed ---> [site]  ---> SitePart, SiteVersion, and again when it changes

A page read before a commit leaves before its acknowledgement, since both leave as the
pieces end: a node that takes what comes later as newer is never wrong.

While the database is away batches are answered NotSaved at once. Nodes are told, keep what
they know, and send it again when they are told that the database is back.
"""

import asyncio
import contextlib
import gc
import sys
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from oneproxy import logs
from oneproxy.beginning import Begun, Unopened
from oneproxy.databases import Aside, Database
from oneproxy.desk import Desk
from oneproxy.deskwork import DeskWork, SearchWork
from oneproxy.drain import Drain, begin_drain
from oneproxy.ipc import child
from oneproxy.ipc.desk import Query, Report
from oneproxy.ipc.endpoint import listen
from oneproxy.ipc.messages import Changed, Fetch, Follow, Load, NotSaved, Save, Saved, Standing
from oneproxy.ipc.peer import Peer
from oneproxy.ipc.stream import encode
from oneproxy.reads import Reads
from oneproxy.registrar.bindings import Change
from oneproxy.sitefeed import LOOK_S, LOOK_TOLD_S, Feed, Kept, Source
from oneproxy.store import site_notice
from oneproxy.store.database import StoreError
from oneproxy.store.direct import Direct
from oneproxy.store.work import Away, Left, Verdict
from oneproxy.thread import Thread

#: Changes in one transaction; at least one batch is taken.
MAX_GROUP: Final = 5_000
#: Changes that wait; beyond it nothing more is read, and the nodes wait, or refuse.
MAX_WAITING: Final = 50_000
#: Commits begin this far apart. A commit costs the recorder 0.5 ms of CPU (0.9 with SQLite), a
#: change in it 3 us (9). A node sends a batch every 50 ms at most, so of one node none waits for
#: this; those of several share a commit.
COMMIT_EVERY_S: Final = 0.025
#: Between two steps of sweeping, after the end of the table, and after a fault.
SWEEP_EVERY_S: Final = 2.0
SWEEP_PAUSE_S: Final = 60.0
#: Before the database is tried again, whether it is back.
PROBE_EVERY_S: Final = 1.0
#: Between attempts to open the databases, where they could not be reached at the start.
OPEN_AGAIN_S: Final = 1.0

log = structlog.get_logger()


class Recorder:
    """Serves nodes from `database`.

    secret: what every node is told. token: what every node has to know. site: where the site
    is read.
    """

    def __init__(self, database: Database, secret: bytes, token: str, site: Source) -> None:
        self.secret = secret
        self.token = token
        self.peers: set[Peer] = set()
        #: Counters since the start.
        self.commits = 0
        self.changes = 0
        self._thread = Thread("database")
        self.feed = Feed(site, self._thread.do)
        self._database = database
        self._waiting: deque[tuple[Peer | None, Save]] = deque()
        #: Who waits for what the recorder does for others than nodes, by number of batch.
        self._by_hand: dict[int, asyncio.Future[Verdict]] = {}
        self._hands = 0
        self._waiting_changes = 0
        self._reads = Reads(self._thread.do, self._has_read)
        #: What the nodes were told last of the database.
        self._away = False
        self._probe_at = 0.0
        self._work = asyncio.Event()
        self._busy = False
        self._quiet = asyncio.Event()
        self._commit_at = 0.0
        self._sweep_at = 0.0
        #: As the nodes, who say when bindings end: a clock that is set must not end them all.
        self._epoch = time.time() - time.monotonic()
        self._seldom = logs.RateLimited(log)
        self._paused = False
        #: Commits groups without the thread, where the database can do that and all is well.
        self.direct: Aside | None = None
        #: Answers the admin process and commands; puts call records into the database, once that is open.
        self.desk: Desk | None = None
        self.drain: Drain | None = None

    def protocol(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return Peer(self)

    def opened(self, database: Database) -> None:
        """The database is there, which could not be reached before."""
        self._database = database
        self.wake()

    def site_changed(self) -> None:
        """There may be a new version of the site."""
        self.feed.heard()
        self.wake()

    async def serve(self) -> None:
        """Do the database's work for ever, a piece at a time; cancel it to end."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            self._busy = True
            if self._waiting and now >= self._commit_at:
                self._commit_at = now + COMMIT_EVERY_S
                await self._commit()
            await self._reads.work(self._database, now)
            await self.feed.work(now)
            if self._away:
                if now >= self._probe_at:
                    await self._probe()
            elif now >= self._sweep_at:
                await self._sweep()
            self._busy = False
            self.look_if_quiet()
            await self._rest(loop)

    async def settled(self, patience_s: float) -> None:
        """Wait until every node has left and nothing waits, or for `patience_s`."""
        self.look_if_quiet()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), patience_s)

    def look_if_quiet(self) -> None:
        """Note whether every node has left and nothing waits."""
        if self.peers or self._waiting or self._busy:
            self._quiet.clear()
        else:
            self._quiet.set()

    def close(self) -> None:
        """Disconnect every node and end the thread, after the piece of work that it is at."""
        for peer in list(self.peers):
            peer.close()
        if self.drain is not None:
            self.drain.finish()
        if self.desk is not None:
            self.desk.close()
        if self.direct is not None:
            self.direct.close()
        self._thread.close()

    def saves(self, peer: Peer, save: Save) -> None:
        """A batch came."""
        self._waiting.append((peer, save))
        self._waiting_changes += len(save.changes)
        if self._waiting_changes > MAX_WAITING and not self._paused:
            self._paused = True
            for other in self.peers:
                other.read(False)
        self._work.set()

    def change(self, changes: list[Change]) -> asyncio.Future[Verdict]:
        """Commit changes that come from no node, such as bindings that people add; the verdict on them.

        Every node is told of them.
        """
        self._hands += 1
        verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._by_hand[self._hands] = verdict
        self._waiting.append((None, Save(self._hands, changes)))
        self._waiting_changes += len(changes)
        self._work.set()
        return verdict

    def loads(self, peer: Peer, load: Load) -> None:
        """A node wants all bindings; a load that it began before is forgotten."""
        self._reads.loads(peer, load)
        self._work.set()

    def fetches(self, peer: Peer, fetch: Fetch) -> None:
        """A node wants the bindings of some AoRs, before pages."""
        self._reads.fetches(peer, fetch)
        self._work.set()

    def greeted(self, peer: Peer) -> None:
        """A node was welcomed: it takes the database for one that is there."""
        if self._away:
            peer.send(encode(Standing(True)))

    def follows(self, peer: Peer, follow: Follow) -> None:
        """A node wants the site."""
        self.feed.follows(peer, follow)
        self._work.set()

    def asks(self, peer: Peer, query: Query) -> None:
        """The admin process asks."""
        if self.desk is not None:
            self.desk.asks(peer, query)

    def reports(self, peer: Peer, report: Report) -> None:
        """A node answers an inquiry."""
        if self.desk is not None:
            self.desk.reports(peer, report)

    def left(self, peer: Peer) -> None:
        """A node has disconnected. Its batches stay: they cost an answer that nobody reads."""
        if self.desk is not None:
            self.desk.left(peer)
        self.feed.left(peer)
        self._reads.left(peer)
        self.look_if_quiet()

    def wake(self) -> None:
        """Something may be possible that was not: look again."""
        self._work.set()

    async def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sleep until there is work or the next hour of something strikes."""
        now = loop.time()
        clear_at = self._probe_at if self._away else self._sweep_at
        wake_at = min(clear_at, self.feed.wake_at(now), self._reads.wake_at(now))
        if self._waiting:
            wake_at = min(wake_at, self._commit_at)
        if self._waiting and wake_at == self._commit_at:
            # Nothing that arrives can make it earlier.
            await asyncio.sleep(max(0.0, wake_at - loop.time()))
            return
        timer = loop.call_at(wake_at, self._work.set)
        await self._work.wait()
        timer.cancel()
        self._work.clear()

    async def _commit(self) -> None:
        """Commit what waits, as one group, and answer its batches."""
        group: list[tuple[Peer | None, Save]] = []
        changes = 0
        while self._waiting and (not group or changes + len(self._waiting[0][1].changes) <= MAX_GROUP):
            group.append(self._waiting.popleft())
            changes += len(group[-1][1].changes)
        batches = [save.changes for _, save in group]
        verdicts = None
        if self.direct is not None and not self._away:
            verdicts = await self.direct.commit(batches)
        if verdicts is None:
            verdicts = await self._thread.do(self._database.commit, batches)
        self.commits += 1
        for (peer, save), verdict in zip(group, verdicts, strict=True):
            if isinstance(verdict, str):
                self._complain("bindings not saved", verdict)
            else:
                saved = _saved(save.batch, verdict)
                left = (*saved.refused, *saved.later)
                self.changes += len(save.changes) - len(left)
                self._tell_others(peer, save, left)
            if peer is None:
                waiting = self._by_hand.pop(save.batch)
                if not waiting.done():
                    waiting.set_result(verdict)
            elif isinstance(verdict, str):
                peer.send(encode(NotSaved(save.batch, str(verdict), isinstance(verdict, Away))))
            else:
                peer.send(encode(_saved(save.batch, verdict)))
        self._look_if_away()
        self._waiting_changes -= changes
        if self._paused and self._waiting_changes <= MAX_WAITING // 2:
            self._paused = False
            for other in self.peers:
                other.read(True)

    def _tell_others(self, author: Peer | None, save: Save, refused: tuple[int, ...]) -> None:
        """Tell the nodes that did not send it what was committed, before they are told of what follows."""
        others = [peer for peer in self.peers if peer.follows and peer is not author]
        if not others or not save.changes:
            return
        frame = encode(Changed([change for at, change in enumerate(save.changes) if at not in refused]))
        for peer in others:
            peer.send(frame)

    def _has_read(self, fault: str) -> None:
        """Bindings were read for nodes, or were not: the fault."""
        if fault:
            self._complain("bindings not read", fault)
        self._look_if_away()

    def _look_if_away(self) -> None:
        """Tell the nodes when the database is gone, or back."""
        away = self._database.away
        if away:
            self._probe_at = asyncio.get_running_loop().time() + PROBE_EVERY_S
        if away == self._away:
            return
        self._away = away
        log.warning("database away") if away else log.info("database back")
        frame = encode(Standing(away))
        for peer in self.peers:
            if peer.welcomed:
                peer.send(frame)
        self._work.set()

    async def _probe(self) -> None:
        """See whether the database is back."""
        await self._thread.do(self._database.probe)
        self._look_if_away()

    async def _sweep(self) -> None:
        """One step of clearing out."""
        ended = await self._thread.do(self._database.sweep, time.monotonic() + self._epoch)
        if isinstance(ended, str):
            self._complain("expired bindings not removed", ended)
        pause_s = SWEEP_EVERY_S if ended is False else SWEEP_PAUSE_S
        self._sweep_at = asyncio.get_running_loop().time() + pause_s

    def _complain(self, what: str, reason: str) -> None:
        """Log a fault of the database; a full disk is one for every group."""
        self._seldom.warning(what, asyncio.get_running_loop().time(), reason=reason)


def _saved(batch: int, left: tuple[int, ...] | Left) -> Saved:
    """What a node is told of a batch of which these changes were not stored."""
    return Saved(batch, left.refused, left.later) if isinstance(left, Left) else Saved(batch, left)


async def serve(begun: Begun, parent: child.Parent) -> None:
    """Serve until the supervisor says Stop. Raises OSError where it cannot listen."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[float] = loop.create_future()

    def on_stop(drain_s: float) -> None:
        if not stop.done():
            stop.set_result(drain_s)

    work, start, kept = begun.work, begun.start, begun.kept
    if kept is None:
        recorder = Recorder(work, begun.secret, start.token, work.sites)
    else:
        recorder = Recorder(Unopened(begun.reason), begun.secret, start.token, Kept(kept))
    machine = start.machine
    desk_work = DeskWork(machine.proxy_database, machine.system_database)
    recorder.desk = Desk(recorder, desk_work, SearchWork(machine.proxy_database))
    server = await listen(start.endpoint, recorder.protocol)
    working = asyncio.create_task(recorder.serve())
    beside = asyncio.create_task(_beside(recorder, begun))
    parent.watch(loop, on_stop)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    parent.ready(work.proxy.shown, kept is None, begun.asked)
    either: list[asyncio.Future[Any]] = [stop, working, beside]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    server.close()
    for task in (working, beside):
        if task.done():
            # Our own fault: end with its traceback; the supervisor starts us anew.
            task.result()
    await recorder.settled(stop.result())
    working.cancel()
    beside.cancel()
    await asyncio.wait([working, beside])
    recorder.close()


async def _beside(recorder: Recorder, begun: Begun) -> None:
    """What goes on beside the nodes' work: open what is not open, hear of the site, keep it."""
    work = begun.work
    if begun.kept is not None:
        await _bring_back(recorder, begun)
    recorder.feed.look_s = LOOK_S if work.system.dialect == "sqlite" else LOOK_TOLD_S
    async with asyncio.TaskGroup() as group:
        group.create_task(recorder.feed.keep(begun.start.machine.last_site, begun.secret))
        if work.system.dialect != "sqlite":
            group.create_task(site_notice.listen(work.system, recorder.site_changed))
        if work.proxy.dialect != "sqlite":
            recorder.direct = direct = Direct(work.proxy)
            group.create_task(direct.keep())
        recorder.drain = drain = begin_drain(begun.start.machine)
        assert recorder.desk is not None
        recorder.desk.records = drain.health
        group.create_task(drain.follow(recorder.feed))


async def _bring_back(recorder: Recorder, begun: Begun) -> None:
    """Try to open the databases until it is done."""
    loop = asyncio.get_running_loop()
    seldom = logs.RateLimited(log)
    while True:
        await asyncio.sleep(OPEN_AGAIN_S)
        try:
            # Not in the database's thread: nodes are told that nothing is saved meanwhile.
            await asyncio.to_thread(begun.open)
            break
        except StoreError as error:
            seldom.warning("database not opened", loop.time(), reason=str(error))
    log.info("database opened")
    recorder.secret = begun.secret
    recorder.opened(begun.work)
    recorder.feed.begin_anew(begun.work.sites, LOOK_S)


def _run(serving: Coroutine[Any, Any, None]) -> None:
    """Run it on the faster loop, where there is one."""
    if sys.platform == "win32":
        asyncio.run(serving)
    else:
        import uvloop  # noqa: PLC0415 (it is not everywhere)

        uvloop.run(serving)


def main() -> int:
    """The process; its exit status. 1: it could not start, and the supervisor knows why."""
    start, parent = child.meet()
    logs.configure("recorder")
    try:
        begun = Begun(start)
    except StoreError as error:
        parent.failed(str(error))
        return 1
    try:
        _run(serve(begun, parent))
    except OSError as error:
        parent.failed(f"the recorder cannot listen at {start.endpoint}: {error}")
        return 1
    finally:
        begun.work.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
