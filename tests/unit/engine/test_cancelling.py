"""CANCEL in every state of its request, and where it crosses something else (RFC 3261 9, 16.10)."""

import pytest

from oneproxy.engine.decisions import PENDING, Forward, Reply, Target
from oneproxy.sip.message import Request
from world import World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])
BOTH = Forward([*BOB.targets, Target("sip:bob@192.0.2.30")])
NOTHING_LEFT = {"servers": 0, "clients": 0}


def ringing(world: World, data: bytes | None = None) -> Request:
    """A call that rings; the INVITE as the callee got it."""
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(data or request("INVITE"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 180, to_tag="b"))
    caller.take_response(180)
    return invite


def test_a_ringing_call_is_cancelled_downstream() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 180, to_tag="b"))
    caller.take_response(180)
    caller.send(request("CANCEL"))
    caller.take_response(200)
    cancel = callee.take_request("CANCEL")
    assert (cancel.uri, cancel.all("via"), cancel.get("cseq")) == (
        invite.uri,
        invite.all("via")[:1],
        "1 CANCEL",
    )
    assert (cancel.get("to"), cancel.get("from"), cancel.get("call-id")) == (
        invite.get("to"),
        invite.get("from"),
        invite.get("call-id"),
    )
    callee.send(response(cancel, 200))
    callee.send(response(invite, 487, to_tag="b"))
    callee.take_request("ACK")
    assert caller.take_all() == ["SIP/2.0 487 Because"]
    world.wait(70)
    assert world.engine.sizes() == NOTHING_LEFT
    assert len(world.asked) == 1


def test_a_repeated_cancel_gets_the_same_answer_and_goes_nowhere() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 180, to_tag="b"))
    caller.take_response(180)
    caller.send(request("CANCEL"))
    caller.send(request("CANCEL"))
    first, second = caller.take_response(200), caller.take_response(200)
    assert first.lines == second.lines
    assert callee.take_all() == ["CANCEL sip:bob@192.0.2.20 SIP/2.0"]


def test_a_cancel_waits_for_a_provisional_response() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    caller.send(request("CANCEL"))
    caller.take_response(200)
    assert callee.has_nothing
    callee.send(response(invite, 100))
    callee.take_request("CANCEL")
    callee.send(response(invite, 180, to_tag="b"))
    assert callee.has_nothing


def test_a_cancelled_call_to_nobody_ends_as_487() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    caller.send(request("CANCEL"))
    caller.take_response(200)
    world.wait(32)
    assert "SIP/2.0 487 Request Terminated" in caller.take_all()
    assert not any(line.startswith("CANCEL") for line in callee.take_all())
    assert len(world.asked) == 1


def test_a_callee_that_ignores_the_cancel_is_given_up_after_32_s() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 180, to_tag="b"))
    caller.send(request("CANCEL"))
    caller.take_all()
    world.wait(31.9)
    assert caller.has_nothing
    world.wait(0.2)
    assert caller.take_all() == ["SIP/2.0 487 Request Terminated"]
    world.wait(70)
    assert world.engine.sizes() == NOTHING_LEFT


def test_an_answer_that_crosses_the_cancel_wins() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 180, to_tag="b"))
    caller.send(request("CANCEL"))
    caller.take_all()
    callee.send(response(invite, 200, to_tag="b"))
    caller.take_response(200)
    assert caller.has_nothing


def test_all_branches_are_cancelled() -> None:
    world = World(BOTH)
    caller = world.peer("192.0.2.10")
    phones = [world.peer("192.0.2.20"), world.peer("192.0.2.30")]
    caller.send(request("INVITE"))
    invites = [phone.take_request("INVITE") for phone in phones]
    for phone, invite in zip(phones, invites, strict=True):
        phone.send(response(invite, 180, to_tag="b"))
    caller.take_all()
    caller.send(request("CANCEL"))
    caller.take_response(200)
    for phone, invite in zip(phones, invites, strict=True):
        phone.take_request("CANCEL")
        assert caller.has_nothing
        phone.send(response(invite, 487, to_tag="b"))
    assert caller.take_all() == ["SIP/2.0 487 Because"]


def test_a_call_that_policy_has_not_decided_on_is_ended() -> None:
    world = World(PENDING)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    caller.send(request("CANCEL"))
    ok, ended = caller.take_response(200), caller.take_response(487)
    # RFC 3261 9.2: one tag in both.
    assert ok.get("to") == ended.get("to")
    world.engine.answer(world.now, world.asked[0], BOB)
    world.deliver()
    assert world.peer("192.0.2.20").has_nothing


def test_a_call_whose_second_decision_is_awaited_is_ended() -> None:
    world = World(BOB, PENDING)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 486, to_tag="b"))
    callee.take_request("ACK")
    caller.send(request("CANCEL"))
    caller.take_response(200)
    caller.take_response(487)
    world.engine.answer(world.now, world.asked[1], BOTH)
    world.deliver()
    assert callee.has_nothing


