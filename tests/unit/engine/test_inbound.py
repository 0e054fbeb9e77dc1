"""The top Via: which transaction a request is, and where its answer goes, however it is spelled
(RFC 3261 17.2.3, 18.2; RFC 3581)."""

import pytest

from oneproxy.engine.decisions import Forward, Reply, Target
from oneproxy.engine.inbound import usual_key
from world import World, request, response

OK = Reply(200, "OK")
BOB = Forward([Target("sip:bob@192.0.2.20")])


def via(data: bytes, value: str, name: str = "Via") -> bytes:
    """The request with another top Via line."""
    lines = data.split(b"\r\n")
    return b"\r\n".join([lines[0], f"{name}: {value}".encode("latin-1"), *lines[2:]])


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
            40000,
        ),
        (
            "SIP/2.0/UDP phone.example.com:5070;branch=z9hG4bK1",
            "SIP/2.0/UDP phone.example.com:5070;branch=z9hG4bK1;received=192.0.2.10",
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
    source.send(via(request("MESSAGE"), sent))
    answer = world.peer("192.0.2.10", port).take_response(200)
    assert answer.all("via") == [answered]


def test_the_source_is_told_in_the_first_of_several_values_and_forwarded_so() -> None:
    world = World(BOB)
    source = world.peer("192.0.2.10", 40000)
    source.send(
        via(
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
    invite = via(request("INVITE"), old)
    caller.send(invite)
    caller.send(invite)
    got = callee.take_request("INVITE")
    assert callee.has_nothing
    callee.send(response(got, 180, to_tag="b"))
    caller.send(via(request("CANCEL"), old))
    assert caller.take_all() == ["SIP/2.0 180 Because", "SIP/2.0 200 OK"]
    callee.take_request("CANCEL")
    callee.send(response(got, 487, to_tag="b"))
    caller.take_response(487)
    caller.send(via(request("ACK", to_tag="b"), old))
    world.wait(5)
    assert caller.has_nothing
    caller.send(via(request("INVITE", call_id="call-2"), old))
    assert len(world.asked) == 2


def test_a_branch_that_is_the_cookie_alone_tells_nothing() -> None:
    world = World(OK)
    peer = world.peer("192.0.2.10")
    peer.send(request("MESSAGE", branch="z9hG4bK", call_id="one"))
    peer.send(request("MESSAGE", branch="z9hG4bK", call_id="two"))
    assert len(world.asked) == 2


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
    assert forger.take_response(200).all("via") == [
        "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK2;received=192.0.2.66"
    ]


@pytest.mark.parametrize(
    "again",
    [
        "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK1",
        "SIP/2.0/UDP 192.0.2.10;Branch=z9hG4bK1",
        "SIP/2.0/UDP 192.0.2.10 ; branch = z9hG4bK1 ",
        "SIP / 2.0/UDP 192.0.2.10;branch=z9hG4bK1",
        "SIP/2.0/UDP 192.0.2.10;ttl=1;branch=z9hG4bK1;x=y",
        "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1, SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK0",
        "SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1;received=203.0.113.9",
    ],
)
@pytest.mark.parametrize("name", ["Via", "v"])
def test_a_request_is_the_same_in_every_spelling_of_its_via(name: str, again: str) -> None:
    world = World(OK)
    peer = world.peer("192.0.2.10")
    peer.send(request("MESSAGE"))
    peer.send(via(request("MESSAGE"), again, name))
    assert (len(world.asked), peer.take_all()) == (1, ["SIP/2.0 200 OK"] * 2)
    assert world.engine.counters.retransmissions == 1


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("10.0.0.5;rport=1;branch=z9hG4bK1", "10.0.0.5;rport=40000;branch=z9hG4bK1;received=192.0.2.10"),
        ("10.0.0.5;RPORT;branch=z9hG4bK1", "10.0.0.5;rport=40000;branch=z9hG4bK1;received=192.0.2.10"),
        (
            "10.0.0.5;branch=z9hG4bK1;received=10.0.0.5;rport=5060",
            "10.0.0.5;branch=z9hG4bK1;rport=40000;received=192.0.2.10",
        ),
        ("10.0.0.5 ;branch=z9hG4bK1 ; rport ", "10.0.0.5;branch=z9hG4bK1;rport=40000;received=192.0.2.10"),
        (
            'Phone.Example.COM:5070;x="a;,b";rport;branch=z9hG4bK1',
            'Phone.Example.COM:5070;x="a;,b";rport=40000;branch=z9hG4bK1;received=192.0.2.10',
        ),
        (
            "192.0.2.10:40000;branch=z9hG4bK1;rport",
            "192.0.2.10:40000;branch=z9hG4bK1;rport=40000;received=192.0.2.10",
        ),
    ],
)
def test_a_peer_that_asks_for_rport_is_told_its_source_whatever_it_claimed(sent: str, answered: str) -> None:
    world = World(OK)
    source = world.peer("192.0.2.10", 40_000)
    source.send(via(request("MESSAGE"), f"SIP/2.0/UDP {sent}"))
    assert source.take_response(200).all("via") == [f"SIP/2.0/UDP {answered}"]
    assert len(world.peers) == 1


def test_a_claimed_received_never_leads_an_answer_astray() -> None:
    world = World(OK)
    source = world.peer("192.0.2.10")
    source.send(via(request("MESSAGE"), "SIP/2.0/UDP 192.0.2.10;received=203.0.113.9;branch=z9hG4bK1"))
    assert source.take_response(200).all("via") == ["SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1"]
    assert len(world.peers) == 1


@pytest.mark.parametrize("repeated", [False, True])
def test_an_ipv6_peer_is_answered_in_brackets_and_by_its_source(repeated: bool) -> None:
    world = World(OK)
    peer = world.peer("2001:db8::10", 5070)
    for number in range(1 + repeated):
        peer.send(via(request("MESSAGE"), f"SIP/2.0/UDP [2001:DB8::10]:5070;branch=z9hG4bK{number}"))
        answer = peer.take_response(200)
        assert answer.all("via") == [f"SIP/2.0/UDP [2001:DB8::10]:5070;branch=z9hG4bK{number}"]
    assert len(world.peers) == 1


def test_what_is_passed_on_carries_the_source_below_our_via() -> None:
    world = World(BOB)
    world.peer("192.0.2.10", 40_000).send(
        via(request("INVITE"), "SIP/2.0/UDP 10.0.0.5;rport;branch=z9hG4bK1", "v")
    )
    vias = world.peer("192.0.2.20").take_request("INVITE").all("via")
    assert vias[1] == "SIP/2.0/UDP 10.0.0.5;rport=40000;branch=z9hG4bK1;received=192.0.2.10"
    assert len(vias) == 2


def test_lower_vias_pass_as_they_came() -> None:
    world = World(BOB)
    lower = "v: SIP/2.0/UDP 10.9.9.9 ;branch=z9hG4bK0;received=1.2.3.4,SIP/2.0/TCP x"
    data = request("INVITE").replace(b"From:", f"{lower}\r\nFrom:".encode())
    world.peer("192.0.2.10").send(data)
    assert lower in world.peer("192.0.2.20").take_request("INVITE").lines


def test_a_retransmission_may_come_from_another_port() -> None:
    world = World(BOB)
    sent = via(request("INVITE"), "SIP/2.0/UDP 10.0.0.5;rport;branch=z9hG4bK1")
    first, second = world.peer("192.0.2.10", 40_000), world.peer("192.0.2.10", 40_001)
    first.send(sent)
    second.send(sent)
    callee = world.peer("192.0.2.20")
    callee.send(response(callee.take_request("INVITE"), 486, to_tag="b"))
    assert callee.take_all() == ["ACK sip:bob@192.0.2.20 SIP/2.0"]
    assert (first.take_all(), second.has_nothing) == (["SIP/2.0 486 Because"], True)


@pytest.mark.parametrize(
    "tail", [' x<>"', "\xe4", "1;rport;rport", "1;rport;x=", "1,", "1, SIP/2.0/UDP ;;", ';x="']
)
def test_a_via_with_a_bad_end_is_judged_the_same_at_any_time(tail: str) -> None:
    answers = []
    for learned in (False, True):
        world = World(OK)
        peer = world.peer("192.0.2.30" if learned else "192.0.2.31")
        if learned:
            peer.send(request("MESSAGE", branch="z9hG4bK7", via=peer.flow.host))
            peer.take_response(200)
        peer.send(via(request("MESSAGE"), f"SIP/2.0/UDP {peer.flow.host};branch=z9hG4bK{tail}"))
        answers.append(peer.take_all())
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "value",
    [
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ;;,branch",
        "UDP 192.0.2.10",
        "SIP/2.0/UDP 192.0.2.10:99999;branch=z9hG4bK1",
        ",",
        "",
        "\x7f",
    ],
)
def test_an_unreadable_via_is_a_400_to_the_source_that_is_counted_and_forgotten(value: str) -> None:
    world = World(OK)
    source = world.peer("192.0.2.10", 40_000)
    source.send(via(request("INVITE"), value))
    answer = source.take_response(400)
    assert (answer.reason, answer.get("via"), answer.get("call-id")) == ("Bad Via", value, "call-1")
    assert (world.engine.counters.dropped, len(world.peers)) == ({"via": 1}, 1)
    assert (world.asked, world.engine.sizes()) == ([], {"servers": 0, "clients": 0})


