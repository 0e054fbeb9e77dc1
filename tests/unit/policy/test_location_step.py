"""Where a request for a user goes."""

import pytest

from asking import NOW, invite, shown
from oneproxy.engine.decisions import BEST, PENDING, Ask, Decision, Forward, Outcome, Target
from oneproxy.engine.flow import Flow, Listener
from oneproxy.policy.domains import Domains
from oneproxy.policy.location import NO_ANSWER_S, LocationStep
from oneproxy.policy.order import Order
from oneproxy.registrar.bindings import Binding, Change, static_binding
from oneproxy.registrar.gruu import Gruus
from oneproxy.registrar.location import Location
from oneproxy.registrar.mirror import Mirror
from oneproxy.site.model import Domain


def bound(
    contact: str,
    q: int = 1000,
    left_s: float = 60,
    path: tuple[str, ...] = (),
    flow: str = "",
    source: str = "udp:192.0.2.7:5062",
    instance: str = "",
    reg_id: int = 0,
) -> Binding:
    return Binding(contact, NOW + left_s, q, "c1", 1, source, NOW, path, "", instance, reg_id, flow)


ALIASES = {"+35121123@example.com": "bob@example.com"}


def step_of(
    *bindings: Binding, flows: dict[str, Flow] | None = None, domain: Domain | None = None, **more: object
) -> LocationStep:
    """more: of the domain, as `Domain` has it."""
    location = Location(100)
    location.apply(Change("bob@example.com", (), bindings))
    served = domain or Domain("example.com", **more)  # type: ignore[arg-type]
    known = frozenset({"bob@example.com", "carol@example.com"})
    domains = Domains({"example.com": served}, {"192.0.2.1:5060", "192.0.2.1"}, ALIASES, known)
    return LocationStep(location, domains, known, (flows or {}).get, Gruus(b"farm"))


def decided(*bindings: Binding, uri: str = "sip:bob@example.com", **more: object) -> Decision:
    return step_of(*bindings, **more).decide(invite(uri))  # type: ignore[arg-type]


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
        ("Contact: <tel:+12025550123>;q=1;expires=60", "Contact: <sip:bob@192.0.2.4>;q=0.5;expires=60"),
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


def redirected(
    step: LocationStep, *contacts: str, uri: str = "sip:bob@example.com", **ask: object
) -> list[str]:
    asked = invite(uri)
    for name, value in ask.items():
        setattr(asked, name, value)
    return [target.uri for target in Order([step]).redirected(asked, list(contacts))]


CONTACTS = (
    "sip:bob@example.com",
    "sip:carol@example.com",
    "sip:bob@192.0.2.66;method=BYE?a=b",
    "tel:+351-21-123",
    "mailto:bob@example.com",
    "bob",
)


def test_a_redirect_leads_strangers_to_users_of_served_domains_alone() -> None:
    step = step_of(bound("sip:bob@192.0.2.20"))
    assert redirected(step, *CONTACTS) == ["sip:bob@192.0.2.20", "sip:bob@192.0.2.20"]
    assert Order([]).redirected(invite(), list(CONTACTS)) == []


@pytest.mark.parametrize("ask", [{"trusted": True}, {"subscriber": "alice@example.com"}])
def test_a_redirect_leads_whom_we_know_elsewhere_too(ask: dict[str, object]) -> None:
    found = redirected(step_of(bound("sip:bob@192.0.2.20")), *CONTACTS, **ask)  # type: ignore[arg-type]
    assert found == ["sip:bob@192.0.2.20", "sip:bob@192.0.2.66", "sip:bob@192.0.2.20"]


@pytest.mark.parametrize("contact", ["sip:bob@192.0.2.1:5060", "sip:192.0.2.1", "sip:x@192.0.2.1;lr"])
def test_a_redirect_never_leads_to_ourselves(contact: str) -> None:
    served = {name: Domain(name) for name in ("example.com", "open.org")}
    domains = Domains(served, {"192.0.2.1:5060", "192.0.2.1"})
    step = LocationStep(Location(10), domains, (), lambda _: None, Gruus(b"farm"))
    assert redirected(step, contact, trusted=True) == []


def test_a_secure_request_is_redirected_to_what_is_secure() -> None:
    step = step_of(bound("sip:bob@192.0.2.4"), bound("sips:bob@192.0.2.5"))
    contacts = ("sip:bob@example.com", "sips:bob@example.com", "sip:x@192.0.2.66", "sips:x@192.0.2.66")
    found = redirected(step, *contacts, uri="sips:bob@example.com", trusted=True)
    assert found == ["sips:bob@192.0.2.5", "sips:x@192.0.2.66"]


