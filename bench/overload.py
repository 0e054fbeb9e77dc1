"""Goodput from half to ten times of what there is time for, OneProxy beside Kamailio.

    python bench/overload.py --seconds 10 --picture docs/overload.svg
    python bench/overload.py --emergency
    python bench/overload.py --added

Both spend 2 ms of CPU on each call that they let in: OneProxy in a step that is added to its policy
(`spending/`), Kamailio in a loop of its script. Each has one processor for itself and one process
that works; SIPp has the other one. Kamailio limits as its `ratelimit` module says: by RED, to nine tenths
of what it was measured to sustain, for INVITEs. A call counts that is answered and ended in order.

--emergency: ten times as many calls come as there is time for, and beside them one in a hundred to an
emergency number, and calls that stand, with requests inside of them: none of these may be refused.

--added: how much OneProxy adds to each message at seven tenths of what it sustains, with and without
the step that spends time; calls come at random instants.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from curves import Curve, draw
from kamailio import Kamailio
from load import USERS, Load, Server
from pair import Pair

from system.server import DOMAIN
from system.wire import Client

LOADS = (0.5, 0.7, 0.9, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
SPENT_S = 0.002
_FOLDER = Path(__file__).resolve().parent
_OURS, _THEIRS = (["taskset", "-c", str(cpu)] for cpu in (0, 1))
_SPIN = "$var(i) = 0; while ($var(i) < {times}) {{ $var(i) = $var(i) + 1; }}"
_LIMIT = (
    'if (!rl_check()) {{ append_to_reply("Retry-After: 5\\r\\n"); sl_send_reply("503", "Limiting"); exit; }}'
)
_PIPE = """\
loadmodule "ratelimit.so"
modparam("ratelimit", "timer_interval", 1)
modparam("ratelimit", "queue", "0:INVITE")
modparam("ratelimit", "pipe", "0:RED:{limit}")
"""
_LOOPS = "max_while_loops=100000000\n"


class Point(NamedTuple):
    """Calls a second that were offered, and that were done."""

    offered: float
    done: float


def oneproxy(folder: Path, max_wait_ms: int = 50) -> Server:
    """With all users, no password, and a processor."""
    return Server(
        folder,
        subscribers=dict.fromkeys([*USERS, "112", "callee"], "secret"),
        transports=["TCP"],
        prefix=_OURS,
        more=f"[congestion]\nmax_wait_ms = {max_wait_ms}\n",
    )


def kamailio(folder: Path, times: int, limit: int = 0) -> Kamailio:
    """times: of the loop for each call. limit: calls a second; 0 for none."""
    more = _LOOPS + (_PIPE.format(limit=limit) if limit else "")
    guard = _LIMIT.format() if limit else ""
    return Kamailio(folder, 1, more, guard + " " + _SPIN.format(times=times), _OURS)


def spent_s(server: Server, folder: Path) -> float:
    """CPU that a call takes, at a rate that is no load."""
    with Load(server, folder) as load:
        before = load.cpu_s()
        result = load.calls(800, 100, talk_ms=100)
        spent = load.cpu_s() - before
    if result.done != 800:
        raise RuntimeError(f"{result.failed} of 800 calls failed: {result.errors}")
    return spent / 800


def sustains(server: Server, folder: Path) -> float:
    """The most calls a second of which 99 in 100 are done, for five seconds, in steps of a twentieth."""
    rate = 0.6 / SPENT_S
    with Load(server, folder) as load:
        while True:
            count = round(1.05 * rate) * 5
            if load.calls(count, round(1.05 * rate), talk_ms=100).done < 0.99 * count:
                return rate
            rate *= 1.05


def spin_for(spent: float) -> int:
    """How often Kamailio has to go round to spend so many seconds."""
    times = 1_000
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        idle = spent_s(kamailio(Path(one), 0), Path(one))
        busy = spent_s(kamailio(Path(other), times), Path(other))
    return round(times * spent / (busy - idle))


def measure(
    server: Server, folder: Path, sustained: float, loads: Sequence[float], seconds: int
) -> list[Point]:
    """Offer so many times of `sustained` calls a second."""
    points = []
    with Load(server, folder) as load:
        for times in loads:
            rate = round(times * sustained)
            result = load.calls(rate * seconds, rate, talk_ms=100, options=["-max_socket", "2"])
            points.append(Point(rate, result.done / seconds))
            print(
                f"  {times:4.1f} times: {rate:5} offered, {points[-1].done:6.1f} done a second,"
                f" {result.failed} not, answered in {result.answer_ms:.0f} ms,"
                f" {result.retransmissions} sent again",
                flush=True,
            )
            time.sleep(2)
    return points


def compare(loads: Sequence[float], seconds: int, picture: Path | None) -> None:
    """Both, one after the other; the points, and the picture."""
    curves = []
    times = spin_for(SPENT_S)
    for name in ("OneProxy", "Kamailio, ratelimit RED"):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            ours = name == "OneProxy"
            first = oneproxy(Path(one)) if ours else kamailio(Path(one), times)
            sustained = sustains(first, Path(one))
            print(f"{name} sustains {sustained:.0f} calls/s", flush=True)
            second = oneproxy(Path(other)) if ours else kamailio(Path(other), times, round(0.9 * sustained))
            points = measure(second, Path(other), sustained, loads, seconds)
        peak = max(point.done for point in points)
        print(
            f"  at {loads[-1]:g} times {100 * points[-1].done / peak:.0f} % of the peak of {peak:.0f}",
            flush=True,
        )
        curves.append(Curve(name, [(x, point.done) for x, point in zip(loads, points, strict=True)]))
    if picture is not None:
        picture.write_text(
            draw(curves, "calls offered, in times of what each sustains", "calls done in a second")
        )


def registered(server: Server, user: str, port: int) -> None:
    """Have calls to `user` come to this port of the machine."""
    client = Client(server.host, server.port)
    try:
        contact = f"sip:{user}@127.0.0.1:{port}"
        answer = client.ask("REGISTER", f"sip:{DOMAIN}", f"{user}@{DOMAIN}", contact=contact)
    finally:
        client.close()
    if answer is None or answer.status != 200:
        raise RuntimeError(f"{user} is not registered")


def emergency(sustained: float, seconds: int) -> None:
    """What becomes of emergency calls and of calls that stand while ten times too many come."""
    with tempfile.TemporaryDirectory() as folder:
        server = oneproxy(Path(folder))
        with Load(server, Path(folder)) as load:
            urgent, standing = (Pair((server.host, server.port), DOMAIN) for _ in range(2))
            registered(server, "112", urgent.callee_port)
            registered(server, "callee", standing.callee_port)
            asks = ["INFO", "OPTIONS", "INVITE", "MESSAGE"] * (seconds // 2)
            # These calls stand before the others come: 50 of them, with a request every half second.
            runs = [
                threading.Thread(target=standing.run, args=(1.0, 50, "callee", asks, 0.5)),
                threading.Thread(target=urgent.run, args=(seconds, sustained / 10, "112", ["INFO"], 0.1)),
            ]
            runs[0].start()
            time.sleep(2)
            runs[1].start()
            result = load.calls(round(10 * sustained) * seconds, round(10 * sustained), talk_ms=100)
            for run in runs:
                run.join()
        print(f"others: {result.done / seconds:.0f} calls/s done, {result.failed} refused")
        for name, pair in (("emergency", urgent), ("calls that stand", standing)):
            added = sorted(pair.added_s)
            print(
                f"{name}: {pair.completed} calls complete, {len(pair.asked)} requests not answered,"
                f" {dict(pair.answers)}; added to a message in the middle"
                f" {1000 * added[len(added) // 2]:.1f} ms, at most {1000 * added[-1]:.1f}",
                flush=True,
            )


def added(rate: float, seconds: int, what: str) -> None:
    """How much is added to each message at this rate."""
    with tempfile.TemporaryDirectory() as folder, oneproxy(Path(folder)) as server:
        pair = Pair((server.host, server.port), DOMAIN)
        registered(server, "callee", pair.callee_port)
        pair.run(seconds, rate, "callee", [], 0.1)
    found = sorted(pair.added_s)
    shown = ", ".join(
        f"{part:g} %: {1000 * found[int(len(found) * part / 100)]:.2f}" for part in (50, 99, 99.9)
    )
    print(
        f"{what}, {rate:.0f} calls/s: added to each of {len(found)} messages, in ms: {shown},"
        f" most {1000 * found[-1]:.2f}; {pair.completed} calls complete, {len(pair.asked)} not answered",
        flush=True,
    )


def main() -> None:
    """What the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=10, help="of each load")
    parser.add_argument("--loads", type=float, nargs="+", default=LOADS)
    parser.add_argument("--picture", type=Path, help="where the picture is written")
    parser.add_argument("--emergency", action="store_true")
    parser.add_argument("--added", action="store_true")
    parser.add_argument(
        "--rate", type=float, default=0, help="of --added: calls a second, with no time spent"
    )
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = str(_FOLDER / "spending")
    # SIPp and this process have the other processor.
    os.sched_setaffinity(0, {1})
    if not (arguments.emergency or arguments.added):
        compare(arguments.loads, arguments.seconds, arguments.picture)
        return
    with tempfile.TemporaryDirectory() as folder:
        sustained = sustains(oneproxy(Path(folder)), Path(folder))
    print(f"OneProxy sustains {sustained:.0f} calls/s", flush=True)
    if arguments.emergency:
        emergency(sustained, arguments.seconds)
    if arguments.added:
        added(0.7 * sustained, arguments.seconds, "2 ms spent")
        if arguments.rate:
            os.environ["SPENDING_MS"] = "0"
            added(arguments.rate, arguments.seconds, "no time spent")


if __name__ == "__main__":
    main()
