"""Several targets at once: which answer goes back (RFC 3261 16.7)."""

import pytest

from oneproxy.engine.decisions import BEST, PENDING, Forward, Reply, Target
from oneproxy.engine.server import ServerTransaction
from oneproxy.sip.message import Request
from world import World, request, response

TWO = Forward([Target("sip:bob@192.0.2.20"), Target("sip:bob@192.0.2.30")])


def ringing(world: World) -> tuple[Request, Request]:
    """Both phones ring; the INVITEs that they got."""
    world.peer("192.0.2.10").send(request("INVITE"))
    invites = []
    for host in ("192.0.2.20", "192.0.2.30"):
        phone = world.peer(host)
        invites.append(phone.take_request("INVITE"))
        phone.send(response(invites[-1], 180, to_tag=host))
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 180 Because"] * 2
    return invites[0], invites[1]


def test_the_first_to_answer_has_the_call_and_the_other_is_cancelled() -> None:
    world = World(TWO)
    first, second = ringing(world)
    caller, desk, mobile = (world.peer(host) for host in ("192.0.2.10", "192.0.2.20", "192.0.2.30"))
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


def test_two_that_answer_at_once_both_reach_the_caller() -> None:
    world = World(TWO)
    first, second = ringing(world)
    world.peer("192.0.2.20").send(response(first, 200, to_tag="d"))
    world.peer("192.0.2.30").send(response(second, 200, to_tag="m"))
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 200 Because"] * 2


def test_a_refusal_for_everywhere_stops_the_others_and_goes_back_when_they_have() -> None:
    world = World(TWO)
    first, second = ringing(world)
    caller, desk, mobile = (world.peer(host) for host in ("192.0.2.10", "192.0.2.20", "192.0.2.30"))
    desk.send(response(first, 603, to_tag="d"))
    desk.take_request("ACK")
    mobile.take_request("CANCEL")
    assert caller.has_nothing
    mobile.send(response(second, 487, to_tag="m"))
    assert caller.take_all() == ["SIP/2.0 603 Because"]


def test_a_2xx_passes_even_after_a_failure_has_gone_back() -> None:
    # The second decision answers for good although a branch is still there to answer.
    world = World(Forward(TWO.targets[:1]), Forward(TWO.targets[1:]))
    caller, desk, mobile = (world.peer(host) for host in ("192.0.2.10", "192.0.2.20", "192.0.2.30"))
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
    ],
)
def test_the_best_of_two_failures_goes_back(statuses: tuple[int, int], best: int) -> None:
    world = World(TWO)
    world.peer("192.0.2.10").send(request("INVITE"))
    for host, status in zip(("192.0.2.20", "192.0.2.30"), statuses, strict=True):
        phone = world.peer(host)
        invite = phone.take_request("INVITE")
        phone.send(response(invite, status, to_tag=host))
    assert world.peer("192.0.2.10").take_all() == [f"SIP/2.0 {best} Because"]
    assert [one.status for one in world.asked[1].outcomes] == list(statuses)


def test_a_503_alone_goes_back_as_500() -> None:
    world = World(Forward(TWO.targets[:1]))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 503, to_tag="b"))
    callee.take_request("ACK")
    assert caller.take_all() == ["SIP/2.0 500 Server Internal Error"]


def test_a_branch_that_never_answers_is_waited_for() -> None:
    world = World(TWO)
    world.peer("192.0.2.10").send(request("INVITE"))
    desk = world.peer("192.0.2.20")
    desk.send(response(desk.take_request("INVITE"), 486, to_tag="d"))
    world.wait(31)
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 100 Trying"]
    world.wait(1)
    assert world.peer("192.0.2.10").take_all()[0] == "SIP/2.0 486 Because"
    assert sorted((one.status, one.error) for one in world.asked[1].outcomes) == [
        (408, "timeout"),
        (486, None),
    ]


def failed(world: World) -> None:
    """A call to one phone, which is busy."""
    world.peer("192.0.2.10").send(request("INVITE"))
    phone = world.peer("192.0.2.20")
    phone.send(response(phone.take_request("INVITE"), 486, to_tag="d"))
    phone.take_request("ACK")


ONE = Forward(TWO.targets[:1])


def test_policy_may_answer_itself_when_all_have_failed() -> None:
    world = World(ONE, Reply(480, "Nobody There"))
    failed(world)
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 480 Nobody There"]


def test_policy_may_try_further_targets_when_all_have_failed() -> None:
    world = World(ONE, Forward(TWO.targets[1:]), BEST)
    failed(world)
    caller, mobile = world.peer("192.0.2.10"), world.peer("192.0.2.30")
    assert caller.has_nothing
    invite = mobile.take_request("INVITE")
    assert [one.status for one in world.asked[1].outcomes] == [486]
    mobile.send(response(invite, 404, to_tag="m"))
    assert caller.take_all() == ["SIP/2.0 486 Because"]
    assert [one.status for one in world.asked[2].outcomes] == [486, 404]


def test_policy_may_take_its_time_when_all_have_failed() -> None:
    world = World(ONE, PENDING)
    failed(world)
    caller = world.peer("192.0.2.10")
    assert caller.has_nothing
    world.engine.answer(world.now, world.asked[1], Forward(TWO.targets[1:]))
    world.deliver()
    mobile = world.peer("192.0.2.30")
    mobile.send(response(mobile.take_request("INVITE"), 200, to_tag="m"))
    caller.take_response(200)


def test_a_second_decision_that_does_not_come_is_a_503() -> None:
    world = World(ONE, PENDING)
    failed(world)
    world.wait(9.9)
    world.peer("192.0.2.10").take_all()
    world.wait(0.2)
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 503 Service Unavailable"]


def test_a_message_to_two_phones_is_answered_by_the_first() -> None:
    world = World(TWO)
    caller = world.peer("192.0.2.10")
    caller.send(request("MESSAGE"))
    for host in ("192.0.2.20", "192.0.2.30"):
        phone = world.peer(host)
        phone.send(response(phone.take_request("MESSAGE"), 200, to_tag=host))
        assert phone.has_nothing
    assert caller.take_all() == ["SIP/2.0 200 Because"]


def test_what_is_no_invite_passes_no_provisional() -> None:
    world = World(ONE)
    caller, phone = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("MESSAGE"))
    phone.send(response(phone.take_request("MESSAGE"), 183, to_tag="b"))
    assert caller.has_nothing


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
    world.peer("192.0.2.10").send(request("INVITE"))
    world.peer("192.0.2.1", 5070).take_request("INVITE")
    world.peer("example.com", 5071).take_request("INVITE")


def test_a_100_stays_on_its_hop() -> None:
    world = World(ONE)
    caller, phone = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    phone.send(response(phone.take_request("INVITE"), 100))
    assert caller.has_nothing
