"""What a request looks like after it was passed on: only what must change has changed
(RFC 3261 16.6)."""

import pytest

from oneproxy.engine.decisions import Ask, Decision, Forward, Target
from oneproxy.engine.forwarding import forwarded
from oneproxy.engine.routing import NO_ROUTE
from oneproxy.sip.check import check
from oneproxy.sip.message import Request, split
from world import World, request, response

VIA = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKn1"
URI = "sip:bob@192.0.2.20"
BOB = Forward([Target(URI)])
ODD = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"v:SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\n"
    b"f:<sip:alice@example.com>;tag=a\r\n"
    b"X-One :  1  \r\n"
    b"t:\t<sip:bob@example.com>\r\n"
    b"MAX-FORWARDS: 070\r\n"
    b"i: call-1\r\n"
    b"x-one: 2\r\n"
    b"cseq: 1 INVITE\r\n"
    b"m: <sip:a@b>,<sip:c@d>;q=0.1 , sip:e@f\r\n"
    b"Via: SIP/2.0/TCP older\r\n"
    b"x-octets: \xff\xfe\xe4 \xc3\xa4\r\n"
    b"empty:\r\n"
    b"l:4\r\n"
    b"\r\n"
    b"\0\xff\r\n"
)


def passed(data: bytes, decision: Forward = BOB) -> list[str]:
    """The lines of `data` as the callee gets it."""
    world = World(decision)
    world.peer("192.0.2.10").send(data)
    (peer,) = [peer for peer in world.peers.values() if peer.inbox]
    return peer.inbox.popleft().decode("latin-1").split("\r\n")


def test_lines_that_nobody_asked_for_pass_as_the_octets_that_came() -> None:
    odd = ["s:compact", "X-Space :  two  ", "x-utf8: \xc3\xa9\xff", "Contact: <sip:a@b>,<sip:c@d>", "P: \\"]
    data = request("INVITE", "sip:bob@example.com", *odd, body="v=0\n\0\xff\r\n\r\nend")
    came = data.decode("latin-1").split("\r\n")
    went = passed(data)
    assert went[0] == "INVITE sip:bob@192.0.2.20 SIP/2.0"
    assert went[1].startswith("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKn1.")
    assert went[2].startswith("Record-Route: <sip:192.0.2.1:5060;lr;mark=")
    expected = [line.replace("Max-Forwards: 70", "Max-Forwards: 69") for line in came[1:]]
    assert went[3:] == expected


def test_folded_lines_are_joined() -> None:
    went = passed(request("INVITE", "sip:bob@example.com", "Subject: one\r\n  two\r\n\tthree"))
    assert "Subject: one two three" in went


def test_a_path_is_pushed_and_followed() -> None:
    path = ("<sip:192.0.2.40:5080;lr>", "<sip:192.0.2.41;lr>")
    world = World(Forward([Target("sip:bob@10.0.0.5", path)]))
    world.peer("192.0.2.10").send(request("INVITE"))
    invite = world.peer("192.0.2.40", 5080).take_request("INVITE")
    assert invite.uri == "sip:bob@10.0.0.5"
    assert invite.all("route") == [", ".join(path)]


def test_a_target_goes_to_its_port_or_its_maddr() -> None:
    for uri, host, port in (
        ("sip:bob@192.0.2.20:5099", "192.0.2.20", 5099),
        ("sip:bob@example.org;maddr=192.0.2.21", "192.0.2.21", 5060),
        ("sip:[2001:db8::1]:5070", "2001:db8::1", 5070),
    ):
        world = World(Forward([Target(uri)]))
        world.peer("192.0.2.10").send(request("INVITE"))
        assert world.peer(host, port).take_request("INVITE").uri == uri


def test_a_flow_overrides_the_uri() -> None:
    world = World()
    flow = world.flow("203.0.113.7", 40_000)
    world.decisions = (Forward([Target("sip:bob@10.0.0.5", (), flow)]),)
    world.peer("192.0.2.10").send(request("INVITE"))
    assert world.peer("203.0.113.7", 40_000).take_request("INVITE").uri == "sip:bob@10.0.0.5"


def test_the_request_itself_is_left_as_it_came() -> None:
    world = World(BOB)
    data = request("INVITE")
    world.peer("192.0.2.10").send(data)
    assert world.asked[0].request.bytes() == data


def test_lines_that_were_for_this_proxy_alone_go_no_further() -> None:
    def consume(ask: Ask) -> Decision:
        # Two had a reason to.
        ask.consumed = (*ask.request.positions("x-ours"), *ask.request.positions("x-ours"))
        return BOB

    world = World(consume)
    headers = ["X-Ours: 1", "P-Odd: 1", "X-Theirs: 2"]
    world.peer("192.0.2.10").send(request("INVITE", "sip:bob@example.com", *headers))
    invite = world.peer("192.0.2.20").take_request("INVITE")
    assert [invite.get(name) for name in ("x-ours", "p-odd", "x-theirs")] == [None, "1", "2"]


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_a_proof_for_us_is_shown_to_nobody_whether_it_was_asked_for_or_not(method: str) -> None:
    world = World(BOB)
    theirs = 'Digest username="a", realm="sub.example.com", nonce="n"'
    proofs = [
        'Digest username="a", realm="example.com", nonce="n"',
        'Digest username="a", realm=example.com, nonce="n"',
        'Digest realm = "Example.com", username="a"',
        theirs,
    ]
    headers = [f"Proxy-Authorization: {proof}" for proof in proofs]
    world.peer("192.0.2.10").send(request(method, "sip:bob@example.com", *headers))
    assert world.peer("192.0.2.20").take_request(method).all("proxy-authorization") == [theirs]


