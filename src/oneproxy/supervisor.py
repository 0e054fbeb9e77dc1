"""The supervisor: starts recorder and nodes, starts again what ends, stops them in order.

    first start   recorder, then the nodes; one that fails ends it all with one line
    then          the admin process, where there is one; nobody waits for it
    running       what ends is started again, after a pause that grows while it keeps ending
    stopping      Stop to the admin process; to the nodes, they drain; then to the recorder

A child's standard input is its life line: when this process is killed, it closes, and
the children end by themselves.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final, TextIO

import msgspec
import structlog

from oneproxy import compiled
from oneproxy.ipc.messages import Failed, FromChild, Ready, Start, Stop, Wanted
from oneproxy.ipc.place import Place
from oneproxy.ipc.running import Notice, asking_token
from oneproxy.ipc.stream import Decoder, StreamError, encode
from oneproxy.site import last
from oneproxy.site.model import Configuration, Machine, Version

#: Before a child is started again: the first pause, doubled up to the longest; forgotten
#: once a child has been up for STEADY_S.
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 10.0
STEADY_S: Final = 30.0
#: A child that is not ready by then is ended: a slow disk's migration fits in.
START_S: Final = 60.0
#: Beyond its drain a node gets this long to end, and a recorder this long to commit. On a machine that
#: is busy with other things, an admin process that still loads its libraries takes two seconds of it.
GRACE_S: Final = 5.0
RECORDER_STOP_S: Final = 5.0
#: A child says one line at a time.
MAX_REPORT: Final = 64 * 1024
EXIT_INTERRUPTED: Final = 130

#: glibc raises this threshold by itself, and then a table that was grown leaves a hole in
#: the heap that nothing fits into: 4 MB over 100,000 calls without it, 1 MB with it. What
#: the operator has set holds.
CHILD_ENVIRONMENT: Final = {"MALLOC_MMAP_THRESHOLD_": "131072"}

OnReady = Callable[[list[str], bool], None]

log = structlog.get_logger()


class StartError(Exception):
    """A child cannot start; the text is one line for people."""


class Role(msgspec.Struct, frozen=True):
    """What a child is: its name in the log, the command that starts it, and its index.

    environment: what it gets besides ours.
    """

    name: str
    command: tuple[str, ...]
    index: int = 0
    environment: dict[str, str] = {}


# -P: a file named like one of ours in the directory that we were started in stays out.
RECORDER: Final = Role("recorder", (sys.executable, "-P", "-m", "oneproxy.recorder"))


ADMIN: Final = Role("admin", (sys.executable, "-P", "-m", "oneproxy.admin.process"))


def node(index: int) -> Role:
    """The role of this machine's node number `index`, from 0 on."""
    command = (sys.executable, "-P", "-m", "oneproxy.node")
    return Role(f"node-{index}", command, index, compiled.environment())


