"""The Record-Route that we write and what comes back in Route: twice where the dialog changes
transport (RFC 5658), over the flow of who has no address (RFC 5626), behind a strict router
(RFC 3261 16.4, 16.6 step 6)."""

import pytest

from oneproxy.engine.decisions import Decision, Forward, Target
from oneproxy.engine.dialog import DialogMark
from oneproxy.sip.check import check
from oneproxy.sip.message import Request, Response
from world import PROXY, Peer, World, request, response


def set_up(caller: Peer, callee: Peer, data: bytes = b"") -> tuple[Request, Response]:
    """A call from caller to callee; the INVITE as the one and the 200 as the other gets it."""
    caller.send(data or request("INVITE"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 200, to_tag="b"))
    return invite, caller.take_response(200)


def routes(message: Request | Response, reverse: bool) -> tuple[str, ...]:
    """The Route lines of a side that has got these Record-Routes (RFC 3261 12.1)."""
    values = message.all("record-route")
    return tuple(f"Route: {value}" for value in (reversed(values) if reverse else values))


def from_caller(ok: Response, method: str = "BYE", uri: str = "sip:bob@192.0.2.20") -> bytes:
    return request(method, uri, *routes(ok, True), branch="z9hG4bK9", cseq=2, to_tag="b")


def from_callee(invite: Request, via: str, method: str = "BYE", uri: str = "sip:alice@192.0.2.10") -> bytes:
    return request(
        method, uri, *routes(invite, False), via=via, branch="z9hG4bK8", cseq=1, from_tag="b", to_tag="a"
    )


def test_a_change_of_transport_is_recorded_on_both_sides() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20;transport=tcp")]), also=("TCP",))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20", transport="TCP")
    invite, ok = set_up(caller, callee)
    assert [value.partition(";mark=")[0] for value in invite.all("record-route")] == [
        f"<sip:{PROXY}:5060;transport=tcp;lr",
        f"<sip:{PROXY}:5060;lr",
    ]
    caller.send(from_caller(ok, uri="sip:bob@192.0.2.20;transport=tcp"))
    bye = callee.take_request("BYE")
    assert bye.all("route") == []
    callee.send(from_callee(invite, "192.0.2.20"))
    assert caller.take_request("BYE").all("route") == []


def test_one_transport_is_recorded_once() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]), also=("TCP",))
    invite, _ = set_up(world.peer("192.0.2.10"), world.peer("192.0.2.20"))
    assert len(invite.all("record-route")) == 1


def test_a_caller_behind_nat_is_reached_over_his_flow() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    caller, callee = world.peer("192.0.2.10", 40000), world.peer("192.0.2.20")
    invite, _ = set_up(caller, callee, request("INVITE", via="10.0.0.7;rport"))
    callee.send(from_callee(invite, "192.0.2.20", uri="sip:alice@10.0.0.7:5060"))
    assert caller.take_request("BYE").uri == "sip:alice@10.0.0.7:5060"


def test_a_caller_whose_via_is_not_his_address_needs_no_rport() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    caller, callee = world.peer("192.0.2.10", 40000), world.peer("192.0.2.20")
    invite, _ = set_up(caller, callee, request("INVITE", via="10.0.0.7"))
    callee.send(from_callee(invite, "192.0.2.20", uri="sip:alice@10.0.0.7:5060"))
    caller.take_request("BYE")


def test_a_callee_is_reached_over_the_flow_that_he_registered_on() -> None:
    world = World(lambda _: Forward([Target("sip:bob@10.0.0.5", flow=world.flow("192.0.2.20", 4000))]))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20", 4000)
    _, ok = set_up(caller, callee)
    caller.send(request("ACK", "sip:bob@10.0.0.5", *routes(ok, True), branch="z9hG4bK8", to_tag="b"))
    callee.take_request("ACK")
    caller.send(from_caller(ok, uri="sip:bob@10.0.0.5"))
    callee.take_request("BYE")


