"""Where a dialog may lead: to its two sides, as they said when it began, and nowhere else without
policy (RFC 3261 12.1, 16.4, 16.7 step 8)."""

from collections.abc import Callable

import pytest

from called import ALICE_SAYS, BOB, REFUSED, VICTIM, Called
from limits import limited
from oneproxy.engine.decisions import BEST, PENDING, Ask, Decision, Forward, Reply, Target
from oneproxy.engine.places import NOWHERE, Places
from oneproxy.sip.message import Request
from world import PROXY, Peer, World, request, response

METHODS = ["INVITE", "UPDATE", "MESSAGE", "NOTIFY", "INFO", "REFER", "BYE", "OPTIONS"]


@pytest.mark.parametrize("method", METHODS)
def test_who_has_a_dialog_gets_nothing_relayed_elsewhere_by_its_request_uri(method: str) -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    call.caller.send(call.of_alice(method, VICTIM))
    call.callee.send(call.of_bob(method, VICTIM))
    for peer in (call.caller, call.callee):
        peer.take_response(403)
    assert world.peer("192.0.2.99").has_nothing
    assert [(ask.inside, ask.uri.text) for ask in world.asked[1:]] == [(True, VICTIM)] * 2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("route", ["<sip:192.0.2.99;lr>", "<sip:192.0.2.99>", "v <sip:192.0.2.99:5080;lr>"])
def test_who_has_a_dialog_gets_nothing_relayed_elsewhere_by_a_route_of_his_own(
    method: str, route: str
) -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    call.caller.send(call.of_alice(method, "sip:bob@192.0.2.20", route))
    call.callee.send(call.of_bob(method, "sip:alice@192.0.2.10", route))
    for peer in (call.caller, call.callee):
        peer.take_response(403)
    assert all(peer.has_nothing for peer in world.peers.values())
    assert {ask.uri.host for ask in world.asked[1:]} == {"192.0.2.99"}


def test_an_ack_to_elsewhere_goes_nowhere() -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    call.caller.send(call.of_alice("ACK", VICTIM))
    call.callee.send(call.of_bob("ACK", "sip:alice@192.0.2.10", "<sip:192.0.2.99;lr>"))
    call.callee.send(call.of_bob("ACK", f"sip:{PROXY}", cseq=3))
    assert all(peer.has_nothing for peer in world.peers.values())
    assert (len(world.asked), world.engine.counters.dropped) == (1, {"stray-ack": 3})


def test_neither_side_sends_to_where_the_other_may() -> None:
    world = World(BOB, REFUSED)
    call = Called(world, alice=("Contact: <sip:alice@192.0.2.11>",), bob=("Contact: <sip:bob@192.0.2.21>",))
    call.caller.send(call.of_alice("INFO", "sip:alice@192.0.2.11"))
    call.callee.send(call.of_bob("INFO", "sip:bob@192.0.2.21"))
    for peer in (call.caller, call.callee):
        peer.take_response(403)
    call.caller.send(call.of_alice("INFO", "sip:bob@192.0.2.21", cseq=3))
    world.peer("192.0.2.21").take_request("INFO")
    call.callee.send(call.of_bob("INFO", "sip:alice@192.0.2.11", cseq=3))
    world.peer("192.0.2.11").take_request("INFO")


