"""The recorder's part that answers the admin process.

What the databases know is read in a thread of its own, over connections of its own; what
people change of the bindings goes the way of all changes, so that it is committed in order
and every node is told. What only nodes know they are asked, and have GATHER_S to answer:
those that were silent are named.

Bounded: MAX_WAITING questions wait, the next one is refused; each is of bounded work.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import structlog
from msgspec.structs import replace

from oneproxy.deskwork import DATABASE, DeskWork, Reading, SearchWork
from oneproxy.ipc.call_records import FindRecords, RecordsHealth
from oneproxy.ipc.calls import MOST_CALLS, AskCalls, CallEnded, CallFound, CallsFound, EndCall, NodeEnded
from oneproxy.ipc.desk import (
    MAX_DIFFERING,
    PAGE,
    Answer,
    AskExplain,
    AskGateways,
    AskHealth,
    BanFound,
    BanLifted,
    BansFound,
    Bind,
    BindingsFound,
    Explained,
    Found,
    GatewaysFound,
    HealthFound,
    Inquiry,
    LiftBan,
    ListBans,
    Look,
    Looked,
    LookUp,
    NodeExplained,
    NodeFound,
    NodeHealth,
    NodeQuestion,
    ProviderFound,
    Query,
    Question,
    Refused,
    Report,
    Stage,
    Staged,
    Unbind,
    Unbound,
    Write,
    Written,
)
from oneproxy.ipc.limits import AskLimits, LimitFound, LimitsFound
from oneproxy.ipc.peer import Peer
from oneproxy.ipc.stream import encode
from oneproxy.registrar.bindings import Change, meaning, static_binding
from oneproxy.sip.reason import LONGEST_TEXT, is_text
from oneproxy.site.difference import Difference
from oneproxy.store.work import Away, Left, Verdict

#: Questions that wait for their answers.
MAX_WAITING: Final = 64
#: How long nodes have to answer.
GATHER_S: Final = 1.0

log = structlog.get_logger()


class Office(Protocol):
    """What the desk needs of the recorder."""

    #: Those that are connected.
    peers: set[Peer]

    def change(self, changes: list[Change]) -> asyncio.Future[Verdict]:
        """Commit changes of bindings, and tell every node."""
        ...

    def site_changed(self) -> None:
        """There is a new version of the site."""
        ...


class _Gathering:
    """Reports of nodes that are waited for."""

    __slots__ = ("done", "found", "waiting")

    def __init__(self, nodes: Iterable[Peer]) -> None:
        self.waiting = set(nodes)
        self.found: list[tuple[str, NodeFound]] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Desk:
    """Answers questions from `work`, from `search` where call records are wanted, and from the nodes of
    `office`."""

    def __init__(self, office: Office, work: DeskWork, search: SearchWork) -> None:
        self._office = office
        self._work = work
        self._search = search
        #: How call records fare; None where nobody knows.
        self.records: Callable[[], RecordsHealth] | None = None
        self._thread = ThreadPoolExecutor(1, "desk")
        self._searching = ThreadPoolExecutor(1, "search")
        self._tasks: set[asyncio.Task[None]] = set()
        self._staged: dict[Peer, list[Difference]] = {}
        self._gatherings: dict[int, _Gathering] = {}
        self._number = 0

    def asks(self, peer: Peer, query: Query) -> None:
        """A question came; its answer follows."""
        if len(self._tasks) >= MAX_WAITING:
            refused = Refused("busy", f"{MAX_WAITING} questions wait already")
            peer.send(encode(Answer(query.number, refused)))
            return
        task = asyncio.create_task(self._answer(peer, query))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def reports(self, peer: Peer, report: Report) -> None:
        """A node answers an inquiry, perhaps one that is waited for no longer."""
        gathering = self._gatherings.get(report.number)
        if gathering is not None and peer in gathering.waiting:
            gathering.waiting.remove(peer)
            gathering.found.append((peer.node, report.found))
            _end_if_all(gathering)

    def left(self, peer: Peer) -> None:
        """A node or the admin process has disconnected."""
        self._staged.pop(peer, None)
        for gathering in self._gatherings.values():
            gathering.waiting.discard(peer)
            _end_if_all(gathering)

    def close(self) -> None:
        """Answer nobody any more, and end the thread after the piece of work that it is at."""
        for task in self._tasks:
            task.cancel()
        self._thread.shutdown(cancel_futures=True)
        self._searching.shutdown(cancel_futures=True)
        self._work.close()
        self._search.close()

    async def _answer(self, peer: Peer, query: Query) -> None:
        try:
            found = await self._find(peer, query.question)
        except Exception as error:
            # Our own fault, and that of one question.
            log.exception("question not answered", question=type(query.question).__name__)
            found = Refused("fault", type(error).__name__)
        peer.send(encode(Answer(query.number, found)))

    async def _find(self, peer: Peer, question: Question) -> Found:
        match question:
            case Stage():
                return self._stage(peer, question)
            case Write():
                return await self._write(peer, question)
            case Bind(aor, contact, q):
                change = Change(aor, (), (static_binding(contact, q, time.time()),))
                return _fate(await self._office.change([change]), 0)
            case Unbind():
                return await self._unbind(question)
            case ListBans():
                return _merge_bans(*await self._inquire(question))
            case LiftBan():
                found, silent = await self._inquire(question)
                lifted = (one.nodes for _, one in found if isinstance(one, BanLifted))
                return BanLifted(sum(lifted), silent)
            case AskHealth():
                return await self._health(question)
            case AskGateways():
                return _merge_gateways(*await self._inquire(question))
            case AskLimits():
                return _merge_limits(*await self._inquire(question))
            case AskExplain():
                return _merge_explained(*await self._inquire(question))
            case AskCalls(most=most):
                return _merge_calls(*await self._inquire(question), most)
            case EndCall():
                return await self._end_call(question)
            case FindRecords():
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._searching, self._search.find, question)
            case _:
                return await self._read(question)

    def _stage(self, peer: Peer, stage: Stage) -> Found:
        staged = [] if stage.first else self._staged.get(peer, [])
        if len(stage.differing) > PAGE or len(staged) + len(stage.differing) > MAX_DIFFERING:
            return Refused("unfit", f"more than {MAX_DIFFERING} entries, or {PAGE} of them at once")
        staged += stage.differing
        self._staged[peer] = staged
        return Staged()

    async def _write(self, peer: Peer, write: Write) -> Found:
        differing = self._staged.pop(peer, [])
        if len(differing) != write.count:
            return Refused("unfit", f"{len(differing)} entries are staged, not {write.count}")
        found: Found = await self._in_thread(self._work.write, write, differing, time.time())
        if isinstance(found, Written):
            self._office.site_changed()
        return found

    async def _unbind(self, unbind: Unbind) -> Found:
        """Remove what is in the database; what comes while it is looked up, a refresh too, stays."""
        found = await self._read(LookUp(unbind.aor))
        if not isinstance(found, BindingsFound):
            return found
        # A phone may have a contact over several flows, which are bindings of their own.
        gone = [binding for _, binding in found.bindings if unbind.contact in ("", binding.contact)]
        if not gone:
            return Unbound(0)
        keys = tuple(binding.key for binding in gone)
        change = Change(unbind.aor, keys, (), tuple(meaning(binding) for binding in gone))
        return _fate(await self._office.change([change]), len(gone))

    async def _health(self, question: AskHealth) -> Found:
        nodes, silent = await self._inquire(question)
        proxy, system = await self._in_thread(self._work.faults)
        looked = None if system else await self._read(Look())
        version = looked.latest.version if isinstance(looked, Looked) else 0
        healths = [replace(one, name=name) for name, one in nodes if isinstance(one, NodeHealth)]
        records = None if self.records is None else self.records()
        return HealthFound(proxy, system, version, sorted(healths, key=_name), silent, records)

    async def _end_call(self, question: EndCall) -> Found:
        if not is_text(question.reason):
            return Refused("unfit", f"reason: allowed is one line of {LONGEST_TEXT} characters at most")
        found, silent = await self._inquire(question)
        nodes = [node for node, one in found if isinstance(one, NodeEnded) and one.had]
        return CallEnded(nodes[0] if nodes else "", silent)

    async def _inquire(self, question: NodeQuestion) -> tuple[list[tuple[str, NodeFound]], tuple[str, ...]]:
        """What the nodes answer, each with its name; and the names of those that did not in time."""
        nodes = [peer for peer in self._office.peers if peer.welcomed and not peer.is_admin]
        gathering = _Gathering(nodes)
        self._number += 1
        number = self._number
        self._gatherings[number] = gathering
        frame = encode(Inquiry(number, question))
        for node in nodes:
            node.send(frame)
        _end_if_all(gathering)
        try:
            await asyncio.wait([gathering.done], timeout=GATHER_S)
        finally:
            del self._gatherings[number]
        return gathering.found, tuple(sorted(peer.node for peer in gathering.waiting))

    async def _read(self, question: Reading) -> Found:
        found: Found = await self._in_thread(self._work.answer, question, time.time())
        return found

    async def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)


def _end_if_all(gathering: _Gathering) -> None:
    if not gathering.waiting and not gathering.done.done():
        gathering.done.set_result(None)


def _fate(verdict: Verdict, removed: int) -> Found:
    """What became of one change of bindings that people made."""
    if isinstance(verdict, Away):
        return Refused(DATABASE, str(verdict))
    if isinstance(verdict, str):
        return Refused("unfit", verdict)
    if isinstance(verdict, Left):
        return Refused(DATABASE, "somebody else has locked what it changes")
    if verdict:
        return Refused("unfit", "no database can store it: a text is too long or odd")
    return Unbound(removed)


def _merge_bans(found: Iterable[tuple[str, NodeFound]], silent: tuple[str, ...]) -> BansFound:
    """The first PAGE of what the nodes have, each name once, by the longest of its bans."""
    by_name: dict[str, BanFound] = {}
    for _, one in found:
        for ban in one.bans if isinstance(one, BansFound) else ():
            known = by_name.get(ban.name)
            if known is None or known.until < ban.until:
                by_name[ban.name] = ban
    bans = [by_name[name] for name in sorted(by_name)]
    return BansFound(bans[:PAGE], silent)


def _merge_gateways(found: Iterable[tuple[str, NodeFound]], silent: tuple[str, ...]) -> GatewaysFound:
    """What each node knows, by its name: calls and health are its own."""
    providers: list[ProviderFound] = []
    left_out = 0
    for node, one in sorted(found, key=_node):
        if isinstance(one, GatewaysFound):
            providers += [replace(provider, node=node) for provider in one.providers]
            left_out += one.left_out
    return GatewaysFound(providers, left_out, silent)


def _merge_limits(found: Iterable[tuple[str, NodeFound]], silent: tuple[str, ...]) -> LimitsFound:
    """What each node knows, by its name: each has the limits by itself."""
    limits: list[LimitFound] = []
    left_out = 0
    for node, one in sorted(found, key=_node):
        if isinstance(one, LimitsFound):
            limits += [replace(limit, node=node) for limit in one.limits]
            left_out += one.left_out
    return LimitsFound(limits, left_out, silent)


def _merge_explained(found: Iterable[tuple[str, NodeFound]], silent: tuple[str, ...]) -> Found:
    """What each node says; or what is wrong with the question, which they agree on."""
    nodes = [
        replace(one, node=node) for node, one in sorted(found, key=_node) if isinstance(one, NodeExplained)
    ]
    fault = next((one.fault for one in nodes if one.fault), "")
    return Refused("unfit", fault) if fault else Explained(nodes, silent)


def _merge_calls(found: Iterable[tuple[str, NodeFound]], silent: tuple[str, ...], most: int) -> CallsFound:
    """Those of all nodes that began first; each has told its own."""
    calls: list[CallFound] = []
    total = matching = unseen = 0
    for node, one in found:
        if isinstance(one, CallsFound):
            calls += [replace(call, node=node) for call in one.calls]
            total += one.total
            matching += one.matching
            unseen += one.unseen
    calls.sort(key=_since)
    return CallsFound(calls[: min(most, MOST_CALLS)], total, matching, unseen, silent)


def _since(call: CallFound) -> tuple[float, str]:
    return call.since, call.id


def _node(found: tuple[str, NodeFound]) -> str:
    return found[0]


def _name(health: NodeHealth) -> str:
    return health.name