def test_as_many_rounds_of_redirects_are_followed_as_the_domain_says() -> None:
    for bindings in ((bound("sip:a@h"),), (bound("sip:a@h"), bound("sip:b@h", q=1))):
        for rounds in (0, 3):
            decision = decided(*bindings, follow_redirects=rounds)
            assert isinstance(decision, Forward)
            assert decision.recurse == rounds


@pytest.mark.parametrize(
    ("status", "reason"), [(300, "Multiple Choices"), (301, "Moved Permanently"), (302, "Moved Temporarily")]
)
def test_a_domain_redirects_with_the_status_that_it_says(status: int, reason: str) -> None:
    decision = decided(bound("sip:bob@192.0.2.4"), redirect=True, redirect_status=status)
    assert shown(decision) == (status, reason, ("Contact: <sip:bob@192.0.2.4>;q=1;expires=60",))


def test_a_redirect_names_no_contact_that_only_we_can_reach() -> None:
    page = bound(WEB, flow="wss/0a.1")
    decision = decided(page, bound("sip:bob@192.0.2.4", flow="tcp/0a.2"), redirect=True)
    assert shown(decision)[2] == ("Contact: <sip:bob@192.0.2.4>;q=1;expires=60",)
    assert shown(decided(page, redirect=True)) == (480, "Temporarily Unavailable", ())


@pytest.mark.parametrize(
    "uri",
    [
        "tel:+351-21-123",
        "sip:+351.21.123@example.com",
        "sip:21-123;phone-context=+351@example.com;user=phone",
    ],
)
def test_a_number_leads_to_the_user_whose_alias_it_is(uri: str) -> None:
    assert uris(decided(bound("sip:bob@192.0.2.4"), uri=uri)) == ["sip:bob@192.0.2.4"]
    assert shown(decided(uri=uri))[0] == 480


def test_a_number_without_a_domain_is_looked_up_where_the_caller_is_proved_to_be() -> None:
    served = {name: Domain(name) for name in ("example.com", "open.org")}
    location = Location(10)
    location.apply(Change("+1@open.org", (), (bound("sip:one@h"),)))
    step = LocationStep(location, Domains(served, set()), {"+1@open.org"}, lambda _: None, Gruus(b"farm"))
    ask = invite("tel:+1", sender="<sip:alice@example.com>")
    assert shown(step.decide(ask))[0] == 404
    ask.subscriber = "zoe@open.org"
    assert uris(step.decide(ask)) == ["sip:one@h"]


@pytest.mark.parametrize(
    ("registers", "status"), [(("REGISTER", "INVITE"), 404), (("INVITE",), None), ((), None)]
)
def test_the_contacts_of_a_subscriber_that_was_removed_are_called_no_more(
    registers: tuple[str, ...], status: int | None
) -> None:
    domain = Domain("example.com", authenticate=registers)
    subscribers = {"zoe@example.com"}
    location = Location(10)
    location.apply(Change("zoe@example.com", (), (bound("sip:zoe@h", instance="<urn:a>"),)))
    domains = Domains({"example.com": domain}, set())
    step = LocationStep(location, domains, subscribers, lambda _: None, Gruus(b"farm"))
    called = ("sip:zoe@example.com", "sip:zoe@example.com;gr=urn:a")
    for uri in called:
        assert uris(step.decide(invite(uri))) == ["sip:zoe@h"]
    subscribers.clear()
    for uri in called:
        decision = step.decide(invite(uri))
        if status is None:
            assert uris(decision) == ["sip:zoe@h"]
        else:
            assert shown(decision)[0] == status
    assert len(step.redirected(invite(), list(called))) == (0 if status else 2)


def chain(decision: Decision | None) -> list[list[str]]:
    """The names of the flows of each target, in the order in which they are tried."""
    assert isinstance(decision, Forward), decision
    chains = []
    for target in decision.targets:
        flows = []
        one: Target | None = target
        while one is not None:
            assert one.flow is not None
            flows.append(one.flow.name)
            one = one.instead
        chains.append(flows)
    return chains


def flow_of(number: int, instance: str = "<urn:uuid:1>", q: int = 1000) -> Binding:
    return bound("sip:bob@192.168.1.5", q, flow=f"tcp/0a.{number}", instance=instance, reg_id=number)


FLOWS = {
    f"tcp/0a.{number}": Flow(LISTENER, "203.0.113.9", number, f"tcp/0a.{number}") for number in range(1, 6)
}


def test_the_flows_of_a_phone_are_tried_one_at_a_time_the_newest_first() -> None:
    """RFC 5626 5.3."""
    phones = (flow_of(1), flow_of(2), flow_of(4, "<urn:uuid:2>"), flow_of(3))
    decision = step_of(*phones, flows=FLOWS).decide(invite())
    assert chain(decision) == [["tcp/0a.3", "tcp/0a.2", "tcp/0a.1"], ["tcp/0a.4"]]


