"""What the engine answers or drops by itself, in which order, and that it remembers nothing of it
(RFC 3261 8.2, 16.3)."""

import pytest

from oneproxy.engine.decisions import Forward, Reply, Target
from oneproxy.engine.flow import Flow
from oneproxy.sip.malformed import Malformed
from world import World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])
NOT_FOUND = Reply(404, "Not Found")
EMPTY = {"servers": 0, "clients": 0}


def without(data: bytes, name: str) -> bytes:
    return b"\r\n".join(line for line in data.split(b"\r\n") if not line.startswith(name.encode()))


def changed(old: str, new: str) -> bytes:
    data = request("INVITE")
    assert old.encode() in data
    return data.replace(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("data", "status", "reason", "code"),
    [
        (request("INVITE", hops=0), 483, "Too Many Hops", "483"),
        (changed("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), 505, "Version Not Supported", "version"),
        (changed("1 INVITE", "1 BYE"), 400, "CSeq Method Does Not Match", "cseq-method"),
        (changed("1 INVITE", "4294967296 INVITE"), 400, "Bad CSeq", "cseq"),
        (
            changed("INVITE sip:bob@example.com", "INVITE  sip:bob@example.com"),
            400,
            "Bad Request Line",
            "start-line",
        ),
        (
            changed("INVITE sip:bob@example.com", "INVITE <sip:bob@example.com>"),
            400,
            "Bad Request-URI",
            "request-uri",
        ),
        (changed("tag=a", "tag=<"), 400, "Bad From", "from"),
        (changed("To: <", 'To: "<'), 400, "Bad To", "to"),
        (changed("Max-Forwards: 70", "Max-Forwards: 300"), 400, "Bad Max-Forwards", "max-forwards"),
        (changed("Content-Length: 0", "Content-Length: 5"), 400, "Bad Content-Length", "content-length"),
        (changed("Content-Length: 0", "Content-Length: -1"), 400, "Bad Content-Length", "content-length"),
        (changed("Call-ID: call-1", "Call-ID: a\r\nCall-ID: b"), 400, "Repeated Header Field", "repeated"),
        (changed("Call-ID: call-1", "no colon here\r\nCall-ID: x"), 400, "Bad Header Field", "header-line"),
        (
            changed("Call-ID: call-1", "X: a\nRoute: <sip:b>\r\nCall-ID: x"),
            400,
            "Bad Header Field",
            "header-line",
        ),
        (without(request("INVITE"), "From"), 400, "Bad From", "from"),
        (without(request("INVITE"), "To"), 400, "Bad To", "to"),
        (without(request("INVITE"), "Call-ID"), 400, "Bad Call-ID", "call-id"),
        (without(request("INVITE"), "CSeq"), 400, "Bad CSeq", "cseq"),
    ],
)
def test_a_bad_request_is_answered_with_what_is_bad_and_counted(
    data: bytes, status: int, reason: str, code: str
) -> None:
    world = World(BOB)
    told: list[Malformed] = []

    def tell(now: float, flow: Flow, fault: Malformed) -> None:
        assert (now, flow.host) == (world.now, "192.0.2.10")
        told.append(fault)

    world.engine.refusals.on_malformed = tell
    caller = world.peer("192.0.2.10")
    caller.send(data)
    answer = caller.take_response(status)
    assert answer.reason == reason
    assert world.engine.counters.dropped == {code: 1}
    assert told == ([] if status == 483 else [Malformed(code)])
    assert (world.asked, world.engine.sizes()) == ([], EMPTY)


def test_a_bad_ack_is_never_answered() -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("ACK", hops=0))
    caller.send(without(request("ACK"), "CSeq"))
    assert (caller.has_nothing, sum(world.engine.counters.dropped.values())) == (True, 2)


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\r\n", b"\0\0\0\0"])
def test_a_keep_alive_is_nothing(data: bytes) -> None:
    world = World(BOB)
    world.peer("192.0.2.10").send(data)
    assert world.engine.counters.dropped == {}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"hello", "not-sip"),
        (b"SIP/2.0 99 Low\r\n\r\n", "status"),
        (b"SIP/2.0 2000 High\r\n\r\n", "status"),
        (b"SIP/3.0 200 OK\r\n\r\n", "status"),
        (b"INVITE sip:a SIP/2.0\r\n" + b"x" * 70_000, "too-large"),
    ],
)
def test_what_is_no_message_is_dropped_and_counted(data: bytes, code: str) -> None:
    world = World(BOB)
    peer = world.peer("192.0.2.10")
    peer.send(data)
    assert (peer.has_nothing, world.engine.counters.dropped) == (True, {code: 1})


