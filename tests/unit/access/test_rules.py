"""Address rules: which one fits a source and a method."""

import time

import pytest

from oneproxy.access.rules import ALLOW, DENY, NONE, TRUST, Rules
from oneproxy.site.model import Rule


def network(source: str, action: str, *methods: str) -> Rule:
    return Rule(source, "", action, methods)


def client(name: str, action: str, *methods: str) -> Rule:
    return Rule("", name, action, methods)


RULES = Rules(
    [
        network("10.0.0.0/8", TRUST),
        network("10.1.0.0/16", DENY),
        network("10.1.2.0/24", ALLOW, "INVITE"),
        network("10.1.2.3", DENY, "INVITE"),
        network("10.1.2.3", TRUST),
        network("2001:db8::/32", DENY),
        network("2001:db8:0:1::/64", TRUST, "OPTIONS", "INVITE"),
        network("2001:db8:0:1::5", ALLOW),
        network("::ffff:198.51.100.0/120", DENY),
        client("gw.example.com", TRUST, "INVITE"),
        client("bad.example.com", DENY),
    ]
)


@pytest.mark.parametrize(
    ("host", "method", "action"),
    [
        ("10.9.9.9", "REGISTER", TRUST),
        ("10.1.9.9", "INVITE", DENY),
        # The longest prefix among the rules whose methods fit.
        ("10.1.2.9", "INVITE", ALLOW),
        ("10.1.2.9", "REGISTER", DENY),
        # Of one prefix, the one for named methods.
        ("10.1.2.3", "INVITE", DENY),
        ("10.1.2.3", "MESSAGE", TRUST),
        ("192.0.2.1", "INVITE", NONE),
        ("2001:db8::1", "INVITE", DENY),
        ("2001:db8:0:1::9", "INVITE", TRUST),
        ("2001:db8:0:1::9", "MESSAGE", DENY),
        ("2001:db8:0:1::5", "INVITE", ALLOW),
        ("2001:db9::1", "INVITE", NONE),
        # IPv4 in the clothes of IPv6 is IPv4, in a rule and as a source.
        ("::ffff:10.9.9.9", "REGISTER", TRUST),
        ("198.51.100.7", "INVITE", DENY),
        ("no address", "INVITE", NONE),
    ],
)
def test_the_longest_prefix_with_the_method_decides(host: str, method: str, action: str) -> None:
    # Twice: the second answer comes from memory.
    assert [RULES.find(host, (), method) for _ in range(2)] == [action, action]


@pytest.mark.parametrize(
    ("name", "host", "method", "action"),
    [
        ("gw.example.com", "10.1.9.9", "INVITE", TRUST),
        ("gw.example.com", "10.1.9.9", "MESSAGE", DENY),
        ("bad.example.com", "10.9.9.9", "INVITE", DENY),
        ("unknown.example.com", "10.9.9.9", "INVITE", TRUST),
    ],
)
def test_a_proven_name_says_more_than_any_address(name: str, host: str, method: str, action: str) -> None:
    assert RULES.find(host, (name,), method) == action


def test_of_all_names_in_a_certificate_the_strictest_rule_counts_in_whatever_order_they_stand() -> None:
    names = ("other.example.com", "gw.example.com", "bad.example.com")
    assert RULES.find("10.9.9.9", names[:2], "INVITE") == TRUST
    assert RULES.find("10.9.9.9", names, "INVITE") == RULES.find("10.9.9.9", names[::-1], "INVITE") == DENY
    several = Rules(
        [Rule(client="a", action=TRUST), Rule(client="b", action=ALLOW), Rule(client="c", action=TRUST)]
    )
    assert several.find("10.9.9.9", ("a", "b", "c"), "INVITE") == ALLOW
    assert several.find("10.9.9.9", ("x", "c"), "INVITE") == TRUST
    assert several.find("10.9.9.9", ("x", "y"), "INVITE") == NONE


@pytest.mark.parametrize("source", ["::/0", "::/64", "::/95"])
def test_a_rule_for_networks_of_ipv6_says_nothing_of_ipv4(source: str) -> None:
    rules = Rules([Rule(source, action=DENY)])
    for host in ("192.0.2.1", "::ffff:192.0.2.1"):
        assert rules.find(host, (), "INVITE") == NONE
    assert rules.find("::1", (), "INVITE") == DENY
    mapped = Rules([Rule("::ffff:0:0/96", action=DENY)])
    assert [mapped.find(host, (), "INVITE") for host in ("192.0.2.1", "::1")] == [DENY, NONE]


def test_without_a_rule_nothing_is_said() -> None:
    assert Rules([]).any is False
    assert Rules([]).find("10.0.0.1", (), "INVITE") == NONE


@pytest.mark.parametrize(
    ("host", "spared"),
    [
        ("10.9.9.9", True),
        # Trusted for some methods.
        ("2001:db8:0:1::9", True),
        ("10.1.9.9", False),
        ("192.0.2.1", False),
        ("2001:db8:0:2::9", False),
    ],
)
def test_whoever_is_trusted_for_anything_is_spared(host: str, spared: bool) -> None:
    assert RULES.spares(host) is spared


def test_a_network_of_64_bits_is_spared_for_one_address_in_it() -> None:
    rules = Rules([network("2001:db8:0:1::7", TRUST)])
    assert rules.spares("2001:db8:0:1::9")
    assert not rules.spares("2001:db8:0:2::7")


def test_what_is_remembered_of_hosts_and_methods_is_bounded() -> None:
    rules = Rules([network("10.0.0.0/8", TRUST, "INVITE")])
    for number in range(70_000):
        rules.find(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", (), "INVITE")
    for number in range(1000):
        assert rules.find("10.0.0.1", (), f"METHOD{number}") == NONE
    assert len(rules._known) <= 65_536
    assert len(rules._known["10.0.0.1"]) <= 2


def test_a_look_up_among_thousands_of_prefixes_costs_what_it_costs_among_few() -> None:
    def rules_of(count: int) -> Rules:
        actions = (TRUST, ALLOW, DENY)
        return Rules(
            [
                network(f"{10 + (number >> 16)}.{number >> 8 & 255}.{number & 255}.0/24", actions[number % 3])
                for number in range(count)
            ]
        )

    def cost_s(rules: Rules) -> float:
        best = float("inf")
        for _ in range(5):
            began = time.thread_time()
            for number in range(2000):
                rules._look_up(f"10.0.{number & 255}.9", "INVITE")
            best = min(best, time.thread_time() - began)
        return best

    # By steps the ratio would be in the thousands.
    assert cost_s(rules_of(50_000)) < 10 * cost_s(rules_of(10))
