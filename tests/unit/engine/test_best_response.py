"""Which answer goes back when all branches have failed (RFC 3261 16.7 steps 6 and 7, RFC 4320)."""

import pytest

from oneproxy.engine.decisions import Forward, Target
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


@pytest.mark.parametrize(
    ("statuses", "best"),
    [
        ((486, 404), 486),
        ((404, 486), 404),
        ((500, 486), 486),
        ((486, 302), 302),
        ((486, 401), 401),
        ((407, 404), 407),
        ((404, 420), 420),
        ((408, 486), 486),
        ((503, 500), 500),
        ((503, 404), 404),
        ((404, 603), 603),
        ((504, 600), 600),
        # A time-out says less than another 4xx and more than a 5xx.
        ((408, 404), 404),
        ((404, 408), 404),
        ((408, 500), 408),
        ((484, 401), 484),
        ((600, 603), 600),
    ],
)
def test_the_best_of_two_failures_goes_back(statuses: tuple[int, int], best: int) -> None:
    world = World(TWO)
    world.peer("192.0.2.10").send(request("INVITE"))
    for host, status in zip((DESK, MOBILE), statuses, strict=True):
        phone = world.peer(host)
        invite = phone.take_request("INVITE")
        phone.send(response(invite, status, to_tag=host))
    assert world.peer("192.0.2.10").take_all() == [f"SIP/2.0 {best} Because"]
    assert [one.status for one in world.asked[1].outcomes] == list(statuses)


def test_a_503_alone_goes_back_as_500() -> None:
    world = World(ONE)
    caller, callee = world.peer("192.0.2.10"), world.peer(DESK)
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 503, to_tag="b"))
    callee.take_request("ACK")
    assert caller.take_all() == ["SIP/2.0 500 Server Internal Error"]


def test_a_branch_that_never_answers_is_waited_for() -> None:
    world = World(TWO)
    world.peer("192.0.2.10").send(request("INVITE"))
    desk = world.peer(DESK)
    desk.send(response(desk.take_request("INVITE"), 486, to_tag="d"))
    world.wait(31)
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 100 Trying"]
    world.wait(1)
    assert world.peer("192.0.2.10").take_all()[0] == "SIP/2.0 486 Because"
    assert sorted((one.status, one.error) for one in world.asked[1].outcomes) == [
        (408, "timeout"),
        (486, None),
    ]


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