def test_an_ack_with_an_unreadable_via_is_not_answered() -> None:
    world = World(OK)
    source = world.peer("192.0.2.10")
    source.send(via(request("ACK"), "nonsense"))
    assert (source.has_nothing, world.engine.counters.dropped) == (True, {"via": 1})


@pytest.mark.parametrize("number", ["1 ", "1\t", "01  "])
def test_the_ack_of_an_rfc_2543_peer_ends_the_repetition_of_its_failure(number: str) -> None:
    world = World(Reply(404, "Not Found"))
    caller = world.peer("192.0.2.10")

    def old(method: str, to_tag: str = "") -> bytes:
        data = request(method, to_tag=to_tag).replace(b"CSeq: 1 ", f"CSeq: {number}".encode())
        return via(data, "SIP/2.0/UDP 192.0.2.10")

    caller.send(old("INVITE"))
    tag = (caller.take_response(404).get("to") or "").partition("tag=")[2]
    caller.send(old("ACK", tag))
    world.wait(20)
    assert (caller.has_nothing, world.engine.sizes()) == (True, {"servers": 0, "clients": 0})


@pytest.mark.parametrize(
    "other",
    [
        {"call_id": "call-2"},
        {"cseq": 2},
        {"from_tag": "x"},
        {"uri": "sip:carol@example.com"},
    ],
)
def test_requests_of_an_rfc_2543_peer_differ_by_any_of_their_fields(other: dict[str, str]) -> None:
    world = World(OK)
    peer = world.peer("192.0.2.10")
    for fields in ({}, other):
        peer.send(via(request("MESSAGE", **fields), "SIP/2.0/UDP 192.0.2.10;branch=1"))  # type: ignore[arg-type]
    assert len(world.asked) == 2


