"""A node: one process, one thread, one loop that handles SIP and takes every decision.

It assembles the rooms: listeners and driver, the engine, the steps of policy, the
location in memory, and the link to the recorder.
"""

import asyncio
import errno
import gc
import sys
from typing import Final

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from oneproxy import logs
from oneproxy.engine.core import Engine
from oneproxy.engine.decisions import Ask, Decision
from oneproxy.engine.dialog import DialogMark
from oneproxy.engine.flow import Flow, Listener
from oneproxy.engine.routing import Own
from oneproxy.ipc import child
from oneproxy.ipc.link import Link
from oneproxy.ipc.messages import Start
from oneproxy.policy.build import build
from oneproxy.registrar.bindings import Binding
from oneproxy.registrar.location import Location
from oneproxy.sip.malformed import Malformed
from oneproxy.site.model import Listen
from oneproxy.transport.driver import Clock, Driver
from oneproxy.transport.udp import UdpFlows, UdpListener

#: Server transactions for each call that the node has room for: INVITE and BYE are
#: remembered for 32 s after they were answered, so calls shorter than that pile up.
TRANSACTIONS_PER_CALL: Final = 10
#: How often a drain looks whether everything is answered.
_DRAIN_STEP_S: Final = 0.05
_COUNTS_EVERY_S: Final = 60.0

log = structlog.get_logger()


class Node:
    """Everything that one node consists of."""

    def __init__(self, start: Start) -> None:
        """Raises OSError, with the address in `filename`, where a listener can't be bound."""
        self._start = start
        self._machine = start.configuration.machine
        self._clock = Clock()
        self._listeners = [bind(listen) for listen in self._machine.listen]
        self._driver = Driver(self._clock, self._listeners)
        self._link = Link(start.endpoint, start.token, self._machine.name)
        self._location = Location(self._machine.registrations)
        #: Bindings of the database that the location had no room for.
        self._no_room = 0
        self._counted: dict[str, int] = {}
        self._faults = logs.RateLimited(log)

    async def serve(self) -> None:
        """Fetch what the recorder keeps, then begin to serve.

        What comes meanwhile waits in the sockets, so a node that was started again
        answers it late rather than from a memory that it has not got yet.
        """
        # Bindings by the hundred thousand make no cycles either: looking for some while
        # they come would take as long as taking them.
        gc.disable()
        secret = await self._link.start()
        loaded = asyncio.get_running_loop().create_future()
        self._link.load(self._clock.now(), self._take, lambda: loaded.set_result(None))
        await loaded
        if self._no_room:
            capacity = self._machine.registrations
            log.warning("no room for bindings", left_out=self._no_room, registrations=capacity)
        self._engine = self._assemble(secret)
        # What stands now stands until the end: the collector need not look at it again.
        # Nothing on the path of a message makes cycles, so young garbage is rare too.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        gc.enable()
        self._driver.start(self._engine)

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
        self._driver.stop()
        self._log_counts()
        log.info("stopped", unanswered=self._engine.unanswered())
        await self._link.close()

    def _assemble(self, secret: bytes) -> Engine:
        site = self._start.configuration.site
        listeners: list[Listener] = list(self._listeners)
        own_hosts = {listener.sent_by for listener in listeners} | {listener.host for listener in listeners}
        policy = build(site, secret, own_hosts, self._location, self._link.save, self._answer)
        engine = Engine(
            self._clock.now(),
            self._machine.name,
            listeners,
            UdpFlows(self._listeners),
            policy,
            DialogMark(HKDF(SHA256(), 32, salt=None, info=b"oneproxy dialog mark").derive(secret)),
            Own(listeners, frozenset(site.domains)),
            self._machine.calls * TRANSACTIONS_PER_CALL,
        )
        engine.on_malformed = self._note_malformed
        return engine

    def _note_malformed(self, now: float, flow: Flow, fault: Malformed) -> None:
        """Log it at a limited rate: whoever sends garbage must not fill the disk with it."""
        self._faults.warning(
            "malformed message", now, key=fault, code=fault.value, source=f"{flow.host}:{flow.port}"
        )

    def _take(self, page: list[tuple[str, Binding]]) -> None:
        self._no_room += self._location.load(page)

    def _answer(self, ask: Ask, decision: Decision) -> None:
        """A decision that policy had to wait for."""
        self._engine.answer(self._clock.now(), ask, decision)
        self._driver.flush_soon()

    def _log_counts(self) -> None:
        counted = self._engine.counters.totals()
        counted["unsent"] = sum(listener.unsent for listener in self._listeners)
        new = {name: count - self._counted.get(name, 0) for name, count in counted.items()}
        self._counted = counted
        if any(new.values()):
            log.info("counted", **{name: count for name, count in new.items() if count})


def bind(listen: Listen) -> UdpListener:
    """The listener of one [[listen]]; the OSError names it in `filename`."""
    try:
        return UdpListener(listen.host, listen.port, listen.advertise, listen.advertise_port)
    except OSError as error:
        error.filename = f"{listen.transport} {listen.host}:{listen.port}"
        raise


def explain(error: OSError) -> str:
    """Why a listener could not be bound, and the way out, in one line."""
    ways = {
        errno.EADDRINUSE: "another program uses it; stop that program or choose another port",
        errno.EADDRNOTAVAIL: "this machine has no such address; choose one of its own or 0.0.0.0",
        errno.EACCES: "this user may not use it; choose a port above 1023",
    }
    way = ways.get(error.errno or 0, error.strerror or "unknown error")
    return f"cannot listen on {error.filename}: {way}"


async def run(start: Start, parent: child.Parent) -> int:
    """Serve until told to stop; the exit status."""
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[float] = loop.create_future()

    def stop(drain_s: float) -> None:
        if not stopping.done():
            stopping.set_result(drain_s)

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
    serving.result()
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