@pytest.mark.parametrize(
    ("says", "uri"),
    [
        ("<sip:bob@192.0.2.30>", "sip:bob@192.0.2.30"),
        ("<sip:bob@192.0.2.30:5070;x=y>", "sip:other@192.0.2.30:5080"),
        ("sip:bob@192.0.2.30;expires=3600", "sip:bob@192.0.2.30"),
        ('"Bob <b>" <sip:bob@192.0.2.30>', "sip:bob@192.0.2.30"),
        ("<sip:bob@elsewhere.test;maddr=192.0.2.30>", "sip:bob@192.0.2.30"),
        ("<SIP:bob@SBC.Test>", "sip:bob@sbc.test"),
        ("<sip:bob@sbc.test.>", "sip:bob@sbc.test"),
        ("<sip:bob@[2001:DB8::1]>", "sip:bob@[2001:db8:0:0::1]"),
        ("<sip:bob@[::ffff:192.0.2.30]:5060>", "sip:bob@192.0.2.30"),
    ],
)
@pytest.mark.parametrize("name", ["Contact", "m", "CONTACT", "Contact "])
def test_a_callee_is_where_he_says_whoever_was_called(says: str, uri: str, name: str) -> None:
    world = World(BOB, REFUSED)
    world.names["sbc.test"] = [("UDP", "192.0.2.30", 5060)]
    call = Called(world, bob=(f"{name}: {says}",))
    mark, changed = (one.get("record-route") or "" for one in (call.invite, call.ok))
    assert (len(mark), mark.partition("mark=")[0]) == (len(changed), changed.partition("mark=")[0])
    assert mark != changed
    for cseq, method in enumerate(("ACK", "INFO", "BYE"), 1):
        call.caller.send(call.of_alice(method, uri, cseq=cseq))
    there = [one for key, one in world.peers.items() if key[1] not in ("192.0.2.10", "192.0.2.20")]
    assert [len(peer.inbox) for peer in there] == [3]
    call.caller.send(call.of_alice("INFO", "sip:bob@192.0.2.20", cseq=5))
    call.caller.take_response(403)


def test_a_callee_who_is_where_he_was_called_gets_the_mark_back_as_it_is() -> None:
    world = World(BOB, REFUSED)
    for contact in (
        "Contact: <sip:bob@192.0.2.20>",
        "Contact: <sip:1@192.0.2.20:5082;ob>",
        "m: sip:192.0.2.20",
    ):
        call = Called(world, bob=(contact,))
        assert call.ok.get("record-route") == call.invite.get("record-route")
        world = World(BOB, REFUSED)


@pytest.mark.parametrize("bob", [(), ("Contact: <bob>",), ("Contact: <tel:+1>",)])
@pytest.mark.parametrize("status", [180, 200])
def test_a_callee_who_does_not_say_where_he_is_is_where_the_call_went(
    bob: tuple[str, ...], status: int
) -> None:
    world = World(BOB, REFUSED)
    call = Called(world, bob=bob, status=status)
    call.caller.send(call.of_alice("BYE", "sip:bob@192.0.2.20"))
    if bob:
        call.caller.take_response(403)
    else:
        call.callee.take_request("BYE")


def test_a_caller_who_does_not_say_where_he_is_is_where_he_called_from() -> None:
    world = World(BOB, REFUSED)
    call = Called(world, alice=())
    call.callee.send(call.of_bob("BYE", "sip:alice@192.0.2.10"))
    call.caller.take_request("BYE")


@pytest.mark.parametrize("joined", [True, False])
def test_proxies_behind_us_and_before_us_are_where_their_sides_are(joined: bool) -> None:
    world = World(BOB, REFUSED)
    before = ["<sip:192.0.2.41;lr>", "<sip:192.0.2.42;lr>"]
    behind = ["<sip:192.0.2.51;lr>", "<sip:192.0.2.52;lr>"]
    if joined:
        before, behind = [", ".join(before)], [", ".join(behind)]
    alice = [*(f"Record-Route: {value}" for value in before), "Contact: <sip:alice@10.0.0.7>"]
    bob = ("Contact: <sip:bob@10.0.0.5>",)
    call = Called(world, alice=tuple(alice), bob=bob, above=tuple(behind))
    values = [value for line in call.ok.all("record-route") for value in line.split(", ")]
    assert [value.partition(";")[0] for value in values] == [
        "<sip:192.0.2.51", "<sip:192.0.2.52", f"<sip:{PROXY}:5060", "<sip:192.0.2.41", "<sip:192.0.2.42"
    ]  # fmt: skip
    route = [f"Route: {value}" for value in (values[2], values[1], values[0])]
    call.caller.send(request("BYE", "sip:bob@10.0.0.5", *route, branch="z9hG4bK9", cseq=2, to_tag="b"))
    assert world.peer("192.0.2.52").take_request("BYE").uri == "sip:bob@10.0.0.5"
    lines = [f"Route: {value}" for value in values[2:]]
    call.callee.send(request("BYE", "sip:alice@10.0.0.7", *lines, via="192.0.2.20", from_tag="b", to_tag="a"))
    assert world.peer("192.0.2.41").take_request("BYE").uri == "sip:alice@10.0.0.7"
    for route in ([f"Route: {values[2]}"], [f"Route: {values[2]}", "Route: <sip:192.0.2.51;lr>"]):
        call.caller.send(
            request("BYE", "sip:bob@10.0.0.5", *route, branch=f"z9hG4bKx{len(route)}", to_tag="b")
        )
        call.caller.take_response(403)


