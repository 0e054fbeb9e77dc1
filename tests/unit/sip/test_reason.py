"""What both sides of a call are told that people end."""

import pytest

from oneproxy.sip.reason import LONGEST_TEXT, is_text, reason_value


def test_a_reason_without_a_text_is_a_cause() -> None:
    assert reason_value(480, "") == "SIP;cause=480"


def test_what_would_end_the_quoted_string_is_escaped() -> None:
    assert reason_value(480, 'a "b" \\ c') == r'SIP;cause=480;text="a \"b\" \\ c"'


def test_a_text_goes_as_utf_8_one_character_an_octet() -> None:
    value = reason_value(480, "Fecho às 18 €")
    assert value.encode("latin-1").decode() == 'SIP;cause=480;text="Fecho às 18 €"'


@pytest.mark.parametrize("text", ["", "Closing time", "às 18", "x" * LONGEST_TEXT])
def test_a_line_of_text_may_be_told(text: str) -> None:
    assert is_text(text)


@pytest.mark.parametrize(
    "text", ["a\r\nVia: x", "a\nb", "\0", "\x1b[1m", "\x7f", "\u2028", "\udc80", "x" * (LONGEST_TEXT + 1)]
)
def test_characters_that_control_and_long_texts_may_not(text: str) -> None:
    assert not is_text(text)
