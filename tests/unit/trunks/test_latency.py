"""The time to the first response: peaks at once, means by and by, and what is forgotten."""

import pytest

from oneproxy.trunks.latency import UNKNOWN_MS, Latency, Traffic
from trunking import NOW


def fed(*times_ms: float, traffic: Traffic | None = None) -> Latency:
    latency = Latency(traffic or Traffic())
    for ms in times_ms:
        latency.observe(NOW, ms)
    return latency


def pass_by(traffic: Traffic, seconds: float, every_s: float = 0.1) -> None:
    """Calls at others."""
    traffic.began(NOW)
    for number in range(1, round(seconds / every_s) + 1):
        traffic.began(NOW + number * every_s)


def test_who_is_not_known_is_taken_for_fast() -> None:
    assert Latency(Traffic()).value(NOW) == UNKNOWN_MS


def test_the_first_response_is_the_mean() -> None:
    assert fed(80.0).value(NOW) == 80.0


def test_a_peak_counts_at_once_and_whole() -> None:
    assert fed(50.0, 50.0, 3000.0).value(NOW) == pytest.approx(3000.0)


def test_one_peak_is_forgiven_in_seconds_and_many_are_not() -> None:
    once = fed(*[50.0] * 100, 550.0)
    assert once.value(NOW + 30) < 90.0
    often = fed(*[550.0] * 100)
    assert often.value(NOW + 30) == pytest.approx(550.0)


def test_faster_responses_bring_it_down_by_and_by() -> None:
    latency = fed(500.0)
    for number in range(100):
        latency.observe(NOW + number * 0.1, 50.0)
    assert 50.0 < latency.value(NOW + 10) < 60.0


def test_half_is_forgotten_in_two_minutes_of_calls_at_others() -> None:
    traffic = Traffic()
    latency = fed(800.0, traffic=traffic)
    pass_by(traffic, 120.0)
    assert latency.value(NOW + 120) == pytest.approx(400.0, rel=0.01)
    # What is heard now says the more.
    latency.observe(NOW + 120, 100.0)
    assert latency.value(NOW + 120) == pytest.approx(432.5, rel=0.01)


def test_a_slow_gateway_that_is_asked_now_and_then_stays_known_as_one() -> None:
    traffic = Traffic()
    latency = fed(800.0, traffic=traffic)
    for number in range(100):
        pass_by(traffic, 20.0)
        latency.observe(NOW + 20 * number, 800.0)
    assert latency.value(NOW + 2000) == pytest.approx(800.0)


def test_time_without_calls_counts_for_little() -> None:
    traffic = Traffic()
    latency = fed(800.0, traffic=traffic)
    pass_by(traffic, 3600.0, 60.0)
    assert latency.value(NOW + 3600) == pytest.approx(800.0 * 2 ** (-61 * 0.2 / 120))
