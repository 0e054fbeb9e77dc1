"""All steps together, as a node has them."""

from collections.abc import Callable

import pytest

from asking import FLOW, NOW, credentials, invite, nonce_in, register, shown, subscriber
from oneproxy.access.nonces import Nonces
from oneproxy.engine.decisions import PENDING, Ask, Decision, Forward, Reply
from oneproxy.engine.flow import Flow
from oneproxy.policy.build import build, on_wire
from oneproxy.policy.order import Order
from oneproxy.registrar.bindings import Binding, Change, Fate
from oneproxy.registrar.location import Location
from oneproxy.registrar.mirror import Mirror
from oneproxy.site.model import Domain, Flood, Rule, Site

SITE = Site(
    {
        "example.com": Domain("example.com", algorithms=("SHA-256",)),
        "open.org": Domain("open.org", authenticate=()),
    },
    {aor: subscriber(aor) for aor in ("alice@example.com", "bob@example.com", "j\xe4s\xf8n@example.com")},
)


class Built:
    def __init__(self, site: Site = SITE) -> None:
        self.location = Location(100)
        self.answers: list[Decision] = []
        #: Open flows, by name.
        self.flows: dict[str, Flow] = {}
        self.policy: Order = build(
            site,
            b"farm",
            {"192.0.2.1:5060", "192.0.2.1"},
            self.location,
            self.save,
            self.answer,
            self.flows.get,
        )
        self.done: list[Callable[[Fate], None]] = []

    def save(self, change: Change, done: Callable[[Fate], None]) -> bool:
        self.done.append(done)
        return True

    def answer(self, ask: Ask, decision: Decision) -> None:
        self.answers.append(decision)


def test_a_phone_registers_and_is_called() -> None:
    built = Built()
    contact = "Contact: <sip:bob@192.0.2.4>"
    to = "<sip:bob@example.com>"
    challenge = built.policy.decide(register(contact, to=to))
    value = credentials(nonce_in(challenge), "REGISTER", "sip:example.com", user="bob")
    assert built.policy.decide(register(contact, f"Authorization: {value}", to=to, cseq=2)) is PENDING
    built.done[0](Fate.STORED)
    assert shown(built.answers[0])[0] == 200
    challenge = built.policy.decide(invite())
    assert shown(challenge)[0] == 407
    value = credentials(nonce_in(challenge), "INVITE", "sip:bob@example.com")
    decision = built.policy.decide(invite("sip:bob@example.com", f"Proxy-Authorization: {value}"))
    assert isinstance(decision, Forward)
    assert [target.uri for target in decision.targets] == ["sip:bob@192.0.2.4"]


def test_a_phone_behind_nat_is_called_over_the_flow_that_it_registered_on() -> None:
    built = Built()
    built.flows[FLOW.name] = FLOW
    ask = register("Contact: <sip:zoe@192.168.1.5>", uri="sip:open.org", to="<sip:zoe@open.org>")
    assert built.policy.decide(ask) is PENDING
    built.done[0](Fate.STORED)
    decision = built.policy.decide(invite("sip:zoe@open.org", sender="<sip:dave@elsewhere.org>"))
    assert isinstance(decision, Forward)
    assert [(target.uri, target.flow) for target in decision.targets] == [("sip:zoe@192.168.1.5", FLOW)]


def test_sanity_comes_before_the_password() -> None:
    assert shown(Built().policy.decide(invite("mailto:bob@example.com")))[0] == 416
    assert shown(Built().policy.decide(invite("sip:bob@example.com", "Proxy-Require: x")))[0] == 420


def test_the_password_comes_before_the_knowledge_of_who_exists() -> None:
    assert shown(Built().policy.decide(invite("sip:nobody@example.com")))[0] == 407
    assert shown(Built().policy.decide(register(to="<sip:nobody@example.com>")))[0] == 401


def test_a_caller_from_outside_reaches_users_and_nothing_else() -> None:
    sender = "<sip:carol@elsewhere.org>"
    assert shown(Built().policy.decide(invite(sender=sender)))[0] == 480
    assert shown(Built().policy.decide(invite("sip:dave@elsewhere.org", sender=sender)))[0] == 403


