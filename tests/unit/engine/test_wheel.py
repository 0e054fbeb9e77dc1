"""The wheel: timers fire at their instant, not before it, and cost nothing when cancelled."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneproxy.engine.timers import TICK, Timed, Wheel

START = 1_000_000.0


class Alarm(Timed):
    __slots__ = ("rung", "wheel")

    def __init__(self, wheel: Wheel) -> None:
        super().__init__()
        self.wheel = wheel
        self.rung: list[float] = []

    def wake(self, now: float) -> None:
        self.rung.append(now - START)


def run(wheel: Wheel, until: float) -> None:
    """Let time pass as the driver does: from deadline to deadline."""
    while (deadline := wheel.deadline()) is not None and deadline <= START + until:
        wheel.expire(deadline)
    wheel.expire(START + until)


def test_a_timer_on_a_whole_tick_fires_at_its_exact_instant() -> None:
    wheel = Wheel(START)
    alarm = Alarm(wheel)
    wheel.set(alarm, START + 0.5)
    wheel.expire(START + 0.5 - TICK)
    assert alarm.rung == []
    wheel.expire(START + 0.5)
    assert alarm.rung == [0.5]
    run(wheel, 100)
    assert alarm.rung == [0.5]


def test_the_deadline_is_the_instant_of_the_next_timer() -> None:
    wheel = Wheel(START)
    assert wheel.deadline() is None
    wheel.set(Alarm(wheel), START + 4)
    wheel.set(Alarm(wheel), START + 0.5)
    assert wheel.deadline() == START + 0.5


def test_a_timer_that_was_postponed_fires_only_then() -> None:
    wheel = Wheel(START)
    alarm = Alarm(wheel)
    wheel.set(alarm, START + 0.5)
    wheel.set(alarm, START + 32)
    run(wheel, 100)
    assert alarm.rung == [32]


def test_a_timer_that_was_drawn_nearer_fires_once_and_early() -> None:
    wheel = Wheel(START)
    alarm = Alarm(wheel)
    wheel.set(alarm, START + 32)
    wheel.set(alarm, START + 0.5)
    run(wheel, 100)
    assert alarm.rung == [0.5]


def test_a_cancelled_timer_does_not_fire() -> None:
    wheel = Wheel(START)
    alarm = Alarm(wheel)
    wheel.set(alarm, START + 1)
    wheel.cancel(alarm)
    run(wheel, 100)
    assert (alarm.rung, alarm.due) == ([], inf)


def test_a_timer_beyond_the_horizon_of_the_wheel_fires_at_its_instant() -> None:
    wheel = Wheel(START)
    alarm = Alarm(wheel)
    wheel.set(alarm, START + 180.5)
    run(wheel, 1000)
    assert alarm.rung == [180.5]


def test_a_timer_set_in_the_past_fires_at_the_next_tick() -> None:
    wheel = Wheel(START)
    alarm = Alarm(wheel)
    wheel.set(alarm, START - 5)
    run(wheel, 1)
    assert alarm.rung == [TICK]


def test_a_loop_that_stood_still_for_minutes_fires_everything_that_is_due() -> None:
    wheel = Wheel(START)
    alarms = [Alarm(wheel) for _ in range(300)]
    for seconds, alarm in enumerate(alarms, 1):
        wheel.set(alarm, START + seconds)
    wheel.expire(START + 250)
    # Those beyond the horizon stand in its last slot and are sent on from there.
    run(wheel, 250 + TICK)
    assert [len(alarm.rung) for alarm in alarms] == [1] * 250 + [0] * 50
    run(wheel, 400)
    assert [len(alarm.rung) for alarm in alarms] == [1] * 300


def test_a_timer_can_be_set_anew_from_its_own_waking() -> None:
    wheel = Wheel(START)

    class Twice(Alarm):
        def wake(self, now: float) -> None:
            super().wake(now)
            if len(self.rung) < 3:
                self.wheel.set(self, now + 0.5)

    alarm = Twice(wheel)
    wheel.set(alarm, START + 0.5)
    run(wheel, 10)
    assert alarm.rung == [0.5, 1.0, 1.5]


def test_a_timer_that_fails_does_not_cost_the_others_theirs() -> None:
    wheel = Wheel(START)

    class Broken(Alarm):
        def wake(self, now: float) -> None:
            raise RuntimeError

    alarms = [Alarm(wheel), Broken(wheel), Alarm(wheel)]
    for alarm in alarms:
        wheel.set(alarm, START + 0.5)
    with pytest.raises(RuntimeError):
        wheel.expire(START + 0.5)
    run(wheel, 10)
    assert [alarm.rung for alarm in alarms] == [[0.5], [], [0.5 + TICK]]


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(st.floats(0, 200), st.integers(0, 9), st.one_of(st.none(), st.floats(0, 200))),
        max_size=60,
    )
)
def test_whatever_is_set_and_cancelled_each_fires_once_within_a_tick(
    orders: list[tuple[float, int, float | None]],
) -> None:
    wheel = Wheel(START)
    alarms = [Alarm(wheel) for _ in range(10)]
    wanted: dict[int, float | None] = {}
    now = 0.0
    for advance, number, delay in orders:
        before = now
        now += advance / 20
        run(wheel, now)
        alarm = alarms[number]
        due = wanted.get(number)
        if due is not None and alarm.rung:
            assert due <= alarm.rung[-1] <= max(due, before) + 2 * TICK
        alarm.rung.clear()
        if delay is None:
            wheel.cancel(alarm)
        else:
            wheel.set(alarm, START + now + delay)
        wanted[number] = None if delay is None else now + delay
    run(wheel, now + 300)
    for number, due in wanted.items():
        assert len(alarms[number].rung) == (0 if due is None else 1)
        if due is not None:
            assert due <= alarms[number].rung[0] <= due + 2 * TICK