def test_nobody_learns_an_address_from_our_route() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    caller, callee = world.peer("192.0.2.10", 40000), world.peer("192.0.2.20")
    invite, _ = set_up(caller, callee, request("INVITE", via="10.0.0.7"))
    route = invite.get("record-route") or ""
    assert "192.0.2.10" not in route
    assert b"192.0.2.10".hex() not in route


def test_a_changed_flow_in_the_mark_makes_it_worthless() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    caller, callee = world.peer("192.0.2.10", 40000), world.peer("192.0.2.20")
    invite, _ = set_up(caller, callee, request("INVITE", via="10.0.0.7"))
    world.decisions = (Forward([]),)
    data = from_callee(invite, "192.0.2.20").decode()
    mark = data.partition(";mark=")[2].partition(">")[0]
    given, salt, side, _ = mark.split("-")
    flipped = f"{int(side[0], 16) ^ 1:x}{side[1:]}"
    callee.send(data.replace(mark, f"{given}-{salt}-{flipped}-").encode())
    callee.send(data.replace(mark, given).replace("z9hG4bK8", "z9hG4bK7").encode())
    callee.send(data.replace(mark, f"{given}-{salt}--{side}").replace("z9hG4bK8", "z9hG4bK6").encode())
    assert caller.has_nothing
    assert len(world.asked) == 4


@pytest.mark.parametrize(
    "uri", ["sip:alice@192.0.2.10;transport=tcp", "sip:alice@192.0.2.10:5070;transport=tcp"]
)
def test_a_caller_whose_connection_is_gone_is_reached_by_his_contact(uri: str) -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]), also=("TCP",))
    caller, callee = world.peer("192.0.2.10", 33333, "TCP"), world.peer("192.0.2.20")
    invite, _ = set_up(caller, callee)
    world.close(caller)
    callee.send(from_callee(invite, "192.0.2.20", uri=uri))
    port = 5070 if "5070" in uri else 5060
    world.peer("192.0.2.10", port, "TCP").take_request("BYE")


@pytest.mark.parametrize(
    ("host", "uri"),
    [
        ("192.0.2.10", "sip:alice@10.0.0.7:5060;transport=tcp"),
        ("192.0.2.10", "sip:alice@127.0.0.1:5060;transport=tcp"),
        ("192.0.2.10", "sip:alice@[fd00::7]:5060;transport=tcp"),
        ("10.0.0.8", "sip:alice@10.0.0.7:5060;transport=tcp"),
    ],
)
def test_a_private_contact_is_not_called_once_the_connection_to_it_is_gone(host: str, uri: str) -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]), also=("TCP",))
    caller, callee = world.peer(host, 33333, "TCP"), world.peer("192.0.2.20")
    invite, _ = set_up(caller, callee)
    world.close(caller)
    for method in ("ACK", "BYE"):
        callee.send(from_callee(invite, "192.0.2.20", uri=uri).replace(b"BYE", method.encode()))
    callee.take_response(430)
    assert all(peer.has_nothing for peer in world.peers.values())
    assert world.engine.counters.dropped["unroutable-ack"] == 1


def test_a_private_contact_of_our_own_network_is_called_though_its_connection_is_gone() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]), also=("TCP",))
    caller, callee = world.peer("10.0.0.7", 33333, "TCP"), world.peer("192.0.2.20")
    invite, _ = set_up(caller, callee)
    world.close(caller)
    callee.send(from_callee(invite, "192.0.2.20", uri="sip:alice@10.0.0.7;transport=tcp"))
    world.peer("10.0.0.7", 5060, "TCP").take_request("BYE")


def test_a_browser_whose_connection_is_gone_is_reached_no_more() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]), also=("WS",))
    caller, callee = world.peer("192.0.2.10", 33333, "WS"), world.peer("192.0.2.20")
    invite, _ = set_up(caller, callee)
    world.close(caller)
    callee.send(from_callee(invite, "192.0.2.20", uri="sip:alice@df7.invalid;transport=ws"))
    callee.take_response(430)


