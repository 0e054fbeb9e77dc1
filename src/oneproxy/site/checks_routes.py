"""What [[route]] tables must agree on, with each other and with providers and domains."""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from oneproxy.site import patterns, schema
from oneproxy.site.agreement import listed, names
from oneproxy.site.lines import Path
from oneproxy.site.tables import Fault, Tables
from oneproxy.site.times import Span, parse_times

_DESTINATIONS: Final = ("provider", "target", "redirect", "aor", "domain", "refuse")
_CONDITIONS: Final = ("inbound", "domains", "callers", "sources", "times")
#: They are asked one after the other, for every call that none of them is for.
MOST_OF_ONE_PREFIX: Final = 100


def check_routes(tables: Tables) -> Iterator[Fault]:
    """Every route by itself, with what it names."""
    providers = names(tables, "provider")
    domains = names(tables, "domain")
    sides = _sides(tables)
    for index, route in tables.route.items():
        if tables.sound("route", index, *_DESTINATIONS):
            yield from _destination(index, route, providers, domains)
        if tables.sound("route", index, "inbound"):
            for place, side in enumerate(route.inbound):
                if side not in sides:
                    allowed = f"a [[provider]], or a provider and one of its gateways ({listed(sides)})"
                    yield Fault(("route", index, "inbound", place), f'"{side}"', allowed)
        if tables.sound("route", index, "domains"):
            for place, domain in enumerate(route.domains):
                if domain not in domains:
                    yield Fault(("route", index, "domains", place), f'"{domain}"', _of_domains(domains))
        if tables.sound("route", index, "times", "time_zone"):
            yield from _times(index, route)
        if tables.sound("route", index, "pattern", "replace"):
            yield from _pattern(("route", index), route)
        if tables.sound("route", index, "calling") and route.calling is not None:
            yield from _pattern(("route", index, "calling"), route.calling)


def check_formats(tables: Tables) -> Iterator[Fault]:
    """How gateways want their calls."""
    for index, provider in tables.provider.items():
        if not tables.sound("provider", index, "gateway"):
            continue
        for place, gateway in enumerate(provider.gateway):
            if gateway.format is not None:
                yield from _format(("provider", index, "gateway", place, "format"), gateway.format)


def _format(path: Path, format_: schema.Format) -> Iterator[Fault]:
    if format_.form in ("national", "international") and format_.country is None:
        yield Fault(path, f'form "{format_.form}" without country', "both")
    if format_.calling is not None and format_.identity == "none":
        yield Fault(path, "calling without identity", 'identity "asserted" or "remote-party-id" with it')
    for key in ("called", "calling"):
        rewrite = getattr(format_, key)
        if rewrite is not None:
            yield from _pattern((*path, key), rewrite)


def _sides(tables: Tables) -> set[str]:
    sides = names(tables, "provider")
    for index, provider in tables.provider.items():
        if tables.sound("provider", index, "name", "gateway"):
            sides |= {f"{provider.name}/{gateway.name}" for gateway in provider.gateway}
    return sides


