"""A call explained: routes, rewriting, gateways and the choice, as people read them."""

from asking import ask_of, request_of, uri_of
from oneproxy.engine.decisions import Ask
from oneproxy.site.model import Format, Gateway, Provider, Route
from oneproxy.trunks.call import Call
from oneproxy.trunks.candidate import Candidate, Why
from oneproxy.trunks.explaining import Explained, describe, explain_call, explain_walk
from oneproxy.trunks.gateway import GatewayState
from oneproxy.trunks.identity import find_identity
from oneproxy.trunks.outgoing import Side
from oneproxy.trunks.routes import Plan, Routes
from oneproxy.trunks.trunks import Trunks
from trunking import NOW, at, fail, gateway, provider, trunks

PROVIDER = Provider(
    "carrier",
    gateway=(
        Gateway("a1", "sip:198.51.100.10:5060", format=Format("international", "PT", identity="asserted")),
        Gateway("a2", "sip:198.51.100.11:5060", max_calls=1),
        Gateway("a3", "sip:198.51.100.12:5060", drain=True),
    ),
    choice="order",
)


def call(number: str = "+351912345678") -> Call:
    return Call(number, NOW, "example.com", "alice@example.com", "alice", "192.0.2.7")


class Router:
    """Routes and trunks alone, and everybody may go out."""

    def __init__(self, made: Trunks, routes: dict[str, Route]) -> None:
        self.routes = Routes(routes)
        self.trunks = made

    def side_of(self, provider: str, gateway: GatewayState) -> Side:
        return Side(f"{provider}/{gateway.site.name}", gateway.site.uri, gateway.site.format)

    def target(self, plan: Plan) -> Side:
        return Side("", plan.value)

    def lead(self, ask: Ask, call: Call, plan: Plan) -> None:
        ask.uri = uri_of(f"sip:{plan.value}")


def explained(
    made: Trunks,
    routes: dict[str, Route],
    what: Call | None = None,
    method: str = "INVITE",
    trusted: bool = True,
) -> Explained:
    ask = ask_of(request_of(method, "sip:+351912345678@example.com"))
    ask.trusted = trusted
    identity = find_identity(ask.request, False, "alice@example.com")
    return explain_call(Router(made, routes), ask, what or call(), identity)


def test_a_call_is_explained_from_its_route_to_its_gateway() -> None:
    made = trunks(PROVIDER)
    routes = {
        "": Route("", provider="carrier"),
        "+351": Route("+351", provider="carrier", strip=1, prepend="+"),
        "+3519": Route("+3519", refuse=403, callers=("bob@example.com",)),
    }
    found = explained(made, routes)
    assert found.steps == [
        ("number", "+351912345678"),
        ("caller", "alice@example.com"),
        ('route "+3519"', "not this one: callers: caller alice@example.com, calling alice"),
        ('route "+351"', "counts: to provider carrier"),
        ("provider carrier", "chooses by order"),
        (
            "gateway carrier/a1",
            "chosen, place 0, 0 calls, 0 waiting for a response, success rate 100.0%",
        ),
        (
            "gateway carrier/a2",
            "another one costs less, or has the turn, place 1, 0 calls,"
            " 0 waiting for a response, success rate 100.0%",
        ),
        ("gateway carrier/a3", "left out: drained by hand"),
        ("choice", "carrier/a1"),
        ("called", "+351912345678"),
        ("called, route: strip 1", "351912345678"),
        ("called, route: prepend +", "+351912345678"),
        ("called, carrier/a1: form international", "00351912345678"),
        ("calling", "alice"),
        ("Request-URI", "sip:00351912345678@198.51.100.10:5060"),
        ("added", "P-Asserted-Identity: <sip:alice@example.com>"),
    ]
    assert (found.gateway, found.uri) == ("carrier/a1", "sip:00351912345678@198.51.100.10:5060")
    assert found.plan is not None
    assert (found.plan.key, found.cause) == ("+351", "")


def test_a_call_without_a_route_says_so() -> None:
    found = explained(trunks(PROVIDER), {"+1": Route("+1", provider="carrier")})
    assert found.steps[-1] == ("route", "none is for this number and this call")
    assert (found.plan, found.gateway, found.uri) == (None, "", "")