def test_a_cancel_after_the_final_response_changes_nothing() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 200, to_tag="b"))
    caller.take_response(200)
    caller.send(request("CANCEL"))
    caller.take_response(200)
    assert (caller.has_nothing, callee.has_nothing) == (True, True)


def test_a_cancel_for_a_refused_call_changes_nothing() -> None:
    world = World(Reply(404, "Not Found"))
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    caller.take_response(404)
    caller.send(request("CANCEL"))
    assert caller.take_all() == ["SIP/2.0 200 OK"]


def test_a_cancel_for_nothing_is_answered_481() -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("CANCEL"))
    assert caller.take_all() == ["SIP/2.0 481 Call/Transaction Does Not Exist"]
    assert (world.engine.sizes(), world.asked) == (NOTHING_LEFT, [])


def test_a_cancel_of_another_branch_or_sender_is_for_nothing() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 180, to_tag="b"))
    caller.take_all()
    caller.send(request("CANCEL", branch="z9hG4bK2"))
    caller.take_response(481)
    stranger = world.peer("192.0.2.66")
    stranger.send(request("CANCEL", via="192.0.2.66"))
    stranger.take_response(481)
    assert callee.has_nothing


def test_the_200_to_a_cancel_has_the_tag_of_the_487_that_oneproxy_makes() -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    ringing(world)
    caller.send(request("CANCEL"))
    answer = caller.take_response(200)
    world.wait(33)
    ended = caller.take_response(487)
    # RFC 3261 9.2: the To tag of both SHOULD be the same.
    assert answer.get("to") == ended.get("to")
    assert answer.get("cseq") == "1 CANCEL"


def test_a_cancel_repeats_downstream_until_it_is_answered() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    ringing(world)
    caller.send(request("CANCEL"))
    world.wait(1.6)
    assert callee.inbox[0] == callee.inbox[1] == callee.inbox[2]
    cancel = callee.take_request("CANCEL")
    assert len(callee.take_all()) == 2
    callee.send(response(cancel, 200))
    world.wait(20)
    assert callee.has_nothing


def test_the_callees_answer_to_the_cancel_never_reaches_the_caller() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    ringing(world)
    caller.send(request("CANCEL"))
    caller.take_response(200)
    callee.send(response(callee.take_request("CANCEL"), 481))
    assert caller.has_nothing


def test_a_callee_that_knows_nothing_of_the_call_any_more_ends_it_after_64_t1() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    ringing(world)
    caller.send(request("CANCEL"))
    caller.take_response(200)
    callee.send(response(callee.take_request("CANCEL"), 481))
    world.wait(31.99)
    assert caller.has_nothing
    world.wait(0.01)
    assert caller.take_all() == ["SIP/2.0 487 Request Terminated"]
    caller.send(request("ACK"))
    world.wait(40)
    assert (world.engine.sizes(), len(world.asked)) == (NOTHING_LEFT, 1)


def test_provisional_responses_after_the_cancel_do_not_prolong_the_call() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    invite = ringing(world)
    caller.send(request("CANCEL"))
    caller.take_response(200)
    for _ in range(3):
        world.wait(10)
        callee.send(response(invite, 180, to_tag="b"))
    world.wait(2)
    assert caller.take_all() == ["SIP/2.0 180 Because"] * 3 + ["SIP/2.0 487 Request Terminated"]


def test_a_failure_that_crosses_the_cancel_goes_back_as_it_is() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    invite = ringing(world)
    caller.send(request("CANCEL"))
    callee.send(response(invite, 486, to_tag="b"))
    assert caller.take_all() == ["SIP/2.0 200 OK", "SIP/2.0 486 Because"]
    # RFC 3261 16.10: nobody wants further targets any more.
    assert len(world.asked) == 1


def test_a_final_response_that_comes_first_makes_the_waiting_cancel_needless() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    caller.send(request("CANCEL"))
    callee.send(response(invite, 200, to_tag="b"))
    world.wait(40)
    assert caller.take_all() == ["SIP/2.0 200 OK", "SIP/2.0 200 Because"]
    assert (callee.has_nothing, world.engine.sizes()) == (True, NOTHING_LEFT)


def test_a_2xx_that_comes_after_the_487_passes_while_its_branch_lives() -> None:
    world = World(BOTH)
    caller, desk, mobile = (world.peer(f"192.0.2.{host}") for host in (10, 20, 30))
    caller.send(request("INVITE"))
    invites = [phone.take_request("INVITE") for phone in (desk, mobile)]
    for phone, invite in zip((desk, mobile), invites, strict=True):
        phone.send(response(invite, 180, to_tag=phone.flow.host))
    caller.send(request("CANCEL"))
    desk.send(response(invites[0], 487, to_tag="d"))
    caller.take_all()
    mobile.send(response(invites[1], 200, to_tag="m"))
    assert caller.take_all() == ["SIP/2.0 200 Because"]


