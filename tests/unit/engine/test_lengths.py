"""What came alone, in a datagram or a frame, goes into a stream with the length that it has
(RFC 3261 18.3): a wrong one would take what follows for its own, or let it pass for more."""

import pytest

from oneproxy.engine.decisions import Forward, Target
from oneproxy.sip.framing import Framer, fitted
from world import Peer, World, request, response

HEAD = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP a;branch=1"


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (HEAD + b"\r\nContent-Length: 4\r\n\r\nbody", HEAD + b"\r\nContent-Length: 4\r\n\r\nbody"),
        (HEAD + b"\r\nl : 2\r\n\r\nbody", HEAD + b"\r\nl : 2\r\n\r\nbo"),
        (HEAD + b"\r\n\r\nbody", HEAD + b"\r\nContent-Length: 4\r\n\r\nbody"),
        (HEAD + b"\r\nContent-Length: 5\r\n\r\nbody", None),
        (HEAD + b"\r\nContent-Length: x\r\n\r\nbody", None),
        (HEAD + b"\r\nContent-Length: 4\r\nl: 4\r\n\r\nbody", None),
        (HEAD + b"\r\n", None),
    ],
)
def test_a_message_is_fitted_into_a_stream(message: bytes, sent: bytes | None) -> None:
    assert fitted(message) == sent


def called(caller: str, callee: str) -> tuple[World, Peer, Peer]:
    """A world with a caller over one transport and a callee over another, and a call between."""
    world = World(transport="UDP", also=("TCP", "WS"))
    up, down = world.peer("192.0.2.10", 40000, caller), world.peer("192.0.2.20", 40000, callee)
    world.decisions = (Forward([Target("sip:bob@192.0.2.20", flow=down.flow)]),)
    up.send(request("INVITE"))
    return world, up, down


@pytest.mark.parametrize("transport", ["UDP", "WS"])
def test_a_callee_writes_nothing_more_into_the_callers_stream(transport: str) -> None:
    _, up, down = called("TCP", transport)
    smuggled = request("INVITE", "sip:+1900@carrier.test")
    down.send(response(down.take_request("INVITE"), 486, to_tag="b") + smuggled)
    [message] = Framer().feed(b"".join(up.inbox))
    assert isinstance(message, bytes) and message.startswith(b"SIP/2.0 486 ")


@pytest.mark.parametrize("length", [b"5000", b"-1", b"x"])
def test_a_response_that_would_swallow_others_is_dropped(length: bytes) -> None:
    world, up, down = called("TCP", "UDP")
    data = response(down.take_request("INVITE"), 486, to_tag="b")
    down.send(data.replace(b"Content-Length: 0", b"Content-Length: " + length))
    assert up.has_nothing
    assert world.engine.counters.dropped["content-length"] == 1


def test_a_length_that_is_not_said_is_added() -> None:
    _, up, down = called("TCP", "UDP")
    data = response(down.take_request("INVITE"), 180, to_tag="b").replace(b"Content-Length: 0\r\n", b"")
    down.send(data)
    assert up.take_response(180).get("content-length") == "0"


def test_a_request_goes_into_a_stream_with_its_length_too() -> None:
    world = World(transport="UDP", also=("TCP",))
    world.decisions = (Forward([Target("sip:bob@192.0.2.20;transport=tcp")]),)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20", transport="TCP")
    caller.send(request("INVITE").replace(b"Content-Length: 0\r\n", b""))
    invite = callee.take_request("INVITE")
    assert invite.get("content-length") == "0"
    callee.send(response(invite, 200, to_tag="b"))
    ok = caller.take_response(200)
    lines = [f"Route: {value}" for value in reversed(ok.all("record-route"))]
    ack = request("ACK", "sip:bob@192.0.2.20;transport=tcp", *lines, branch="z9hG4bK2", to_tag="b")
    caller.send(ack.replace(b"Content-Length: 0\r\n", b""))
    assert callee.take_request("ACK").get("content-length") == "0"
