"""Overload: how much is refused for which wait, and a model of a server whose gate goes by it."""

from collections import deque
from random import Random

import pytest

from oneproxy.congestion.overload import Overload
from oneproxy.site.model import Congestion

NOW = 1_000_000.0
TARGET_S = 0.05


class Shares:
    """Keeps what is to be refused."""

    def __init__(self) -> None:
        self.loss_percent = 0
        self.shares = (0.0, 0.0, 0.0)
        self.sets = 0

    def set(self, now: float, calls: float, registers: float, refreshes: float) -> None:
        self.shares = (calls, registers, refreshes)
        self.sets += 1


def overload(max_wait_ms: int = 50) -> tuple[Overload, Shares]:
    shares = Shares()
    one = Overload(shares)
    one.take(Congestion(max_wait_ms=max_wait_ms))
    return one, shares


def overloaded() -> tuple[Overload, Shares]:
    """One that has waited for too long for a tenth of a second."""
    one, shares = overload()
    one.waited(0, NOW - 0.2, 0.0501, 0)
    one.waited(0, NOW, 0.0501, 0)
    one.take(Congestion())
    return one, shares


@pytest.mark.parametrize(
    ("wait_ms", "shares"),
    [
        (0, (0, 0, 0)),
        (50, (0, 0, 0)),
        (55, (0.2, 0, 0)),
        (75, (1, 0, 0)),
        (80, (1, 0.2, 0)),
        (100, (1, 1, 0)),
        (110, (1, 1, 0.2)),
        (150, (1, 1, 1)),
        (9000, (1, 1, 1)),
    ],
)
def test_calls_are_refused_first_then_registrations_then_those_that_are_kept_up(
    wait_ms: int, shares: tuple[float, float, float]
) -> None:
    one, found = overloaded()
    one.waited(0, NOW, wait_ms / 1000, 0)
    assert found.shares == pytest.approx(shares)


def test_below_what_is_allowed_nobody_is_even_told() -> None:
    one, found = overload()
    for at in range(1000):
        one.waited(0, NOW + at / 100, 0.0499, 0)
    assert (found.sets, found.loss_percent) == (0, 0)


def test_the_longest_of_several_waits_decides_while_it_is_fresh() -> None:
    one, found = overloaded()
    one.waited(0, NOW, 0.06, 0)
    one.waited(1, NOW + 0.05, 0.001, 0)
    assert found.shares[0] == pytest.approx(0.4)
    one.waited(1, NOW + 0.11, 0.001, 0)
    assert found.shares[0] == 0


def test_a_pause_of_the_process_is_no_overload() -> None:
    one, found = overload()
    for pause in range(100):
        # What came meanwhile is taken in within a tenth of a second.
        for at, wait_s in ((0.0, 0.3), (0.05, 0.1), (0.09, 0.051), (0.11, 0.01)):
            one.waited(0, NOW + pause / 2 + at, wait_s, 0)
    assert (found.sets, one.waits()[0]) == (0, 0.3)


def test_an_overload_lasts_until_the_wait_has_not_been_too_long_for_a_second() -> None:
    one, found = overloaded()
    one.waited(0, NOW + 0.1, 0.01, 0)
    one.waited(0, NOW + 0.9, 0.075, 0)
    assert found.shares[0] == pytest.approx(1)
    one.waited(0, NOW + 1.8, 0.01, 0)
    one.waited(0, NOW + 1.9, 0.01, 0)
    one.waited(0, NOW + 2.0, 0.075, 0)
    assert found.shares[0] == 0


def test_with_none_to_keep_to_nothing_is_refused_and_waits_are_known_all_the_same() -> None:
    one, found = overload(0)
    one.waited(0, NOW, 3.0, 7)
    assert (found.shares, one.waits(), one.drops) == ((0, 0, 0), (3.0, 3.0), 7)