def test_a_response_to_nothing_is_dropped() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    good = response(invite, 200, to_tag="b")
    callee.send(good.replace(b"branch=z9hG4bKn1", b"branch=z9hG4bKn2"))
    callee.send(good.replace(b"1 INVITE", b"1 BYE"))
    callee.send(good.replace(b"Via: SIP/2.0/UDP 192.0.2.1:5060", b"Via: SIP/2.0/UDP 192.0.2.7:5060"))
    assert (caller.has_nothing, world.engine.counters.stray_responses) == (True, 3)


def test_a_failure_that_cannot_be_acknowledged_is_dropped() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(without(response(callee.take_request("INVITE"), 486), "To"))
    assert (caller.has_nothing, callee.has_nothing) == (True, True)
    assert world.engine.counters.dropped == {"to": 1}


@pytest.mark.parametrize(
    "uri", ["sip:192.0.2.1", "sip:192.0.2.1:5060", "sip:example.com", "sip:EXAMPLE.com;x=y"]
)
def test_options_to_oneproxy_is_answered_by_it(uri: str) -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("OPTIONS", uri))
    answer = caller.take_response(200)
    assert "INVITE" in (answer.get("allow") or "")
    assert answer.get("accept") is not None
    assert answer.get("supported") == "path, outbound, gruu"
    assert (world.asked, world.engine.sizes()) == ([], EMPTY)


@pytest.mark.parametrize("uri", ["sip:bob@example.com", "sip:192.0.2.1:5099", "sip:elsewhere.org"])
def test_options_to_others_is_asked_about(uri: str) -> None:
    world = World(Reply(404, "Not Found"))
    world.peer("192.0.2.10").send(request("OPTIONS", uri))
    assert len(world.asked) == 1


def test_repeated_refusals_are_the_same() -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE", hops=0))
    caller.send(request("INVITE", hops=0))
    assert caller.take_response(483).lines == caller.take_response(483).lines


@pytest.mark.parametrize("uri", ["nobody:knows-this", "tel:+351123", "urn:service:sos", "http://example.com"])
def test_a_scheme_that_nobody_here_serves_is_for_policy_to_refuse(uri: str) -> None:
    world = World(Reply(416, "Unsupported URI Scheme"))
    caller = world.peer("192.0.2.10")
    caller.send(request("OPTIONS", uri))
    assert caller.take_all() == ["SIP/2.0 416 Unsupported URI Scheme"]
    assert [ask.uri.text for ask in world.asked] == [uri]


@pytest.mark.parametrize(
    "uri", ["bob", "sip:", "sip:@example.com", "sip:bob@example.com:0", ":x", "sip:b%4@x"]
)
def test_a_uri_that_is_none_is_refused_before_policy(uri: str) -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE", uri))
    assert (caller.take_response(400).reason, world.asked) == ("Bad Request-URI", [])
    assert world.engine.counters.dropped == {"request-uri": 1}


@pytest.mark.parametrize("version", ["SIP/1.0", "SIP/2.1", "SIP/22.0", "HTTP/1.1"])
def test_another_version_is_a_505_that_names_it(version: str) -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE").replace(b"com SIP/2.0", f"com {version}".encode()))
    assert caller.take_response(505).reason == "Version Not Supported"
    assert (world.asked, world.engine.sizes()) == ([], EMPTY)


