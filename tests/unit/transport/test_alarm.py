"""The alarm: who has something due is woken then, and what he puts out is sent."""

import asyncio
from collections.abc import Callable

import pytest

from oneproxy.transport.alarm import Alarm
from waiting import pass_time, until
from wires import ScriptedWire, in_loop


class Wire(ScriptedWire):
    """A driver whose clock is the loop's."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()


class Sleeper:
    """Wants to be woken at some times, one after the other."""

    def __init__(self, *due: float) -> None:
        self.on_sooner: Callable[[], None] | None = None
        self.due = list(due)
        self.woken = 0
        self.then: Callable[[], None] = lambda: None

    def deadline(self) -> float | None:
        return min(self.due, default=None)

    def expire(self, now: float) -> None:
        left = [at for at in self.due if at > now]
        if len(left) < len(self.due):
            self.due = left
            self.woken += 1
            self.then()

    def want(self, at: float) -> None:
        self.due.append(at)
        assert self.on_sooner is not None
        self.on_sooner()


def made(*sleepers: Sleeper) -> tuple[Alarm, Wire]:
    wire = Wire()
    return Alarm(wire, asyncio.get_running_loop(), sleepers), wire


@pytest.mark.parametrize("uv", [False, True])
def test_each_is_woken_at_its_time_and_what_it_put_out_is_sent(uv: bool) -> None:
    async def play() -> None:
        now = asyncio.get_running_loop().time()
        first, second = Sleeper(now), Sleeper(now + 0.02, now + 3600.0)
        alarm, wire = made(first, second)
        await until(lambda: first.woken)
        assert wire.flushes >= 1
        await until(lambda: second.woken)
        assert (first.due, second.due) == ([], [now + 3600.0])
        assert wire.flushes >= 2
        alarm.stop()

    in_loop(play, uv)


def test_nobody_is_woken_before_his_time() -> None:
    async def play() -> None:
        now = asyncio.get_running_loop().time()
        late = Sleeper(now + 3600.0)
        alarm, wire = made(late, Sleeper())
        await asyncio.sleep(0.02)
        assert (late.woken, wire.flushes) == (0, 0)
        pass_time(3600.0)
        await until(lambda: late.woken)
        alarm.stop()

    in_loop(play)


def test_a_time_that_has_become_sooner_counts() -> None:
    async def play() -> None:
        now = asyncio.get_running_loop().time()
        one = Sleeper(now + 3600.0)
        alarm, _ = made(one)
        one.want(now + 1800.0)
        one.want(now + 0.01)
        await until(lambda: one.woken)
        assert one.due == [now + 3600.0, now + 1800.0]
        alarm.stop()

    in_loop(play)


def test_what_becomes_due_while_somebody_is_served_is_not_forgotten() -> None:
    async def play() -> None:
        now = asyncio.get_running_loop().time()
        one, other = Sleeper(), Sleeper(now)
        other.then = lambda: one.want(now)
        alarm, _ = made(one, other)
        await until(lambda: one.woken)
        alarm.stop()

    in_loop(play)


def test_a_fault_of_one_keeps_nobody_else_from_being_served() -> None:
    async def play() -> None:
        def fail() -> None:
            raise RuntimeError("ours")

        now = asyncio.get_running_loop().time()
        one, other = Sleeper(now), Sleeper(now)
        one.then = fail
        alarm, wire = made(one, other)
        await until(lambda: other.woken)
        assert (one.woken, alarm.faults, wire.flushes) == (1, 1, 1)
        one.then = lambda: None
        one.want(now)
        await until(lambda: one.woken == 2)
        alarm.stop()

    in_loop(play)


def test_after_its_end_nobody_is_woken() -> None:
    async def play() -> None:
        now = asyncio.get_running_loop().time()
        one = Sleeper(now)
        alarm, wire = made(one)
        alarm.stop()
        one.want(now)
        await asyncio.sleep(0.02)
        assert (one.woken, wire.flushes) == (0, 0)
        alarm.stop()

    in_loop(play)