def checked(data: bytes) -> Request:
    message = split(data)
    assert isinstance(message, Request)
    assert check(message) is None
    return message


def lines(data: bytes) -> list[str]:
    return data.decode("latin-1").split("\r\n")


def test_only_the_start_line_and_max_forwards_change_and_our_via_stands_on_top() -> None:
    came, went = lines(ODD), lines(forwarded(checked(ODD), URI, VIA, NO_ROUTE))
    assert went[:2] == [f"INVITE {URI} SIP/2.0", f"Via: {VIA}"]
    assert went[2:] == [line if line[:3] != "MAX" else "Max-Forwards: 69" for line in came[1:]]


def test_record_route_path_and_via_are_pushed_in_this_order() -> None:
    own = "Record-Route: <sip:192.0.2.1:5060;lr;mark=ab>"
    path = ("<sip:192.0.2.40;lr>", "<sip:192.0.2.41;lr>")
    went = lines(forwarded(checked(ODD), URI, VIA, NO_ROUTE, path, (own,)))
    assert went[1:4] == [
        f"Via: {VIA}",
        own,
        "Route: <sip:192.0.2.40;lr>, <sip:192.0.2.41;lr>",
    ]
    assert went[4:8] == lines(ODD)[1:5]


@pytest.mark.parametrize(
    ("routes", "left"),
    [
        (["Route: <sip:192.0.2.1;lr>"], []),
        (["route:<sip:192.0.2.1;lr> , <sip:x;lr>,<sip:y;lr>"], ["route: <sip:x;lr>, <sip:y;lr>"]),
        (["Route: <sip:192.0.2.1;lr>", "X: y", "ROUTE :<sip:x;lr>"], ["X: y", "ROUTE :<sip:x;lr>"]),
    ],
)
def test_inside_of_a_dialog_our_route_goes_and_the_others_stay(routes: list[str], left: list[str]) -> None:
    came = checked(request("BYE", "sip:bob@example.com", *routes))
    went = lines(forwarded(came, "sip:bob@example.com", VIA, 1))
    rest = [line for line in went if not line.startswith(("Via", "Max-"))]
    assert rest[1 : 2 + len(left)] == [*left, "From: <sip:alice@example.com>;tag=a"]


def test_outside_of_a_dialog_every_route_of_the_sender_goes() -> None:
    came = checked(request("INVITE", "sip:bob@example.com", "Route: <sip:x;lr>", "X: y", "Route: <sip:z;lr>"))
    went = lines(forwarded(came, URI, VIA, NO_ROUTE, ("<sip:path;lr>",)))
    assert [line for line in went if line.lower().startswith("route")] == ["Route: <sip:path;lr>"]
    assert "X: y" in went


def test_a_missing_max_forwards_is_put_last() -> None:
    went = lines(forwarded(checked(request("INVITE", hops=None)), URI, VIA, NO_ROUTE))
    assert went[-4:] == ["Content-Length: 0", "Max-Forwards: 70", "", ""]


def test_octets_behind_the_body_are_cut_off() -> None:
    data = request("MESSAGE", body="hello") + b"INVITE sip:smuggled@example.com SIP/2.0\r\n\r\n"
    world = World(Forward([Target(URI)]))
    world.peer("192.0.2.10").send(data)
    (went,) = world.peer("192.0.2.20").inbox
    assert went.endswith(b"Content-Length: 5\r\n\r\nhello")


def test_the_copies_of_a_fork_differ_in_uri_and_branch_alone() -> None:
    world = World(Forward([Target("sip:one@192.0.2.20"), Target("sip:two@192.0.2.20")]))
    world.peer("192.0.2.10").send(ODD)
    first, second = (lines(data) for data in world.peer("192.0.2.20").inbox)
    assert [at for at, (a, b) in enumerate(zip(first, second, strict=True)) if a != b] == [0, 1]
    assert len(first) == len(second)


def test_a_forward_after_a_failure_is_made_from_the_request_as_it_came() -> None:
    world = World(Forward([Target(URI, ("<sip:192.0.2.40;lr>",))]), Forward([Target("sip:bob@192.0.2.30")]))
    caller, edge, second = (world.peer(f"192.0.2.{host}") for host in (10, 40, 30))
    caller.send(ODD)
    edge.send(response(edge.take_request("INVITE"), 404, to_tag="b"))
    went = lines(second.inbox.popleft())
    assert went[3:] == [line if line[:3] != "MAX" else "Max-Forwards: 69" for line in lines(ODD)[1:]]


@pytest.mark.parametrize(
    "head",
    [
        "Via: {ours}\r\nVia: {theirs}",
        "v: {ours}\r\nv: {theirs}",
        "Via: {ours}, {theirs}",
        "VIA:{ours},{theirs}",
        "Via: {ours}\r\n ,{theirs}",
        "X-First: 1\r\nVia: {ours}\r\nVia: {theirs}",
    ],
)
def test_a_response_comes_back_with_the_senders_via_alone_however_it_is_written(head: str) -> None:
    world = World(Forward([Target(URI)]))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    ours, theirs = invite.all("via")
    rest = (
        "From: <sip:a@b>;tag=a\r\nTo: <sip:c@d>;tag=b\r\nCall-ID: call-1\r\nCSeq: 1 INVITE\r\nX: \xff ,,\r\n"
    )
    text = f"SIP/2.0 183 Progress\r\n{head.format(ours=ours, theirs=theirs)}\r\n{rest}\r\nbody\xff"
    callee.send(text.encode("latin-1"))
    (data,) = caller.inbox
    back = caller.take_response(183)
    assert back.all("via") == [theirs]
    assert data.endswith(f"{rest}\r\nbody\xff".encode("latin-1"))
