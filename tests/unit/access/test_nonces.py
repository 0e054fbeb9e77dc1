"""Nonces: made anywhere in the farm, checked anywhere, remembered nowhere."""

from base64 import b64decode, b64encode

import pytest

from oneproxy.access.nonces import LIFETIME_S, SKEW_S, Nonce, Nonces

NOW = 1_700_000_000.0


def made(nonces: Nonces, source: str = "", reader: Nonces | None = None) -> Nonce:
    nonce = (reader or nonces).read(nonces.make(NOW, source))
    assert nonce is not None
    return nonce


def test_a_nonce_is_fresh_for_its_lifetime_and_then_stale() -> None:
    nonce = made(Nonces(b"secret"))
    assert nonce.is_fresh(NOW)
    assert nonce.is_fresh(NOW + LIFETIME_S - 0.001)
    assert not nonce.is_fresh(NOW + LIFETIME_S)


def test_a_nonce_of_a_node_whose_clock_is_ahead_is_fresh_within_the_skew() -> None:
    nonce = made(Nonces(b"secret"))
    assert nonce.is_fresh(NOW - SKEW_S)
    assert not nonce.is_fresh(NOW - SKEW_S - 1)


def test_another_node_with_the_same_secret_takes_a_nonce_and_knows_it_is_not_its_own() -> None:
    maker, other = Nonces(b"secret"), Nonces(b"secret")
    assert made(maker, reader=other).is_own is False
    assert made(maker).is_own is True


def test_a_nonce_made_with_another_secret_is_none_of_ours() -> None:
    assert Nonces(b"secret").read(Nonces(b"other").make(NOW)) is None


def test_changing_any_bit_of_a_nonce_makes_it_none_of_ours() -> None:
    nonces = Nonces(b"secret")
    octets = b64decode(nonces.make(NOW))
    for bit in range(len(octets) * 8):
        changed = bytearray(octets)
        changed[bit // 8] ^= 1 << bit % 8
        assert nonces.read(b64encode(bytes(changed)).decode()) is None


@pytest.mark.parametrize("text", ["", "x", "=" * 40, "\xff" * 40, "A" * 40, "A" * 39, "A" * 4000, " " * 40])
def test_what_is_no_nonce_of_ours_is_told(text: str) -> None:
    assert Nonces(b"secret").read(text) is None


def test_no_two_nonces_are_the_same_of_one_node_or_of_two() -> None:
    nodes = [Nonces(b"secret"), Nonces(b"secret")]
    names = {made(node).name for node in nodes for _ in range(1000)}
    assert len(names) == 2000


def test_a_nonce_is_for_the_source_that_it_was_made_for_whichever_node_is_asked() -> None:
    maker, other = Nonces(b"secret"), Nonces(b"secret")
    nonce = made(maker, "192.0.2.7", reader=other)
    assert other.is_for(nonce, "192.0.2.7")
    assert not other.is_for(nonce, "192.0.2.8")


def test_what_is_remembered_of_sources_is_bounded_and_forgetting_it_changes_nothing() -> None:
    nonces = Nonces(b"secret")
    nonce = made(nonces, "192.0.2.7")
    for number in range(20_000):
        nonces.make(NOW, f"2001:db8:0:{number:x}::/64")
    assert len(nonces._marks) <= 16_384
    assert nonces.is_for(nonce, "192.0.2.7")
