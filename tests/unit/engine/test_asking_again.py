"""Policy is asked once more when all branches have failed: what it may answer, and what it gets wrong."""

from collections.abc import Callable

import pytest

from oneproxy.engine.decisions import BEST, PENDING, Ask, Decision, Forward, Reply, Target
from oneproxy.sip.message import Request
from world import World, request, response

DESK, MOBILE = "192.0.2.20", "192.0.2.30"
ONE = Forward([Target(f"sip:bob@{DESK}")])
OTHER = Forward([Target(f"sip:bob@{MOBILE}")])
TWO = Forward([*ONE.targets, *OTHER.targets])
NOTHING_LEFT = {"servers": 0, "clients": 0}


def failed(world: World) -> None:
    """A call to one phone, which is busy."""
    world.peer("192.0.2.10").send(request("INVITE"))
    phone = world.peer(DESK)
    phone.send(response(phone.take_request("INVITE"), 486, to_tag="d"))
    phone.take_request("ACK")


def forked(world: World, method: str = "INVITE") -> tuple[Request, Request]:
    """The request as both phones got it; neither has answered."""
    world.peer("192.0.2.10").send(request(method))
    return world.peer(DESK).take_request(method), world.peer(MOBILE).take_request(method)


def test_policy_may_answer_itself_when_all_have_failed() -> None:
    world = World(ONE, Reply(480, "Nobody There"))
    failed(world)
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 480 Nobody There"]


def test_policy_may_try_further_targets_when_all_have_failed() -> None:
    world = World(ONE, OTHER, BEST)
    failed(world)
    caller, mobile = world.peer("192.0.2.10"), world.peer(MOBILE)
    assert caller.has_nothing
    invite = mobile.take_request("INVITE")
    assert [one.status for one in world.asked[1].outcomes] == [486]
    mobile.send(response(invite, 404, to_tag="m"))
    assert caller.take_all() == ["SIP/2.0 486 Because"]
    assert [one.status for one in world.asked[2].outcomes] == [486, 404]


def test_a_second_decision_that_does_not_come_is_a_503() -> None:
    world = World(ONE, PENDING)
    failed(world)
    world.wait(9.9)
    world.peer("192.0.2.10").take_all()
    world.wait(0.2)
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 503 Service Unavailable"]


def test_the_request_asked_about_twice_is_the_same_and_the_time_is_new() -> None:
    world = World(ONE)
    caller, desk = world.peer("192.0.2.10"), world.peer(DESK)
    caller.send(request("INVITE"))
    invite = desk.take_request("INVITE")
    desk.send(response(invite, 180, to_tag="d"))
    world.wait(3)
    desk.send(response(invite, 486, to_tag="d"))
    assert world.asked[0] is world.asked[1]
    assert world.asked[1].now == world.now


def test_a_second_group_starts_only_when_all_of_the_first_have_failed() -> None:
    world = World(TWO, Forward([Target("sip:bob@192.0.2.40")]))
    first, second = forked(world)
    voicemail = world.peer("192.0.2.40")
    world.peer(DESK).send(response(first, 486, to_tag="d"))
    assert voicemail.has_nothing
    world.peer(MOBILE).send(response(second, 480, to_tag="m"))
    invite = voicemail.take_request("INVITE")
    voicemail.send(response(invite, 200, to_tag="v"))
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 200 Because"]
    world.wait(70)
    assert world.engine.sizes() == NOTHING_LEFT


@pytest.mark.parametrize("is_late", [False, True])
def test_after_a_6xx_nobody_else_is_tried_whenever_policy_says_so(is_late: bool) -> None:
    world = World(ONE, PENDING if is_late else OTHER)
    caller, desk = world.peer("192.0.2.10"), world.peer(DESK)
    caller.send(request("INVITE"))
    desk.send(response(desk.take_request("INVITE"), 603, to_tag="d"))
    if is_late:
        world.engine.answer(world.now, world.asked[1], OTHER)
        world.deliver()
    # RFC 3261 16.7 step 5: "it MUST NOT create any new branches in this context".
    assert world.peer(MOBILE).has_nothing
    assert caller.take_all() == ["SIP/2.0 603 Because"]


@pytest.mark.parametrize("late", [BEST, Reply(480, "Nobody There"), OTHER])
def test_the_second_decision_may_come_late_whatever_it_is(late: Decision) -> None:
    world = World(ONE, PENDING)
    caller, desk = world.peer("192.0.2.10"), world.peer(DESK)
    caller.send(request("INVITE"))
    desk.send(response(desk.take_request("INVITE"), 486, to_tag="d"))
    world.wait(5)
    caller.take_response(100)
    world.engine.answer(world.now, world.asked[1], late)
    world.engine.answer(world.now, world.asked[1], late)
    world.deliver()
    if late is OTHER:
        mobile = world.peer(MOBILE)
        mobile.send(response(mobile.take_request("INVITE"), 404, to_tag="m"))
    assert len(caller.take_all()) == 1
    caller.send(request("ACK", to_tag="d"))
    world.wait(70)
    assert (caller.has_nothing, world.engine.sizes(), world.engine.unanswered()) == (True, NOTHING_LEFT, 0)


def nowhere(_: Ask) -> Decision:
    return Forward([])


@pytest.mark.parametrize("decision", [BEST, Forward([]), nowhere])
def test_a_decision_that_leads_nowhere_is_a_500(decision: Decision | Callable[[Ask], Decision]) -> None:
    world = World(decision)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    assert caller.take_all() == ["SIP/2.0 500 Server Internal Error"]
    caller.send(request("ACK"))
    world.wait(40)
    assert (caller.has_nothing, world.engine.sizes(), len(world.asked)) == (True, NOTHING_LEFT, 1)


def test_a_second_decision_that_leads_nowhere_lets_the_best_answer_go_back() -> None:
    world = World(ONE, Forward([]))
    caller, desk = world.peer("192.0.2.10"), world.peer(DESK)
    caller.send(request("INVITE"))
    desk.send(response(desk.take_request("INVITE"), 486, to_tag="d"))
    assert (caller.take_all(), len(world.asked)) == (["SIP/2.0 486 Because"], 2)


def test_a_fault_of_policy_when_asked_again_lets_the_best_answer_go_back() -> None:
    def fail(_: Ask) -> Decision:
        raise RuntimeError

    world = World(ONE, fail)
    caller, desk = world.peer("192.0.2.10"), world.peer(DESK)
    caller.send(request("INVITE"))
    invite = desk.take_request("INVITE")
    with pytest.raises(RuntimeError):
        desk.send(response(invite, 486, to_tag="d"))
    world.deliver()
    assert caller.take_all() == ["SIP/2.0 486 Because"]
    caller.send(request("ACK", to_tag="d"))
    world.wait(40)
    assert (world.engine.sizes(), world.engine.unanswered()) == (NOTHING_LEFT, 0)


def test_a_policy_that_never_gives_up_is_no_endless_loop() -> None:
    world = World(*[Forward([Target("sip:bob@192.0.2.66")])] * 1000)
    world.unroutable.add("192.0.2.66")
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    assert caller.take_all() == ["SIP/2.0 500 Server Internal Error"]
    assert len(world.asked) == 51
