"""The recorder towards the admin process: the API over its socket, on a database of each kind."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec import structs
from msgspec.structs import replace
from structlog.testing import capture_logs

from office import Api
from oneproxy import desk as desk_module
from oneproxy import deskwork
from oneproxy.admin.asking import RecorderAwayError, RecorderDesk
from oneproxy.desk import Desk, _fate
from oneproxy.deskwork import DATABASE, DeskWork, Reading, SearchWork
from oneproxy.ipc import messages
from oneproxy.ipc.asking import ask_once
from oneproxy.ipc.call_records import FindRecords, RecordsFound, RecordsHealth
from oneproxy.ipc.calls import AskCalls, CallEnded, CallFound, CallsFound, EndCall, NodeEnded
from oneproxy.ipc.desk import (
    MAX_DIFFERING,
    PAGE,
    AskExplain,
    AskGateways,
    AskHealth,
    BanFound,
    BanLifted,
    BansFound,
    Bind,
    Bindings,
    BindingsFound,
    Differences,
    DifferencesFound,
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
    NodeHealth,
    ProviderFound,
    Query,
    Refused,
    Report,
    Rows,
    RowsFound,
    Stage,
    Staged,
    Stale,
    Unbind,
    Unbound,
    Versions,
    VersionsFound,
    Write,
    Written,
)
from oneproxy.ipc.endpoint import connect, listen
from oneproxy.ipc.limits import AskLimits, LimitFound, LimitsFound
from oneproxy.ipc.link import Link
from oneproxy.ipc.running import asking_token
from oneproxy.ipc.stream import Decoder, encode
from oneproxy.recorder import Recorder
from oneproxy.records.record import Record
from oneproxy.records.wanted import Wanted
from oneproxy.registrar.bindings import STATIC, Binding, Change, Fate, meaning
from oneproxy.registrar.rules import apply_change
from oneproxy.site.difference import Difference
from oneproxy.site.entries import encode_value
from oneproxy.site.model import Version
from oneproxy.store.record_search import RecordSearch, SlowError
from oneproxy.store.records import Records
from oneproxy.store.work import Left, Work
from postgres import Cluster
from recorded import AT_MS, a_record, journalled
from waiting import PATIENCE_S, until

FAR = 4e9
#: As it is where no test has changed it.
GATHER_S = desk_module.GATHER_S


def binding(contact: str) -> Binding:
    return Binding(contact, FAR, 1000, "call", 1, "udp:192.0.2.7:5060", 1.0)


def difference(name: str, **table: object) -> Difference:
    return Difference("domain", name, None, encode_value({"name": name} | table))


class Taking:
    """What a node is told of bindings."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.loaded = asyncio.Event()

    def begin(self) -> None:
        """Nothing is kept."""

    def page(self, bindings: list[tuple[str, Binding]], last: bool) -> None:
        """Bindings that were there."""
        if last:
            self.loaded.set()

    def fetched(self, aors: list[str], bindings: list[tuple[str, Binding]]) -> None:
        """Nothing is asked for."""

    def not_fetched(self, aors: list[str]) -> None:
        """Nothing is asked for."""

    def changed(self, changes: list[Change]) -> None:
        """Somebody else's changes."""
        self.changes += changes

    def room(self) -> None:
        """Nothing was refused."""


