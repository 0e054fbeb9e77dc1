"""Five SIPp gateways behind OneProxy, of which one dies, one gets slow and one fails; who gets the calls.

    python bench/trunks/failing.py             90 s of 100 calls/s; exit status 1 where a call was lost
    python bench/trunks/failing.py --silent    the dead gateway's machine is gone too: it says nothing
    python bench/trunks/failing.py --write     puts the picture into docs/trunks-failing.svg

After 20 s the process of g1 is killed; from 40 s on g2 waits 500 ms before each first response; from
60 s on g3 answers 503 to every other call, by chance. No OPTIONS are sent (`probe_every_s` is 0), so
OneProxy knows only what becomes of calls. A call is lost where its caller gets anything but an
answer; those that were up on g1 at its death, whose BYE nobody answers, are counted apart.
"""

import argparse
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from picture import Event, draw

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from system.gateways import TRUST, Gateways, Noted, read_log
from system.server import Server
from system.sipp import Result, Sipp, write_users

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "trunks-failing.svg"
NAMES = ("g1", "g2", "g3", "g4", "g5")
NUMBER = "+351912345678"
TALK_S = 2
DIES_S, SLOWS_S, FAILS_S, LASTS_S = 20, 40, 60, 90
#: From the start of the gateways to the first call, by a clock that SIPp reads in whole seconds.
AHEAD_S = 5


class Run(NamedTuple):
    """began_at, died_at: seconds since the epoch. took, got, refused: by gateway, the instants at which
    it took calls, was sent INVITEs, and answered them with 503. unanswered: calls without an answer to
    their BYE."""

    result: Result
    calls: int
    began_at: float
    died_at: float
    took: list[list[float]]
    got: list[list[float]]
    refused: list[list[float]]
    unanswered: list[Noted]


def run(folder: Path, rate: int, silent: bool) -> Run:
    """All of it; the figures come from what SIPp logs for each call."""
    begins_at = int(time.time()) + AHEAD_S
    with Gateways(5, folder, {2: begins_at + SLOWS_S}, {3: begins_at + FAILS_S}) as gateways:
        more = TRUST + gateways.provider("carrier", ['choice = "latency"'])
        more += '[[route]]\nprefix = "+351"\nprovider = "carrier"\n'
        dialled = write_users(folder / "dialled.csv", [NUMBER])
        with Server(folder, subscribers={}, more=more) as server:
            wait_until(begins_at)
            with Sipp(
                "routed",
                folder,
                server=server.address,
                users=dialled,
                calls=rate * LASTS_S,
                rate=rate,
                timeout_s=LASTS_S + 90,
                # It sends BYE for as long as it waits for an answer, which is what ends the call.
                options=["-d", str(TALK_S * 1000), "-max_retrans", "20", "-max_non_invite_retrans", "20"],
            ) as calling:
                wait_until(begins_at + DIES_S)
                died_at = time.time()
                gateways.all[0].kill()
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
                    if silent:
                        # Nobody refuses what is sent to it then, and nobody reads it.
                        nobody.bind((gateways.all[0].host, gateways.all[0].port))
                    result = calling.result()
        noted = read_log(calling.log)
        numbers = range(1, 6)
        return Run(
            result,
            rate * LASTS_S,
            begins_at,
            died_at,
            [
                [one.at for one in noted if one.what == "taken" and one.of == each.host]
                for each in gateways.all
            ],
            [[one.at for one in gateways.invites(number)] for number in numbers],
            [[one.at for one in gateways.refused(number)] for number in numbers],
            [one for one in noted if one.what == "unanswered"],
        )


def wait_until(instant: float) -> None:
    """Seconds since the epoch."""
    time.sleep(max(0.0, instant - time.time()))


def lost(of: Run) -> int:
    """Calls that ended otherwise than they should have."""
    # Answered by g1 before it died: nobody is left who knows them. One that was answered in the
    # moment of its death gets its answer a little later.
    its_own = [one for one in of.unanswered if one.of == "127.0.0.2" and one.at < of.died_at + 1]
    return of.calls - sum(map(len, of.took)) + of.result.failed + len(of.unanswered) - len(its_own)


def by_second(instants: list[float], began_at: float) -> list[int]:
    """How many in each second."""
    counts = Counter(int(instant - began_at) for instant in instants)
    return [counts[second] for second in range(LASTS_S)]


def report(of: Run) -> None:
    """Print who got what, in the four parts of the run."""
    parts = {"all well": (0, DIES_S), "g1 dead": (DIES_S, SLOWS_S)}
    parts |= {"g2 slow": (SLOWS_S, FAILS_S), "g3 failing": (FAILS_S, LASTS_S)}
    print(f"{'calls taken':18}" + "".join(f"{name:>8}" for name in NAMES))
    for part, (begins, ends) in parts.items():
        counts = [sum(by_second(one, of.began_at)[begins:ends]) for one in of.took]
        print(f"{part:18}" + "".join(f"{100 * count / (sum(counts) or 1):7.1f}%" for count in counts))
    print(f"{'INVITEs got':18}" + "".join(f"{len(one):8}" for one in of.got))
    print(f"{'answered 503':18}" + "".join(f"{len(one):8}" for one in of.refused))
    print(
        f"{of.calls} calls, {sum(map(len, of.took))} answered, {len(of.unanswered)} whose BYE nobody answered"
        f" since they were up on g1 at its death, {lost(of)} lost; answered after"
        f" {of.result.answer_ms:.1f} ms on average; {of.result.retransmissions} messages sent again"
    )
    if lost(of):
        print(of.result.errors)


def main() -> int:
    """Run it, print and draw it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=100, help="calls a second")
    parser.add_argument("--silent", action="store_true", help="the dead gateway's port is not refused")
    parser.add_argument("--write", action="store_true", help=f"make {PICTURE.name}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = run(Path(folder), arguments.rate, arguments.silent)
    report(done)
    if arguments.write:
        shares = [by_second(one, done.began_at) for one in done.took]
        events = (
            Event(DIES_S, "g1 is killed"),
            Event(SLOWS_S, "g2 takes 500 ms"),
            Event(FAILS_S, "g3 fails half"),
        )
        PICTURE.write_text(draw(NAMES, shares, events, "calls taken per second"))
    return 1 if lost(done) else 0


if __name__ == "__main__":
    sys.exit(main())
