"""What is explained of a call is what the policy of a node then does with it, step for step."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from asking import LISTENER, NOW, ask_of, credentials, nonce_in, request_of, subscriber
from oneproxy.engine.decisions import Ask, Decision, Forward, Reply
from oneproxy.engine.flow import Flow
from oneproxy.policy.build import build
from oneproxy.policy.explaining import Explainer, Question, Told, make_ask
from oneproxy.registrar.bindings import Change, static_binding
from oneproxy.registrar.location import Location
from oneproxy.site.model import Domain, Format, Gateway, Provider, Rewrite, Route, Rule, Site
from oneproxy.trunks.routed import RoutedCall
from oneproxy.trunks.step import TrunkStep
from routed import site as site_of

FORMS = st.builds(
    Format,
    st.sampled_from(["", "digits", "international", "national"]),
    st.just("PT"),
    identity=st.sampled_from(["none", "asserted"]),
    trusted=st.booleans(),
)


def gateways(net: str) -> st.SearchStrategy[tuple[Gateway, ...]]:
    made = [
        st.builds(
            Gateway,
            st.just(f"g{number}"),
            st.just(f"sip:{net}.{number}"),
            format=FORMS,
            max_calls=st.sampled_from([0, 0, 1]),
            max_calls_per_s=st.sampled_from([0, 0, 2]),
            weight=st.sampled_from([0, 1, 2]),
            drain=st.sampled_from([False, False, False, True]),
        )
        for number in range(1, 4)
    ]
    return st.tuples(*made)


def providers(name: str, net: str, fallback: str) -> st.SearchStrategy[Provider]:
    return st.builds(
        Provider,
        st.just(name),
        st.sampled_from(["", fallback]),
        gateways(net),
        choice=st.sampled_from(["latency", "order", "weight", "load"]),
        eject_after=st.just(1),
        eject_s=st.integers(1, 5),
    )


DESTINATIONS = (
    *[{"provider": "p"}] * 12,
    {"provider": "q"},
    {"target": "sip:192.0.2.99"},
    {"redirect": "sip:elsewhere.net"},
    {"aor": "bob@example.com"},
    {"domain": "example.com"},
    {"refuse": 403},
)


def made_route(prefix: str, destination: dict[str, Any], **keys: Any) -> Route:
    return Route(prefix, **destination, **keys)


routes = st.lists(
    st.builds(
        made_route,
        st.sampled_from(["", "", "", "+", "+351", "+3519", "00"]),
        st.sampled_from(DESTINATIONS),
        inbound=st.sampled_from([(), (), (), (), (), ("p",), ("q/g1",)]),
        callers=st.sampled_from([(), (), (), (), ("alice@example.com",), ("*@other.org",)]),
        strip=st.sampled_from([0, 0, 1, 20]),
        prepend=st.sampled_from(["", "00"]),
        calling=st.sampled_from([Rewrite(), Rewrite(prepend="9")]),
        withhold=st.booleans(),
        users=st.sampled_from([False, False, True]),
    ),
    max_size=5,
)
rules = st.lists(
    st.builds(
        Rule,
        st.sampled_from(["192.0.2.0/24", "198.51.100.0/24", "0.0.0.0/0"]),
        action=st.sampled_from(["trust", "trust", "trust", "allow", "allow", "deny"]),
    ),
    max_size=1,
)


def made_site(
    made: tuple[Provider, ...], routed: list[Route], access: list[Rule], asked: tuple[str, ...], country: str
) -> Site:
    # Without the last one most calls would end at 404.
    site = site_of(made, (*routed, Route("", provider="p")))
    domain = Domain("example.com", asked, country=country)
    subscribers = {aor: subscriber(aor) for aor in ("alice@example.com", "bob@example.com")}
    return replace(site, domains={domain.name: domain}, subscribers=subscribers, access=tuple(access))


sites = st.builds(
    made_site,
    st.tuples(providers("p", "198.51.100", "q"), providers("q", "203.0.113", "p")),
    routes,
    rules,
    st.sampled_from([("INVITE",), ("INVITE", "REGISTER", "MESSAGE"), ()]),
    st.sampled_from(["", "PT"]),
)
questions = st.builds(
    Question,
    st.sampled_from(
        [
            *["alice@example.com"] * 4,
            "sip:bob@example.com",
            "zoe@example.com",
            "sip:x@elsewhere.net",
        ]
    ),
    st.sampled_from(
        [
            *["+351912345678", "+351912345678", "+34912345678", "912345678"] * 2,
            "00351912345678",
            "bob@example.com",
            "nobody@example.com",
            "sip:x@elsewhere.net",
            "tel:+351-912-345-678",
            "sip:example.com",
            "mailto:x@example.com",
        ]
    ),
    st.sampled_from(["", "192.0.2.7", "198.51.100.1", "203.0.113.1", "203.0.113.200"]),
    st.just("udp"),
    st.sampled_from(["INVITE", "INVITE", "INVITE", "MESSAGE"]),
)

#: Calls before it: who is called, what the gateway then does, and how much later.
histories = st.lists(
    st.tuples(
        st.sampled_from("pq"),
        st.sampled_from(["keep", "keep", "answer", "busy", "fail", "fail", "end"]),
        st.sampled_from([0.0, 0.1, 1.0, 3.0]),
    ),
    max_size=12,
)


class Scene:
    """The policy of a node with a site, in the middle of its calls."""

    def __init__(self, site: Site, history: list[tuple[str, str, float]]) -> None:
        self.now = NOW
        location = Location(100)
        location.apply(Change("bob@example.com", (), (static_binding("sip:bob@192.0.2.4", 1000, NOW),)))
        own = {"192.0.2.1:5060", "192.0.2.1"}
        self.policy = build(site, b"farm", own, location, self._save, self._answer)
        self.explainer = Explainer(self.policy)
        self.trunks = next(one for one in self.policy.steps if isinstance(one, TrunkStep)).trunks
        for provider, what, later_s in history:
            self._call(provider, what)
            self.now += later_s

    def _save(self, *_: Any) -> bool:
        raise AssertionError("nobody registers")

    def _answer(self, *_: Any) -> None:
        raise AssertionError("nobody waits")

    def _call(self, provider: str, what: str) -> None:
        walk = self.trunks.walk(provider)
        walk.begin(self.now)
        if walk.attempt is None or what == "keep":
            return
        if what == "answer":
            walk.attempt.answered(self.now + 0.05)
        elif what == "end":
            walk.end(self.now)
        else:
            walk.failed(self.now, 486 if what == "busy" else 500)

    def ask(self, question: Question) -> Ask:
        made = make_ask(question, [LISTENER], self.now)
        assert isinstance(made, Ask), made
        return made

    def decide(self, question: Question) -> tuple[Decision, Ask]:
        """What becomes of the call, whose caller answers a challenge with the password that he has."""
        ask = self.ask(question)
        decision = self.policy.decide(ask)
        if not isinstance(decision, Reply) or decision.status != 407:
            return decision, ask
        request = ask.request
        user = question.from_.removeprefix("sip:").partition("@")[0]
        value = credentials(nonce_in(decision), request.method, request.uri, user, algorithm="MD5")
        sender, _, _ = (request.get("from") or "").partition(";")
        proved = request_of(
            request.method,
            request.uri,
            f"Proxy-Authorization: {value}",
            sender=sender,
            to=request.get("to") or "",
        )
        again = ask_of(proved, self.now, Flow(LISTENER, ask.flow.host, ask.flow.port, ask.flow.name))
        return self.policy.decide(again), again


def outcome_of(decision: Decision, ask: Ask) -> tuple[str, tuple[str, ...]]:
    """Which gateway has the call, and with which Request-URIs it goes out."""
    if not isinstance(decision, Forward):
        return "", ()
    gateway = ""
    if isinstance(ask.step, RoutedCall):
        attempt = ask.step.walk.attempt
        assert attempt is not None
        gateway = f"{attempt.provider.site.name}/{attempt.gateway.site.name}"
    return gateway, tuple([target.uri for target in decision.targets])


def ending(told: Told, decision: Decision) -> None:
    """The verdict fits the answer."""
    if isinstance(decision, Reply):
        if told.verdict.startswith("refused: "):
            assert decision.cause == told.verdict.removeprefix("refused: ")
        else:
            assert told.status == decision.status
            assert not decision.cause or f"({decision.cause})" in told.verdict
    else:
        assert told.verdict.startswith("to ")


@given(sites, histories, questions)
@settings(max_examples=2000)
def test_a_call_does_what_was_explained(
    site: Site, history: list[tuple[str, str, float]], question: Question
) -> None:
    scene = Scene(site, history)
    told = scene.explainer.explain(scene.ask(question))
    assert scene.explainer.explain(scene.ask(question))[1:] == told[1:]
    decision, ask = scene.decide(question)
    gateway, targets = outcome_of(decision, ask)
    assert targets == told.targets
    # A request that is no call counts at no gateway, and is known by its target alone.
    assert gateway == (told.gateway if question.method == "INVITE" else "")
    ending(told, decision)