def test_an_rfc_2543_peer_behind_a_translator_is_matched_before_its_via_is_mended() -> None:
    world = World(BOB)
    source = world.peer("192.0.2.10", 40_000)
    sent = via(request("INVITE"), "SIP/2.0/UDP 10.0.0.5;rport")
    source.send(sent)
    source.send(sent)
    assert (len(world.asked), world.engine.counters.retransmissions) == (1, 1)


def test_over_a_reliable_transport_the_answer_takes_the_connection() -> None:
    world = World(OK, transport="TCP")
    source = world.peer("192.0.2.10", 40_000)
    source.send(via(request("MESSAGE"), "SIP/2.0/TCP 192.0.2.10;branch=z9hG4bK1"))
    source.send(via(request("MESSAGE"), "SIP/2.0/TCP 192.0.2.10:5090;branch=z9hG4bK2;x=y"))
    assert source.take_all() == ["SIP/2.0 200 OK"] * 2
    assert len(world.peers) == 1


def test_a_via_that_asks_how_much_less_we_want_is_read_once_for_all_of_its_sender() -> None:
    """What stands before the branch says nothing of where answers go (RFC 7339 4)."""
    world = World(OK)
    peer = world.peer("192.0.2.177")
    sent = 'SIP/2.0/UDP 192.0.2.177;oc;oc-algo="loss"'
    flow = peer.flow
    assert usual_key(f" {sent};branch=z9hG4bK1", "MESSAGE", flow) is None
    peer.send(request("MESSAGE", via='192.0.2.177;oc;oc-algo="loss"'))
    assert peer.take_response(200).all("via") == [f"{sent};branch=z9hG4bK1"]
    assert usual_key(f" {sent};branch=z9hG4bK2", "MESSAGE", flow) == "2;192.0.2.177:5060;MESSAGE"