def test_a_strict_router_behind_us_is_where_the_callee_is() -> None:
    world = World(BOB, REFUSED)
    call = Called(world, above=("<sip:192.0.2.50>",))
    call.caller.send(call.of_alice("BYE", "sip:bob@192.0.2.20"))
    bye = world.peer("192.0.2.50").take_request("BYE")
    assert (bye.uri, bye.all("route")) == ("sip:192.0.2.50", ["<sip:bob@192.0.2.20>"])


def test_a_strict_router_before_us_does_not_widen_where_its_caller_gets() -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    own = (call.ok.get("record-route") or "").strip("<>")
    for number, uri in enumerate((VICTIM, "sip:bob@192.0.2.20")):
        branch = f"z9hG4bKs{number}"
        call.caller.send(request("BYE", own, f"Route: <{uri}>", branch=branch, cseq=2, to_tag="b"))
    call.caller.take_response(403)
    assert call.callee.take_request("BYE").uri == "sip:bob@192.0.2.20"
    assert world.peer("192.0.2.99").has_nothing


def test_of_two_record_routes_the_one_that_leads_on_is_changed() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20;transport=tcp")]), REFUSED, also=("TCP",))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20", transport="TCP")
    caller.send(request("INVITE", "sip:bob@example.com", ALICE_SAYS))
    invite = callee.take_request("INVITE")
    contact = "Contact: <sip:bob@192.0.2.30;transport=tcp>"
    callee.send(response(invite, 200, contact, to_tag="b"))
    ok = caller.take_response(200)
    upper, lower = ok.all("record-route")
    assert lower == invite.all("record-route")[1]
    assert upper != invite.all("record-route")[0]
    lines = [f"Route: {lower}", f"Route: {upper}"]
    for number, uri in enumerate(("sip:bob@192.0.2.20", "sip:bob@192.0.2.30;transport=tcp")):
        caller.send(request("BYE", uri, *lines, branch=f"z9hG4bK9{number}", cseq=2, to_tag="b"))
    caller.take_response(403)
    world.peer("192.0.2.30", transport="TCP").take_request("BYE")
    lines = [f"Route: {value}" for value in invite.all("record-route")]
    callee.send(request("BYE", "sip:alice@192.0.2.10", *lines, via="192.0.2.20", from_tag="b", to_tag="a"))
    caller.take_request("BYE")


def test_callees_of_one_branch_have_each_a_mark_of_their_own() -> None:
    world = World(BOB, REFUSED)
    call = Called(world, bob=("Contact: <sip:bob@192.0.2.31>",), status=180)
    first = call.ok
    call.answer(180, ("Contact: <sip:bob@192.0.2.32>",), tag="c")
    call.caller.send(call.of_alice("PRACK", "sip:bob@192.0.2.32", tag="c"))
    world.peer("192.0.2.32").take_request("PRACK")
    call.ok = first
    call.caller.send(call.of_alice("PRACK", "sip:bob@192.0.2.31", cseq=3))
    world.peer("192.0.2.31").take_request("PRACK")
    call.answer(200, ("Contact: <sip:bob@192.0.2.33>",))
    again = call.ok.bytes()
    call.answer(200, ("Contact: <sip:bob@192.0.2.33>",))
    assert call.ok.bytes() == again
    call.caller.send(call.of_alice("ACK", "sip:bob@192.0.2.33", cseq=1))
    world.peer("192.0.2.33").take_request("ACK")


