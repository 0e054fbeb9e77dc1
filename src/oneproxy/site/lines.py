"""Finds the line on which each key of a TOML document stands.

The standard library's reader gives values without places, and an operator wants the
line. The document has been read by `tomllib` before it comes here, so that it is known
to be well formed: this walk only has to know where strings, lists and tables end.

    [[listen]]                  ("listen", 0)               line 1
    transport = "udp"           ("listen", 0, "transport")  line 2
    [[provider]]                ("provider", 0)             line 3
    [[provider.gateway]]        ("provider", 0, "gateway", 0)
    register = { aor = "x" }    (..., "register", "aor")    the line of the inner key
"""

import tomllib
from bisect import bisect_right
from typing import Any, Final

Path = tuple[str | int, ...]

_BLANK: Final = " \t\r\n"
#: Longest first: a quote of three characters begins with one of one.
_QUOTES: Final = ('"""', "'''", '"', "'")
_BARE_ENDS: Final = frozenset(",]}#\r\n")


def find_lines(text: str) -> dict[Path, int]:
    """The line, from 1 on, of every key, table and list element of a well-formed document."""
    return _Walk(text).document()


def line_of(path: Path, lines: dict[Path, int]) -> int:
    """The line of `path`, or of the nearest table around it; 1 for the document itself."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


class _Walk:
    """One pass over a document, `at` being the place of the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._line_ends = [place for place, character in enumerate(text) if character == "\n"]
        #: How many tables each list of tables has so far, by its resolved path.
        self._tables: dict[Path, int] = {}

    def document(self) -> dict[Path, int]:
        table: Path = ()
        self._skip_blank()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip_blank()
        return self.lines

    def _note(self, path: Path, place: int) -> None:
        self.lines.setdefault(path, bisect_right(self._line_ends, place - 1) + 1)

    def _header(self) -> Path:
        """`[a.b]` or `[[a.b]]`: the path of the table that it opens."""
        place = self.at
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        keys = self._key("]")
        self.at += 2 if many else 1
        path: Path = ()
        for depth, key in enumerate(keys):
            path = (*path, key)
            self._note(path, place)
            if many and depth == len(keys) - 1:
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
        self._note(path, place)
        return path

    def _pair(self, table: Path) -> None:
        """`key = value`, the key possibly dotted."""
        place = self.at
        path = table
        for key in self._key("="):
            path = (*path, key)
            self._note(path, place)
        self.at += 1
        self._value(path)

    def _key(self, end: str) -> list[str]:
        """The parts of a key up to `end`, which is not taken."""
        begin = self.at
        quoted = False
        while self.text[self.at] != end:
            if self.text[self.at] in "\"'":
                quoted = True
                self._string()
            else:
                self.at += 1
        written = self.text[begin : self.at]
        if not quoted:
            return [part.strip() for part in written.split(".")]
        parts: list[str] = []
        inner: Any = tomllib.loads(f"{written} = 0")
        while isinstance(inner, dict):
            [(part, inner)] = inner.items()
            parts.append(part)
        return parts

    def _value(self, path: Path) -> None:
        self._skip_blank()
        first = self.text[self.at]
        if first in "\"'":
            self._string()
        elif first == "[":
            self._list(path)
        elif first == "{":
            self._table(path)
        else:
            while self.at < len(self.text) and self.text[self.at] not in _BARE_ENDS:
                self.at += 1

    def _string(self) -> None:
        quote = next(quote for quote in _QUOTES if self.text.startswith(quote, self.at))
        self.at += len(quote)
        while not self.text.startswith(quote, self.at):
            self.at += 2 if quote[0] == '"' and self.text[self.at] == "\\" else 1
        self.at += len(quote)
        # A string of three quotes may end in one or two quotes of its own.
        while len(quote) == 3 and self.text.startswith(quote[0], self.at):
            self.at += 1

    def _list(self, path: Path) -> None:
        self.at += 1
        index = 0
        self._skip_blank()
        while self.text[self.at] != "]":
            self._note((*path, index), self.at)
            self._value((*path, index))
            self._skip_comma()
            index += 1
        self.at += 1

    def _table(self, path: Path) -> None:
        self.at += 1
        self._skip_blank()
        while self.text[self.at] != "}":
            self._pair(path)
            self._skip_comma()
        self.at += 1

    def _skip_comma(self) -> None:
        self._skip_blank()
        if self.text[self.at] == ",":
            self.at += 1
            self._skip_blank()

    def _skip_blank(self) -> None:
        """Goes past white space, line ends and comments."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self.text[self.at] not in _BLANK:
                return
            else:
                self.at += 1
