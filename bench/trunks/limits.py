"""A gateway with room for 30 calls, offered 500 a second, many cancelled, some whose BYE is lost.

    python bench/trunks/limits.py simulated            10 minutes of simulated time, in memory
    python bench/trunks/limits.py sockets              60 s of real sockets and a real server
    python bench/trunks/limits.py sockets --kill       in the middle of which the node is killed

The gateway starts again now and then, with all its calls forgotten. It counts what is up at it. Exit
status 1 where it ever has a 31st call, or where a call counts when none is left: after the drain, in
which calls whose BYE was lost end by `max_call_s`, exactly 30 must get in. After --kill calls that were
not answered yet are left out of the count: no proxy that starts again can know them.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from sockets import Offered, offer

from limited import MAX_CALLS, Limited


def simulated(seed: int, lasts_s: float, per_s: float) -> bool:
    """In memory; whether all was well."""
    began = time.perf_counter()
    found = Limited(seed).run(lasts_s, per_s, restart_every_s=10.0)
    print(
        f"seed {seed}: {found.calls} calls offered in {lasts_s:.0f} s of simulated time, {found.invites} sent"
        f" to the gateway, {found.answered} answered, {found.restarts} restarts of it; at most {found.most}"
        f" at once, {found.beyond} beyond {MAX_CALLS}; {found.uncounted} times the proxy counted fewer than"
        f" were up; after the drain {found.left[0]} at the gateway, {found.left[1]} counted by the proxy"
        f" ({time.perf_counter() - began:.0f} s)"
    )
    print(f"    final statuses: {dict(found.ends)}; causes: {dict(found.causes)}", flush=True)
    return found.most == MAX_CALLS and not (found.beyond or found.uncounted or any(found.left))


def sockets(seed: int, lasts_s: float, per_s: float, kill: bool) -> bool:
    """With a real server; whether all was well."""
    with tempfile.TemporaryDirectory() as folder:
        found: Offered = asyncio.run(offer(Path(folder), Random(seed), lasts_s, per_s, kill))
    print(
        f"{found.calls} calls offered in {lasts_s:.0f} s, {found.invites} sent to the gateway,"
        f" {found.answered} answered, {found.restarts} restarts of it; at most {found.most} at once,"
        f" {found.beyond} beyond {MAX_CALLS}"
    )
    if kill:
        print(f"the node was killed; at most {found.most_since} at once since then")
    print(f"    final statuses: {dict(found.ends)}")
    print(
        f"after the drain {found.left} at the gateway, and of {found.offered_then} calls"
        f" {found.taken_then} got in"
    )
    return found.most == MAX_CALLS and not (found.beyond or found.left) and found.taken_then == MAX_CALLS


def main() -> int:
    """Run one of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("way", choices=("simulated", "sockets"))
    parser.add_argument("--seconds", type=float, help="600 simulated, 60 with sockets")
    parser.add_argument("--rate", type=float, default=500.0, help="calls a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kill", action="store_true", help="the node, in the middle (with sockets)")
    arguments = parser.parse_args()
    if arguments.way == "simulated":
        is_well = simulated(arguments.seed, arguments.seconds or 600.0, arguments.rate)
    else:
        is_well = sockets(arguments.seed, arguments.seconds or 60.0, arguments.rate, arguments.kill)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
