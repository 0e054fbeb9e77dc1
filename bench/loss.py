"""Calls on a network that loses datagrams: all complete, by the retransmissions of RFC 3261 17.

    python bench/loss.py --calls 2000 --rate 100 --lost 5

Both SIPp, caller and called, drop that share of what they send and of what they get.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from load import Load, oneproxy


def main() -> int:
    """Place the calls; 1 where one did not complete."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rate", type=int, default=100, help="calls a second")
    parser.add_argument("--lost", type=int, default=5, help="per cent")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Load(oneproxy(Path(folder)), Path(folder), arguments.lost) as load,
    ):
        result = load.calls(arguments.calls, arguments.rate, talk_ms=3000)
    print(
        f"{result.done} of {arguments.calls} calls completed, {result.failed} failed,"
        f" {result.retransmissions} messages sent again by the caller"
    )
    if result.failed:
        print(result.reasons)
        print(result.errors)
    return int(result.done != arguments.calls)


if __name__ == "__main__":
    sys.exit(main())
