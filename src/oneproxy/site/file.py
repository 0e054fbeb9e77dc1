"""Reads a configuration file whole: a configuration, or every mistake in it.

text --tomllib--> values --tables--> well-formed tables --checks, build--> Configuration
          |                 |                                |
          +-----------------+--------------------------------+--lines--> mistakes
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Final

from oneproxy.site.build import build
from oneproxy.site.checks import find_faults
from oneproxy.site.lines import find_lines, line_of
from oneproxy.site.mistake import Mistake, key_text
from oneproxy.site.model import Configuration
from oneproxy.site.tables import read_tables

# What tomllib says where: "... (at line 3, column 5)" or "... (at end of document)".
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
#: What tomllib says with a key of an inline table, or of one that holds HA1s.
_KEY: Final = re.compile(r"^(Duplicate inline table key )'.*|^(Cannot .*)\(.*'ha1'.*\)")


def read(path: Path, machine: bool = True) -> Configuration | list[Mistake]:
    """The configuration that a file describes, or its mistakes in the order of their lines.

    path: "-" is standard input. machine: whether the file has to say where to listen, as one
    that is run has.
    """
    try:
        octets = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        text = octets.decode("utf-8")
    except OSError as error:
        reason = (error.strerror or "an error").lower()
        return [Mistake(0, "", f"no way to read it ({reason})", "a file that can be read")]
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return [Mistake(line, "", f"the octet {error.object[error.start]:#04x}", "text in UTF-8")]
    return read_text(text, path.parent, machine)


def read_text(text: str, folder: Path = Path(), machine: bool = True) -> Configuration | list[Mistake]:
    """The same for the text of a file. folder: where relative names of files begin."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [_syntax_mistake(str(error), text)]
    except RecursionError:
        return [Mistake(0, "", "lists or tables nested too deeply", "a few levels")]
    tables, faults = read_tables(document, machine)
    faults.extend(find_faults(tables, folder))
    if not faults:
        return build(tables, folder)
    lines = find_lines(text)
    mistakes = [
        Mistake(line_of(path, lines), key_text(path), found, allowed) for path, found, allowed in faults
    ]
    return sorted(mistakes, key=lambda mistake: (mistake.line, mistake.key))


def _syntax_mistake(message: str, text: str) -> Mistake:
    place = _PLACE.search(message)
    # With a key that may be a hash, where somebody wrote `ha1` the other way round.
    reason = _KEY.sub(r"\1\2***", _PLACE.sub("", message))
    reason = reason[:1].lower() + reason[1:]
    if place is None or place[1] is None:
        return Mistake(text.rstrip("\n").count("\n") + 1, "", f"{reason}, at the end of the file", "TOML 1.0")
    return Mistake(int(place[1]), "", f"{reason}, in column {place[2]}", "TOML 1.0")
