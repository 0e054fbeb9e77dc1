"""Gateways that are taken out, how they come back, and that never all are out."""

import pytest

from oneproxy.site.model import Gateway
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.candidate import Why
from oneproxy.trunks.health import TRANSITIONS, Health, Input, State
from oneproxy.trunks.trunks import Trunks
from trunking import (
    NOW,
    at,
    begun,
    fail,
    gateway,
    provider,
    provider_of,
    served,
    site,
    state_of,
    states,
    trunks,
)

FIVE = ("a", "b", "c", "d", "e")


def ejected_for(made: Trunks, name: str) -> float:
    health = state_of(made, name).health
    assert health.state is State.EJECTED
    return health.until - health.since


def bring_back(made: Trunks, name: str, now: float, calls: int = 5) -> None:
    """Take the calls of a canary, one a second."""
    for number in range(calls):
        attempt = next_canary(made, name, now + number)
        attempt.answered(now + number)
        attempt.end(now + number)
    assert states(made)[name] is State.UP


def next_canary(made: Trunks, name: str, now: float) -> Attempt:
    attempt = begun(made, now)[1]
    assert attempt.gateway.site.name == name
    assert attempt.is_canary
    return attempt


def probe(made: Trunks, name: str, *answers: bool, now: float = NOW) -> None:
    for is_answered in answers:
        provider_of(made).probed(now, name, *((200, None) if is_answered else (408, "timeout")))


# Ejection.


def test_a_run_of_failures_ejects_a_gateway() -> None:
    made = trunks(provider(*FIVE))
    fail(made, "a", 4)
    at(made, "a").answered(NOW)
    fail(made, "a", 4)
    assert states(made)["a"] is State.UP
    fail(made, "a", 1)
    assert states(made)["a"] is State.EJECTED
    assert {served(made, NOW + number / 10) for number in range(100)} == set("bcde")


@pytest.mark.parametrize(
    ("status", "error"),
    [(408, None), (500, None), (503, None), (408, "timeout"), (503, "transport"), (503, "name")],
)
def test_each_kind_of_failure_counts(status: int, error: str | None) -> None:
    made = trunks(provider(*FIVE))
    for _ in range(5):
        at(made, "a").failed(NOW, status, error)
    assert states(made)["a"] is State.EJECTED


