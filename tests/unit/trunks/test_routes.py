"""From a number to a route."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asking import NOW
from oneproxy.policy.live import on_wire
from oneproxy.site.model import Route, Site
from oneproxy.trunks.call import Call
from oneproxy.trunks.routes import Routes

SOME = {
    "": Route("", provider="any"),
    "+": Route("+", provider="abroad"),
    "+351": Route("+351", provider="home"),
    "+3519": Route("+3519", callers=("*@example.com",), provider="mobile"),
    "+3519 2": Route("+3519", callers=("bob@example.org",), target="sip:198.51.100.7"),
    "+3519 3": Route("+3519", sources=("10.0.0.0/8",), refuse=403),
    "*9": Route("*9", aor="desk@example.com"),
    "00": Route("00", redirect="sip:198.51.100.8"),
    "7": Route("7", domain="example.com"),
}


def found(number: str, routes: dict[str, Route] = SOME, **of_call: object) -> str | None:
    """The key of the route of a call; explained, it has to be the same."""
    call = Call(number, NOW, **of_call)  # type: ignore[arg-type]
    table = Routes(routes, on_wire)
    plan = table.find(call)
    lengths = {len(route.prefix) for route in routes.values()}
    quicker = Routes(routes, on_wire, lengths).find(call)
    assert (quicker and quicker.key) == (plan and plan.key)
    considered = table.explain(call)
    assert [one.key for one in considered if not one.why] == ([] if plan is None else [plan.key])
    return None if plan is None else plan.key


@pytest.mark.parametrize(
    ("number", "key"),
    [
        ("+351211234567", "+351"),
        ("+44", "+"),
        ("alice", ""),
        ("", ""),
        ("*91", "*9"),
        ("*8", ""),
        ("+351", "+351"),
        ("9" * 200, ""),
    ],
)
def test_the_longest_prefix_counts(number: str, key: str) -> None:
    assert found(number) == key


def test_without_a_prefix_for_all_there_may_be_no_route() -> None:
    assert found("123", {"+": SOME["+"]}) is None
    assert found("123", {}) is None


def test_of_one_prefix_the_first_whose_conditions_hold_counts() -> None:
    assert found("+351912", caller="alice@example.com", source="10.1.1.1") == "+3519"
    assert found("+351912", caller="bob@example.org", source="10.1.1.1") == "+3519 2"
    assert found("+351912", caller="eve@example.org", source="10.1.1.1") == "+3519 3"


def test_where_no_condition_of_the_longest_holds_a_shorter_prefix_counts() -> None:
    assert found("+351912", source="192.0.2.1") == "+351"


@pytest.mark.parametrize(
    ("number", "kind", "value"),
    [
        ("+44", "provider", "abroad"),
        ("*9", "aor", "desk@example.com"),
        ("001", "redirect", "sip:198.51.100.8"),
        ("7042", "domain", "example.com"),
    ],
)
def test_a_route_says_where_it_leads(number: str, kind: str, value: str) -> None:
    plan = Routes(SOME).find(Call(number, NOW))
    assert plan is not None
    assert (plan.kind, plan.value) == (kind, value)
    other = Routes(SOME).find(Call("+3519", NOW, caller="bob@example.org"))
    assert other is not None
    assert (other.kind, other.value) == ("target", "sip:198.51.100.7")
    refused = Routes(SOME).find(Call("+3519", NOW, source="10.0.0.1"))
    assert refused is not None
    assert (refused.kind, refused.value) == ("refuse", "403")


def test_an_explanation_names_every_route_that_was_looked_at_and_why_not() -> None:
    call = Call("+351912345678", NOW, source="192.0.2.1", calling="+351211234567")
    considered = Routes(SOME).explain(call)
    assert [(one.key, one.why) for one in considered] == [
        ("+3519", "callers: caller nobody known, calling +351211234567"),
        ("+3519 2", "callers: caller nobody known, calling +351211234567"),
        ("+3519 3", "sources: source 192.0.2.1"),
        ("+351", ""),
    ]


def test_a_changed_site_counts_at_once() -> None:
    routes = {"1": Route("1", provider="a")}
    table = Routes(routes)
    call = Call("12", NOW)
    first = table.find(call)
    assert first is not None
    assert table.find(call) is first
    # In place, as a node's mapping is changed; then by another site.
    routes["1"] = Route("1", provider="b")
    second = table.find(call)
    assert second is not None
    assert second.value == "b"
    table.take(Site({}, {}, routes={"12": Route("12", provider="c")}))
    third = table.find(call)
    assert third is not None
    assert third.value == "c"
    assert table.find(Call("13", NOW)) is None


def test_plans_of_routes_that_are_gone_are_forgotten() -> None:
    routes = {str(number): Route(str(number), provider="a") for number in range(1000, 4000)}
    table = Routes(routes)
    for number in routes:
        table.find(Call(number, NOW))
    table.take(Site({}, {}, routes={"1": Route("1", provider="a")}))
    assert len(table._plans) == 0


def test_a_number_with_a_space_is_not_the_key_of_another_route() -> None:
    routes = {"+351": Route("+351", provider="a"), "+351 2": Route("+351", provider="b", domains=("x.org",))}
    assert found("+351 2", routes) == "+351"


def test_the_order_of_more_than_nine_is_kept() -> None:
    routes = {
        ("1" if place == 1 else f"1 {place}"): Route("1", provider="a", callers=(f"+{place:02}*",))
        for place in range(1, 13)
    }
    assert found("1", routes, calling="+12") == "1 12"
    assert found("1", routes, calling="+02") == "1 2"


DIGIT = st.sampled_from("+12")
PREFIXES = st.lists(
    st.tuples(st.text(DIGIT, max_size=4), st.sampled_from(["", "x.org", "y.org"])), max_size=12
)


@given(PREFIXES, st.text(DIGIT, max_size=6), st.sampled_from(["x.org", "y.org", "z.org"]))
def test_what_is_found_is_what_trying_them_all_would_find(
    prefixes: list[tuple[str, str]], number: str, domain: str
) -> None:
    routes: dict[str, Route] = {}
    for prefix, wanted in prefixes:
        place = sum(route.prefix == prefix for route in routes.values()) + 1
        key = prefix if place == 1 else f"{prefix} {place}"
        routes[key] = Route(prefix, domains=(wanted,) if wanted else (), provider="p")
    fitting = [
        key
        for key, route in routes.items()
        if number.startswith(route.prefix) and (not route.domains or domain in route.domains)
    ]
    # Stable, so of one prefix the one that was there first.
    naive = max(fitting, key=lambda key: len(routes[key].prefix), default=None)
    assert found(number, routes, domain=domain) == naive
