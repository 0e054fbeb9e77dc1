"""The recorder towards its nodes, with a database that is scripted, and as a process with a real one."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import IO

import pytest
from structlog.testing import capture_logs

from oneproxy import reads
from oneproxy import recorder as recorder_module
from oneproxy.ipc import link as link_module
from oneproxy.ipc import peer as peer_module
from oneproxy.ipc.endpoint import connect, listen
from oneproxy.ipc.link import Link
from oneproxy.ipc.messages import Failed, FromChild, Hello, Load, Ready, Save, Start, Stop, ToRecorder
from oneproxy.ipc.stream import Decoder, encode
from oneproxy.recorder import Recorder
from oneproxy.registrar.bindings import Binding, Change, Fate
from oneproxy.site.last import LastSite
from oneproxy.site.model import Machine
from oneproxy.sitefeed import Kept
from oneproxy.store.site_rows import NOTHING
from oneproxy.store.work import Away, Left, Verdict
from waiting import PATIENCE_S, until

NOW = 1_700_000_000.0


def binding(contact: str) -> Binding:
    # A recorder that runs as a process has the real clock, and clears out what expired.
    return Binding(contact, NOW + 1e9, 1000, "call", 1, "tcp:192.0.2.7:5060", NOW, flow="tcp/0a1b2c3d.7")


def change(name: str) -> Change:
    return Change(f"{name}@x", (), (binding(f"sip:{name}"),))


class Scripted:
    """A database that commits when the test lets it, and notes what it was given."""

    def __init__(self) -> None:
        self.groups: list[list[list[str]]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fault = ""
        self.rows: list[tuple[str, Binding]] = []
        self.pages_refused = 0
        self.pages_read = 0
        self.swept: list[float] = []
        self.probes = 0
        self.page_size = 2_000
        self.away = False

    def commit(self, group: Sequence[Sequence[Change]]) -> list[Verdict]:
        """Wait for the gate, then commit, unless there is a fault."""
        self.groups.append([[change.aor for change in batch] for batch in group])
        assert self.gate.wait(PATIENCE_S)
        if self.away:
            return [Away("gone")] * len(group)
        if self.fault:
            return [self.fault] * len(group)
        verdicts: list[Verdict] = []
        for batch in group:
            odd = tuple(at for at, change in enumerate(batch) if change.aor == "odd@x")
            locked = tuple(at for at, change in enumerate(batch) if change.aor == "locked@x")
            verdicts.append(Left(odd, locked) if locked else odd)
            self.rows += [(change.aor, binding) for change in batch for binding in change.stored]
        return verdicts

    def page(self, now: float, after: str) -> tuple[list[tuple[str, Binding]], bool] | str:
        """The next rows."""
        if self.pages_refused or self.away:
            self.pages_refused -= 1
            return "cannot be read"
        self.pages_read += 1
        rows = sorted(self.rows, key=lambda row: (row[0], row[1].contact))
        left = [row for row in rows if row[0] > after]
        return left[: self.page_size], len(left) <= self.page_size

    def fetch(self, now: float, aors: Sequence[str]) -> list[tuple[str, Binding]] | str:
        """The rows of some AoRs."""
        return "gone" if self.away else [row for row in self.rows if row[0] in aors]

    def probe(self) -> None:
        """Count it."""
        self.probes += 1

    def sweep(self, now: float) -> bool | str:
        """Nothing ever expires here."""
        self.swept.append(now)
        return True


class Taking:
    """A node that loads: the pages that came, and what else it was told."""

    def __init__(self) -> None:
        self.pages: list[list[tuple[str, Binding]]] = []
        self.done = asyncio.Event()
        self.changes: list[Change] = []
        self.found: list[tuple[list[str], list[tuple[str, Binding]] | None]] = []
        self.rooms = 0

    def begin(self) -> None:
        self.pages.clear()

    def page(self, bindings: list[tuple[str, Binding]], last: bool) -> None:
        self.pages.append(bindings)
        if last:
            self.done.set()

    def fetched(self, aors: list[str], bindings: list[tuple[str, Binding]]) -> None:
        self.found.append((aors, bindings))

    def not_fetched(self, aors: list[str]) -> None:
        self.found.append((aors, None))

    def changed(self, changes: list[Change]) -> None:
        self.changes += changes

    def room(self) -> None:
        self.rooms += 1

    async def all_pages(self) -> list[list[tuple[str, Binding]]]:
        await asyncio.wait_for(self.done.wait(), PATIENCE_S)
        return self.pages


def following(link: Link) -> Taking:
    taking = Taking()
    link.follow(taking, lambda: NOW)
    return taking


class Raw(asyncio.Protocol):
    """A connection that says what it is given and counts what comes."""

    def __init__(self, *messages: ToRecorder | bytes) -> None:
        self._messages = messages
        self.received = 0
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        for message in self._messages:
            transport.write(message if isinstance(message, bytes) else encode(message))

    def data_received(self, data: bytes) -> None:
        self.received += len(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True


class Stage:
    """A recorder that serves, and nodes that know it."""

    def __init__(self) -> None:
        self.database = Scripted()
        self.site = Kept(LastSite(NOTHING, b"", []))
        self.recorder = Recorder(self.database, b"secret", "token", self.site)
        # Known already, so that the log has what a test is about.
        self.recorder.feed.latest = NOTHING
        self.answers: list[tuple[str, Fate]] = []
        self._links: list[Link] = []
        self._raws: list[Raw] = []

    async def open(self) -> None:
        self._server = await listen("unix:socket", self.recorder.protocol)
        self.serving = asyncio.create_task(self.recorder.serve())

    async def close(self) -> None:
        for link in self._links:
            await link.close()
        for raw in self._raws:
            raw.transport.abort()
        self.database.gate.set()
        self._server.close()
        self.serving.cancel()
        await asyncio.wait([self.serving])
        self.recorder.close()
        await until(lambda: not self.recorder.peers and all(raw.closed for raw in self._raws))

    async def raw(self, *messages: ToRecorder | bytes) -> Raw:
        """A connection of somebody who says what he is given."""
        raw = Raw(*messages)
        self._raws.append(raw)
        await connect("unix:socket", raw)
        return raw

    async def node(self, name: str = "edge-1") -> Link:
        link = Link("unix:socket", "token", name)
        self._links.append(link)
        assert await asyncio.wait_for(link.start(), PATIENCE_S) == b"secret"
        return link

    def save(self, link: Link, name: str) -> None:
        assert link.save(change(name), lambda fate: self.answers.append((name, fate)))

    async def waiting(self, batches: int) -> None:
        """So many batches have come, of which no commit has begun."""
        await until(lambda: len(self.recorder._waiting) == batches)

    async def answered(self, number: int) -> list[tuple[str, Fate]]:
        await until(lambda: len(self.answers) >= number)
        return self.answers


Scene = Callable[[Stage], Awaitable[None]]
Play = Callable[[Scene], None]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a scene with a recorder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("oneproxy.ipc.link.GATHER_S", 0.0)

    async def run(scene: Scene) -> None:
        stage = Stage()
        await stage.open()
        try:
            await scene(stage)
        finally:
            await stage.close()

    return lambda scene: asyncio.run(run(scene))


def test_a_change_is_acknowledged_after_its_commit(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        link = await stage.node()
        stage.database.gate.clear()
        stage.save(link, "a")
        await until(lambda: stage.database.groups == [[["a@x"]]])
        await asyncio.sleep(0.01)
        assert stage.answers == []
        stage.database.gate.set()
        assert await stage.answered(1) == [("a", Fate.STORED)]
        assert (stage.recorder.commits, stage.recorder.changes) == (1, 1)

    play(scene)


def test_what_arrives_during_a_commit_is_the_next_group(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        one, two = await stage.node("edge-1"), await stage.node("edge-2")
        stage.database.gate.clear()
        stage.save(one, "a")
        await until(lambda: len(stage.database.groups) == 1)
        stage.save(one, "b")
        stage.save(one, "c")
        stage.save(two, "d")
        await stage.waiting(2)
        stage.database.gate.set()
        answers = await stage.answered(4)
        assert answers[0] == ("a", Fate.STORED)
        assert sorted(answers[1:]) == [("b", Fate.STORED), ("c", Fate.STORED), ("d", Fate.STORED)]
        first, second = stage.database.groups
        assert (first, sorted(second)) == ([["a@x"]], [["b@x", "c@x"], ["d@x"]])

    play(scene)


def test_a_group_is_bounded_and_never_empty(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MAX_GROUP", 2)

    async def scene(stage: Stage) -> None:
        nodes = [await stage.node(f"edge-{number}") for number in range(3)]
        stage.database.gate.clear()
        stage.save(nodes[0], "a")
        await until(lambda: len(stage.database.groups) == 1)
        for name in "bcd":
            stage.save(nodes[1], name)
        await stage.waiting(1)
        stage.save(nodes[2], "e")
        stage.save(nodes[0], "f")
        await stage.waiting(3)
        stage.database.gate.set()
        assert len(await stage.answered(6)) == 6
        assert [sorted(group) for group in stage.database.groups] == [
            [["a@x"]],
            [["b@x", "c@x", "d@x"]],
            [["e@x"], ["f@x"]],
        ]

    play(scene)


def test_a_database_that_fails_means_not_saved_and_one_line_in_the_log(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        link = await stage.node()
        stage.database.fault = "database or disk is full"
        with capture_logs() as logged:
            for number, name in enumerate("abc", 1):
                stage.save(link, name)
                await stage.answered(number)
        assert stage.answers == [("a", Fate.REFUSED), ("b", Fate.REFUSED), ("c", Fate.REFUSED)]
        # One of the recorder and one of the node, which in life are two processes.
        assert [(event["event"], event["reason"]) for event in logged] == [
            ("bindings not saved", "database or disk is full")
        ] * 2
        stage.database.fault = ""
        stage.save(link, "d")
        assert (await stage.answered(4))[3] == ("d", Fate.STORED)

    play(scene)


def test_a_change_that_cannot_be_stored_is_refused_alone(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        link = await stage.node()
        for name in ("a", "odd", "b"):
            stage.save(link, name)
        assert await stage.answered(3) == [("a", Fate.STORED), ("odd", Fate.UNFIT), ("b", Fate.STORED)]
        assert stage.recorder.changes == 2

    play(scene)


def test_of_a_change_whose_row_is_locked_its_node_is_told_and_nobody_else(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        link, other = await stage.node(), await stage.node()
        taking = Taking()
        other.follow(taking, lambda: NOW)
        await taking.all_pages()
        for name in ("odd", "locked", "b"):
            stage.save(link, name)
        assert await stage.answered(3) == [("odd", Fate.UNFIT), ("locked", Fate.UNKNOWN), ("b", Fate.STORED)]
        assert stage.recorder.changes == 1
        await until(lambda: taking.changes == [change("b")])

    play(scene)


def test_bindings_are_loaded_in_pages_while_changes_are_saved(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.database.page_size = 2
        stage.database.rows = [(f"{name}@x", binding("sip:1")) for name in "acegi"]
        link = await stage.node()
        taking = following(link)
        stage.save(link, "z")
        pages = await taking.all_pages()
        await stage.answered(1)
        loaded = [aor for page in pages for aor, _ in page]
        assert loaded in (["a@x", "c@x", "e@x", "g@x", "i@x"], ["a@x", "c@x", "e@x", "g@x", "i@x", "z@x"])
        assert [len(page) for page in pages[:2]] == [2, 2]

    play(scene)


def test_a_load_of_nothing_is_one_empty_page(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        assert await following(await stage.node()).all_pages() == [[]]

    play(scene)


def test_a_page_that_cannot_be_read_is_read_again(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "LOAD_AGAIN_S", 0.001)

    async def scene(stage: Stage) -> None:
        stage.database.rows = [("a@x", binding("sip:1"))]
        stage.database.pages_refused = 3
        link = await stage.node()
        with capture_logs() as logged:
            assert await following(link).all_pages() == [stage.database.rows]
        assert [(event["event"], event["reason"]) for event in logged] == [
            ("bindings not read", "cannot be read")
        ]

    play(scene)


def test_a_load_that_begins_anew_forgets_the_old_one(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.database.page_size = 2
        stage.database.rows = [(f"{name}@x", binding("sip:1")) for name in "abcde"]
        link = await stage.node()
        first = following(link)
        second = following(link)
        pages = await second.all_pages()
        assert first.pages == []
        assert [aor for page in pages for aor, _ in page][-5:] == [f"{name}@x" for name in "abcde"]

    play(scene)


def test_what_is_asked_for_comes_before_further_pages(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.database.page_size = 1
        stage.database.rows = [(f"{number:04}@x", binding("sip:1")) for number in range(500)]
        link, other = await stage.node("edge-1"), await stage.node("edge-2")
        taking, more = following(link), following(other)
        assert link.fetch("0499@x")
        assert link.fetch("none@x")
        assert other.fetch("0400@x")
        await until(lambda: bool(taking.found and more.found))
        assert taking.found == [(["0499@x", "none@x"], [("0499@x", binding("sip:1"))])]
        assert more.found == [(["0400@x"], [("0400@x", binding("sip:1"))])]
        assert not taking.done.is_set()

    play(scene)


def test_the_other_nodes_are_told_of_what_was_committed_and_its_author_is_not(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        one, two = await stage.node("edge-1"), await stage.node("edge-2")
        first, second = following(one), following(two)
        await first.all_pages()
        await second.all_pages()
        for name in ("a", "odd", "b"):
            stage.save(one, name)
        await stage.answered(3)
        stage.save(two, "c")
        await stage.answered(4)
        await until(lambda: bool(first.changes) and len(second.changes) == 2)
        assert (first.changes, second.changes) == ([change("c")], [change("a"), change("b")])

    play(scene)


def test_what_people_change_is_committed_and_every_node_is_told(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        taking = following(await stage.node())
        await taking.all_pages()
        assert await asyncio.wait_for(stage.recorder.change([change("a"), change("odd")]), PATIENCE_S) == (1,)
        await until(lambda: bool(taking.changes))
        assert taking.changes == [change("a")]
        stage.database.fault = "disk full"
        assert await asyncio.wait_for(stage.recorder.change([change("b")]), PATIENCE_S) == "disk full"

    play(scene)


def test_nodes_are_told_when_the_database_is_gone_and_when_it_is_back(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "PROBE_EVERY_S", 0.001)

    async def scene(stage: Stage) -> None:
        link = await stage.node()
        taking = following(link)
        await taking.all_pages()
        stage.database.away = True
        stage.save(link, "a")
        assert await stage.answered(1) == [("a", Fate.UNKNOWN)]
        assert not link.save(change("b"), lambda _: None)
        # One that comes while it is away is told so too, though it has tried nothing.
        late = await stage.node("edge-2")
        await until(lambda: not late.fetch("a@x") or not late.save(change("b"), lambda _: None))
        await until(lambda: stage.database.probes > 2)
        stage.database.away = False
        await until(lambda: taking.rooms == 1)
        stage.save(link, "b")
        assert (await stage.answered(2))[1] == ("b", Fate.STORED)

    play(scene)


class Aside:
    """Commits without the thread, as long as `well` says."""

    def __init__(self) -> None:
        self.well = True
        self.groups: list[list[list[str]]] = []

    async def commit(self, group: Sequence[Sequence[Change]]) -> list[Verdict] | None:
        """Note the group."""
        self.groups.append([[change.aor for change in batch] for batch in group])
        await asyncio.sleep(0)
        return [()] * len(group) if self.well else None

    def close(self) -> None:
        """Nothing is open."""


def test_what_the_thread_need_not_do_is_done_without_it_and_what_it_must_is_done_again(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "PROBE_EVERY_S", 60.0)

    async def scene(stage: Stage) -> None:
        aside = Aside()
        stage.recorder.direct = aside
        link = await stage.node()
        stage.save(link, "a")
        assert await stage.answered(1) == [("a", Fate.STORED)]
        assert (aside.groups, stage.database.groups) == ([[["a@x"]]], [])
        aside.well = False
        stage.save(link, "odd")
        assert (await stage.answered(2))[1] == ("odd", Fate.UNFIT)
        assert (aside.groups[1:], stage.database.groups) == ([[["odd@x"]]], [[["odd@x"]]])
        # Whether a database that is away is back is for the thread to say.
        stage.database.away = True
        stage.save(link, "b")
        assert (await stage.answered(3))[2] == ("b", Fate.UNKNOWN)
        aside.well = True
        assert isinstance(await stage.recorder.change([change("c")]), Away)
        assert len(aside.groups) == 3

    play(scene)


def test_a_node_that_reads_nothing_holds_up_its_own_load_and_nobody_else(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.database.rows = [(f"{n:06}@x", binding("sip:" + "x" * 200)) for n in range(20_000)]
        slow = await stage.raw(Hello("slow", "token"), Load(NOW))
        slow.transport.pause_reading()
        await until(lambda: any(not peer.writable for peer in stage.recorder.peers))
        (peer,) = stage.recorder.peers
        read = stage.database.pages_read
        link = await stage.node()
        stage.save(link, "a")
        await stage.answered(1)
        assert (peer.writable, stage.database.pages_read) == (False, read)
        slow.transport.resume_reading()
        await until(lambda: slow.received > 20_000 * 200 and peer.writable)

    play(scene)


def test_a_clock_that_is_set_forward_ends_no_bindings(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        await until(lambda: len(stage.database.swept) == 1)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 7200)
        stage.recorder._sweep_at = 0.0
        stage.recorder.wake()
        await until(lambda: len(stage.database.swept) == 2)
        assert abs(stage.database.swept[1] - real()) < 60

    play(scene)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Hello("edge-1", "wrong"), "wrong token"),
        (Hello("edge-1", ""), "wrong token"),
        (Load(NOW), "no Hello"),
        (Save(1, [change("a")]), "no Hello"),
        (b"GET / HTTP/1.1\r\n\r\n", "a frame of 1195725856 octets is above the maximum of 4096"),
        (b"\x00\x00\x10\x01", "a frame of 4097 octets is above the maximum of 4096"),
    ],
)
def test_who_does_not_know_the_token_is_disconnected(
    play: Play, said: ToRecorder | bytes, reason: str
) -> None:
    async def scene(stage: Stage) -> None:
        with capture_logs() as logged:
            stranger = await stage.raw(said)
            await until(lambda: stranger.closed)
        assert stranger.received == 0
        assert stage.database.groups == []
        assert [(event["event"], event["reason"]) for event in logged] == [("connection refused", reason)]

    play(scene)


def test_connections_are_bounded(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "MAX_PEERS", 1)

    async def scene(stage: Stage) -> None:
        link = await stage.node()
        second = await stage.raw(Hello("edge-2", "token"))
        await until(lambda: second.closed)
        assert (second.received, link.connected) == (0, True)

    play(scene)


def test_when_too_much_waits_nothing_more_is_read_until_half_is_done(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MAX_WAITING", 4)
    monkeypatch.setattr(recorder_module, "MAX_GROUP", 2)

    async def scene(stage: Stage) -> None:
        stage.database.gate.clear()
        raw = await stage.raw(Hello("edge-1", "token"))
        await until(lambda: bool(stage.recorder.peers))
        (peer,) = stage.recorder.peers
        transport = peer._transport
        assert transport is not None
        for batch in range(6):
            raw.transport.write(encode(Save(batch, [change("a"), change("b")])))
        await until(lambda: not transport.is_reading())
        stage.database.gate.set()
        await until(lambda: stage.recorder.changes == 12)
        assert transport.is_reading()
        assert stage.database.groups == [[["a@x", "b@x"]]] * 6

    play(scene)


def test_expired_bindings_are_cleared_out_now_and_then(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        await until(lambda: len(stage.database.swept) == 1)

    play(scene)


class Process:
    """A recorder process, as its supervisor sees it."""

    def __init__(self, directory: Path, url: str, endpoint: str = "unix:socket") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "oneproxy.recorder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=directory,
            bufsize=0,
        )
        machine = Machine("edge-1", (), url, url)
        self.say(Start(machine, endpoint, "token"))

    @staticmethod
    def pipe(end: IO[bytes] | None) -> IO[bytes]:
        assert end is not None
        return end

    def say(self, message: Start | Stop) -> None:
        self.pipe(self.process.stdin).write(encode(message))

    def hear(self) -> FromChild:
        return Decoder[FromChild](FromChild).feed(self.pipe(self.process.stdout).read(65536))[0]

    def end(self) -> int:
        """Wait for its end; its exit status."""
        status = self.process.wait(PATIENCE_S)
        for end in (self.process.stdin, self.process.stdout):
            self.pipe(end).close()
        return status

    def kill(self) -> None:
        self.process.kill()
        self.end()


def test_a_recorder_that_is_killed_loses_nothing_that_it_acknowledged(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while changes pour in, again and again; the node's link repeats what was unanswered."""
    # However long a recorder takes to start.
    monkeypatch.setattr(link_module, "PATIENCE_S", PATIENCE_S)
    saved: set[str] = set()

    def noting(name: str) -> Callable[[Fate], None]:
        return lambda fate: saved.add(name) if fate is Fate.STORED else None

    async def scene() -> None:
        process = Process(tmp_path, database_url)
        assert isinstance(process.hear(), Ready)
        link = Link(f"unix:{os.path.relpath(tmp_path / 'socket')}", "token", "edge-1")
        await link.start()
        number = 0
        for _ in range(2):
            goal = len(saved) + 300
            while len(saved) < goal:
                for _ in range(20 if link.waiting < 1000 else 0):
                    number += 1
                    name = f"{number:06}"
                    link.save(change(name), noting(name))
                await asyncio.sleep(0.002)
            process.kill()
            process = Process(tmp_path, database_url)
        await until(lambda: link.waiting == 0)
        assert (len(saved), link.refused, link.failed) == (number, 0, 0)
        pages = await following(link).all_pages()
        assert [aor for page in pages for aor, _ in page] == [f"{name}@x" for name in sorted(saved)]
        await link.close()
        process.hear()
        process.say(Stop(0.0))
        assert await asyncio.to_thread(process.end) == 0

    asyncio.run(scene())


