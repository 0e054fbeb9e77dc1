"""The window against a model that remembers every call: never one too many, never one refused for nothing."""

from hypothesis import given
from hypothesis import strategies as st

from oneproxy.congestion.window import Window

NOW = 1_800_000_000.0
#: Between calls, in 64ths of a second: floats are exact then, and calls fall on the edges of windows.
steps = st.lists(st.integers(0, 40), max_size=200)
limits = st.integers(1, 8)
periods = st.integers(1, 192).map(lambda parts: parts / 64)


def within(began: list[float], now: float, period_s: float) -> int:
    """How many calls are in the window that ends at `now`."""
    return sum(now < at + period_s for at in began)


@given(steps, limits, periods)
def test_it_lets_in_whom_the_model_lets_in(between: list[int], calls: int, period_s: float) -> None:
    began: list[float] = []
    window, now = Window(calls, period_s), NOW
    for step in between:
        now += step / 64
        may_begin = now >= window.full_until()
        assert may_begin == (within(began, now, period_s) < calls)
        if may_begin:
            window.add(now)
            began.append(now)
    for start in began:
        assert sum(start <= at < start + period_s for at in began) <= calls


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=200), limits, periods)
def test_those_let_in_all_the_same_count(
    calls_of: list[tuple[int, bool]], calls: int, period_s: float
) -> None:
    began: list[float] = []
    window, now = Window(calls, period_s), NOW
    for step, is_spared in calls_of:
        now += step / 64
        may_begin = now >= window.full_until()
        assert may_begin == (within(began, now, period_s) < calls)
        if may_begin or is_spared:
            window.add(now)
            began.append(now)


@given(st.lists(st.tuples(st.integers(0, 40), limits), max_size=100), periods)
def test_another_limit_counts_the_calls_that_it_can_know(
    turns: list[tuple[int, int]], period_s: float
) -> None:
    """Of calls under a lower limit those are known that it had to know."""
    known: list[float] = []
    window, now, most = Window(4, period_s), NOW, 4
    for step, calls in turns:
        now += step / 64
        window.take(calls, period_s)
        most, known = calls, known[-calls:]
        may_begin = now >= window.full_until()
        assert may_begin == (within(known, now, period_s) < most)
        if may_begin:
            window.add(now)
            known = [*known, now][-most:]
