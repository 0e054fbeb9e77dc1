"""What [congestion] must agree on, with itself and with the domains and providers that its limits are for."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final

from oneproxy.site import schema
from oneproxy.site.agreement import listed, names
from oneproxy.site.tables import Fault, Tables
from oneproxy.site.users import plain_user

_KINDS: Final = ("domain", "source", "provider", "caller")
#: Calls that are remembered for each of those that "*" stands for.
_MOST_OF_EACH: Final = 10_000


def check_congestion(tables: Tables) -> Iterator[Fault]:
    """Bounds that are the wrong way round, and limits that say too little, too much or the same."""
    low, high = tables.congestion.retry_after_s
    if low > high:
        yield Fault(("congestion", "retry_after_s"), f"[{low}, {high}]", f"the lower first: [{high}, {low}]")
    seen: dict[tuple[str, object], int] = {}
    for place, limit in enumerate(tables.congestion.limit):
        path = ("congestion", "limit", place)
        given = [kind for kind in _KINDS if getattr(limit, kind) is not None]
        if limit.calls is None and limit.max_calls is None:
            yield Fault(path, "neither calls nor max_calls", "calls, max_calls or both")
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            yield Fault(path, found, f"exactly one of {', '.join(_KINDS)}")
            continue
        kind = given[0]
        yield from _whom(tables, place, kind, limit)
        first = seen.setdefault((kind, _compared(kind, getattr(limit, kind))), place)
        if first != place:
            allowed = f"once; it stands in congestion.limit[{first + 1}]"
            yield Fault((*path, kind), f'"{getattr(limit, kind)}" again', allowed)


def _whom(tables: Tables, place: int, kind: str, limit: schema.Limit) -> Iterator[Fault]:
    """Whether there is somebody whom it is for, and whether so many calls can be remembered."""
    whom = getattr(limit, kind)
    if whom == "*":
        if limit.calls is not None and limit.calls > _MOST_OF_EACH:
            allowed = f'at most {_MOST_OF_EACH} for each of "*"'
            yield Fault(("congestion", "limit", place, "calls"), str(limit.calls), allowed)
    elif kind in ("domain", "provider"):
        known = names(tables, kind)
        if whom not in known:
            what = "name" if kind == "provider" else "name, and no alias,"
            allowed = f"the {what} of a [[{kind}]] table ({listed(known)})"
            yield Fault(("congestion", "limit", place, kind), f'"{whom}"', allowed)


def _compared(kind: str, whom: str) -> object:
    """Whom a limit is for, however that is spelled."""
    if whom == "*" or kind not in ("source", "caller"):
        return whom
    if kind == "source":
        return ip_network(whom)
    user, _, domain = whom.rpartition("@")
    return plain_user(user), domain
