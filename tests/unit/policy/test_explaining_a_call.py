"""A call explained by all steps of a node: what people are told, and what they may ask."""

import pytest

from asking import LISTENER, NOW, subscriber
from oneproxy.engine.decisions import Ask
from oneproxy.policy.build import build
from oneproxy.policy.explaining import Explainer, Question, Told, make_ask
from oneproxy.registrar.bindings import Change, static_binding
from oneproxy.registrar.location import Location
from oneproxy.registrar.mirror import Mirror
from oneproxy.site.model import Domain, Gateway, Provider, Route, Site

SITE = Site(
    {"example.com": Domain("example.com")},
    {aor: subscriber(aor) for aor in ("alice@example.com", "bob@example.com")},
    providers={"carrier": Provider("carrier", gateway=(Gateway("a1", "sip:198.51.100.10"),))},
    routes={"+351": Route("+351", provider="carrier")},
)


def asked(question: Question) -> Ask | str:
    return make_ask(question, [LISTENER], NOW)


def told(*question: str, location: Location | None = None, mirror: Mirror | None = None) -> Told:
    known = location or Location(10)
    policy = build(SITE, b"farm", {"192.0.2.1:5060"}, known, unsaved, unanswered, mirror=mirror)
    ask = asked(Question(*question))
    assert isinstance(ask, Ask), ask
    return Explainer(policy).explain(ask)


def unsaved(*_: object) -> bool:
    raise AssertionError("nobody registers")


def unanswered(*_: object) -> None:
    raise AssertionError("nobody waits")


def test_a_call_out_is_explained_step_by_step() -> None:
    found = told("alice@example.com", "+351912345678", "192.0.2.7")
    assert found.verdict == "to carrier/a1 as sip:+351912345678@198.51.100.10"
    assert (found.gateway, found.targets) == ("carrier/a1", ("sip:+351912345678@198.51.100.10",))
    assert [heading for heading, _ in found.steps] == [
        "Request-URI",
        "address rule",
        "source",
        "From",
        "password",
        "account",
        "access",
        "number",
        "caller",
        'route "+351"',
        "provider carrier",
        "gateway carrier/a1",
        "choice",
        "called",
        "calling",
        "Request-URI",
    ]
    assert found.steps[0] == ("Request-URI", "INVITE sip:+351912345678@example.com")


def test_a_call_to_a_user_is_explained_to_his_contacts() -> None:
    location = Location(10)
    location.apply(Change("bob@example.com", (), (static_binding("sip:bob@192.0.2.4", 1000, NOW),)))
    found = told("alice@example.com", "bob@example.com", location=location)
    assert found.steps[-2:] == [
        ("route", "none is asked for: this is for a user here, or no number"),
        ("location", "to sip:bob@192.0.2.4"),
    ]
    assert found.verdict == "to sip:bob@192.0.2.4"


def test_a_user_who_is_nowhere_is_unavailable() -> None:
    assert told("alice@example.com", "bob@example.com").verdict == "answered 480 Temporarily Unavailable"


def test_nobody_waits_for_bindings_that_are_not_known_yet() -> None:
    location = Location(10, known=False)
    waiting: list[str] = []

    def fetch(aor: str) -> bool:
        waiting.append(aor)
        return True

    mirror = Mirror(location, fetch, unanswered)
    found = told("alice@example.com", "bob@example.com", location=location, mirror=mirror)
    assert (found.verdict, waiting) == ("answered 503 Service Unavailable", [])


def test_who_is_refused_is_told_the_cause() -> None:
    assert told("zoe@example.com", "bob@example.com").verdict == "refused: unknown-user"


def test_a_register_goes_to_the_registrar() -> None:
    found = told("alice@example.com", "alice@example.com", "", "udp", "REGISTER")
    assert found.steps[0] == ("Request-URI", "REGISTER sip:example.com")
    assert (found.steps[-1], found.verdict) == (("registrar", "has it"), "it goes to the registrar")
    assert (
        told("alice@example.com", "bob@example.com", "", "udp", "REGISTER").verdict == "refused: other-user"
    )


@pytest.mark.parametrize(
    ("question", "what"),
    [
        (Question("", "bob@example.com"), "from"),
        (Question("alice", "bob@example.com"), "from"),
        (Question("alice@example.com", ""), "to"),
        (Question("alice@example.com", "sip:bob@example.com>\r\nX: y"), "to"),
        (Question("alice@example.com", "sip:bob@example.com>;x"), "to"),
        (Question("sip:a@b@c", "bob@example.com"), "from"),
        (Question("alice@example.com", "bob@example.com", "nowhere"), "source"),
        (Question("alice@example.com", "bob@example.com", "192.0.2.7", "sctp"), "transport"),
        (Question("alice@example.com", "bob@example.com", method="IN VITE"), "method"),
        (Question("alice@example.com", "bob@example.com", method="INVITE\r\nX: y"), "method"),
        (Question("alice@example.com", "x" * 2000), "to"),
    ],
)
def test_what_cannot_be_asked_is_named_with_what_can(question: Question, what: str) -> None:
    found = asked(question)
    assert isinstance(found, str)
    assert found.startswith(f"{what}: found ")
    assert "; allowed " in found


@pytest.mark.parametrize(
    ("written", "uri"),
    [
        ("sip:bob@example.com", "sip:bob@example.com"),
        ("bob@example.com", "sip:bob@example.com"),
        ("+351912345678", "sip:+351912345678@example.com"),
        ("tel:+351-912", "tel:+351-912"),
        ("j\xfcrgen@example.com", "sip:j%C3%BCrgen@example.com"),
    ],
)
def test_addresses_are_read_as_people_write_them(written: str, uri: str) -> None:
    ask = asked(Question("alice@example.com", written))
    assert isinstance(ask, Ask)
    assert ask.request.uri == uri


def test_a_source_in_ipv6_is_one() -> None:
    ask = asked(Question("alice@example.com", "bob@example.com", "2001:db8::7"))
    assert isinstance(ask, Ask)
    assert (ask.flow.host, ask.flow.name) == ("2001:db8::7", "udp/explained/[2001:db8::7]:5060")