def _destination(index: int, route: schema.Route, providers: set[str], domains: set[str]) -> Iterator[Fault]:
    given = [key for key in _DESTINATIONS if getattr(route, key) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "no destination"
        yield Fault(("route", index), found, f"exactly one of {', '.join(_DESTINATIONS)}")
    if route.provider is not None and route.provider not in providers:
        allowed = f"the name of a [[provider]] table ({listed(providers)})"
        yield Fault(("route", index, "provider"), f'"{route.provider}"', allowed)
    if route.domain is not None and route.domain not in domains:
        yield Fault(("route", index, "domain"), f'"{route.domain}"', _of_domains(domains))
    if route.aor is not None and route.aor.rpartition("@")[2] not in domains:
        yield Fault(("route", index, "aor"), f'"{route.aor}"', f"a user of {_of_domains(domains)}")


def _of_domains(domains: set[str]) -> str:
    return f"a domain that has a [[domain]] table ({listed(domains)})"


def _times(index: int, route: schema.Route) -> Iterator[Fault]:
    if route.times and route.time_zone is None:
        yield Fault(("route", index, "times"), "times without time_zone", "both")
    if route.time_zone is not None and not route.times:
        yield Fault(("route", index, "time_zone"), "time_zone without times", "both")


def _pattern(path: Path, table: schema.Route | schema.Rewrite) -> Iterator[Fault]:
    """A pattern and what takes its place."""
    if table.pattern is None and table.replace is None:
        return
    if table.pattern is None or table.replace is None:
        given, lacking = ("replace", "pattern") if table.pattern is None else ("pattern", "replace")
        yield Fault((*path, given), f"{given} without {lacking}", "both")
        return
    groups = patterns.check_pattern(table.pattern)
    try:
        patterns.check_replacement(table.replace, groups)
    except ValueError:
        allowed = f"the groups of the pattern, of which there are {groups}"
        yield Fault((*path, "replace"), f'"{table.replace}"', allowed)


def check_reach(tables: Tables) -> Iterator[Fault]:
    """Routes that no call gets to, since another one of their prefix comes first for all of them."""
    chains: dict[str, list[int]] = {}
    for index, route in tables.route.items():
        if tables.sound("route", index, "prefix", "order", "time_zone", *_CONDITIONS):
            chains.setdefault(route.prefix, []).append(index)
    for prefix, chain in chains.items():
        if len(chain) == 1:
            continue
        chain.sort(key=lambda index: tables.route[index].order)
        if len(chain) > MOST_OF_ONE_PREFIX:
            found = f'{len(chain)} routes with the prefix "{prefix}"'
            yield Fault(
                ("route", chain[MOST_OF_ONE_PREFIX], "prefix"), found, f"{MOST_OF_ONE_PREFIX} of one prefix"
            )
            continue
        for place, index in enumerate(chain):
            first = next(
                (one for one in chain[:place] if _covers(tables.route[one], tables.route[index])), None
            )
            if first is not None:
                found = f'"{prefix}" for calls that {tables.place("route", first)} takes before'
                yield Fault(("route", index, "prefix"), found, "another prefix, or conditions that differ")


def _covers(first: schema.Route, other: schema.Route) -> bool:
    """Whether every call that `other` is for is one that `first` is for too."""
    if bool(first.inbound) != bool(other.inbound):
        return False
    return (
        all(side in first.inbound or side.partition("/")[0] in first.inbound for side in other.inbound)
        and (not first.domains or (bool(other.domains) and set(other.domains) <= set(first.domains)))
        and _all_covered(first.callers, other.callers, _is_caller_of)
        and _all_covered(first.sources, other.sources, _is_network_of)
        and _times_covered(first, other)
    )


def _all_covered(first: list[str], other: list[str], within: Callable[[str, str], bool]) -> bool:
    if not first:
        return True
    return bool(other) and all(any(within(one, wider) for wider in first) for one in other)


def _is_caller_of(one: str, wider: str) -> bool:
    if wider.startswith("*@"):
        return one.endswith(wider[1:])
    # A beginning is one of numbers, which callers have beside their AoRs.
    return one == wider or (wider.endswith("*") and one.endswith("*") and one.startswith(wider[:-1]))


def _is_network_of(one: str, wider: str) -> bool:
    inner, outer = ip_network(one), ip_network(wider)
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def _times_covered(first: schema.Route, other: schema.Route) -> bool:
    if not first.times:
        return True
    if not other.times or first.time_zone != other.time_zone:
        return False
    spans = parse_times(first.times)
    return all(_lies_within(span, spans) for span in parse_times(other.times))


def _lies_within(span: Span, spans: tuple[Span, ...]) -> bool:
    return any(begins <= span[0] and span[1] <= ends for begins, ends in spans)
