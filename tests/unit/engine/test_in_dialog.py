"""Requests inside of a dialog: both directions, their ACKs, and the bound on them."""

import pytest

from oneproxy.engine.decisions import Forward, Reply, Target
from oneproxy.sip.message import Request
from world import PROXY, World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])
REFUSED = Reply(403, "Refused")
TO_BOB, TO_ALICE = "sip:bob@192.0.2.20", "sip:alice@192.0.2.10"


def established(world: World) -> tuple[str, Request]:
    """A call that is answered: its Route line, and the INVITE as the callee got it."""
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 200, to_tag="b"))
    return f"Route: {caller.take_response(200).get('record-route')}", invite


def of_caller(method: str, *headers: str, uri: str = TO_BOB, branch: str = "z9hG4bKc") -> bytes:
    return request(method, uri, *headers, branch=branch, cseq=2, to_tag="b")


def of_callee(method: str, *headers: str, branch: str = "z9hG4bKd") -> bytes:
    return request(
        method, TO_ALICE, *headers, via="192.0.2.20", branch=branch, cseq=1, from_tag="b", to_tag="a"
    )


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "REFER", "NOTIFY", "PRACK"])
def test_a_marked_request_passes_both_ways_without_being_asked_about(method: str) -> None:
    world = World(BOB, REFUSED)
    route, _ = established(world)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    for sender, receiver, data in (
        (caller, callee, of_caller(method, route)),
        (callee, caller, of_callee(method, route)),
    ):
        sender.send(data)
        passed = receiver.take_request(method)
        assert (passed.get("route"), passed.get("record-route")) == (None, None)
        assert len(passed.all("via")) == 2
        receiver.send(response(passed, 200))
        sender.take_response(200)
    assert len(world.asked) == 1


def test_the_ack_of_a_re_invite_passes_in_the_callees_direction_too() -> None:
    world = World(BOB, REFUSED)
    route, _ = established(world)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    callee.send(of_callee("INVITE", route))
    caller.send(response(caller.take_request("INVITE"), 200))
    callee.take_response(200)
    callee.send(of_callee("ACK", route, branch="z9hG4bKe"))
    assert caller.take_request("ACK").uri == TO_ALICE
    assert (world.engine.counters.dropped, len(world.asked)) == ({}, 1)


def test_the_ack_of_a_failed_re_invite_stays_on_its_hop() -> None:
    world = World(BOB, REFUSED)
    route, _ = established(world)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(of_caller("INVITE", route))
    callee.send(response(callee.take_request("INVITE"), 488))
    callee.take_request("ACK")
    caller.take_response(488)
    caller.send(of_caller("ACK", route))
    world.wait(40)
    assert (caller.has_nothing, callee.has_nothing) == (True, True)


def test_an_ack_that_reuses_the_branch_of_its_answered_invite_passes() -> None:
    world = World(BOB)
    route, _ = established(world)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    # RFC 3261 17.1.1.3 wants a new branch; peers of old reuse it.
    caller.send(request("ACK", TO_BOB, route, branch="z9hG4bK1", to_tag="b"))
    ack = callee.take_request("ACK")
    assert (ack.uri, ack.get("max-forwards"), ack.get("route")) == (TO_BOB, "69", None)


def test_an_ack_without_a_way_is_dropped_and_counted() -> None:
    world = World(BOB)
    route, _ = established(world)
    world.unroutable.add("192.0.2.99")
    caller = world.peer("192.0.2.10")
    caller.send(of_caller("ACK", route, uri="sip:bob@192.0.2.99"))
    caller.send(of_caller("ACK", route, uri="bob"))
    assert (caller.has_nothing, world.engine.counters.dropped) == (True, {"unroutable-ack": 2})


@pytest.mark.parametrize("uri", ["sip:bob@192.0.2.99", "bob", "tel:+351123"])
def test_a_request_without_a_way_is_a_500_of_ours(uri: str) -> None:
    world = World(BOB)
    route, _ = established(world)
    world.unroutable.add("192.0.2.99")
    caller = world.peer("192.0.2.10")
    caller.send(of_caller("BYE", route, uri=uri))
    assert caller.take_all() == ["SIP/2.0 500 Server Internal Error"]
    assert len(world.asked) == 1


def test_a_request_that_leads_back_to_us_is_a_loop() -> None:
    world = World(BOB)
    route, _ = established(world)
    caller = world.peer("192.0.2.10")
    caller.send(of_caller("BYE", route, uri=f"sip:{PROXY}"))
    assert caller.take_all() == ["SIP/2.0 482 Loop Detected"]


def test_a_time_out_inside_of_a_dialog_is_a_408_to_an_invite_and_silence_to_a_bye() -> None:
    for method, answers in (
        ("INVITE", ["SIP/2.0 100 Trying", "SIP/2.0 408 Request Timeout"]),
        ("BYE", ["SIP/2.0 100 Trying"]),
    ):
        world = World(BOB)
        route, _ = established(world)
        caller = world.peer("192.0.2.10")
        caller.send(of_caller(method, route))
        world.wait(32)
        assert (caller.take_all(), len(world.asked)) == (answers, 1)


def test_a_marked_request_with_no_hops_left_goes_nowhere() -> None:
    world = World(BOB)
    route, _ = established(world)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(of_caller("BYE", route).replace(b"Max-Forwards: 70", b"Max-Forwards: 0"))
    assert (caller.take_all(), callee.has_nothing) == (["SIP/2.0 483 Too Many Hops"], True)


def test_further_route_values_keep_their_order_over_two_lines() -> None:
    world = World(BOB)
    route, _ = established(world)
    caller = world.peer("192.0.2.10")
    # Three values over two lines: ours goes, the others stay in their order.
    caller.send(of_caller("BYE", f"{route},<sip:192.0.2.50;lr>", "Route: <sip:192.0.2.51;lr>"))
    bye = world.peer("192.0.2.50").take_request("BYE")
    assert bye.all("route") == ["<sip:192.0.2.50;lr>", "<sip:192.0.2.51;lr>"]


@pytest.mark.parametrize("route", ["<sip:192.0.2.50", ",", "<tel:+1>", "<sip:192.0.2.50;lr>,,"])
def test_a_next_route_that_cannot_be_read_harms_nobody(route: str) -> None:
    world = World(BOB)
    own, _ = established(world)
    caller = world.peer("192.0.2.10")
    caller.send(of_caller("BYE", f"{own}, {route}"))
    caller.send(of_caller("ACK", f"{own}, {route}", branch="z9hG4bKf"))
    world.wait(40)
    assert world.engine.sizes() == {"servers": 0, "clients": 0}
    assert {host for host, _ in world.peers} <= {"192.0.2.10", "192.0.2.20", "192.0.2.50"}


def test_dialogs_go_on_while_the_table_is_full_but_not_without_a_bound() -> None:
    world = World(BOB, transactions=2)
    route, _ = established(world)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE", branch="z9hG4bK2", call_id="call-2"))
    caller.send(request("INVITE", branch="z9hG4bK3", call_id="call-3"))
    caller.take_response(503)
    callee.take_all()
    for number in range(5):
        caller.send(of_caller("INFO", route, branch=f"z9hG4bKi{number}"))
    assert callee.take_all() == [f"INFO {TO_BOB} SIP/2.0"] * 2
    assert caller.take_all() == ["SIP/2.0 503 Service Unavailable"] * 3
    assert world.engine.sizes()["servers"] == 4
    assert world.engine.counters.dropped == {"full": 4}
