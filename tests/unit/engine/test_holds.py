"""What counts a call is told that it goes on, and of its end once, whatever way it ends."""

from collections.abc import Callable
from math import inf
from typing import Any

import pytest

from oneproxy.engine.call import Call, CallEvent, Session
from oneproxy.engine.decisions import PENDING, Ask, Decision, Forward, Reply, Target
from world import World, request, response


class Counted:
    """Counts as a limit does. room: how many more may begin."""

    key = "counted"
    cause = "no-room-here"

    def __init__(self, room: float = inf, lasts: bool = True) -> None:
        self.room = room
        self.lasts = lasts
        self.told: list[str] = []

    def full_until(self, now: float) -> float:
        return 0.0 if self.room > 0 else inf

    def begun(self, now: float) -> None:
        self.room -= 1
        self.told.append("begun")

    def ended(self, now: float) -> None:
        self.room += 1
        self.told.append("ended")

    def refused(self, now: float) -> None:
        self.told.append("refused")


class Watched:
    """Whoever follows the call besides."""

    def __init__(self) -> None:
        self.events: list[CallEvent] = []

    def note(self, now: float, call: Call, event: CallEvent) -> None:
        self.events.append(event)


def bob(**keys: Any) -> Forward:
    return Forward([Target("sip:bob@192.0.2.20")], **keys)


def held(decision: Decision, *holds: Counted) -> Callable[[Ask], Decision]:
    """A policy that has these count a call."""

    def decide(ask: Ask) -> Decision:
        ask.holds = holds
        ask.lasts = True
        return decision

    return decide


class Stage:
    """A caller, a callee, and what counts the one call."""

    def __init__(self, hold: Counted, *decisions: Decision, calls: int = 0) -> None:
        first, *later = decisions or (bob(),)
        self.hold = hold
        self.world = World(held(first, hold), *later, calls=calls)
        self.caller, self.callee = self.world.peer("192.0.2.10"), self.world.peer("192.0.2.20")

    def call(self, *headers: str) -> None:
        self.caller.send(request("INVITE", "sip:bob@example.com", *headers))

    def answer(self) -> None:
        """The callee answers, and has its ACK."""
        invite = self.callee.take_request("INVITE")
        self.callee.send(response(invite, 200, "Contact: <sip:bob@192.0.2.20>", to_tag="b"))
        self.route = self.caller.take_response(200).get("record-route")

    def inside(self, method: str, cseq: int, *headers: str) -> bytes:
        """A request of the caller inside of the dialog."""
        route = f"Route: {self.route}"
        branch = f"z9hG4bKi{cseq}"
        return request(method, "sip:bob@192.0.2.20", route, *headers, branch=branch, to_tag="b", cseq=cseq)


def test_a_call_counts_from_when_it_goes_on_to_its_bye() -> None:
    stage = Stage(Counted())
    stage.call()
    assert stage.hold.told == ["begun"]
    stage.answer()
    assert stage.hold.told == ["begun"]
    stage.caller.send(stage.inside("BYE", 2))
    stage.callee.send(response(stage.callee.take_request("BYE"), 200))
    assert stage.hold.told == ["begun", "ended"]
    stage.world.wait(60)
    assert stage.hold.told == ["begun", "ended"]
    assert stage.world.engine.calls() == 0


def test_a_call_whose_end_does_not_matter_is_not_followed() -> None:
    stage = Stage(Counted(lasts=False))
    stage.call()
    assert (stage.hold.told, stage.world.engine.calls()) == (["begun"], 0)


def test_a_call_that_is_followed_anyway_tells_those_alone_who_want_its_end() -> None:
    wants, not_so, watched = Counted(), Counted(lasts=False), Watched()
    world = World(held(bob(watch=watched), wants, not_so))
    world.peer("192.0.2.10").send(request("INVITE"))
    callee = world.peer("192.0.2.20")
    callee.send(response(callee.take_request("INVITE"), 486, to_tag="b"))
    assert (wants.told, not_so.told) == (["begun", "ended"], ["begun"])
    assert watched.events == [CallEvent.GIVEN_UP]


def cancel(stage: Stage) -> None:
    stage.callee.send(response(stage.callee.take_request("INVITE"), 180, to_tag="b"))
    invite_again = request("CANCEL")
    stage.caller.send(invite_again)
    stage.callee.take_request("CANCEL")
    stage.world.wait(64)


def refuse(stage: Stage) -> None:
    stage.callee.send(response(stage.callee.take_request("INVITE"), 603, to_tag="b"))


def say_nothing(stage: Stage) -> None:
    stage.world.wait(200)


def lose_the_bye(stage: Stage) -> None:
    stage.answer()
    stage.world.wait(43_201)


