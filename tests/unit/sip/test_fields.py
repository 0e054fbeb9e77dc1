"""Tokens, quoted strings, lists, parameters and numbers in header values."""

import pytest

from oneproxy.sip.fields import (
    end_of_quoted,
    format_params,
    is_token,
    option_tags,
    parse_cseq,
    parse_delta_seconds,
    parse_number,
    parse_params,
    parse_q,
    quote,
    split_list,
    unquote,
)
from oneproxy.sip.malformed import Malformed


def test_a_token_is_made_of_the_characters_of_the_grammar() -> None:
    assert is_token("aZ09-.!%*_+`'~")
    assert [text for text in ("", "a b", "a,b", 'a"', "a/b", "\xe9", "a\x00") if is_token(text)] == []


@pytest.mark.parametrize("text", ["", "plain", 'a "b" c', "back\\slash", '\\"', "\\\\", "\x00\x07"])
def test_what_is_quoted_is_unquoted_to_the_same_text(text: str) -> None:
    quoted = quote(text)
    assert unquote(quoted) == text
    assert end_of_quoted(quoted, 0) == len(quoted)


def test_text_that_is_not_quoted_stays_as_it_is() -> None:
    assert [unquote(text) for text in ("abc", '"', '"abc', 'abc"', "")] == ["abc", '"', '"abc', 'abc"', ""]


def test_a_quoted_string_ends_at_the_first_quote_that_is_not_escaped() -> None:
    assert end_of_quoted(r'x"a\"b\\"c"', 1) == 9
    assert end_of_quoted(r'"a\"', 0) == -1
    assert end_of_quoted('"', 0) == -1


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        ("", []),
        ("  ", []),
        (" a ", ["a"]),
        ("a,b ,\tc", ["a", "b", "c"]),
        (",", ["", ""]),
        ("a,,b", ["a", "", "b"]),
        ('"a, \\" b" <sip:c@d>, <sip:e,f@g>', ['"a, \\" b" <sip:c@d>', "<sip:e,f@g>"]),
        ('"a, b', ['"a, b']),
        ("<a, b", ["<a, b"]),
        ('a, "b, c', ["a", '"b, c']),
    ],
)
def test_a_list_is_cut_at_commas_outside_of_quotes_and_brackets(value: str, elements: list[str]) -> None:
    assert split_list(value) == elements


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", {}),
        (";lr", {"lr": None}),
        (";Tag=aBc;x", {"tag": "aBc", "x": None}),
        (" ; tag \t=  98 ;  q = 0.5 ", {"tag": "98", "q": "0.5"}),
        (';x="a;b, \\"c\\"";y=1', {"x": 'a;b, "c"', "y": "1"}),
        (';+sip.instance="<urn:uuid:1>"', {"+sip.instance": "<urn:uuid:1>"}),
        (';x=""', {"x": ""}),
        (";received=[2001:db8::1]", {"received": "[2001:db8::1]"}),
        (";tag=a/b==", {"tag": "a/b=="}),
        ("lr", None),
        (";", None),
        (";;a", None),
        (";a;", None),
        (";=b", None),
        (";a=", None),
        (";a=1;A=2", None),
        (";a b", None),
        (";a=b c", None),
        (';a="b', None),
        (';a="b"c', None),
        (';a"b"', None),
        (";a=<b>", None),
        (";a=b,c", None),
        (";a=\xe9", None),
    ],
)
def test_parameters_are_read_or_refused(text: str, params: dict[str, str | None] | None) -> None:
    assert parse_params(text) == params


def test_parameters_are_quoted_where_they_must_be() -> None:
    params = {"lr": None, "tag": "a1", "x": 'a;"b"', "+sip.instance": "abc", "y": ""}
    written = ';lr;tag=a1;x="a;\\"b\\"";+sip.instance="abc";y=""'
    assert format_params(params) == written
    assert parse_params(written) == params


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0", 0),
        (" 0068\t", 68),
        ("0" * 5000 + "7", 7),
        ("0" * 5000, 0),
        ("9" * 19, int("9" * 19)),
        ("9" * 5000, 2**64),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1_000", None),
        ("1 0", None),
        ("1.0", None),
        ("\xb2", None),
        ("\u0663", None),
    ],
)
def test_a_number_is_ascii_digits_of_any_length(value: str, number: int | None) -> None:
    assert parse_number(value) == number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1 INVITE", (1, "INVITE")),
        ("0009   INVITE ", (9, "INVITE")),
        ("0\tACK", (0, "ACK")),
        ("2147483647 re%47", (2**31 - 1, "re%47")),
        ("2147483648 INVITE", Malformed.CSEQ),
        ("36893488147419103232 REGISTER", Malformed.CSEQ),
        ("-1 INVITE", Malformed.CSEQ),
        ("1", Malformed.CSEQ),
        ("INVITE", Malformed.CSEQ),
        ("1INVITE", Malformed.CSEQ),
        ("1 INVITE X", Malformed.CSEQ),
        ("1 INV/ITE", Malformed.CSEQ),
        ("", Malformed.CSEQ),
    ],
)
def test_a_cseq_is_a_number_below_two_to_the_31_and_a_method(
    value: str, expected: tuple[int, str] | Malformed
) -> None:
    assert parse_cseq(value) == expected


def test_seconds_beyond_32_bits_mean_the_largest() -> None:
    found = [parse_delta_seconds(value) for value in ("0", "3600", "4294967296", "1" * 100, "-1", "60s", "")]
    assert found == [0, 3600, 2**32 - 1, 2**32 - 1, None, None, None]


@pytest.mark.parametrize(
    ("value", "thousandths"),
    [
        ("0", 0),
        ("1", 1000),
        ("0.", 0),
        ("1.", 1000),
        ("0.5", 500),
        ("0.33", 330),
        ("0.001", 1),
        ("1.000", 1000),
        ("1.001", None),
        ("2", None),
        ("0.1234", None),
        (".5", None),
        ("-0.5", None),
        ("0.5a", None),
        ("", None),
        ("0.\xb2", None),
    ],
)
def test_a_preference_is_read_in_thousandths(value: str, thousandths: int | None) -> None:
    assert parse_q(value) == thousandths


def test_option_tags_of_all_lines_come_in_order() -> None:
    assert option_tags(["path, 100rel", "", "gruu,,outbound"]) == ["path", "100rel", "gruu", "outbound"]
