"""What calls that are held cost: memory for each, and CPU for a new call beside many.

    python bench/held.py --calls 50000

In memory, with every call followed from its INVITE to its end (the dearest way), its
transactions done and forgotten. Also prints the CPU of a call beside 500 and beside all.
"""

import argparse
import gc
import os
import statistics
from pathlib import Path
from typing import Final

import parts

from oneproxy.engine.call import Call, CallEvent, Session
from oneproxy.engine.decisions import Ask, Decision, Forward, Target
from oneproxy.engine.flow import Flow

FEW: Final = 500
#: Calls that are timed at once, and how often.
TIMED: Final = 300
TIMES: Final = 31
#: After this time nothing is left of an answered INVITE.
FORGOTTEN_S: Final = 70.0


class Follow:
    """A policy that sends every call to bob and follows it."""

    def __init__(self) -> None:
        self._forward = Forward([Target(parts.CALLED)], watch=self, session=Session(1800))

    def decide(self, _ask: Ask) -> Decision:
        return self._forward

    def redirected(self, _ask: Ask, _contacts: list[str]) -> list[Target]:
        return []

    def placed(self, _ask: Ask) -> Decision:
        return self._forward

    def closed(self, _now: float, _flow: Flow) -> None:
        pass

    def note(self, _now: float, _call: Call, _event: CallEvent) -> None:
        pass


def resident_bytes() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def hold(node: parts.Node, count: int) -> None:
    """Set up `count` calls that go on, and let their transactions end."""
    for _ in range(count):
        ok = parts.invite(node).decode("latin-1")
        route = ok.partition("Record-Route: ")[2].partition("\r\n")[0]
        ack = parts.wire(parts.IN_DIALOG, n=node.count, method="ACK", cseq=1, route=route)
        parts.expect(node.receive(node.caller, ack)[-1], b"ACK ")
    for _ in range(int(FORGOTTEN_S / parts.STEP_S)):
        node.step()


def call_us(node: parts.Node) -> float:
    """Microseconds of CPU in the node for a whole call, the mean of some."""
    node.spent_s = 0.0
    for _ in range(TIMED):
        parts.call(node)
    return node.spent_s / TIMED * 1e6


def compare(few: parts.Node, many: parts.Node) -> tuple[float, float]:
    """What a call costs in each of two nodes, taken in turn: the machine is not ours alone."""
    costs = [(call_us(few), call_us(many)) for _ in range(TIMES)]
    ratio = statistics.median(more / less for less, more in costs)
    few_us = min(less for less, _ in costs)
    return few_us, few_us * ratio


def main() -> None:
    """Hold the calls and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=50_000)
    arguments = parser.parse_args()
    gc.set_threshold(50_000, 20, 100)
    few, many = parts.Node(policy=Follow()), parts.Node(policy=Follow())
    hold(few, FEW)
    hold(many, FEW)
    gc.collect()
    before = resident_bytes()
    hold(many, arguments.calls - FEW)
    gc.collect()
    each = (resident_bytes() - before) / (arguments.calls - FEW)
    print(f"{arguments.calls} calls held, {each:.0f} octets of memory each")
    few_us, many_us = compare(few, many)
    print(f"CPU of a call beside {FEW}: {few_us:.1f} us, beside {arguments.calls}: {many_us:.1f} us")
    print(f"ratio {many_us / few_us:.2f}")


if __name__ == "__main__":
    main()
