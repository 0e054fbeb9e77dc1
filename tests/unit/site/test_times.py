"""Times of the week as people write them."""

import pytest

from oneproxy.site.times import DAY_MIN, WEEK_MIN, find_zone, parse_time, parse_times

SAT, SUN = 5 * DAY_MIN, 6 * DAY_MIN


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("Mon 08:00-18:00", [(480, 1080)]),
        ("Sat", [(SAT, SUN)]),
        ("Sun 08:00-24:00", [(SUN + 480, WEEK_MIN)]),
        ("Mon-Wed 00:00-00:01", [(0, 1), (DAY_MIN, DAY_MIN + 1), (2 * DAY_MIN, 2 * DAY_MIN + 1)]),
        ("Mon,Sat 01:00-02:00", [(60, 120), (SAT + 60, SAT + 120)]),
        # Round the end of the week: by days, and by the night that begins on its last.
        ("Sun-Mon 01:00-02:00", [(60, 120), (SUN + 60, SUN + 120)]),
        ("Sun 22:00-06:00", [(SUN + 1320, WEEK_MIN), (0, 360)]),
        ("Fri 22:00-06:00", [(4 * DAY_MIN + 1320, SAT + 360)]),
    ],
)
def test_a_time_is_spans_of_the_week(text: str, spans: list[tuple[int, int]]) -> None:
    assert list(parse_time(text)) == spans


def test_hours_alone_are_those_of_every_day() -> None:
    assert parse_time("08:00-09:00") == tuple((day * DAY_MIN + 480, day * DAY_MIN + 540) for day in range(7))


def test_times_that_touch_are_one() -> None:
    assert parse_times(["Mon 08:00-12:00", "Mon 12:00-18:00", "Mon 10:00-11:00", "Tue"]) == (
        (480, 1080),
        (DAY_MIN, 2 * DAY_MIN),
    )
    assert parse_times(["Mon-Sun"]) == ((0, WEEK_MIN),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Monday",
        "mon",
        "Mon 8:00-18:00",
        "Mon 08:00",
        "Mon 08:00-08:00",
        "Mon 24:00-06:00",
        "Mon 08:60-09:00",
        "Mon 08:00-24:01",
        "08:00-18:00 Mon",
        "Mon 08:00-09:00 10:00-11:00",
        "Mon, 08:00-09:00",
        "Mon- 08:00-09:00",
        "Mon ²²:00-23:00",
        "Mon ٠٨:00-09:00",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_time(text)


def test_a_zone_is_found_by_its_name() -> None:
    zone = find_zone("Europe/Lisbon")
    assert zone is not None
    assert zone.key == "Europe/Lisbon"
    assert [find_zone(name) for name in ("Europe/Atlantis", "", "../x", "Europe", "/etc/passwd")] == [
        None
    ] * 5
