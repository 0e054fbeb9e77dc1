"""What the tables of a configuration file must agree on with each other.

A check looks at keys that are well formed by themselves, so that one mistake is reported
once, and gives every disagreement that it finds.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from oneproxy.site import schema, texts
from oneproxy.site.certificates import SECURE, find_certificate_faults
from oneproxy.site.mistake import found_text
from oneproxy.site.tables import Fault, Tables

_DESTINATIONS: Final = ("provider", "target", "redirect")


def find_faults(tables: Tables, folder: Path) -> Iterator[Fault]:
    """Every disagreement between the tables, and with the files that they name.

    folder: where relative names of files begin.
    """
    for check in _CHECKS:
        yield from check(tables)
    for index, listen in tables.listen.items():
        if tables.sound("listen", index, "transport") and listen.transport in SECURE:
            yield from find_certificate_faults(tables, index, folder)


def _repeats(
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
            yield Fault(
                (section, index, key), f"{written} again", f"once; it stands in {section}[{first + 1}]"
            )


def _listens(tables: Tables) -> Iterator[Fault]:
    # TCP, TLS, WS and WSS all take a TCP port; UDP has ports of its own.
    yield from _repeats(
        tables,
        "listen",
        "address",
        _bound,
        "transport",
    )
    yield from _swallowed(tables)
    for index, listen in tables.listen.items():
        if not tables.sound("listen", index, "transport") or listen.transport in SECURE:
            continue
        for key in ("certificate", "key", "client_ca"):
            if getattr(listen, key, None) is not None:
                found = f'{key} with the transport "{listen.transport}"'
                yield Fault(("listen", index, key), found, f'{key} with "tls" and "wss" only')


def _bound(listen: Any) -> tuple[bool, str, int | None]:
    """What two of them may not share: kind of port, address, port."""
    return (listen.transport == "udp", *texts.same_place(listen.address))


def _swallowed(tables: Tables) -> Iterator[Fault]:
    """Addresses whose port another [[listen]] has on all addresses of the machine."""
    bound = {
        index: _bound(listen)
        for index, listen in tables.listen.items()
        if tables.sound("listen", index, "address", "transport")
    }
    for index, (datagrams, host, port) in bound.items():
        wildcard = "::" if ":" in host else "0.0.0.0"
        for other, place in bound.items():
            if host != wildcard and place == (datagrams, wildcard, port):
                written = found_text(("listen", index, "address"), tables.listen[index].address)
                yield Fault(
                    ("listen", index, "address"),
                    f"{written} beside all addresses",
                    f"one of both; listen[{other + 1}] has this port on every address",
                )
                break


def _domains(tables: Tables) -> Iterator[Fault]:
    yield from _repeats(tables, "domain", "name", lambda domain: domain.name.lower())
    yield from _domain_aliases(tables)
    for index, domain in tables.domain.items():
        if tables.sound("domain", index, "min_expires_s", "max_expires_s") and (
            domain.min_expires_s > domain.max_expires_s
        ):
            allowed = f"at most max_expires_s, which is {domain.max_expires_s}"
            yield Fault(("domain", index, "min_expires_s"), str(domain.min_expires_s), allowed)
        if tables.sound("domain", index, "default_expires_s", "max_expires_s", "min_expires_s"):
            default_s = domain.default_expires_s
            if default_s is not None and not domain.min_expires_s <= default_s <= domain.max_expires_s:
                allowed = (
                    f"from min_expires_s to max_expires_s: {domain.min_expires_s} to {domain.max_expires_s}"
                )
                yield Fault(("domain", index, "default_expires_s"), str(default_s), allowed)
        if tables.sound("domain", index, "algorithms") and len(set(domain.algorithms)) < len(
            domain.algorithms
        ):
            yield Fault(("domain", index, "algorithms"), "an algorithm twice", "each algorithm once")


def _subscribers(tables: Tables) -> Iterator[Fault]:
    yield from _repeats(tables, "subscriber", "aor", lambda subscriber: _user_and_domain(subscriber.aor))
    served = _names(tables, "domain")
    for index, subscriber in tables.subscriber.items():
        if not tables.sound("subscriber", index, "aor"):
            continue
        domain = _user_and_domain(subscriber.aor)[1]
        if domain not in served:
            allowed = f"a domain that has a [[domain]] table ({_listed(served)})"
            yield Fault(("subscriber", index, "aor"), f'the domain "{domain}"', allowed)


def _domain_aliases(tables: Tables) -> Iterator[Fault]:
    """Aliases that are the name, or another alias, of some domain."""
    taken = dict.fromkeys(_names(tables, "domain"), "the name of a domain")
    for index, domain in tables.domain.items():
        if not tables.sound("domain", index, "aliases"):
            continue
        for place, alias in enumerate(domain.aliases):
            if alias in taken:
                found = f'"{alias}", which is {taken[alias]}'
                yield Fault(("domain", index, "aliases", place), found, "a name that no other domain has")
            taken.setdefault(alias, f"an alias in domain[{index + 1}]")


def _passwords(tables: Tables) -> Iterator[Fault]:
    for index, subscriber in tables.subscriber.items():
        if not tables.sound("subscriber", index, "password", "ha1"):
            continue
        given = [key for key in ("password", "ha1") if getattr(subscriber, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "neither"
            yield Fault(("subscriber", index), found, "exactly one of password, ha1")
        for algorithm, ha1 in (subscriber.ha1 or {}).items():
            digits = 32 if algorithm == "MD5" else 64
            if len(ha1) != digits:
                path = ("subscriber", index, "ha1", algorithm)
                yield Fault(path, f"{len(ha1)} digits", f"{digits} hexadecimal digits")


def _user_aliases(tables: Tables) -> Iterator[Fault]:
    """Aliases that are the user, or another alias, of some subscriber of the domain."""
    taken = {
        _user_and_domain(one.aor): "a subscriber"
        for index, one in tables.subscriber.items()
        if tables.sound("subscriber", index, "aor")
    }
    for index, subscriber in tables.subscriber.items():
        if not tables.sound("subscriber", index, "aor", "aliases"):
            continue
        domain = _user_and_domain(subscriber.aor)[1]
        for place, alias in enumerate(subscriber.aliases):
            if (alias, domain) in taken:
                found = f'"{alias}", which is {taken[alias, domain]}'
                yield Fault(("subscriber", index, "aliases", place), found, "a user that nobody else has")
            taken.setdefault((alias, domain), f"an alias in subscriber[{index + 1}]")


def _access(tables: Tables) -> Iterator[Fault]:
    seen: dict[Hashable, int] = {}
    for index, rule in tables.access.items():
        if not tables.sound("access", index, "source", "client", "methods"):
            continue
        given = [key for key in ("source", "client") if getattr(rule, key) is not None]
        if len(given) != 1:
            yield Fault(("access", index), " and ".join(given) or "neither", "exactly one of source, client")
            continue
        of_whom = (given[0], str(getattr(rule, given[0])))
        for method in rule.methods or ("",):
            first = seen.setdefault((of_whom, method), index)
            if first != index:
                found = f'"{of_whom[1]}" again' + (f" for {method}" if method else "")
                allowed = f"one rule; it stands in access[{first + 1}]"
                yield Fault(("access", index, given[0]), found, allowed)
                break


def _admin(tables: Tables) -> Iterator[Fault]:
    seen: set[str] = set()
    for place, token in enumerate(tables.admin.token):
        if token.name in seen:
            yield Fault(("admin", "token", place, "name"), f'"{token.name}" again', "each name once")
        seen.add(token.name)


def _user_and_domain(aor: str) -> tuple[str, str]:
    user, _, domain = aor.rpartition("@")
    return user, domain.lower()


def _names(tables: Tables, section: str) -> set[str]:
    """The names in a list of tables, as they are compared."""
    named = (
        (index, table.name) for index, table in getattr(tables, section).items() if hasattr(table, "name")
    )
    return {name.lower() if section == "domain" else name for index, name in named}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none so far"


def _providers(tables: Tables) -> Iterator[Fault]:
    yield from _repeats(tables, "provider", "name", lambda provider: provider.name)
    known = _names(tables, "provider")
    fallbacks = {
        one.name: one.fallback
        for index, one in tables.provider.items()
        if tables.sound("provider", index, "name", "fallback") and one.fallback is not None
    }
    for index, provider in tables.provider.items():
        if tables.sound("provider", index, "gateway"):
            yield from _gateways(index, provider.gateway)
        if not tables.sound("provider", index, "name", "fallback") or provider.fallback is None:
            continue
        path = ("provider", index, "fallback")
        if provider.fallback not in known:
            allowed = f"the name of a [[provider]] table ({_listed(known)})"
            yield Fault(path, f'"{provider.fallback}"', allowed)
        elif _leads_back(provider.name, fallbacks):
            yield Fault(path, "a circle of fallbacks", "fallbacks that end at a provider without one")


def _gateways(provider: int, gateways: list[schema.Gateway]) -> Iterator[Fault]:
    seen: set[str] = set()
    for place, gateway in enumerate(gateways):
        if gateway.name in seen:
            path = ("provider", provider, "gateway", place, "name")
            yield Fault(path, f'"{gateway.name}" again', "each name once within a provider")
        seen.add(gateway.name)


def _leads_back(start: str, fallbacks: dict[str, str]) -> bool:
    seen: set[str] = set()
    name: str | None = fallbacks.get(start)
    while name is not None and name != start and name not in seen:
        seen.add(name)
        name = fallbacks.get(name)
    return name == start


def _routes(tables: Tables) -> Iterator[Fault]:
    known = _names(tables, "provider")
    for index, route in tables.route.items():
        if not tables.sound("route", index, *_DESTINATIONS):
            continue
        given = [key for key in _DESTINATIONS if getattr(route, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "no destination"
            yield Fault(("route", index), found, f"exactly one of {', '.join(_DESTINATIONS)}")
        if route.provider is not None and route.provider not in known:
            allowed = f"the name of a [[provider]] table ({_listed(known)})"
            yield Fault(("route", index, "provider"), f'"{route.provider}"', allowed)


def _congestion(tables: Tables) -> Iterator[Fault]:
    low, high = tables.congestion.retry_after_s
    if low > high:
        yield Fault(("congestion", "retry_after_s"), f"[{low}, {high}]", f"the lower first: [{high}, {low}]")


_CHECKS: Final[tuple[Callable[[Tables], Iterator[Fault]], ...]] = (
    _listens,
    _domains,
    _subscribers,
    _passwords,
    _user_aliases,
    _access,
    _admin,
    _providers,
    _routes,
    _congestion,
)
