"""What may be wrong with gateways, each a scenario that all ways to choose are put through."""

from collections.abc import Callable
from typing import NamedTuple

from simulated import MEDIAN_MS, SimulatedGateway

Gateways = Callable[[], list[SimulatedGateway]]


class Scenario(NamedTuple):
    """gateways: new ones for every run. per_s, holds_s: calls, on average. lasts_s: until when they come."""

    name: str
    what: str
    gateways: Gateways
    per_s: float = 20.0
    holds_s: float = 90.0
    lasts_s: float = 900.0


def _beside_four(**odd: object) -> Gateways:
    """Four good ones and one that is odd."""
    return lambda: [*(SimulatedGateway() for _ in range(4)), SimulatedGateway(**odd)]  # type: ignore[arg-type]


FLAPS = tuple((30.0 + 60.0 * number, 60.0 + 60.0 * number) for number in range(15))

SCENARIOS = (
    Scenario("equal", "five equal gateways", _beside_four()),
    Scenario("slow", "one of five takes ten times as long", _beside_four(median_ms=10 * MEDIAN_MS)),
    Scenario("failing", "one of five answers every other INVITE with 503", _beside_four(failing=0.5)),
    Scenario("flapping", "one of five is silent for 30 s of each minute", _beside_four(outages=FLAPS)),
    Scenario("dead", "one of five is silent from the 100th second on", _beside_four(outages=((100.0, 9e9),))),
    Scenario(
        "capacities",
        "three with room for 10, 20 and 100 calls, loaded to 80 %",
        lambda: [SimulatedGateway(capacity=room) for room in (10, 20, 100)],
        per_s=104 / 30,
        holds_s=30.0,
        lasts_s=3600.0,
    ),
    Scenario(
        "only OPTIONS", "one of five answers OPTIONS, and every INVITE with 503", _beside_four(failing=1.0)
    ),
    Scenario(
        "all failing",
        "each of five answers three INVITEs of ten with 503",
        lambda: [SimulatedGateway(failing=0.3) for _ in range(5)],
    ),
    Scenario(
        "rare",
        "one of five takes ten times as long, and a call comes every five seconds",
        _beside_four(median_ms=10 * MEDIAN_MS),
        per_s=0.2,
        lasts_s=20_000.0,
    ),
)
