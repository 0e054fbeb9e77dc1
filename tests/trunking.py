"""Providers and gateways for tests, and calls at them."""

from random import Random
from typing import Any

from oneproxy.site.model import Gateway, Provider, Site
from oneproxy.trunks.answer import Answer
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.gateway import GatewayState
from oneproxy.trunks.health import State
from oneproxy.trunks.provider import ProviderState
from oneproxy.trunks.trunks import Trunks
from oneproxy.trunks.walk import Walk

NOW = 1_800_000_000.0


def gateway(name: str, **keys: Any) -> Gateway:
    return Gateway(name, f"sip:{name}.example.net", **keys)


def provider(*gateways: Gateway | str, name: str = "p", **keys: Any) -> Provider:
    made = tuple(gateway(one) if isinstance(one, str) else one for one in gateways)
    return Provider(name, gateway=made, **keys)


def site(*providers: Provider) -> Site:
    return Site({}, {}, providers={one.name: one for one in providers})


def trunks(*providers: Provider, seed: int = 1) -> Trunks:
    return Trunks(site(*providers), Random(seed))


def state_of(made: Trunks, name: str, provider: str = "p") -> GatewayState:
    found = provider_of(made, provider).find(name)
    assert found is not None
    return found


def provider_of(made: Trunks, name: str = "p") -> ProviderState:
    found = made.find(name)
    assert found is not None
    return found


def states(made: Trunks, name: str = "p") -> dict[str, State]:
    return {one.site.name: one.health.state for one in provider_of(made, name).gateways}


def begun(made: Trunks, now: float = NOW, provider: str = "p") -> tuple[Walk, Attempt]:
    """A call that some gateway has."""
    walk = made.walk(provider)
    first = walk.begin(now)
    assert isinstance(first, Attempt)
    return walk, first


def name_of(what: Attempt | Answer) -> str:
    """The gateway that has the call, or the status of the answer."""
    return what.gateway.site.name if isinstance(what, Attempt) else str(what.status)


def served(made: Trunks, now: float = NOW, ms: float = 50.0) -> str:
    """A call from its INVITE to its end; the gateway that had it."""
    walk, attempt = begun(made, now)
    attempt.answered(now + ms / 1000)
    walk.end(now + ms / 1000)
    return attempt.gateway.site.name


def at(made: Trunks, name: str, now: float = NOW, provider: str = "p") -> Attempt:
    """An attempt at this very gateway, past the choice."""
    return provider_of(made, provider).begin(now, state_of(made, name, provider))


def fail(made: Trunks, name: str, times: int, now: float = NOW, status: int = 500) -> None:
    for _ in range(times):
        at(made, name, now).failed(now, status)
