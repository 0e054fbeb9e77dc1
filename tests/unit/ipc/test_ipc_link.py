"""The node's end of the connection to the recorder, towards a recorder that is scripted."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from oneproxy.ipc import link as link_module
from oneproxy.ipc.endpoint import listen
from oneproxy.ipc.link import Link
from oneproxy.ipc.messages import (
    Changed,
    Fetch,
    Fetched,
    Hello,
    Load,
    NotSaved,
    Page,
    Save,
    Saved,
    Standing,
    ToRecorder,
    Welcome,
)
from oneproxy.ipc.stream import Decoder, encode
from oneproxy.registrar.bindings import Binding, Change, Fate
from waiting import PATIENCE_S, until


def binding(contact: str, user_agent: str = "") -> Binding:
    return Binding(contact, 2000.0, 1000, "call", 1, "udp:192.0.2.7:5060", 1000.0, user_agent=user_agent)


def change(name: str, user_agent: str = "") -> Change:
    return Change(f"{name}@example.com", (), (binding(f"sip:{name}@192.0.2.7", user_agent),))


class Scripted(asyncio.Protocol):
    """A recorder's connection that notes what it hears and says what the test tells it to."""

    def __init__(self, owner: "Recorders") -> None:
        self._decoder = Decoder[ToRecorder](ToRecorder)
        self._heard: asyncio.Queue[ToRecorder] = asyncio.Queue()
        self._owner = owner
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._owner.connections.put_nowait(self)
        self._owner.all.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True

    def data_received(self, data: bytes) -> None:
        for message in self._decoder.feed(data):
            self._heard.put_nowait(message)

    def say(self, *messages: object) -> None:
        self.transport.write(b"".join(map(encode, messages)))

    async def hear(self) -> ToRecorder:
        return await asyncio.wait_for(self._heard.get(), PATIENCE_S)

    def heard_more(self) -> bool:
        return not self._heard.empty()


