"""Who is counted as the caller, and whose domain a call is of: nobody can use up another one's limit."""

import pytest

from oneproxy.engine.decisions import Ask
from oneproxy.engine.flow import Flow, Listener
from oneproxy.policy.domains import Domains
from oneproxy.policy.parties import Parties
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request, split
from oneproxy.sip.uri import parse_uri
from oneproxy.site.model import Domain
from world import request

LISTENER = Listener("UDP", "192.0.2.1", 5060)
SERVED = {
    "example.com": Domain("example.com", aliases=("example.net",)),
    "open.org": Domain("open.org", authenticate=("REGISTER",)),
}
PARTIES = Parties(Domains(SERVED, {"192.0.2.1:5060"}, {"info@example.com": "alice@example.com"}))


def ask(from_: str, *headers: str, trusted: bool = False, subscriber: str | None = None, to: str = "") -> Ask:
    to = to or "sip:bob@example.com"
    data = request("INVITE", to, *headers)
    data = data.replace(b"From: <sip:alice@example.com>", f"From: {from_}".encode("latin-1"))
    message = split(data)
    uri = parse_uri(to)
    assert isinstance(message, Request)
    assert not isinstance(uri, Malformed)
    made = Ask(message, uri, Flow(LISTENER, "192.0.2.10", 5060, "f"), 0.0)
    made.trusted, made.subscriber = trusted, subscriber
    return made


def test_who_has_proved_a_password_is_that_account_whoever_from_says() -> None:
    assert PARTIES.caller(ask("<sip:sales@open.org>", subscriber="alice@example.com")) == (
        "alice@example.com",
        "example.com",
    )


@pytest.mark.parametrize(
    ("from_", "headers", "caller"),
    [
        ("<sip:alice@EXAMPLE.com>", (), ("alice@example.com", "example.com")),
        ("<sip:info@example.net>", (), ("alice@example.com", "example.com")),
        ("<sip:carol@elsewhere.net>", (), ("carol@elsewhere.net", "")),
        (
            "<sip:anybody@elsewhere.net>",
            ("P-Asserted-Identity: <sip:alice@example.com>",),
            ("alice@example.com", "example.com"),
        ),
        ("<tel:+351-21-1234567>", (), ("+351211234567", "")),
        ("Anonymous <sip:anonymous@anonymous.invalid>", (), ("", "")),
        ("<sip:example.com>", (), ("", "")),
    ],
)
def test_a_trusted_source_says_who_calls(
    from_: str, headers: tuple[str, ...], caller: tuple[str, str]
) -> None:
    assert PARTIES.caller(ask(from_, *headers, trusted=True)) == caller


@pytest.mark.parametrize(
    ("from_", "caller"),
    [
        ("<sip:alice@example.com>", ("", "")),
        ("<sip:carol@elsewhere.net>", ("", "")),
        ("<sip:zoe@open.org>", ("zoe@open.org", "open.org")),
        ("<sip:open.org>", ("", "")),
        ("<http://open.org>", ("", "")),
    ],
)
def test_who_has_proved_nothing_is_nobody_but_where_no_password_is_asked_for(
    from_: str, caller: tuple[str, str]
) -> None:
    asserted = "P-Asserted-Identity: <sip:alice@example.com>"
    assert PARTIES.caller(ask(from_, asserted)) == caller


@pytest.mark.parametrize(
    ("to", "domain"),
    [
        ("sip:bob@example.net", "example.com"),
        ("sip:bob@elsewhere.net", ""),
        ("sip:bob@192.0.2.1", ""),
        ("tel:+351211234567", ""),
    ],
)
def test_the_domain_that_a_call_is_for(to: str, domain: str) -> None:
    assert PARTIES.called(ask("<sip:alice@example.com>", to=to)) == domain
