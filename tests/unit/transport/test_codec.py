"""What stands between octets and messages, without a socket."""

import pytest

from oneproxy.transport.codec import StreamCodec
from oneproxy.transport.websocket import WebSocketCodec
from wires import answer, message

UPGRADE = (
    b"GET /sip?x=1 HTTP/1.1\r\nHost: sip.example.com\r\nUpgrade: websocket\r\n"
    b"Connection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: sip\r\nOrigin: https://anywhere.example.org\r\n\r\n"
)


def frame(data: bytes, opcode: int = 1, fin: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return bytes([opcode | (0x80 if fin else 0)]) + length + bytes(4) + data


def browser() -> WebSocketCodec:
    """A codec whose handshake is over."""
    codec = WebSocketCodec()
    assert codec.feed(UPGRADE) == []
    assert codec.take().startswith(b"HTTP/1.1 101 ")
    assert codec.open
    return codec


def test_a_stream_is_open_from_the_beginning_and_messages_go_out_as_they_are() -> None:
    codec = StreamCodec()
    assert (codec.open, codec.begun, codec.ended, codec.take()) == (True, False, False, b"")
    assert codec.frame(message()) == message()
    codec.close()
    assert codec.take() == b""


def test_a_message_has_begun_with_its_first_octet_and_a_keep_alive_is_none() -> None:
    codec = StreamCodec()
    for data, begun in ((b"\r", False), (b"\n", False), (b"\r", False), (b"\n", False), (b"O", True)):
        assert codec.feed(data) == []
        assert codec.begun is begun
    assert codec.take() == b"\r\n"
    assert codec.feed(message()[1:]) == [message()]
    assert not codec.begun


@pytest.mark.parametrize(
    ("line", "handed"),
    [
        (b"", [b"Content-Length: ?"]),
        (b"Content-Length: x\r\n", [b"Content-Length: x\r\nContent-Length: ?"]),
        (b"Content-Length: 99999\r\n", [b"Content-Length: 99999"]),
    ],
)
def test_a_request_whose_end_nobody_knows_is_handed_in_so_that_it_is_refused(
    line: bytes, handed: list[bytes]
) -> None:
    codec = StreamCodec()
    bad = message().replace(b"Content-Length: 0\r\n", line)
    end = len(bad) - len(line) - 2
    assert codec.feed(bad + message()) == [bad[:end] + handed[0] + b"\r\n\r\n"]
    assert codec.ended
    assert codec.feed(message()) == []


def test_a_response_whose_end_nobody_knows_is_discarded() -> None:
    codec = StreamCodec()
    assert codec.feed(answer("192.0.2.1").replace(b"Content-Length: 0\r\n", b"")) == []
    assert codec.ended


def test_a_head_without_end_is_no_message() -> None:
    codec = StreamCodec()
    assert codec.feed(b"INVITE " + b"x" * 70_000) == []
    assert codec.ended


@pytest.mark.parametrize("old", [b"Sec-WebSocket-Protocol: sip\r\n", b"Upgrade: websocket\r\n", b"GET"])
def test_a_handshake_that_is_refused_ends_and_what_came_with_it_is_not_read(old: bytes) -> None:
    codec = WebSocketCodec()
    assert codec.feed(UPGRADE.replace(old, b"POST" if old == b"GET" else b"") + frame(message())) == []
    assert codec.take().startswith(b"HTTP/1.1 4")
    assert (codec.ended, codec.open, codec.frame(message())) == (True, False, b"")
    assert codec.feed(frame(message())) == []


def test_a_handshake_without_end_is_refused() -> None:
    codec = WebSocketCodec()
    for _ in range(40):
        codec.feed(b"GET /" + b"x" * 8000)
    assert codec.ended


def test_a_message_that_came_with_the_handshake_is_read() -> None:
    codec = WebSocketCodec()
    assert codec.feed(UPGRADE + frame(message())) == [message()]


def test_keep_alives_and_empty_frames_are_no_messages() -> None:
    codec = browser()
    assert (
        codec.feed(frame(b"\r\n\r\n") + frame(b"\r\n") + frame(b"") + frame(b"p", 9) + frame(b"q", 10)) == []
    )
    assert codec.take() == b"\x8a\x01p\x81\x02\r\n"
    assert not codec.ended


def test_fragments_are_one_message_and_their_number_costs_nothing() -> None:
    codec = browser()
    assert codec.feed(frame(message()[:9], 1, fin=False)) == []
    assert codec.begun
    for _ in range(200):
        assert codec.feed(frame(b"", 0, fin=False) * 100) == []
    assert codec.feed(frame(message()[9:], 0)) == [message()]
    assert not codec.begun


@pytest.mark.parametrize("empty", [frame(b"", 1), frame(b"", 9), frame(b"", 10), frame(b"x", 1)])
def test_frames_by_the_thousand_end_it_before_they_were_all_read(empty: bytes) -> None:
    codec = browser()
    assert len(codec.feed(empty * 100)) <= 100
    assert not codec.ended
    codec.take()
    messages = codec.feed(empty * 5000)
    assert codec.ended
    assert len(messages) < 300
    # 1008, "policy violation", and nothing after it.
    assert b"\x03\xf0too many frames" in codec.take()[-19:]


def test_what_frames_cost_beside_their_octets_is_told() -> None:
    codec = browser()
    codec.feed(frame(message()) + frame(b"", 9))
    assert codec.worth == 256
    codec.feed(b"")
    assert codec.worth == 0


def test_fragments_that_become_too_much_end_it() -> None:
    codec = browser()
    assert codec.feed(frame(b"x" * 40_000, 2, fin=False)) == []
    assert codec.feed(frame(b"x" * 40_000, 0)) == []
    sent = codec.take()
    assert (codec.ended, sent[0], sent[2:4]) == (True, 0x88, (1009).to_bytes(2, "big"))


def test_what_came_before_good_bye_is_handed_in_and_nothing_after_it() -> None:
    codec = browser()
    assert codec.feed(frame(message()) + frame(b"\x03\xe8", 8) + frame(message())) == [message()]
    assert (codec.take(), codec.ended, codec.open) == (b"\x88\x02\x03\xe8", True, False)
    codec.close()
    assert codec.take() == b""


def test_our_own_good_bye_says_that_we_are_going_away() -> None:
    codec = browser()
    codec.close()
    assert codec.take() == b"\x88\x02\x03\xe9"


def test_frames_of_a_long_message_carry_their_length() -> None:
    codec = browser()
    assert codec.frame(b"x" * 200) == b"\x81\x7e\x00\xc8" + b"x" * 200
    assert codec.frame(b"\xff")[:2] == b"\x82\x01"
