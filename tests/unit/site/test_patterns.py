"""Regular expressions for numbers: what is allowed, and that it cannot take long."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneproxy.site.patterns import LONGEST_NUMBER, check_pattern, check_replacement


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        ("0", 0),
        (r"^\+351(\d{9})$", 1),
        (r"(00|011)?([1-9]\d*)", 2),
        (r"(?:00|\+)(44|1)(\d+)", 2),
        (r"[^1]\d{2,4}.*", 0),
        (r"\*21\*(\d+)#", 1),
        (r"(ab){3}", 1),
        (r"[a\-z]", 0),
        (r"0{3,}", 0),
    ],
)
def test_a_pattern_is_allowed(pattern: str, groups: int) -> None:
    assert check_pattern(pattern) == groups


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "(",
        ")",
        "a)",
        "[",
        "[]",
        "[9-0]",
        "[[a]]",
        "[a--b]",
        "*",
        "+351",
        "a**",
        "a*?",
        "a{2,1}",
        "a{x}",
        "a{²}",
        "a{99}",
        r"\w",
        r"\1",
        "\\",
        "(?=a)",
        "(?P<n>a)",
        "(?i)a",
        # What takes long: repetitions in repetitions, choices in them, and many side by side.
        r"(\d+)+5",
        r"(\d*)*",
        r"(a|aa)+5",
        r"(a?){30}a",
        r"\d*\d*\d*5",
        "0?" * 20 + "1",
        "a" * 300,
    ],
)
def test_a_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_pattern(pattern)


PATTERN = st.text(st.sampled_from("01\\d.()|*+?{2,}[]^$-:"), min_size=1, max_size=24)


@settings(max_examples=400)
@given(PATTERN)
def test_whatever_is_allowed_is_a_regular_expression_that_is_quick(pattern: str) -> None:
    try:
        groups = check_pattern(pattern)
    except ValueError:
        return
    compiled = re.compile(pattern)
    assert compiled.groups == groups
    for text in ("0" * LONGEST_NUMBER, "01" * (LONGEST_NUMBER // 2)):
        best = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            compiled.match(text)
            best = min(best, time.perf_counter() - began)
        # The worst take less than 0.1 ms; a repetition in a repetition would take hours.
        assert best < 0.05


@pytest.mark.parametrize("text", ["", "+351", r"00\1", r"\1\2", "*21*\\1#"])
def test_a_replacement_is_allowed(text: str) -> None:
    check_replacement(text, 2)


@pytest.mark.parametrize("text", [r"\3", r"\0", "\\", r"\g<1>", "a b", "a<b", "x" * 65, "a\tb"])
def test_a_replacement_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_replacement(text, 2)
