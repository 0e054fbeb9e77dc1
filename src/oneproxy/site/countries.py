"""How numbers are dialled in a country, and the one form (E.164) that all of them have: "+351912345678".

    dialled in Portugal    912345678   00351912345678   +351912345678
    dialled in Germany     0301234567  0049301234567    +49301234567
    in the United States   2015550123  12015550123      0113512...

What a country calls its own is told by `phonenumbers`, whose tables are read for the countries
that the site names alone. Where their rules are a prefix and some lengths, as in two of three
countries, they are carried out here, in a twentieth of the time.
"""

import re
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import CountryCodeSource, NumberParseException, PhoneMetadata

_REMEMBERED: Final = 16_384
#: The longest number there is (E.164), and what a number has to have to be one of another country.
LONGEST: Final = 15
SHORTEST: Final = 7
#: Where all numbers are so long, one that is dialled without the prefix for "in this country"
#: can't be one of the town alone, nor of the office.
_WHOLE: Final = 9
#: Numbers of these countries are written without the prefix that is dialled before them.
_UNPREFIXED: Final = frozenset((1,))


class Country:
    """A country: how numbers are dialled in it.

    code: "351". international: what is dialled before the code of another country. national: what
    is dialled before a number of this one, "" where nothing is.
    """

    __slots__ = ("_is_plain", "_lengths", "_needs_prefix", "code", "international", "name", "national")

    def __init__(self, name: str) -> None:
        """name: two letters (ISO 3166), in capitals. Raises ValueError for an unknown one."""
        metadata = PhoneMetadata.metadata_for_region(name) if name.isascii() else None
        if metadata is None or metadata.country_code is None or metadata.general_desc is None:
            raise ValueError("no country")
        self.name = name
        self.code = str(metadata.country_code)
        written = metadata.international_prefix or ""
        preferred = (metadata.preferred_international_prefix or "").replace("~", "")
        self.international = _shortest(written, preferred)
        self.national = metadata.national_prefix or ""
        self._lengths = frozenset(metadata.general_desc.possible_length)
        self._needs_prefix = bool(self.national) and min(self._lengths) < _WHOLE
        #: Whether there is nothing to it but a prefix.
        self._is_plain = (
            written == self.international
            and (metadata.national_prefix_for_parsing or "") == self.national
            and not metadata.national_prefix_transform_rule
        )

    def read(self, dialled: str) -> str:
        """A number as it is dialled here in the form "+351912345678".

        dialled: digits, with or without "+". What is no number that would be dialled to leave the
        house (a short one, 112, that of an office) stays as it is.
        """
        if dialled[:1] == "+" or not dialled.isdecimal() or not dialled.isascii():
            return dialled
        if not self._is_plain:
            return _read(self.name, dialled, self._needs_prefix)
        if dialled.startswith(self.international):
            rest = dialled[len(self.international) :]
            return f"+{rest}" if SHORTEST <= len(rest) <= LONGEST and rest[0] != "0" else dialled
        if self.national and dialled.startswith(self.national):
            rest = dialled[len(self.national) :]
            if len(rest) in self._lengths:
                return f"+{self.code}{rest}"
        if len(dialled) in self._lengths and not self._needs_prefix:
            return f"+{self.code}{dialled}"
        return dialled

    def write(self, number: str) -> str:
        """A number "+..." as it is dialled here: of this country, or of another one."""
        if number[:1] != "+":
            return number
        if number.startswith(self.code, 1):
            if not self._is_plain:
                return _write(number)
            rest = number[1 + len(self.code) :]
            return rest if int(self.code) in _UNPREFIXED else f"{self.national}{rest}"
        return f"{self.international}{number[1:]}"


def _shortest(written: str, preferred: str) -> str:
    """The shortest prefix that a regular expression of the library is for, whatever follows it.

    Where callers choose a carrier by it there is one for each. preferred: the usual one, or "".
    """
    if written.isdecimal():
        return written
    compiled = re.compile(written)
    if preferred and all(_ends(compiled, preferred, after) for after in "0123456789"):
        return preferred
    for length in range(1, 6):
        for number in range(10**length):
            digits = f"{number:0{length}}"
            if compiled.fullmatch(digits) and all(_ends(compiled, digits, after) for after in "0123456789"):
                return digits
    return "00"


def _ends(compiled: re.Pattern[str], digits: str, after: str) -> bool:
    found = compiled.match(digits + after)
    return found is not None and found.end() == len(digits)


@lru_cache(256)
def find_country(name: str) -> Country:
    """The country of two letters, such as "PT". Raises ValueError for an unknown one."""
    return Country(name)


@lru_cache(_REMEMBERED)
def _read(country: str, dialled: str, needs_prefix: bool) -> str:
    """As `Country.read`, by the library: 20 us for a number that was not asked for lately."""
    if len(dialled) > LONGEST + SHORTEST:
        return dialled
    try:
        found = phonenumbers.parse(dialled, country, keep_raw_input=True)
    except NumberParseException:
        return dialled
    if found.country_code_source not in (
        CountryCodeSource.FROM_NUMBER_WITH_IDD,
        CountryCodeSource.FROM_DEFAULT_COUNTRY,
    ):
        return dialled
    if not phonenumbers.is_possible_number(found):
        return dialled
    whole = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)
    is_bare = whole == f"+{found.country_code}{dialled}"
    return dialled if is_bare and needs_prefix else whole


@lru_cache(_REMEMBERED)
def _write(number: str) -> str:
    """A number as it is dialled within its own country, by the library."""
    try:
        found = phonenumbers.parse(number)
    except NumberParseException:
        return number
    written = phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(character for character in written if character.isdecimal())
