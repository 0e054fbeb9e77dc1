"""What choosing a gateway costs, and all of a call's bookkeeping. At most 5 us for 5 gateways.

    python bench/trunks/cost.py --fast

A pyperf script: `--help` tells what it can do.
"""

import time
from collections.abc import Callable
from random import Random

import pyperf  # type: ignore[import-untyped]

from oneproxy.site.model import Gateway, Provider, Site
from oneproxy.trunks.candidate import Candidate
from oneproxy.trunks.gateway import GatewayState
from oneproxy.trunks.provider import ProviderState
from oneproxy.trunks.trunks import Trunks

NOW = 1_800_000_000.0


def used(way: str, count: int) -> Trunks:
    """Gateways with bounds, that have calls, some that wait, and failures behind them."""
    gateways = tuple(
        Gateway(str(number), "sip:x", max_calls=1000, max_calls_per_s=500) for number in range(count)
    )
    trunks = Trunks(Site({}, {}, providers={"p": Provider("p", gateway=gateways, choice=way)}), Random(1))
    provider = provider_of(trunks)
    for number in range(100 * count):
        attempt = provider.begin(NOW + number / 100, provider.gateways[number % count])
        if number % 50 == 1:
            attempt.failed(NOW + number / 100 + 0.05, 503)
        elif number % 20:
            attempt.answered(NOW + number / 100 + 0.05)
    return trunks


def provider_of(trunks: Trunks) -> ProviderState:
    """The only one."""
    provider = trunks.find("p")
    assert provider is not None
    return provider


def chosen(way: str, count: int, is_told: bool = False) -> Callable[[int], float]:
    """So many choices among `count` gateways; the seconds that they took."""

    def run(loops: int) -> float:
        choose = provider_of(used(way, count)).choose
        now = NOW + count
        assert isinstance(choose(now), GatewayState)
        began = time.perf_counter()
        for _ in range(loops):
            now += 0.01
            if is_told:
                told: list[Candidate] = []
                choose(now, (), told)
            else:
                choose(now)
        return time.perf_counter() - began

    return run


def walked(loops: int) -> float:
    """So many calls, each from the choice to the end."""
    trunks = used("latency", 5)
    now = NOW + 5
    began = time.perf_counter()
    for _ in range(loops):
        now += 0.01
        walk = trunks.walk("p")
        walk.begin(now)
        attempt = walk.attempt
        if attempt is not None:
            attempt.responded(now)
            attempt.reached(now)
            attempt.answered(now)
        walk.end(now)
    return time.perf_counter() - began


def main() -> None:
    """Measure all of it."""
    runner = pyperf.Runner()
    for way in ("latency", "order", "weight", "load"):
        runner.bench_time_func(f"choose among 5 gateways by {way}", chosen(way, 5))
    runner.bench_time_func("choose among 5 gateways by latency, and say why", chosen("latency", 5, True))
    runner.bench_time_func("choose among 50 gateways by latency", chosen("latency", 50))
    runner.bench_time_func("a call: choice, first response, ringing, answer, end", walked)


if __name__ == "__main__":
    main()
