"""Addresses in header fields."""

import pytest

from oneproxy.sip.address import Address, parse_address
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import Uri


@pytest.mark.parametrize(
    ("value", "display", "uri", "params"),
    [
        ("<sip:a@b>", "", "sip:a@b", {}),
        (" <sip:a@b;lr>;tag=1 ", "", "sip:a@b;lr", {"tag": "1"}),
        ("sip:a@b", "", "sip:a@b", {}),
        ("sip:a@b;tag=1;x", "", "sip:a@b", {"tag": "1", "x": None}),
        ("sip:a@b ;   tag    = 19", "", "sip:a@b", {"tag": "19"}),
        ('sip:a@b;x="<c>"', "", "sip:a@b", {"x": "<c>"}),
        ('"Bob" <sip:a@b>', "Bob", "sip:a@b", {}),
        ('"Bob"<sip:a@b>;tag=1', "Bob", "sip:a@b", {"tag": "1"}),
        ('"" <sip:a@b>', "", "sip:a@b", {}),
        (r'"a \"<b>\" \\" <sip:a@b>', 'a "<b>" \\', "sip:a@b", {}),
        ('"<sip:x@y>;tag=9" <sip:a@b>;tag=1', "<sip:x@y>;tag=9", "sip:a@b", {"tag": "1"}),
        ("caller<sip:a@b>", "caller", "sip:a@b", {}),
        ("A. Bell <sip:a@b>", "A. Bell", "sip:a@b", {}),
        ("J\xc3\xbcrgen <sip:a@b>", "J\xc3\xbcrgen", "sip:a@b", {}),
        ("<sip:a,b?c@d?x=y>", "", "sip:a,b?c@d?x=y", {}),
        ("<tel:+1201>;tag=1", "", "tel:+1201", {"tag": "1"}),
        ("isbn:2983792873", "", "isbn:2983792873", {}),
        ("<http://www.example.com>;tag=3", "", "http://www.example.com", {"tag": "3"}),
    ],
)
def test_an_address_is_read_into_its_parts(
    value: str, display: str, uri: str, params: dict[str, str | None]
) -> None:
    address = parse_address(value)
    assert isinstance(address, Address)
    assert (address.display, address.uri, address.params) == (display, uri, params)
    assert address.text == value.strip()
    assert address.tag == params.get("tag")
    again = parse_address(address.format())
    assert isinstance(again, Address)
    assert (again.display, again.uri, again.params) == (display, uri, params)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "<>",
        "*",
        "<sip:>",
        "sip:",
        "<sip:a@b",
        "sip:a@b>",
        '"Bob <sip:a@b>',
        '"Bob" sip:a@b',
        '"Bob"',
        "Bob sip:a@b",
        "Bell, Alexander <sip:a@b>",
        "Bob (home) <sip:a@b>",
        "< sip:a@b >",
        "<sip:a@b><sip:c@d>",
        "<sip:a@b> x",
        "<sip:a@b>;",
        "<sip:a@b>;;;;",
        "<sip:a@b>;tag=",
        "<sip:a@b>;tag=1;tag=2",
        "<<sip:a@b>>",
        "sip:a@b?Route=%3Csip:c%3E",
        "sip:a@b,sip:c@d",
        "<sip:a\x00@b>",
        "<sip:\xe9@b>",
        "alice",
    ],
)
def test_what_is_no_address_is_malformed(value: str) -> None:
    assert parse_address(value) is Malformed.URI


def test_the_uri_of_an_address_is_read_when_asked_for() -> None:
    good = parse_address("<sip:a@b:5070>")
    bad = parse_address("<sip:a@b:x>")
    assert isinstance(good, Address)
    assert isinstance(bad, Address)
    read = good.parsed()
    assert isinstance(read, Uri)
    assert (read.user, read.host, read.port) == ("a", "b", 5070)
    assert bad.parsed() is Malformed.URI
