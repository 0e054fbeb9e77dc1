"""What limits of domains, sources and callers cost a call, and what a call costs that they refuse.

    python bench/limited_calls.py --calls 3000

The engine with the policy of a node, in memory, without the making of messages. All cases take turns, a
call at a time, and of each the tenth that took least counts: what the machine does besides is in the others.
"""

import argparse
import gc
import logging
from collections.abc import Callable
from statistics import quantiles

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


def refused(node: Node) -> None:
    """A call that there is no room for: INVITE, 503, ACK."""
    number = node.step()
    data = wire(INVITE, n=number)
    answer = expect(node.receive(node.caller, data)[-1], b"SIP/2.0 503")
    tag = answer.partition(b"\r\nTo: ")[2].partition(b"\r\n")[0]
    ack = wire(IN_DIALOG, n=number, method="ACK", cseq=1, route="")
    lines = ack.replace(b"To: <sip:bob@example.com>;tag=b", b"To: " + tag).split(b"\r\n")
    lines[1:3] = [data.split(b"\r\n")[1]]
    assert node.receive(node.caller, b"\r\n".join(lines)) == []


CASES: dict[str, tuple[tuple[Limit, ...], int, Callable[[Node], None]]] = {
    "a call without limits": ((), 0, call),
    "with max_calls of the node": ((), 1_000_000, call),
    "with five, a password proved": (FIVE, 0, call),
    "with five, caller by From": (FIVE, 0, call),
    "with five max_calls, proved": (at_once(FIVE), 0, call),
    "refused by the node": ((), 1, refused),
    "refused by source": ((Limit(source="192.0.2.0/24", calls=1, period_s=3600.0),), 0, refused),
    "refused by each source": ((Limit(source="*", calls=1, period_s=3600.0),), 0, refused),
    "refused by caller": ((Limit(caller="*", calls=1, period_s=3600.0),), 0, refused),
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
    work(node)
    return node


def main() -> None:
    """Measure all cases in turns."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=3000, help="of each case")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    # As a node has it.
    gc.set_threshold(50_000, 20, 100)
    nodes = {name: made(name) for name in CASES}
    took: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(arguments.calls):
        for name, node in nodes.items():
            before = node.spent_s
            CASES[name][2](node)
            took[name].append((node.spent_s - before) * 1e6)
    best = {name: quantiles(found, n=10)[0] for name, found in took.items()}
    without = best["a call without limits"]
    for name, us in best.items():
        more = f"  {us - without:+.1f}" if name.startswith("with") else ""
        print(f"{name:30} {us:7.1f} us{more}")


if __name__ == "__main__":
    main()
