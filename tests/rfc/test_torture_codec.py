"""Every torture message through the codec: what is found in it, and nothing valid refused."""

from typing import Final

import pytest

from oneproxy.sip import read
from oneproxy.sip.check import check
from oneproxy.sip.framing import Framer
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request, Response, split
from oneproxy.sip.uri import Uri, parse_uri
from rfc import torture

ALL: Final = list(torture.messages())
NAMES: Final = [name for name, _, _ in ALL]

# What every element has to find in a message before it does anything with it. A valid
# message is not here; a fault that only an endpoint would look for is not either.
FAULTS: Final = {
    "rfc4475/badinv01": Malformed.VIA,
    "rfc4475/clerr": Malformed.CONTENT_LENGTH,
    "rfc4475/ncl": Malformed.CONTENT_LENGTH,
    "rfc4475/scalar02": Malformed.CSEQ,
    "rfc4475/scalarlg": Malformed.CSEQ,
    "rfc4475/quotbal": Malformed.TO,
    "rfc4475/ltgtruri": Malformed.URI,
    "rfc4475/lwsruri": Malformed.START_LINE,
    "rfc4475/lwsstart": Malformed.START_LINE,
    "rfc4475/trws": Malformed.VERSION,
    "rfc4475/badaspec": Malformed.TO,
    "rfc4475/baddn": Malformed.HEADER_LINE,
    "rfc4475/badvers": Malformed.VERSION,
    "rfc4475/mismatch01": Malformed.CSEQ_METHOD,
    "rfc4475/mismatch02": Malformed.CSEQ_METHOD,
    "rfc4475/bigcode": Malformed.STATUS,
    "rfc4475/insuf": Malformed.CALL_ID,
    "rfc4475/multi01": Malformed.REPEATED,
    "rfc4475/mcl01": Malformed.CONTENT_LENGTH,
    "rfc5118/ipv6-bad": Malformed.URI,
}


def fault_of(wire: bytes) -> Malformed | None:
    """The first fault that routing this message would come upon."""
    message = split(wire)
    if isinstance(message, Malformed):
        return message
    if isinstance(message, Response):
        number = read.cseq(message)
        return number if isinstance(number, Malformed) else message.fault
    vias = read.vias(message)
    uri = parse_uri(message.uri)
    return (
        check(message)
        or (vias if isinstance(vias, Malformed) else None)
        or (uri if isinstance(uri, Malformed) else None)
    )


def test_the_tables_name_all_messages_of_both_rfcs() -> None:
    assert len([name for name in NAMES if name.startswith("rfc4475/")]) == 49
    assert len([name for name in NAMES if name.startswith("rfc5118/")]) == 12
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize(("name", "wire", "row"), ALL, ids=NAMES)
def test_a_fault_is_found_where_there_is_one_and_nowhere_else(
    name: str, wire: bytes, row: torture.Row
) -> None:
    assert fault_of(wire) == FAULTS.get(name), row.note


def test_what_is_forwarded_is_what_came_but_for_folded_lines() -> None:
    changed = []
    for name, wire, _ in ALL:
        message = split(wire)
        if isinstance(message, Malformed) or message.bytes() != wire:
            changed.append(name.removeprefix("rfc4475/"))
    folded = ["wsinv", "esc01", "semiuri", "scalar02"]
    # The head of the one has no end, and the other is not taken for SIP at all.
    assert changed == [*folded, "baddn", "bigcode"]


@pytest.mark.parametrize(
    ("name", "wire", "row"),
    [each for each in ALL if each[2].kind == "valid"],
    ids=lambda each: str(each)[:40],
)
def test_every_typed_header_of_a_valid_message_can_be_read(name: str, wire: bytes, row: torture.Row) -> None:
    message = split(wire)
    assert isinstance(message, Request | Response)
    found = [
        read.from_address(message),
        read.to_address(message),
        read.contacts(message),
        read.routes(message),
        read.record_routes(message),
        read.vias(message),
        read.cseq(message),
        read.max_forwards(message),
        read.content_length(message),
        read.expires(message),
    ]
    assert [value for value in found if isinstance(value, Malformed)] == []


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("rfc4475/ncl", Malformed.CONTENT_LENGTH),
        ("rfc4475/mcl01", Malformed.CONTENT_LENGTH),
        ("rfc4475/inv2543", Malformed.CONTENT_LENGTH),
        ("rfc4475/clerr", None),
        ("rfc4475/wsinv", 1001),
        ("rfc4475/longreq", 3515),
        ("rfc4475/mpart01", 1290),
    ],
)
def test_a_stream_tells_the_length_of_a_message_or_is_given_up(
    name: str, length: Malformed | int | None
) -> None:
    items = Framer().feed(torture.message(name))
    assert [item if isinstance(item, Malformed) else len(item) for item in items] == (
        [] if length is None else [length]
    )


