"""What people are shown of the limits of a node: how full each is, and of those that each has for himself
the busiest ones.

There may be a hundred thousand of these: some are looked at in each turn of the loop, so no message waits.
"""

import asyncio
from collections.abc import Callable
from heapq import nlargest
from typing import Final

from oneproxy.congestion.count import PROVIDER, Count
from oneproxy.congestion.limit import CallLimit
from oneproxy.congestion.limits import Limits
from oneproxy.congestion.table import Table
from oneproxy.ipc.limits import MAX_LIMITS, LimitFound, LimitsFound, ShareFound

#: Of those that each has for himself so many are shown.
BUSIEST: Final = 10
#: Counts that are looked at in one turn of the loop: half a millisecond.
_AT_A_TIME: Final = 500


async def limits_found(
    node: CallLimit, limits: Limits, calls_of: Callable[[str], int], now: float
) -> LimitsFound:
    """The limit of the node, where it has one, and those of the site.

    calls_of: how many calls a provider has. At most MAX_LIMITS are shown; the others are counted.
    """
    found: list[LimitFound] = []
    left_out = 0
    if node.is_set:
        counts = node.within(now), node.calls_on(), node.refusals
        found.append(LimitFound("node", "node", "", node.calls, node.period_s, node.max_calls, *counts))
    for bound, what in list(limits.bounds()):
        if len(found) >= MAX_LIMITS:
            left_out += 1
            continue
        busiest: list[ShareFound] = []
        counted, uncounted, within, calls_on = 1, 0, 0, 0
        if isinstance(what, Table):
            counted, uncounted = len(what.counts), what.uncounted
            busiest = await _busiest(what, calls_of, now)
        else:
            within, calls_on = what.within(now), _calls_on(what, calls_of)
        bounds = bound.calls, bound.period_s, bound.max_calls
        full = within, calls_on, bound.refused, counted, uncounted
        found.append(LimitFound(bound.name, bound.kind, bound.whom, *bounds, *full, busiest))
    return LimitsFound(found, left_out)


async def _busiest(table: Table, calls_of: Callable[[str], int], now: float) -> list[ShareFound]:
    """Those that are nearest to their limit."""
    counts = list(table.counts.values())
    best: list[tuple[float, int, ShareFound]] = []
    for start in range(0, len(counts), _AT_A_TIME):
        if start:
            await asyncio.sleep(0)
        for place, count in enumerate(counts[start : start + _AT_A_TIME], start):
            share = ShareFound(count.of, count.within(now), _calls_on(count, calls_of), count.refusals)
            # Of equal ones the first: nobody is compared by anything else.
            best.append((_fullness(table, share), -place, share))
        best = nlargest(BUSIEST, best)
    return [share for _, _, share in best]


def _calls_on(count: Count, calls_of: Callable[[str], int]) -> int:
    bound = count.bound
    # Trunk management counts those of providers, be there a limit or not.
    return calls_of(count.of or bound.whom) if bound.kind == PROVIDER else count.calls_on


def _fullness(table: Table, share: ShareFound) -> float:
    bound = table.bound
    of_period = share.within / bound.calls if bound.calls else 0.0
    return max(of_period, share.calls_on / bound.max_calls if bound.max_calls else 0.0)