@pytest.mark.parametrize("status", [404, 480, 486, 487, 501, 505, 600, 603])
def test_what_is_of_the_callee_ends_a_run(status: int) -> None:
    made = trunks(provider(*FIVE))
    fail(made, "a", 4)
    at(made, "a").failed(NOW, status)
    fail(made, "a", 4)
    assert states(made)["a"] is State.UP
    assert state_of(made, "a").ends[f"{status // 100}xx"] == (9 if status // 100 == 5 else 1)


@pytest.mark.parametrize("error", ["full", "breadth", "loop"])
def test_what_is_ours_says_nothing(error: str) -> None:
    made = trunks(provider(*FIVE))
    for _ in range(50):
        at(made, "a").failed(NOW, 503, error)
    assert states(made)["a"] is State.UP
    assert state_of(made, "a").rate() == 1.0
    assert sum(state_of(made, "a").ends.values()) == 0


def test_a_caller_who_gives_up_says_nothing_of_success() -> None:
    made = trunks(provider(*FIVE))
    for _ in range(50):
        at(made, "a").end(NOW + 2)
    assert states(made)["a"] is State.UP
    assert state_of(made, "a").rate() == 1.0
    # But it would have taken two seconds at least.
    assert state_of(made, "a").latency.value(NOW + 2) == pytest.approx(2000.0)


def test_a_success_rate_far_below_its_siblings_ejects_a_gateway() -> None:
    made = trunks(provider(*FIVE))
    for number in range(60):
        for name in FIVE:
            attempt = at(made, name, NOW + number)
            attempt.failed(NOW + number, 500) if name == "a" and number % 2 else attempt.answered(
                NOW + number
            )
        if states(made)["a"] is State.EJECTED:
            break
    assert states(made)["a"] is State.EJECTED
    assert number > 18


def test_where_all_fail_as_often_nobody_is_ejected_for_his_rate() -> None:
    made = trunks(provider(*FIVE))
    for number in range(200):
        for name in FIVE:
            attempt = at(made, name, NOW + number)
            attempt.failed(NOW + number, 500) if number % 2 else attempt.answered(NOW + number)
    assert set(states(made).values()) == {State.UP}


def test_each_ejection_lasts_twice_as_long_up_to_a_bound() -> None:
    made = trunks(provider(*FIVE, eject_s=30, max_eject_s=100))
    now = NOW
    lasts = []
    for _ in range(4):
        fail(made, "a", 5, now)
        lasts.append(ejected_for(made, "a"))
        now = state_of(made, "a").health.until
        bring_back(made, "a", now)
        now += 10
    assert lasts == [30, 60, 100, 100]


def test_a_gateway_that_was_well_for_long_begins_anew() -> None:
    made = trunks(provider(*FIVE, eject_s=30, max_eject_s=100))
    fail(made, "a", 5)
    bring_back(made, "a", NOW + 30)
    fail(made, "a", 5, NOW + 134)
    assert ejected_for(made, "a") == 30
    bring_back(made, "a", NOW + 164)
    fail(made, "a", 5, NOW + 264)
    assert ejected_for(made, "a") == 60


def test_calls_that_time_out_after_the_ejection_do_not_make_it_longer() -> None:
    made = trunks(provider(*FIVE))
    *waiting, late = [at(made, "a") for _ in range(50)]
    for number, attempt in enumerate(waiting):
        attempt.failed(NOW + 3 + number * 0.7, 408, "timeout")
    assert ejected_for(made, "a") == 30
    # Nor do they fail the canary that the last of them meet.
    assert states(made)["a"] is State.EJECTED
    begun(made, NOW + 36)
    assert states(made)["a"] is State.CANARY
    late.failed(NOW + 36.5, 408, "timeout")
    assert states(made)["a"] is State.CANARY


def test_calls_that_began_before_it_was_back_say_nothing_of_it() -> None:
    made = trunks(provider(*FIVE))
    fail(made, "a", 5)
    late = [at(made, "a", NOW + 1) for _ in range(20)]
    bring_back(made, "a", NOW + 30)
    for attempt in late[:10]:
        attempt.failed(NOW + 35, 408, "timeout")
    assert states(made)["a"] is State.UP
    fail(made, "a", 4, NOW + 35)
    late[10].answered(NOW + 36)
    fail(made, "a", 1, NOW + 36)
    assert states(made)["a"] is State.EJECTED


def test_a_call_is_judged_once_unless_it_fails_after_it_was_taken() -> None:
    made = trunks(provider("a"))
    found = state_of(made, "a")
    attempt = at(made, "a")
    attempt.reached(NOW)
    attempt.answered(NOW)
    attempt = at(made, "a")
    attempt.reached(NOW)
    attempt.failed(NOW, 486)
    assert found.judged == 2
    attempt = at(made, "a")
    attempt.reached(NOW)
    attempt.failed(NOW, 503)
    assert found.judged == 4
    assert found.rate() == pytest.approx(0.95)


# The panic threshold.


@pytest.mark.parametrize(
    ("count", "percent", "stay"),
    [(1, 0, 1), (2, 0, 1), (2, 30, 1), (5, 30, 2), (5, 50, 3), (5, 0, 1), (4, 100, 4)],
)
def test_never_all_are_ejected_at_once(count: int, percent: int, stay: int) -> None:
    made = trunks(provider(*FIVE[:count], panic_percent=percent))
    for name in FIVE[:count]:
        fail(made, name, 20)
    found = list(states(made).values())
    assert (found.count(State.UP), found.count(State.EJECTED)) == (stay, count - stay)


def test_a_canary_that_fails_stays_where_nobody_else_is_left() -> None:
    made = trunks(provider("a", "b", gateway("c", probe_every_s=10)))
    fail(made, "a", 5)
    fail(made, "b", 5)
    assert list(states(made).values()) == [State.EJECTED, State.EJECTED, State.UP]
    probe(made, "c", False, False, False)
    # The one that is back first is brought back at once, and it has all calls.
    assert list(states(made).values()) == [State.CANARY, State.EJECTED, State.DOWN]
    assert [served(made) for _ in range(3)] == ["a"] * 3
    fail(made, "a", 1)
    assert states(made)["a"] is State.CANARY


def test_where_the_last_one_is_drained_one_that_was_ejected_is_back() -> None:
    made = trunks(provider("a", "b"))
    fail(made, "a", 5)
    made.take(site(provider("a", gateway("b", drain=True))))
    assert states(made) == {"a": State.CANARY}
    assert served(made) == "a"


def test_another_address_is_another_peer_and_knows_no_ejection() -> None:
    made = trunks(provider("a", "b"))
    fail(made, "a", 5)
    held = [at(made, "a") for _ in range(20)]
    made.take(site(provider(Gateway("a", "sip:192.0.2.99"), "b")))
    found = state_of(made, "a")
    assert states(made)["a"] is State.UP
    assert found.calls == 20
    # What calls at the old one come to is not held against it, nor for it.
    held.pop().failed(NOW + 1, 503, retry_after_s=30)
    held.pop().answered(NOW + 1)
    held.pop().end(NOW + 9)
    for attempt in held:
        attempt.failed(NOW + 3, 408, "timeout")
    assert states(made)["a"] is State.UP
    assert (found.rate(), found.judged, found.latency.at, found.health.rest_until) == (1.0, 0, 0.0, 0.0)
    assert (found.calls, found.waiting) == (1, 0)


# Canaries.


def test_a_gateway_comes_back_by_single_calls_no_faster_than_one_a_second() -> None:
    made = trunks(provider(*FIVE))
    fail(made, "a", 5)
    assert "a" not in {served(made, NOW + 29.9) for _ in range(20)}
    first = next_canary(made, "a", NOW + 30)
    # While its fate is open there is no other.
    assert "a" not in {served(made, NOW + 33) for _ in range(20)}
    first.reached(NOW + 34)
    second = next_canary(made, "a", NOW + 34)
    second.answered(NOW + 34)
    assert "a" not in {served(made, NOW + 34.9) for _ in range(20)}
    for number in range(3):
        next_canary(made, "a", NOW + 35 + number).answered(NOW + 35 + number)
    assert states(made)["a"] is State.UP
    assert state_of(made, "a").rate() == 1.0


def test_a_canary_whose_fate_stays_open_holds_up_the_next_one_for_half_a_minute() -> None:
    made = trunks(provider(*FIVE))
    fail(made, "a", 5)
    first = next_canary(made, "a", NOW + 30)
    assert "a" not in {served(made, NOW + 62.9) for _ in range(20)}
    second = next_canary(made, "a", NOW + 63)
    first.answered(NOW + 63)
    assert "a" not in {served(made, NOW + 70) for _ in range(20)}
    second.answered(NOW + 70)
    next_canary(made, "a", NOW + 70)


def test_how_long_it_took_before_its_ejection_is_not_held_against_it() -> None:
    made = trunks(provider(*FIVE))
    for number in range(5):
        at(made, "a", NOW + number).failed(NOW + number + 3, 408, "timeout")
    assert state_of(made, "a").latency.value(NOW + 8) > 2000.0
    for number in range(5):
        next_canary(made, "a", NOW + 40 + number).answered(NOW + 40.05 + number)
    assert state_of(made, "a").latency.value(NOW + 45) == pytest.approx(50.0)


def test_a_canary_has_all_calls_where_the_only_other_one_is_a_full_canary() -> None:
    made = trunks(provider(gateway("a", max_calls=1), "b", "c"))
    for name in "abc":
        fail(made, name, 5)
    made.take(site(provider(gateway("a", max_calls=1), "b", gateway("c", drain=True))))
    held = at(made, "a", NOW + 31)
    assert [served(made, NOW + 31) for _ in range(3)] == ["b"] * 3
    assert states(made) == {"a": State.CANARY, "b": State.CANARY}
    held.end(NOW + 31)


def test_a_canary_that_fails_is_ejected_for_longer() -> None:
    made = trunks(provider(*FIVE))
    fail(made, "a", 5)
    for number in range(4):
        next_canary(made, "a", NOW + 30 + number).answered(NOW + 30 + number)
    next_canary(made, "a", NOW + 34).failed(NOW + 35, 503)
    assert ejected_for(made, "a") == 60


def test_a_caller_who_gives_up_makes_room_for_the_next_canary() -> None:
    made = trunks(provider(*FIVE))
    fail(made, "a", 5)
    next_canary(made, "a", NOW + 30).end(NOW + 31)
    next_canary(made, "a", NOW + 31)


def test_a_call_that_failed_elsewhere_is_no_canary_unless_nobody_else_is_there() -> None:
    made = trunks(provider("a", "b", "c"))
    fail(made, "a", 5)
    walk, attempt = begun(made, NOW + 30)
    assert attempt.gateway.site.name == "a"
    walk.end(NOW + 30)
    names = []
    walk, attempt = begun(made, NOW + 30.5)
    # Its next call is due now, and may be any but this one.
    for _ in range(3):
        names.append(attempt.gateway.site.name)
        following = walk.failed(NOW + 31.5, 500)
        if isinstance(following, Attempt):
            attempt = following
    assert sorted(names[:2]) == ["b", "c"]
    assert names[2] == "a"


def test_a_canary_has_no_more_than_its_trickle_where_others_are_full() -> None:
    made = trunks(provider("a", gateway("b", max_calls=1)))
    fail(made, "a", 5)
    at(made, "b", NOW + 30)
    next_canary(made, "a", NOW + 30).answered(NOW + 30)
    assert provider_of(made).choose(NOW + 30.5) is Why.FULL
    next_canary(made, "a", NOW + 31)


# OPTIONS.


def test_options_without_an_answer_take_a_gateway_out_and_answers_bring_it_back_as_a_canary() -> None:
    made = trunks(provider("a", "b", probes_down=3, probes_up=2))
    probe(made, "a", False, False, True, False, False)
    assert states(made)["a"] is State.UP
    probe(made, "a", False)
    assert states(made)["a"] is State.DOWN
    assert {served(made, NOW + number) for number in range(100)} == {"b"}
    probe(made, "a", True, False, True)
    assert states(made)["a"] is State.DOWN
    probe(made, "a", True, now=NOW + 100)
    assert states(made)["a"] is State.CANARY
    bring_back(made, "a", NOW + 100)


def test_any_response_is_an_answer_but_one_that_says_the_gateway_failed() -> None:
    made = trunks(provider("a", "b", probes_down=1, probes_up=1))
    for status, state in (
        (200, State.UP),
        (405, State.UP),
        (483, State.UP),
        (503, State.DOWN),
        (404, State.CANARY),
    ):
        provider_of(made).probed(NOW, "a", status)
        assert states(made)["a"] is state
    provider_of(made).probed(NOW, "nobody", 200)


def test_answered_options_do_not_end_an_ejection() -> None:
    made = trunks(provider(*FIVE))
    fail(made, "a", 5)
    probe(made, "a", True, True, True, True)
    assert states(made)["a"] is State.EJECTED
    probe(made, "a", False, False, False, True, True)
    assert states(made)["a"] is State.EJECTED


def test_a_gateway_that_is_probed_no_more_is_not_down_for_ever() -> None:
    made = trunks(provider(gateway("a", probe_every_s=30), "b"))
    probe(made, "a", False, False, False)
    made.take(site(provider("a", "b")))
    assert states(made)["a"] is State.CANARY


# Retry-After.


@pytest.mark.parametrize(("said", "bound", "rests_s"), [(10, 60, 10), (3600, 60, 60), (0, 60, 0), (10, 0, 0)])
def test_retry_after_in_a_503_is_kept_to_within_bounds(said: int, bound: int, rests_s: int) -> None:
    made = trunks(provider("a", "b", max_retry_after_s=bound, choice="order"))
    at(made, "a").failed(NOW, 503, retry_after_s=said)
    assert served(made, NOW) == ("b" if rests_s else "a")
    assert served(made, NOW + rests_s - 0.1) == ("b" if rests_s else "a")
    assert served(made, NOW + rests_s) == "a"


def test_retry_after_is_heard_in_a_503_of_the_gateway_alone() -> None:
    made = trunks(provider("a", choice="order"))
    at(made, "a").failed(NOW, 500, retry_after_s=10)
    at(made, "a").failed(NOW, 503, "transport", retry_after_s=10)
    assert served(made) == "a"


def test_a_gateway_that_rests_is_not_asked_where_all_rest() -> None:
    made = trunks(provider("a", "b"))
    for name in "ab":
        at(made, name).failed(NOW, 503, retry_after_s=10)
    assert provider_of(made).choose(NOW) is Why.DOWN


def test_what_is_not_in_the_table_changes_nothing() -> None:
    made = trunks(provider("a"))
    health = state_of(made, "a").health
    for state in State:
        for event in Input:
            if (state, event) not in TRANSITIONS:
                health.state = state
                assert not health.on(NOW, event, provider())
                assert health.state is state


def test_a_copy_is_in_the_same_state_in_all_that_there_is() -> None:
    health = Health()
    for number, name in enumerate(Health.__slots__):
        setattr(health, name, number + 7)
    copied = health.copy()
    assert [getattr(copied, name) for name in Health.__slots__] == [
        n + 7 for n in range(len(Health.__slots__))
    ]
