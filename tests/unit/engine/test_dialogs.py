"""Requests inside of a dialog: who is let through without being asked about."""

import pytest

from oneproxy.engine.decisions import Forward, Reply, Target
from oneproxy.engine.dialog import DialogMark
from world import PROXY, World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])
REFUSED = Reply(403, "Refused")


def route_of(world: World) -> str:
    """The Record-Route of a call that is set up."""
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 200, to_tag="b"))
    return caller.take_response(200).get("record-route") or ""


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
    mark = DialogMark(b"x" * 32).make("call-1", "a")
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
    world = World(BOB)
    own = route_of(world)
    onward = "<sip:192.0.2.30:5080;lr>"
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
