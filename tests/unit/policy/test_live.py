"""The site in a node: parts that come, and the instant when they are true."""

import pytest

from asking import invite, shown, subscriber
from oneproxy.policy.build import build
from oneproxy.policy.live import Live, on_wire
from oneproxy.registrar.location import Location
from oneproxy.site.entries import encode_value
from oneproxy.site.model import (
    Cdr,
    Congestion,
    Domain,
    Flood,
    Gateway,
    Provider,
    Route,
    Row,
    Rule,
    Site,
    Subscriber,
)

HA1 = {"MD5": "0" * 32}


def row(section: str, key: str, **table: object) -> Row:
    return section, key, encode_value(table)


def user(name: str, *aliases: str) -> Row:
    return row("subscriber", f"{name}@x.org", aor=f"{name}@x.org", ha1=HA1, aliases=aliases)


def test_nothing_is_true_before_the_word() -> None:
    live = Live()
    live.stage([row("domain", "x.org", name="x.org"), user("a", "info")], True)
    live.stage([user("b")], False)
    assert (live.domains, live.subscribers, live.aliases, live.version) == ({}, {}, {}, 0)
    site = live.become(7, 5.0, True)
    assert list(live.domains) == ["x.org"]
    assert list(live.subscribers) == ["a@x.org", "b@x.org"]
    assert live.aliases == {"info@x.org": "a@x.org"}
    assert (live.version, live.at) == (7, 5.0)
    assert site.subscribers is live.subscribers
    assert site.domains is live.domains


def test_providers_come_and_go_in_one_mapping() -> None:
    live = Live(Site({}, {}, providers={"p": Provider("p")}))
    held = live.providers
    gateways = [{"name": "a", "uri": "sip:a", "max_calls": 3}]
    live.stage([row("provider", "q", name="q", gateway=gateways), ("provider", "p", "")], True)
    assert live.become(2, 0.0, False).providers is held
    assert held == {"q": Provider("q", gateway=(Gateway("a", "sip:a", max_calls=3),))}
    live.stage([row("provider", "r", name="r")], True)
    live.become(3, 0.0, True)
    assert held == {"r": Provider("r")}
    assert live.stage([row("provider", "s", name="s", try_for_ms="soon")], True) == ["provider s"]


def test_mappings_are_changed_in_place() -> None:
    live = Live(Site({"x.org": Domain("x.org")}, {"a@x.org": Subscriber("a@x.org", HA1, ("info", "old"))}))
    held = (live.domains, live.subscribers, live.aliases)
    assert live.aliases == {"info@x.org": "a@x.org", "old@x.org": "a@x.org"}
    # The alias moves to who comes first in the part, and to who comes last.
    live.stage([user("Z", "info"), user("a", "new"), ("domain", "x.org", ""), user("c")], True)
    live.become(2, 0.0, False)
    assert live.aliases == {"info@x.org": "Z@x.org", "new@x.org": "a@x.org"}
    live.stage(
        [("subscriber", "c@x.org", ""), ("subscriber", "a@x.org", ""), ("subscriber", "no@x.org", "")], True
    )
    live.become(3, 0.0, False)
    assert (list(live.subscribers), live.domains) == (["Z@x.org"], {})
    assert live.aliases == {"info@x.org": "Z@x.org"}
    assert all(
        one is other for one, other in zip(held, (live.domains, live.subscribers, live.aliases), strict=True)
    )


def test_a_whole_version_leaves_nothing_of_what_was_before() -> None:
    live = Live(
        Site(
            {"x.org": Domain("x.org")},
            {},
            (Rule("10.0.0.0/8", "", "deny"),),
            Flood(ban_s=1),
            "memory",
            congestion=Congestion(calls=7),
            cdr=Cdr(True),
        )
    )
    live.stage([user("a")], True)
    site = live.become(1, 0.0, True)
    assert site == Site({}, live.subscribers)


def test_a_change_that_is_not_finished_is_forgotten() -> None:
    live = Live()
    live.stage([user("a")], True)
    live.stage([user("b")], True)
    live.become(1, 0.0, False)
    assert list(live.subscribers) == ["b@x.org"]


def test_rules_floods_and_the_registrar_come_and_go() -> None:
    live = Live()
    rule = row("access", "source 10.0.0.0/8", source="10.0.0.0/8", action="deny")
    flood, registrar = row("flood", "", ban_s=5), row("registrar", "", without_database="memory")
    live.stage([rule, flood, registrar, row("congestion", "", calls=7, retry_after_s=[1, 2])], True)
    site = live.become(1, 0.0, False)
    assert site.congestion == Congestion(calls=7, retry_after_s=(1, 2))
    live.stage([row("cdr", "", enabled=True, keep_days=90)], False)
    assert live.become(1, 0.0, False).cdr == Cdr(True, 90)
    assert site.access == (Rule("10.0.0.0/8", "", "deny"),)
    assert (site.flood, site.without_database) == (Flood(ban_s=5), "memory")
    live.stage([("access", "source 10.0.0.0/8", ""), ("flood", "", ""), ("registrar", "", "")], True)
    live.stage([("congestion", "", ""), ("cdr", "", "")], False)
    assert live.become(2, 0.0, False) == Site({}, {})


