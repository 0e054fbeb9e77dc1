"""Shares of a turn of the loop: bounded together, dealt out in the order of asking."""

import asyncio

from oneproxy.transport.turns import OCTETS, SHAKES, SHARE, Turns
from wires import in_loop


class Busy:
    """Has always more to read than it gets."""

    def __init__(self, turns: Turns, log: list["Busy"], shaking: bool = False) -> None:
        self.turns = turns
        self.log = log
        self.shaking = shaking
        self.got: list[int] = []

    def readable(self) -> None:
        size = self.turns.share(self, self.shaking)
        if size:
            self.got.append(size)
            self.log.append(self)
            if not self.shaking:
                self.turns.charge(size)


def begun() -> tuple[Turns, list[Busy]]:
    turns = Turns()
    turns.start(asyncio.get_running_loop())
    return turns, []


def test_one_alone_gets_all_of_each_turn() -> None:
    async def play() -> None:
        turns, log = begun()
        one = Busy(turns, log)
        for _ in range(3):
            one.readable()
            one.readable()
            await asyncio.sleep(0)
        assert one.got[0] == OCTETS
        assert sum(one.got) <= 4 * OCTETS

    in_loop(play)


def test_many_share_a_turn_and_all_get_theirs_though_the_loop_tells_the_same_ones_first() -> None:
    async def play() -> None:
        turns, log = begun()
        many = [Busy(turns, log) for _ in range(50)]
        for _ in range(40):
            before = sum(sum(one.got) for one in many)
            for one in many:
                one.readable()
            await asyncio.sleep(0)
            # What is left of one turn, and the next one's.
            assert sum(sum(one.got) for one in many) - before <= 2 * OCTETS
        shares = [len(one.got) for one in many]
        assert max(shares) - min(shares) <= 2
        assert min(shares) >= 40 * OCTETS // SHARE // 50 - 2

    in_loop(play)


def test_handshakes_of_a_turn_are_few_and_everyone_is_called_without_the_loop_telling_again() -> None:
    async def play() -> None:
        turns, log = begun()
        many = [Busy(turns, log, shaking=True) for _ in range(3 * SHAKES)]
        for one in many:
            one.readable()
        assert log == many[:SHAKES]
        await asyncio.sleep(0)
        assert log == many[: 2 * SHAKES]
        await asyncio.sleep(0)
        assert log == many

    in_loop(play)


def test_who_is_gone_is_not_called() -> None:
    async def play() -> None:
        turns, log = begun()
        many = [Busy(turns, log, shaking=True) for _ in range(SHAKES + 2)]
        for one in many:
            one.readable()
        turns.forget(many[-1])
        await asyncio.sleep(0)
        assert log == many[:-1]

    in_loop(play)


def test_how_long_who_comes_next_has_waited_is_told_once_a_turn() -> None:
    async def play() -> None:
        turns, log = begun()
        told: list[float] = []
        turns.on_waited = told.append
        many = [Busy(turns, log) for _ in range(20)]
        for one in many:
            one.readable()
        assert told == []
        for turn in range(1, 4):
            await asyncio.sleep(0)
            assert len(told) == turn
        assert all(0 <= one < 60 for one in told)

    in_loop(play)
