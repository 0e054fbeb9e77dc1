"""Several targets at once: who is asked, who is stopped, what passes (RFC 3261 16.6 to 16.9)."""

import pytest

from oneproxy.engine.decisions import Forward, Target
from oneproxy.engine.server import ServerTransaction
from oneproxy.sip.message import Request
from world import World, request, response

DESK, MOBILE = "192.0.2.20", "192.0.2.30"
ONE = Forward([Target(f"sip:bob@{DESK}")])
OTHER = Forward([Target(f"sip:bob@{MOBILE}")])
TWO = Forward([*ONE.targets, *OTHER.targets])
NOTHING_LEFT = {"servers": 0, "clients": 0}


def ringing(world: World) -> tuple[Request, Request]:
    """Both phones ring; the INVITEs that they got."""
    world.peer("192.0.2.10").send(request("INVITE"))
    invites = []
    for host in (DESK, MOBILE):
        phone = world.peer(host)
        invites.append(phone.take_request("INVITE"))
        phone.send(response(invites[-1], 180, to_tag=host))
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 180 Because"] * 2
    return invites[0], invites[1]


def forked(world: World, method: str = "INVITE") -> tuple[Request, Request]:
    """The request as both phones got it; neither has answered."""
    world.peer("192.0.2.10").send(request(method))
    return world.peer(DESK).take_request(method), world.peer(MOBILE).take_request(method)


def test_the_first_to_answer_has_the_call_and_the_other_is_cancelled() -> None:
    world = World(TWO)
    first, second = ringing(world)
    caller, desk, mobile = (world.peer(host) for host in ("192.0.2.10", DESK, MOBILE))
    mobile.send(response(second, 200, to_tag="m"))
    assert caller.take_all() == ["SIP/2.0 200 Because"]
    cancel = desk.take_request("CANCEL")
    assert cancel.get("via") == first.all("via")[0]
    desk.send(response(cancel, 200))
    desk.send(response(first, 487, to_tag="d"))
    desk.take_request("ACK")
    assert (caller.has_nothing, mobile.has_nothing) == (True, True)
    world.wait(70)
    assert (caller.has_nothing, world.engine.sizes()) == (True, {"servers": 0, "clients": 0})


def test_each_branch_has_its_own_branch_id_and_target() -> None:
    world = World(TWO)
    first, second = ringing(world)
    assert (first.uri, second.uri) == ("sip:bob@192.0.2.20", "sip:bob@192.0.2.30")
    assert first.all("via")[0] != second.all("via")[0]
    assert first.all("via")[1:] == second.all("via")[1:]


def test_a_refusal_for_everywhere_stops_the_others_and_goes_back_when_they_have() -> None:
    world = World(TWO)
    first, second = ringing(world)
    caller, desk, mobile = (world.peer(host) for host in ("192.0.2.10", DESK, MOBILE))
    desk.send(response(first, 603, to_tag="d"))
    desk.take_request("ACK")
    mobile.take_request("CANCEL")
    assert caller.has_nothing
    mobile.send(response(second, 487, to_tag="m"))
    assert caller.take_all() == ["SIP/2.0 603 Because"]


def test_a_2xx_passes_even_after_a_failure_has_gone_back() -> None:
    # The second decision answers for good although a branch is still there to answer.
    world = World(Forward(TWO.targets[:1]), Forward(TWO.targets[1:]))
    caller, desk, mobile = (world.peer(host) for host in ("192.0.2.10", DESK, MOBILE))
    caller.send(request("INVITE"))
    desk.send(response(desk.take_request("INVITE"), 486, to_tag="d"))
    invite = mobile.take_request("INVITE")
    mobile.send(response(invite, 180, to_tag="m"))
    caller.take_all()
    server = world.asked[0].transaction
    assert isinstance(server, ServerTransaction)
    server.reply(world.now, 480, "Given Up")
    world.deliver()
    caller.take_response(480)
    mobile.send(response(invite, 200, to_tag="m"))
    caller.take_response(200)


def test_a_message_to_two_phones_is_answered_by_the_first() -> None:
    world = World(TWO)
    caller = world.peer("192.0.2.10")
    caller.send(request("MESSAGE"))
    for host in (DESK, MOBILE):
        phone = world.peer(host)
        phone.send(response(phone.take_request("MESSAGE"), 200, to_tag=host))
        assert phone.has_nothing
    assert caller.take_all() == ["SIP/2.0 200 Because"]


def test_what_is_no_invite_passes_no_provisional() -> None:
    world = World(ONE)
    caller, phone = world.peer("192.0.2.10"), world.peer(DESK)
    caller.send(request("MESSAGE"))
    phone.send(response(phone.take_request("MESSAGE"), 183, to_tag="b"))
    assert caller.has_nothing


def test_a_100_stays_on_its_hop() -> None:
    world = World(ONE)
    caller, phone = world.peer("192.0.2.10"), world.peer(DESK)
    caller.send(request("INVITE"))
    phone.send(response(phone.take_request("INVITE"), 100))
    assert caller.has_nothing


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


def test_a_target_without_a_way_does_not_hold_the_others_up() -> None:
    world = World(Forward([Target("sip:bob@nowhere.example"), *ONE.targets]))
    caller, desk = world.peer("192.0.2.10"), world.peer(DESK)
    caller.send(request("INVITE"))
    desk.send(response(desk.take_request("INVITE"), 404, to_tag="d"))
    assert caller.take_all() == ["SIP/2.0 404 Because"]
    assert [(one.status, one.error) for one in world.asked[1].outcomes] == [(503, "name"), (404, None)]


def test_a_peer_that_cannot_be_reached_is_a_503_that_policy_hears_of() -> None:
    world = World(ONE)
    caller, callee = world.peer("192.0.2.10"), world.peer(DESK)
    caller.send(request("INVITE"))
    world.engine.unreachable(world.now, callee.inbox.popleft())
    world.deliver()
    assert caller.take_all() == ["SIP/2.0 500 Server Internal Error"]
    assert [(one.status, one.error) for one in world.asked[1].outcomes] == [(503, "transport")]


def test_a_target_without_a_way_to_it_is_a_503_that_policy_hears_of() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20"), Target("tel:+1202"), Target("sips:bob@192.0.2.20")]))
    world.unroutable.add(DESK)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    assert caller.take_all() == ["SIP/2.0 500 Server Internal Error"]
    assert [one.target.uri for one in world.asked[1].outcomes] == [
        "sip:bob@192.0.2.20",
        "tel:+1202",
        "sips:bob@192.0.2.20",
    ]


@pytest.mark.parametrize("uri", ["sip:bob@example.com", "sip:bob@192.0.2.1", "sip:bob@192.0.2.1:5060;x=y"])
def test_nothing_is_sent_to_ourselves(uri: str) -> None:
    world = World(Forward([Target(uri)]))
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    assert caller.take_all() == ["SIP/2.0 482 Loop Detected"]
    assert [(one.status, one.error) for one in world.asked[1].outcomes] == [(482, "loop")]
    assert len(world.peers) == 1


def test_a_phone_on_our_machine_is_not_ourselves() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.1:5070"), Target("sip:bob@example.com:5071")]))
    world.names["example.com"] = [("UDP", "192.0.2.1", 5071)]
    world.peer("192.0.2.10").send(request("INVITE"))
    world.peer("192.0.2.1", 5070).take_request("INVITE")
    world.peer("192.0.2.1", 5071).take_request("INVITE")
