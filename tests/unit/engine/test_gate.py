"""The admission gate: new calls beyond what policy lets in are refused, and nothing else is."""

import pytest

from oneproxy.engine.decisions import Forward, Target
from world import World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])


def shut() -> World:
    """A world that has no room for a call, and has heard of its caller before."""
    world = World(BOB)
    world.peer("192.0.2.10").send(request("MESSAGE"))
    world.peer("192.0.2.20").take_request("MESSAGE")
    world.engine.gate.calls_left = 0
    return world


def test_a_call_too_many_is_refused_with_a_time_to_wait() -> None:
    world = shut()
    world.engine.gate.retry_after_s = (7, 9)
    world.peer("192.0.2.10").send(request("INVITE", branch="z9hG4bK2"))
    refusal = world.peer("192.0.2.10").take_response(503)
    assert refusal.reason == "Service Unavailable"
    assert refusal.get("retry-after") in ("7", "8", "9")
    assert refusal.get("via") == "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK2"
    assert refusal.get("call-id") == "call-1"
    assert refusal.get("cseq") == "1 INVITE"
    assert "tag=" in (refusal.get("to") or "")
    assert world.engine.gate.refused == 1
    assert world.engine.sizes()["servers"] == 1


@pytest.mark.parametrize(
    "data",
    [
        request("INVITE", branch="z9hG4bK2").replace(b"Via:", b"v:"),
        request("INVITE", branch="z9hG4bK2").replace(b"From:", b"f:"),
        request("INVITE", branch="z9hG4bK2").replace(b"CSeq: 1 INVITE", b"CSeq:\r\n 1 INVITE"),
        request("INVITE", branch="z9hG4bK2", via="192.0.2.10:5060;rport"),
        request("INVITE", branch="z9hG4bK2", via="192.0.2.10:5999"),
    ],
)
def test_an_unusual_spelling_is_read_and_refused_too(data: bytes) -> None:
    world = shut()
    world.peer("192.0.2.10").send(data)
    answers = [line for peer in world.peers.values() for line in peer.take_all()]
    assert answers == ["SIP/2.0 503 Service Unavailable"]
    assert world.engine.gate.refused == 1


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_a_bad_line_end_is_never_copied_into_a_refusal(end: bytes) -> None:
    world = shut()
    data = request("INVITE", branch="z9hG4bK2").replace(b"call-1", b"call" + end + b"X: 1")
    world.peer("192.0.2.10").send(data)
    world.peer("192.0.2.10").take_response(400)


def test_the_same_refusal_has_the_same_tag() -> None:
    world = shut()
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE", branch="z9hG4bK2"))
    caller.send(request("INVITE", branch="z9hG4bK2"))
    assert caller.take().get("to") == caller.take().get("to")


def test_the_ack_of_a_refusal_is_taken_silently() -> None:
    world = shut()
    world.peer("192.0.2.10").send(request("ACK", branch="z9hG4bK2", to_tag="x"))
    assert world.peer("192.0.2.10").has_nothing


def test_every_forwarded_call_takes_a_place_and_the_gate_shuts_by_itself() -> None:
    world = World(BOB)
    world.engine.gate.calls_left = 2
    for at in range(4):
        world.peer("192.0.2.10").send(request("INVITE", branch=f"z9hG4bK{at}", call_id=f"c{at}"))
    assert world.peer("192.0.2.20").take_all() == ["INVITE sip:bob@192.0.2.20 SIP/2.0"] * 2
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 503 Service Unavailable"] * 2


def test_a_call_that_was_let_in_may_be_repeated() -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    world.engine.gate.calls_left = 1
    caller.send(request("INVITE"))
    world.wait(0.2)
    caller.take_response(100)
    caller.send(request("INVITE"))
    caller.take_response(100)
    assert world.engine.gate.refused == 0


def test_calls_that_are_there_go_on() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 200, to_tag="b"))
    route = f"Route: {caller.take_response(200).get('record-route')}"
    world.engine.gate.calls_left = 0
    caller.send(request("INVITE", "sip:bob@192.0.2.20", route, branch="z9hG4bK2", to_tag="b", cseq=2))
    callee.take_request("INVITE")
    caller.send(request("REGISTER", branch="z9hG4bK3"))
    callee.take_request("REGISTER")
