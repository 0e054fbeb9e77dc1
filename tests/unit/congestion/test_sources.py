"""Limits of source addresses: networks as a whole, and each address by itself."""

from math import inf

import pytest

from oneproxy.access.sources import source_of
from oneproxy.congestion import sources as congestion_sources
from oneproxy.congestion.limits import Limits
from oneproxy.congestion.sources import Sources
from oneproxy.engine.decisions import Hold
from oneproxy.site.model import Congestion, Limit

NOW = 1_800_000_000.0


def sources(*limits: Limit) -> Sources:
    made = Limits(source_of=source_of)
    made.take(Congestion(limit=limits))
    return made.sources


def holds(made: Sources, host: str) -> list[Hold]:
    found: list[Hold] = []
    made.add(host, found)
    return found


def begin(made: Sources, host: str, now: float = NOW) -> list[Hold]:
    found = holds(made, host)
    for hold in found:
        hold.begun(now)
    return found


@pytest.mark.parametrize(
    ("host", "keys"),
    [
        ("10.1.2.3", ["source 10.0.0.0/8", "source 10.1.2.3"]),
        ("10.9.9.9", ["source 10.0.0.0/8"]),
        ("::ffff:10.9.9.9", ["source 10.0.0.0/8"]),
        ("192.0.2.1", []),
        ("2001:db8:0:1::7", ["source 2001:db8::/32"]),
        ("::1", []),
        ("not an address", []),
    ],
)
def test_a_call_is_counted_by_every_network_that_it_comes_from(host: str, keys: list[str]) -> None:
    made = sources(
        Limit(source="10.0.0.0/8", calls=1),
        Limit(source="10.1.2.3", calls=1),
        Limit(source="2001:db8::/32", calls=1),
    )
    for _ in range(2):
        assert sorted(hold.key for hold in holds(made, host)) == keys


def test_no_more_hosts_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(congestion_sources, "_REMEMBERED", 5)
    made = sources(Limit(source="10.0.0.0/8", calls=1))
    for number in range(100):
        assert len(holds(made, f"10.0.0.{number}")) == 1
        assert len(made._known) <= 5


def test_all_of_ipv6_is_none_of_ipv4() -> None:
    made = sources(Limit(source="::/0", calls=1), Limit(source="0.0.0.0/0", calls=2))
    assert [hold.key for hold in holds(made, "192.0.2.1")] == ["source 0.0.0.0/0"]
    assert [hold.key for hold in holds(made, "2001:db8::1")] == ["source ::/0"]


def test_each_address_has_it_by_itself_and_each_ipv6_network_of_64_bits() -> None:
    made = sources(Limit(source="*", calls=1))
    begin(made, "192.0.2.1")
    begin(made, "2001:db8:0:1::7")
    found = {
        host: made.full(NOW, host) is not None for host in ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2")
    }
    assert found == {"192.0.2.1": True, "::ffff:192.0.2.1": True, "192.0.2.2": False}
    assert made.full(NOW, "2001:db8:0:1:ffff::8") is not None
    assert made.full(NOW, "2001:db8:0:2::7") is None


def test_it_says_until_when_somebody_is_full_and_no_longer() -> None:
    told: list[float] = []
    made = sources(Limit(source="10.0.0.0/8", calls=1, period_s=5.0), Limit(source="*", max_calls=1))
    made.on_full = told.append
    assert made.until() == 0.0
    first = begin(made, "10.0.0.1")
    assert (made.until(), told) == (inf, [NOW + 5, inf])
    begin(made, "192.0.2.1")
    for hold in first:
        hold.ended(NOW) if hold.lasts else None
    # The other one is full yet.
    assert made.until() == inf
    for share in holds(made, "192.0.2.1"):
        assert share.full_until(NOW) == inf


def test_nobody_is_full_when_all_calls_have_ended() -> None:
    made = sources(Limit(source="*", max_calls=1))
    calls = [begin(made, f"192.0.2.{number}") for number in range(1, 9)]
    assert made.until() == inf
    for held in calls:
        for hold in held:
            hold.ended(NOW)
    assert made.until() == 0.0


def test_one_beyond_its_calls_since_it_was_spared_is_full_until_there_is_room() -> None:
    made = sources(Limit(source="10.0.0.0/8", max_calls=1))
    first, spared = begin(made, "10.0.0.1"), begin(made, "10.0.0.2")
    first[0].ended(NOW)
    assert made.until() == inf
    spared[0].ended(NOW)
    assert made.until() == 0.0


def test_who_is_full_by_a_changed_site_is_found_when_he_is_refused() -> None:
    limits = Limits()
    limits.take(Congestion(limit=(Limit(source="10.0.0.0/8", calls=5, period_s=9.0),)))
    made, told = limits.sources, list[float]()
    made.on_full = told.append
    begin(made, "10.0.0.1")
    limits.take(Congestion(limit=(Limit(source="10.0.0.0/8", calls=1, period_s=9.0),)))
    assert (made.until(), told) == (0.0, [])
    full = made.full(NOW, "10.0.0.2")
    assert full is not None
    limits.reply(NOW, full)
    assert (made.until(), told) == (NOW + 9, [NOW + 9])
