"""Telephone numbers as names of users."""

import pytest

from asking import uri_of
from oneproxy.site.users import plain_number
from oneproxy.trunks.numbers import is_number, number_or_user, read_number


def users(text: str) -> list[str] | None:
    uri = uri_of(text)
    number = read_number(uri) if is_number(uri) else None
    return None if number is None else number.users


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("tel:+351-21-123.45.67", ["+351211234567"]),
        ("tel:+351(21)1234567", ["+351211234567"]),
        ("tel:7042;phone-context=example.com", ["7042"]),
        ("tel:863-1234;phone-context=+1-914-555", ["+19145558631234", "8631234"]),
        ("tel:*98#;phone-context=example.com", ["*98%23"]),
        ("tel:+1-201-555-0123;ext=12", ["+12015550123"]),
        ("sip:+351-21-123@example.com", ["+35121123"]),
        ("sip:+351%2021%20123@example.com", ["+35121123"]),
        ("sip:%2B35121123@example.com;user=phone", ["+35121123"]),
        ("sip:(21)123@example.com;user=phone", ["21123"]),
        ("sip:863-1234;phone-context=+1-914@example.com;user=phone", ["+19148631234", "8631234"]),
        ("sip:863-1234;isub=1;Phone-Context=example.org@example.com;user=PHONE", ["8631234"]),
    ],
)
def test_all_spellings_of_a_number_are_one_user(uri: str, expected: list[str]) -> None:
    assert users(uri) == expected


@pytest.mark.parametrize(
    "uri",
    [
        "sip:7-11@example.com",
        "sip:alice@example.com;user=phone",
        "sip:example.com",
        "sip:+@example.com",
        "sip:+alice@example.com",
        "sip:21-123@example.com;user=ip",
        "sip:-@example.com;user=phone",
    ],
)
def test_what_does_not_say_that_it_is_a_number_is_none(uri: str) -> None:
    assert users(uri) is None


def test_the_context_of_a_local_number_is_kept() -> None:
    number = read_number(uri_of("tel:7042;phone-context=Example.COM"))
    assert number is not None
    assert (number.digits, number.context) == ("7042", "example.com")
    number = read_number(uri_of("tel:+7042;phone-context=example.com"))
    assert number is not None
    assert number.context == ""


@pytest.mark.parametrize(
    ("written", "plain"), [("+351 21 123", "+35121123"), ("+x", "+x"), ("+", "+"), ("(21)", "21")]
)
def test_a_number_that_people_wrote_is_made_plain(written: str, plain: str) -> None:
    assert plain_number(written) == plain


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("tel:+351-21-123.45.67", "+351211234567"),
        ("sip:863-1234;phone-context=+1-914@example.com;user=phone", "+19148631234"),
        ("tel:7042;phone-context=example.com", "7042"),
        ("sip:(21)123@example.com;user=phone", "21123"),
        ("sip:*98%23@example.com;user=phone", "*98#"),
        ("sip:7-11@example.com", "7-11"),
        ("sip:al%69ce@example.com;user=phone", "alice"),
        ("sip:example.com", ""),
    ],
)
def test_what_is_dialled_is_a_number_or_a_user(uri: str, found: str) -> None:
    assert number_or_user(uri_of(uri)) == found
