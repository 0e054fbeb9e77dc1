"""What differs between two sites, and the lines that tell people so without its secrets."""

import json
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from oneproxy.site.entries import decode_value
from oneproxy.site.mistake import SECRET_KEYS
from oneproxy.site.model import Entries

#: Keys of a site whose values nobody reads on a screen; the same as in mistakes, and HA1s.
_SECRET: Final = SECRET_KEYS | {"ha1"}
_SHOWN: Final = 60


class Difference(Struct, frozen=True, array_like=True):
    """One entry that differs; before or after is None where it is not there."""

    section: str
    key: str
    before: str | None
    after: str | None


def differences(before: Entries, after: Entries) -> list[Difference]:
    """What makes `after` of `before`: by section, then by key."""
    keys = [key for key in after if before.get(key) != after[key]]
    keys += [key for key in before if key not in after]
    return [Difference(*key, before.get(key), after.get(key)) for key in sorted(keys)]


def carry_out(entries: Entries, differing: list[Difference]) -> Entries:
    """The entries after the differences; those given are left as they are."""
    changed = dict(entries)
    for one in differing:
        if one.after is None:
            changed.pop((one.section, one.key), None)
        else:
            changed[one.section, one.key] = one.after
    return changed


def summary(differing: list[Difference]) -> str:
    """How many were added, changed and removed: "2 added, 1 removed"."""
    counts = {
        "added": sum(one.before is None for one in differing),
        "changed": sum(one.before is not None and one.after is not None for one in differing),
        "removed": sum(one.after is None for one in differing),
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "nothing differs"


def lines(differing: list[Difference]) -> Iterator[str]:
    """A line for each: "+ subscriber alice@example.com", "~ domain example.com: redirect true"."""
    for one in differing:
        name = f"{one.section} {shown(one.key)}".strip() if one.key else one.section
        if one.before is None:
            yield f"+ {name}"
        elif one.after is None:
            yield f"- {name}"
        else:
            yield f"~ {name}: {'; '.join(_changes(decode_value(one.before), decode_value(one.after)))}"


def _changes(before: dict[str, Any], after: dict[str, Any], within: str = "") -> Iterator[str]:
    """What differs between two tables, key by key; tables in tables by their dotted keys."""
    for key in [*after, *(key for key in before if key not in after)]:
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        name = f"{within}{key}"
        if key in _SECRET or _holds_secret(old) or _holds_secret(new):
            yield f"{name} changed"
        elif isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new, f"{name}.")
        else:
            yield f"{name} {_text(old)} -> {_text(new)}"


def _holds_secret(value: object) -> bool:
    """Whether a value has one anywhere in it: a list of gateways, a URI with a password."""
    match value:
        case dict():
            return any(key in _SECRET or _holds_secret(one) for key, one in value.items())
        case list():
            return any(_holds_secret(one) for one in value)
        case str():
            return ":" in value.rpartition("@")[0].partition(":")[2]
        case _:
            return False


def _text(value: object) -> str:
    if value is None:
        return "default"
    text = json.dumps(value, ensure_ascii=False)
    text = text if text.isprintable() else json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def shown(text: str) -> str:
    """A key as a line can hold it: nothing in it moves a cursor or turns a line round."""
    return text if text.isprintable() else json.dumps(text)[1:-1]