def end_from_the_side(stage: Stage) -> None:
    stage.answer()
    followed = next(iter(stage.world.engine.following._calls.values()))
    stage.world.engine.end(stage.world.now, followed.call)


def be_gone(stage: Stage) -> None:
    stage.answer()
    stage.caller.send(stage.inside("INVITE", 2))
    stage.callee.send(response(stage.callee.take_request("INVITE"), 481))


@pytest.mark.parametrize("ends", [cancel, refuse, say_nothing, lose_the_bye, end_from_the_side, be_gone])
def test_every_end_is_told_once(ends: Callable[[Stage], None]) -> None:
    stage = Stage(Counted())
    stage.call()
    ends(stage)
    assert stage.hold.told == ["begun", "ended"]
    stage.world.wait(100)
    assert (stage.hold.told, stage.world.engine.calls()) == (["begun", "ended"], 0)


def test_targets_that_fail_one_after_the_other_are_one_call() -> None:
    stage = Stage(Counted(), bob(), Forward([Target("sip:bob@192.0.2.21")]), Reply(404, "Not Found"))
    stage.call()
    stage.callee.send(response(stage.callee.take_request("INVITE"), 486, to_tag="b"))
    other = stage.world.peer("192.0.2.21")
    assert stage.hold.told == ["begun"]
    other.send(response(other.take_request("INVITE"), 486, to_tag="c"))
    stage.caller.take_response(404)
    assert stage.hold.told == ["begun", "ended"]


@pytest.mark.parametrize(
    ("decision", "headers", "calls", "status"),
    [
        (Reply(404, "Not Found"), (), 0, 404),
        (
            bob(session=Session(min_s=90), watch=Watched()),
            ("Session-Expires: 80", "Supported: timer"),
            0,
            422,
        ),
        (bob(watch=Watched()), (), 1, 503),
    ],
    ids=["not found", "too short a session", "no room to follow it"],
)
def test_a_call_that_is_refused_for_something_else_counts_nowhere(
    decision: Decision, headers: tuple[str, ...], calls: int, status: int
) -> None:
    stage = Stage(Counted(), decision, calls=calls)
    if calls:
        stage.world.decisions = (bob(watch=Watched()), held(decision, stage.hold))
        stage.caller.send(request("INVITE", branch="z9hG4bK0", call_id="before"))
    stage.call(*headers)
    assert stage.callee.take_all()[calls:] == []
    stage.caller.take_response(status)
    assert stage.hold.told == []


def test_a_call_that_waited_and_that_one_has_no_room_for_counts_in_none() -> None:
    room, full, watched = Counted(), Counted(room=0), Watched()
    world = World(held(PENDING, room, full))
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    world.engine.answer(world.now, world.asked[0], bob(watch=watched))
    world.deliver()
    assert caller.take_response(503).get("retry-after") is not None
    assert (room.told, full.told) == ([], ["refused"])
    # Whoever had begun with it is told that it is none.
    assert watched.events == [CallEvent.GIVEN_UP]
    assert dict(world.engine.counters.refused) == {"no-room-here": 1}


def test_a_call_that_a_route_led_elsewhere_is_spared_for_what_was_dialled() -> None:
    hold = Counted(room=1)
    world = World(held(PENDING, hold))
    world.engine.gate.emergency = frozenset(("112",))
    for number, uri in enumerate(("sip:bob@example.com", "sip:112@example.com", "sip:112@example.com")):
        call = request("INVITE", uri, branch=f"z9hG4bK{number}", call_id=f"c{number}")
        world.peer("192.0.2.10").send(call)
    for ask in tuple(world.asked):
        ask.uri = world.asked[0].uri
        world.engine.answer(world.now, ask, bob())
    assert hold.told == ["begun", "begun", "begun"]


def test_a_call_that_waited_for_its_decision_is_counted_and_looked_at_when_it_goes_on() -> None:
    hold = Counted(room=1)
    world = World(held(PENDING, hold))
    caller = world.peer("192.0.2.10")
    for number in (1, 2):
        caller.send(request("INVITE", branch=f"z9hG4bK{number}", call_id=f"c{number}"))
    assert hold.told == []
    for ask in tuple(world.asked):
        world.engine.answer(world.now, ask, bob())
        world.deliver()
    assert hold.told == ["begun", "refused"]
    assert world.peer("192.0.2.20").take_all() == ["INVITE sip:bob@192.0.2.20 SIP/2.0"]


def test_a_fault_of_ours_ends_the_call() -> None:
    def fail(_ask: Ask) -> Decision:
        raise ZeroDivisionError

    stage = Stage(Counted())
    stage.call()
    stage.world.decisions = (bob(), fail)
    with pytest.raises(ZeroDivisionError):
        stage.callee.send(response(stage.callee.take_request("INVITE"), 486, to_tag="b"))
    assert stage.hold.told == ["begun", "ended"]
