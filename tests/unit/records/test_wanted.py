"""What people say of the call records that they want to see."""

import pytest

from oneproxy.records.wanted import Wanted, Wrong, is_id, read_instant, read_status, read_wanted

NOW = 1_795_604_400.0


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-25", 1_795_564_800.0),
        ("2026-11-25T10:58", 1_795_604_280.0),
        ("2026-11-25 10:58:29.123", 1_795_604_309.123),
        ("2026-11-25T10:58:29.123Z", 1_795_604_309.123),
        ("2026-11-25T11:58:29+01:00", 1_795_604_309.0),
        ("90s", NOW - 90),
        ("30m ago", NOW - 1800),
        ("2h", NOW - 7200),
        ("3d ago", NOW - 3 * 86400),
        (" 1W ", NOW - 7 * 86400),
        ("999999w", 0.001),
        ("1000-01-01", 0.001),
    ],
)
def test_instants(text: str, at: float) -> None:
    assert read_instant(text, NOW) == round(at * 1000)


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01", "2x", "ago", "-1h", "1234567h", "0001-01-01T00:00+14:00x"]
)
def test_what_says_no_instant(text: str) -> None:
    assert read_instant(text, NOW) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("486", (486, 486)),
        ("4xx", (400, 499)),
        ("2XX", (200, 299)),
        ("48x", None),
        ("99", None),
        ("700", None),
        ("4\u0664\u0664", None),
        ("", None),
        ("4xxx", None),
    ],
)
def test_statuses(text: str, meant: tuple[int, int] | None) -> None:
    assert read_status(text) == meant


def test_all_that_may_be_said_at_once() -> None:
    said = {
        "number": "1",
        "caller": "2",
        "callee": "3",
        "call_id": "4",
        "gateway": "5",
        "provider": "6",
        "status": "4xx",
        "since": "1h",
        "until": "30m",
    }
    since_ms, until_ms = round((NOW - 3600) * 1000), round((NOW - 1800) * 1000)
    assert read_wanted(said, NOW, True) == Wanted(
        "1", "2", "3", "4", "5", "6", 400, 499, since_ms, until_ms, True
    )
    assert read_wanted({}, NOW) == Wanted()


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"since": "noon"}, '"noon"'),
        ({"until": "x" * 99}, f'"{"x" * 40}"'),
        ({"status": "busy"}, '"busy"'),
        ({"number": "a\0"}, "what no record has"),
        ({"call_id": "x" * 257}, "what no record has"),
        ({"caller": "\udc80"}, "what no record has"),
    ],
)
def test_a_mistake_names_the_filter_and_what_is_allowed(said: dict[str, str], found: str) -> None:
    wrong = read_wanted(said, NOW)
    assert isinstance(wrong, Wrong)
    assert (wrong.name, wrong.found) == (next(iter(said)), found)
    assert wrong.allowed


def test_ids() -> None:
    assert is_id("01a1102a-4a43-7000-8000-00000000000a")
    assert not is_id("01a1102a4a437000800000000000000a")
    assert not is_id("x")
