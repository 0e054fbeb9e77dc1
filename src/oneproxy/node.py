"""A node: one process, one thread, one loop that handles SIP and takes every decision.

It assembles the rooms: listeners and driver, the engine, the steps of policy, the
location in memory, and the link to the recorder.
"""

import asyncio
import gc
import sys
from dataclasses import replace
from typing import Final

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from oneproxy import hugepages, logs
from oneproxy.access.bans import Bans
from oneproxy.access.causes import ORDINARY
from oneproxy.access.step import Access
from oneproxy.callwork import CallWork
from oneproxy.congestion.count import CODES
from oneproxy.congestion.step import LimitStep
from oneproxy.congestionwork import CongestionWork
from oneproxy.engine.core import Engine
from oneproxy.engine.decisions import Ask, Decision
from oneproxy.engine.dialog import DialogMark
from oneproxy.engine.flow import Flow, Listener
from oneproxy.engine.routing import Own
from oneproxy.gateway_views import view_of
from oneproxy.inquiries import Inquiries, explain_to_people
from oneproxy.ipc import child
from oneproxy.ipc.calls import AskCalls, CallsFound, EndCall, NodeEnded
from oneproxy.ipc.desk import (
    AskExplain,
    GatewaysFound,
    NodeExplained,
    NodeHealth,
)
from oneproxy.ipc.limits import LimitsFound
from oneproxy.ipc.link import Link
from oneproxy.ipc.messages import Follow, SitePart, SiteVersion, Start
from oneproxy.listening import (
    bind_all,
    explain,
    make_room_for_files,
    name_servers,
    other_addresses,
    warn_of_choice,
)
from oneproxy.policy.added import StepError, added_steps
from oneproxy.policy.build import build
from oneproxy.policy.domains import names_of
from oneproxy.policy.live import Live
from oneproxy.policy.order import Order
from oneproxy.registrar.location import Location
from oneproxy.registrar.mirror import Mirror
from oneproxy.registrar.step import Registrar
from oneproxy.sip.malformed import Malformed
from oneproxy.transport.banned import Shut
from oneproxy.transport.connections import Connections, Limits
from oneproxy.transport.driver import Clock, Driver
from oneproxy.transport.flows import Ways, reach
from oneproxy.transport.names import Names
from oneproxy.transport.udp import UdpListener
from oneproxy.trunks.step import TrunkStep
from oneproxy.trunkwork import TrunkWork

#: Server transactions for each call that the node has room for: INVITE and BYE are
#: remembered for 32 s after they were answered, so calls shorter than that pile up.
TRANSACTIONS_PER_CALL: Final = 10
#: How often a drain looks whether everything is answered.
_DRAIN_STEP_S: Final = 0.05
#: How much longer than the longest binding a connection may idle that it was made over.
_BEYOND_BINDINGS_S: Final = 300.0
#: At the end: how long what came last is looked at, and peers have to close too.
_LAST_LOOK_S: Final = 0.5
_GOOD_BYE_S: Final = 1.0
_COUNTS_EVERY_S: Final = 60.0
#: Characters of what a peer wrote that a line of the log takes.
_LOGGED: Final = 128

log = structlog.get_logger()