def test_the_mark_gives_back_the_flow_of_the_other_side() -> None:
    mark = DialogMark(b"k" * 32)
    name = "udp/[2001:db8::1]:5060/[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535"
    made = mark.make("call-1", "a", "c" * 8, "d" * 8, name, "tcp/0badcafe.17")
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    invite, _ = set_up(world.peer("192.0.2.10"), world.peer("192.0.2.20"))
    assert check(invite) is None
    invite.to_tag = "b"
    assert mark.read(made, invite) == ("tcp/0badcafe.17", "d" * 8, 0)
    assert mark.read(made.upper(), invite) == ("tcp/0badcafe.17", "d" * 8, 0)
    invite.from_tag, invite.to_tag = "b", "a"
    assert mark.read(made, invite) == (name, "c" * 8, 0)
    assert mark.read(mark.make("call-1", "a", "c" * 8, "d" * 8), invite) == ("", "c" * 8, 0)


# Strict routers.


def test_a_strict_router_before_us_gets_its_request_understood() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    _, ok = set_up(caller, callee)
    own = (ok.get("record-route") or "").strip("<>")
    caller.send(request("BYE", own, "Route: <sip:bob@192.0.2.20>", branch="z9hG4bK9", cseq=2, to_tag="b"))
    bye = callee.take_request("BYE")
    assert (bye.uri, bye.all("route")) == ("sip:bob@192.0.2.20", [])


def test_a_strict_router_before_us_and_a_loose_one_behind() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    _, ok = set_up(caller, callee)
    own = (ok.get("record-route") or "").strip("<>")
    lines = "Route: <sip:192.0.2.50;lr>, <sip:bob@192.0.2.20>"
    caller.send(request("BYE", own, lines, branch="z9hG4bK9", cseq=2, to_tag="b"))
    bye = world.peer("192.0.2.50").take_request("BYE")
    assert (bye.uri, bye.all("route")) == ("sip:bob@192.0.2.20", ["<sip:192.0.2.50;lr>"])


def test_a_strict_router_behind_us_gets_its_uri_in_the_request_line() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    _, ok = set_up(caller, callee)
    lines = (*routes(ok, True), "Route: <sip:192.0.2.50>, <sip:192.0.2.51;lr>")
    caller.send(request("BYE", "sip:bob@192.0.2.20", *lines, branch="z9hG4bK9", cseq=2, to_tag="b"))
    bye = world.peer("192.0.2.50").take_request("BYE")
    assert bye.uri == "sip:192.0.2.50"
    assert bye.all("route") == ["<sip:192.0.2.51;lr>", "<sip:bob@192.0.2.20>"]


def test_a_strict_router_on_the_path_of_a_phone() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20", route=("<sip:192.0.2.50>",))]))
    world.peer("192.0.2.10").send(request("INVITE"))
    invite = world.peer("192.0.2.50").take_request("INVITE")
    assert (invite.uri, invite.all("route")) == ("sip:192.0.2.50", ["<sip:bob@192.0.2.20>"])


@pytest.mark.parametrize("route", ["Route: <sip:bob@192.0.2.20", "Route: ,", "Route: "])
def test_what_only_looks_like_a_strict_routers_request_is_asked_about(route: str) -> None:
    decision: Decision = Forward([])
    world = World(Forward([Target("sip:bob@192.0.2.20")]), decision)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    _, ok = set_up(caller, callee)
    own = (ok.get("record-route") or "").strip("<>")
    caller.send(request("BYE", own, route, branch="z9hG4bK9", cseq=2, to_tag="b"))
    assert len(world.asked) == 2
    assert callee.has_nothing