def request(name: str) -> Request:
    message = split(torture.message(name))
    assert isinstance(message, Request)
    return message


def uri(text: str) -> Uri:
    read_uri = parse_uri(text)
    assert isinstance(read_uri, Uri)
    return read_uri


def test_wsinv_is_read_through_all_its_white_space() -> None:
    message = request("rfc4475/wsinv")
    vias = read.vias(message)
    assert not isinstance(vias, Malformed)
    assert [(via.transport, via.host, via.branch) for via in vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    sender = read.from_address(message)
    contacts = read.contacts(message)
    assert not isinstance(sender, Malformed)
    assert sender is not None
    assert isinstance(contacts, list)
    assert (sender.display, sender.uri, sender.tag) == (
        'J Rosenberg \\"',
        "sip:jdrosen@example.com",
        "98asjd8",
    )
    assert [(contact.display, contact.params) for contact in contacts] == [
        ('Quoted string ""', {"newparam": "newvalue", "secondparam": None, "q": "0.33"})
    ]
    assert (read.cseq(message), read.max_forwards(message)) == ((9, "INVITE"), 68)


def test_intmeth_has_every_kind_of_character_in_its_place() -> None:
    message = request("rfc4475/intmeth")
    target = uri(message.uri)
    to = read.to_address(message)
    sender = read.from_address(message)
    assert not isinstance(to, Malformed)
    assert not isinstance(sender, Malformed)
    assert to is not None
    assert sender is not None
    assert target.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert (target.password, target.host) == ("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)", "example.com")
    assert to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert sender.display == "token1~` token2'+_ token3*%!.-"
    assert sender.tag == "_token~1'+`*%!-."


def test_escapes_are_taken_off_once_and_an_escaped_nul_cuts_nothing_off() -> None:
    contacts = read.contacts(request("rfc4475/esc01"))
    nul = read.to_address(request("rfc4475/escnull"))
    assert isinstance(contacts, list)
    assert not isinstance(nul, Malformed)
    assert nul is not None
    assert uri(contacts[0].uri).params == {"lr": None, "name": "value%41"}
    assert uri(contacts[0].uri).aor() == "caller@host5.example.net"
    assert uri(nul.uri).aor() == "null-%00-null@example.com"
    assert uri(request("rfc4475/esc01").uri).aor() == "sips%3Auser%40example.com@example.net"


def test_the_parameters_of_a_contact_stay_on_their_side_of_the_bracket() -> None:
    header = read.contacts(request("rfc4475/cparam01"))
    inside = read.contacts(request("rfc4475/cparam02"))
    assert isinstance(header, list)
    assert isinstance(inside, list)
    assert (header[0].params, uri(header[0].uri).params) == ({"unknownparam": None}, {})
    assert (inside[0].params, uri(inside[0].uri).params) == ({}, {"unknownparam": None})


def test_semicolons_belong_to_the_user_part_where_an_at_follows() -> None:
    target = uri(request("rfc4475/semiuri").uri)
    assert (target.user, target.host, target.params) == ("user;par=u%40example.net", "example.com", {})


def test_a_port_inside_the_brackets_of_ipv6_is_no_port() -> None:
    ambiguous = uri(request("rfc5118/port-ambiguous").uri)
    plain = uri(request("rfc5118/port-unambiguous").uri)
    assert (ambiguous.host, ambiguous.port) == ("2001:db8::10:5070", None)
    assert (plain.host, plain.port) == ("2001:db8::10", 5070)


def test_a_received_ipv6_address_is_the_same_with_and_without_brackets() -> None:
    found = []
    for name in ("via-received-param-no-delim", "via-received-param-with-delim"):
        vias = read.vias(request(f"rfc5118/{name}"))
        assert isinstance(vias, list)
        found.append(vias[0].received)
    assert found == ["2001:db8::9:255", "2001:db8::9:255"]


def test_three_colons_before_an_ipv4_part_are_two() -> None:
    assert (
        uri(request("rfc5118/ipv6-bug-abnf-3-colons").uri).host
        == uri(request("rfc5118/ipv6-correct-abnf-2-colons").uri).host
        == "2001:db8::192.0.2.1"
    )
