"""What the checks of several subjects share: tables that say the same, names, and lists of them."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from oneproxy.site.mistake import found_text
from oneproxy.site.tables import Fault, Tables
from oneproxy.site.users import plain_user


def repeats(
    tables: Tables, section: str, key: str, value: Callable[[Any], Hashable], *other_keys: str
) -> Iterator[Fault]:
    """Tables of a list that have the same `value`, which is made of these keys, as one before them."""
    seen: dict[Hashable, int] = {}
    for index, table in getattr(tables, section).items():
        if not tables.sound(section, index, key, *other_keys):
            continue
        first = seen.setdefault(value(table), index)
        if first != index:
            written = found_text((section, index, key), getattr(table, key))
            allowed = f"once; it stands in {tables.place(section, first)}"
            yield Fault((section, index, key), f"{written} again", allowed)


def names(tables: Tables, section: str) -> set[str]:
    """The names in a list of tables, as they are compared."""
    named = (
        (index, table.name) for index, table in getattr(tables, section).items() if hasattr(table, "name")
    )
    return {name.lower() if section == "domain" else name for index, name in named}


def user_and_domain(aor: str) -> tuple[str, str]:
    """The two halves of an AoR, as they are compared."""
    user, _, domain = aor.rpartition("@")
    return plain_user(user), domain.lower()


def listed(names: Iterable[str]) -> str:
    """Names as they are listed in a sentence."""
    return ", ".join(sorted(names)) or "none so far"
