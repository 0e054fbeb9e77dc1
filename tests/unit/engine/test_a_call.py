"""A call from its INVITE to the answer of its BYE, with what a network loses."""

import gc

from oneproxy.engine.client import ClientTransaction
from oneproxy.engine.context import Context
from oneproxy.engine.decisions import Forward, Target
from oneproxy.engine.server import ServerTransaction
from oneproxy.sip.message import Request
from world import PROXY, World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20:5070;line=1")])


def established(world: World, call_id: str = "call-1", branch: str = "z9hG4bK1") -> tuple[str, Request]:
    """Set a call up; its Record-Route, and the INVITE as the callee got it."""
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20", 5070)
    caller.send(request("INVITE", call_id=call_id, branch=branch))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 180, to_tag="b"))
    callee.send(response(invite, 200, "Contact: <sip:bob@192.0.2.20:5070>", to_tag="b"))
    caller.take_response(180)
    answer = caller.take_response(200)
    return answer.get("record-route") or "", invite


def test_a_call_goes_through_from_invite_to_bye() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20", 5070)
    route, invite = established(world)
    assert invite.uri == "sip:bob@192.0.2.20:5070;line=1"
    assert invite.get("max-forwards") == "69"
    assert len(invite.all("via")) == 2
    assert route.startswith(f"<sip:{PROXY}:5060;lr;mark=")

    caller.send(request("ACK", "sip:bob@192.0.2.20:5070", f"Route: {route}", branch="z9hG4bK2", to_tag="b"))
    ack = callee.take_request("ACK")
    assert (ack.uri, ack.get("route"), len(ack.all("via"))) == ("sip:bob@192.0.2.20:5070", None, 2)

    caller.send(
        request("BYE", "sip:bob@192.0.2.20:5070", f"Route: {route}", branch="z9hG4bK3", cseq=2, to_tag="b")
    )
    bye = callee.take_request("BYE")
    assert (bye.get("record-route"), bye.get("route")) == (None, None)
    callee.send(response(bye, 200))
    assert caller.take_response(200).all("via") == ["SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK3"]
    assert (caller.has_nothing, callee.has_nothing, len(world.asked)) == (True, True, 1)
    world.wait(40)
    assert world.engine.sizes() == {"servers": 0, "clients": 0}


def test_the_callee_can_end_the_call() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20", 5070)
    route, _ = established(world)
    callee.send(
        request(
            "BYE",
            "sip:alice@192.0.2.10",
            f"Route: {route}",
            via="192.0.2.20:5070",
            branch="z9hG4bKb1",
            from_tag="b",
            to_tag="a",
        )
    )
    bye = caller.take_request("BYE")
    caller.send(response(bye, 200))
    callee.take_response(200)
    assert len(world.asked) == 1


def test_a_repeated_2xx_passes_and_so_does_its_ack() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20", 5070)
    route, invite = established(world)
    world.wait(0.5)
    callee.send(response(invite, 200, to_tag="b"))
    caller.take_response(200)
    ack = request("ACK", "sip:bob@192.0.2.20:5070", f"Route: {route}", branch="z9hG4bK2", to_tag="b")
    caller.send(ack)
    caller.send(ack)
    first, second = callee.take_request("ACK"), callee.take_request("ACK")
    assert first.lines == second.lines


def test_acks_of_two_calls_have_branches_of_their_own() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20", 5070)
    branches = []
    for number in ("1", "2"):
        route, _ = established(world, f"call-{number}", f"z9hG4bKi{number}")
        caller.send(
            request(
                "ACK",
                "sip:bob@192.0.2.20:5070",
                f"Route: {route}",
                branch=f"z9hG4bKa{number}",
                call_id=f"call-{number}",
                to_tag="b",
            )
        )
        branches.append(callee.take_request("ACK").get("via"))
    assert branches[0] != branches[1]


def test_responses_pass_with_their_octets_but_for_our_via() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20", 5070)
    caller.send(request("INVITE"))
    data = response(callee.take_request("INVITE"), 183, "x-Odd :  \xfc\xe9 ,;", "s: a", to_tag="b")
    callee.send(data)
    top = data.index(b"Via: ")
    after = data.index(b"\r\n", top) + 2
    assert caller.inbox.popleft() == data[:top] + data[after:]


def test_our_via_is_found_at_the_head_of_a_list() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20", 5070)
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    joined = ", ".join(invite.all("via"))
    lines = response(invite, 180, to_tag="b").decode().split("\r\n")
    kept = [line for line in lines if not line.startswith("Via")]
    callee.send("\r\n".join([kept[0], f"v: {joined}", *kept[1:]]).encode())
    assert caller.take_response(180).all("via") == ["SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1"]


def test_a_thousand_calls_leave_nothing_behind_without_the_collector() -> None:
    world = World(BOB, transactions=10_000)
    gc.collect()
    gc.disable()
    try:
        for number in range(1000):
            established(world, f"call-{number}", f"z9hG4bK{number}")
            world.wait(0.01)
        world.wait(70)
        kinds = (ServerTransaction, ClientTransaction, Context)
        # The script of the world remembers every ask, and by it the transaction.
        world.asked.clear()
        left = [one for one in gc.get_objects() if isinstance(one, kinds)]
        assert left == []
        assert world.engine.sizes() == {"servers": 0, "clients": 0}
        assert world.engine.unanswered() == 0
    finally:
        gc.enable()
