"""What people are told of what access does with a request."""

from typing import Any

import pytest

from asking import NOW, ask_of, request_of, subscriber
from oneproxy.access.bans import SOURCE, Ban, Bans
from oneproxy.access.guard import REQUESTS
from oneproxy.access.nonces import Nonces
from oneproxy.access.rules import Rules
from oneproxy.access.step import Access
from oneproxy.policy.domains import Domains
from oneproxy.site.model import Domain, Flood, Rule, Site

SERVED = {"example.com": Domain("example.com"), "open.org": Domain("open.org", authenticate=())}
SUBSCRIBERS = {"alice@example.com": subscriber("alice@example.com")}


class Unmade(Nonces):
    """Makes no nonce."""

    def make(self, now: float, source: str = "") -> str:
        raise AssertionError("a nonce was made")


def told(
    sender: str = "<sip:alice@example.com>",
    uri: str = "sip:bob@example.com",
    method: str = "INVITE",
    **site: Any,
) -> list[tuple[str, str]]:
    bans = Bans()
    for ban, everywhere in site.pop("banned", ()):
        bans.add(ban, everywhere)
    made = Site(SERVED, SUBSCRIBERS, **site)
    of = Domains(SERVED, {"192.0.2.1:5060", "192.0.2.1"})
    step = Access(made, SUBSCRIBERS, of, Unmade(b"farm"), bans=bans)
    return step.explain(ask_of(request_of(method, uri, sender=sender))).steps


def test_who_has_a_password_is_asked_for_it() -> None:
    assert told() == [
        ("address rule", "none fits, which allows"),
        ("source", "not banned"),
        ("From", "alice@example.com, of the domain example.com"),
        ("password", "asked for (407) by example.com, for INVITE"),
        ("account", "alice@example.com, not banned"),
        ("access", "let in as alice@example.com, if the password is right"),
    ]


def test_who_is_no_subscriber_is_refused() -> None:
    assert told("<sip:zoe@example.com>")[-2:] == [
        ("account", "zoe@example.com is no subscriber of example.com; who has it in `may_use` may be it"),
        ("access", "refused: unknown-user"),
    ]


def test_a_trusted_source_is_asked_for_nothing() -> None:
    rule = Rule("192.0.2.0/24", action="trust", methods=("INVITE",))
    assert told(access=(rule,)) == [
        ("address rule", "192.0.2.0/24 for INVITE: trust"),
        ("access", "trusted: no password is asked for"),
    ]


def test_a_denied_source_is_refused() -> None:
    assert told(access=(Rule("192.0.2.7/32", action="deny"),)) == [
        ("address rule", "192.0.2.7/32: deny"),
        ("access", "refused: address-denied"),
    ]


@pytest.mark.parametrize(
    ("everywhere", "end"), [(False, ""), (True, "; nothing is read of it, and nothing answered")]
)
def test_a_banned_source_is_refused_and_said_until_when(everywhere: bool, end: str) -> None:
    ban = Ban(SOURCE, "192.0.2.7", NOW, NOW + 600, REQUESTS)
    assert told(banned=[(ban, everywhere)])[1:] == [
        ("source", f"192.0.2.7, banned until 2023-11-14 22:23:20 UTC for requests{end}"),
        ("access", "refused: banned"),
    ]


def test_a_caller_from_outside_is_let_in_for_users_here() -> None:
    assert told("<sip:dave@elsewhere.net>")[-2:] == [
        (
            "password",
            "not asked for: sip:dave@elsewhere.net is of no domain here, and may call its users only",
        ),
        ("access", "let in"),
    ]


def test_a_domain_that_asks_for_nothing_asks_who_calls_elsewhere() -> None:
    assert (
        told("<sip:bob@open.org>", "sip:x@open.org")[-2][1]
        == "not asked for: open.org asks for none for INVITE"
    )
    assert ("password", "asked for (407) by open.org, of who calls elsewhere") in told(
        "<sip:bob@open.org>", "sip:x@elsewhere.net"
    )


def test_a_flood_is_foreseen_and_not_counted() -> None:
    step = Access(
        Site(SERVED, SUBSCRIBERS, flood=Flood(requests=1)),
        SUBSCRIBERS,
        Domains(SERVED, {"192.0.2.1"}),
        Nonces(b"farm"),
    )
    request = request_of("MESSAGE", "sip:bob@example.com")
    for _ in range(3):
        assert step.explain(ask_of(request)).cause == ""
    assert step.decide(ask_of(request)) is None
    assert step.explain(ask_of(request)).cause == "flood"


def test_the_rule_that_counts_is_named() -> None:
    rules = Rules(
        [
            Rule("0.0.0.0/0", action="allow"),
            Rule("::/0", action="deny"),
            Rule("10.0.0.0/8", action="trust"),
            Rule("10.0.0.0/8", action="deny", methods=("REGISTER",)),
            Rule("2001:db8::/32", action="allow"),
            Rule(client="gw.example.net", action="trust"),
            Rule(client="gw.example.net", action="deny", methods=("MESSAGE",)),
        ]
    )
    assert rules.explain("10.1.2.3", (), "INVITE") == ("10.0.0.0/8", "trust")
    assert rules.explain("10.1.2.3", (), "REGISTER") == ("10.0.0.0/8 for REGISTER", "deny")
    assert rules.explain("192.0.2.7", (), "INVITE") == ("0.0.0.0/0", "allow")
    assert rules.explain("2001:db8::1", (), "INVITE") == ("2001:db8::/32", "allow")
    assert rules.explain("2001:db9::1", (), "INVITE") == ("::/0", "deny")
    assert rules.explain("10.1.2.3", ("gw.example.net",), "INVITE") == ("client gw.example.net", "trust")
    client = ("client gw.example.net for MESSAGE", "deny")
    assert rules.explain("10.1.2.3", ("a.example", "gw.example.net"), "MESSAGE") == client
    assert Rules([]).explain("10.1.2.3", (), "INVITE") == ("", "")
    assert rules.explain("nowhere", (), "INVITE") == ("", "")
