"""The calls of a node, kept beyond its process: two engines, one after the other, and a file."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

from structlog.testing import capture_logs

from journals import segment, write
from oneproxy.engine.call import Call, CallEvent, Session, Watch
from oneproxy.engine.decisions import Forward, Party, Target
from oneproxy.engine.following import Following
from oneproxy.engine.standing import Standing
from oneproxy.records.entries import Kind, encode
from oneproxy.records.file import TAKEN, give_back
from oneproxy.records.keeper import Keeper
from oneproxy.records.reading import read
from oneproxy.site.model import Gateway, Provider, Site
from oneproxy.trunks.trunks import Trunks
from waiting import until
from world import World, request, response

SITE = Site({}, {}, providers={"p": Provider("p", gateway=(Gateway("a", "sip:192.0.2.20"),))})


class Node:
    """What a node has of followed calls: an engine, trunks, and who keeps the calls."""

    def __init__(self, path: Path, now: float = 0.0, calls: int = 100) -> None:
        self.world = World(self.decide, calls=calls)
        self.world.now = max(now, self.world.now)
        self.following: Following = self.world.engine.following
        self.trunks = Trunks(SITE, Random(1))
        self.keeper = Keeper(str(path), self.following.standing)
        self.following.keeper = self.keeper
        self.calls: list[Call] = []
        self.provider = "p"

    def decide(self, _ask: object) -> Forward:
        """Every call goes to the gateway."""
        party = Party(self.provider, "a") if self.provider else None
        return Forward([Target("sip:bob@192.0.2.20", party=party)], watch=self, session=Session(600))

    def note(self, now: float, call: Call, event: CallEvent) -> None:
        """The watch of calls that this node saw begin."""
        if event is CallEvent.ANSWERED:
            self.calls.append(call)

    def start(self, killed: "Node | None" = None) -> int:
        """Go on with what the file has. killed: the node whose process is dead, and holds it no more."""
        if killed is not None:
            give_back(killed.keeper._claimed)
            killed.keeper._claimed = TAKEN
        return self.keeper.start(self.world.now, self.following.adopt, self.trunks.adopt)

    def held(self, provider: str = "p") -> int:
        """Calls that the provider has."""
        found = self.trunks.find(provider)
        return 0 if found is None else len(found.held)

    def call(self, name: str) -> str:
        """A call that is answered; the Route of its further requests."""
        caller, callee = self.world.peer("192.0.2.10"), self.world.peer("192.0.2.20")
        lines = ("Contact: <sip:alice@192.0.2.10>", "Supported: timer")
        caller.send(request("INVITE", "sip:bob@example.com", *lines, branch=f"z9hG4bK{name}", call_id=name))
        invite = callee.take_request("INVITE")
        callee.send(response(invite, 200, "Contact: <sip:bob@192.0.2.20>", to_tag="b"))
        return f"Route: {caller.take_response(200).get('record-route')}"

    def within(self, method: str, name: str, route: str, cseq: int = 2) -> None:
        """A request of the caller that is answered."""
        caller, callee = self.world.peer("192.0.2.10"), self.world.peer("192.0.2.20")
        lines = (route, "Supported: timer", "Contact: <sip:alice@192.0.2.10:5070>")
        branch = f"z9hG4bK{name}{cseq}"
        made = request(
            method, "sip:bob@192.0.2.20", *lines, branch=branch, call_id=name, cseq=cseq, to_tag="b"
        )
        caller.send(made)
        callee.send(response(callee.take_request(method), 200))
        caller.take_response(200)


def play(*scenes: Callable[[], None]) -> None:
    """Each in a loop of its own; what is put is written between."""

    async def run(scene: Callable[[], None]) -> None:
        scene()
        await asyncio.sleep(0)

    for scene in scenes:
        asyncio.run(run(scene))


def test_calls_of_a_node_that_was_killed_are_followed_and_counted_by_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    routes: list[str] = []
    first, second, third = Node(path), Node(path, 1_000_100.0), Node(path, 1_000_200.0)

    def before() -> None:
        assert first.start() == 0
        routes.extend(first.call(name) for name in ("one", "two", "three"))
        first.within("BYE", "two", routes[1])
        assert len(first.keeper) == 2

    def after() -> None:
        with capture_logs() as logged:
            assert second.start(first) == 2
        assert [(one["event"], one["calls"], one["left_out"]) for one in logged] == [
            ("calls followed again", 2, 0)
        ]
        assert (second.world.engine.calls(), second.held()) == (2, 2)
        second.within("BYE", "one", routes[0])
        assert (second.world.engine.calls(), second.held(), len(second.keeper)) == (1, 1, 1)

    def again() -> None:
        assert third.start(second) == 1
        assert (third.world.engine.calls(), third.held()) == (1, 1)
        third.within("BYE", "three", routes[2])
        assert (third.world.engine.calls(), third.held(), third.keeper.size) == (0, 0, 0)

    play(before, after, again)
    assert read(str(path)).standing == {}
    for node in (first, second, third):
        node.keeper.close()


def test_a_refreshed_call_is_followed_again_until_its_new_expiry(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    first = Node(path)
    second = Node(path, first.world.now + 900)

    def before() -> None:
        first.start()
        route = first.call("one")
        first.world.wait(500)
        first.within("INVITE", "one", route)

    def after() -> None:
        second.start(first)
        second.world.wait(190)
        assert (second.world.engine.calls(), second.held()) == (1, 1)
        second.world.wait(11)
        assert (second.world.engine.calls(), second.held()) == (0, 0)

    play(before, after)
    assert read(str(path)).standing == {}
    first.keeper.close()
    second.keeper.close()


def test_calls_for_which_there_is_no_room_are_not_kept_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    first, second = Node(path), Node(path, calls=1)

    def before() -> None:
        first.start()
        for name in ("one", "two", "three"):
            first.call(name)

    def after() -> None:
        with capture_logs() as logged:
            assert second.start(first) == 1
        assert (logged[0]["calls"], logged[0]["left_out"]) == (1, 2)
        assert (second.world.engine.calls(), second.held()) == (1, 1)

    play(before, after)
    assert len(read(str(path)).standing) == 1
    first.keeper.close()
    second.keeper.close()


def test_what_another_version_kept_of_a_call_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    write(path, 1, segment(encode(Kind.STANDS, 5, b"\x93\x01\x02\x03"), encode(Kind.STANDS, 6)) + bytes(4096))
    node = Node(path)

    def scene() -> None:
        with capture_logs() as logged:
            assert node.start() == 0
        assert logged[0]["left_out"] == 2
        node.call("one")

    play(scene)
    assert list(read(str(path)).standing) == [7]
    node.keeper.close()


def test_a_call_of_no_provider_is_followed_again_and_counted_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    first, second = Node(path), Node(path)
    first.provider = ""

    def before() -> None:
        first.start()
        first.call("one")

    def after() -> None:
        assert second.start(first) == 1
        assert list(second.trunks._all) == ["p"]

    play(before, after)
    first.keeper.close()
    second.keeper.close()


def test_the_size_is_that_of_what_stands(tmp_path: Path) -> None:
    node = Node(tmp_path / "calls")

    def scene() -> None:
        node.start()
        routes = [node.call(name) for name in ("one", "two")]
        node.within("INVITE", "one", routes[0])
        node.keeper.changes()
        assert node.keeper.size == sum(len(entry) for entry in node.keeper.entries()) > 500
        node.within("BYE", "one", routes[0], 3)
        node.within("BYE", "two", routes[1])
        assert (node.keeper.size, list(node.keeper.entries()), len(node.keeper)) == (0, [], 0)

    play(scene)
    node.keeper.close()


def test_calls_that_end_during_a_pass_are_not_in_it(tmp_path: Path) -> None:
    node = Node(tmp_path / "calls")

    def scene() -> None:
        node.start()
        routes = [node.call(name) for name in ("one", "two", "three")]
        entries = node.keeper.entries()
        next(entries)
        node.within("BYE", "two", routes[1])
        assert len(list(entries)) == 1

    play(scene)
    node.keeper.close()


def test_what_was_kept_before_the_pass_and_after_it_is_one_truth(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    node = Node(path)

    async def run() -> None:
        node.start()
        routes = [node.call(str(number)) for number in range(30)]
        journal = node.keeper._journal
        assert journal is not None
        journal._is_unsure = True
        journal._judge()
        for number in range(0, 30, 2):
            node.within("BYE", str(number), routes[number])
            await asyncio.sleep(0)
        await until(lambda: journal.is_idle)
        assert len(read(str(path)).standing) == len(node.keeper) == 15

    asyncio.run(run())
    node.keeper.close()


def test_before_the_start_and_after_the_end_calls_go_on_and_nothing_is_kept(tmp_path: Path) -> None:
    node = Node(tmp_path / "calls")

    def scene() -> None:
        route = node.call("one")
        assert not node.keeper.is_kept
        node.start()
        assert (node.keeper.is_kept, node.keeper.lost) == (True, 0)
        node.keeper.close()
        node.within("BYE", "one", route)
        assert not node.keeper.is_kept

    play(scene)


def unused(_now: float, _standing: Standing, _watch: Watch) -> Call | None:
    """Nobody is followed again."""
    raise AssertionError


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    keeper = Keeper(str(path), lambda _: None)

    def scene() -> None:
        assert keeper.start(1.0, unused, lambda *_: Trunks(SITE, Random(1)).adopt("p", "a", 1.0)) == 0

    play(scene)
    keeper.close()
    begun = path / "00000001.log"
    assert begun.read_bytes().rstrip(b"\0") == segment().rstrip(b"\0")


def test_two_processes_do_not_keep_their_calls_in_one_journal(tmp_path: Path) -> None:
    """Of one name in one directory: the second would follow the calls of the first, and end them."""

    async def both() -> None:
        path = tmp_path / "calls"
        first, second = Node(path), Node(path)
        assert first.start() == 0
        first.call("one")
        with capture_logs() as logs:
            assert second.start() == 0
        assert [one["event"] for one in logs] == ["calls not kept"]
        assert not second.keeper.is_kept
        second.call("two")
        second.keeper.close()
        first.keeper.close()
        third = Node(path)
        assert third.start() == 1
        third.keeper.close()

    asyncio.run(both())


def test_an_entry_whose_text_is_none_is_left_out(tmp_path: Path) -> None:
    async def go_on() -> None:
        path = tmp_path / "calls"
        before = Node(path)
        before.start()
        before.call("a-name-that-is-spoilt")
        before.keeper.close()
        [(number, data)] = read(str(path)).standing.items()
        spoilt = data.replace(b"spoilt", b"spoi\xff\xfe")
        write(path, 1, segment(encode(Kind.STANDS, number, spoilt)))
        after = Node(path)
        assert after.start() == 0
        after.keeper.close()

    asyncio.run(go_on())
