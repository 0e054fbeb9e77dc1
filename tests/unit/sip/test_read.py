"""Header fields as typed values."""

import pytest

from oneproxy.sip import read
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Message, Request, split


def message(*lines: str) -> Message:
    request = split("\r\n".join(("OPTIONS sip:a SIP/2.0", *lines, "", "")).encode("latin-1"))
    assert isinstance(request, Request)
    return request


def test_an_absent_header_is_none_or_nothing() -> None:
    empty = message()
    single = (
        read.from_address,
        read.to_address,
        read.cseq,
        read.max_forwards,
        read.content_length,
        read.expires,
    )
    listed = (
        read.contacts,
        read.routes,
        read.record_routes,
        read.paths,
        read.vias,
        read.require,
        read.proxy_require,
        read.supported,
    )
    assert [each(empty) for each in single] == [None] * 6
    assert [each(empty) for each in listed] == [[]] * 8


def test_single_headers_are_read() -> None:
    full = message(
        'f: "A" <sip:a@b>;tag=1',
        "To: <sip:c@d>",
        "CSeq: 7 OPTIONS",
        "Max-Forwards: 0068",
        "l: 0",
        "Expires: 99999999999",
    )
    sender = read.from_address(full)
    to = read.to_address(full)
    assert not isinstance(sender, Malformed)
    assert not isinstance(to, Malformed)
    assert sender is not None
    assert to is not None
    assert (sender.display, sender.uri, sender.tag) == ("A", "sip:a@b", "1")
    assert (to.uri, to.tag) == ("sip:c@d", None)
    assert read.cseq(full) == (7, "OPTIONS")
    assert (read.max_forwards(full), read.content_length(full), read.expires(full)) == (68, 0, 2**32 - 1)


@pytest.mark.parametrize(
    ("line", "reader", "fault"),
    [
        ("From: alice", read.from_address, Malformed.FROM),
        ("From:", read.from_address, Malformed.FROM),
        ('To: "x <sip:a@b>', read.to_address, Malformed.TO),
        ("CSeq: x", read.cseq, Malformed.CSEQ),
        ("Max-Forwards: 256", read.max_forwards, Malformed.MAX_FORWARDS),
        ("Max-Forwards: ten", read.max_forwards, Malformed.MAX_FORWARDS),
        ("Content-Length: -1", read.content_length, Malformed.CONTENT_LENGTH),
        ("Expires: soon", read.expires, Malformed.EXPIRES),
        ("Contact: alice", read.contacts, Malformed.CONTACT),
        ("Contact:", read.contacts, Malformed.CONTACT),
        ("Contact: *, <sip:a@b>", read.contacts, Malformed.CONTACT),
        ("Contact: *, *", read.contacts, Malformed.CONTACT),
        ("Contact: <sip:a@b>,", read.contacts, Malformed.CONTACT),
        ("Route: sip:a@b;lr", read.routes, Malformed.ROUTE),
        ("Record-Route: <sip:a", read.record_routes, Malformed.ROUTE),
        ("Path: x", read.paths, Malformed.ROUTE),
        ("Via: SIP/2.0/UDP a, b", read.vias, Malformed.VIA),
    ],
)
def test_a_bad_header_gives_its_own_code(line: str, reader: object, fault: Malformed) -> None:
    assert callable(reader)
    assert reader(message(line)) is fault


@pytest.mark.parametrize(
    ("line", "reader", "fault"),
    [
        ("From: <sip:a@b>", read.from_address, Malformed.REPEATED),
        ("To: <sip:a@b>", read.to_address, Malformed.REPEATED),
        ("CSeq: 1 OPTIONS", read.cseq, Malformed.REPEATED),
        ("Max-Forwards: 1", read.max_forwards, Malformed.REPEATED),
        ("Expires: 1", read.expires, Malformed.REPEATED),
        ("Content-Length: 0", read.content_length, Malformed.CONTENT_LENGTH),
    ],
)
def test_a_header_that_may_stand_once_does_not_stand_twice(
    line: str, reader: object, fault: Malformed
) -> None:
    assert callable(reader)
    assert reader(message(line, line)) is fault


def test_lists_go_over_lines_and_commas_in_order() -> None:
    full = message(
        'm: "a, b" <sip:1@h>;q=0.5, <sip:2@h>',
        "Contact: sip:3@h",
        "Route: <sip:r1;lr>,<sip:r2;lr>",
        "Route: <sip:r3;lr>",
        "Record-Route: <sip:rr;lr>",
        "Path: <sip:p;lr>",
        "v: SIP/2.0/UDP v1;branch=1, SIP/2.0/TCP v2",
        "Via: SIP/2.0/TLS v3",
    )
    contacts = read.contacts(full)
    assert isinstance(contacts, list)
    assert [contact.uri for contact in contacts] == ["sip:1@h", "sip:2@h", "sip:3@h"]
    hops = [each(full) for each in (read.routes, read.record_routes, read.paths)]
    assert [[hop.uri for hop in found] for found in hops if isinstance(found, list)] == [
        ["sip:r1;lr", "sip:r2;lr", "sip:r3;lr"],
        ["sip:rr;lr"],
        ["sip:p;lr"],
    ]
    vias = read.vias(full)
    assert isinstance(vias, list)
    assert [via.host for via in vias] == ["v1", "v2", "v3"]


def test_a_star_stands_for_all_bindings() -> None:
    assert read.contacts(message("Contact: *")) is read.STAR
    assert read.contacts(message("Contact: *", "Contact: <sip:a@b>")) is Malformed.CONTACT


def test_option_tags_are_gathered() -> None:
    full = message("Require: a, b", "Require: c", "Proxy-Require: d", "k: path,gruu", "Supported:")
    assert read.require(full) == ["a", "b", "c"]
    assert read.proxy_require(full) == ["d"]
    assert read.supported(full) == ["path", "gruu"]
