"""What [[provider]] and [congestion] must agree on."""

from collections.abc import Iterator

from oneproxy.site import schema
from oneproxy.site.agreement import listed, names, repeats
from oneproxy.site.tables import Fault, Tables


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


def _leads_back(start: str, fallbacks: dict[str, str]) -> bool:
    seen: set[str] = set()
    name: str | None = fallbacks.get(start)
    while name is not None and name != start and name not in seen:
        seen.add(name)
        name = fallbacks.get(name)
    return name == start


def check_congestion(tables: Tables) -> Iterator[Fault]:
    """Bounds that are the wrong way round."""
    low, high = tables.congestion.retry_after_s
    if low > high:
        yield Fault(("congestion", "retry_after_s"), f"[{low}, {high}]", f"the lower first: [{high}, {low}]")