class Child:
    """One child: kept running from `start` until `stop`."""

    def __init__(self, role: Role, start: Start) -> None:
        self.role = role
        #: What it said of itself when it became ready last; "" while it is not.
        self.detail = ""
        #: How often it was started again.
        self.restarts = 0
        #: The recorder's `Ready.asked`, when it became ready first.
        self.asked = False
        self._begin = msgspec.structs.replace(start, index=role.index)
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._up_at = 0.0

    @property
    def pid(self) -> int | None:
        """The number of its process, while there is one."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process is not None else None

    async def start(self) -> None:
        """Start it for the first time and wait until it serves. Raises StartError."""
        await self._launch()
        self._keeper = asyncio.create_task(self._keep())

    def start_beside(self) -> None:
        """Start it and wait for nothing: what cannot start is tried again, as what has ended is."""
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self, drain_s: float, grace_s: float) -> None:
        """Say Stop, wait for `drain_s` and `grace_s`, and kill what has not ended then."""
        await self._leave_keeping()
        process = self._process
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        # It may be ending already.
        with contextlib.suppress(OSError):
            process.stdin.write(encode(Stop(drain_s)))
        try:
            await asyncio.wait_for(process.wait(), drain_s + grace_s)
        except TimeoutError:
            log.warning("process killed", child=self.role.name, reason="it did not end in time")
            await self.kill()

    async def kill(self) -> None:
        """End it at once."""
        await self._leave_keeping()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _leave_keeping(self) -> None:
        """Start it no more."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None

    async def _launch(self) -> None:
        """Start the process and wait for its report. Raises StartError."""
        # A process group of its own: a Ctrl-C is for us, and we stop it in its turn.
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.role.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                process_group=0,
                env=CHILD_ENVIRONMENT | os.environ | self.role.environment,
            )
        except OSError as error:
            raise StartError(f"the {self.role.name} cannot be started: {error}") from None
        self._up_at = asyncio.get_running_loop().time()
        try:
            ready = await asyncio.wait_for(self._report(self._process), START_S)
        except TimeoutError:
            await self._end_of(self._process)
            raise StartError(f"the {self.role.name} was not ready after {START_S:.0f} s") from None
        except StartError:
            await self._end_of(self._process)
            raise
        self.detail, self.asked = ready.detail, ready.asked
        if ready.settled:
            # What was changed live since must not be undone when it is started again.
            self._begin = msgspec.structs.replace(self._begin, site=None)
        log.info("process ready", child=self.role.name, pid=self._process.pid, detail=self.detail)

    async def _report(self, process: asyncio.subprocess.Process) -> Ready:
        """Hand it its Start; what it says of itself when it is ready. Raises StartError."""
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.write(encode(self._begin))
            await process.stdin.drain()
        decoder = Decoder[FromChild](FromChild, MAX_REPORT)
        try:
            while data := await process.stdout.read(MAX_REPORT):
                for message in decoder.feed(data):
                    match message:
                        case Ready():
                            return message
                        case Failed():
                            raise StartError(message.reason)
        except StreamError as error:
            raise StartError(f"the {self.role.name} said what nobody understands: {error}") from None
        status = await process.wait()
        raise StartError(f"the {self.role.name} ended with status {status} before it was ready; see above")

    async def _end_of(self, process: asyncio.subprocess.Process) -> None:
        """See a process that could not start to its end."""
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _keep(self) -> None:
        """Wait until it ends, and start it again, for ever."""
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S if self._process is not None else await self._start_until_it_serves(0.0)
        while True:
            assert self._process is not None
            status = await self._process.wait()
            self.detail = ""
            if loop.time() - self._up_at > STEADY_S:
                pause_s = FIRST_PAUSE_S
            log.warning("process ended", child=self.role.name, status=status, restart_in_s=pause_s)
            pause_s = await self._start_until_it_serves(pause_s)

    async def _start_until_it_serves(self, pause_s: float) -> float:
        """Start it after a pause, and again after longer ones; the pause before it is started anew."""
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(max(2 * pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
            self.restarts += self._process is not None
            try:
                await self._launch()
                return pause_s
            except StartError as error:
                log.error(
                    "process not started", child=self.role.name, reason=str(error), restart_in_s=pause_s
                )


class Supervisor:
    """All children of this machine: the first role starts first and stops last."""

    def __init__(
        self,
        machine: Machine,
        endpoint: str,
        roles: Sequence[Role],
        site: Wanted | None = None,
        beside: Role | None = None,
    ) -> None:
        """site: for the first one, the recorder. beside: one that nobody waits for, the admin process."""
        self.token = secrets.token_hex(16)
        start = Start(machine, endpoint, self.token)
        self.beside: Child | None = None
        if beside is not None:
            # Who speaks with the world has no use for passwords of databases and the farm's secret.
            plain = msgspec.structs.replace(machine, proxy_database="", system_database="", farm_key="")
            asking = msgspec.structs.replace(start, machine=plain, token=asking_token(self.token))
            self.beside = Child(beside, asking)
        with_site = msgspec.structs.replace(start, site=site)
        self.children = [Child(role, start if place else with_site) for place, role in enumerate(roles)]

    async def start(self) -> None:
        """Start the first child, then the others at once. Raises StartError when one cannot."""
        first, *others = self.children
        await first.start()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_attempt(child)) for child in others]
        for task in tasks:
            error = task.result()
            if error is not None:
                raise error
        if self.beside is not None:
            # After the nodes: they need the processor more.
            self.beside.start_beside()

    async def stop(self, drain_s: float) -> None:
        """Stop the one beside, drain the others, then stop the first."""
        if self.beside is not None:
            await self.beside.stop(0.0, GRACE_S)
        first, *others = self.children
        await asyncio.gather(*(child.stop(drain_s, GRACE_S) for child in others))
        await first.stop(0.0, RECORDER_STOP_S)

    async def kill(self) -> None:
        """End all of them at once."""
        beside = [self.beside] if self.beside is not None else []
        await asyncio.gather(*(child.kill() for child in [*self.children, *beside]))


