"""What is done to a number: strip, prepend, patterns, and the form that a gateway wants."""

import re

from oneproxy.site.countries import SHORTEST, find_country
from oneproxy.site.model import Rewrite, Route
from oneproxy.site.patterns import LONGEST_NUMBER

#: What was done to a number, and what came out: ("strip 1", "351912345678").
Change = tuple[str, str]


class Rewriter:
    """The rewriting of one number; made once for a route or a gateway."""

    __slots__ = ("_pattern", "_prepend", "_replace", "_strip")

    def __init__(self, rewrite: Rewrite | Route) -> None:
        self._strip = rewrite.strip
        self._prepend = rewrite.prepend
        self._pattern = re.compile(rewrite.pattern) if rewrite.pattern else None
        self._replace = rewrite.replace

    def apply(self, number: str) -> str:
        """The number after it."""
        if self._pattern is not None and len(number) <= LONGEST_NUMBER:
            number = self._matched(self._pattern, number)
        return self._prepend + number[self._strip :]

    def explain(self, number: str) -> list[Change]:
        """The same, step by step; of what does nothing nothing is said."""
        changes: list[Change] = []
        if self._pattern is not None:
            if len(number) > LONGEST_NUMBER:
                changes.append((f"pattern {self._pattern.pattern} left out: too long", number))
            elif self._pattern.match(number) is None:
                changes.append((f"pattern {self._pattern.pattern} does not match", number))
            else:
                number = self._matched(self._pattern, number)
                changes.append((f"pattern {self._pattern.pattern} -> {self._replace}", number))
        if self._strip:
            number = number[self._strip :]
            changes.append((f"strip {self._strip}", number))
        if self._prepend:
            number = self._prepend + number
            changes.append((f"prepend {self._prepend}", number))
        return changes

    def _matched(self, pattern: re.Pattern[str], number: str) -> str:
        found = pattern.match(number)
        return number if found is None else found.expand(self._replace) + number[found.end() :]


def make_rewriter(rewrite: Rewrite | Route) -> Rewriter | None:
    """A rewriter; None where nothing is to be done."""
    return Rewriter(rewrite) if rewrite.strip or rewrite.prepend or rewrite.pattern else None


class Form:
    """How one side writes numbers. form, country: as in `site.model.Format`."""

    __slots__ = ("_country", "_form", "_international")

    def __init__(self, form: str, country: str) -> None:
        self._form = form
        self._country = find_country(country) if country else None
        self._international = "00" if self._country is None else self._country.international

    def write(self, number: str) -> str:
        """A number as this side wants it; what does not begin with "+" is no whole number and stays."""
        if number[:1] != "+":
            return number
        if self._form == "digits":
            return number[1:]
        if self._form == "international":
            return self._international + number[1:]
        if self._form == "national" and self._country is not None:
            return self._country.write(number)
        return number

    def read(self, number: str) -> str:
        """A number that this side sent in the form "+351912345678", or as it is."""
        if number[:1] == "+" or not number.isdecimal() or not number.isascii():
            return number
        if self._form == "digits" and len(number) >= SHORTEST:
            return f"+{number}"
        if self._form == "international" and number.startswith(self._international):
            return f"+{number[len(self._international) :]}"
        return number if self._country is None else self._country.read(number)

    def explain(self, number: str) -> list[Change]:
        """What `write` does."""
        written = self.write(number)
        return [] if written == number else [(f"form {self._form}", written)]
