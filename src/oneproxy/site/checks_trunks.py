"""What [[provider]] tables must agree on."""

from collections.abc import Iterator
from typing import Final

from oneproxy.site import schema
from oneproxy.site.agreement import listed, names, repeats
from oneproxy.site.tables import Fault, Tables

_CODES: Final = ("failed_codes", "next_codes", "final_codes")


def check_providers(tables: Tables) -> Iterator[Fault]:
    """Providers and gateways of one name, and fallbacks that lead nowhere or in a circle."""
    yield from repeats(tables, "provider", "name", lambda provider: provider.name)
    known = names(tables, "provider")
    fallbacks = {
        one.name: one.fallback
        for index, one in tables.provider.items()
        if tables.sound("provider", index, "name", "fallback") and one.fallback is not None
    }
    for index, provider in tables.provider.items():
        if tables.sound("provider", index, "gateway"):
            yield from _gateways(index, provider.gateway)
        if tables.sound("provider", index, *_CODES):
            yield from _codes(index, provider)
        if tables.sound("provider", index, "eject_s", "max_eject_s"):
            yield from _ejection(index, provider)
        if not tables.sound("provider", index, "name", "fallback") or provider.fallback is None:
            continue
        path = ("provider", index, "fallback")
        if provider.fallback not in known:
            allowed = f"the name of a [[provider]] table ({listed(known)})"
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


def _codes(index: int, provider: schema.Provider) -> Iterator[Fault]:
    """What a status says has to be one thing."""
    seen: dict[int, str] = {}
    for key in _CODES:
        for place, status in enumerate(getattr(provider, key)):
            if status in seen:
                found = f"{status}, which stands in {seen[status]}"
                yield Fault(
                    ("provider", index, key, place), found, f"each status once in {', '.join(_CODES)}"
                )
            seen.setdefault(status, key)


def _ejection(index: int, provider: schema.Provider) -> Iterator[Fault]:
    if provider.eject_s > provider.max_eject_s:
        allowed = f"no more than max_eject_s: {provider.max_eject_s}"
        yield Fault(("provider", index, "eject_s"), str(provider.eject_s), allowed)


def _leads_back(start: str, fallbacks: dict[str, str]) -> bool:
    seen: set[str] = set()
    name: str | None = fallbacks.get(start)
    while name is not None and name != start and name not in seen:
        seen.add(name)
        name = fallbacks.get(name)
    return name == start