def test_a_changed_site_ends_what_was_refused() -> None:
    one, found = overloaded()
    one.waited(0, NOW, 0.075, 0)
    one.take(Congestion(max_wait_ms=0))
    assert (found.shares, found.loss_percent) == ((0, 0, 0), 0)


def test_what_the_kernel_drops_is_refused_too_by_steps_and_let_in_again_by_and_by() -> None:
    one, found = overload()
    for at in range(20):
        one.waited(0, NOW + at / 50, 0.001, 3)
    assert found.shares == (1, 0, 0)
    for at in range(100):
        one.waited(0, NOW + 0.4 + at / 50, 0.001, 0)
    assert (found.shares, one.drops) == ((0, 0, 0), 60)


def test_what_neighbours_are_told_is_a_mean_and_ends_with_the_overload() -> None:
    one, found = overload()
    one.waited(0, NOW, 0.075, 0)
    one.waited(0, NOW + 0.11, 0.075, 0)
    assert found.loss_percent == 100
    for at in range(1, 101):
        one.waited(0, NOW + 0.11 + at / 100, 0.0625, 0)
    assert 65 < found.loss_percent < 72
    one.waited(0, NOW + 60, 0.001, 0)
    assert found.loss_percent == 0


def test_a_period_has_its_longest_and_its_mean_wait() -> None:
    one, _ = overload()
    for wait_s in (0.01, 0.03):
        one.waited(0, NOW, wait_s, 0)
    assert one.waits() == pytest.approx((0.03, 0.02))
    assert one.period() == pytest.approx((0.03, 0.02))
    assert one.waits() == pytest.approx((0.03, 0.02))
    one.waited(0, NOW, 0.02, 0)
    assert one.waits() == pytest.approx((0.03, 0.02))
    assert one.period() == pytest.approx((0.02, 0.02))


class Model:
    """A server of one thread that reads a socket in batches, as `transport.udp` does.

    Calls come at random. One that is let in takes 2 ms of work and its INVITE, on average, drawn from
    an exponential distribution; five more messages of it come within the next second, each of which
    takes 50 us. A refused one takes 15 us, and its ACK 2.
    """

    CALL_S = 0.0022
    MESSAGE_S = 0.00005
    REFUSED_S = 0.000015
    ACK_S = 0.000002
    #: Calls a second when nothing but calls is done.
    FULL = 1 / (CALL_S + 5 * MESSAGE_S)

    def __init__(self, seed: int, room: int = 6_500) -> None:
        self.random = Random(seed)
        self.room = room
        self.now = NOW
        self.shares = Shares()
        self.overload = Overload(self.shares)
        self.overload.take(Congestion(max_wait_ms=round(1000 * TARGET_S)))
        self.queue: deque[tuple[float, str]] = deque()
        #: Messages of calls that are on, by when they come; in the order in which they were made.
        self.coming: list[tuple[float, str]] = []
        self.dropped = self.dropped_since = 0
        #: By tenth of a second: calls let in, calls refused, the longest wait.
        self.done: list[int] = []
        self.refused: list[int] = []
        self.waited: list[float] = []

    def run(self, offered: float, seconds: float) -> None:
        """So many times as many calls as there is time for come, for so long."""
        end = self.now + seconds
        next_call = self.now + self.random.expovariate(offered * self.FULL)
        began = self.now
        first = len(self.done)
        while self.now < end:
            while int((self.now - began) * 10) >= len(self.done) - first:
                for column in (self.done, self.refused):
                    column.append(0)
                self.waited.append(0.0)
            while next_call <= self.now:
                self._come(next_call, "INVITE")
                next_call += self.random.expovariate(offered * self.FULL)
            self._take_in()
            if not self.queue:
                self.now = min([next_call, end, *(at for at, _ in self.coming)])
                continue
            wait_s = self.now - self.queue[0][0]
            self.overload.waited(0, self.now, wait_s, self.dropped_since)
            self.dropped_since = 0
            self.waited[-1] = max(self.waited[-1], wait_s)
            for _ in range(8 if wait_s >= 0.005 else 64):
                if not self.queue:
                    break
                self._handle(*self.queue.popleft())

    def _take_in(self) -> None:
        due = sorted(one for one in self.coming if one[0] <= self.now)
        if due:
            self.coming = [one for one in self.coming if one[0] > self.now]
            for at, kind in due:
                self._come(at, kind)

    def _come(self, at: float, kind: str) -> None:
        if len(self.queue) < self.room:
            self.queue.append((at, kind))
        else:
            self.dropped += 1
            self.dropped_since += 1

    def _handle(self, _at: float, kind: str) -> None:
        if kind == "message":
            self.now += self.MESSAGE_S
        elif kind == "ACK":
            self.now += self.ACK_S
        elif self.random.random() < self.shares.shares[0]:
            self.refused[-1] += 1
            self.now += self.REFUSED_S
            self.coming.append((self.now + 0.0005, "ACK"))
        else:
            self.done[-1] += 1
            self.now += self.random.expovariate(1 / self.CALL_S)
            self.coming += [(self.now + self.random.random(), "message") for _ in range(5)]