def test_a_branch_in_doubt_is_cancelled_late_and_one_that_rings_at_once() -> None:
    world = World(BOTH)
    caller, desk, mobile = (world.peer(f"192.0.2.{host}") for host in (10, 20, 30))
    caller.send(request("INVITE"))
    first, second = desk.take_request("INVITE"), mobile.take_request("INVITE")
    desk.send(response(first, 180, to_tag="d"))
    caller.send(request("CANCEL"))
    desk.take_request("CANCEL")
    assert mobile.has_nothing
    mobile.send(response(second, 100))
    assert mobile.take_request("CANCEL").get("via") == second.get("via")


def test_a_cancel_takes_the_route_of_its_invite() -> None:
    path = "<sip:192.0.2.40:5080;lr>"
    world = World(Forward([Target("sip:bob@10.0.0.5", (path,))]))
    caller, edge = world.peer("192.0.2.10"), world.peer("192.0.2.40", 5080)
    caller.send(request("INVITE"))
    invite = edge.take_request("INVITE")
    edge.send(response(invite, 180, to_tag="b"))
    caller.send(request("CANCEL"))
    cancel = edge.take_request("CANCEL")
    assert (cancel.uri, cancel.all("route")) == ("sip:bob@10.0.0.5", [path])
    assert (cancel.get("max-forwards"), cancel.get("content-length")) == ("70", "0")


@pytest.mark.parametrize("number", ["1\t", "0001 ", "1 \t "])
def test_cancel_and_ack_take_the_number_of_an_oddly_spaced_cseq(number: str) -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    odd = f"CSeq: {number}".encode()
    invite = ringing(world, request("INVITE").replace(b"CSeq: 1 ", odd))
    caller.send(request("CANCEL").replace(b"CSeq: 1 ", odd))
    caller.take_response(200)
    cancel = callee.take_request("CANCEL")
    callee.send(response(invite, 487, to_tag="b"))
    ack = callee.take_request("ACK")
    digits = number.strip()
    assert (cancel.get("cseq"), ack.get("cseq")) == (f"{digits} CANCEL", f"{digits} ACK")


def test_a_cancel_that_cannot_be_sent_leaves_the_call_to_its_time() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    ringing(world)
    caller.send(request("CANCEL"))
    caller.take_response(200)
    world.engine.unreachable(world.now, callee.take_request("CANCEL").bytes())
    world.deliver()
    assert caller.has_nothing
    world.wait(32)
    caller.take_response(487)
    caller.send(request("ACK"))
    world.wait(40)
    assert (caller.has_nothing, world.engine.sizes()) == (True, NOTHING_LEFT)


def test_a_cancel_that_cannot_be_sent_is_not_sent_again() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    ringing(world)
    caller.send(request("CANCEL"))
    world.engine.unreachable(world.now, callee.take_request("CANCEL").bytes())
    world.wait(31)
    assert callee.has_nothing


def test_a_cancel_that_cannot_be_sent_costs_no_failure_its_ack() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    invite = ringing(world)
    caller.send(request("CANCEL"))
    cancel = callee.take_request("CANCEL")
    callee.send(response(invite, 487, to_tag="b"))
    # The port was closed for a moment: of the two transactions only that of the CANCEL ends.
    world.engine.unreachable(world.now, cancel.bytes())
    callee.send(response(invite, 487, to_tag="b"))
    assert callee.take_all() == ["ACK sip:bob@192.0.2.20 SIP/2.0"] * 2


def test_what_is_no_invite_cannot_be_cancelled() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("MESSAGE"))
    message = callee.take_request("MESSAGE")
    # RFC 3261 9.1: a CANCEL matches an INVITE only, since all else is answered at once.
    caller.send(request("CANCEL"))
    caller.take_response(481)
    assert callee.has_nothing
    callee.send(response(message, 200, to_tag="b"))
    caller.take_response(200)


def test_a_re_invite_is_cancelled_inside_of_its_dialog() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 200, to_tag="b"))
    route = f"Route: {caller.take_response(200).get('record-route')}"
    again = request("INVITE", "sip:bob@192.0.2.20", route, branch="z9hG4bK2", cseq=2, to_tag="b")
    caller.send(again)
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 100))
    caller.send(request("CANCEL", "sip:bob@192.0.2.20", route, branch="z9hG4bK2", cseq=2, to_tag="b"))
    callee.take_request("CANCEL")
    callee.send(response(invite, 487))
    assert caller.take_all() == ["SIP/2.0 200 OK", "SIP/2.0 487 Because"]
    assert callee.take_all() == ["ACK sip:bob@192.0.2.20 SIP/2.0"]


def test_a_cancel_is_served_by_a_node_that_drains_or_is_full() -> None:
    world = World(BOB, transactions=1)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    ringing(world)
    world.engine.drain()
    caller.send(request("CANCEL"))
    assert caller.take_all() == ["SIP/2.0 200 OK"]
    callee.take_request("CANCEL")


def test_a_cancel_after_the_answer_of_a_pending_policy_changes_nothing() -> None:
    world = World(PENDING)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    world.engine.answer(world.now, world.asked[0], Reply(404, "Not Found"))
    world.deliver()
    caller.take_response(404)
    caller.send(request("CANCEL"))
    assert caller.take_all() == ["SIP/2.0 200 OK"]
