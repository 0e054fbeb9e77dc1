"""Which calls a route is for."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneproxy.policy.live import on_wire
from oneproxy.site.model import Route
from oneproxy.trunks.call import Call
from oneproxy.trunks.conditions import conditions_of
from oneproxy.trunks.minutes import Minutes

LISBON = ZoneInfo("Europe/Lisbon")


def holds(route: Route, call: Call) -> bool:
    return all(condition.holds(call) for condition in conditions_of(route, Minutes(), on_wire))


def at(text: str, zone: ZoneInfo = LISBON) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("callers", "caller", "calling", "fits"),
    [
        (("alice@example.com",), "alice@example.com", "", True),
        (("alice@example.com",), "bob@example.com", "alice@example.com", False),
        (("*@example.com",), "bob@example.com", "", True),
        (("*@example.com",), "bob@sub.example.com", "", False),
        (("*@example.com",), "", "bob@example.com", False),
        (("+3512*", "+44*"), "", "+351211234567", True),
        (("+3512*", "+44*"), "", "+35191", False),
        (("j\u00f6rg@example.com",), "j%C3%B6rg@example.com", "", True),
    ],
)
def test_a_caller_is_known_by_name_domain_or_number(
    callers: tuple[str, ...], caller: str, calling: str, fits: bool
) -> None:
    assert holds(Route("", callers=callers), Call("1", 0.0, caller=caller, calling=calling)) is fits


@pytest.mark.parametrize(
    ("source", "fits"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.0.0.1", False),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
        ("198.51.100.200", True),
        ("198.51.101.1", False),
        ("", False),
        ("gw.example.com", False),
    ],
)
def test_a_source_is_in_one_of_the_networks(source: str, fits: bool) -> None:
    sources = ("10.0.0.0/8", "2001:db8::/32", "::ffff:198.51.100.0/120")
    assert holds(Route("", sources=sources), Call("1", 0.0, source=source)) is fits


def test_a_domain_is_the_one_of_the_call() -> None:
    route = Route("", domains=("example.com", "example.org"))
    assert [holds(route, Call("1", 0.0, domain)) for domain in ("example.org", "x.org", "")] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("inbound", "sides", "fits"),
    [
        ((), (), True),
        ((), ("a", "a/a1"), False),
        (("a",), (), False),
        (("a",), ("a", "a/a1"), True),
        (("a/a1",), ("a", "a/a1"), True),
        (("a/a2", "b"), ("a", "a/a1"), False),
    ],
)
def test_what_a_gateway_sends_takes_routes_for_gateways_only(
    inbound: tuple[str, ...], sides: tuple[str, ...], fits: bool
) -> None:
    assert holds(Route("", inbound=inbound), Call("1", 0.0, sides=frozenset(sides))) is fits


OFFICE = Route("", times=("Mon-Fri 08:00-18:00", "Sat 22:00-02:00"), time_zone="Europe/Lisbon")


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ("2026-11-25T08:00:00", True),  # a Wednesday
        ("2026-11-25T07:59:59", False),
        ("2026-11-25T17:59:59", True),
        ("2026-11-25T18:00:00", False),
        ("2026-11-28T12:00:00", False),  # Saturday, and the night to Sunday
        ("2026-11-28T23:00:00", True),
        ("2026-11-29T01:59:00", True),
        ("2026-11-29T02:00:00", False),
        # Summer time: at eight in Lisbon it is seven in UTC.
        ("2026-07-01T08:00:00", True),
        ("2026-07-01T07:30:00", False),
    ],
)
def test_a_time_is_that_of_the_time_zone(when: str, fits: bool) -> None:
    assert holds(OFFICE, Call("1", at(when))) is fits


def test_a_zone_that_is_not_known_here_is_never() -> None:
    route = Route("", times=("Mon-Sun",), time_zone="Europe/Atlantis")
    call = Call("1", 0.0)
    [*_, condition] = conditions_of(route, Minutes(), str)
    assert (condition.holds(call), condition.found(call)) == (
        False,
        "a time zone that this machine does not know",
    )


def test_every_condition_says_what_it_looked_at() -> None:
    route = Route(
        "",
        inbound=("a",),
        domains=("x.org",),
        callers=("+1*",),
        sources=("::1",),
        times=("Sun",),
        time_zone="Europe/Lisbon",
    )
    call = Call("1", at("2026-11-25T08:05:00"), "y.org", "bob@y.org", "bob", "192.0.2.7", frozenset("b"))
    assert {one.name: one.found(call) for one in conditions_of(route, Minutes(), str)} == {
        "inbound": "from gateway b",
        "users": "no user here",
        "domains": "domain y.org",
        "callers": "caller bob@y.org, calling bob",
        "times": "Wed 08:05 in Europe/Lisbon",
        "sources": "source 192.0.2.7",
    }
    [inbound, users, *_] = conditions_of(route, Minutes(), str)
    assert inbound.found(Call("1", 0.0)) == "from no gateway"
    assert users.found(Call("1", 0.0, is_user=True)) == "a user here"


def test_a_route_is_for_users_here_where_it_says_so_alone() -> None:
    call = Call("1", 0.0, is_user=True)
    assert [holds(Route("", users=users), call) for users in (False, True)] == [False, True]


@given(
    st.floats(1_000_000_000, 2_000_000_000),
    st.sampled_from(["Europe/Lisbon", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "UTC"]),
)
def test_the_minute_of_the_week_is_that_of_the_calendar(now: float, name: str) -> None:
    zone = ZoneInfo(name)
    local = datetime.fromtimestamp(now, zone)
    monday = (local - timedelta(days=local.weekday())).date()
    expected = (local.date() - monday).days * 1440 + local.hour * 60 + local.minute
    minutes = Minutes()
    assert [minutes.of_week(zone, now) for _ in range(2)] == [expected] * 2


def test_within_a_minute_no_calendar_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    minutes = Minutes()
    first = minutes.of_week(LISBON, 1_800_000_000.0)
    monkeypatch.setattr("oneproxy.trunks.minutes.datetime", None)
    assert minutes.of_week(LISBON, 1_800_000_059.9) == first
    with pytest.raises(AttributeError):
        minutes.of_week(LISBON, 1_800_000_060.0)
