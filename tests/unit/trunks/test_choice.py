"""The four ways to choose, and why others were left out."""

from collections import Counter

import pytest

from oneproxy.site.model import Gateway
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.candidate import Candidate, Why
from oneproxy.trunks.trunks import Trunks
from trunking import NOW, at, begun, gateway, provider, provider_of, served, site, state_of, trunks


def shares(made: Trunks, calls: int = 1000) -> Counter[str]:
    return Counter(served(made, NOW + number / 10) for number in range(calls))


def told(made: Trunks, now: float = NOW) -> dict[str, Why | None]:
    found: list[Candidate] = []
    provider_of(made).choose(now, (), found)
    return {one.name: one.why for one in found}


# By latency.


def test_of_two_gateways_the_faster_one_has_the_call() -> None:
    made = trunks(provider("a", "b"))
    at(made, "a").responded(NOW + 0.5)
    at(made, "b").responded(NOW + 0.05)
    assert [served(made, NOW + 1) for _ in range(20)] == ["b"] * 20


@pytest.mark.parametrize("first_ms", [0.0, 19.0])
def test_gateways_that_answer_at_once_share_the_calls_whatever_their_first_one_took(first_ms: float) -> None:
    made = trunks(provider("a", "b"))
    at(made, "a").responded(NOW + 0.001)
    if first_ms:
        # Where nothing is known of the other one it is the same: it is tried.
        at(made, "b").responded(NOW + first_ms / 1000)
    names = [served(made, NOW + 1 + number / 100, 1.0) for number in range(1000)]
    assert 400 < names.count("b") < 600


def test_calls_that_wait_make_a_gateway_cost_more() -> None:
    made = trunks(provider("a", "b"))
    at(made, "a").responded(NOW + 0.05)
    at(made, "b").responded(NOW + 0.2)
    # 50 ms times five is more than 200 ms times one.
    waiting = [at(made, "a", NOW + 0.2) for _ in range(4)]
    assert served(made, NOW + 0.2, 200.0) == "b"
    waiting.pop().end(NOW + 0.2)
    waiting.pop().end(NOW + 0.2)
    assert served(made, NOW + 0.2) == "a"


def test_a_gateway_that_has_just_died_shows_it_before_anything_times_out() -> None:
    made = trunks(provider("a", "b"))
    for name, ms in (("a", 20.0), ("b", 100.0)):
        at(made, name).responded(NOW + ms / 1000)
    at(made, "a", NOW + 1)
    assert state_of(made, "a").cost(NOW + 1) < state_of(made, "b").cost(NOW + 1)
    assert state_of(made, "a").cost(NOW + 1.2) == pytest.approx(400.0, rel=1e-3)


def test_equal_gateways_share_the_calls() -> None:
    found = shares(trunks(provider("a", "b", "c", "d", "e")), 2000)
    assert all(320 < found[name] < 480 for name in "abcde")


def test_a_slow_gateway_is_asked_again_by_and_by() -> None:
    made = trunks(provider("a", "b"))
    at(made, "a").responded(NOW + 0.6)
    names = [served(made, NOW + 1 + number / 5, 50.0) for number in range(8000)]
    first = names.index("a")
    assert 1500 < first < 2500
    # It is fast now.
    assert names[first:].count("a") > 200


def test_a_gateway_that_fails_every_other_call_costs_more_than_one_that_fails_none() -> None:
    made = trunks(provider("a", "b", eject_below_percent=100))
    for number in range(40):
        attempt = at(made, "a", NOW + number)
        attempt.responded(NOW + number + 0.05)
        attempt.failed(NOW + number + 0.05, 503) if number % 2 else attempt.answered(NOW + number + 0.05)
        at(made, "b", NOW + number).answered(NOW + number + 0.05)
    assert state_of(made, "a").rate() == pytest.approx(0.56, abs=0.1)
    assert state_of(made, "a").cost(NOW + 40) > 5 * state_of(made, "b").cost(NOW + 40)
    # 600 calls at others forgive half of it.
    for number in range(600):
        at(made, "b", NOW + 40 + number).end(NOW + 40 + number)
    assert state_of(made, "a").rate() == pytest.approx(0.78, abs=0.05)


def test_a_gateway_that_refuses_at_once_is_not_a_fast_one() -> None:
    made = trunks(provider("a", "b"))
    for name in "ab":
        at(made, name).responded(NOW + 0.05)
    for _ in range(3):
        at(made, "a", NOW + 1).failed(NOW + 1.001, 500)
    assert state_of(made, "a").latency.value(NOW + 1) == pytest.approx(50.0)
    assert state_of(made, "a").cost(NOW + 2) > state_of(made, "b").cost(NOW + 2)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_nor_does_it_become_one_by_what_it_says(status: int) -> None:
    made = trunks(provider("a", "b"))
    for name in "ab":
        at(made, name).responded(NOW + 0.05)
    at(made, "a", NOW + 1).failed(NOW + 1.001, status)
    assert state_of(made, "a").latency.value(NOW + 1) == pytest.approx(50.0)
    at(made, "a", NOW + 1).failed(NOW + 2, status)
    assert state_of(made, "a").latency.value(NOW + 2) == pytest.approx(1000.0)


# The other ways.


def test_in_order_the_first_one_has_all_calls_that_it_may() -> None:
    made = trunks(provider(gateway("a", max_calls=2), "b", choice="order"))
    assert [begun(made)[1].gateway.site.name for _ in range(4)] == ["a", "a", "b", "b"]


