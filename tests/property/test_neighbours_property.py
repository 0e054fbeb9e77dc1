"""What is held back from a neighbour, against a model: by its last word and by share."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from neighbourly import Neighbourly
from oneproxy.engine.neighbours import BACK_S, LONGEST_LOSS_S, Neighbour
from oneproxy.sip.oc import Feedback

NOW = 1_800_000_000.0
#: In 64ths of a second: floats are exact then.
times = st.integers(0, 64 * 70).map(lambda parts: parts / 64)
words = st.builds(
    lambda percent, valid, seq: Feedback(percent, valid, float(seq)),
    st.integers(0, 100),
    times,
    st.integers(1, 9),
)


@given(st.lists(st.tuples(times, words), max_size=20), times)
def test_the_word_of_the_highest_number_holds_for_its_time(
    told: list[tuple[float, Feedback]], later_s: float
) -> None:
    neighbour, now = Neighbour(), NOW
    highest, until, percent = 0.0, 0.0, 0
    for after_s, word in told:
        now += after_s
        neighbour.told(now, word)
        if word.seq > highest:
            highest, percent = word.seq, word.loss_percent
            until = now + min(word.valid_s, LONGEST_LOSS_S)
    now += later_s
    assert neighbour.loss(now)[0] == (percent if now < until else 0)


@given(st.lists(st.tuples(times, times), max_size=10), times)
def test_a_rest_is_whole_to_its_end_and_nothing_is_left_of_it_soon(
    rests: list[tuple[float, float]], later_s: float
) -> None:
    neighbour, now, end = Neighbour(), NOW, 0.0
    for after_s, rest_s in rests:
        now += after_s
        neighbour.rest(now, rest_s)
        end = max(end, now + rest_s)
    shares = [neighbour.loss(now + later_s + step / 8)[0] for step in range(64)]
    assert shares == sorted(shares, reverse=True)
    assert all(0.0 <= share <= 100.0 for share in shares)
    for step, share in enumerate(shares):
        at = now + later_s + step / 8
        if rests and at <= end:
            assert share == 100.0
        if at >= end + BACK_S:
            assert share == 0.0


@given(st.integers(0, 100), st.integers(0, 2**32), st.lists(st.booleans(), min_size=1, max_size=80))
def test_of_what_is_not_urgent_that_share_is_drawn_and_of_the_rest_nothing(
    percent: int, seed: int, urgent: list[bool]
) -> None:
    world = Neighbourly()
    world.engine.gate.emergency = frozenset(("112",))
    world.slow(f";oc={percent};oc-validity=60000;oc-seq=1.0")
    world.engine.neighbours._random = Random(seed)
    drawn = Random(seed)
    for is_urgent in urgent:
        held_back = percent > 0 and drawn.random() * 100.0 < percent and not is_urgent
        world.call(uri="sip:112@example.com" if is_urgent else "sip:bob@example.com")
        assert world.bob.has_nothing is held_back
        world.bob.inbox.clear()
        world.alice.inbox.clear()
    assert len(world.kept) == world.engine.counters.slowed["oc"]