class Recorders:
    """Where the link connects to."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.connections: asyncio.Queue[Scripted] = asyncio.Queue()
        self.all: list[Scripted] = []

    async def open(self) -> None:
        self.server = await listen(self.endpoint, lambda: Scripted(self))

    async def close(self) -> None:
        self.server.close()
        for scripted in self.all:
            scripted.transport.abort()
        await until(lambda: all(scripted.closed for scripted in self.all))

    async def connection(self) -> Scripted:
        """The next connection, its Hello heard."""
        scripted = await asyncio.wait_for(self.connections.get(), PATIENCE_S)
        assert await scripted.hear() == Hello("edge-1", "token")
        return scripted

    async def welcomed(self) -> Scripted:
        """The next connection, with a Welcome said."""
        scripted = await self.connection()
        scripted.say(Welcome(b"secret"))
        return scripted


Scene = Callable[[Link, Recorders], Awaitable[None]]
Play = Callable[[Scene], None]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a scene with a link that is not started and a recorder that listens."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(link_module, "GATHER_S", 0.0)
    monkeypatch.setattr(link_module, "FIRST_PAUSE_S", 0.001)

    async def stage(scene: Scene) -> None:
        recorders = Recorders("unix:socket")
        await recorders.open()
        link = Link("unix:socket", "token", "edge-1")
        try:
            await scene(link, recorders)
        finally:
            await link.close()
            await recorders.close()

    return lambda scene: asyncio.run(stage(scene))


async def started(link: Link, recorders: Recorders) -> Scripted:
    starting = asyncio.create_task(link.start())
    recorder = await recorders.welcomed()
    assert await starting == b"secret"
    return recorder


class Answers(list[tuple[str, Fate]]):
    """What became of changes, in order of the answers."""

    def to(self, name: str) -> Callable[[Fate], None]:
        return lambda fate: self.append((name, fate))

    async def reach(self, number: int) -> None:
        await until(lambda: len(self) >= number)


def test_changes_of_one_turn_are_one_batch_and_are_answered_when_it_is_saved(play: Play) -> None:
    async def scene(link: Link, recorders: Recorders) -> None:
        recorder = await started(link, recorders)
        answers = Answers()
        assert link.save(change("a"), answers.to("a"))
        assert link.save(change("b"), answers.to("b"))
        assert await recorder.hear() == Save(1, [change("a"), change("b")])
        assert (answers, link.waiting) == ([], 2)
        recorder.say(Saved(1))
        await answers.reach(2)
        assert answers == [("a", Fate.STORED), ("b", Fate.STORED)]
        assert (link.waiting, link.saved, link.failed) == (0, 2, 0)

    play(scene)


def test_a_batch_that_was_rolled_back_and_a_change_that_was_refused_are_told_so(play: Play) -> None:
    async def scene(link: Link, recorders: Recorders) -> None:
        recorder = await started(link, recorders)
        answers = Answers()
        for name in "abc":
            link.save(change(name), answers.to(name))
        await recorder.hear()
        recorder.say(Saved(1, (1,)))
        await answers.reach(3)
        link.save(change("d"), answers.to("d"))
        await recorder.hear()
        with capture_logs() as logged:
            recorder.say(NotSaved(2, "disk full"))
            await answers.reach(4)
        assert answers == [("a", Fate.STORED), ("b", Fate.UNFIT), ("c", Fate.STORED), ("d", Fate.REFUSED)]
        assert (link.waiting, link.saved, link.failed) == (0, 2, 2)
        assert logged == [{"event": "bindings not saved", "reason": "disk full", "log_level": "warning"}]

    play(scene)


def test_a_change_that_another_time_may_be_stored_may_be_in_the_database_and_is_offered_again_by_and_by(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "LATER_S", 0.01)

    async def scene(link: Link, recorders: Recorders) -> None:
        recorder, taking = await following(link, recorders)
        answers = Answers()
        for name in "abc":
            link.save(change(name), answers.to(name))
        await recorder.hear()
        recorder.say(Saved(1, (0,), (2,)))
        await answers.reach(3)
        assert answers == [("a", Fate.UNFIT), ("b", Fate.STORED), ("c", Fate.UNKNOWN)]
        # Others go on meanwhile.
        assert link.save(change("d"), answers.to("d"))
        await taking.hears("room")

    play(scene)


def test_while_two_batches_fly_the_following_changes_gather(play: Play) -> None:
    async def scene(link: Link, recorders: Recorders) -> None:
        recorder = await started(link, recorders)
        answers = Answers()
        for name in "abcd":
            link.save(change(name), answers.to(name))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert await recorder.hear() == Save(1, [change("a")])
        assert await recorder.hear() == Save(2, [change("b")])
        assert not recorder.heard_more()
        recorder.say(Saved(1))
        assert await recorder.hear() == Save(3, [change("c"), change("d")])
        recorder.say(Saved(2), Saved(3))
        await answers.reach(4)
        assert answers == [(name, Fate.STORED) for name in "abcd"]

    play(scene)


def test_a_batch_is_what_came_in_a_while_since_the_one_before_and_questions_do_not_wait(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "GATHER_S", 0.1)

    async def scene(link: Link, recorders: Recorders) -> None:
        recorder, _ = await following(link, recorders)
        answers = Answers()
        began = asyncio.get_running_loop().time()
        link.save(change("a"), answers.to("a"))
        assert await recorder.hear() == Save(1, [change("a")])
        link.save(change("b"), answers.to("b"))
        link.fetch("x@example.com")
        assert await recorder.hear() == Fetch(["x@example.com"], 1500.0)
        link.save(change("c"), answers.to("c"))
        assert await recorder.hear() == Save(2, [change("b"), change("c")])
        assert asyncio.get_running_loop().time() - began >= 0.1

    play(scene)


def test_what_is_unanswered_is_sent_again_in_order_on_a_new_connection(play: Play) -> None:
    async def scene(link: Link, recorders: Recorders) -> None:
        recorder = await started(link, recorders)
        answers = Answers()
        link.save(change("a"), answers.to("a"))
        first = await recorder.hear()
        link.save(change("b"), answers.to("b"))
        second = await recorder.hear()
        recorder.transport.abort()
        recorder = await recorders.connection()
        link.save(change("c"), answers.to("c"))
        await asyncio.sleep(0.01)
        assert not recorder.heard_more()
        recorder.say(Welcome(b"secret"))
        assert [await recorder.hear(), await recorder.hear()] == [first, second]
        # The answer to a batch of before the break, too late or twice, changes nothing.
        recorder.say(Saved(7), Saved(1), Saved(1), Saved(2))
        assert await recorder.hear() == Save(3, [change("c")])
        recorder.say(Saved(3))
        await answers.reach(3)
        assert answers == [("a", Fate.STORED), ("b", Fate.STORED), ("c", Fate.STORED)]

    play(scene)


def test_it_connects_as_soon_as_the_recorder_listens(play: Play) -> None:
    async def scene(link: Link, recorders: Recorders) -> None:
        recorders.server.close()
        Path("socket").unlink(missing_ok=True)
        with capture_logs() as logged:
            starting = asyncio.create_task(link.start())
            await asyncio.sleep(0.02)
            assert not link.connected
            await recorders.open()
            await recorders.welcomed()
            assert await starting == b"secret"
        assert link.connected
        # However often it tried.
        assert [event["event"] for event in logged] == ["recorder unreachable"]

    play(scene)


class Taking:
    """Notes what the recorder tells."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def begin(self) -> None:
        self.told.append("begin")

    def page(self, bindings: list[tuple[str, Binding]], last: bool) -> None:
        self.told.append(("page", bindings, last))

    def fetched(self, aors: list[str], bindings: list[tuple[str, Binding]]) -> None:
        self.told.append(("fetched", aors, bindings))

    def not_fetched(self, aors: list[str]) -> None:
        self.told.append(("not fetched", aors))

    def changed(self, changes: list[Change]) -> None:
        self.told.append(("changed", changes))

    def room(self) -> None:
        self.told.append("room")

    async def hears(self, *expected: Any) -> None:
        await until(lambda: len(self.told) >= len(expected))
        assert self.told == list(expected)
        self.told.clear()


