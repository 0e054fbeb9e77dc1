"""What only trusted peers may say of a caller."""

import pytest

from asking import request_of
from oneproxy.sip.identity import TRUSTED_ONLY, trusted_lines, without_trusted
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Response, split

SAID = [
    "P-Asserted-Identity: <sip:boss@example.com>",
    "p-asserted-identity: <tel:+351>, <sip:x@y>",
    "P-Preferred-Identity: <sip:boss@example.com>",
    "REMOTE-PARTY-ID: <sip:boss@example.com>;party=calling",
    "P-Charging-Vector: icid-value=1",
]
KEPT = ["P-Access-Network-Info: 3GPP", "Privacy: id", "X-Asserted-Identity: me"]


def response(*headers: str) -> Response:
    lines = [
        "SIP/2.0 200 OK",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa",
        "From: <sip:a@b>;tag=1",
        "To: <sip:c@d>;tag=2",
        "Call-ID: 1",
        "CSeq: 1 INVITE",
        *headers,
    ]
    message = split(("\r\n".join(lines) + "\r\n\r\nbody").encode("latin-1"))
    assert isinstance(message, Response)
    return message


def test_every_line_is_found_however_it_is_spelled_and_no_other() -> None:
    request = request_of("INVITE", "sip:bob@example.com", *SAID, *KEPT)
    assert sorted(request.lines[at] for at in trusted_lines(request)) == sorted(SAID)
    assert trusted_lines(request_of("INVITE", "sip:bob@example.com", *KEPT)) == ()


@pytest.mark.parametrize("name", sorted(TRUSTED_ONLY))
@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
def test_a_response_loses_them_and_nothing_else(name: str, spell: object) -> None:
    assert callable(spell)
    line = f"{spell(name)}: <sip:boss@example.com>"
    assert without_trusted(response(*KEPT, line)) == response(*KEPT).bytes()


@pytest.mark.parametrize("behind", [" \t", "\x0b", "\x0c", "\0", "\x1f", "\x7f", "\x85", "\xa0"])
def test_what_some_peers_skip_behind_a_name_hides_none(behind: str) -> None:
    line = f"P-Asserted-Identity{behind}: <sip:boss@example.com>"
    assert without_trusted(response(*KEPT, line)) == response(*KEPT).bytes()


def test_one_may_not_stand_behind_more_header_fields_than_are_looked_at() -> None:
    assert without_trusted(response(*["X-A: 1"] * 300, SAID[0])) is Malformed.TOO_MANY_HEADERS
    assert without_trusted(response(SAID[0], *["X-A: 1"] * 300)) is Malformed.TOO_MANY_HEADERS
    assert without_trusted(response(*["X-A: 1"] * 300)) is None


def test_a_folded_one_goes_whole() -> None:
    assert without_trusted(response("P-Asserted-Identity:", " <sip:x@y>")) == response().bytes()


def test_of_a_response_that_says_nothing_of_the_kind_nothing_is_made() -> None:
    assert without_trusted(response()) is None
    assert without_trusted(response(*KEPT)) is None
