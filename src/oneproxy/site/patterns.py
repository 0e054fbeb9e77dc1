r"""Regular expressions for numbers that cannot take long, whatever number comes.

Python's way of matching tries what may be repeated in every number of repetitions, and two of
them within each other for ever: `(\d+)+5` takes hours for a number of 40 digits. So of all that
regular expressions can say, this is allowed:

    a literal, with a backslash where it has a meaning      5  \+  \*
    any character, digits, a set                            .  \d  [0-9]  [^1]
    groups, taken up by \1 to \9, and a choice              (..)  (?:..)  (00|011)
    a repetition of one of these                            *  +  ?  {3}  {2,4}
    the beginning and the end                               ^  $

and of that no more than may match one text in MOST_WAYS ways.
"""

import re
from typing import Final

#: Characters of a number that is rewritten; a longer one is left as it is.
LONGEST_NUMBER: Final = 64
#: Two repetitions without an end and one that may be there or not. The worst that was found takes 65 us.
MOST_WAYS: Final = 10_000
_LONGEST_PATTERN: Final = 256
_SPECIAL: Final = frozenset("\\^$.|?*+()[]{}")
#: What a backslash may stand before, beside what has a meaning of its own.
_NAMED: Final = frozenset("d-/#:@")


def check_pattern(text: str) -> int:
    """How many groups a pattern has. Raises ValueError for one that is not allowed."""
    if not text or len(text) > _LONGEST_PATTERN or not text.isprintable():
        raise ValueError("no pattern")
    reader = _Reader(text)
    ways = reader.choices()
    if reader.at != len(text) or ways > MOST_WAYS:
        raise ValueError("a pattern that may take long")
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(str(error)) from None
    return reader.groups


def check_replacement(text: str, groups: int) -> None:
    r"""Raises ValueError where this is no text with \1 to \9 for that many groups."""
    if not text.isprintable() or len(text) > LONGEST_NUMBER or set(text) & set(' <>"'):
        raise ValueError("no replacement")
    pieces = text.split("\\")[1:]
    if any(not piece[:1] or piece[0] not in "123456789" or int(piece[0]) > groups for piece in pieces):
        raise ValueError("a group that the pattern has not")


class _Reader:
    """Reads a pattern and reckons in how many ways it may be tried."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0
        self.groups = 0

    def choices(self) -> int:
        """`one|other`: as many ways as both have."""
        ways = self._sequence()
        while self._take("|"):
            ways += self._sequence()
        return ways

    def _sequence(self) -> int:
        ways = 1
        while self.at < len(self._text) and self._text[self.at] not in "|)":
            if self._take("^") or self._take("$"):
                continue
            ways *= self._repeated(self._atom())
            if ways > MOST_WAYS:
                raise ValueError("a pattern that may take long")
        return ways

    def _atom(self) -> int:
        """One thing that may be repeated."""
        text, at = self._text, self.at
        character = text[at]
        self.at += 1
        if character == "(":
            if not self._take("?:"):
                self.groups += 1
                if self._text[self.at : self.at + 1] == "?":
                    raise ValueError("no group of this kind")
            ways = self.choices()
            if not self._take(")"):
                raise ValueError("a group without an end")
            return ways
        if character == "[":
            self._set()
        elif character == "\\":
            self._escaped()
        elif character in _SPECIAL and character != ".":
            raise ValueError("a character without what it belongs to")
        return 1

    def _set(self) -> None:
        """What stands in [..]; ranges are looked at when it is compiled."""
        self._take("^")
        began = self.at
        while self.at < len(self._text) and self._text[self.at] != "]":
            character = self._text[self.at]
            self.at += 1
            if character == "[":
                raise ValueError("a set in a set")
            if character == "\\":
                self._escaped()
        written = self._text[began : self.at]
        if not written or not self._take("]"):
            raise ValueError("a set without an end")
        if any(twice in written for twice in ("--", "&&", "~~", "||")):
            # Python keeps these for arithmetic with sets.
            raise ValueError("a set of sets")

    def _escaped(self) -> None:
        character = self._text[self.at : self.at + 1]
        if not character or (character not in _SPECIAL and character not in _NAMED):
            raise ValueError("no such escape")
        self.at += 1

    def _repeated(self, ways: int) -> int:
        """How many ways there are for what was just read, and has `ways` itself, with its repetition."""
        least, most = self._bounds()
        if (least, most) == (1, 1):
            return ways
        if most > LONGEST_NUMBER:
            raise ValueError("more repetitions than a number has digits")
        if self._text[self.at : self.at + 1] in ("*", "+", "?", "{") and self.at < len(self._text):
            raise ValueError("a repetition of a repetition")
        if ways == 1:
            return most - least + 1
        return sum(min(ways**count, MOST_WAYS + 1) for count in range(least, most + 1))

    def _bounds(self) -> tuple[int, int]:
        if self._take("*"):
            return 0, LONGEST_NUMBER
        if self._take("+"):
            return 1, LONGEST_NUMBER
        if self._take("?"):
            return 0, 1
        if not self._take("{"):
            return 1, 1
        inner, end, _ = self._text[self.at :].partition("}")
        low, comma, high = inner.partition(",")
        if not end or not inner.isascii() or not low.isdecimal() or (comma and high and not high.isdecimal()):
            raise ValueError("no repetition")
        self.at += len(inner) + 1
        least = int(low)
        most = least if not comma else int(high) if high else LONGEST_NUMBER
        if least > most:
            raise ValueError("no repetition")
        return least, most

    def _take(self, text: str) -> bool:
        if not self._text.startswith(text, self.at):
            return False
        self.at += len(text)
        return True