def test_what_cannot_be_understood_is_named_and_the_others_are_taken() -> None:
    live = Live()
    odd = live.stage(
        [("subscriber", "a@x.org", "{}"), ("domain", "x.org", "oops"), user("b"), row("cdr", "")], True
    )
    live.become(1, 0.0, True)
    assert (odd, list(live.subscribers)) == (["subscriber a@x.org", "domain x.org"], ["b@x.org"])


def test_keys_are_as_requests_name_them() -> None:
    live = Live()
    live.stage([row("subscriber", "jäs@x.org", aor="jäs@x.org", ha1=HA1, aliases=["é"])], True)
    live.become(1, 0.0, False)
    aor = on_wire("jäs@x.org")
    assert aor != "jäs@x.org"
    assert (list(live.subscribers), live.aliases) == ([aor], {on_wire("é@x.org"): aor})


def test_one_of_two_subscribers_that_requests_cannot_tell_apart_leaves_the_other() -> None:
    live = Live()
    live.stage([user("a%62"), user("ab")], True)
    live.become(1, 0.0, False)
    live.stage([("subscriber", "a%62@x.org", "")], True)
    live.become(2, 0.0, False)
    assert [one.aor for one in live.subscribers.values()] == ["ab@x.org"]


@pytest.mark.parametrize("gone", [False, True])
def test_every_step_decides_by_the_new_site(gone: bool) -> None:
    live = Live()
    policy = build(
        live, b"farm", {"192.0.2.1:5060", "192.0.2.1"}, Location(9), lambda *_: True, lambda *_: None
    )
    assert shown(policy.decide(invite()))[0] == 403
    alice = subscriber("alice@example.com")
    live.stage(
        [
            row("domain", "example.com", name="example.com", authenticate=["INVITE"]),
            row("subscriber", alice.aor, aor=alice.aor, ha1=alice.ha1),
        ],
        True,
    )
    policy.take(live.become(1, 0.0, True))
    assert shown(policy.decide(invite()))[0] == 407
    live.stage(
        [("domain", "example.com", "")]
        if gone
        else [row("domain", "example.com", name="example.com", authenticate=[])],
        True,
    )
    policy.take(live.become(2, 0.0, False))
    assert shown(policy.decide(invite()))[0] == (403 if gone else 404)


def route(key: str, **table: object) -> Row:
    return row("route", key, **({"prefix": key.partition(" ")[0], "provider": "p"} | table))


def test_routes_come_change_and_go_in_place_with_their_lengths() -> None:
    live = Live(Site({}, {}, routes={"+35": Route("+35", provider="p")}))
    held, lengths = live.routes, live.route_lengths
    live.stage([route("+351"), route("+351 2", callers=["+1*"])], True)
    live.stage([route("+35", provider="q"), ("route", "9", "")], False)
    assert (list(held), lengths) == (["+35"], {3})
    site = live.become(2, 0.0, False)
    assert site.routes is held is live.routes
    assert list(held) == ["+35", "+351", "+351 2"]
    assert (held["+35"].provider, held["+351 2"].callers, lengths) == ("q", ("+1*",), {3, 4})
    live.stage([("route", "+351 2", ""), ("route", "+351", "")], True)
    live.become(3, 0.0, False)
    # A length that nobody has any more costs a look and no more.
    assert (list(held), lengths) == (["+35"], {3, 4})
    live.stage([route("7")], True)
    live.become(4, 0.0, True)
    assert (list(held), lengths) == (["7"], {1})
    assert lengths is live.route_lengths


def test_routes_for_users_are_known_by_their_keys() -> None:
    live = Live()
    live.stage(
        [row("route", "1", prefix="1", target="sip:a", users=True), row("route", "2", prefix="2")], True
    )
    live.become(1, 1.0, True)
    assert live.user_routes == {"1"}
    live.stage(
        [row("route", "1", prefix="1", target="sip:a"), row("route", "2", prefix="2", users=True)], True
    )
    live.become(2, 2.0, False)
    assert live.user_routes == {"2"}
    live.stage([("route", "2", "")], True)
    live.become(3, 3.0, False)
    assert live.user_routes == set()
