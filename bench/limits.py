"""What limits of domains, sources and callers cost a call, and what a call costs that they refuse.

    python bench/limits.py --calls 3000 --rounds 15

The engine with the policy of a node, in memory; CPU, with the making of messages for calls that go on and
without it for those that are refused. Rounds of all cases follow each other, and the fastest round of
each counts: what the machine does besides is in none of them, or in few.
"""

import argparse
import gc
import logging
import time
from collections.abc import Callable

import structlog
from parts import IN_DIALOG, INVITE, Node, call, expect, wire

from oneproxy.congestion.step import Parties
from oneproxy.engine.decisions import Ask
from oneproxy.site.model import Congestion, Limit

#: Five that one call is under.
FIVE = (
    Limit(domain="example.com", calls=1_000_000, period_s=9.0),
    Limit(source="192.0.2.0/24", calls=1_000_000, period_s=9.0),
    Limit(source="*", calls=10_000, period_s=9.0),
    Limit(caller="alice@example.com", calls=1_000_000, period_s=9.0),
    Limit(caller="*", calls=10_000, period_s=9.0),
)


def at_once(limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
    """The same for calls at once."""
    return tuple(
        Limit(one.domain, one.source, one.provider, one.caller, max_calls=1_000_000) for one in limits
    )


def refused(number: int) -> tuple[bytes, bytes]:
    """A call that there is no room for: its INVITE, and the ACK of the 503, without the tag of that."""
    made = wire(INVITE, n=number)
    lines = wire(IN_DIALOG, n=number, method="ACK", cseq=1, route="").decode("latin-1").split("\r\n")
    lines[1] = made.decode("latin-1").split("\r\n")[1]
    del lines[2]
    return made, "\r\n".join(lines).encode("latin-1")


def calls(node: Node, count: int) -> float:
    """Whole calls that go on, with the making of their messages; the seconds of CPU."""
    began = time.process_time()
    for _ in range(count):
        call(node)
    return time.process_time() - began


def refusals(node: Node, count: int) -> float:
    """Calls that are refused, without the making of their messages; the seconds of CPU."""
    made = [refused(node.step()) for _ in range(count)]
    acks = []
    began = time.process_time()
    for data, _ in made:
        acks.append(node.receive(node.caller, data)[-1])
    spent_s = time.process_time() - began
    for place, answer in enumerate(acks):
        tag = expect(answer, b"SIP/2.0 503").partition(b"\r\nTo: ")[2].partition(b"\r\n")[0]
        acks[place] = made[place][1].replace(b"To: <sip:bob@example.com>;tag=b", b"To: " + tag)
    began = time.process_time()
    for ack in acks:
        node.receive(node.caller, ack)
    spent_s += time.process_time() - began
    assert node.receive(node.caller, acks[-1]) == []
    return spent_s


CASES: dict[str, tuple[tuple[Limit, ...], int, Callable[[Node, int], float]]] = {
    "a call without limits": ((), 0, calls),
    "with max_calls of the node": ((), 1_000_000, calls),
    "with five, a password proved": (FIVE, 0, calls),
    "with five, caller by From": (FIVE, 0, calls),
    "with five max_calls, proved": (at_once(FIVE), 0, calls),
    "refused by the node": ((), 1, refusals),
    "refused by source": ((Limit(source="192.0.2.0/24", calls=1, period_s=3600.0),), 0, refusals),
    "refused by each source": ((Limit(source="*", calls=1, period_s=3600.0),), 0, refusals),
    "refused by caller": ((Limit(caller="*", calls=1, period_s=3600.0),), 0, refusals),
}


class Proved:
    """Says of each caller that he has proved to be alice, as access control does after a password."""

    def __init__(self, of: Parties) -> None:
        self.called = of.called

    def caller(self, _ask: Ask) -> tuple[str, str]:
        return "alice@example.com", "example.com"


def made(name: str) -> Node:
    """A node of a case, past its first call."""
    limits, max_calls, work = CASES[name]
    by_node = name == "refused by the node"
    congestion = Congestion(
        calls=int(by_node), period_s=3600.0, max_calls=0 if by_node else max_calls, limit=limits
    )
    node = Node((), congestion=congestion)
    if "proved" in name:
        node.limit_step.parties = Proved(node.limit_step.parties)
    node.register()
    call(node)
    work(node, 10)
    return node


def main() -> None:
    """Measure all cases in turns."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=3000, help="in each round of each case")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    # As a node has it.
    gc.set_threshold(50_000, 20, 100)
    best = dict.fromkeys(CASES, float("inf"))
    for _ in range(arguments.rounds):
        for name, (_, _, work) in CASES.items():
            node = made(name)
            gc.collect()
            best[name] = min(best[name], work(node, arguments.calls) * 1e6 / arguments.calls)
    without = best["a call without limits"]
    for name, us in best.items():
        more = f"  {us - without:+.1f}" if name.startswith("with") else ""
        print(f"{name:30} {us:7.2f} us{more}")


if __name__ == "__main__":
    main()
