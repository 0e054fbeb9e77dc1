"""The texts that routes are made of; as `texts`, each gives its text as the processes want it.

Raises ValueError where it is none.
"""

from typing import Final

from oneproxy.site import header_rules, patterns, texts, times
from oneproxy.site.countries import find_country
from oneproxy.site.users import SEPARATORS

#: Characters of a prefix: each length is looked for, so there must not be many.
LONGEST_PREFIX: Final = 64


def _expect(held: object) -> None:
    if not held:
        raise ValueError("not allowed")


def prepended(text: str) -> str:
    """What is put before a number; may be empty."""
    _expect(len(text) <= LONGEST_PREFIX and text.isascii() and text.isprintable())
    _expect(not set(text) & set(' @<>"'))
    return text


def prefix(text: str) -> str:
    """The beginning of a number or user, which may be empty; numbers as requests have them."""
    prepended(text)
    return text.translate(SEPARATORS) if text[:1] == "+" else text


def pattern(text: str) -> str:
    """A regular expression that cannot take long."""
    patterns.check_pattern(text)
    return text


def replacement(text: str) -> str:
    """What takes the place of what a pattern matched; which groups there are is checked later."""
    patterns.check_replacement(text, 9)
    return text


def country(text: str) -> str:
    """A country by its two letters."""
    find_country(text)
    return text


def caller(text: str) -> str:
    """An AoR, all of a domain, or all numbers with a beginning."""
    if text.endswith("*") and "@" not in text:
        begins = prefix(text[:-1])
        _expect(begins)
        return f"{begins}*"
    return texts.usable(text)


def time(text: str) -> str:
    """A time of the week."""
    times.parse_time(text)
    return text


def time_zone(text: str) -> str:
    """The name of a time zone."""
    _expect(times.find_zone(text) is not None)
    return text


def header_line(text: str) -> str:
    """A header line that may be added."""
    header_rules.check_line(text)
    return text


def header_name(text: str) -> str:
    """A header field that may be left out."""
    header_rules.check_name(text)
    return text


def side(text: str) -> str:
    """A provider, or one of its gateways."""
    provider, slash, gateway = text.partition("/")
    texts.name(provider)
    if slash:
        texts.name(gateway)
    return text
