"""Nonces that were used: no count is good twice, whatever is forgotten."""

import pytest

from oneproxy.access.nonces import LIFETIME_S, SKEW_S, Nonce, Nonces
from oneproxy.access.replays import ONCE, Replays

NOW = 1_700_000_000.0
OURS = Nonces(b"farm")
THEIRS = Nonces(b"farm")


def nonce_of(made_at: float = NOW, maker: Nonces = OURS) -> Nonce:
    nonce = OURS.read(maker.make(made_at))
    assert nonce is not None
    return nonce


def test_a_count_is_good_once() -> None:
    replays, nonce = Replays(), nonce_of()
    assert [replays.spend(nonce, count, NOW) for count in (1, 1, 2, 2, 1)] == [
        True,
        False,
        True,
        False,
        False,
    ]


def test_counts_may_overtake_each_other() -> None:
    replays, nonce = Replays(), nonce_of()
    order = [5, 1, 3, 2, 4, 60, 6]
    assert [replays.spend(nonce, count, NOW) for count in order] == [True] * 7
    assert [replays.spend(nonce, count, NOW) for count in order] == [False] * 7


def test_what_is_far_behind_counts_as_used() -> None:
    replays, nonce = Replays(), nonce_of()
    assert replays.spend(nonce, 0xFFFFFFFF, NOW)
    assert not replays.spend(nonce, 0xFFFFFFFF - 64, NOW)
    assert replays.spend(nonce, 0xFFFFFFFF - 63, NOW)
    assert not replays.spend(nonce, 1, NOW)


def test_a_count_may_be_nothing() -> None:
    replays, nonce = Replays(), nonce_of()
    assert [replays.spend(nonce, 0, NOW) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("after", [ONCE, 1, 2])
def test_a_nonce_that_is_not_counted_is_good_once(after: int) -> None:
    replays, nonce = Replays(), nonce_of()
    assert replays.spend(nonce, ONCE, NOW)
    assert not replays.spend(nonce, after, NOW)


def test_who_counts_cannot_stop_counting() -> None:
    replays, nonce = Replays(), nonce_of()
    assert replays.spend(nonce, 1, NOW)
    assert not replays.spend(nonce, ONCE, NOW)


def test_a_nonce_cannot_be_used_again_at_the_end_of_its_life() -> None:
    for offset in range(0, 720, 30):
        replays = Replays()
        for second in range(0, offset, 10):
            replays.spend(nonce_of(NOW + second), 1, NOW + second)
        at = NOW + offset
        nonce = nonce_of(at + SKEW_S, THEIRS)
        assert replays.spend(nonce, 1, at)
        for second in range(10, LIFETIME_S + SKEW_S, 10):
            replays.spend(nonce_of(at + second), 1, at + second)
        last = at + SKEW_S + LIFETIME_S - 1
        assert nonce.is_fresh(last)
        assert not (replays.knows(nonce) and replays.spend(nonce, 1, last))


@pytest.mark.parametrize("maker", [OURS, THEIRS], ids=["own", "another node's"])
def test_what_a_full_memory_has_forgotten_is_not_good_again(maker: Nonces) -> None:
    replays = Replays(capacity=100)
    used = []
    for number in range(1000):
        now = NOW + number * 0.1
        nonce = nonce_of(now, maker)
        if replays.knows(nonce):
            assert replays.spend(nonce, 1, now)
            used.append(nonce)
        assert len(replays) <= 200
        assert not any(replays.knows(one) and replays.spend(one, 1, now) for one in used)
    # It goes on serving all the same.
    if maker is OURS:
        assert len(used) == 1000


def test_a_node_that_starts_takes_no_nonce_from_before_for_it_may_have_been_used() -> None:
    replays = Replays(since=NOW)
    assert not replays.knows(nonce_of(NOW - 1, THEIRS))
    assert replays.knows(nonce_of(NOW + 1, THEIRS))
    # Of its own there are none from before, whatever second it is.
    assert replays.knows(nonce_of(NOW, OURS))
