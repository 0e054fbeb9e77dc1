"""Which call records somebody wants to see, and how people say so.

since, until   "2026-11-25", "2026-11-25T10:58" (UTC where no zone is said), or "2h", "3d ago"
status         "486", or "4xx" for all of a hundred
number         either side: "+351912345678", "alice@example.com", "alice", or with "*" for
               whatever stands there: "*5678"
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

#: Characters of a text that is looked for.
LONGEST: Final = 256
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO: Final = re.compile(r"(\d{1,6})\s*([smhdw])(?:\s+ago)?")
_TEXTS: Final = ("number", "caller", "callee", "call_id", "gateway", "provider")
_INSTANT: Final = 'an instant such as "2026-11-25T10:58", or how long ago: "90s", "30m", "2h", "3d", "1w"'
_STATUS: Final = 'a status such as "486", or "4xx" for all of a hundred'


class Wanted(Struct, frozen=True):
    """What a record has to have; what is empty or 0 does not matter.

    number: of the caller or the callee. status_from, status_to: both are meant. since_ms, until_ms:
    when it began, milliseconds since the epoch; until_ms is not meant itself. answered: whether it was.
    """

    number: str = ""
    caller: str = ""
    callee: str = ""
    call_id: str = ""
    gateway: str = ""
    provider: str = ""
    status_from: int = 0
    status_to: int = 0
    since_ms: int = 0
    until_ms: int = 0
    answered: bool | None = None
    id: str = ""


class Wrong(NamedTuple):
    """What is wrong with what somebody said: under which name, what was found, what is allowed."""

    name: str
    found: str
    allowed: str


def read_wanted(said: Mapping[str, str], now: float, answered: bool | None = None) -> Wanted | Wrong:
    """What is wanted, by the names of `Wanted` and "status", "since", "until".

    now: seconds since the epoch.
    """
    for name in _TEXTS:
        text = said.get(name, "")
        if len(text) > LONGEST or not text.isprintable():
            return Wrong(name, "what no record has", f"a text of at most {LONGEST} characters")
    instants = []
    for name in ("since", "until"):
        at_ms = read_instant(said[name], now) if said.get(name) else 0
        if at_ms is None:
            return Wrong(name, f'"{said[name][:40]}"', _INSTANT)
        instants.append(at_ms)
    statuses = read_status(said["status"]) if said.get("status") else (0, 0)
    if statuses is None:
        return Wrong("status", f'"{said["status"][:40]}"', _STATUS)
    return Wanted(
        said.get("number", ""),
        said.get("caller", ""),
        said.get("callee", ""),
        said.get("call_id", ""),
        said.get("gateway", ""),
        said.get("provider", ""),
        statuses[0],
        statuses[1],
        instants[0],
        instants[1],
        answered,
    )


def read_instant(text: str, now: float) -> int | None:
    """Milliseconds since the epoch; None for what says no instant."""
    ago = _AGO.fullmatch(text.strip().lower())
    if ago is not None:
        return max(1, int((now - int(ago[1]) * _UNITS_S[ago[2]]) * 1000))
    try:
        at = datetime.fromisoformat(text.strip())
        return max(1, int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000))
    except (ValueError, OverflowError):
        return None


def read_status(text: str) -> tuple[int, int] | None:
    """The lowest and the highest status that are meant; None for what says none."""
    if len(text) != 3 or not text.isascii() or text[0] not in "123456":
        return None
    if text[1:].lower() == "xx":
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    return (int(text), int(text)) if text.isdecimal() else None


def is_id(text: str) -> bool:
    """Whether it could be the id of a record."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
