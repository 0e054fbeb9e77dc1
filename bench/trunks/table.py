"""Ways to choose a gateway, compared in a simulator; the table of docs/trunks.md.

    python bench/trunks/table.py            prints it
    python bench/trunks/table.py --write    puts it into docs/trunks.md

Exits with 1 where OneProxy is neither the best nor within 2 % of it, or has sent a gateway a call
beyond its max_calls. A minute or two; `--seeds 11 20` has other luck.
"""

import argparse
import sys
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from scenarios import SCENARIOS, Scenario
from simulation import Simulation
from ways import WAYS

PAGE = Path(__file__).parents[2] / "docs" / "trunks.md"
BEGINS, ENDS = "<!-- made by bench/trunks/table.py -->", "<!-- end -->"
SEEDS = range(1, 6)
#: How much worse than the best we may be.
MARGIN = 0.02


class Figures(NamedTuple):
    """completed: share of calls. median_ms, last_ms: of the time to the first response; the latter
    is the 99th percentile. overflows: calls that were sent to gateways without room."""

    completed: float
    median_ms: float
    last_ms: float
    overflows: int


def figures(scenario: Scenario, way: str, seeds: range = SEEDS) -> Figures:
    """Of all runs together."""
    runs = [Simulation(scenario, WAYS[way], seed).run() for seed in seeds]
    times = [ms for run in runs for ms in run.times_ms]
    completed = len(times) / sum(run.calls for run in runs)
    overflows = sum(run.overflows for run in runs)
    return Figures(completed, median(times), quantiles(times, n=100)[98], overflows)


def worse(found: dict[str, Figures]) -> list[str]:
    """In what OneProxy is worse than the best by more than the margin."""
    ours = found["OneProxy"]
    most = max(one.completed for one in found.values())
    faults = []
    if ours.completed < most * (1 - MARGIN):
        faults.append(f"completed {ours.completed:.3f} of {most:.3f}")
    for name in ("median_ms", "last_ms"):
        least = min(getattr(one, name) for one in found.values())
        if getattr(ours, name) > least * (1 + MARGIN):
            faults.append(f"{name} {getattr(ours, name):.1f} of {least:.1f}")
    if ours.overflows:
        faults.append(f"{ours.overflows} calls beyond max_calls")
    return faults


def rows(scenario: Scenario, found: dict[str, Figures]) -> list[str]:
    """The table of one scenario."""
    lines = [f"{scenario.what[0].upper()}{scenario.what[1:]}:", ""]
    lines += ["| | completed | median | 99th percentile |", "| --- | --- | --- | --- |"]
    for way, one in found.items():
        name = f"**{way}**" if way == "OneProxy" else way
        lines.append(f"| {name} | {one.completed:.2%} | {one.median_ms:.1f} ms | {one.last_ms:.0f} ms |")
    return [*lines, ""]


def main() -> int:
    """Run all of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="into docs/trunks.md")
    parser.add_argument("--only", help="one scenario, by its name")
    parser.add_argument("--seeds", type=int, nargs=2, help="the first and the last one")
    arguments = parser.parse_args()
    seeds = range(arguments.seeds[0], arguments.seeds[1] + 1) if arguments.seeds else SEEDS
    lines: list[str] = []
    faults: list[str] = []
    for scenario in SCENARIOS:
        if arguments.only in (None, scenario.name):
            found = {way: figures(scenario, way, seeds) for way in WAYS}
            made = rows(scenario, found)
            print(*made, sep="\n", flush=True)
            lines += made
            faults += [f"{scenario.name}: {fault}" for fault in worse(found)]
    if arguments.write:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGINS)
        _, _, after = rest.partition(ENDS)
        PAGE.write_text("\n".join([f"{before}{BEGINS}", "", *lines, f"{ENDS}{after}"]), "utf-8")
    print(*(f"worse than the best by more than {MARGIN:.0%}: {fault}" for fault in faults), sep="\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
