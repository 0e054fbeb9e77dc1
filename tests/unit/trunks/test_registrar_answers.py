"""What a registrar says to its client."""

import pytest

from oneproxy.sip.message import Response, split
from oneproxy.trunks.registrar_answers import granted_s, least_s, moved_to, retry_after_s

CONTACT = "sip:me@192.0.2.1:5060"


def response(*headers: str) -> Response:
    found = split("\r\n".join(["SIP/2.0 200 OK", *headers, "", ""]).encode("latin-1"))
    assert isinstance(found, Response)
    return found


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        ((), 600),
        (("Expires: 300",), 300),
        ((f"Contact: <{CONTACT}>;expires=120", "Expires: 300"), 120),
        ((f"Contact: <{CONTACT}>", "Expires: 300"), 300),
        ((f"Contact: <{CONTACT}>",), 600),
        ((f"Contact: <sip:other@192.0.2.9>;expires=9, <{CONTACT};x=1>;expires=120",), 120),
        (("Contact: <sip:me@192.0.2.1>;expires=9, <sip:b@192.0.2.2>;expires=8",), 0),
        # Written otherwise by a registrar that sees a NAT.
        (("Contact: <sip:me@203.0.113.5:40000>;expires=90",), 90),
        ((f"Contact: <{CONTACT}>;expires=0",), 0),
        ((f"Contact: <{CONTACT}>;expires=soon", "Expires: 60"), 60),
        (("Expires: soon",), 600),
        (("Contact: nonsense", "Expires: 60"), 60),
        (("Expires: 0",), 0),
    ],
)
def test_what_is_granted(headers: tuple[str, ...], granted: int) -> None:
    assert granted_s(response(*headers), CONTACT, 600) == granted


@pytest.mark.parametrize(
    ("headers", "least"),
    [((), 0), (("Min-Expires: 1800",), 1800), (("Min-Expires: x",), 0), (("Min-Expires: 604801",), 0)],
)
def test_the_least_that_may_be_asked_for(headers: tuple[str, ...], least: int) -> None:
    assert least_s(response(*headers)) == least


@pytest.mark.parametrize(
    ("header", "secure", "there"),
    [
        (
            "Contact: <sip:me@192.0.2.9:5070;transport=tcp;method=X>;q=1",
            False,
            "sip:192.0.2.9:5070;transport=tcp",
        ),
        ("Contact: <tel:+351>, <mailto:a@b>, sip:192.0.2.9", False, "sip:192.0.2.9"),
        ("Contact: <sip:192.0.2.9>, <sips:192.0.2.10>", True, "sips:192.0.2.10"),
        ("Contact: <sip:192.0.2.9>", True, ""),
        ("Contact: *", False, ""),
        ("Subject: none", False, ""),
    ],
)
def test_where_else_to_ask(header: str, secure: bool, there: str) -> None:
    assert moved_to(response(header), secure) == there


@pytest.mark.parametrize(
    ("header", "left_alone"),
    [
        ("Retry-After: 120", 120),
        ("Retry-After: 18000;duration=3600", 18000),
        ("Retry-After: 5 (maintenance)", 5),
        ("Retry-After: soon", 0),
        ("Subject: none", 0),
    ],
)
def test_how_long_it_wants_to_be_left_alone(header: str, left_alone: int) -> None:
    assert retry_after_s(response(header)) == left_alone
