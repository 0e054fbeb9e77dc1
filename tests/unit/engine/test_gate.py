"""The admission gate: new calls beyond what policy lets in are refused, and nothing else is."""

import pytest

from limits import Room, limited
from oneproxy.engine.decisions import PENDING, Forward, Reply, Target
from oneproxy.engine.flow import Flow
from oneproxy.sip.check import tag_of
from world import START, World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])


def refusals(world: World) -> int:
    return world.engine.counters.refused["no-room"]


def shut() -> World:
    """A world that has no room for a call, and has heard of its caller before."""
    world = World(BOB)
    world.peer("192.0.2.10").send(request("MESSAGE"))
    world.peer("192.0.2.20").take_request("MESSAGE")
    limited(world, 0)
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
    assert refusals(world) == 1
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
    assert refusals(world) == 1


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


def test_the_ack_of_a_refusal_is_taken_silently_and_not_read() -> None:
    world = shut()
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE", branch="z9hG4bK2"))
    tag = tag_of(caller.take_response(503).get("to") or "") or ""
    before = world.engine.counters.requests
    caller.send(request("ACK", branch="z9hG4bK2", to_tag=tag))
    assert (caller.has_nothing, world.engine.counters.requests) == (True, before)
    assert world.engine.counters.dropped == {}


def test_any_other_ack_that_nobody_waits_for_is_counted() -> None:
    world = shut()
    world.peer("192.0.2.10").send(request("ACK", branch="z9hG4bK2", to_tag="x"))
    assert world.peer("192.0.2.10").has_nothing
    assert world.engine.counters.dropped == {"stray-ack": 1}


def test_calls_that_were_answered_are_acknowledged_while_the_gate_is_shut() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 200, to_tag="b"))
    route = f"Route: {caller.take_response(200).get('record-route')}"
    limited(world, 0)
    caller.send(request("ACK", "sip:bob@192.0.2.20", route, branch="z9hG4bK2", to_tag="b"))
    callee.take_request("ACK")


def test_every_forwarded_call_takes_a_place_and_the_gate_shuts_by_itself() -> None:
    world = World(BOB)
    room = limited(world, 2)
    for at in range(4):
        world.peer("192.0.2.10").send(request("INVITE", branch=f"z9hG4bK{at}", call_id=f"c{at}"))
    assert world.peer("192.0.2.20").take_all() == ["INVITE sip:bob@192.0.2.20 SIP/2.0"] * 2
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 503 Service Unavailable"] * 2
    assert (room.left, room.refusals, world.engine.counters.calls) == (0, 2, 2)


def test_a_call_that_was_let_in_may_be_repeated() -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    limited(world, 1)
    caller.send(request("INVITE"))
    world.wait(0.2)
    caller.take_response(100)
    caller.send(request("INVITE"))
    caller.take_response(100)
    assert refusals(world) == 0


def test_calls_that_are_there_go_on() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 200, to_tag="b"))
    route = f"Route: {caller.take_response(200).get('record-route')}"
    limited(world, 0)
    caller.send(request("INVITE", "sip:bob@192.0.2.20", route, branch="z9hG4bK2", to_tag="b", cseq=2))
    callee.take_request("INVITE")
    caller.send(request("REGISTER", branch="z9hG4bK3"))
    callee.take_request("REGISTER")


def test_the_gate_opens_at_the_instant_that_the_limit_says() -> None:
    world = World(BOB)
    limited(world, 1).since = START + 10
    caller = world.peer("192.0.2.10")
    world.wait(9.999)
    caller.send(request("INVITE", branch="z9hG4bK2"))
    caller.take_response(503)
    world.wait(0.001)
    caller.send(request("INVITE", branch="z9hG4bK3", call_id="c2"))
    world.peer("192.0.2.20").take_request("INVITE")


def test_a_call_that_is_refused_for_another_reason_takes_no_place() -> None:
    world = World(Reply(407, "Proxy Authentication Required", stateless=True), Reply(404, "Not Found"), BOB)
    room = limited(world, 1)
    caller = world.peer("192.0.2.10")
    for at, status in enumerate((407, 404)):
        caller.send(request("INVITE", branch=f"z9hG4bK{at}", call_id=f"c{at}"))
        caller.take_response(status)
    assert room.left == 1
    caller.send(request("INVITE", branch="z9hG4bK9", call_id="c9"))
    world.peer("192.0.2.20").take_request("INVITE")
    assert room.left == 0


def test_a_gateway_that_is_tried_next_takes_no_further_place() -> None:
    world = World(BOB, Forward([Target("sip:bob@192.0.2.30")]))
    room = limited(world, 2)
    world.peer("192.0.2.10").send(request("INVITE"))
    first = world.peer("192.0.2.20")
    first.send(response(first.take_request("INVITE"), 500, to_tag="b"))
    world.peer("192.0.2.30").take_request("INVITE")
    assert room.left == 1


