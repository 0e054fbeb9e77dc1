"""PostgreSQL is stopped under load and started again: calls, registrations, and the table afterwards.

    python bench/outage.py --away 60

Once for each thing that a site can say of REGISTERs that can't be stored. 1 where a call
failed, a registration got no answer, or table and memory differ afterwards.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from load import Server

from postgres import Cluster, programs
from system.outage import go_through

USERS = [f"user{number}" for number in range(2_000)]


def main() -> int:
    """Go through it in both ways."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--away", type=float, default=60.0, help="seconds")
    parser.add_argument("--rate", type=int, default=200, help="registrations a second")
    parser.add_argument("--without", nargs="+", choices=["refuse", "memory"], default=["refuse", "memory"])
    arguments = parser.parse_args()
    found = programs()
    if found is None:
        sys.exit("PostgreSQL is not installed: `sh tests/setup.sh` does it")
    bad = 0
    cluster = Cluster(found)
    try:
        for without in arguments.without:
            url = cluster.database()
            more = f'[registrar]\nwithout_database = "{without}"'
            with (
                tempfile.TemporaryDirectory() as folder,
                Server(Path(folder), subscribers={"a": "b"}, more=more, database=url) as server,
            ):
                outcome = go_through(
                    server, cluster, url, Path(folder), USERS, arguments.away, arguments.rate
                )
            different = outcome.differences()
            silent = outcome.sent.total() - outcome.answers.total()
            answers = ", ".join(
                f"{count} times {status} {phase}"
                for (phase, status), count in sorted(outcome.answers.items())
            )
            print(
                f"{without}: {outcome.calls.done} calls done, {outcome.calls.failed} failed,"
                f" {outcome.calls.retransmissions} messages sent again; registrations: {answers},"
                f" {silent} without an answer; {len(outcome.stored)} users in the table,"
                f" {len(different)} that differ from memory",
                flush=True,
            )
            if outcome.calls.failed:
                print(f"  {outcome.calls.reasons}\n{outcome.calls.errors}")
            bad += outcome.calls.failed + silent + len(different)
    finally:
        cluster.remove()
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
