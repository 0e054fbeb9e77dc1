"""CPU per call: OneProxy and, where it is installed, Kamailio on the same work, in turn.

    python bench/calls.py --rate 1000 --seconds 8 --rounds 2

Each call is INVITE 100 180 200 ACK, a second of talk, BYE 200, to one of a thousand
registered users; OneProxy carries it over TCP too, with one connection on each side. Costs
differ from machine to machine and with the rate, so the ratio of one run is what counts.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import kamailio
from load import Load, Server, oneproxy

Maker = Callable[[Path], Server]


def cost_us(name: str, make: Maker, transport: str, rate: int, seconds: int) -> float:
    """Microseconds of CPU per completed call; prints what became of the calls."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Load(make(Path(folder)), Path(folder), transport=transport) as load,
    ):
        before = load.cpu_s()
        result = load.calls(rate * seconds, rate)
        spent_us: float = (load.cpu_s() - before) * 1e6 / max(result.done, 1)
    print(
        f"{name:13} {spent_us:6.0f} us of CPU a call, {result.done} calls done, {result.failed} failed,"
        f" {result.retransmissions} messages sent again, answered in {result.answer_ms:.1f} ms",
        flush=True,
    )
    return spent_us


def main() -> None:
    """Run the rounds and print the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=1000, help="calls a second")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    makers: dict[str, tuple[Maker, str]] = {"OneProxy": (oneproxy, "udp"), "OneProxy, TCP": (oneproxy, "tcp")}
    if kamailio.path():
        makers["Kamailio"] = kamailio.Kamailio, "udp"
    else:
        print("Kamailio is not installed: OneProxy alone")
    costs: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(arguments.rounds):
        for name, (make, transport) in makers.items():
            costs[name].append(cost_us(name, make, transport, arguments.rate, arguments.seconds))
    ours, tcp, *theirs = (statistics.median(cost) for cost in costs.values())
    print(f"TCP / UDP at {arguments.rate} calls/s: {tcp / ours:.2f}")
    if theirs:
        print(f"OneProxy / Kamailio at {arguments.rate} calls/s: {ours / theirs[0]:.2f}")


if __name__ == "__main__":
    main()
