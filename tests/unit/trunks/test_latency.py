"""The time to the first response: peaks at once, means by and by, and what is forgotten."""

import pytest

from oneproxy.trunks.latency import UNKNOWN_MS, Latency
from trunking import NOW


def fed(*times_ms: float, now: float = NOW) -> Latency:
    latency = Latency()
    for ms in times_ms:
        latency.observe(now, ms)
    return latency


def test_who_is_not_known_is_taken_for_fast() -> None:
    assert Latency().value(NOW) == UNKNOWN_MS


def test_the_first_response_is_the_mean() -> None:
    assert fed(80.0).value(NOW) == 80.0


def test_a_peak_counts_at_once_and_whole() -> None:
    assert fed(50.0, 50.0, 3000.0).value(NOW) == pytest.approx(3000.0)


def test_one_peak_is_forgiven_in_seconds_and_many_are_not() -> None:
    once = fed(*[50.0] * 100, 550.0)
    assert once.value(NOW + 30) < 90.0
    often = fed(*[550.0] * 100)
    assert often.value(NOW + 30) > 350.0


def test_faster_responses_bring_it_down_by_and_by() -> None:
    latency = fed(500.0)
    for number in range(100):
        latency.observe(NOW + number * 0.1, 50.0)
    assert 50.0 < latency.value(NOW + 10) < 60.0


def test_half_is_forgotten_in_90_seconds_without_a_response() -> None:
    assert fed(800.0).value(NOW + 90) == pytest.approx(400.0)
    later = fed(800.0)
    # But a slow one that is asked now and then stays known as one.
    rare = fed(*[800.0] * 100)
    for number in range(1, 100):
        rare.observe(NOW + number * 20, 800.0)
    assert rare.value(NOW + 99 * 20) == pytest.approx(800.0)
    later.observe(NOW + 600, 50.0)
    assert later.value(NOW + 600) == pytest.approx(50.0, abs=10.0)
