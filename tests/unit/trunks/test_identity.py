"""Who calls, and whether that is to be known."""

import pytest

from asking import request_of
from oneproxy.sip.message import Request
from oneproxy.trunks.identity import Identity, assert_identity, find_identity, wants_privacy

PAI = 'P-Asserted-Identity: "A, B" <sip:+351-21-123@carrier.example>, <tel:+351211>'


def call(*headers: str, sender: str = '"Alice" <sip:alice@example.com>') -> Request:
    return request_of("INVITE", "sip:1@example.com", *headers, sender=sender)


def who(request: Request, believed: bool = False, proved: str = "") -> tuple[str, str, str] | None:
    found = find_identity(request, believed, proved)
    return None if found is None else (found.display, found.user, found.host)


def test_who_is_trusted_says_who_calls() -> None:
    assert who(call(PAI), believed=True) == ("A, B", "+35121123", "carrier.example")
    assert who(call(PAI)) == ("Alice", "alice", "example.com")
    assert who(call("P-Asserted-Identity: <tel:+351-211>"), believed=True) == ("", "+351211", "")


@pytest.mark.parametrize("said", ["nonsense", "<sip:anonymous@anonymous.invalid>", "", "<sip:example.com>"])
def test_what_names_nobody_is_passed_over(said: str) -> None:
    assert who(call(f"P-Asserted-Identity: {said}"), believed=True) == ("Alice", "alice", "example.com")


@pytest.mark.parametrize(
    ("sender", "found"),
    [
        ("<sip:+351%2021%20123;x=1@example.com>", ("", "+35121123", "example.com")),
        ("<sip:al%69ce@example.com>", ("", "alice", "example.com")),
        ("<tel:+351-21>", ("", "+35121", "")),
        ('"Anonymous" <sip:anonymous@anonymous.invalid>', ("", "alice", "example.com")),
    ],
)
def test_else_from_or_who_was_proved(sender: str, found: tuple[str, str, str]) -> None:
    assert who(call(sender=sender), proved="alice@example.com") == found


def test_nobody_may_be_known() -> None:
    assert who(call(sender="<sip:anonymous@anonymous.invalid>")) is None


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ((), False),
        (("Privacy: id",), True),
        (("Privacy: ID ; critical",), True),
        (("Privacy: header", "Privacy: session"), True),
        (("Privacy: none",), False),
        (("Privacy: critical",), False),
        (("Privacy: ",), False),
    ],
)
def test_privacy_is_wanted_where_it_is_said(headers: tuple[str, ...], wanted: bool) -> None:
    assert wants_privacy(call(*headers)) is wanted


def test_an_anonymous_caller_wants_it_unless_he_says_otherwise() -> None:
    assert wants_privacy(call(sender="<sip:anonymous@anonymous.invalid>"))
    assert wants_privacy(call(sender="<sip:Anonymous@example.com>"))
    assert not wants_privacy(call("Privacy: none", sender="<sip:anonymous@anonymous.invalid>"))


def test_an_identity_is_written_so_that_nothing_in_it_is_more_than_text() -> None:
    odd = Identity('A" <sip:x@y>;z="', "", "")
    assert assert_identity(odd, "+3 5\r\n@", "h", "asserted", False) == (
        'P-Asserted-Identity: "A\\" <sip:x@y>;z=\\"" <sip:+3%205%0D%0A%40@h>'
    )
    line = assert_identity(Identity("", "", ""), "+351", "[::1]", "remote-party-id", True)
    assert line == "Remote-Party-ID: <sip:+351@[::1]>;party=calling;screen=yes;privacy=full"
    line = assert_identity(Identity("", "", ""), "+351", "h", "remote-party-id", False)
    assert line == "Remote-Party-ID: <sip:+351@h>;party=calling;screen=yes;privacy=off"