def test_a_flow_that_is_closed_is_no_way_to_a_phone_wherever_its_uri_leads() -> None:
    """RFC 5626 5.3: the flow was registered, not the URI."""
    left = {name: flow for name, flow in FLOWS.items() if name != "tcp/0a.3"}
    phone = [flow_of(1), flow_of(3)]
    assert chain(step_of(*phone, flows=left).decide(invite())) == [["tcp/0a.1"]]
    direct = bound("sip:bob@192.0.2.4", flow="tcp/0a.9", instance="<urn:uuid:1>", reg_id=1)
    assert shown(step_of(direct).decide(invite()))[0] == 480


def test_flows_of_one_phone_with_different_preferences_are_not_tried_after_its_answer() -> None:
    order = Order([step_of(flow_of(1, q=500), flow_of(2), flow_of(4, "<urn:uuid:2>", q=500), flows=FLOWS)])
    ask = invite()
    decision = order.decide(ask)
    assert chain(decision) == [["tcp/0a.1", "tcp/0a.2"]]
    fail(ask, decision, 486)
    assert chain(order.decide(ask)) == [["tcp/0a.4"]]


DESK = bound("sip:bob@192.0.2.4", instance="<urn:uuid:1>")
MOBILE = bound("sip:bob@192.0.2.5", instance="<urn:uuid:2>")


def test_who_is_no_subscriber_any_more_gets_no_calls_but_those_that_people_set_up() -> None:
    domain = Domain("example.com")
    location = Location(10)
    desk = bound("sip:dave@192.0.2.9", instance="<urn:uuid:9>")
    location.apply(Change("dave@example.com", (), (desk,)))
    subscribers = {"dave@example.com"}
    domains = Domains({"example.com": domain}, set(), {}, subscribers)
    step = LocationStep(location, domains, subscribers, lambda _: None, Gruus(b"farm"))
    gruu = Gruus(b"farm").temporary("dave@example.com", desk)
    for uri in ("sip:dave@example.com", "sip:dave@example.com;gr=urn:uuid:9", gruu):
        assert uris(step.decide(invite(uri))) == ["sip:dave@192.0.2.9"]
    subscribers.clear()
    for uri in ("sip:dave@example.com", "sip:dave@example.com;gr=urn:uuid:9", gruu):
        assert shown(step.decide(invite(uri)))[0] == 404
    location.apply(Change("dave@example.com", (), (static_binding("sip:hall@192.0.2.10", 1000, NOW),)))
    assert uris(step.decide(invite("sip:dave@example.com"))) == ["sip:hall@192.0.2.10"]
    # Where nobody is asked for a password there is no list of who exists.
    opened = Domain("example.com", authenticate=("INVITE",))
    assert len(uris(step_of(desk, bound("sip:b@h"), domain=opened).decide(invite()))) == 2


@pytest.mark.parametrize(
    "contact", ["sip:dave@example.com", "sip:100@example.com", "sip:+100@example.com;user=phone", "tel:+100"]
)
@pytest.mark.parametrize("gruu", ["", ";gr=urn:uuid:9", "temporary"])
def test_a_redirect_leads_to_nobody_who_was_taken_out_of_the_site(contact: str, gruu: str) -> None:
    location = Location(10)
    desk = bound("sip:dave@192.0.2.9", instance="<urn:uuid:9>")
    location.apply(Change("dave@example.com", (), (desk,)))
    subscribers = {"dave@example.com"}
    aliases = {f"{user}@example.com": "dave@example.com" for user in ("100", "+100")}
    domains = Domains({"example.com": Domain("example.com")}, set(), aliases, subscribers)
    step = LocationStep(location, domains, subscribers, lambda _: None, Gruus(b"farm"))
    if gruu == "temporary":
        contact = Gruus(b"farm").temporary("dave@example.com", desk)
    elif not contact.startswith("tel:"):
        contact += gruu
    assert redirected(step, contact, trusted=True) == ["sip:dave@192.0.2.9"]
    subscribers.clear()
    assert redirected(step, contact, trusted=True) == []


