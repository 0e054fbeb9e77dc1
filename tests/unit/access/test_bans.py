"""Bans: who is shut out, for how long, and what transport is told."""

import time
from ipaddress import IPv6Address
from random import Random

import pytest

from oneproxy.access.bans import ACCOUNT, ENDED, SOURCE, Ban, Bans
from oneproxy.access.sources import shut_key, source_of
from oneproxy.transport.banned import is_shut

NOW = 1_700_000_000.0


def source(name: str, since: float = NOW, lasting_s: float = 600) -> Ban:
    return Ban(SOURCE, name, since, since + lasting_s, "requests")


def names(bans: Bans, now: float) -> list[str]:
    while bans.expire(now):
        pass
    return [ban.name for ban in bans.page("", 1000)]


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::7", "2001:db8:0:2::/64"),
        ("::1", "::/64"),
        ("no address: at all", "no address: at all"),
    ],
)
def test_a_source_is_an_ipv4_address_or_an_ipv6_network_of_64_bits(host: str, counted: str) -> None:
    assert source_of(host) == counted


def test_transport_looks_up_what_was_banned() -> None:
    bans = Bans()
    bans.add(source("192.0.2.7"), everywhere=True)
    bans.add(source(source_of("2001:db8:0:1::7")), everywhere=True)
    hosts = ["192.0.2.7", "192.0.2.8", "2001:db8:0:1::9", "2001:db8:0:1::9%eth0", "2001:db8:0:2::7"]
    assert [is_shut(bans.shut, host, NOW) for host in hosts] == [True, False, True, True, False]
    assert shut_key("2001:db8:0:1::/64") == IPv6Address("2001:db8:0:1::").packed[:8]


def test_a_ban_ends_by_itself_for_transport_at_the_very_instant() -> None:
    bans = Bans()
    bans.add(source("192.0.2.7"), everywhere=True)
    assert is_shut(bans.shut, "192.0.2.7", NOW + 599.9)
    assert not is_shut(bans.shut, "192.0.2.7", NOW + 600)
    assert names(bans, NOW + 599.9) == ["192.0.2.7"]
    assert names(bans, NOW + 600) == []
    assert bans.shut == {}


def test_bans_are_listed_with_since_until_and_why() -> None:
    bans = Bans()
    bans.add(Ban(ACCOUNT, "alice@example.com", NOW + 1, NOW + 5, "wrong passwords"), everywhere=False)
    bans.add(source("192.0.2.7"), everywhere=True)
    listed = [(ban.kind, ban.name, ban.since, ban.until, ban.why) for ban in bans.page("", 2)]
    assert listed == [
        ("source", "192.0.2.7", NOW, NOW + 600, "requests"),
        ("account", "alice@example.com", NOW + 1, NOW + 5, "wrong passwords"),
    ]
    # An account is nothing that transport knows.
    assert list(bans.shut) == ["192.0.2.7"]


def test_a_ban_is_lifted_once() -> None:
    bans = Bans()
    bans.add(source("192.0.2.7"), everywhere=True)
    assert [bans.lift("192.0.2.7"), bans.lift("192.0.2.7")] == [True, False]
    assert bans.shut == {}
    assert len(bans) == 0


def test_a_ban_that_was_lifted_and_begun_again_ends_at_its_own_time() -> None:
    bans = Bans()
    bans.add(source("192.0.2.7"), everywhere=True)
    bans.lift("192.0.2.7")
    bans.add(source("192.0.2.7", NOW + 100), everywhere=True)
    assert names(bans, NOW + 650) == ["192.0.2.7"]
    assert names(bans, NOW + 700) == []


def test_a_source_with_somebody_trusted_in_it_is_not_kept_from_transport() -> None:
    bans = Bans()
    bans.add(source("192.0.2.7"), everywhere=True)
    bans.narrow("192.0.2.7")
    bans.add(source("192.0.2.8"), everywhere=False)
    assert bans.shut == {}
    assert names(bans, NOW) == ["192.0.2.7", "192.0.2.8"]


def test_when_there_is_no_room_the_ban_goes_that_would_end_first() -> None:
    bans = Bans(capacity=100)
    bans.add(source("10.0.0.1", lasting_s=10), everywhere=True)
    for number in range(150):
        bans.add(source(f"192.0.2.{number}", lasting_s=600 + number), everywhere=True)
    assert len(bans) == len(bans.shut) == 100
    assert names(bans, NOW) == sorted(f"192.0.2.{number}" for number in range(50, 150))


def test_lifting_and_banning_without_end_takes_no_more_memory() -> None:
    bans = Bans(capacity=100)
    for number in range(10_000):
        bans.add(source("192.0.2.7", NOW + number, lasting_s=100_000), everywhere=True)
        bans.lift("192.0.2.7")
    bans.add(source("192.0.2.7"), everywhere=True)
    assert len(bans._ends) <= 201
    assert len(bans) == 1


def test_bans_that_are_over_are_nobodys_though_they_are_let_go_of_by_and_by() -> None:
    bans = Bans()
    for number in range(3 * ENDED):
        bans.add(source(f"10.0.{number >> 8}.{number & 255}"), everywhere=True)
    assert bans.find("10.0.0.150", NOW + 599.9) is not None
    assert bans.expire(NOW + 600)
    assert bans.find("10.0.0.150", NOW + 600) is None
    assert len(bans) == 2 * ENDED
    assert [bans.expire(NOW + 600) for _ in range(3)] == [True, True, False]
    assert (len(bans), bans.shut) == (0, {})


def test_a_hundred_thousand_bans_are_listed_page_by_page_in_bounded_time() -> None:
    bans = Bans()
    order = list(range(100_000))
    Random(7).shuffle(order)
    for number in order:
        bans.add(source(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"), everywhere=True)
    for number in range(0, 100_000, 3):
        bans.lift(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    listed: list[str] = []
    longest_s = 0.0
    while True:
        began = time.thread_time()
        page = bans.page(listed[-1] if listed else "", 500)
        longest_s = max(longest_s, time.thread_time() - began)
        listed += [ban.name for ban in page]
        if len(page) < 500:
            break
    assert listed == sorted(bans._by_name)
    assert len(listed) == 66_666
    # Some 0.1 ms; to put them in order took a tenth of a second.
    assert longest_s < 0.02
