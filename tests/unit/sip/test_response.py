"""Making a response to a request."""

import pytest

from oneproxy.sip.check import check
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request, Response, split
from oneproxy.sip.response import respond


def request(to: str) -> Request:
    message = split(
        (
            "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=1\r\nMax-Forwards: 70\r\n"
            f"f: <sip:a@h>;tag=1\r\n{to}\r\nv: SIP/2.0/UDP b;branch=2\r\nCall-ID: c\r\n"
            "CSeq: 1 OPTIONS\r\nTimestamp: 54\r\nContact: <sip:a@h>\r\n\r\n"
        ).encode("latin-1")
    )
    assert isinstance(message, Request)
    assert check(message) is None
    return message


def test_a_response_repeats_the_header_fields_that_identify_the_request() -> None:
    assert respond(request("To: <sip:b@h>"), 404, "Not Found", "x9", ("X: y",)).decode().split("\r\n") == [
        "SIP/2.0 404 Not Found",
        "Via: SIP/2.0/UDP a;branch=1",
        "v: SIP/2.0/UDP b;branch=2",
        "f: <sip:a@h>;tag=1",
        "To: <sip:b@h>;tag=x9",
        "Call-ID: c",
        "CSeq: 1 OPTIONS",
        "X: y",
        "Content-Length: 0",
        "",
        "",
    ]


def test_trying_has_no_tag_and_repeats_the_timestamp() -> None:
    lines = respond(request("To: <sip:b@h>"), 100, "Trying").decode().split("\r\n")
    assert [line for line in lines if line.startswith(("To", "Timestamp"))] == [
        "To: <sip:b@h>",
        "Timestamp: 54",
    ]


@pytest.mark.parametrize(
    "to",
    [
        "To: <sip:b@h>;tag=own",
        "t: sip:b@h;TAG=own",
        "To: sip:b@h ;   tag    = own",
        "To: <sip:b@h>; tag=own",
        'To: "x" <sip:b@h>;y=">";tag=own',
    ],
)
def test_a_to_that_has_a_tag_gets_no_second_one(to: str) -> None:
    lines = respond(request(to), 486, "Busy Here", "x9").decode("latin-1").split("\r\n")
    assert to in lines


@pytest.mark.parametrize(
    "to", ["To: sip:b@h", "To: <sip:b@h;tag=not>", 'To: ";tag=not" <sip:b@h>', "To: <sip:b@h>;x"]
)
def test_a_to_without_a_tag_gets_one(to: str) -> None:
    lines = respond(request(to), 486, "Busy Here", "x9").decode("latin-1").split("\r\n")
    assert f"{to};tag=x9" in lines


def test_a_request_that_lacks_header_fields_can_be_answered() -> None:
    message = split(b"INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n")
    assert isinstance(message, Request)
    assert respond(message, 400, "Bad To", "x9") == (
        b"SIP/2.0 400 Bad To\r\nVia: SIP/2.0/UDP a\r\nContent-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("line", "answered"),
    [
        (b"Call-ID: a\rContact: x", ["Call-ID: a Contact: x"]),
        (b"Call-ID: a\nContact: x", ["Call-ID: a Contact: x"]),
        (b"Call-ID: a\0", ["Call-ID: a "]),
        (b" Call-ID: a", ["Call-ID: a"]),
        (b"Call-ID", []),
    ],
    ids=["bare carriage return", "bare line feed", "nul", "folded without a header before it", "no colon"],
)
def test_the_answer_to_a_faulty_request_is_well_formed_itself(line: bytes, answered: list[str]) -> None:
    message = split(b"OPTIONS sip:b@h SIP/2.0\r\n" + line + b"\r\nVia: SIP/2.0/UDP a;branch=1\r\n\r\n")
    assert isinstance(message, Request)
    assert message.fault is Malformed.HEADER_LINE
    data = respond(message, 400, "Bad Header Field", "x9")
    assert data.decode().split("\r\n") == [
        "SIP/2.0 400 Bad Header Field",
        "Via: SIP/2.0/UDP a;branch=1",
        *answered,
        "Content-Length: 0",
        "",
        "",
    ]
    answer = split(data)
    assert isinstance(answer, Response)
    assert answer.fault is None
