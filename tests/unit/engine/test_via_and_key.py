"""The top Via: which transaction a request belongs to, and where its answer goes."""

import pytest

from oneproxy.engine.decisions import Forward, Reply, Target
from world import World, request, response

OK = Reply(200, "OK")
BOB = Forward([Target("sip:bob@192.0.2.20")])


def via_line(data: bytes, value: str) -> bytes:
    """The request with another top Via."""
    lines = data.split(b"\r\n")
    return b"\r\n".join([lines[0], f"Via: {value}".encode("latin-1"), *lines[2:]])


@pytest.mark.parametrize(
    ("sent", "answered", "port"),
    [
        ("SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1", "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1", 5060),
        ("SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bK1", "SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bK1", 5062),
        (
            "SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bK1;rport",
            "SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bK1;rport=40000;received=192.0.2.10",
            40000,
        ),
        (
            "SIP/2.0/UDP 192.0.2.10:5062;rport;branch=z9hG4bK1",
            "SIP/2.0/UDP 192.0.2.10:5062;rport=40000;branch=z9hG4bK1;received=192.0.2.10",
            40000,
        ),
        (
            "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1;rport",
            "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1;rport=40000;received=192.0.2.10",
            40000,
        ),
        (
            "SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bK1",
            "SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bK1;received=192.0.2.10",
            5070,
        ),
        (
            "SIP/2.0/UDP phone.example.com;branch=z9hG4bK1;received=203.0.113.9",
            "SIP/2.0/UDP phone.example.com;branch=z9hG4bK1;received=192.0.2.10",
            5060,
        ),
        (
            "SIP / 2.0 / UDP 192.0.2.10 : 5062 ; branch = z9hG4bK1 ; rport",
            "SIP / 2.0 / UDP 192.0.2.10 : 5062;branch=z9hG4bK1;rport=40000;received=192.0.2.10",
            40000,
        ),
    ],
)
def test_an_answer_goes_where_rfc_3581_says_and_tells_the_source(sent: str, answered: str, port: int) -> None:
    world = World(OK)
    source = world.peer("192.0.2.10", 40000)
    source.send(via_line(request("MESSAGE"), sent))
    answer = world.peer("192.0.2.10", port).take_response(200)
    assert answer.all("via") == [answered]


def test_the_source_is_told_in_the_first_of_several_values_and_forwarded_so() -> None:
    world = World(BOB)
    source = world.peer("192.0.2.10", 40000)
    source.send(
        via_line(
            request("INVITE"),
            "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1;rport, SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK0",
        )
    )
    invite = world.peer("192.0.2.20").take_request("INVITE")
    assert invite.all("via")[1] == (
        "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1;rport=40000;received=192.0.2.10, "
        "SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK0"
    )
    world.peer("192.0.2.20").send(response(invite, 486, to_tag="b"))
    source.take_response(486)


@pytest.mark.parametrize(
    "other",
    [
        {"branch": "z9hG4bK2"},
        {"via": "192.0.2.10:5099"},
        {"method": "INFO"},
    ],
)
def test_a_request_of_another_branch_sender_or_method_is_another_one(other: dict[str, str]) -> None:
    world = World(OK)
    peer = world.peer("192.0.2.10")
    peer.send(request("MESSAGE"))
    peer.send(request(other.pop("method", "MESSAGE"), **other))  # type: ignore[arg-type]
    assert len(world.asked) == 2


def test_an_rfc_2543_peer_is_matched_by_its_fields() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    old = "SIP/2.0/UDP 192.0.2.10"
    invite = via_line(request("INVITE"), old)
    caller.send(invite)
    caller.send(invite)
    got = callee.take_request("INVITE")
    assert callee.has_nothing
    callee.send(response(got, 180, to_tag="b"))
    caller.send(via_line(request("CANCEL"), old))
    assert caller.take_all() == ["SIP/2.0 180 Because", "SIP/2.0 200 OK"]
    callee.take_request("CANCEL")
    callee.send(response(got, 487, to_tag="b"))
    caller.take_response(487)
    caller.send(via_line(request("ACK", to_tag="b"), old))
    world.wait(5)
    assert caller.has_nothing
    caller.send(via_line(request("INVITE", call_id="call-2"), old))
    assert len(world.asked) == 2


def test_a_branch_that_is_the_cookie_alone_tells_nothing() -> None:
    world = World(OK)
    peer = world.peer("192.0.2.10")
    peer.send(request("MESSAGE", branch="z9hG4bK", call_id="one"))
    peer.send(request("MESSAGE", branch="z9hG4bK", call_id="two"))
    assert len(world.asked) == 2


def test_a_via_that_cannot_be_read_is_answered_to_the_source() -> None:
    world = World(OK)
    source = world.peer("192.0.2.10", 40000)
    source.send(via_line(request("MESSAGE"), "SIP/2.0/UDP ;;,branch"))
    assert source.take_response(400).reason == "Bad Via"
    assert world.asked == []


def test_a_request_without_a_via_is_dropped_and_counted() -> None:
    world = World(OK)
    source = world.peer("192.0.2.10")
    source.send(b"\r\n".join(line for line in request("MESSAGE").split(b"\r\n") if line[:3] != b"Via"))
    assert (source.has_nothing, world.engine.counters.dropped["via"]) == (True, 1)


def test_a_spelling_learned_from_one_source_serves_no_other() -> None:
    world = World(OK)
    world.peer("192.0.2.10").send(request("MESSAGE"))
    forger = world.peer("192.0.2.66", 40000)
    forger.send(request("MESSAGE", branch="z9hG4bK2"))
    assert world.peer("192.0.2.66").take_response(200).all("via") == [
        "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK2;received=192.0.2.66"
    ]