@pytest.mark.parametrize("method", ["SUBSCRIBE", "REFER"])
def test_other_dialogs_lead_where_their_notifier_is(method: str) -> None:
    world = World(BOB, REFUSED)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request(method, "sip:bob@example.com", ALICE_SAYS))
    passed = callee.take_request(method)
    callee.send(response(passed, 202, "Contact: <sip:bob@192.0.2.30>", to_tag="b"))
    route = f"Route: {caller.take_response(202).get('record-route')}"
    caller.send(request(method, "sip:bob@192.0.2.30", route, branch="z9hG4bK9", cseq=2, to_tag="b"))
    world.peer("192.0.2.30").take_request(method)


@pytest.mark.parametrize(
    "spelled",
    [
        lambda line: line.upper().replace("SIP:", "sip:"),
        lambda line: line.replace("Record-Route: ", "record-route:"),
        lambda line: line.replace("Record-Route: ", "Record-Route:\r\n  "),
        lambda line: line.replace(">", ";x=y>"),
        lambda line: line.replace("<", '"us" <').replace(">", ">;z=1"),
        lambda line: line.replace("Record-Route: ", "X-Record-Route: <sip:192.0.2.77>\r\nRecord-Route: "),
    ],
)
def test_a_record_route_that_comes_back_spelled_in_another_way_is_changed_all_the_same(
    spelled: Callable[[str], str],
) -> None:
    world = World(BOB, REFUSED)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    ok = response(invite, 200, "Contact: <sip:bob@192.0.2.30>", to_tag="b").decode()
    line = invite.lines[invite.first["record-route"]]
    callee.send(ok.replace(line, spelled(line)).encode())
    route = f"Route: {caller.take_response(200).get('record-route')}"
    caller.send(request("BYE", "sip:bob@192.0.2.30", route, branch="z9hG4bK9", cseq=2, to_tag="b"))
    world.peer("192.0.2.30").take_request("BYE")


def test_a_callee_without_our_record_route_is_none_of_our_business() -> None:
    world = World(BOB, REFUSED)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    ok = response(callee.take_request("INVITE"), 200, "Contact: <sip:bob@192.0.2.30>", to_tag="b")
    callee.send(ok.replace(b"Record-Route", b"X-Was-Ours"))
    assert caller.take_response(200).get("record-route") is None


def test_a_callee_who_changes_the_name_of_the_dialog_gets_no_mark_for_another() -> None:
    world = World(BOB, REFUSED)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    ok = response(invite, 200, "Contact: <sip:bob@192.0.2.30>", to_tag="b")
    callee.send(ok.replace(b"Call-ID: call-1", b"Call-ID: call-2"))
    assert caller.take_response(200).get("record-route") == invite.get("record-route")


def test_a_flow_leads_to_its_side_whatever_the_request_says() -> None:
    world = World(
        lambda _: Forward([Target("sip:bob@10.0.0.5", flow=world.flow("192.0.2.20", 4000))]), REFUSED
    )
    caller, callee = world.peer("192.0.2.10", 40000), world.peer("192.0.2.20", 4000)
    caller.send(request("INVITE", "sip:bob@example.com", ALICE_SAYS, via="10.0.0.7"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 200, "Contact: <sip:bob@10.0.0.99>", to_tag="b"))
    lines = [f"Route: {caller.take_response(200).get('record-route')}"]
    for number, more in enumerate(([], ["Route: <sip:192.0.2.99;lr>"])):
        branch = f"z9hG4bKf{number}"
        caller.send(request("INFO", VICTIM, *lines, *more, branch=branch, cseq=2, to_tag="b"))
        callee.take_request("INFO")
        callee.send(
            request("INFO", VICTIM, *lines, *more, via="10.0.0.5", branch=branch, from_tag="b", to_tag="a")
        )
        caller.take_request("INFO")
    assert len(world.asked) == 1


