"""Limits that each has for himself: bounded, whoever calls, and nobody is shut out by others."""

import tracemalloc

from oneproxy.congestion.count import Bound
from oneproxy.congestion.table import CAPACITY, Share, Table
from oneproxy.site.model import Limit

NOW = 1_800_000_000.0


def table(capacity: int = 4, calls: int = 1, period_s: float = 1.0, max_calls: int = 0) -> Table:
    bound = Bound("caller", "*")
    bound.take(Limit(calls=calls, period_s=period_s, max_calls=max_calls))
    return Table(bound, capacity)


def begins(made: Table, of: str, now: float) -> Share | None:
    """A call that goes on if there is room."""
    share = Share(made, of)
    if now < share.full_until(now):
        share.refused(now)
        return None
    share.begun(now)
    return share


def test_each_has_the_limit_by_himself() -> None:
    made = table()
    assert begins(made, "a", NOW)
    assert begins(made, "a", NOW) is None
    assert begins(made, "b", NOW)
    assert begins(made, "a", NOW + 1)
    assert made.bound.refused == 1


def test_nothing_is_made_for_who_does_not_begin_a_call() -> None:
    made = table()
    assert Share(made, "a").full_until(NOW) == 0.0
    assert len(made.counts) == 0


def test_those_that_are_idle_go_when_others_come() -> None:
    made = table(capacity=100)
    for number in range(50):
        begins(made, str(number), NOW)
    for number in range(25):
        begins(made, f"later {number}", NOW + 1)
    # Two of those before went for each new one, and no new one did.
    assert list(made.counts) == [f"later {number}" for number in range(25)]


def test_who_is_on_the_phone_is_never_forgotten() -> None:
    made = table(capacity=3, calls=0, max_calls=1)
    on = begins(made, "a", NOW)
    assert on is not None
    for number in range(100):
        share = begins(made, str(number), NOW + number)
        assert share is not None
        share.ended(NOW + number)
    assert begins(made, "a", NOW + 1000) is None
    on.ended(NOW + 1000)
    assert begins(made, "a", NOW + 1000)
    assert made.uncounted == 0


def test_when_it_is_full_of_busy_ones_somebody_new_is_let_through_and_not_counted() -> None:
    made = table(capacity=3, calls=1, max_calls=1)
    shares = [begins(made, of, NOW) for of in "abcdd"]
    assert all(shares)
    assert (len(made.counts), made.uncounted) == (3, 2)
    # Those that are known are held to it yet.
    assert begins(made, "a", NOW) is None
    for share in shares:
        assert share is not None
        share.ended(NOW)
    assert [count.calls_on for count in made.counts.values()] == [0, 0, 0]
    # Their calls have left the window: there is room for others.
    assert begins(made, "d", NOW + 1)
    assert begins(made, "d", NOW + 1) is None
    assert made.uncounted == 2


def test_two_calls_of_one_that_wait_for_their_decisions_are_counted_together() -> None:
    made = table(calls=0, max_calls=2)
    one, other = Share(made, "a"), Share(made, "a")
    one.begun(NOW)
    other.begun(NOW)
    assert Share(made, "a").full_until(NOW) > NOW
    assert Share(made, "a").cause == "caller-max-calls"
    one.ended(NOW)
    assert Share(made, "a").full_until(NOW) == 0.0
    other.ended(NOW)
    assert made.counts["a"].calls_on == 0


def test_a_hundred_thousand_callers_of_ten_calls_each_take_little_memory() -> None:
    made = table(CAPACITY, calls=10, period_s=3600.0)
    names = [f"caller{number}@example.com" for number in range(CAPACITY // 10)]
    tracemalloc.start()
    try:
        for turn in range(10):
            for name in names:
                begins(made, name, NOW + turn)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(made.counts) == CAPACITY // 10
    # 80 octets of it are the instants of its calls.
    assert taken / len(made.counts) < 700
