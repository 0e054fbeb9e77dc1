"""What people are shown of the gateways of a node, and of how it is registered at them."""

from collections.abc import Iterable

from oneproxy.ipc.desk import MAX_GATEWAYS, GatewayFound, GatewaysFound, ProviderFound, StandingFound
from oneproxy.policy.order import Order
from oneproxy.site.mistake import without_uri_password
from oneproxy.trunks.gateway import GatewayState
from oneproxy.trunks.provider import ProviderState
from oneproxy.trunks.registration import Standing
from oneproxy.trunks.registrations import Listed
from oneproxy.trunks.step import TrunkStep


def view_of(order: Order | None, now: float, registrations: Iterable[Listed] = ()) -> GatewaysFound:
    """The providers by name, as many as have MAX_GATEWAYS gateways, and how many gateways are left out.

    order: the steps of the node; None where it has no site yet.
    """
    steps = () if order is None else order.steps
    providers = [one for step in steps if isinstance(step, TrunkStep) for one in step.trunks.providers()]
    standings = {(one.provider, one.gateway): one for one in registrations}
    shown: list[ProviderFound] = []
    room = MAX_GATEWAYS
    left_out = 0
    for provider in sorted(providers, key=_name):
        known = provider.known()
        left_out += max(0, len(known) - room)
        gateways = [
            _gateway(one, now, standings.get((provider.site.name, one.site.name))) for one in known[:room]
        ]
        room -= len(gateways)
        site = provider.site
        counts = provider.full, provider.unhealthy, provider.panics
        shown.append(ProviderFound(site.name, len(provider.held), site.max_calls, *counts, gateways))
    return GatewaysFound(shown, left_out)


def _gateway(state: GatewayState, now: float, listed: Listed | None) -> GatewayFound:
    health, site = state.health, state.site
    return GatewayFound(
        site.name,
        without_uri_password(site.uri),
        health.state.value,
        health.since,
        health.until if now < health.until else 0.0,
        len(state.held),
        site.max_calls,
        state.waiting,
        state.latency.value(now),
        state.rate(),
        dict(state.ends),
        site.drain,
        health.rest_until if now < health.rest_until else 0.0,
        None if listed is None else _standing(listed.aor, listed.standing),
    )


def _standing(aor: str, standing: Standing) -> StandingFound:
    return StandingFound(
        standing.state.value,
        aor,
        standing.status,
        standing.reason,
        standing.error,
        standing.next_at,
        standing.expires_at,
    )


def _name(provider: ProviderState) -> str:
    return provider.site.name
