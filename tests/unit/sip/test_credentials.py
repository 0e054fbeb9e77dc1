"""Challenges and credentials."""

import pytest

from oneproxy.sip.credentials import Challenge, Credentials, parse_challenge, parse_credentials
from oneproxy.sip.malformed import Malformed


def test_digest_credentials_are_read_whatever_is_quoted() -> None:
    value = (
        'DIGEST Username="bob, \\"b\\"",realm="biloxi.com" ,\tnonce = "dcd98=,", uri="sip:bob@biloxi.com",'
        ' qop=auth, nc="00000001", cnonce="0a4f113b", response="89eb", algorithm="MD5", opaque=""'
    )
    credentials = parse_credentials(value)
    assert isinstance(credentials, Credentials)
    assert (credentials.scheme, credentials.is_digest, credentials.text) == ("Digest", True, value)
    assert credentials.params == {
        "username": 'bob, "b"',
        "realm": "biloxi.com",
        "nonce": "dcd98=,",
        "uri": "sip:bob@biloxi.com",
        "qop": "auth",
        "nc": "00000001",
        "cnonce": "0a4f113b",
        "response": "89eb",
        "algorithm": "MD5",
        "opaque": "",
    }
    again = parse_credentials(credentials.format())
    assert isinstance(again, Credentials)
    assert again.params == credentials.params


def test_a_challenge_is_written_with_the_quotes_that_the_grammar_asks_for() -> None:
    challenge = Challenge(
        "Digest",
        {
            "realm": 'a "b"',
            "nonce": "n",
            "algorithm": "SHA-256",
            "qop": "auth",
            "stale": "true",
            "opaque": "",
        },
    )
    written = 'Digest realm="a \\"b\\"", nonce="n", algorithm=SHA-256, qop="auth", stale=true, opaque=""'
    assert challenge.format() == written
    read = parse_challenge(written)
    assert isinstance(read, Challenge)
    assert (read.scheme, read.params) == (challenge.scheme, challenge.params)


def test_credentials_are_written_with_bare_qop_and_nc() -> None:
    credentials = Credentials(
        "Digest", {"username": "a", "qop": "auth", "nc": "00000001", "algorithm": "MD5"}
    )
    assert credentials.format() == 'Digest username="a", qop=auth, nc=00000001, algorithm=MD5'


@pytest.mark.parametrize(
    ("value", "scheme", "params"),
    [
        ("NoOneKnowsThisScheme opaque-data=here", "NoOneKnowsThisScheme", {"opaque-data": "here"}),
        ("Basic YWxpY2U6c2VjcmV0==", "Basic", {}),
        ("Negotiate", "Negotiate", {}),
    ],
)
def test_other_schemes_are_kept_and_never_malformed(value: str, scheme: str, params: dict[str, str]) -> None:
    credentials = parse_credentials(value)
    assert isinstance(credentials, Credentials)
    assert (credentials.scheme, credentials.params, credentials.is_digest) == (scheme, params, False)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        "Digest",
        "Digest ",
        "Digest username",
        "Digest =x",
        'Digest username="a',
        'Digest username="a" b',
        'Digest username="a"b="c"',
        "Digest username=",
        "Digest username=a b",
        'Digest username="a",',
        'Digest ,username="a"',
        'Digest username="a",,realm="b"',
        'Digest username="a", Username="b"',
        'Digest user name="a"',
        'Dig"est username="a"',
    ],
)
def test_digest_that_breaks_the_grammar_is_malformed(value: str) -> None:
    assert parse_credentials(value) is Malformed.CREDENTIALS
    assert parse_challenge(value) is Malformed.CREDENTIALS


def test_a_quote_that_does_not_end_is_malformed_though_its_beginning_was_seen_before() -> None:
    assert not isinstance(parse_credentials('Digest qop="auth",nc=1'), Malformed)
    assert parse_credentials('Digest qop="auth",nc=1"x') is Malformed.CREDENTIALS
    assert parse_credentials('Digest qop="auth"') is not Malformed.CREDENTIALS
    assert parse_credentials('Digest qop="auth",nc=1"') is Malformed.CREDENTIALS
