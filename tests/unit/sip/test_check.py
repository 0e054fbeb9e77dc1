"""The check of a request: what it reads, and which fault it names first."""

import pytest

from oneproxy.sip.check import check, tag_of
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request, split
from world import request


def read(data: bytes) -> Request:
    message = split(data)
    assert isinstance(message, Request)
    return message


def test_a_sound_request_is_read() -> None:
    message = read(request("INVITE", to_tag="b", cseq=7, hops=12, body="v=0"))
    assert check(message) is None
    assert (message.call_id, message.cseq, message.from_tag, message.to_tag, message.max_forwards) == (
        "call-1",
        7,
        "a",
        "b",
        12,
    )
    assert message.body == "v=0"


def test_what_may_be_absent_is_told_as_absent() -> None:
    message = read(request("INVITE", hops=None).replace(b";tag=a", b""))
    assert check(message) is None
    assert (message.from_tag, message.to_tag, message.max_forwards) == ("", "", None)


def test_octets_beyond_the_content_length_are_no_part_of_the_message() -> None:
    message = read(request("INVITE", body="v=0") + b"INVITE sip:x SIP/2.0")
    assert check(message) is None
    assert message.body == "v=0"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("SIP/2.0\r\nVia", "SIP/3.0\r\nVia", Malformed.VERSION),
        ("SIP/2.0\r\nVia", "sip/2.0\r\nVia", Malformed.START_LINE),
        ("INVITE sip", "IN@VITE sip", Malformed.CSEQ_METHOD),
        ("Call-ID: call-1", "Call-ID: ", Malformed.CALL_ID),
        ("Call-ID: call-1", "Call-ID: a b", Malformed.CALL_ID),
        ("CSeq: 1 INVITE", "CSeq: INVITE", Malformed.CSEQ),
        ("CSeq: 1 INVITE", "CSeq: 2147483648 INVITE", Malformed.CSEQ),
        ("CSeq: 1 INVITE", "CSeq: 1 invite", Malformed.CSEQ_METHOD),
        (";tag=a", ";tag=a;tag=b", Malformed.FROM),
        ("From: <sip:alice@example.com>", "From: ", Malformed.FROM),
        ("To: <sip:bob@example.com>", "To: <sip:bob@example.com", Malformed.TO),
        ("Max-Forwards: 70", "Max-Forwards: 256", Malformed.MAX_FORWARDS),
        ("Max-Forwards: 70", "Max-Forwards: -1", Malformed.MAX_FORWARDS),
        ("Max-Forwards: 70", "Max-Forwards: 7\r\nMax-Forwards: 8", Malformed.REPEATED),
        ("Content-Length: 0", "Content-Length: 1", Malformed.CONTENT_LENGTH),
        ("Content-Length: 0", "Content-Length: 0\r\nl: 0", Malformed.CONTENT_LENGTH),
        ("Content-Length: 0", "Content-Length: +0", Malformed.CONTENT_LENGTH),
    ],
)
def test_a_fault_is_named(old: str, new: str, fault: Malformed) -> None:
    data = request("INVITE")
    assert old.encode() in data
    assert check(read(data.replace(old.encode(), new.encode(), 1))) is fault


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("<sip:a@b>;tag=x1", "x1"),
        (" A <sip:a@b>;tag=x1", "x1"),
        ("<sip:a@b> ; x=y ; tag = x.1-2 ", "x.1-2"),
        ("sip:a@b;tag=7", "7"),
        ("<sip:a@b;tag=no>", ""),
        ('"q>;tag=no" <sip:a@b>;tag=yes', "yes"),
        ("<sip:a@b>", ""),
        ("<sip:a@b>;tag=", None),
        ("<sip:a@b>;tag=a b", None),
        ("<sip:a@b>;tag=<", None),
        ("<>;tag=a", None),
        ("", None),
    ],
)
def test_a_tag_is_read_the_same_the_first_time_and_from_memory(value: str, tag: str | None) -> None:
    assert [tag_of(value), tag_of(value), tag_of(value)] == [tag] * 3


def test_a_tag_without_a_value_is_none_that_another_could_stand_beside() -> None:
    assert tag_of("<sip:b@c>;tag") is None
    assert tag_of("sip:b@c ; tag ") is None
