"""CANCEL in every state of the request that it is for (RFC 3261 9.2, 16.10)."""

from oneproxy.engine.decisions import PENDING, Forward, Reply, Target
from world import World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])
BOTH = Forward([*BOB.targets, Target("sip:bob@192.0.2.30")])
NOTHING_LEFT = {"servers": 0, "clients": 0}


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