def test_by_weight_turns_are_as_even_as_they_can_be() -> None:
    made = trunks(provider(gateway("a", weight=5), gateway("b"), gateway("c"), choice="weight"))
    assert "".join(served(made) for _ in range(14)) == "aabacaaaabacaa"


def test_by_load_the_lowest_share_of_the_maximum_has_the_call() -> None:
    gateways = [gateway("a", max_calls=1), gateway("b", max_calls=2), gateway("c", max_calls=10)]
    made = trunks(provider(*gateways, choice="load"))
    names = [begun(made, NOW + number)[1].gateway.site.name for number in range(13)]
    assert Counter(names) == {"a": 1, "b": 2, "c": 10}
    # As the shares rise together.
    assert names == [*"abc", *"cccc", "b", *"ccccc"]


def test_of_the_same_load_the_one_whose_turn_was_longest_ago() -> None:
    made = trunks(provider("a", "b", "c", choice="load"))
    assert "".join(served(made, NOW + number) for number in range(7)) == "abcabca"


def test_without_a_maximum_load_is_the_calls_for_the_weight() -> None:
    made = trunks(provider(gateway("a", weight=1), gateway("b", weight=3), choice="load"))
    assert Counter(begun(made, NOW + number)[1].gateway.site.name for number in range(40)) == {
        "a": 10,
        "b": 30,
    }


@pytest.mark.parametrize("way", ["latency", "order", "weight", "load"])
def test_weight_0_is_for_when_nobody_else_may(way: str) -> None:
    made = trunks(provider(gateway("a", weight=0), gateway("b", max_calls=1), choice=way))
    assert [begun(made)[1].gateway.site.name for _ in range(3)] == ["b", "a", "a"]


@pytest.mark.parametrize("way", ["latency", "order", "weight", "load"])
def test_a_drained_gateway_gets_no_new_calls_and_keeps_those_that_it_has(way: str) -> None:
    made = trunks(provider("a", "b", choice=way))
    attempt = at(made, "a")
    made.take(site(provider(gateway("a", drain=True), "b", choice=way)))
    assert {served(made) for _ in range(20)} == {"b"}
    assert state_of(made, "a").calls == 1
    attempt.end(NOW + 10)
    assert state_of(made, "a").calls == 0
    made.take(site(provider("a", gateway("b", drain=True), choice=way)))
    assert served(made) == "a"


def test_another_way_to_choose_begins_anew() -> None:
    made = trunks(provider("a", "b", choice="load"))
    for number in range(5):
        served(made, NOW + number * 100)
    made.take(site(provider("a", "b", choice="weight")))
    assert [served(made, NOW + number) for number in range(6)] == ["a", "b"] * 3


# Why.


def test_a_choice_tells_why_each_was_left_out() -> None:
    gateways: list[Gateway | str] = [
        gateway("full", max_calls=1),
        gateway("fast", max_calls_per_s=1),
        gateway("resting"),
        gateway("silent", probe_every_s=30),
        gateway("ejected"),
        gateway("drained", drain=True),
        gateway("spare", weight=0),
        "good",
    ]
    made = trunks(provider(*gateways, panic_percent=0))
    at(made, "full")
    at(made, "fast").end(NOW)
    at(made, "resting").failed(NOW, 503, retry_after_s=30)
    for _ in range(3):
        provider_of(made).probed(NOW, "silent", 408, "timeout")
    for _ in range(5):
        at(made, "ejected").failed(NOW, 500)
    assert told(made) == {
        "full": Why.FULL,
        "fast": Why.PACE,
        "resting": Why.RESTING,
        "silent": Why.DOWN,
        "ejected": Why.EJECTED,
        "drained": Why.DRAINED,
        "spare": Why.SPARE,
        "good": Why.CHOSEN,
    }


def test_a_choice_tells_the_scores_of_those_that_it_compared_and_who_was_not_drawn() -> None:
    made = trunks(provider("a", "b", "c"))
    for name, ms in (("a", 30.0), ("b", 40.0), ("c", 50.0)):
        at(made, name).answered(NOW + ms / 1000)
    seen: Counter[str] = Counter()
    for _ in range(50):
        found: list[Candidate] = []
        provider_of(made).choose(NOW + 0.5, (), found)
        by_name = {one.name: one for one in found}
        assert [round(by_name[name].score) for name in "abc"] == [30, 40, 50]
        assert [by_name[name].calls for name in "abc"] == [1, 1, 1]
        compared = {one.name: one.score for one in found if one.why in (Why.CHOSEN, Why.COSTS_MORE)}
        assert len(compared) == 2
        (chosen,) = [one for one in found if one.why is Why.CHOSEN]
        assert chosen.score == min(compared.values())
        assert [one.why for one in found if one.name not in compared] == [Why.NOT_DRAWN]
        seen[chosen.name] += 1
    assert set(seen) == {"a", "b"}


def test_a_walk_tells_what_it_tells() -> None:
    made = trunks(provider("a", "b", choice="order"))
    walk = made.walk("p")
    found: list[Candidate] = []
    assert isinstance(walk.begin(NOW, found), Attempt)
    walk.failed(NOW, 500, told=found)
    assert [(one.name, one.why) for one in found] == [
        ("a", Why.CHOSEN),
        ("b", Why.COSTS_MORE),
        ("a", Why.TRIED),
        ("b", Why.CHOSEN),
    ]