def clock() -> float:
    return 1500.0


ONE, TWO = ("a@example.com", binding("sip:a")), ("b@example.com", binding("sip:b"))


async def following(link: Link, recorders: Recorders) -> tuple[Scripted, Taking]:
    """A recorder that has heard that all bindings are wanted."""
    recorder = await started(link, recorders)
    taking = Taking()
    link.follow(taking, clock)
    assert await recorder.hear() == Load(1500.0)
    await taking.hears("begin")
    return recorder, taking


def test_bindings_are_loaded_page_by_page_and_anew_after_a_break(play: Play) -> None:
    async def scene(link: Link, recorders: Recorders) -> None:
        recorder, taking = await following(link, recorders)
        recorder.say(Page([ONE], False))
        recorder.transport.close()
        recorder = await recorders.welcomed()
        assert await recorder.hear() == Load(1500.0)
        recorder.say(Page([ONE], False), Page([TWO], True))
        await taking.hears(("page", [ONE], False), "begin", ("page", [ONE], False), ("page", [TWO], True))

    play(scene)


def test_what_others_change_may_be_missed_so_every_break_begins_a_load(play: Play) -> None:
    async def scene(link: Link, recorders: Recorders) -> None:
        recorder, taking = await following(link, recorders)
        recorder.say(Page([ONE], True), Changed([change("b")]))
        await taking.hears(("page", [ONE], True), ("changed", [change("b")]))
        recorder.transport.close()
        recorder = await recorders.welcomed()
        assert await recorder.hear() == Load(1500.0)
        await taking.hears("begin")

    play(scene)


def test_what_is_asked_for_in_one_turn_is_one_question_and_is_asked_again_after_a_break(play: Play) -> None:
    async def scene(link: Link, recorders: Recorders) -> None:
        recorder, taking = await following(link, recorders)
        assert link.fetch("a@example.com")
        assert link.fetch("c@example.com")
        asked = Fetch(["a@example.com", "c@example.com"], 1500.0)
        assert await recorder.hear() == asked
        recorder.transport.close()
        recorder = await recorders.welcomed()
        assert await recorder.hear() == Load(1500.0)
        assert await recorder.hear() == asked
        recorder.say(Fetched(asked.aors, [ONE]), Fetched(asked.aors, [ONE]))
        await taking.hears("begin", ("fetched", asked.aors, [ONE]))
        assert link.fetch("b@example.com")
        recorder.say(Fetched(["b@example.com"], [], True))
        await taking.hears(("not fetched", ["b@example.com"]))

    play(scene)


def test_a_database_that_is_away_refuses_at_once_until_it_is_back(play: Play) -> None:
    async def scene(link: Link, recorders: Recorders) -> None:
        recorder, taking = await following(link, recorders)
        answers = Answers()
        link.save(change("a"), answers.to("a"))
        await recorder.hear()
        link.save(change("b"), answers.to("b"))
        link.fetch("c@example.com")
        recorder.say(NotSaved(1, "gone", True), Standing(True))
        await answers.reach(2)
        assert answers == [("a", Fate.UNKNOWN), ("b", Fate.UNKNOWN)]
        await taking.hears(("not fetched", ["c@example.com"]))
        assert not link.save(change("c"), answers.to("c"))
        assert not link.fetch("c@example.com")
        recorder.say(Standing(False))
        await taking.hears("room")
        assert link.save(change("c"), answers.to("c"))

    play(scene)