class Theatre:
    """A recorder with a real database, an admin process's end, and nodes."""

    def __init__(self, work: Work, url: str) -> None:
        self.work = work
        self.recorder = Recorder(work, b"farm secret", "token", work.sites)
        self.recorder.desk = Desk(self.recorder, DeskWork(url, url), SearchWork(url))
        self.desk = RecorderDesk("unix:socket", "token", "admin")
        self.links: list[Link] = []

    async def open(self) -> None:
        """Listen, and connect the admin process's end."""
        self._server = await listen("unix:socket", self.recorder.protocol)
        self.serving = asyncio.create_task(self.recorder.serve())
        self.desk.start()
        await until(lambda: self.desk.connected)

    async def close(self) -> None:
        """End everything."""
        await self.desk.close()
        for link in self.links:
            await link.close()
        self._server.close()
        self.serving.cancel()
        await asyncio.wait([self.serving])
        self.recorder.close()
        await until(lambda: not self.recorder.peers)

    async def node(self, name: str) -> tuple[Link, Taking]:
        """A node that has loaded all bindings."""
        link, taking = Link("unix:socket", "token", name), Taking()
        self.links.append(link)
        assert await asyncio.wait_for(link.start(), PATIENCE_S) == b"farm secret"
        link.follow(taking, lambda: 1.0)
        await asyncio.wait_for(taking.loaded.wait(), PATIENCE_S)
        return link, taking

    async def write(self, base: int, *differing: Difference) -> object:
        """Write a version."""
        assert await self.desk.ask(Stage(list(differing), True)) == Staged()
        return await self.desk.ask(Write(base, len(differing), "carol", "because"))


Scene = Callable[[Theatre], Awaitable[None]]
Play = Callable[[Scene], None]


