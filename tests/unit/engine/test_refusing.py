"""What the engine answers or drops by itself, and that it remembers nothing of it."""

import pytest

from oneproxy.engine.decisions import Forward, Reply, Target
from oneproxy.engine.flow import Flow
from oneproxy.sip.malformed import Malformed
from world import World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])
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

    world.engine.on_malformed = tell
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


def test_max_forwards_is_counted_down_and_added_where_it_is_missing() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE", hops=1))
    caller.send(request("INVITE", branch="z9hG4bK2", hops=None))
    assert [callee.take_request("INVITE").get("max-forwards") for _ in range(2)] == ["0", "70"]


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
    assert answer.get("supported") == "path"
    assert (world.asked, world.engine.sizes()) == ([], EMPTY)


@pytest.mark.parametrize("uri", ["sip:bob@example.com", "sip:192.0.2.1:5099", "sip:elsewhere.org"])
def test_options_to_others_is_asked_about(uri: str) -> None:
    world = World(Reply(404, "Not Found"))
    world.peer("192.0.2.10").send(request("OPTIONS", uri))
    assert len(world.asked) == 1


def test_a_draining_node_refuses_what_is_new_and_finishes_what_is_not() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    world.engine.drain()
    assert world.engine.unanswered() == 1
    for number, method in enumerate(("INVITE", "OPTIONS", "REGISTER")):
        caller.send(request(method, "sip:example.com", branch=f"z9hG4bKn{number}"))
        assert caller.take_response(503).get("retry-after") == "5"
    callee.send(response(invite, 200, to_tag="b"))
    route = caller.take_response(200).get("record-route")
    assert world.engine.unanswered() == 0
    caller.send(request("BYE", "sip:bob@192.0.2.20", f"Route: {route}", branch="z9hG4bK3", to_tag="b"))
    callee.take_request("BYE")
    assert len(world.asked) == 1


def test_a_full_table_refuses_without_remembering() -> None:
    world = World(BOB, transactions=2)
    caller = world.peer("192.0.2.10")
    for number in range(4):
        caller.send(request("INVITE", branch=f"z9hG4bK{number}", call_id=str(number)))
    assert caller.take_all() == ["SIP/2.0 503 Service Unavailable"] * 2
    assert world.engine.sizes() == {"servers": 2, "clients": 2}
    assert world.engine.counters.dropped == {"full": 2}


def test_repeated_refusals_are_the_same() -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE", hops=0))
    caller.send(request("INVITE", hops=0))
    assert caller.take_response(483).lines == caller.take_response(483).lines
