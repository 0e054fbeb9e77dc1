"""Where a request for a user goes."""

import pytest

from asking import NOW, invite, shown
from oneproxy.engine.decisions import BEST, Ask, Decision, Forward, Outcome
from oneproxy.engine.flow import Flow, Listener
from oneproxy.policy.domains import Domains
from oneproxy.policy.location import NO_ANSWER_S, LocationStep
from oneproxy.policy.order import Order
from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.location import Location
from oneproxy.site.model import Domain


def bound(
    contact: str,
    q: int = 1000,
    left_s: float = 60,
    path: tuple[str, ...] = (),
    flow: str = "",
    source: str = "udp:192.0.2.7:5062",
) -> Binding:
    return Binding(contact, NOW + left_s, q, "c1", 1, source, NOW, path, flow=flow)


def step_of(*bindings: Binding, redirect: bool = False, flows: dict[str, Flow] | None = None) -> LocationStep:
    location = Location(100)
    location.apply(Change("bob@example.com", (), bindings))
    domains = Domains(
        {"example.com": Domain("example.com", redirect=redirect)}, {"192.0.2.1:5060", "192.0.2.1"}
    )
    known = frozenset({"bob@example.com", "carol@example.com"})
    return LocationStep(location, domains.find, known, (flows or {}).get)


def decided(*bindings: Binding, uri: str = "sip:bob@example.com", redirect: bool = False) -> Decision:
    return step_of(*bindings, redirect=redirect).decide(invite(uri))


def targets(decision: Decision | None) -> list[tuple[str, tuple[str, ...]]]:
    assert isinstance(decision, Forward), decision
    assert all(target.flow is None for target in decision.targets)
    return [(target.uri, target.route) for target in decision.targets]


def uris(decision: Decision | None) -> list[str]:
    assert isinstance(decision, Forward), decision
    return [target.uri for target in decision.targets]


def fail(ask: Ask, decision: Decision | None, *statuses: int) -> None:
    """Have the targets of `decision` end with these, as the engine notes it."""
    assert isinstance(decision, Forward), decision
    ends = [
        Outcome(target, status, None, NOW, NOW, NOW)
        for target, status in zip(decision.targets, statuses, strict=True)
    ]
    ask.outcomes = [*ask.outcomes, *ends]


def test_contacts_of_one_preference_are_tried_at_once() -> None:
    decision = decided(bound("sip:bob@192.0.2.4"), bound("sip:bob@192.0.2.5;transport=tcp"))
    assert targets(decision) == [("sip:bob@192.0.2.4", ()), ("sip:bob@192.0.2.5;transport=tcp", ())]
    assert isinstance(decision, Forward)
    assert [target.no_answer_s for target in decision.targets] == [0, 0]


def test_contacts_of_a_lower_preference_follow_when_those_before_have_failed() -> None:
    order = Order(
        [
            step_of(
                bound("sip:second@h", q=500),
                bound("sip:first@h"),
                bound("sip:third@h", q=0),
                bound("sip:1@h"),
            )
        ]
    )
    ask = invite()
    groups = []
    decision = order.decide(ask)
    while decision is not BEST:
        assert isinstance(decision, Forward)
        groups.append([(target.uri, target.no_answer_s) for target in decision.targets])
        fail(ask, decision, *[486] * len(decision.targets))
        decision = order.decide(ask)
    assert groups == [
        [("sip:first@h", NO_ANSWER_S), ("sip:1@h", NO_ANSWER_S)],
        [("sip:second@h", NO_ANSWER_S)],
        [("sip:third@h", 0)],
    ]


def test_after_a_refusal_everywhere_nobody_else_is_tried() -> None:
    order = Order([step_of(bound("sip:a@h"), bound("sip:b@h"), bound("sip:c@h", q=1))])
    ask = invite()
    fail(ask, order.decide(ask), 486, 603)
    assert order.decide(ask) is BEST


def test_requests_do_not_share_what_is_left_to_try() -> None:
    order = Order([step_of(bound("sip:a@h"), bound("sip:b@h", q=1))])
    one, other = invite(), invite()
    fail(one, order.decide(one), 408)
    assert uris(order.decide(one)) == ["sip:b@h"]
    assert uris(order.decide(other)) == ["sip:a@h"]


def test_a_preference_of_which_nothing_can_be_reached_is_passed_over() -> None:
    assert uris(decided(bound("tel:+1"), bound("sip:b@h", q=500), bound("sip:c@h", q=1))) == ["sip:b@h"]
    assert shown(decided(bound("tel:+1"), bound("tel:+2", q=500)))[0] == 480


WEB = "sip:bob@x7.invalid;transport=ws"
NAT = "sip:bob@192.168.1.5;transport=tcp"
LISTENER = Listener("TCP", "192.0.2.1", 5060)
OPEN = {name: Flow(LISTENER, "203.0.113.9", 40_000, name) for name in ("wss/0a.1", "tcp/0a.2")}


def test_a_contact_with_a_flow_is_reached_over_it() -> None:
    bindings = (bound(WEB, flow="wss/0a.1"), bound(NAT, flow="tcp/0a.2"), bound("sip:bob@192.0.2.4"))
    decision = step_of(*bindings, flows=OPEN).decide(invite())
    assert isinstance(decision, Forward)
    assert [(target.uri, target.flow) for target in decision.targets] == [
        (WEB, OPEN["wss/0a.1"]),
        (NAT, OPEN["tcp/0a.2"]),
        ("sip:bob@192.0.2.4", None),
    ]


def test_without_its_flow_a_contact_is_reached_by_its_uri_or_left_out() -> None:
    bindings = (
        bound(WEB, flow="wss/0a.1", source="wss:203.0.113.9:40000"),
        bound(NAT, flow="tcp/0a.2", source="tcp:203.0.113.9:40000"),
        bound("sip:bob@203.0.113.9;transport=tcp", flow="tcp/0a.3", source="tcp:203.0.113.9:40001"),
    )
    assert targets(decided(*bindings)) == [("sip:bob@203.0.113.9;transport=tcp", ())]
    assert shown(decided(*bindings[:2])) == (480, "Temporarily Unavailable", ())


def test_a_flow_that_closes_while_others_ring_is_not_used() -> None:
    flows = OPEN.copy()
    order = Order([step_of(bound("sip:a@h"), bound(WEB, q=500, flow="wss/0a.1"), flows=flows)])
    ask = invite()
    decision = order.decide(ask)
    flows.clear()
    fail(ask, decision, 486)
    assert order.decide(ask) is BEST


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


def test_a_redirect_leads_to_users_of_served_domains_alone() -> None:
    step = step_of(bound("sip:bob@192.0.2.20"))
    contacts = ["sip:bob@example.com", "sip:carol@example.com", "sip:bob@192.0.2.66", "tel:+351123", "bob"]
    assert [target.uri for target in Order([step]).redirected(invite(), contacts)] == ["sip:bob@192.0.2.20"]
    assert Order([]).redirected(invite(), contacts) == []