def test_a_call_from_a_gateway_names_it() -> None:
    sides = frozenset(("carrier", "carrier/a1"))
    what = Call("+351211234567", NOW, source="198.51.100.10", sides=sides)
    routes = {"": Route("", provider="carrier"), "+351": Route("+351", aor="bob@x.org", inbound=("carrier",))}
    assert explained(trunks(PROVIDER), routes, what).steps == [
        ("number", "+351211234567"),
        ("caller", "nobody proved, calling no number"),
        ("comes from", "gateway carrier/a1"),
        ('route "+351"', "counts: to user bob@x.org"),
        ("looked for", "sip:bob@x.org"),
    ]


def test_a_route_that_refuses_says_with_what() -> None:
    found = explained(trunks(PROVIDER), {"": Route("", refuse=603)})
    assert found.steps[-1] == ('route ""', "counts: the caller is answered 603")
    assert (found.status, found.cause) == (603, "route")


def test_a_route_that_redirects_says_where_to() -> None:
    found = explained(trunks(PROVIDER), {"": Route("", redirect="sip:x.org", strip=4)})
    assert found.steps[-3:] == [
        ('route ""', "counts: the caller is sent to sip:x.org"),
        ("called, after the route's rewriting", "912345678"),
        ("Contact", "sip:912345678@x.org"),
    ]
    assert found.status == 302


def test_who_may_not_go_out_is_told_so() -> None:
    found = explained(trunks(PROVIDER), {"": Route("", provider="carrier")}, trusted=False)
    assert found.steps[-1][0] == "way out"
    assert (found.status, found.cause, found.gateway) == (403, "not-allowed-out", "")


def test_a_message_goes_to_no_gateway_that_is_believed_not_to_work() -> None:
    made = trunks(provider("a"))
    state = made.find("p")
    assert state is not None
    for _ in range(3):
        state.probed(NOW, "a", 408, "timeout")
    assert explained(made, {"": Route("", provider="p")}, method="INVITE").gateway == "p/a"
    found = explained(made, {"": Route("", provider="p")}, method="MESSAGE")
    assert (found.status, found.cause) == (503, "gateways-down")


def test_a_call_to_a_target_is_rewritten_for_it() -> None:
    found = explained(trunks(PROVIDER), {"": Route("", target="sip:192.0.2.99", strip=1)})
    assert (found.gateway, found.uri) == ("", "sip:351912345678@192.0.2.99")
    assert found.steps[-1] == ("Request-URI", "sip:351912345678@192.0.2.99")


def test_why_each_gateway_is_left_out_is_said() -> None:
    made = trunks(
        provider("dead", "ejected", gateway("full", max_calls=1), "well", choice="order", eject_after=1)
    )
    fail(made, "ejected", 1)
    at(made, "full")
    state = made.find("p")
    assert state is not None
    for _ in range(3):
        state.probed(NOW, "dead", 408, "timeout")
    (choice,) = explain_walk(made, "p", NOW).choices
    assert {one.name: str(one.why) for one in choice.candidates} == {
        "dead": "down",
        "ejected": "ejected",
        "full": "full",
        "well": "chosen",
    }


def test_a_fallback_is_explained_behind_its_provider() -> None:
    made = trunks(provider(gateway("a", max_calls=1), fallback="q"), provider("b", name="q"))
    at(made, "a")
    walked = explain_walk(made, "p", NOW)
    assert [(one.provider, one.chosen) for one in walked.choices] == [("p", ""), ("q", "b")]
    assert (walked.provider, walked.gateway, walked.cause) == ("q", "b", "")
    found = explained(made, {"": Route("", provider="p")})
    assert ("provider p", "has no gateway for this call") in found.steps
    assert ("choice", "q/b") in found.steps


def test_where_all_are_full_the_cause_is_said() -> None:
    made = trunks(provider(gateway("a", max_calls=1)))
    at(made, "a")
    found = explained(made, {"": Route("", provider="p")})
    assert found.steps[-1] == ("choice", "no gateway: gateways-full")
    assert (found.cause, found.gateway) == ("gateways-full", "")


def test_one_that_is_believed_not_to_work_is_the_last_resort() -> None:
    made = trunks(provider("a"))
    state = made.find("p")
    assert state is not None
    for _ in range(3):
        state.probed(NOW, "a", 408, "timeout")
    walked = explain_walk(made, "p", NOW)
    assert [(one.is_last_resort, one.chosen) for one in walked.choices] == [(False, ""), (True, "a")]


def test_a_provider_that_is_not_there_is_said() -> None:
    found = explained(trunks(PROVIDER), {"": Route("", provider="nobody")})
    assert found.steps[-1] == ("choice", "no gateway: no-provider")


def test_every_reason_has_its_words() -> None:
    for why in Why:
        assert describe(Candidate("a", 1.0, 0, 0, 1.0, why), "order").partition(",")[0]
