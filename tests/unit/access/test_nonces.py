"""Nonces: made anywhere in the farm, checked anywhere, remembered nowhere."""

from base64 import b64decode, b64encode

import pytest

from oneproxy.access.nonces import LIFETIME_S, SKEW_S, Age, Nonces

NOW = 1_700_000_000.0


def test_a_nonce_is_fresh_for_its_lifetime_and_then_stale() -> None:
    nonces = Nonces(b"secret")
    nonce = nonces.make(NOW)
    assert nonces.check(nonce, NOW) is Age.FRESH
    assert nonces.check(nonce, NOW + LIFETIME_S - 0.001) is Age.FRESH
    assert nonces.check(nonce, NOW + LIFETIME_S) is Age.STALE


def test_a_nonce_of_a_node_whose_clock_is_ahead_is_fresh_within_the_skew() -> None:
    nonces = Nonces(b"secret")
    nonce = nonces.make(NOW)
    assert nonces.check(nonce, NOW - SKEW_S) is Age.FRESH
    assert nonces.check(nonce, NOW - SKEW_S - 1) is Age.STALE


def test_another_node_with_the_same_secret_takes_a_nonce() -> None:
    assert Nonces(b"secret").check(Nonces(b"secret").make(NOW), NOW) is Age.FRESH


def test_a_nonce_made_with_another_secret_is_forged() -> None:
    assert Nonces(b"secret").check(Nonces(b"other").make(NOW), NOW) is Age.FORGED


def test_changing_any_bit_of_a_nonce_makes_it_forged() -> None:
    nonces = Nonces(b"secret")
    octets = b64decode(nonces.make(NOW))
    for bit in range(len(octets) * 8):
        changed = bytearray(octets)
        changed[bit // 8] ^= 1 << bit % 8
        assert nonces.check(b64encode(bytes(changed)).decode(), NOW) is Age.FORGED


@pytest.mark.parametrize("nonce", ["", "x", "=" * 36, "\xff" * 36, "A" * 36, "A" * 35, "A" * 4000, " " * 36])
def test_what_is_no_nonce_of_ours_is_forged(nonce: str) -> None:
    assert Nonces(b"secret").check(nonce, NOW) is Age.FORGED


def test_two_nonces_of_one_instant_differ() -> None:
    nonces = Nonces(b"secret")
    assert len({nonces.make(NOW) for _ in range(100)}) == 100
