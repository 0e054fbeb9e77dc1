"""Branches of our own: unique over space and time (RFC 3261 8.1.1.7), and nobody's to guess.

Whoever knows the branch of a request can answer it in the callee's place, from anywhere,
and everybody that a request goes to sees one of ours; so the next one must not follow from it.
"""

from secrets import token_hex
from typing import Final

#: 80 bits: out of reach of guessing, and two are never the same.
_LENGTH: Final = 20
#: Drawn at once: asking the system for each costs a microsecond.
_DRAWN: Final = 256 * _LENGTH


class Branches:
    """Makes branches, as what follows the cookie. node: goes into each."""

    __slots__ = ("_at", "_drawn", "prefix")

    def __init__(self, node: str) -> None:
        self.prefix = f"{node}."
        self._drawn = ""
        self._at = 0

    def new(self) -> str:
        """One that there was never before."""
        at = self._at
        if at == len(self._drawn):
            self._drawn = token_hex(_DRAWN // 2)
            at = 0
        self._at = after = at + _LENGTH
        return f"{self.prefix}{self._drawn[at:after]}"
