"""The four ways to choose among the gateways that may take a call.

Each takes them in the order of the site, at least two, and gives one. `told`, where somebody asks,
is filled with the ones that were compared.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from oneproxy.trunks.gateway import GatewayState

Gateways = list[GatewayState]
Way = Callable[[Gateways, float, Random], tuple[GatewayState, Gateways]]


def by_latency(gateways: Gateways, now: float, random: Random) -> tuple[GatewayState, Gateways]:
    """The cheaper of two that are drawn.

    Two and not all: what is known of latency is a little old, and if all looked for the best
    one, all calls would go to the same until that is known to be worse (power of two choices).
    """
    count = len(gateways)
    first = int(random.random() * count)
    second = int(random.random() * (count - 1))
    if second >= first:
        second += 1
    one, other = gateways[first], gateways[second]
    return (other if other.cost(now) < one.cost(now) else one), [one, other]


def in_order(gateways: Gateways, now: float, random: Random) -> tuple[GatewayState, Gateways]:
    """The first one."""
    return gateways[0], gateways


def by_weight(gateways: Gateways, now: float, random: Random) -> tuple[GatewayState, Gateways]:
    """In turns, each as often as its weight says, as evenly as that goes.

    Everybody gains its weight; who has most has the turn, and pays what all have gained.
    """
    chosen = gateways[0]
    total = 0
    for gateway in gateways:
        weight = gateway.site.weight or 1
        total += weight
        gateway.turn += weight
        if gateway.turn > chosen.turn:
            chosen = gateway
    chosen.turn -= total
    return chosen, gateways


def by_load(gateways: Gateways, now: float, random: Random) -> tuple[GatewayState, Gateways]:
    """The one with the lowest share of its calls; of several, whose turn was longest ago."""
    chosen = gateways[0]
    least = chosen.load()
    for gateway in gateways:
        load = gateway.load()
        if load < least or (load == least and gateway.turn < chosen.turn):
            chosen, least = gateway, load
    chosen.turn = now
    return chosen, gateways


WAYS: Final[dict[str, Way]] = {
    "latency": by_latency,
    "order": in_order,
    "weight": by_weight,
    "load": by_load,
}
