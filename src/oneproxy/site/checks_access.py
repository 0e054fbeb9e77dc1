"""What [[access]] tables must agree on: one rule for a source or client, and a method."""

from collections.abc import Hashable, Iterator
from ipaddress import ip_network

from oneproxy.site.tables import Fault, Tables


def check_rules(tables: Tables) -> Iterator[Fault]:
    """Rules of one source or client, and what says neither or both."""
    seen: dict[Hashable, int] = {}
    for index, rule in tables.access.items():
        if not tables.sound("access", index, "source", "client", "methods"):
            continue
        given = [key for key in ("source", "client") if getattr(rule, key) is not None]
        if len(given) != 1:
            yield Fault(("access", index), " and ".join(given) or "neither", "exactly one of source, client")
            continue
        # Two spellings of a network are one source.
        of_whom = f"client {rule.client}" if rule.source is None else ip_network(rule.source)
        for method in rule.methods or ("",):
            first = seen.setdefault((of_whom, method), index)
            if first != index:
                found = f'"{getattr(rule, given[0])}" again' + (f" for {method}" if method else "")
                allowed = f"one rule; it stands in {tables.place('access', first)}"
                yield Fault(("access", index, given[0]), found, allowed)
                break
