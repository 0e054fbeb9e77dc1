"""Times of the week, as people write them: "Mon-Fri 08:00-18:00", "Sat,Sun", "22:00-06:00".

A time that ends before it begins goes on into the next day, and belongs to the day on which it
began: "Fri 22:00-06:00" ends on Saturday. Days may go round too: "Sat-Mon" are three.
"""

from collections.abc import Iterable
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_MIN: Final = 24 * 60
WEEK_MIN: Final = 7 * DAY_MIN

#: Minutes of the week, from Monday 00:00 on: the first, and the one behind the last.
Span = tuple[int, int]


def parse_time(text: str) -> tuple[Span, ...]:
    """The spans of the week that one time is, none of them over the end of the week.

    Raises ValueError for what is none.
    """
    words = text.split()
    if not 1 <= len(words) <= 2:
        raise ValueError("no time")
    days = set(range(7))
    if words[0][0].isalpha():
        days = _days(words.pop(0))
    if len(words) > 1:
        raise ValueError("no time")
    start, end = _clock(words[0]) if words else (0, DAY_MIN)
    spans: list[Span] = []
    for day in sorted(days):
        begins, ends = day * DAY_MIN + start, day * DAY_MIN + end
        spans.append((begins, min(ends, WEEK_MIN)))
        if ends > WEEK_MIN:
            spans.append((0, ends - WEEK_MIN))
    return tuple(spans)


def parse_times(texts: Iterable[str]) -> tuple[Span, ...]:
    """The spans of several times, those that touch put together, in order."""
    spans: list[Span] = []
    for begins, ends in sorted(span for text in texts for span in parse_time(text)):
        if spans and begins <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(ends, spans[-1][1]))
        else:
            spans.append((begins, ends))
    return tuple(spans)


def find_zone(name: str) -> ZoneInfo | None:
    """The time zone of this name, such as "Europe/Lisbon"; None where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A name that leads out of the folder of zones is a ValueError, a folder an OSError.
        return None


def _days(text: str) -> set[int]:
    days: set[int] = set()
    for piece in text.split(","):
        first, dash, last = piece.partition("-")
        begins = DAYS.index(first)
        ends = DAYS.index(last) if dash else begins
        days.update((begins + step) % 7 for step in range((ends - begins) % 7 + 1))
    return days


def _clock(text: str) -> Span:
    """Minutes of the day of "08:00-18:00"; the end is on the next day where it is not later."""
    first, dash, last = text.partition("-")
    start, end = _minute(first), _minute(last)
    if not dash or start in (end, DAY_MIN):
        raise ValueError("no time")
    return start, end if end > start else end + DAY_MIN


def _minute(text: str) -> int:
    hours, colon, minutes = text.partition(":")
    if not colon or len(hours) != 2 or len(minutes) != 2 or not (hours + minutes).isdecimal():
        raise ValueError("no time")
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > DAY_MIN or not text.isascii():
        raise ValueError("no time")
    return minute
