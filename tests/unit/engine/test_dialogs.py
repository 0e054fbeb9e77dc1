"""Requests inside of a dialog: who is let through without being asked about, and where to
(RFC 3261 16.4, 16.12)."""

import pytest

from oneproxy.engine.decisions import Forward, Reply, Target
from oneproxy.engine.dialog import DialogMark
from oneproxy.sip.message import Request
from world import PROXY, World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])
REFUSED = Reply(403, "Refused")
TO_BOB, TO_ALICE = "sip:bob@192.0.2.20", "sip:alice@192.0.2.10"


def route_of(world: World, *above: str) -> str:
    """Our Record-Route of a call that is set up. above: those of proxies behind us."""
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    ok = response(callee.take_request("INVITE"), 200, to_tag="b").decode()
    lines = "".join(f"Record-Route: {value}\r\n" for value in above)
    callee.send(ok.replace("Record-Route", f"{lines}Record-Route", 1).encode())
    return caller.take_response(200).all("record-route")[-1]


def bye(route: str, uri: str = "sip:bob@192.0.2.20", branch: str = "z9hG4bK9", **changed: str) -> bytes:
    fields = {"from_tag": "a", "to_tag": "b", "call_id": "call-1"} | changed
    return request("BYE", uri, f"Route: {route}", branch=branch, cseq=2, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"call_id": "call-2"},
        {"from_tag": "x"},
        {"to_tag": ""},
    ],
)
def test_a_mark_is_good_for_its_own_dialog_only(changed: dict[str, str]) -> None:
    world = World(BOB, REFUSED)
    route = route_of(world)
    world.peer("192.0.2.10").send(bye(route, **changed))
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 403 Refused"]
    assert world.peer("192.0.2.20").has_nothing


@pytest.mark.parametrize(
    "route",
    [
        f"<sip:{PROXY}:5060;lr>",
        f"<sip:{PROXY};lr>",
        f"<sip:{PROXY}:5060;lr;mark=>",
        f"<sip:{PROXY}:5060;lr;mark=0123456789abcdef>",
        f"<sip:{PROXY}:5060;lr;mark=\xe4>",
        f'"x" <sip:{PROXY}:5060;mark=0123456789abcdef;lr>',
        f"<sip:{PROXY}:5060;lr>, <sip:192.0.2.99;lr>",
        "<sip:192.0.2.99;lr>",
        "<sip:192.0.2.99;lr",
        "",
    ],
)
def test_nobody_gets_a_request_relayed_by_a_route_of_his_own(route: str) -> None:
    world = World(REFUSED)
    world.peer("192.0.2.10").send(bye(route, "sip:victim@192.0.2.99"))
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 403 Refused"]
    assert world.peer("192.0.2.99").has_nothing


def test_the_mark_of_another_farm_is_none() -> None:
    world = World(REFUSED)
    mark = DialogMark(b"x" * 32).make("call-1", "a", "0" * 8, "1" * 8)
    world.peer("192.0.2.10").send(bye(f"<sip:{PROXY}:5060;lr;mark={mark}>"))
    world.peer("192.0.2.10").take_response(403)


def test_a_new_call_leaves_the_senders_routes_behind() -> None:
    world = World(BOB)
    world.peer("192.0.2.10").send(
        request("INVITE", "sip:bob@example.com", f"Route: <sip:{PROXY};lr>", "Route: <sip:192.0.2.99;lr>")
    )
    invite = world.peer("192.0.2.20").take_request("INVITE")
    assert invite.all("route") == []
    assert world.peer("192.0.2.99").has_nothing


@pytest.mark.parametrize("joined", [True, False])
def test_the_next_route_is_followed_and_stays(joined: bool) -> None:
    world = World(BOB, REFUSED)
    onward = "<sip:192.0.2.30:5080;lr>"
    own = route_of(world, onward)
    headers = [f"Route: {own}, {onward}"] if joined else [f"Route: {own}", f"Route: {onward}"]
    world.peer("192.0.2.10").send(
        request("BYE", "sip:bob@192.0.2.20", *headers, branch="z9hG4bK9", cseq=2, to_tag="b")
    )
    passed = world.peer("192.0.2.30", 5080).take_request("BYE")
    assert (passed.uri, passed.all("route")) == ("sip:bob@192.0.2.20", [onward])


