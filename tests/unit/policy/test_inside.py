"""Requests inside of a dialog that policy is asked about: those that go elsewhere than it leads, and
those for a GRUU."""

import pytest

from asking import FLOW, NOW, ask_of, credentials, nonce_in, request_of, shown, subscriber, uri_of
from oneproxy.engine.decisions import PENDING, Ask, Decision, Forward, Reply
from oneproxy.policy.build import build
from oneproxy.policy.domains import Domains
from oneproxy.policy.location import LocationStep
from oneproxy.policy.order import Order
from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.gruu import Gruus
from oneproxy.registrar.location import Location
from oneproxy.registrar.mirror import Mirror
from oneproxy.site.model import Domain, Rule, Site

METHODS = ["INVITE", "BYE", "UPDATE", "INFO", "MESSAGE", "NOTIFY", "REFER"]
OURS, OUTSIDER = "<sip:alice@example.com>", "<sip:eve@elsewhere.org>"
PLACE = "sip:192.0.2.99"
ROUTES = ("Route: <sip:192.0.2.1:5060;lr;mark=00>", "Route: <sip:192.0.2.99;lr>")


def order(*rules: Rule) -> Order:
    site = Site(
        {"example.com": Domain("example.com", ("INVITE",), ("MD5",))},
        {"alice@example.com": subscriber("alice@example.com")},
        access=rules,
    )
    own = {"192.0.2.1:5060", "192.0.2.1"}
    return build(site, b"farm", own, Location(10), lambda *_: True, lambda *_: None)


def asking(method: str, sender: str, *headers: str, inside: bool = True) -> Ask:
    """As the engine asks about a request whose next Route is of a place that its dialog does not lead to."""
    request = request_of(
        method, "sip:bob@192.0.2.20", *ROUTES, *headers, sender=sender, to="<sip:bob@example.com>;tag=b"
    )
    ask = ask_of(request, NOW, FLOW)
    ask.uri = uri_of(PLACE)
    ask.inside = inside
    return ask


@pytest.mark.parametrize("method", METHODS)
def test_a_stranger_is_sent_nowhere(method: str) -> None:
    assert shown(order().decide(asking(method, OUTSIDER)))[0] == 403


@pytest.mark.parametrize("method", METHODS)
def test_who_is_trusted_is_sent_there(method: str) -> None:
    steps = order(Rule("192.0.2.0/24", "", "trust"))
    decision = steps.decide(asking(method, OUTSIDER))
    assert isinstance(decision, Forward)
    assert [target.uri for target in decision.targets] == [PLACE]


@pytest.mark.parametrize("method", METHODS)
def test_a_subscriber_is_asked_for_his_password_and_sent_there(method: str) -> None:
    steps = order()
    challenge = steps.decide(asking(method, OURS))
    assert isinstance(challenge, Reply)
    assert (challenge.status, challenge.cause) == (407, "no-credentials")
    value = credentials(nonce_in(challenge), method, "sip:bob@192.0.2.20", algorithm="MD5")
    decision = steps.decide(asking(method, OURS, f"Proxy-Authorization: {value}"))
    assert isinstance(decision, Forward)
    assert [target.uri for target in decision.targets] == [PLACE]


def test_a_source_that_is_denied_is_sent_nowhere() -> None:
    steps = order(Rule("192.0.2.7", "", "deny"))
    assert shown(steps.decide(asking("INFO", OUTSIDER)))[0] == 403


@pytest.mark.parametrize("method", METHODS)
def test_a_dialog_that_nobody_knows_is_none(method: str) -> None:
    steps = order(Rule("192.0.2.0/24", "", "trust"))
    decision = steps.decide(asking(method, OUTSIDER, inside=False))
    assert shown(decision)[0] == 481


# GRUUs.

GRUU = "sip:bob@example.com;gr=urn:uuid:1"
DESK = Binding("sip:bob@192.0.2.4", NOW + 60, 1000, "c1", 1, "", NOW, (), "", "<urn:uuid:1>", 0, "")


class Loading:
    """A step whose bindings come when the test says so."""

    def __init__(self, known: bool = False, room: bool = True, **domain: bool) -> None:
        self.location = Location(100, known=known)
        self.answers: list[Decision] = []
        self.fetched: list[str] = []
        self.room = room
        self.mirror = Mirror(self.location, self.fetch, lambda _, decision: self.answers.append(decision))
        served = {"example.com": Domain("example.com", **domain)}  # type: ignore[arg-type]
        known_users = frozenset({"bob@example.com"})
        domains = Domains(served, {"192.0.2.1"}, {}, known_users)
        step = LocationStep(self.location, domains, known_users, lambda _: None, Gruus(b"farm"), self.mirror)
        self.order = Order([step])

    def fetch(self, aor: str) -> bool:
        self.fetched.append(aor)
        return self.room

    def placed(self, uri: str = GRUU) -> Decision:
        ask = ask_of(request_of("BYE", uri, to="<sip:bob@example.com>;tag=b"))
        ask.inside = True
        return self.order.placed(ask)


def places(decision: Decision) -> list[str]:
    assert isinstance(decision, Forward), decision
    return [target.uri for target in decision.targets]


@pytest.mark.parametrize("domain", [{}, {"redirect": True}])
def test_a_gruu_is_placed_at_its_instance_be_its_domain_one_that_redirects(domain: dict[str, bool]) -> None:
    step = Loading(known=True, **domain)
    step.location.apply(Change("bob@example.com", (), (DESK,)))
    assert places(step.placed()) == ["sip:bob@192.0.2.4"]
    assert shown(step.placed(GRUU.replace("sip:", "sips:")))[0] == 480


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        (GRUU, 480),
        (GRUU.replace("bob", "dave"), 404),
        ("sip:x@example.com;gr", 404),
        ("sip:x@h.org;gr=1", 404),
    ],
)
def test_a_gruu_of_nobody_is_placed_nowhere(uri: str, status: int) -> None:
    step = Loading(known=True)
    assert shown(step.placed(uri))[0] == status
    assert shown(Order([]).placed(ask_of(request_of("BYE", uri))))[0] == 404


def test_a_gruu_whose_bindings_have_not_come_waits_for_them() -> None:
    step = Loading()
    step.location.begin()
    assert step.placed() is PENDING
    assert step.fetched == ["bob@example.com"]
    step.mirror.fetched(["bob@example.com"], [("bob@example.com", DESK)])
    assert [places(answer) for answer in step.answers] == [["sip:bob@192.0.2.4"]]


def test_a_gruu_whose_bindings_cannot_be_read_is_answered_503() -> None:
    step = Loading()
    assert step.placed() is PENDING
    step.mirror.not_fetched(["bob@example.com"])
    full = Loading(room=False).placed()
    assert [shown(answer) for answer in (*step.answers, full)] == [
        (503, "Service Unavailable", ("Retry-After: 5",))
    ] * 2