async def _attempt(child: Child) -> StartError | None:
    """Start a child; what stood against it."""
    try:
        await child.start()
    except StartError as error:
        return error
    return None


async def supervise(supervisor: Supervisor, drain_s: float, on_ready: OnReady, errors: TextIO) -> int:
    """Start everything, wait for SIGTERM or SIGINT, stop everything; the exit status.

    0: stopped in order. 1: something could not start, which one line on `errors` says.
    130: a second signal asked for it at once.
    """
    signals: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    first = asyncio.create_task(signals.get())
    try:
        starting = asyncio.create_task(supervisor.start())
        await asyncio.wait([starting, first], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
            return 0
        starting.result()
        first_child, *others = supervisor.children
        on_ready([child.detail for child in others], first_child.asked)
        log.info("stopping", signal=signal.Signals(await first).name, drain_s=drain_s)
        second = asyncio.create_task(signals.get())
        stopping = asyncio.create_task(supervisor.stop(drain_s))
        await asyncio.wait([stopping, second], return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            stopping.cancel()
            await asyncio.wait([stopping])
            return EXIT_INTERRUPTED
        second.cancel()
        stopping.result()
        log.info("stopped")
        return 0
    except StartError as error:
        errors.write(f"oneproxy: {error}\n")
        return 1
    finally:
        first.cancel()
        await supervisor.kill()


def _put_down(configuration: Configuration, place: Place, site: Wanted) -> Wanted:
    """The entries of the site in a file for the recorder, who mostly has no need to read it."""
    path = os.path.join(place.directory, "site")
    with last.Writer(path, Version(0, 0.0), b"") as writer:
        writer.add((*key, value) for key, value in configuration.entries.items())
        writer.finish()
    return msgspec.structs.replace(site, path=path)


def _put_up_notice(machine: Machine, place: Place, supervisor: Supervisor) -> list[Notice]:
    """Say where commands may ask; none where no file can be written there."""
    try:
        return [Notice(machine.last_site, place.endpoint, supervisor.token)]
    except OSError as error:
        log.warning(
            "commands cannot ask this OneProxy", reason=str(error), way_out="`last_site` in [database]"
        )
        return []


def run(
    configuration: Configuration,
    drain_s: float = 5.0,
    on_ready: OnReady | None = None,
    site: Wanted | None = None,
) -> int:
    """Run OneProxy until SIGTERM or SIGINT; the exit status, as `supervise` gives it.

    drain_s: how long calls in flight are waited for. on_ready: called once when all
    serve, with what each node says of itself ("udp 127.0.0.1:5060"), and whether the site of
    the configuration is the one that runs. site: where that comes from, its path being
    filled in here; None: the site is the one in the database.
    """
    machine = configuration.machine
    nodes = machine.processes or os.cpu_count() or 1

    notices: list[Notice] = []

    def ready(details: list[str], asked: bool) -> None:
        notices.extend(_put_up_notice(machine, place, supervisor))
        log.info("serving", name=machine.name, nodes=nodes)
        if on_ready is not None:
            on_ready(details, asked)

    try:
        place = Place()
    except OSError as error:
        sys.stderr.write(f"oneproxy: no directory for the recorder's socket: {error}; set TMPDIR to one\n")
        return 1
    try:
        roles = [RECORDER, *(node(index) for index in range(nodes))]
        if site is not None:
            try:
                site = _put_down(configuration, place, site)
            except OSError as error:
                sys.stderr.write(
                    f"oneproxy: no room for the site in {place.directory}: {error}; set TMPDIR\n"
                )
                return 1
        beside = None if machine.admin is None else ADMIN
        supervisor = Supervisor(machine, place.endpoint, roles, site, beside)
        return asyncio.run(supervise(supervisor, drain_s, ready, sys.stderr))
    finally:
        for notice in notices:
            notice.remove()
        place.close()
