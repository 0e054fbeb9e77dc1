"""Requests for domains that are not served here: who is asked who he is, and who is relayed."""

import pytest

from asking import FLOW, NOW, ask_of, credentials, nonce_in, request_of, subscriber
from oneproxy.engine.decisions import Ask, Decision, Forward, Reply
from oneproxy.policy.build import build
from oneproxy.policy.order import Order
from oneproxy.registrar.location import Location
from oneproxy.site.model import Domain, Rule, Site

METHODS = ["INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE", "REFER", "UNHEARDOF"]
OURS, OUTSIDER = "<sip:alice@example.com>", "<sip:eve@elsewhere.org>"


def decided(ask: Ask, rules: tuple[Rule, ...] = (), authenticate: tuple[str, ...] = ("INVITE",)) -> Decision:
    return policy(rules, authenticate).decide(ask)


def policy(rules: tuple[Rule, ...] = (), authenticate: tuple[str, ...] = ("INVITE",)) -> Order:
    site = Site(
        {"example.com": Domain("example.com", authenticate, ("MD5",))},
        {"alice@example.com": subscriber("alice@example.com")},
        access=rules,
    )
    return build(
        site, b"farm", {"192.0.2.1:5060", "192.0.2.1"}, Location(10), lambda *_: True, lambda *_: None
    )


def asking(method: str, sender: str, *headers: str, uri: str = "sip:carol@elsewhere.org") -> Ask:
    return ask_of(request_of(method, uri, *headers, sender=sender, to=f"<{uri}>"), NOW, FLOW)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("authenticate", [(), ("INVITE",)], ids=["no passwords", "passwords"])
def test_nobody_from_outside_is_relayed(method: str, authenticate: tuple[str, ...]) -> None:
    decision = decided(asking(method, OUTSIDER), authenticate=authenticate)
    assert isinstance(decision, Reply)
    assert (decision.status, decision.reason, decision.cause) == (403, "Domain Not Served", "not-served")


@pytest.mark.parametrize("method", [*METHODS, "REGISTER"])
@pytest.mark.parametrize("authenticate", [(), ("INVITE",)], ids=["no passwords", "passwords"])
def test_who_says_he_is_of_ours_is_asked_to_prove_it_whatever_the_method(
    method: str, authenticate: tuple[str, ...]
) -> None:
    decision = decided(asking(method, OURS), authenticate=authenticate)
    assert isinstance(decision, Reply)
    assert (decision.status, decision.cause) == (407, "no-credentials")


@pytest.mark.parametrize("method", METHODS)
def test_a_subscriber_that_proved_itself_is_relayed_by_name(method: str) -> None:
    steps = policy()
    uri = "sip:carol@elsewhere.org"
    challenge = steps.decide(asking(method, OURS))
    value = credentials(nonce_in(challenge), method, uri, algorithm="MD5")
    ask = asking(method, OURS, f"Proxy-Authorization: {value}")
    decision = steps.decide(ask)
    assert isinstance(decision, Forward)
    assert [(target.uri, target.flow, target.route) for target in decision.targets] == [(uri, None, ())]


@pytest.mark.parametrize("sender", [OURS, OUTSIDER])
@pytest.mark.parametrize("method", METHODS)
def test_a_trusted_source_is_relayed_whoever_it_says_it_is(method: str, sender: str) -> None:
    decision = decided(asking(method, sender), (Rule("192.0.2.0/24", "", "trust"),))
    assert isinstance(decision, Forward)
    assert [target.uri for target in decision.targets] == ["sip:carol@elsewhere.org"]


def test_a_source_that_is_only_allowed_is_not_relayed() -> None:
    decision = decided(asking("INVITE", OUTSIDER), (Rule("192.0.2.0/24", "", "allow"),))
    assert isinstance(decision, Reply)
    assert decision.cause == "not-served"


def test_what_cannot_stand_in_a_request_uri_goes_no_further() -> None:
    uri = "sip:carol@elsewhere.org;method=BYE?Subject=x"
    decision = decided(asking("INVITE", OURS, uri=uri), (Rule("192.0.2.7", "", "trust"),))
    assert isinstance(decision, Forward)
    assert [target.uri for target in decision.targets] == ["sip:carol@elsewhere.org"]


def test_a_caller_elsewhere_that_cannot_be_read_is_refused() -> None:
    decision = decided(asking("MESSAGE", "<im:alice@example.com>"))
    assert isinstance(decision, Reply)
    assert (decision.status, decision.cause) == (400, "bad-from")


def test_a_number_without_a_domain_is_nowhere_and_asks_for_no_password() -> None:
    decision = decided(asking("MESSAGE", OURS, uri="tel:+351211234567"))
    assert isinstance(decision, Reply)
    assert decision.status == 404