def test_who_knows_his_own_flow_learns_nothing_of_the_others() -> None:
    own, other = "udp/192.0.2.1:5060/192.0.2.10:40000", "udp/192.0.2.1:5060/198.51.100.7:5060"
    _, _, mine, others = DialogMark(b"k" * 32).make("call-1", "a", "c" * 8, "d" * 8, own, other).split("-")
    stream = bytes(x ^ y for x, y in zip(own.encode(), bytes.fromhex(mine), strict=True))
    assert (
        bytes(x ^ y for x, y in zip(stream, bytes.fromhex(others), strict=False))
        != other.encode()[: len(own)]
    )


def test_a_parameter_behind_the_mark_is_not_part_of_it() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    _, ok = set_up(caller, callee)
    caller.send(from_caller(ok).replace(b">\r\nFrom", b";x=1>\r\nFrom"))
    callee.take_request("BYE")


def test_another_proxy_says_itself_how_it_is_reached() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    caller, callee = world.peer("192.0.2.10", 33333), world.peer("192.0.2.20")
    lines = "Record-Route: <sip:192.0.2.11;lr>"
    invite, _ = set_up(
        caller, callee, request("INVITE", "sip:bob@example.com", lines, via="192.0.2.10:5060;rport")
    )
    callee.send(from_callee(invite, "192.0.2.20"))
    world.peer("192.0.2.11").take_request("BYE")


def test_a_secure_request_is_recorded_with_a_secure_route() -> None:
    world = World(transport="TLS")
    world.decisions = (Forward([Target("sips:bob@192.0.2.20:40000", flow=world.flow("192.0.2.20", 40000))]),)
    caller, callee = world.peer("192.0.2.10", 40001), world.peer("192.0.2.20", 40000)
    invite, ok = set_up(caller, callee, request("INVITE", "sips:bob@example.com"))
    assert (invite.get("record-route") or "").startswith(f"<sips:{PROXY}:5060;lr;mark=")
    caller.send(from_caller(ok, uri="sips:bob@192.0.2.20:40000"))
    assert callee.take_request("BYE").all("route") == []


def test_a_proof_for_us_is_shown_to_nobody_inside_of_a_dialog_either() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    _, ok = set_up(caller, callee)
    proofs = (
        'Proxy-Authorization: Digest username="a", realm="example.com", nonce="n"',
        'Proxy-Authorization: Digest realm = "Example.com", username="a"',
        'Proxy-Authorization: Digest username="a", realm="elsewhere.org", nonce="n"',
    )
    for method in ("ACK", "INFO"):
        lines = (*routes(ok, True), *proofs)
        branch = f"z9hG4bK{method}"
        caller.send(request(method, "sip:bob@192.0.2.20", *lines, branch=branch, cseq=1, to_tag="b"))
        left = callee.take_request(method).all("proxy-authorization")
        assert left == ['Digest username="a", realm="elsewhere.org", nonce="n"']


def test_what_a_proxy_is_required_to_do_is_refused_inside_of_a_dialog_too() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    _, ok = set_up(caller, callee)
    lines = (*routes(ok, True), "Proxy-Require: foo, bar")
    caller.send(request("INFO", "sip:bob@192.0.2.20", *lines, branch="z9hG4bK9", cseq=2, to_tag="b"))
    assert caller.take_response(420).get("unsupported") == "foo, bar"


def test_dialogs_of_one_name_cover_their_flows_each_in_its_own_way() -> None:
    mark = DialogMark(b"k" * 32)
    mine, others = (
        mark.make("c", "t", "c" * 8, "d" * 8, name).split("-")[2]
        for name in ("tcp/0badcafe.17", "tcp/0badcafe.18")
    )
    assert mine[:-2] != others[:-2]


def test_the_ack_of_a_refused_request_of_a_dialog_goes_no_further() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    _, ok = set_up(caller, callee)
    for method, hops in (("INVITE", 0), ("ACK", 70)):
        lines = routes(ok, True)
        caller.send(
            request(method, "sip:bob@192.0.2.20", *lines, branch="z9hG4bK9", cseq=2, to_tag="b", hops=hops)
        )
    caller.take_response(483)
    assert callee.has_nothing