def test_who_is_taken_out_of_the_site_while_his_first_phone_rings_has_no_second_one() -> None:
    location = Location(10)
    hall = static_binding("sip:hall@192.0.2.10", 100, NOW)
    phones = (bound("sip:dave@192.0.2.8"), bound("sip:dave@192.0.2.9", 500), hall)
    location.apply(Change("dave@example.com", (), phones))
    subscribers = {"dave@example.com"}
    domains = Domains({"example.com": Domain("example.com")}, set(), {}, subscribers)
    order = Order([LocationStep(location, domains, subscribers, lambda _: None, Gruus(b"farm"))])
    ask = invite("sip:dave@example.com")
    decision = order.decide(ask)
    assert uris(decision) == ["sip:dave@192.0.2.8"]
    subscribers.clear()
    fail(ask, decision, 408)
    decision = order.decide(ask)
    assert uris(decision) == ["sip:hall@192.0.2.10"]
    fail(ask, decision, 408)
    assert order.decide(ask) is BEST


GRUU = "sip:bob@example.com;gr=urn:uuid:1"


def test_a_public_gruu_leads_to_its_instance_alone() -> None:
    assert uris(decided(DESK, MOBILE, uri=GRUU)) == ["sip:bob@192.0.2.4"]
    assert redirected(step_of(DESK, MOBILE), GRUU) == ["sip:bob@192.0.2.4"]


def test_a_gruu_leads_to_the_contact_that_its_instance_registered_last() -> None:
    """RFC 5627 6.1."""
    moved = bound("sip:bob@192.0.2.9", left_s=90, instance="<urn:uuid:1>")
    assert uris(decided(moved, DESK, MOBILE, uri=GRUU)) == ["sip:bob@192.0.2.9"]


def test_a_gruu_leads_over_the_newest_flow_of_its_instance() -> None:
    phones = (flow_of(1), flow_of(2), flow_of(4, "<urn:uuid:2>"))
    assert chain(step_of(*phones, flows=FLOWS).decide(invite(GRUU))) == [["tcp/0a.2", "tcp/0a.1"]]


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("sip:bob@example.com;gr=urn:uuid:3", 480),
        ("sip:carol@example.com;gr=urn:uuid:1", 480),
        ("sip:dave@example.com;gr=urn:uuid:1", 404),
        ("sip:bob@example.com;gr", 404),
        ("sip:tgruu.AAAA@example.com;gr", 404),
        ("sip:bob@elsewhere.org;gr=urn:uuid:1", 403),
    ],
)
def test_a_gruu_of_nobody_is_not_found_and_one_that_is_not_registered_unavailable(
    uri: str, status: int
) -> None:
    """RFC 5627 6.1."""
    assert shown(decided(DESK, uri=uri))[0] == status


def test_a_temporary_gruu_leads_to_its_instance_until_the_registration_ends() -> None:
    gruu = Gruus(b"farm").temporary("bob@example.com", DESK)
    assert uris(decided(DESK, MOBILE, uri=gruu)) == ["sip:bob@192.0.2.4"]
    assert shown(decided(MOBILE, uri=gruu))[0] == 404
    assert shown(decided(uri=gruu))[0] == 404
    assert redirected(step_of(DESK, MOBILE), gruu) == ["sip:bob@192.0.2.4"]


def test_a_temporary_gruu_waits_for_the_contacts_of_who_has_it() -> None:
    location = Location(100, known=False)
    location.begin()
    fetched: list[str] = []
    answers: list[Decision] = []

    def fetch(aor: str) -> bool:
        fetched.append(aor)
        return True

    mirror = Mirror(location, fetch, lambda _, decision: answers.append(decision))
    known = frozenset({"bob@example.com"})
    domains = Domains({"example.com": Domain("example.com")}, {"192.0.2.1"}, {}, known)
    step = LocationStep(location, domains, known, lambda _: None, Gruus(b"farm"), mirror)
    gruu = Gruus(b"farm").temporary("bob@example.com", DESK)
    assert step.decide(invite(gruu)) is PENDING
    assert fetched == ["bob@example.com"]
    mirror.fetched(["bob@example.com"], [("bob@example.com", DESK)])
    assert [uris(answer) for answer in answers] == [["sip:bob@192.0.2.4"]]
    # Nothing is loaded for one that was made up.
    assert shown(step.decide(invite("sip:tgruu.AAAA@example.com;gr")))[0] == 404
    assert fetched == ["bob@example.com"]


def test_a_secure_gruu_leads_to_a_secure_contact_alone() -> None:
    assert shown(decided(DESK, uri=GRUU.replace("sip:", "sips:")))[0] == 480


def test_users_that_come_later_count_from_then_on() -> None:
    known: set[str] = set()
    step = LocationStep(
        Location(10),
        Domains({"example.com": Domain("example.com")}, set()),
        known,
        lambda _: None,
        Gruus(b"farm"),
    )
    assert shown(step.decide(invite()))[0] == 404
    known.add("bob@example.com")
    assert shown(step.decide(invite()))[0] == 480