class Node:
    """Everything that one node consists of."""

    def __init__(self, start: Start) -> None:
        """Raises OSError where a listener can't be bound or a certificate not be used: `explain` it."""
        self._start = start
        self._machine = start.machine
        self._index = start.index
        self._clock = Clock()
        machine = self._machine
        self._connections = Connections(Limits(machine.connections, machine.connections_per_source))
        self._listeners = bind_all(machine.listen, self._connections)
        #: Sources that are banned: policy writes it, and who reads from sockets looks into it.
        shut: Shut = {}
        self._bans = Bans(shut)
        self._connections.shut = shut
        for listener in self._listeners:
            if isinstance(listener, UdpListener):
                listener.shut = shut
        self._driver = Driver(self._clock, self._listeners, self._connections)
        self._names = Names(reach(self._listeners), name_servers(machine.dns_servers))
        self._names.on_found = self._driver.flush_soon
        self._ways = Ways(self._listeners, self._connections, self._names)
        self._link = Link(start.endpoint, start.token, self._machine.name)
        self._location = Location(self._machine.registrations, known=False)
        self._mirror = Mirror(self._location, self._link.fetch, self._answer)
        self._live = Live()
        self._has_site: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._policy: Order | None = None
        self._loaded_once = False
        self._inquiries = Inquiries(
            self._bans,
            self._health,
            self._clock.now,
            self._link.report,
            self._gateways,
            self._explain,
            self._limits,
            self._of_calls,
        )
        self._link.on_inquiry = self._inquiries.take
        self._counted: dict[str, int] = {}
        self._faults = logs.RateLimited(log)

    async def serve(self) -> None:
        """Begin to serve; bindings are loaded meanwhile.

        A request for an address-of-record that has not been loaded has the recorder asked
        for that one, and waits for it.
        """
        secret = await self._link.start()
        self._link.follow_site(self._have, self._take_part, self._take_site)
        await self._has_site
        self._engine = self._assemble(secret)
        self._loading_since = self._clock.now()
        self._mirror.on_loaded = self._loaded
        # What stands now stands until the end: the collector need not look at it again.
        # Nothing on the path of a message makes cycles, nor do bindings by the hundred
        # thousand: looking for some while these come would take as long as taking them.
        gc.collect()
        gc.freeze()
        gc.set_threshold(500_000, 20, 100)
        self._link.follow(self._mirror, self._clock.now)
        self._names.start()
        self._calls.resume(self._live.site)
        self._driver.start(self._engine)
        self._trunks.start(self._live.site)
        self._congestion.start(self._driver)
        self._congestion.watch(self._listeners, self._connections.turns, self._clock.now)
        for listener in self._listeners:
            warn_of_choice(listener)

    def _loaded(self) -> None:
        """All bindings have come."""
        if not self._loaded_once:
            hugepages.start()
        self._loaded_once = True
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        took_s = self._clock.now() - self._loading_since
        log.info("bindings loaded", bindings=self._location.count, seconds=round(took_s, 1))
        if self._location.left_out:
            log.warning(
                "no room for bindings",
                left_out=self._location.left_out,
                registrations=self._machine.registrations,
            )

    def detail(self) -> str:
        """What people are told: the addresses that it listens on."""
        return ", ".join(f"{listener.transport.lower()} {listener.sent_by}" for listener in self._listeners)

    async def count(self) -> None:
        """Log now and then what was counted since the last time."""
        while True:
            await asyncio.sleep(_COUNTS_EVERY_S)
            self._log_counts()

    async def stop(self, drain_s: float) -> None:
        """Answer what is in flight, at most for `drain_s`, refuse what is new, then end."""
        loop = asyncio.get_running_loop()
        until = loop.time() + drain_s
        self._engine.drain()
        # The engine has no loop that it could tell, so it is asked now and then.
        while loop.time() < until and (self._engine.unanswered() or self._link.waiting):  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_STEP_S)
        # What lies in the sockets came before the end too: it is refused rather than dropped.
        self._driver.finish(loop.time() + _LAST_LOOK_S)
        until = loop.time() + _GOOD_BYE_S
        while loop.time() < until and len(self._connections):  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_STEP_S)
        self._driver.stop()
        self._trunks.stop()
        self._calls.stop()
        self._congestion.stop()
        await self._names.close()
        self._log_counts()
        if self._location.unsaved:
            log.warning("stopped with bindings that are not saved", left=self._location.unsaved_count)
        log.info("stopped", unanswered=self._engine.unanswered())
        await self._link.close()

    def _assemble(self, secret: bytes) -> Engine:
        listeners: list[Listener] = list(self._listeners)
        own_hosts = {listener.sent_by for listener in listeners} | {listener.host for listener in listeners}
        self._own = Own(listeners, names_of(self._live.domains), other_addresses(self._listeners))
        self._policy = build(
            self._live,
            secret,
            own_hosts,
            self._location,
            self._link.save,
            self._answer,
            self._ways.named,
            self._mirror,
            bans=self._bans,
            since=self._clock.now(),
            added=added_steps(self._live),
        )
        engine = Engine(
            self._clock.now(),
            self._machine.name,
            listeners,
            self._ways,
            self._policy,
            DialogMark(HKDF(SHA256(), 32, salt=None, info=b"oneproxy dialog mark").derive(secret)),
            self._own,
            self._machine.calls * TRANSACTIONS_PER_CALL,
            self._machine.calls,
        )
        engine.refusals.on_malformed = self._note_malformed
        engine.trust.on_refused = self._note_refused
        limits = next(step.limits for step in self._policy.steps if isinstance(step, LimitStep))
        self._calls = CallWork(
            self._machine,
            self._index,
            engine,
            self._policy,
            self._live.domains,
            self._driver,
            limits.hold_again,
        )
        self._congestion = CongestionWork(engine, self._live.site, limits, self._calls.has_no_room)
        for step in self._policy.steps:
            if isinstance(step, Registrar):
                step.on_dropped = self._note_dropped
                engine.gate.shedding.knows = step.keeps_up
                self._registrar = step
            if isinstance(step, TrunkStep):
                engine.trust.keeps = step.keeps
                self._trunks = TrunkWork(
                    self._machine,
                    self._index,
                    secret,
                    step,
                    engine,
                    listeners,
                    self._driver,
                    self._names.find,
                )
            if isinstance(step, Access):
                engine.trust.screen = step.screen
                engine.trust.trusts = step.trusts
        return engine

    def _note_dropped(self, aor: str) -> None:
        """A contact that was served from memory is one that no database takes."""
        log.error("binding not stored", aor=aor[:_LOGGED], consequence="it ends with the node")

    def _note_malformed(self, now: float, flow: Flow, fault: Malformed) -> None:
        """Log it at a limited rate: whoever sends garbage must not fill the disk with it."""
        self._faults.warning(
            "malformed message", now, key=fault, code=fault.value, source=f"{flow.host}:{flow.port}"
        )

    def _have(self) -> Follow:
        return Follow(self._live.version, self._live.at)

    def _take_part(self, part: SitePart) -> None:
        for name in self._live.stage(part.entries, part.first):
            log.error("entry of the site not understood", entry=name)

    def _take_site(self, version: SiteVersion) -> None:
        """What came is the site from now on, for every step and in one turn of the loop."""
        site = self._live.become(version.version, version.at, version.whole)
        longest_s = max((one.max_expires_s for one in site.domains.values()), default=0)
        self._connections.limits = replace(
            self._connections.limits, registered_idle_s=longest_s + _BEYOND_BINDINGS_S
        )
        if self._policy is not None:
            self._policy.take(site)
            self._trunks.take(site)
            self._calls.take(site)
            self._congestion.take(site)
            self._narrow()
            self._own.serve(names_of(site.domains))
        log.info(
            "site", version=version.version, domains=len(site.domains), subscribers=len(site.subscribers)
        )
        if not self._has_site.done():
            self._has_site.set_result(None)

    def _narrow(self) -> None:
        """Go on with what a change of the site leaves to do with bans, a step in a turn of the loop."""
        for step in self._policy.steps if self._policy is not None else ():
            if isinstance(step, Access) and step.narrow():
                asyncio.get_running_loop().call_soon(self._narrow)

    def _note_refused(self, ask: Ask, cause: str) -> None:
        """Log it at a limited rate, without what would tell a password."""
        if cause in ORDINARY or cause in CODES:
            # Of what limits refuse the first and the last of an episode are logged.
            return
        request = ask.request
        self._faults.warning(
            "request refused",
            ask.now,
            key=cause,
            code=cause,
            method=request.method[:_LOGGED],
            source=f"{ask.flow.host}:{ask.flow.port}",
            account=(request.get("to" if request.method == "REGISTER" else "from") or "")[:_LOGGED],
        )

    def _health(self) -> NodeHealth:
        longest_ms, mean_ms = self._congestion.waits()
        return NodeHealth(
            self._live.version,
            self._location.count,
            self._loaded_once,
            len(self._bans),
            longest_wait_ms=longest_ms,
            mean_wait_ms=mean_ms,
            dropped=self._congestion.drops,
            loss_percent=self._congestion.loss_percent(self._clock.now()),
        )

    def _gateways(self) -> GatewaysFound:
        registrations = () if self._policy is None else self._trunks.registrations.standings()
        return view_of(self._policy, self._clock.now(), registrations)

    async def _limits(self) -> LimitsFound:
        if self._policy is None:
            return LimitsFound([])
        return await self._congestion.found(self._trunks.calls_of, self._clock.now())

    def _explain(self, question: AskExplain) -> NodeExplained:
        return explain_to_people(self._policy, question, self._listeners, self._clock.now())

    async def _of_calls(self, question: AskCalls | EndCall) -> CallsFound | NodeEnded:
        if self._policy is not None:
            return await self._calls.answer(question)
        return NodeEnded(False) if isinstance(question, EndCall) else CallsFound([], 0, 0)

    def _answer(self, ask: Ask, decision: Decision) -> None:
        """A decision that policy had to wait for."""
        self._engine.answer(self._clock.now(), ask, decision)
        self._driver.flush_soon()

    def _log_counts(self) -> None:
        counted = self._engine.counters.totals()
        datagrams = [one for one in self._listeners if isinstance(one, UdpListener)]
        counted["unsent"] = sum(one.unsent for one in datagrams)
        counted.update(self._connections.counts)
        counted["dropped.banned"] = sum(one.banned for one in datagrams) + counted.get("dropped.banned", 0)
        counted["faults"] = self._driver.faults + self._connections.counts["faults"]
        counted["bindings_dropped"] = self._registrar.dropped
        counted["names_refused"] = self._names.refused
        counted["names_failed"] = self._names.answers.failures
        counted["log_lost"] = logs.lost()
        counted["calls_not_kept"] = self._calls.lost
        counted["dropped.system"] = self._congestion.drops
        new = {name: count - self._counted.get(name, 0) for name, count in counted.items()}
        self._counted = counted
        longest_ms, mean_ms = self._congestion.period()
        if any(new.values()):
            log.info(
                "counted",
                **{name: count for name, count in new.items() if count},
                longest_wait_ms=longest_ms,
                mean_wait_ms=mean_ms,
            )


async def run(start: Start, parent: child.Parent) -> int:
    """Serve until told to stop; the exit status."""
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[float] = loop.create_future()

    def stop(drain_s: float) -> None:
        if not stopping.done():
            stopping.set_result(drain_s)

    if any(listen.transport.upper() != "UDP" for listen in start.machine.listen):
        make_room_for_files(start.machine.connections)
    try:
        node = Node(start)
    except OSError as error:
        parent.failed(explain(error))
        return 1
    parent.watch(loop, stop)
    serving = asyncio.ensure_future(node.serve())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        return 0
    try:
        serving.result()
    except StepError as error:
        parent.failed(str(error))
        return 1
    parent.ready(node.detail())
    counting = asyncio.ensure_future(node.count())
    drain_s = await stopping
    counting.cancel()
    await node.stop(drain_s)
    return 0


def main() -> None:
    """The process: started by the supervisor."""
    start, parent = child.meet()
    logs.configure(f"node-{start.index}")
    if sys.platform == "win32":
        status = asyncio.run(run(start, parent))
    else:
        import uvloop

        status = uvloop.run(run(start, parent))
    sys.exit(status)


if __name__ == "__main__":
    main()
