"""Forks at their edges: what crosses, what is gathered, and what policy gets wrong (RFC 3261 16.7)."""

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


def forked(world: World, method: str = "INVITE") -> tuple[Request, Request]:
    """The request as both phones got it; neither has answered."""
    world.peer("192.0.2.10").send(request(method))
    return world.peer(DESK).take_request(method), world.peer(MOBILE).take_request(method)


def test_nothing_provisional_passes_after_the_call_was_answered() -> None:
    world = World(TWO)
    caller, desk, mobile = (world.peer(host) for host in ("192.0.2.10", DESK, MOBILE))
    first, second = forked(world)
    desk.send(response(first, 200, to_tag="d"))
    mobile.send(response(second, 183, to_tag="m"))
    assert caller.take_all() == ["SIP/2.0 200 Because"]
    # The 183 is what the CANCEL for this branch had to wait for (RFC 3261 9.1).
    assert mobile.take_all() == [f"CANCEL sip:bob@{MOBILE} SIP/2.0"]


def test_a_phone_that_answers_after_another_refused_for_all_has_the_call() -> None:
    world = World(TWO)
    caller, desk, mobile = (world.peer(host) for host in ("192.0.2.10", DESK, MOBILE))
    first, second = forked(world)
    mobile.send(response(second, 180, to_tag="m"))
    desk.send(response(first, 603, to_tag="d"))
    mobile.take_request("CANCEL")
    mobile.send(response(second, 200, to_tag="m"))
    world.wait(70)
    assert caller.take_all() == ["SIP/2.0 180 Because", "SIP/2.0 200 Because"]
    assert (len(world.asked), world.engine.sizes()) == (1, NOTHING_LEFT)


def test_each_2xx_of_a_fork_is_repeated_to_the_caller_as_often_as_it_comes() -> None:
    world = World(TWO)
    first, second = forked(world)
    answers = [response(first, 200, to_tag="d"), response(second, 200, to_tag="m")]
    for _ in range(3):
        world.peer(DESK).send(answers[0])
        world.peer(MOBILE).send(answers[1])
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 200 Because"] * 6


def test_a_failure_after_the_call_was_answered_is_acknowledged_and_kept_from_the_caller() -> None:
    world = World(TWO)
    first, second = forked(world)
    world.peer(DESK).send(response(first, 200, to_tag="d"))
    world.peer(MOBILE).send(response(second, 486, to_tag="m"))
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 200 Because"]
    assert world.peer(MOBILE).take_all() == [f"ACK sip:bob@{MOBILE} SIP/2.0"]
    assert len(world.asked) == 1


def test_the_challenges_of_all_branches_go_back_in_one_answer() -> None:
    world = World(TWO)
    caller = world.peer("192.0.2.10")
    first, second = forked(world)
    world.peer(DESK).send(response(first, 401, 'WWW-Authenticate: Digest realm="d"', to_tag="d"))
    world.peer(MOBILE).send(
        response(
            second,
            407,
            'Proxy-Authenticate: Digest realm="m"',
            'WWW-Authenticate: Digest realm="d"',
            to_tag="m",
        )
    )
    answer = caller.take_response(401)
    assert answer.all("www-authenticate") == ['Digest realm="d"']
    assert answer.all("proxy-authenticate") == ['Digest realm="m"']
    assert (answer.get("to"), caller.has_nothing) == ("<sip:bob@example.com>;tag=d", True)


def test_challenges_are_left_out_of_an_answer_that_is_none() -> None:
    world = World(TWO)
    first, second = forked(world)
    world.peer(DESK).send(response(first, 401, 'WWW-Authenticate: Digest realm="d"', to_tag="d"))
    world.peer(MOBILE).send(response(second, 302, "Contact: <sip:bob@192.0.2.40>", to_tag="m"))
    answer = world.peer("192.0.2.10").take_response(302)
    assert (answer.get("www-authenticate"), answer.get("contact")) == (None, "<sip:bob@192.0.2.40>")


@pytest.mark.parametrize(
    ("statuses", "best"),
    [((408, 404), 404), ((404, 408), 404), ((408, 500), 408), ((484, 401), 484), ((600, 603), 600)],
)
def test_a_time_out_says_less_than_another_4xx_and_more_than_a_5xx(
    statuses: tuple[int, int], best: int
) -> None:
    world = World(TWO)
    for host, invite, status in zip((DESK, MOBILE), forked(world), statuses, strict=True):
        world.peer(host).send(response(invite, status, to_tag=host))
    assert world.peer("192.0.2.10").take_all() == [f"SIP/2.0 {best} Because"]


def test_all_that_never_answer_are_a_408_of_our_own() -> None:
    world = World(TWO)
    forked(world)
    world.wait(32)
    answers = world.peer("192.0.2.10").take_all()
    assert answers == ["SIP/2.0 100 Trying", "SIP/2.0 408 Request Timeout"]
    assert [(one.status, one.error) for one in world.asked[1].outcomes] == [(408, "timeout")] * 2


@pytest.mark.parametrize("method", ["MESSAGE", "OPTIONS", "SUBSCRIBE"])
def test_a_peers_408_never_answers_what_is_no_invite(method: str) -> None:
    world = World(ONE)
    caller, desk = world.peer("192.0.2.10"), world.peer(DESK)
    caller.send(request(method))
    desk.send(response(desk.take_request(method), 408, to_tag="d"))
    assert caller.take_all() == ["SIP/2.0 504 Server Time-out"]
    # The repetition is absorbed: the peer is not asked again.
    caller.send(request(method))
    assert (caller.take_all(), desk.has_nothing) == (["SIP/2.0 504 Server Time-out"], True)


def test_a_time_out_of_our_own_says_nothing_to_what_is_no_invite() -> None:
    world = World(TWO)
    forked(world, "MESSAGE")
    world.wait(40)
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 100 Trying"]
    assert (world.engine.sizes(), world.engine.unanswered()) == (NOTHING_LEFT, 0)


def test_a_target_without_a_way_does_not_hold_the_others_up() -> None:
    world = World(Forward([Target("sip:bob@unroutable.example"), *ONE.targets]))
    world.unroutable.add("unroutable.example")
    caller, desk = world.peer("192.0.2.10"), world.peer(DESK)
    caller.send(request("INVITE"))
    desk.send(response(desk.take_request("INVITE"), 404, to_tag="d"))
    assert caller.take_all() == ["SIP/2.0 404 Because"]
    assert [(one.status, one.error) for one in world.asked[1].outcomes] == [(503, "transport"), (404, None)]


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