def rate(counts: list[int]) -> float:
    """A second, of counts of tenths of a second; without the first second."""
    return 10 * sum(counts[10:]) / len(counts[10:])


#: All calls are refused from 75 ms on. The one that is under way then and the seven datagrams
#: behind it may take some times as long as on average.
LONGEST_S = 2.5 * TARGET_S
LOADS = (0.5, 0.8, 1.0, 1.5, 2.0, 4.0, 10.0)


def test_whatever_is_offered_nine_of_ten_calls_that_there_is_time_for_are_taken() -> None:
    taken = {}
    for load in LOADS:
        model = Model(1)
        model.run(load, 8)
        taken[load] = rate(model.done)
        assert (model.dropped, max(model.waited[10:]) < LONGEST_S) == (0, True), (load, model.waited)
    peak = max(taken.values())
    assert peak > 0.9 * Model.FULL, taken
    assert all(taken[load] >= 0.9 * peak for load in LOADS if load >= 1), taken
    assert taken[0.5] == pytest.approx(0.5 * Model.FULL, rel=0.1)


@pytest.mark.parametrize("load", [0.5, 0.7])
def test_below_what_there_is_time_for_nothing_is_refused(load: float) -> None:
    model = Model(2)
    model.run(load, 20)
    assert (sum(model.refused), model.dropped) == (0, 0)


def test_steps_of_load_are_followed_within_a_second_and_without_oscillation() -> None:
    model = Model(3)
    for load in (0.5, 10.0, 0.5, 3.0, 0.5):
        first = len(model.done)
        model.run(load, 5)
        settled, waited = slice(first + 10, None), model.waited[first + 10 :]
        if load < 1:
            # It remembers nothing: a second after the load has gone all calls are taken.
            assert sum(model.refused[settled]) == 0, (load, model.refused[settled])
            continue
        # Oscillation would be tenths of a second of idling or of waits beyond what refuses all.
        least = 0.6 * sum(model.done[settled]) / len(model.done[settled])
        assert min(model.done[settled]) > least, model.done[settled]
        assert 0.6 * TARGET_S < min(waited) <= max(waited) < LONGEST_S, waited


def test_a_burst_that_is_served_in_time_is_taken_whole() -> None:
    model = Model(4)
    model.CALL_S = 0.0002
    for call in range(200):
        model._come(model.now, "INVITE")
        assert call < 200
    model.run(0.001, 2)
    assert sum(model.refused) == 0
    assert sum(model.done) >= 200


def test_where_the_queue_is_too_short_to_wait_in_calls_are_refused_before_all_is_dropped() -> None:
    # 25 datagrams are there for 20 ms on average when all of them are calls that are let in.
    model = Model(5, room=12)
    model.run(8.0, 10)
    came = sum(model.done[50:]) + sum(model.refused[50:])
    assert sum(model.refused[50:]) > 0.7 * came
    assert rate(model.done) > 0.6 * Model.FULL