def test_a_recorder_waits_for_its_nodes_when_it_is_stopped(tmp_path: Path) -> None:
    async def scene() -> None:
        process = Process(tmp_path, "sqlite:///a.db")
        assert process.hear() == Ready("sqlite:///a.db")
        link = Link(f"unix:{os.path.relpath(tmp_path / 'socket')}", "token", "edge-1")
        await link.start()
        process.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.05)
        answers: list[Fate] = []
        link.save(change("a"), answers.append)
        await until(lambda: bool(answers))
        assert answers == [Fate.STORED]
        await link.close()
        assert await asyncio.to_thread(process.process.wait, PATIENCE_S) == 0
        process.end()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("url", "endpoint", "line"),
    [
        (
            "sqlite:///none/a.db",
            "unix:socket",
            "cannot use the proxy database sqlite:///none/a.db: the directory {}/none does not exist; "
            "create it, or change `proxy` under [database]",
        ),
        (
            "sqlite:///a.db",
            "unix:none/socket",
            "the recorder cannot listen at unix:none/socket: [Errno 2] No such file or directory",
        ),
    ],
)
def test_a_recorder_that_cannot_start_says_why(tmp_path: Path, url: str, endpoint: str, line: str) -> None:
    process = Process(tmp_path, url, endpoint)
    assert process.hear() == Failed(line.format(tmp_path))
    assert process.end() == 1
