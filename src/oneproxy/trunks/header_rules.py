"""The header fields that a route or a gateway has added to a call and left out of it."""

from typing import Final

from oneproxy.sip.message import Request
from oneproxy.sip.uri import escape_user

#: Fields that come from what a stranger wrote: what would end a line, or a URI, is escaped.
_OF_USERS: Final = frozenset(("called", "calling"))


class HeaderRules:
    """Rules made ready. add: lines, with fields in braces; remove: names."""

    __slots__ = ("_lines", "_removed")

    def __init__(self, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
        #: Each in pieces: text, field, text, ... SIP is in UTF-8, one character for each octet.
        self._lines = tuple([_pieces(line.encode("utf-8").decode("latin-1")) for line in add])
        self._removed = tuple([name.lower() for name in remove])

    def added(self, fields: dict[str, str]) -> list[str]:
        """The lines to add. fields: by the names in `site.header_rules.FIELDS`."""
        lines = []
        for pieces in self._lines:
            line = pieces[0]
            for at in range(1, len(pieces), 2):
                name = pieces[at]
                value = fields.get(name, "")
                line += escape_user(value) if name in _OF_USERS else value
                line += pieces[at + 1]
            lines.append(line)
        return lines

    def removed(self, request: Request) -> list[int]:
        """Places of the lines that go no further."""
        return [at for name in self._removed if name in request.first for at in request.positions(name)]


def make_rules(add: tuple[str, ...], remove: tuple[str, ...]) -> HeaderRules | None:
    """Rules; None where there are none."""
    return HeaderRules(add, remove) if add or remove else None


def _pieces(line: str) -> tuple[str, ...]:
    pieces: list[str] = []
    for part in line.split("{"):
        field, brace, text = part.partition("}")
        pieces += [field, text] if brace else [part]
    return tuple(pieces)