@pytest.fixture
def play(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a scene with a recorder on a database of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(desk_module, "GATHER_S", PATIENCE_S)

    async def run(scene: Scene) -> None:
        work = Work(database_url, database_url)
        work.open("")
        stage = Theatre(work, database_url)
        await stage.open()
        try:
            await scene(stage)
        finally:
            await stage.close()
            work.close()

    return lambda scene: asyncio.run(run(scene))


def test_a_version_is_written_in_parts_and_read_in_pages(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        many = [difference(f"d{number:04}.org") for number in range(PAGE + 3)]
        assert await stage.desk.ask(Look()) == Looked(await latest(stage), False)
        assert await stage.desk.ask(Stage(many[:PAGE], True)) == Staged()
        assert await stage.desk.ask(Stage(many[PAGE:], False)) == Staged()
        written = await stage.desk.ask(Write(0, len(many), "carol", "because"))
        assert isinstance(written, Written)
        version = written.version
        assert (version.version, version.who, version.comment) == (1, "carol", "because")
        assert await stage.desk.ask(Look(1, version.at)) == Looked(version, True)
        assert await stage.desk.ask(Look(1, version.at + 1)) == Looked(version, False)
        first = await stage.desk.ask(Rows(0, 1, ("", "")))
        assert isinstance(first, RowsFound)
        assert len(first.rows) == PAGE
        rest = await stage.desk.ask(Rows(0, 1, first.rows[-1][:2]))
        assert isinstance(rest, RowsFound)
        assert [row[1] for row in first.rows + rest.rows] == [one.key for one in many]
        pages = [await stage.desk.ask(Differences(1, 0, after)) for after in (("", ""), first.rows[-1][:2])]
        assert [len(page.differing) for page in pages if isinstance(page, DifferencesFound)] == [PAGE, 3]
        assert all(
            one.after is None
            for page in pages
            if isinstance(page, DifferencesFound)
            for one in page.differing
        )
        listed = await stage.desk.ask(Versions(9))
        assert isinstance(listed, VersionsFound)
        assert (listed.versions[0].version, listed.versions[0].added) == (1, PAGE + 3)
        assert await stage.desk.ask(Versions(version=1)) == VersionsFound([version])
        assert await stage.desk.ask(Versions(version=2)) == VersionsFound([])

    play(scene)


async def latest(stage: Theatre) -> Version:
    found = await stage.desk.ask(Look())
    assert isinstance(found, Looked)
    return found.latest


def test_a_version_of_an_old_base_is_stale_and_one_that_is_not_whole_is_not_written(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        assert isinstance(await stage.write(0, difference("a.org")), Written)
        assert await stage.write(0, difference("b.org")) == Stale(1)
        refused = await stage.desk.ask(Write(1, 1, "carol", ""))
        assert refused == Refused("unfit", "0 entries are staged, not 1")
        too_many = [difference(f"d{number:04}.org") for number in range(PAGE + 1)]
        assert isinstance(await stage.desk.ask(Stage(too_many, True)), Refused)
        assert isinstance(await stage.write(1, difference("b.org")), Written)
        found = await stage.desk.ask(Rows(0, 2, ("", "")))
        assert isinstance(found, RowsFound)
        assert [row[1] for row in found.rows] == ["a.org", "b.org"]

    play(scene)


def test_what_is_staged_is_bounded(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_DIFFERING == 100_000
    monkeypatch.setattr(desk_module, "MAX_DIFFERING", 3)

    async def scene(stage: Theatre) -> None:
        part = [difference("a.org"), difference("b.org")]
        assert await stage.desk.ask(Stage(part, True)) == Staged()
        assert isinstance(await stage.desk.ask(Stage(part, False)), Refused)
        assert await stage.desk.ask(Stage(part, True)) == Staged()

    play(scene)


def test_nodes_that_follow_the_site_have_a_written_version_at_once(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        link, _ = await stage.node("edge-1")
        seen: list[int] = []
        link.follow_site(messages.Follow, lambda _: None, lambda version: seen.append(version.version))
        await until(lambda: seen == [0])
        # Not by looking, which would take so long.
        stage.recorder.feed.look_s = 3600.0
        await asyncio.sleep(0.25)
        await stage.write(0, difference("a.org"))
        await until(lambda: seen == [0, 1])

    play(scene)


def test_the_flows_of_one_contact_are_listed_each_and_removed_with_it(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        one, _ = await stage.node("edge-1")
        _, told = await stage.node("edge-2")
        saved: list[Fate] = []
        flows = [replace(binding("sip:1"), instance="<urn:a>", reg_id=number) for number in (1, 2)]
        assert one.save(Change("amy@x.org", (), (*flows, binding("sip:2"))), saved.append)
        await until(lambda: saved == [Fate.STORED])
        listed: list[str] = []
        after = ("", "")
        while len(listed) < 3:
            page = await stage.desk.ask(Bindings("", after, 1))
            assert isinstance(page, BindingsFound)
            after = (page.bindings[0][0], page.bindings[0][1].key)
            listed.append(after[1])
        assert listed == [flows[0].key, flows[1].key, "sip:2"]
        assert await stage.desk.ask(Unbind("amy@x.org", "sip:1")) == Unbound(2)
        assert await stage.desk.ask(LookUp("amy@x.org")) == BindingsFound([("amy@x.org", binding("sip:2"))])
        await until(lambda: len(told.changes) == 2)
        assert told.changes[1].removed == (flows[0].key, flows[1].key)

    play(scene)


def test_bindings_are_listed_looked_up_added_and_removed_and_every_node_is_told(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        one, first = await stage.node("edge-1")
        _, second = await stage.node("edge-2")
        saved: list[Fate] = []
        assert one.save(Change("amy@x.org", (), (binding("sip:1"), binding("sip:2"))), saved.append)
        await until(lambda: saved == [Fate.STORED])
        assert await stage.desk.ask(Bind("bob@x.org", "sip:gw", 250)) == Unbound(0)
        await until(lambda: len(first.changes) == 1 and len(second.changes) == 2)
        (static,) = first.changes[0].stored
        assert (first.changes[0].aor, static.contact, static.q, static.source) == (
            "bob@x.org",
            "sip:gw",
            250,
            STATIC,
        )
        listed = await stage.desk.ask(Bindings("", ("", ""), 2))
        assert isinstance(listed, BindingsFound)
        assert [(aor, found.contact) for aor, found in listed.bindings] == [
            ("amy@x.org", "sip:1"),
            ("amy@x.org", "sip:2"),
        ]
        rest = await stage.desk.ask(Bindings("", ("amy@x.org", "sip:2"), 2))
        assert isinstance(rest, BindingsFound)
        assert [aor for aor, _ in rest.bindings] == ["bob@x.org"]
        assert await stage.desk.ask(Bindings("c", ("", ""))) == BindingsFound([])
        assert await stage.desk.ask(Unbind("amy@x.org", "sip:2")) == Unbound(1)
        assert await stage.desk.ask(Unbind("amy@x.org", "sip:2")) == Unbound(0)
        assert await stage.desk.ask(Unbind("amy@x.org")) == Unbound(1)
        assert await stage.desk.ask(LookUp("amy@x.org")) == BindingsFound([])
        await until(lambda: len(first.changes) == 3)
        assert [change.removed for change in first.changes] == [(), ("sip:2",), ("sip:1",)]

    play(scene)


def test_the_flows_of_a_phone_are_removed_by_their_contact(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        one, taking = await stage.node("edge-1")
        flows = [
            structs.replace(binding("sip:1"), instance=f"<urn:{urn}>", reg_id=reg_id)
            for urn, reg_id in (("a", 1), ("a", 2), ("b", 1))
        ]
        saved: list[Fate] = []
        assert one.save(Change("amy@x.org", (), (*flows, binding("sip:2"))), saved.append)
        await until(lambda: saved == [Fate.STORED])
        assert await stage.desk.ask(Unbind("amy@x.org", "sip:1")) == Unbound(3)
        left = await stage.desk.ask(LookUp("amy@x.org"))
        assert isinstance(left, BindingsFound)
        assert [found.contact for _, found in left.bindings] == ["sip:2"]
        await until(lambda: len(taking.changes) == 1)
        assert sorted(taking.changes[0].removed) == sorted(flow.key for flow in flows)

    play(scene)


def test_what_a_phone_registers_while_people_look_up_what_to_remove_stays(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        one, taking = await stage.node("edge-1")
        first, again = binding("sip:1"), structs.replace(binding("sip:1"), cseq=2)
        saved: list[Fate] = []
        assert one.save(Change("amy@x.org", (), (first, binding("sip:2"))), saved.append)
        await until(lambda: saved == [Fate.STORED])
        desk = stage.recorder.desk
        assert desk is not None
        honest = desk._read

        async def read(question: Reading) -> Found:
            found = await honest(question)
            if isinstance(question, LookUp) and len(saved) == 1:
                assert one.save(Change("amy@x.org", (), (again,)), saved.append)
                await until(lambda: len(saved) == 2)
            return found

        desk._read = read  # type: ignore[method-assign]
        assert await stage.desk.ask(Unbind("amy@x.org")) == Unbound(2)
        assert await stage.desk.ask(LookUp("amy@x.org")) == BindingsFound([("amy@x.org", again)])
        await until(lambda: len(taking.changes) == 1)
        assert apply_change([again, binding("sip:2")], taking.changes[0]) == [again]

    play(scene)


def test_a_register_that_is_stored_after_a_binding_was_added_at_its_place_changes_nothing(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        one, taking = await stage.node("edge-1")
        assert await stage.desk.ask(Bind("amy@x.org", "sip:1", 500)) == Unbound(0)
        await until(lambda: len(taking.changes) == 1)
        [static] = taking.changes[0].stored
        # Decided before the node heard of it.
        saved: list[Fate] = []
        assert one.save(Change("amy@x.org", (), (binding("sip:1"),)), saved.append)
        gone = structs.replace(binding("sip:1"), cseq=5)
        assert one.save(Change("amy@x.org", ("sip:1",), (), (meaning(gone),)), saved.append)
        await until(lambda: saved == [Fate.STORED] * 2)
        assert await stage.desk.ask(LookUp("amy@x.org")) == BindingsFound([("amy@x.org", static)])
        # And people replace what phones have registered, and what they added themselves.
        assert await stage.desk.ask(Bind("amy@x.org", "sip:1", 700)) == Unbound(0)
        found = await stage.desk.ask(LookUp("amy@x.org"))
        assert isinstance(found, BindingsFound)
        assert [(one.source, one.q) for _, one in found.bindings] == [(STATIC, 700)]

    play(scene)


def test_a_binding_that_no_database_stores_is_refused(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        found = await stage.desk.ask(Bind("amy@x.org", "sip:" + "a" * 3000, 0))
        assert isinstance(found, Refused)
        assert found.code == "unfit"

    play(scene)


def test_what_people_change_where_somebody_has_locked_it_waits_for_them_to_try_again() -> None:
    refused = _fate(Left((), (0,)), 0)
    assert refused == Refused(DATABASE, "somebody else has locked what it changes")


def answering(link: Link, answer: Callable[[Inquiry], Report | None]) -> None:
    """Have a node answer its inquiries so."""

    def take(inquiry: Inquiry) -> None:
        report = answer(inquiry)
        if report is not None:
            link.report(report)

    link.on_inquiry = take


def test_what_only_nodes_know_is_asked_of_all_of_them(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        bans = {
            "edge-1": [
                BanFound("a@x", "account", 1.0, 20.0, "guess"),
                BanFound("1.1.1.1", "source", 1.0, 9.0, ""),
            ],
            "edge-2": [BanFound("1.1.1.1", "source", 2.0, 10.0, "")],
        }
        for name, kept in bans.items():
            link, _ = await stage.node(name)

            def answer(inquiry: Inquiry, kept: list[BanFound] = kept) -> Report:
                match inquiry.question:
                    case ListBans():
                        return Report(inquiry.number, BansFound(kept))
                    case LiftBan(lifted):
                        return Report(inquiry.number, BanLifted(int(any(one.name == lifted for one in kept))))
                    case AskHealth():
                        return Report(inquiry.number, NodeHealth(7, len(kept), True))
                    case AskGateways():
                        provider = ProviderFound("carrier", len(kept), 0, 0, 0, 0, [])
                        return Report(inquiry.number, GatewaysFound([provider], len(kept)))
                    case AskLimits():
                        limit = LimitFound("l", "caller", "*", len(kept), 1.0, 0, 0, 0, 0)
                        return Report(inquiry.number, LimitsFound([limit], 3))
                    case AskExplain(to=to):
                        fault = "to: none" if not to else ""
                        return Report(inquiry.number, NodeExplained([("a", "b")], to, fault=fault))
                    case AskCalls() | EndCall():
                        raise AssertionError(inquiry)

            answering(link, answer)
        assert await stage.desk.ask(ListBans()) == BansFound([bans["edge-2"][0], bans["edge-1"][0]])
        assert await stage.desk.ask(LiftBan("1.1.1.1")) == BanLifted(2)
        assert await stage.desk.ask(LiftBan("a@x")) == BanLifted(1)
        assert await stage.desk.ask(AskHealth()) == HealthFound(
            "", "", 0, [NodeHealth(7, 2, True, 0, "edge-1"), NodeHealth(7, 1, True, 0, "edge-2")]
        )
        # What nodes know of gateways and choose by is their own.
        providers = [
            ProviderFound("carrier", calls, 0, 0, 0, 0, [], node)
            for calls, node in ((2, "edge-1"), (1, "edge-2"))
        ]
        assert await stage.desk.ask(AskGateways()) == GatewaysFound(providers, 3)
        limits = [
            LimitFound("l", "caller", "*", calls, 1.0, 0, 0, 0, 0, node=node)
            for calls, node in ((2, "edge-1"), (1, "edge-2"))
        ]
        assert await stage.desk.ask(AskLimits()) == LimitsFound(limits, 6)
        said = [NodeExplained([("a", "b")], "bob", node=node) for node in ("edge-1", "edge-2")]
        assert await stage.desk.ask(AskExplain("alice", "bob")) == Explained(said)
        assert await stage.desk.ask(AskExplain("alice", "")) == Refused("unfit", "to: none")

    play(scene)


def test_calls_of_all_nodes_are_told_by_their_beginning_and_ended_where_they_are(play: Play) -> None:
    def call(since: float, node: str = "") -> CallFound:
        return CallFound(f"call-{since}", "answered", "a", "b", "", "", "", "", since, since, 1.0, node)

    async def scene(stage: Theatre) -> None:
        of_nodes = {"edge-1": [call(1.0), call(4.0)], "edge-2": [call(2.0), call(3.0)], "edge-3": []}
        for name, calls in of_nodes.items():
            link, _ = await stage.node(name)

            def answer(inquiry: Inquiry, calls: list[CallFound] = calls) -> Report:
                match inquiry.question:
                    case AskCalls():
                        return Report(inquiry.number, CallsFound(calls, len(calls), len(calls), 1))
                    case EndCall(ended, "Closing time"):
                        return Report(inquiry.number, NodeEnded(any(one.id == ended for one in calls)))
                    case question:
                        raise AssertionError(question)

            answering(link, answer)
        in_order = [call(1.0, "edge-1"), call(2.0, "edge-2"), call(3.0, "edge-2"), call(4.0, "edge-1")]
        assert await stage.desk.ask(AskCalls()) == CallsFound(in_order, 4, 4, 3)
        assert await stage.desk.ask(AskCalls(most=3)) == CallsFound(in_order[:3], 4, 4, 3)
        assert await stage.desk.ask(EndCall("call-3.0", "Closing time")) == CallEnded("edge-2")
        assert await stage.desk.ask(EndCall("call-5.0", "Closing time")) == CallEnded("")
        refused = Refused("unfit", "reason: allowed is one line of 100 characters at most")
        assert await stage.desk.ask(EndCall("call-3.0", "a\r\nVia: x")) == refused

    play(scene)


def test_a_silent_node_and_one_that_leaves_keep_nobody_waiting(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert GATHER_S == 1.0

    async def scene(stage: Theatre) -> None:
        silent, _ = await stage.node("edge-1")
        leaving, _ = await stage.node("edge-2")
        late: list[Inquiry] = []
        silent.on_inquiry = late.append
        leaving.on_inquiry = lambda _: asyncio.ensure_future(leaving.close())
        monkeypatch.setattr(desk_module, "GATHER_S", 0.05)
        assert await stage.desk.ask(ListBans()) == BansFound([], ("edge-1",))
        monkeypatch.setattr(desk_module, "GATHER_S", PATIENCE_S)
        # What comes too late is nobody's.
        silent.report(Report(late[0].number, BanLifted(1)))
        answering(silent, lambda inquiry: Report(inquiry.number, BanLifted(1)))
        assert await stage.desk.ask(LiftBan("a")) == BanLifted(1)

    play(scene)


def test_the_admin_process_is_not_told_the_farms_secret_and_says_nothing_that_nodes_say(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        hello = messages.Hello("admin", "token", asks=True)
        welcome, ended = await said(encode(hello), encode(messages.Load(0.0)))
        assert welcome == [messages.Welcome(b"")]
        assert ended
        welcome, ended = await said(encode(messages.Hello("edge", "token")), encode(Query(1, Look())))
        assert [type(one) for one in welcome] == [messages.Welcome]
        assert ended

    play(scene)


def test_a_command_asks_by_a_token_that_lets_no_node_in(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        token = asking_token("token")
        assert isinstance(await ask_once("unix:socket", token, Look()), Looked)
        await until(lambda: len(stage.recorder.peers) == 1)
        assert await said(encode(messages.Hello("edge", token))) == ([], True)
        with pytest.raises(ConnectionError):
            await ask_once("unix:socket", "wrong", Look())

    play(scene)


def test_a_command_waits_no_longer_than_it_may(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        link, _ = await stage.node("edge-1")
        link.on_inquiry = lambda _: None
        with pytest.raises(TimeoutError):
            await ask_once("unix:socket", asking_token("token"), AskGateways(), 0.05)

    play(scene)


class _Client(asyncio.Protocol):
    def __init__(self, *frames: bytes) -> None:
        self.frames = frames
        self.messages: list[object] = []
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._decoder = Decoder[messages.FromRecorder](messages.FromRecorder)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        for frame in self.frames:
            transport.write(frame)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.messages += self._decoder.feed(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set_result(None)


async def said(*frames: bytes) -> tuple[list[object], bool]:
    """What the recorder says to these frames, and whether it ended the connection then."""
    client = _Client(*frames)
    await connect("unix:socket", client)
    await asyncio.wait([client.ended], timeout=PATIENCE_S)
    return client.messages, client.ended.done()


def test_the_questions_that_wait_are_bounded(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Theatre) -> None:
        monkeypatch.setattr(desk_module, "MAX_WAITING", 2)
        monkeypatch.setattr(desk_module, "GATHER_S", 0.05)
        link, _ = await stage.node("edge-1")
        link.on_inquiry = lambda _: None
        found = await asyncio.gather(*(stage.desk.ask(ListBans()) for _ in range(3)))
        refused = [one for one in found if isinstance(one, Refused)]
        assert [one.code for one in refused] == ["busy"]

    play(scene)


def test_a_fault_of_our_own_ends_one_question_and_nothing_else(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(stage: Theatre) -> None:
        with monkeypatch.context() as patched, capture_logs() as logged:
            patched.setattr(DeskWork, "answer", lambda *_: 1 // 0)
            found = await stage.desk.ask(Look())
        assert found == Refused("fault", "ZeroDivisionError")
        assert "question not answered" in [one["event"] for one in logged]
        assert isinstance(await stage.desk.ask(Look()), Looked)

    play(scene)


def test_a_recorder_that_is_gone_is_said_at_once_and_found_again(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        link, _ = await stage.node("edge-1")
        link.on_inquiry = lambda _: None
        waiting = asyncio.ensure_future(stage.desk.ask(ListBans()))
        await until(lambda: bool(stage.recorder.desk and stage.recorder.desk._gatherings))
        for peer in list(stage.recorder.peers):
            if peer.is_admin:
                peer.close()
        with pytest.raises(RecorderAwayError, match="may be done"):
            await waiting
        with pytest.raises(RecorderAwayError, match="not there"):
            await stage.desk.ask(Look())
        await until(lambda: stage.desk.connected)
        assert isinstance(await stage.desk.ask(Look()), Looked)

    play(scene)


def test_the_whole_way_from_a_request_to_the_database_and_back(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        api = Api(stage.desk)
        assert (await api.ask("POST", "/v1/domains", {"name": "x.org"})).json()["version"] == 1
        many = [{"aor": f"u{number:04}@x.org", "password": "p"} for number in range(PAGE + 1)]
        assert (await api.ask("POST", "/v1/subscribers", many)).json()["version"] == 2
        made = await api.ask("PUT", "/v1/subscribers/u0007@x.org", {"aliases": ["seven"]})
        assert made.json()["changed"] == ['~ subscriber u0007@x.org: aliases default -> ["seven"]']
        assert (await api.get("/v1/subscribers/u0007@x.org"))["aliases"] == ["seven"]
        assert (await api.ask("POST", "/v1/versions/1/rollback")).json()["differing"] == PAGE + 1
        assert (await api.get("/v1/subscribers"))["items"] == []
        assert stage.work.sites.latest().version == 4
        assert stage.work.sites.entries(4) == stage.work.sites.entries(1)
        # Somebody writes the database himself, as the commands do.
        stage.work.sites.replace(stage.work.sites.entries(3), stage.work.sites.latest())
        assert len((await api.get("/v1/subscribers?limit=500"))["items"]) == PAGE
        difference = await api.get("/v1/versions/3/difference")
        assert [one["text"] for one in difference["items"]] == made.json()["changed"]

    play(scene)


def test_a_database_that_goes_and_comes_back(
    postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = postgres.database()

    async def scene() -> None:
        work = Work(url, url)
        work.open("")
        stage = Theatre(work, url)
        await stage.open()
        try:
            api = Api(stage.desk)
            assert (await api.ask("POST", "/v1/domains", {"name": "x.org", "authenticate": []})).is_success
            await asyncio.to_thread(postgres.stop)
            for method, path in (
                ("GET", "/v1/domains"),
                ("GET", "/v1/locations"),
                ("GET", "/v1/locations/a@x.org"),
                ("PUT", "/v1/domains/y.org"),
                ("DELETE", "/v1/locations/a@x.org"),
            ):
                answer = await api.ask(method, path, {} if method == "PUT" else None)
                assert (answer.status_code, answer.json()["code"]) == (503, "database-away"), path
                assert "sesame" not in answer.text
            assert isinstance(await stage.desk.ask(Bind("a@x.org", "sip:1", 0)), Refused)
            health = await api.get("/v1/health")
            assert (health["status"], health["recorder"]) == ("degraded", True)
            assert not health["proxy_database"]["reachable"] and health["proxy_database"]["reason"]
            await asyncio.to_thread(postgres.start)
            give_up_at = time.monotonic() + PATIENCE_S
            while not (await api.ask("GET", "/v1/domains")).is_success:
                assert time.monotonic() < give_up_at
                await asyncio.sleep(0.01)
            assert (await api.ask("PUT", "/v1/domains/y.org", {})).json()["version"] == 2
            body = {"contact": "sip:192.0.2.9"}
            assert (await api.ask("POST", "/v1/locations/a@x.org", body)).status_code == 201
        finally:
            await stage.close()
            work.close()

    try:
        asyncio.run(scene())
    finally:
        if postgres._process.poll() is not None:
            postgres.start()


def test_call_records_are_found_page_by_page(play: Play, database_url: str) -> None:
    calls = [a_record(number, AT_MS - number) for number in range(PAGE + 3)]

    async def scene(stage: Theatre) -> None:
        table = Records(database_url)
        assert table.store(journalled(*calls)) == []
        table.close()
        first = await stage.desk.ask(FindRecords(Wanted(), None, PAGE + 99))
        assert first == RecordsFound(calls[:PAGE], True)
        last = calls[PAGE - 1]
        rest = await stage.desk.ask(FindRecords(Wanted(), (last.started_ms, last.id)))
        assert rest == RecordsFound(calls[PAGE:], False)
        assert await stage.desk.ask(FindRecords(Wanted(number="nobody"))) == RecordsFound([], False)

    play(scene)


def test_records_with_many_attempts_come_in_smaller_pages(
    play: Play, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deskwork, "MAX_RECORDS_OCTETS", 3_000)
    calls = [a_record(number, AT_MS - number) for number in range(5)]

    async def scene(stage: Theatre) -> None:
        table = Records(database_url)
        table.store(journalled(*calls))
        table.close()
        seen: list[Record] = []
        place, more = None, True
        for _ in range(3):
            found = await stage.desk.ask(FindRecords(Wanted(), place))
            assert isinstance(found, RecordsFound)
            seen, more = seen + found.records, found.more
            place = (seen[-1].started_ms, seen[-1].id)
        assert (seen, more) == (calls, False)

    play(scene)


def test_a_search_that_takes_too_long_keeps_no_other_question_waiting(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    searching = threading.Event()

    def find(*_: object) -> list[object]:
        assert searching.wait(PATIENCE_S)
        raise SlowError("too slow")

    monkeypatch.setattr(RecordSearch, "find", find)

    async def scene(stage: Theatre) -> None:
        slow = asyncio.create_task(stage.desk.ask(FindRecords(Wanted())))
        assert isinstance(await stage.desk.ask(Look()), Looked)
        assert not slow.done()
        searching.set()
        assert await slow == Refused("slow", "too slow")

    play(scene)


def test_health_says_how_call_records_fare(play: Play) -> None:
    async def scene(stage: Theatre) -> None:
        health = RecordsHealth(7, 1, 2, 900, AT_MS, "full")
        assert stage.recorder.desk is not None
        stage.recorder.desk.records = lambda: health
        found = await stage.desk.ask(AskHealth())
        assert isinstance(found, HealthFound)
        assert found.records == health

    play(scene)
