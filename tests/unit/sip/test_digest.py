"""The arithmetic of Digest, by the published examples."""

import json
from pathlib import Path

import pytest

from oneproxy.sip.digest import ALGORITHMS, hash_text, make_ha1, make_response, same_response

PUBLISHED = json.loads((Path(__file__).parent / "data" / "digest_vectors.json").read_text("utf-8"))
VECTORS = [vector for vector in PUBLISHED if "response" in vector]
KEYS = [vector for vector in PUBLISHED if "ha1" in vector]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
def test_published_examples_give_their_response(vector: dict[str, str]) -> None:
    algorithm = vector.get("algorithm", "MD5")
    ha1 = make_ha1(algorithm, vector["username"], vector["realm"], vector["password"])
    found = make_response(
        algorithm,
        ha1,
        vector["method"],
        vector["uri"],
        vector["nonce"],
        vector.get("qop"),
        vector.get("nc", ""),
        vector.get("cnonce", ""),
        vector.get("body", ""),
    )
    assert found == vector["response"]


@pytest.mark.parametrize("vector", KEYS, ids=[vector["id"] for vector in KEYS])
def test_published_keys_are_made_of_their_password(vector: dict[str, str]) -> None:
    made = make_ha1(vector["algorithm"], vector["username"], vector["realm"], vector["password"])
    assert made == vector["ha1"]


def test_no_example_is_left_out() -> None:
    assert (len(VECTORS), len(KEYS), len(PUBLISHED)) == (10, 1, 11)


def test_the_examples_cover_every_algorithm() -> None:
    assert {vector.get("algorithm", "MD5").removesuffix("-sess") for vector in VECTORS} == set(ALGORITHMS)


def test_a_session_key_is_hashed_from_nonce_and_cnonce_for_sha_256_too() -> None:
    key = hash_text("SHA-256", b"00ff:nonce:cnonce")
    assert make_response(
        "SHA-256-sess", "00ff", "INVITE", "sip:b@c", "nonce", "auth", "00000001", "cnonce"
    ) == make_response("SHA-256", key, "INVITE", "sip:b@c", "nonce", "auth", "00000001", "cnonce")


def test_the_body_counts_for_auth_int_only() -> None:
    def proved(qop: str, body: str) -> str:
        return make_response("MD5", "00ff", "INVITE", "sip:b@c", "n", qop, "00000001", "c", body)

    assert proved("auth", "one") == proved("auth", "two")
    assert proved("auth-int", "one") != proved("auth-int", "two")


@pytest.mark.parametrize(
    ("given", "same"),
    [("00ab", True), ("00AB", True), ("00ac", False), ("00a", False), ("", False), ("00a\xdf", False)],
)
def test_a_response_is_compared_whole_and_without_case(given: str, same: bool) -> None:
    assert same_response("00ab", given) is same