def test_the_fate_of_what_waits_too_long_is_unknown_until_the_recorder_answers_again(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Looked at after a quarter of it: long enough for what is to be waiting by then.
    monkeypatch.setattr(link_module, "PATIENCE_S", 1.0)

    async def scene(link: Link, recorders: Recorders) -> None:
        recorder, taking = await following(link, recorders)
        answers = Answers()
        link.save(change("a"), answers.to("a"))
        assert await recorder.hear() == Save(1, [change("a")])
        link.save(change("b"), answers.to("b"))
        assert await recorder.hear() == Save(2, [change("b")])
        link.save(change("c"), answers.to("c"))
        monkeypatch.setattr(link_module, "PATIENCE_S", 0.0)
        await answers.reach(3)
        monkeypatch.setattr(link_module, "PATIENCE_S", PATIENCE_S)
        assert answers == [(name, Fate.UNKNOWN) for name in "abc"]
        assert (link.waiting, link.save(change("d"), answers.to("d"))) == (0, False)
        # Its batches are on their way all the same: what the recorder does with them shows.
        recorder.say(Saved(1))
        await taking.hears("room")
        assert link.save(change("d"), answers.to("d"))
        recorder.say(Saved(2))
        assert await recorder.hear() == Save(3, [change("d")])

    play(scene)


def test_where_only_questions_waited_too_long_an_empty_batch_shows_when_the_recorder_is_back(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "PATIENCE_S", 0.01)

    async def scene(link: Link, recorders: Recorders) -> None:
        recorder, taking = await following(link, recorders)
        link.fetch("a@example.com")
        assert await recorder.hear() == Fetch(["a@example.com"], 1500.0)
        await taking.hears(("not fetched", ["a@example.com"]))
        assert await recorder.hear() == Save(1, [])
        recorder.say(Fetched(["a@example.com"], [ONE]), Saved(1))
        await taking.hears("room")
        assert link.fetch("a@example.com")

    play(scene)


def test_a_fault_in_what_an_answer_causes_ends_neither_the_link_nor_the_other_answers(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> None:
        raise ZeroDivisionError

    async def scene(link: Link, recorders: Recorders) -> None:
        recorder = await started(link, recorders)
        answers = Answers()
        taking = Taking()
        monkeypatch.setattr(taking, "page", fault)
        link.follow(taking, clock)
        await recorder.hear()
        link.save(change("a"), fault)
        link.save(change("b"), answers.to("b"))
        await recorder.hear()
        with capture_logs() as logged:
            recorder.say(Page([], True), Saved(1))
            await answers.reach(1)
        assert answers == [("b", Fate.STORED)]
        assert [event["event"] for event in logged] == [
            "taking what the recorder said failed",
            "taking what the recorder said failed",
        ]
        assert (link.connected, link.waiting) == (True, 0)

    play(scene)


def test_no_more_changes_wait_than_the_bound(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "MAX_WAITING", 3)
    monkeypatch.setattr(link_module, "MAX_BATCH", 2)

    async def scene(link: Link, recorders: Recorders) -> None:
        recorder = await started(link, recorders)
        answers = Answers()
        assert [link.save(change(name), answers.to(name)) for name in "abcde"] == [True] * 3 + [False] * 2
        assert (link.waiting, link.refused) == (3, 2)
        assert await recorder.hear() == Save(1, [change("a"), change("b")])
        assert await recorder.hear() == Save(2, [change("c")])
        recorder.say(Saved(1), Saved(2))
        await answers.reach(3)
        assert link.save(change("f"), answers.to("f"))
        assert await recorder.hear() == Save(3, [change("f")])

    play(scene)


def test_neither_do_more_octets_wait_nor_one_change_that_is_too_large(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "MAX_WAITING_OCTETS", 1000)
    monkeypatch.setattr(link_module, "MAX_CHANGE_OCTETS", 900)

    async def scene(link: Link, recorders: Recorders) -> None:
        await started(link, recorders)
        answers = Answers()
        assert not link.save(change("a", "x" * 900), answers.to("a"))
        assert link.save(change("b", "x" * 700), answers.to("b"))
        assert not link.save(change("c", "x" * 200), answers.to("c"))
        assert link.save(change("d"), answers.to("d"))
        assert (link.waiting, link.refused) == (2, 2)

    play(scene)


def test_a_recorder_that_speaks_nonsense_is_left_and_met_again(play: Play) -> None:
    async def scene(link: Link, recorders: Recorders) -> None:
        recorder = await started(link, recorders)
        with capture_logs() as logged:
            recorder.transport.write(b"\xff\xff\xff\xff")
            recorder = await recorders.welcomed()
        assert [event["reason"] for event in logged] == [
            "a frame of 4294967295 octets is above the maximum of 67108864"
        ]
        link.save(change("a"), lambda _: None)
        assert await recorder.hear() == Save(1, [change("a")])

    play(scene)


def test_loopback_tcp_serves_as_well(play: Play) -> None:
    async def scene(_: Link, recorders: Recorders) -> None:
        recorders.server.close()
        recorders.endpoint = "tcp:127.0.0.1:0"
        await recorders.open()
        assert isinstance(recorders.server, asyncio.Server)
        port = recorders.server.sockets[0].getsockname()[1]
        link = Link(f"tcp:127.0.0.1:{port}", "token", "edge-1")
        await started(link, recorders)
        assert link.connected
        await link.close()
        await until(lambda: not link.connected)

    play(scene)
