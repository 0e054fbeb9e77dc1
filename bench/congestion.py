"""CPU per call that is refused, all processes of OneProxy, with SIPp on both sides.

    python bench/congestion.py --rate 500 --seconds 8

Nothing is limited; then 50 calls a second are let in; then one in an hour, so that it is known
what a refused call costs without those that are not. `max_calls` is the first run again, with all
calls followed.
"""

import argparse
import tempfile
from pathlib import Path

from load import USERS, Load, Server

LIMITS = {
    "no limit": "",
    "max_calls": "max_calls = 20000",
    "50 calls a second": "calls = 50",
    "one call an hour": "calls = 1\nperiod_s = 3600",
}


def main() -> None:
    """Run them one after another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=500, help="calls a second that are offered")
    parser.add_argument("--seconds", type=int, default=8)
    arguments = parser.parse_args()
    for name, keys in LIMITS.items():
        with tempfile.TemporaryDirectory() as folder:
            server = Server(
                Path(folder),
                subscribers=dict.fromkeys(USERS, "secret"),
                transports=["TCP"],
                more=f"[congestion]\n{keys}\n",
            )
            with Load(server, Path(folder)) as load:
                before = load.cpu_s()
                result = load.calls(arguments.rate * arguments.seconds, arguments.rate)
                spent_s = load.cpu_s() - before
        offered = result.done + result.failed
        print(
            f"{name:18} {spent_s * 1e6 / offered:6.0f} us of CPU for each of {offered} calls offered:"
            f" {result.done} done, {result.failed} refused, answered in {result.answer_ms:.1f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