def test_a_denied_source_is_refused_before_anything_else_is_looked_at() -> None:
    built = Built(Site(SITE.domains, SITE.subscribers, access=(Rule("192.0.2.0/24", "", "deny"),)))
    for uri in ("sip:bob@example.com", "im:bob@example.com", "sip:example.com", "sip:x@elsewhere.org"):
        assert shown(built.policy.decide(invite(uri))) == (403, "Forbidden", ())


def test_what_sanity_refuses_counts_as_a_request_too() -> None:
    built = Built(Site(SITE.domains, SITE.subscribers, flood=Flood(requests=3)))
    statuses = [shown(built.policy.decide(invite("im:bob@example.com")))[0] for _ in range(5)]
    assert statuses == [416, 416, 416, 403, 403]
    # Each of them once.
    built = Built(Site(SITE.domains, SITE.subscribers, flood=Flood(requests=3)))
    statuses = [shown(built.policy.decide(invite()))[0] for _ in range(5)]
    assert statuses == [407, 407, 407, 403, 403]


def test_a_register_elsewhere_is_not_relayed() -> None:
    outsider = "<sip:carol@elsewhere.org>"
    decision = Built().policy.decide(register(uri="sip:elsewhere.org", to=outsider))
    assert shown(decision) == (403, "Domain Not Served", ())
    # Who says that he is of ours is asked to prove it first.
    assert shown(Built().policy.decide(register(uri="sip:elsewhere.org")))[0] == 407


def test_a_domain_without_passwords_registers_at_once() -> None:
    built = Built()
    ask = register("Contact: <sip:zoe@192.0.2.4>", uri="sip:open.org", to="<sip:zoe@open.org>")
    assert built.policy.decide(ask) is PENDING
    built.done[0](Fate.STORED)
    assert [one.contact for one in built.location.lookup("zoe@open.org", NOW)] == ["sip:zoe@192.0.2.4"]


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("alice@example.com", "alice@example.com"),
        ("al%69ce@Example.COM", "alice@example.com"),
        ("j\xe4s\xf8n@example.com", "j%C3%A4s%C3%B8n@example.com"),
        ("j%C3%A4s\xf8n@example.com", "j%C3%A4s%C3%B8n@example.com"),
        ("*98#@example.com", "*98%23@example.com"),
    ],
)
def test_an_address_in_the_configuration_is_the_one_that_requests_name(written: str, named: str) -> None:
    assert on_wire(written) == named


def test_a_user_with_a_name_beyond_ascii_registers() -> None:
    built = Built()
    to = "<sip:j%C3%A4s%C3%B8n@example.com>"
    value = credentials(
        nonce_in(built.policy.decide(register(to=to))), "REGISTER", "sip:example.com", user="j\xe4s\xf8n"
    )
    # Off the wire, a name in UTF-8 is the Latin-1 characters of its octets.
    value = value.replace("j\xe4s\xf8n", "j\xe4s\xf8n".encode().decode("latin-1"))
    assert shown(built.policy.decide(register(f"Authorization: {value}", to=to, cseq=2)))[0] == 200


@pytest.mark.parametrize("how", ["page", "fetched", "changed"])
def test_where_phones_are_registered_is_known_as_their_bindings_come(how: str) -> None:
    """A guess in their name, by who sees none of our answers to them, is not held against them."""
    built = Built()
    mirror = Mirror(built.location, lambda _: True, lambda _ask, _decision: None)
    policy = build(
        SITE, b"farm", {"192.0.2.1"}, built.location, built.save, built.answer, built.flows.get, mirror
    )
    aor = "alice@example.com"
    there = Binding("sip:a@b", NOW + 60, 1000, "c", 1, f"udp:{FLOW.host}:5062", NOW)
    match how:
        case "page":
            mirror.page([(aor, there)], False)
        case "fetched":
            mirror.fetched([aor], [(aor, there)])
        case _:
            mirror.changed([Change(aor, (), (there,))])
    value = credentials(Nonces(b"farm").make(NOW, "203.0.113.1"), "REGISTER", "sip:example.com", password="x")
    decision = policy.decide(register(f"Authorization: {value}"))
    assert isinstance(decision, Reply)
    assert decision.cause == "stale"