def test_our_route_is_known_in_other_spellings() -> None:
    world = World(BOB)
    mark = route_of(world).partition("mark=")[2].rstrip(">")
    for number, route in enumerate(
        (
            f"<sip:{PROXY}:5060;mark={mark};lr>",
            f"<sip:{PROXY};LR;MARK={mark}>",
            f"us <sip:{PROXY};mark={mark}>",
        )
    ):
        world.peer("192.0.2.10").send(bye(route, branch=f"z9hG4bK9{number}"))
        world.peer("192.0.2.20").take_request("BYE")
    assert len(world.asked) == 1


def test_an_ack_without_a_dialog_of_ours_is_dropped() -> None:
    world = World(BOB)
    world.peer("192.0.2.10").send(request("ACK", "sip:victim@192.0.2.99", to_tag="b"))
    assert (world.asked, world.peer("192.0.2.99").has_nothing) == ([], True)
    assert world.engine.counters.dropped["stray-ack"] == 1


def test_a_dialog_is_routed_by_a_node_that_has_never_seen_it() -> None:
    route = route_of(World(BOB))
    restarted = World(REFUSED)
    restarted.peer("192.0.2.10").send(bye(route))
    restarted.peer("192.0.2.20").take_request("BYE")
    assert restarted.asked == []


@pytest.mark.parametrize(
    ("method", "records"), [("INVITE", True), ("SUBSCRIBE", True), ("MESSAGE", False), ("OPTIONS", False)]
)
def test_only_what_can_start_a_dialog_is_record_routed(method: str, records: bool) -> None:
    world = World(BOB)
    world.peer("192.0.2.10").send(request(method))
    passed = world.peer("192.0.2.20").take_request(method)
    assert (passed.get("record-route") is not None) == records


def test_our_record_route_stands_above_those_of_others() -> None:
    world = World(BOB)
    world.peer("192.0.2.10").send(
        request("INVITE", "sip:bob@example.com", "Record-Route: <sip:192.0.2.8;lr>")
    )
    values = world.peer("192.0.2.20").take_request("INVITE").all("record-route")
    assert [value.partition(";")[0] for value in values] == [f"<sip:{PROXY}:5060", "<sip:192.0.2.8"]


def test_a_failure_inside_of_a_dialog_goes_back_without_asking() -> None:
    world = World(BOB)
    route = route_of(world)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(bye(route))
    callee.send(response(callee.take_request("BYE"), 481))
    assert caller.take_all() == ["SIP/2.0 481 Because"]
    assert len(world.asked) == 1


def test_an_empty_route_behind_ours_is_none() -> None:
    world = World(BOB)
    own = route_of(world)
    world.peer("192.0.2.10").send(
        request("BYE", "sip:bob@192.0.2.20", f"Route: {own}", "Route: ", branch="z9hG4bK9", to_tag="b")
    )
    world.peer("192.0.2.20").take_request("BYE")


def test_a_register_is_asked_about_whatever_its_route() -> None:
    world = World(BOB, REFUSED)
    own = route_of(world)
    world.peer("192.0.2.10").send(
        request("REGISTER", "sip:192.0.2.99", f"Route: {own}", branch="z9hG4bK9", to_tag="b")
    )
    world.peer("192.0.2.10").take_response(403)
    assert world.peer("192.0.2.99").has_nothing


def established(world: World, contact: str = TO_BOB) -> tuple[str, Request]:
    """A call that is answered: its Route line, and the INVITE as the callee got it."""
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 200, f"Contact: <{contact}>", to_tag="b"))
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
    route, _ = established(world, "sip:bob@192.0.2.99")
    world.unroutable.add("192.0.2.99")
    caller = world.peer("192.0.2.10")
    caller.send(of_caller("ACK", route, uri="sip:bob@192.0.2.99"))
    caller.send(of_caller("ACK", route, uri="bob"))
    assert (caller.has_nothing, world.engine.counters.dropped) == (True, {"unroutable-ack": 2})


@pytest.mark.parametrize("uri", ["sip:bob@192.0.2.99", "bob", "tel:+351123"])
def test_a_request_without_a_way_is_a_500_of_ours(uri: str) -> None:
    world = World(BOB)
    route, _ = established(world, uri)
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
    world = World(BOB, REFUSED)
    route = f"Route: {route_of(world, '<sip:192.0.2.51;lr>', '<sip:192.0.2.50;lr>')}"
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
    assert {host for _, host, _ in world.peers} <= {"192.0.2.10", "192.0.2.20", "192.0.2.50"}


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
