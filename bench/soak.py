"""Whether memory grows with the number of calls that went through.

    python bench/soak.py --calls 200000

Prints the resident memory of node and recorder after the first tenth of the calls and
at the end. A transaction is remembered for 32 s, so the first tenth has to last longer.
"""

import argparse
import tempfile
from pathlib import Path

from load import Load, oneproxy


def main() -> None:
    """Place the calls and print the two figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--rate", type=int, default=500, help="calls a second")
    arguments = parser.parse_args()
    tenth = arguments.calls // 10
    if tenth < 33 * arguments.rate:
        print(f"the first tenth lasts {tenth / arguments.rate:.0f} s, so the tables are not full by then")
    with tempfile.TemporaryDirectory() as folder, Load(oneproxy(Path(folder)), Path(folder)) as load:
        first = load.calls(tenth, arguments.rate, talk_ms=500)
        early = load.resident_bytes()
        print(f"{early / 1e6:.1f} MB resident after {first.done} calls, {first.failed} failed", flush=True)
        rest = load.calls(arguments.calls - tenth, arguments.rate, talk_ms=500)
        late = load.resident_bytes()
    print(f"{late / 1e6:.1f} MB resident after {first.done + rest.done}, {rest.failed} failed")
    print(f"{100 * (late - early) / early:+.1f} %")


if __name__ == "__main__":
    main()
