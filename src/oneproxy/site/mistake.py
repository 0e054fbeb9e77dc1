"""What is wrong with a configuration file, in the words that reach people.

Nothing secret goes into these words: a password is shown as `***`, and so is what stands in the
place of an algorithm's name before a hash; a database URL without its password, and a value of
the wrong kind by its kind alone.
"""

import json
import re
from dataclasses import dataclass
from datetime import date, datetime, time
from difflib import get_close_matches
from typing import Final

from oneproxy.site.lines import Path

#: Keys whose values nobody may read in a log or on a screen.
SECRET_KEYS: Final = frozenset(
    {"password", "key", "passwd", "secret", "sha256", "MD5", "SHA-256", "SHA-512-256"}
)
#: The table whose keys are algorithms, and nothing else may be read of what stands in it.
_HASHES: Final = "ha1"
_HIDDEN: Final = "***"
_SHOWN: Final = 60
#: A password in a SIP URI, however wrong the rest of it is (RFC 3261 19.1.1).
_OF_URI: Final = re.compile(r"(?i)(sips?:[^:@]*):.*@")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake of a file.

    line: from 1 on; 0 where the file as a whole is meant. key: where in the file,
    "domain[2].min_expires_s", tables of a list counted from 1; may be empty.
    """

    line: int
    key: str
    found: str
    allowed: str

    def text(self, file: str) -> str:
        """One line for people: `file:line: key: found ...; allowed ...`."""
        place = f"{file}:{self.line}" if self.line else file
        key = f"{self.key}: " if self.key else ""
        return f"{place}: {key}found {self.found}; allowed {self.allowed}"


def key_text(path: Path) -> str:
    """`("domain", 1, "name")` as an operator reads it: `domain[2].name`."""
    text = ""
    hashes = path[:1] == ("subscriber",) and _HASHES in path
    for place, part in enumerate(path):
        if hashes and place and path[place - 1] == _HASHES and part not in SECRET_KEYS:
            # Who took the table for the other way round has written the hash here.
            text += f".{_HIDDEN}"
        elif isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f".{part}" if text else part
    return text


def found_text(path: Path, value: object) -> str:
    """What stands at `path`, without secrets and cut to what a line can hold."""
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    match value:
        case dict():
            return "a table"
        case list():
            return f"a list of {len(value)}"
        case _ if name in SECRET_KEYS or _HASHES in path:
            return _HIDDEN
        case bool():
            return str(value).lower()
        case str():
            shown = without_password(value) if path[:1] == ("database",) else without_uri_password(value)
            cut = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
            return json.dumps(cut, ensure_ascii=False)
        case int() | float() | date() | datetime() | time():
            return str(value)
        case _:
            return "nothing"


def kind_text(value: object) -> str:
    """The kind of a value that stands where a table or a list was expected."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case str():
            return "a string"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case _:
            return "a date or time"


def without_password(url: str) -> str:
    """A database URL as it may be shown: everything between `//user:` and `@` is gone."""
    scheme, slashes, rest = url.partition("://")
    before, at, after = rest.rpartition("@")
    if not at:
        return url
    user = before.partition(":")[0]
    return f"{scheme}{slashes}{user}:***@{after}" if ":" in before else url


def without_uri_password(text: str) -> str:
    """A text as it may be shown, be a SIP URI all of it or a part: `sip:user:***@host`."""
    return _OF_URI.sub(r"\1:***@", text)


def allowed_names(names: list[str], written: str) -> str:
    """The names that may stand where an unknown one was written, and the nearest of them."""
    near = get_close_matches(written, names, n=1, cutoff=0.6)
    return ", ".join(names) + (f"; did you mean {near[0]}?" if near else "")
