"""The calls of one that a limit is for: in any period, at once, and both."""

from math import inf

from oneproxy.congestion.count import CODES, Bound, Count
from oneproxy.site.model import Limit

NOW = 1_800_000_000.0


def count(kind: str = "caller", whom: str = "alice@example.com", of: str = "", **keys: float) -> Count:
    bound = Bound(kind, whom)
    bound.take(Limit(**{"period_s": 1.0, **keys}))  # type: ignore[arg-type]
    return Count(bound, of)


def test_calls_in_a_period_are_let_in_as_the_window_goes_on() -> None:
    one = count(calls=2)
    for at in (NOW, NOW + 0.5):
        assert at >= one.full_until(at)
        one.begun(at)
    assert (one.full_until(NOW + 0.5), one.cause) == (NOW + 1, "caller-calls-per-period")
    assert one.full_until(NOW + 1) <= NOW + 1


def test_calls_at_once_have_room_when_one_has_ended() -> None:
    one = count("domain", "example.com", max_calls=2)
    one.begun(NOW)
    one.begun(NOW)
    assert (one.full_until(NOW + 9999), one.cause) == (inf, "domain-max-calls")
    one.ended(NOW)
    assert one.full_until(NOW) == 0.0
    assert one.calls_on == 1


def test_calls_that_are_on_do_not_count_where_nobody_tells_their_end() -> None:
    one = count(calls=5)
    one.begun(NOW)
    assert (one.lasts, one.calls_on, one.within(NOW)) == (False, 0, 1)


def test_a_change_of_the_site_keeps_what_counts() -> None:
    one = count(calls=3, period_s=10.0)
    one.begun(NOW)
    one.begun(NOW + 1)
    one.bound.take(Limit(calls=2, period_s=10.0))
    assert one.full_until(NOW + 1) == NOW + 10
    one.bound.take(Limit(calls=2, period_s=2.0))
    assert one.full_until(NOW + 1) == NOW + 2
    one.bound.take(Limit(calls=4, period_s=10.0, max_calls=1))
    assert one.full_until(NOW + 1) == 0.0
    one.begun(NOW + 1)
    assert one.full_until(NOW + 1) == inf
    one.bound.take(Limit(calls=4, period_s=10.0))
    one.ended(NOW + 1)
    assert (one.calls_on, one.within(NOW + 1)) == (0, 3)


def test_it_is_idle_when_its_last_call_has_left_the_window_and_none_is_on() -> None:
    one = count(calls=2, max_calls=3)
    assert one.is_idle(NOW)
    one.begun(NOW)
    one.begun(NOW + 0.5)
    one.begun(NOW + 0.7)
    for _ in range(2):
        one.ended(NOW + 1)
    assert not one.is_idle(NOW + 100)
    one.ended(NOW + 1)
    assert (one.is_idle(NOW + 1.6), one.is_idle(NOW + 1.75)) == (False, True)


def test_how_many_are_in_the_window_is_told_to_people() -> None:
    one = count(calls=3)
    for at in (NOW, NOW + 0.25, NOW + 0.5, NOW + 1.25, NOW + 1.375):
        one.begun(at)
    told = [one.within(NOW + at) for at in (1.4375, 1.5, 2.25, 2.3125, 2.375, 9.0)]
    assert told == [3, 2, 1, 1, 0, 0]


def test_what_it_refuses_is_counted_by_the_limit_and_told() -> None:
    told: list[tuple[float, str]] = []
    bound = Bound("source", "*", lambda now, of: told.append((now, of.of)))
    bound.take(Limit(calls=1))
    one, other = Count(bound, "192.0.2.1"), Count(bound, "192.0.2.2")
    for refusing in (one, one, other):
        refusing.refused(NOW)
    assert (bound.refused, one.refusals, other.refusals) == (3, 2, 1)
    assert told == [(NOW, "192.0.2.1"), (NOW, "192.0.2.1"), (NOW, "192.0.2.2")]


def test_keys_and_names_say_whom_it_is_for() -> None:
    named = count("caller", "*", "bob@example.com", calls=1)
    assert (named.key, named.bound.key, named.bound.name) == (
        "caller * bob@example.com",
        "caller *",
        "caller *",
    )
    named.bound.take(Limit(calls=1, name="dialler"))
    assert (named.bound.name, named.bound.key) == ("dialler", "caller *")
    assert count("domain", "example.com", calls=1).key == "domain example.com"
    assert {"domain-calls-per-period", "caller-max-calls", "source-max-calls", "provider-max-calls"} < CODES
    assert len(CODES) == 8
