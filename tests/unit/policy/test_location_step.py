"""Where a request for a user goes."""

import pytest

from asking import NOW, invite, shown
from oneproxy.engine.decisions import Decision, Forward
from oneproxy.policy.domains import Domains
from oneproxy.policy.location import LocationStep
from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.location import Location
from oneproxy.site.model import Domain


def bound(contact: str, q: int = 1000, left_s: float = 60, path: tuple[str, ...] = ()) -> Binding:
    return Binding(contact, NOW + left_s, q, "c1", 1, "udp:192.0.2.7:5062", NOW, path)


def decided(*bindings: Binding, uri: str = "sip:bob@example.com", redirect: bool = False) -> Decision:
    location = Location(100)
    location.apply(Change("bob@example.com", (), bindings))
    domains = Domains(
        {"example.com": Domain("example.com", redirect=redirect)}, {"192.0.2.1:5060", "192.0.2.1"}
    )
    return LocationStep(location, domains.find, frozenset({"bob@example.com", "carol@example.com"})).decide(
        invite(uri)
    )


def targets(decision: Decision) -> list[tuple[str, tuple[str, ...]]]:
    assert isinstance(decision, Forward), decision
    assert all(target.flow is None for target in decision.targets)
    return [(target.uri, target.route) for target in decision.targets]


def test_a_request_goes_to_every_contact_at_once_the_preferred_one_first() -> None:
    decision = decided(bound("sip:bob@192.0.2.4", q=500), bound("sip:bob@192.0.2.5;transport=tcp"))
    assert targets(decision) == [("sip:bob@192.0.2.5;transport=tcp", ()), ("sip:bob@192.0.2.4", ())]


def test_a_path_becomes_the_route() -> None:
    path = ("<sip:first;lr>", "<sip:second;lr>")
    assert targets(decided(bound("sip:bob@192.0.2.4", path=path))) == [("sip:bob@192.0.2.4", path)]


def test_an_expired_contact_gets_no_request() -> None:
    decision = decided(bound("sip:bob@192.0.2.4", left_s=0), bound("sip:bob@192.0.2.5"))
    assert targets(decision) == [("sip:bob@192.0.2.5", ())]


def test_a_known_user_without_a_contact_is_unavailable() -> None:
    assert shown(decided(uri="sip:carol@example.com")) == (480, "Temporarily Unavailable", ())
    assert shown(decided(bound("sip:bob@192.0.2.4", left_s=0)))[0] == 480


@pytest.mark.parametrize(
    "uri", ["sip:dave@example.com", "sip:Bob@example.com", "sip:example.com", "tel:+12025550123"]
)
def test_an_unknown_user_is_not_found(uri: str) -> None:
    assert shown(decided(bound("sip:bob@192.0.2.4"), uri=uri)) == (404, "Not Found", ())


@pytest.mark.parametrize("uri", ["sip:bob@elsewhere.org", "sip:bob@192.0.2.99", "sip:192.0.2.4:5060"])
def test_nothing_is_relayed_to_domains_that_are_not_served(uri: str) -> None:
    assert shown(decided(bound("sip:bob@192.0.2.4"), uri=uri)) == (403, "Domain Not Served", ())


def test_a_domain_that_redirects_says_where_the_user_is() -> None:
    decision = decided(
        bound("sip:bob@192.0.2.4", q=500),
        bound("tel:+12025550123"),
        bound("sip:b@c", left_s=0),
        redirect=True,
    )
    assert shown(decision) == (
        302,
        "Moved Temporarily",
        ("Contact: <tel:+12025550123>;q=1", "Contact: <sip:bob@192.0.2.4>;q=0.5"),
    )


def test_a_domain_that_redirects_has_the_same_answers_for_who_is_not_there() -> None:
    assert shown(decided(redirect=True))[0] == 480
    assert shown(decided(redirect=True, uri="sip:dave@example.com"))[0] == 404


@pytest.mark.parametrize(
    ("contact", "uri"),
    [
        ("sip:bob@192.0.2.4?Route=%3Csip:evil%3E", "sip:bob@192.0.2.4"),
        ("sip:bob@192.0.2.4;method=BYE;lr", "sip:bob@192.0.2.4;lr"),
        ("sip:bob@192.0.2.4;Method=BYE", "sip:bob@192.0.2.4"),
        ("sip:bob:pw@192.0.2.4:5070;maddr=192.0.2.8?a=b", "sip:bob:pw@192.0.2.4:5070;maddr=192.0.2.8"),
        ("sip:tim@[2001:db8::4]?a=b", "sip:tim@[2001:db8::4]"),
    ],
)
def test_what_may_not_stand_in_a_request_uri_is_left_out(contact: str, uri: str) -> None:
    assert targets(decided(bound(contact))) == [(uri, ())]


@pytest.mark.parametrize("contact", ["tel:+12025550123", "TEL:+12025550123", "Tel:+12025550123"])
def test_a_number_gets_no_request(contact: str) -> None:
    assert shown(decided(bound(contact)))[0] == 480
    assert targets(decided(bound(contact), bound("sip:bob@192.0.2.4"))) == [("sip:bob@192.0.2.4", ())]


def test_a_secure_request_goes_to_secure_contacts_only() -> None:
    decision = decided(bound("sip:bob@192.0.2.4"), bound("SIPS:bob@192.0.2.5"), uri="sips:bob@example.com")
    assert targets(decision) == [("SIPS:bob@192.0.2.5", ())]
    assert shown(decided(bound("sip:bob@192.0.2.4"), uri="sips:bob@example.com"))[0] == 480