def test_a_flow_that_is_closed_leaves_a_dialog_to_the_place_of_its_side() -> None:
    world = World(BOB, REFUSED, also=("TCP",))
    caller, callee = world.peer("192.0.2.10", 33333, "TCP"), world.peer("192.0.2.20")
    caller.send(request("INVITE", "sip:bob@example.com", "Contact: <sip:alice@192.0.2.10;transport=tcp>"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 200, to_tag="b"))
    caller.take_response(200)
    world.close(caller)
    line = f"Route: {invite.get('record-route')}"
    for number, uri in enumerate(("sip:alice@192.0.2.10;transport=tcp", VICTIM)):
        branch = f"z9hG4bK9{number}"
        callee.send(request("BYE", uri, line, via="192.0.2.20", branch=branch, from_tag="b", to_tag="a"))
    world.peer("192.0.2.10", 5060, "TCP").take_request("BYE")
    callee.take_response(403)


# What policy is asked, and what becomes of it.


def allowed(world: World, peer: Peer, data: bytes, *, host: str = "192.0.2.99") -> Request:
    """A request that policy lets pass, as it arrives."""
    method = data.partition(b" ")[0].decode()
    peer.send(data)
    return world.peer(host).take_request(method)


@pytest.mark.parametrize("method", METHODS)
def test_what_policy_lets_pass_goes_on_its_own_way(method: str) -> None:
    world = World(BOB, Forward([Target("sip:somebody@192.0.2.66")]))
    call = Called(world)
    passed = allowed(world, call.caller, call.of_alice(method, VICTIM))
    assert (passed.uri, passed.all("route"), passed.get("record-route")) == (VICTIM, [], None)
    world.peer("192.0.2.99").send(response(passed, 200))
    call.caller.take_response(200)
    assert (len(world.asked), world.engine.counters.calls, world.peer("192.0.2.66").has_nothing) == (
        2,
        1,
        True,
    )


def test_what_policy_lets_pass_goes_along_the_routes_that_it_has() -> None:
    world = World(BOB, Forward([Target("sip:192.0.2.99")]))
    call = Called(world)
    data = call.of_alice("INFO", "sip:bob@192.0.2.20", "<sip:192.0.2.99;lr>", "<sip:192.0.2.98;lr>")
    passed = allowed(world, call.caller, data)
    assert passed.uri == "sip:bob@192.0.2.20"
    assert passed.all("route") == ["<sip:192.0.2.99;lr>", "<sip:192.0.2.98;lr>"]


def test_once_policy_has_let_a_request_pass_its_ack_and_those_after_it_do() -> None:
    world = World(BOB, Forward([Target(VICTIM)]), REFUSED)
    call = Called(world)
    passed = allowed(world, call.caller, call.of_alice("INVITE", VICTIM))
    world.peer("192.0.2.99").send(response(passed, 200))
    call.caller.take_response(200)
    allowed(world, call.caller, call.of_alice("ACK", VICTIM))
    allowed(world, call.caller, call.of_alice("BYE", VICTIM, cseq=3))
    assert len(world.asked) == 2
    # Nobody else of the dialog, and no other dialog.
    call.callee.send(call.of_bob("INFO", VICTIM))
    call.callee.take_response(403)


def test_policy_may_take_its_time() -> None:
    world = World(BOB, PENDING)
    call = Called(world)
    call.caller.send(call.of_alice("INFO", VICTIM))
    assert world.peer("192.0.2.99").has_nothing
    world.engine.answer(world.now, world.asked[1], Forward([Target(VICTIM)]))
    world.deliver()
    assert world.peer("192.0.2.99").take_request("INFO").all("route") == []


@pytest.mark.parametrize(
    ("decision", "answers"),
    [
        (Reply(407, "Who", stateless=True), ["SIP/2.0 407 Who"]),
        (Reply(480, "Away"), ["SIP/2.0 480 Away"]),
        (Forward([]), ["SIP/2.0 500 Server Internal Error"]),
        (BEST, ["SIP/2.0 500 Server Internal Error"]),
    ],
)
def test_policy_may_answer(decision: Decision, answers: list[str]) -> None:
    world = World(BOB, decision)
    call = Called(world)
    call.caller.send(call.of_alice("INFO", VICTIM))
    assert call.caller.take_all() == answers


def test_a_failure_of_what_policy_let_pass_goes_back_and_is_not_asked_about() -> None:
    world = World(BOB, Forward([Target(VICTIM)], recurse=5))
    call = Called(world)
    passed = allowed(world, call.caller, call.of_alice("INVITE", VICTIM))
    world.peer("192.0.2.99").send(response(passed, 302, "Contact: <sip:192.0.2.98>"))
    call.caller.take_response(302)
    assert (len(world.asked), world.peer("192.0.2.98").has_nothing) == (2, True)


