"""Cutting a stream into messages."""

import pytest

from oneproxy.sip.framing import PING, Framer, content_length
from oneproxy.sip.malformed import Malformed

EMPTY = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"
FULL = b"MESSAGE sip:a SIP/2.0\r\nl : 9\r\nX: y\r\n\r\nab\r\n\r\n cd"


def test_messages_that_come_together_are_parted() -> None:
    framer = Framer()
    assert framer.feed(EMPTY + FULL + FULL + EMPTY) == [EMPTY, FULL, FULL, EMPTY]
    assert framer.failed is None


def test_a_message_that_comes_alone_is_not_copied() -> None:
    assert Framer().feed(FULL)[0] is FULL


def test_the_same_comes_out_when_octets_come_one_by_one() -> None:
    framer = Framer()
    stream = PING + EMPTY + b"\r\n" + FULL + PING + PING + b"\r\n" + EMPTY
    items = [item for octet in stream for item in framer.feed(bytes((octet,)))]
    assert items == [PING, EMPTY, FULL, PING, PING, EMPTY] == Framer().feed(stream)


def test_a_ping_is_reported_and_a_pong_is_dropped() -> None:
    framer = Framer()
    assert framer.feed(b"\r\n") == []
    assert framer.feed(b"\r\n") == [PING]
    assert framer.feed(b"\r\n" + EMPTY) == [EMPTY]
    assert framer.feed(b"") == []


@pytest.mark.parametrize(
    "lines",
    [
        b"X: y",
        b"Content-Length: -999",
        b"Content-Length:",
        b"Content-Length: 1 0",
        b"Content-Length: 0x10",
        b"Content-Length: 13\r\nContent-Length: 5",
        b"Content-Length: 5\r\nl: 5",
        b"Content-Length",
        b"L\r\n: 5",
    ],
)
def test_a_stream_whose_length_is_not_told_ends(lines: bytes) -> None:
    head = b"OPTIONS sip:a SIP/2.0\r\n" + lines + b"\r\n\r\n"
    framer = Framer()
    assert framer.feed(EMPTY + head + EMPTY) == [EMPTY, Malformed.CONTENT_LENGTH]
    assert framer.failed == head
    assert framer.feed(EMPTY) == []


@pytest.mark.parametrize(
    "line", [b"Content-Length: 4", b"CONTENT-LENGTH \t:4 ", b"l:0004", b"L :\t4", b"Content-Length:\r\n  4"]
)
def test_a_length_is_found_however_it_is_written(line: bytes) -> None:
    assert content_length(b"OPTIONS sip:a SIP/2.0\r\nLanguage: x\r\n" + line + b"\r\nContact: y") == 4


def test_a_message_may_be_as_large_as_the_limit_and_no_larger() -> None:
    size = len(EMPTY)
    body = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 3\r\n\r\nabc"
    assert Framer(limit=size).feed(EMPTY) == [EMPTY]
    assert Framer(limit=size - 1).feed(EMPTY) == [Malformed.TOO_LARGE]
    assert Framer(limit=len(body)).feed(body + body) == [body, body]
    framer = Framer(limit=len(body) - 1)
    assert framer.feed(body) == [Malformed.TOO_LARGE]
    assert framer.failed == body[:-3]


def test_a_head_without_end_is_given_up_at_the_limit() -> None:
    framer = Framer(limit=100)
    assert framer.feed(b"a" * 100) == []
    assert framer.feed(b"a") == [Malformed.TOO_LARGE]
    assert framer.failed == b""


def test_a_read_full_of_empty_lines_gives_its_pings_and_leaves_nothing() -> None:
    framer = Framer()
    assert framer.feed(b"\r\n" * 20_001) == [PING] * 10_000
    assert framer.feed(EMPTY) == [EMPTY]
