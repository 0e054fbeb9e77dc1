"""What is refused before anything else."""

import pytest

from asking import ask_of, invite, register, request_of, shown
from oneproxy.policy.domains import Domains
from oneproxy.policy.sanity import Sanity
from oneproxy.site.model import Domain

DOMAINS = Domains({"example.com": Domain("example.com")}, {"192.0.2.1:5060", "192.0.2.1"})
STEP = Sanity(DOMAINS.is_here, DOMAINS.is_node, frozenset({"path"}))


@pytest.mark.parametrize(
    "uri", ["mailto:bob@example.com", "http://example.com/", "nobodyknows:this", "im:bob@example.com"]
)
def test_a_scheme_that_is_not_understood_is_answered_416(uri: str) -> None:
    assert shown(STEP.decide(invite(uri))) == (416, "Unsupported URI Scheme", ())


@pytest.mark.parametrize("uri", ["sip:bob@example.com", "sips:bob@example.com", "tel:+12025550123"])
def test_schemes_that_are_understood_pass(uri: str) -> None:
    assert STEP.decide(invite(uri)) is None


@pytest.mark.parametrize(
    ("headers", "unsupported"),
    [
        (("Proxy-Require: foo",), "foo"),
        (("Proxy-Require: foo, Bar", "Proxy-Require: path"), "foo, Bar, path"),
    ],
)
def test_proxy_require_of_anything_is_answered_420_with_what_it_was(
    headers: tuple[str, ...], unsupported: str
) -> None:
    reply = STEP.decide(invite("sip:bob@example.com", *headers))
    assert shown(reply) == (420, "Bad Extension", (f"Unsupported: {unsupported}",))


def test_an_empty_proxy_require_asks_for_nothing() -> None:
    assert STEP.decide(invite("sip:bob@example.com", "Proxy-Require: ")) is None


def test_a_register_that_requires_the_unknown_is_answered_420() -> None:
    reply = STEP.decide(register("Require: Path, gruu, outbound"))
    assert shown(reply) == (420, "Bad Extension", ("Unsupported: gruu, outbound",))


def test_require_of_other_requests_is_for_who_is_called() -> None:
    assert STEP.decide(invite("sip:bob@example.com", "Require: 100rel")) is None


def test_a_register_may_require_path() -> None:
    assert STEP.decide(register("Require: path")) is None


@pytest.mark.parametrize(
    "route",
    [
        "<sip:192.0.2.1;lr>",
        "<sip:192.0.2.1:5060;lr>",
        "<sip:example.com;lr>",
        "<sip:192.0.2.1;lr>, <sip:192.0.2.1:5060;transport=tcp;lr>",
    ],
)
def test_a_route_to_this_node_passes(route: str) -> None:
    assert STEP.decide(invite("sip:bob@example.com", f"Route: {route}")) is None


@pytest.mark.parametrize(
    "route",
    [
        "<sip:198.51.100.1;lr>",
        "<sip:192.0.2.1;lr>, <sip:198.51.100.1;lr>",
        "<sip:192.0.2.1:5999;lr>",
        "<tel:+12025550123>",
    ],
)
@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "MESSAGE"])
def test_a_route_that_leads_elsewhere_is_forbidden(route: str, method: str) -> None:
    ask = ask_of(request_of(method, "sip:bob@example.com", f"Route: {route}"))
    assert shown(STEP.decide(ask)) == (403, "Route Not Allowed", ())


@pytest.mark.parametrize(
    "route", ["sip:192.0.2.1;lr", "<sip:192.0.2.1", "", "<sip:192.0.2.1;lr>,,", "<sip:@>"]
)
def test_a_route_that_cannot_be_read_is_answered_400(route: str) -> None:
    assert shown(STEP.decide(invite("sip:bob@example.com", f"Route: {route}"))) == (400, "Bad Route", ())


@pytest.mark.parametrize("uri", ["sip:example.com", "sip:192.0.2.1", "sip:192.0.2.1:5060;transport=tcp"])
@pytest.mark.parametrize("method", ["INVITE", "BYE", "MESSAGE", "SUBSCRIBE"])
def test_a_method_that_the_node_itself_does_not_serve_is_answered_405(method: str, uri: str) -> None:
    reply = STEP.decide(ask_of(request_of(method, uri)))
    assert shown(reply) == (405, "Method Not Allowed", ("Allow: CANCEL, OPTIONS, REGISTER",))


@pytest.mark.parametrize("method", ["NEWMETHOD", "invite", "Register"])
def test_a_method_that_nobody_has_heard_of_is_answered_501(method: str) -> None:
    reply = STEP.decide(ask_of(request_of(method, "sip:example.com")))
    assert shown(reply) == (501, "Not Implemented", ("Allow: CANCEL, OPTIONS, REGISTER",))


@pytest.mark.parametrize(
    ("method", "uri"),
    [
        ("REGISTER", "sip:example.com"),
        ("OPTIONS", "sip:192.0.2.1"),
        ("NEWMETHOD", "sip:bob@example.com"),
        ("INVITE", "sip:elsewhere.org"),
        ("INVITE", "sip:192.0.2.1:5999"),
        ("INVITE", "tel:+12025550123"),
    ],
)
def test_what_the_node_serves_and_what_is_for_others_passes(method: str, uri: str) -> None:
    assert STEP.decide(ask_of(request_of(method, uri))) is None


def test_a_foreign_route_goes_before_the_method() -> None:
    ask = ask_of(request_of("INVITE", "sip:example.com", "Route: <sip:198.51.100.1;lr>"))
    assert shown(STEP.decide(ask))[0] == 403


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "OPTIONS", "MESSAGE"])
def test_what_says_it_is_inside_of_a_dialog_that_is_not_ours_is_answered_481(method: str) -> None:
    ask = ask_of(request_of(method, "sip:bob@example.com", to="<sip:bob@example.com>;tag=b"))
    assert shown(STEP.decide(ask)) == (481, "Call/Transaction Does Not Exist", ())
    register = ask_of(request_of("REGISTER", "sip:example.com", to="<sip:bob@example.com>;tag=b"))
    assert STEP.decide(register) is None


def test_a_route_that_would_take_long_to_read_is_answered_400() -> None:
    for lines in (["Route: <sip:192.0.2.1;lr>"] * 21, ["Route: " + ", ".join(["<sip:192.0.2.1;lr>"] * 60)]):
        assert shown(STEP.decide(invite("sip:bob@example.com", *lines)))[0] == 400