def test_the_first_fault_is_told_to_whoever_listens_with_the_way_back() -> None:
    world = World(BOB)
    told: list[tuple[float, str, int, Malformed]] = []

    def tell(now: float, flow: Flow, fault: Malformed) -> None:
        told.append((now, flow.host, flow.port, fault))

    world.engine.refusals.on_malformed = tell
    bad = request("INVITE").replace(b"Max-Forwards: 70", b"Max-Forwards: x").replace(b"1 INVITE", b"x INVITE")
    world.peer("192.0.2.10", 40_000).send(bad)
    world.peer("192.0.2.10", 40_000).send(b"nonsense")
    assert told == [
        (world.now, "192.0.2.10", 5060, Malformed.CSEQ),
        (world.now, "192.0.2.10", 40_000, Malformed.NOT_SIP),
    ]
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 400 Bad CSeq"]


def test_a_bad_response_is_dropped_counted_and_told() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    told: list[Malformed] = []
    world.engine.refusals.on_malformed = lambda _now, _flow, fault: told.append(fault)
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 486, "no colon", to_tag="b"))
    callee.send(b"SIP/2.0 486 cut off\r\nVia: x")
    assert (caller.has_nothing, callee.has_nothing) == (True, True)
    assert told == [Malformed.HEADER_LINE] * 2
    assert world.engine.counters.dropped == {"header-line": 2}
    callee.send(response(invite, 486, to_tag="b"))
    caller.take_response(486)


@pytest.mark.parametrize(
    ("hops", "left"), [(None, "70"), (255, "254"), (70, "69"), (2, "1"), (1, "0"), (0, None)]
)
def test_max_forwards_counts_down_to_a_483(hops: int | None, left: str | None) -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE", hops=hops))
    if left is None:
        assert caller.take_all() == ["SIP/2.0 483 Too Many Hops"]
        assert (callee.has_nothing, world.asked, world.engine.sizes()) == (True, [], EMPTY)
    else:
        assert callee.take_request("INVITE").all("max-forwards") == [left]


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "REGISTER"])
def test_a_refusal_that_keeps_nothing_has_the_same_tag_every_time(method: str) -> None:
    world = World(Reply(401, "Unauthorized", ('WWW-Authenticate: Digest realm="x"',), stateless=True))
    caller = world.peer("192.0.2.10")
    for _ in range(3):
        caller.send(request(method))
    answers = [caller.take_response(401).lines for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert 'WWW-Authenticate: Digest realm="x"' in answers[0]
    assert (len(world.asked), world.engine.sizes()) == (3, EMPTY)


def test_requests_that_are_not_the_same_have_tags_of_their_own() -> None:
    world = World(BOB, transactions=0)
    caller = world.peer("192.0.2.10")
    for number in range(3):
        caller.send(request("INVITE", branch=f"z9hG4bK{number}"))
    tags = {(caller.take_response(503).get("to") or "").partition("tag=")[2] for _ in range(3)}
    assert len(tags) == 3


def test_the_ack_for_a_refusal_that_kept_nothing_is_dropped() -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE", hops=0))
    tag = (caller.take_response(483).get("to") or "").partition("tag=")[2]
    caller.send(request("ACK", to_tag=tag))
    assert (caller.has_nothing, world.asked) == (True, [])
    assert world.engine.counters.dropped == {"483": 1, "stray-ack": 1}


def test_a_tag_that_is_there_stays_in_a_refusal() -> None:
    world = World(NOT_FOUND)
    caller = world.peer("192.0.2.10")
    caller.send(request("BYE", to_tag="theirs"))
    assert caller.take_response(404).get("to") == "<sip:bob@example.com>;tag=theirs"


def test_the_totals_name_everything_that_was_counted() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    caller.send(request("INVITE"))
    answer = response(callee.take_request("INVITE"), 200, to_tag="b")
    callee.send(answer)
    callee.send(answer.replace(b"1 INVITE", b"1 INFO"))
    caller.send(request("MESSAGE", hops=0))
    caller.send(b"nonsense")
    assert world.engine.counters.totals() == {
        "calls": 1,
        "requests": 3,
        "responses": 2,
        "retransmissions": 1,
        "stray_responses": 1,
        "dropped.483": 1,
        "dropped.not-sip": 1,
    }