def test_calls_that_waited_for_their_decision_take_places_when_they_go_on() -> None:
    world = World(PENDING)
    room = limited(world, 1)
    caller = world.peer("192.0.2.10")
    for at in range(2):
        caller.send(request("INVITE", branch=f"z9hG4bK{at}", call_id=f"c{at}"))
    for ask in world.asked:
        world.engine.answer(world.now, ask, BOB)
    world.deliver()
    assert world.peer("192.0.2.20").take_all() == ["INVITE sip:bob@192.0.2.20 SIP/2.0"]
    assert caller.take_response(503).get("call-id") == "c1"
    assert (room.left, room.refusals, refusals(world)) == (0, 1, 1)


def test_all_calls_are_followed_where_those_that_are_on_count() -> None:
    world = World(BOB)
    limited(world, 5, follows=True)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    assert world.engine.calls() == 1
    invite = callee.take_request("INVITE")
    # Nothing is asked of who only counts.
    assert ("session-expires" in invite.first, "min-se" in invite.first) == (False, False)
    callee.send(response(invite, 486, to_tag="b"))
    caller.take_response(486)
    assert world.engine.calls() == 0


def test_a_call_is_not_followed_where_nobody_wants_to_know() -> None:
    world = World(BOB)
    limited(world, 5)
    world.peer("192.0.2.10").send(request("INVITE"))
    assert world.engine.calls() == 0


@pytest.mark.parametrize(
    "uri",
    [
        "sip:112@example.com",
        "sips:112@example.com",
        "tel:112",
        "sip:112;phone-context=+351@example.com;user=phone",
        "sip:112:pin@example.com",
        "sip:%311%32@example.com",
    ],
)
def test_an_emergency_number_is_let_through_and_counts(uri: str) -> None:
    world = shut()
    world.engine.gate.emergency = frozenset(("112", "911"))
    world.peer("192.0.2.10").send(request("INVITE", uri, branch="z9hG4bK2"))
    world.peer("192.0.2.20").take_request("INVITE")
    room = world.engine.gate.limit
    assert isinstance(room, Room)
    assert (room.left, refusals(world)) == (-1, 0)


@pytest.mark.parametrize(
    "uri",
    ["sip:1123@example.com", "sip:112", "sip:bob@112", "sip:bob;112@example.com", "sip:%31@example.com"],
)
def test_what_only_looks_like_an_emergency_number_is_refused(uri: str) -> None:
    world = shut()
    world.engine.gate.emergency = frozenset(("112", "911"))
    world.peer("192.0.2.10").send(request("INVITE", uri, branch="z9hG4bK2"))
    world.peer("192.0.2.10").take_response(503)
    assert refusals(world) == 1


URGENT = [
    "Priority: Emergency",
    "priority:  emergency",
    "Resource-Priority: ets.0",
    "Resource-Priority: q735.4, ESNET.1",
]
USUAL = [
    "Priority: urgent",
    "Priority: emergency-not",
    "Resource-Priority: q735.0",
    "Resource-Priority: dsn.routine",
]


def trusting(host: str, world: World) -> None:
    """Believe who sends from this address, and nobody else."""

    def trusts(flow: Flow, method: str) -> bool:
        return flow.host == host and method == "INVITE"

    world.engine.trust.trusts = trusts


@pytest.mark.parametrize("line", URGENT)
def test_what_a_trusted_source_calls_urgent_is_let_through(line: str) -> None:
    world = shut()
    trusting("192.0.2.10", world)
    world.peer("192.0.2.10").send(request("INVITE", "sip:bob@example.com", line, branch="z9hG4bK2"))
    world.peer("192.0.2.20").take_request("INVITE")


@pytest.mark.parametrize("line", USUAL)
def test_other_priorities_of_a_trusted_source_are_refused(line: str) -> None:
    world = shut()
    trusting("192.0.2.10", world)
    world.peer("192.0.2.10").send(request("INVITE", "sip:bob@example.com", line, branch="z9hG4bK2"))
    world.peer("192.0.2.10").take_response(503)


@pytest.mark.parametrize("line", URGENT)
def test_nobody_else_is_urgent_by_saying_so(line: str) -> None:
    world = shut()
    trusting("192.0.2.99", world)
    world.peer("192.0.2.10").send(request("INVITE", "sip:bob@example.com", line, branch="z9hG4bK2"))
    world.peer("192.0.2.10").take_response(503)
    assert world.engine.sizes()["servers"] == 1


def test_an_emergency_call_that_waited_for_its_decision_goes_on() -> None:
    world = World(PENDING)
    limited(world, 1)
    world.engine.gate.emergency = frozenset(("112",))
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE", "sip:112@example.com"))
    limited(world, 0)
    world.engine.answer(world.now, world.asked[0], BOB)
    world.deliver()
    world.peer("192.0.2.20").take_request("INVITE")


def test_without_a_limit_the_gate_is_open() -> None:
    world = World(BOB)
    world.engine.gate.look_again()
    world.peer("192.0.2.10").send(request("INVITE"))
    world.peer("192.0.2.20").take_request("INVITE")
    assert world.engine.gate.shut_until == 0.0
