"""The site as TOML text that `apply` reads back without a difference.

Written here, since the standard library reads TOML and does not write it. Values are those
that JSON has, less null, which no entry holds.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from oneproxy.site.entries import SINGLES, decode_value, ordered
from oneproxy.site.model import Entries

#: What a table is named by is its first line.
_FIRST: Final = frozenset(("aor", "client", "name", "prefix", "source"))
#: Which key of a table is a list of tables.
_BELOW: Final = {"provider": "gateway", "congestion": "limit"}
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
#: TOML 1.0: what may not stand in a basic string by itself: quote, backslash, controls.
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def to_toml(entries: Entries) -> Iterator[str]:
    """The lines of a file with the sections of the site."""
    for section, _, value in ordered(entries):
        yield f"[{section}]" if section in SINGLES else f"[[{section}]]"
        table = decode_value(value)
        # Tables of a list come last: whatever follows the header of one is theirs.
        key = _BELOW.get(section, "")
        below = table.pop(key, [])
        yield from _pairs(table)
        for one in below:
            yield f"[[{section}.{key}]]"
            yield from _pairs(one)
        yield ""


def _pairs(table: dict[str, Any]) -> Iterator[str]:
    for key, value in sorted(table.items(), key=lambda pair: (pair[0] not in _FIRST, pair[0])):
        yield f"{_key(key)} = {_value(value)}"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else quote(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quote(value)
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return f"{{ {', '.join(f'{_key(key)} = {_value(one)}' for key, one in value.items())} }}"
        case _:
            return repr(value)


def quote(text: str) -> str:
    """A basic string of TOML."""
    return f'"{"".join(map(_character, text))}"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    # Those that turn a line round, or that a terminal obeys, are as well not written raw.
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