def test_a_uri_of_a_domain_here_goes_where_policy_places_it() -> None:
    world = World(BOB, Forward([Target("sip:carol@192.0.2.30"), Target("sip:carol@192.0.2.31")]))
    call = Called(world)
    call.caller.send(call.of_alice("INFO", "sip:carol@example.com:5080"))
    assert world.peer("192.0.2.30").take_request("INFO").uri == "sip:carol@192.0.2.30"
    assert world.peer("192.0.2.31").has_nothing


def test_the_gate_and_a_drain_know_a_re_invite_to_elsewhere() -> None:
    world = World(BOB, Forward([Target(VICTIM)]))
    call = Called(world)
    room = limited(world, 0)
    allowed(world, call.caller, call.of_alice("INVITE", VICTIM))
    assert (room.left, room.refusals) == (0, 0)
    world.engine.drain()
    call.caller.send(call.of_alice("INFO", "sip:x@192.0.2.98", cseq=3))
    call.caller.take_response(503)


def test_a_mark_of_before_is_good_for_nothing() -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    own = call.ok.get("record-route") or ""
    before, _, mark = own.rstrip(">").partition("mark=")
    for number, cut in enumerate(
        (mark[:16], mark[:24], mark[:-1], mark + "0", mark[:16] + mark[24:] + mark[16:24])
    ):
        line = f"Route: {before}mark={cut}>"
        uri = "sip:bob@192.0.2.20"
        call.caller.send(request("BYE", uri, line, branch=f"z9hG4bKm{number}", cseq=2, to_tag="b"))
        call.caller.take_response(403)
    assert not any(ask.inside for ask in world.asked)


# Places.


def test_a_place_is_a_host_in_whichever_spelling() -> None:
    places = Places(b"k" * 32)
    here = places.of("sip:bob@192.0.2.20:5070;transport=tcp")
    assert here == places.of("sips:192.0.2.20") == places.of_host("192.0.2.20")
    assert (
        here == places.of_value(' "Bob, <x>" <sip:192.0.2.20>;q=1') == places.of_value("sip:b@192.0.2.20;x=y")
    )
    assert here != places.of("sip:bob@192.0.2.2")
    assert here != Places(b"l" * 32).of("sip:bob@192.0.2.20")
    assert places.of("tel:+1") == places.of("bob") == places.of_value("") == places.of_value("<") == NOWHERE


def test_a_parameter_of_a_header_field_is_none_of_a_uri_of_the_same_text() -> None:
    places = Places(b"k" * 32)
    text = "sip:bob@192.0.2.20;maddr=192.0.2.99"
    for _ in range(2):
        assert places.of_value(text) == places.of_host("192.0.2.20")
        assert places.of(text) == places.of_host("192.0.2.99")
        assert places.of_value(f"<{text}>") == places.of_host("192.0.2.99")


def test_the_memory_of_places_is_bounded() -> None:
    places = Places(b"k" * 32)
    first = places.of("sip:bob@192.0.2.20")
    for number in range(10_000):
        places.of(f"sip:{number}@192.0.2.20")
        places.of_value(f" <sip:{number}@192.0.2.20>")
    places.of_value(f"<sip:{'x' * 300}@192.0.2.20>")
    for known in (places._known, places._values):
        assert len(known) <= 4096
        assert not any(len(text) > 256 for text in known)
    assert places.of("sip:bob@192.0.2.20") == first


def test_what_is_asked_about_is_known_by_its_ask() -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    assert not world.asked[0].inside
    call.caller.send(call.of_alice("INFO", VICTIM))
    ask: Ask = world.asked[1]
    assert (ask.inside, ask.request.method, ask.flow.host) == (True, "INFO", "192.0.2.10")


def test_what_leads_back_to_us_is_a_loop_and_nobody_is_asked() -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    call.caller.send(call.of_alice("INFO", "sip:example.com"))
    call.caller.take_response(482)
    assert len(world.asked) == 1
