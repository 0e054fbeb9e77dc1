"""Calls at once and calls in a second: exact, and not a call too many nor too few."""

import pytest

from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.candidate import Why
from trunking import NOW, at, begun, gateway, name_of, provider, provider_of, site, state_of, trunks


def test_a_gateway_has_no_more_calls_than_it_may() -> None:
    made = trunks(provider(gateway("a", max_calls=3)))
    attempts = [begun(made)[1] for _ in range(3)]
    assert provider_of(made).choose(NOW) is Why.FULL
    attempts[1].end(NOW)
    assert provider_of(made).choose(NOW) is state_of(made, "a")


def test_a_provider_has_no_more_calls_than_it_may_over_all_gateways() -> None:
    made = trunks(provider("a", "b", max_calls=3))
    attempts = [begun(made)[1] for _ in range(3)]
    assert provider_of(made).choose(NOW) is Why.FULL
    attempts[0].end(NOW)
    assert provider_of(made).choose(NOW) is not Why.FULL


def test_calls_that_end_in_every_way_make_room_once() -> None:
    made = trunks(provider(gateway("a", max_calls=4)))
    others = at(made, "a")
    for way in range(200):
        attempt = at(made, "a")
        if way & 1:
            attempt.reached(NOW)
        if way & 2:
            attempt.answered(NOW)
        if way & 4:
            attempt.failed(NOW, 486)
            attempt.failed(NOW, 486)
        # A 2xx that crosses a CANCEL.
        attempt.end(NOW)
        attempt.answered(NOW)
        attempt.responded(NOW)
        attempt.end(NOW)
        assert state_of(made, "a").calls == 1
        assert state_of(made, "a").waiting == 1
    others.end(NOW)
    assert (state_of(made, "a").calls, state_of(made, "a").waiting, len(provider_of(made).held)) == (0, 0, 0)


def test_how_long_calls_have_waited_is_exact_after_any_number_of_them() -> None:
    made = trunks(provider("a"))
    state = state_of(made, "a")
    for number in range(3000):
        attempts = [at(made, "a", NOW + number / 7 + step / 3) for step in range(3)]
        for attempt in (attempts[1], attempts[2], attempts[0]):
            attempt.end(NOW + number / 7 + 1)
    assert (state.waiting, state.waiting_since) == (0, 0.0)
    at(made, "a", NOW + 500)
    at(made, "a", NOW + 501)
    assert NOW + 502 - state.waiting_since / state.waiting == pytest.approx(1.5, abs=1e-5)


def test_new_calls_in_a_second_are_bounded() -> None:
    made = trunks(provider(gateway("a", max_calls_per_s=2), gateway("b", max_calls_per_s=1)))
    names = [name_of(made.walk("p").begin(NOW + number / 10)) for number in range(5)]
    assert sorted(names) == ["503", "503", "a", "a", "b"]
    assert name_of(made.walk("p").begin(NOW + 1.0)) in "ab"
    assert provider_of(made).full == 2


def test_a_lower_bound_lets_calls_end_and_takes_no_new_ones() -> None:
    made = trunks(provider(gateway("a", max_calls=3)))
    attempts = [begun(made)[1] for _ in range(3)]
    made.take(site(provider(gateway("a", max_calls=2))))
    attempts.pop().end(NOW)
    assert provider_of(made).choose(NOW) is Why.FULL
    attempts.pop().end(NOW)
    assert provider_of(made).choose(NOW) is state_of(made, "a")
    made.take(site(provider("a")))
    assert [name_of(begun(made)[1]) for _ in range(9)] == ["a"] * 9


def test_a_gateway_that_was_gone_from_the_site_comes_back_with_its_calls() -> None:
    made = trunks(provider(gateway("a", max_calls=1), "b"))
    attempt = at(made, "a")
    made.take(site(provider("b")))
    made.take(site(provider("b")))
    made.take(site(provider(gateway("a", max_calls=1))))
    assert provider_of(made).choose(NOW) is Why.FULL
    attempt.end(NOW)
    assert provider_of(made).choose(NOW) is state_of(made, "a")
    # And without calls it is forgotten.
    made.take(site(provider("b")))
    assert provider_of(made).find("a") is None


def test_a_provider_that_was_gone_from_the_site_comes_back_with_its_calls() -> None:
    made = trunks(provider("a", max_calls=1))
    attempt = at(made, "a")
    made.take(site())
    assert made.find("p") is None
    made.take(site(provider("a", max_calls=1)))
    assert provider_of(made).choose(NOW) is Why.FULL
    attempt.end(NOW)
    assert provider_of(made).choose(NOW) is state_of(made, "a")


def test_calls_go_on_counting_after_a_restart() -> None:
    again = trunks(provider(gateway("a", max_calls=2, max_calls_per_s=1), "c", choice="order"))
    adopted = [again.adopt("p", name, NOW) for name in ("a", "a", "b")]
    assert all(one.is_answered and one.is_reached and not one.is_over for one in adopted)
    assert len(provider_of(again).held) == 3
    assert name_of(again.walk("p").begin(NOW + 9)) == "c"
    adopted[0].end(NOW + 10)
    adopted[0].end(NOW + 10)
    # Nothing of them counts as a call that began now.
    assert name_of(again.walk("p").begin(NOW + 10)) == "a"
    assert (state_of(again, "a").calls, state_of(again, "a").waiting) == (2, 1)
    for one in adopted:
        one.end(NOW + 11)
    assert (state_of(again, "a").calls, state_of(again, "b").calls) == (1, 0)
    assert provider_of(again).full == 0


def test_a_call_that_goes_on_at_a_gateway_gone_from_the_site_is_one_of_its_provider() -> None:
    again = trunks(provider(gateway("a"), max_calls=1))
    adopted = again.adopt("p", "gone", NOW)
    assert provider_of(again).choose(NOW) is Why.FULL
    again.take(site(provider(gateway("a"), gateway("gone", max_calls=1))))
    assert state_of(again, "gone").calls == 1
    adopted.end(NOW)
    assert provider_of(again).choose(NOW) is not Why.FULL


def test_a_call_that_goes_on_at_a_provider_gone_from_the_site_counts_when_that_is_back() -> None:
    again = trunks(provider("a"))
    adopted = again.adopt("gone", "g", NOW)
    assert again.find("gone") is None
    assert [one.site.name for one in again.providers()] == ["p"]
    back = site(provider("a"), provider(gateway("g", max_calls=1), name="gone"))
    again.take(back)
    assert provider_of(again, "gone").choose(NOW) is Why.FULL
    adopted.end(NOW)
    assert provider_of(again, "gone").choose(NOW) is state_of(again, "g", "gone")


def test_after_a_million_calls_the_count_is_right() -> None:
    made = trunks(provider(gateway("a", max_calls=50), gateway("b", max_calls=70), max_calls=100))
    found = provider_of(made)
    on: list[Attempt] = []
    for number in range(1_000_000):
        now = NOW + number / 1000
        chosen = found.choose(now)
        if isinstance(chosen, Why):
            assert (chosen, len(on)) == (Why.FULL, 100)
            for attempt in on[::2]:
                attempt.end(now)
            del on[::2]
            continue
        attempt = found.begin(now, chosen)
        if number % 3:
            attempt.answered(now)
            on.append(attempt)
        else:
            attempt.failed(now, 486)
    assert state_of(made, "a").calls + state_of(made, "b").calls == len(found.held) == len(on)
    for attempt in on:
        attempt.end(NOW)
    for state in found.gateways:
        assert (state.calls, state.waiting, state.waiting_since) == (0, 0, 0.0)
    assert len(found.held) == 0
