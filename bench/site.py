"""A site of 10,000 new subscribers applied while calls are placed: what it costs them.

Prints what one part and the last word of a change hold up a node's loop, then the 99th
percentile of the time to the answer without and with the change, and what failed.
"""

import csv
import gc
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from load import Load, oneproxy

from oneproxy.ipc.messages import FromRecorder, SitePart
from oneproxy.ipc.stream import Decoder, encode
from oneproxy.policy.live import Live
from oneproxy.site.entries import encode_value
from oneproxy.site.password import HASHES, hash_password
from oneproxy.store.sites import PART

NEW = 10_000
RATE = 500
CALLS = RATE * 20


def subscribers(count: int) -> list[tuple[str, str, str]]:
    """Entries as they come."""
    aors = [f"agent{number}@oneproxy.test" for number in range(count)]
    return [
        ("subscriber", aor, encode_value({"aor": aor, "ha1": hash_password(aor, "secret", HASHES)}))
        for aor in aors
    ]


def took_ms(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def stalls(count: int) -> tuple[float, float, float]:
    """Milliseconds of the median and the longest part, and of the last word."""
    # As a node has it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    live = Live()
    rows = subscribers(count)
    parts = []
    for begin in range(0, count, PART):
        frame = encode(SitePart(rows[begin : begin + PART], begin == 0))
        decoder = Decoder[FromRecorder](FromRecorder)

        def take(frame: bytes = frame, decoder: Decoder[FromRecorder] = decoder) -> None:
            for message in decoder.feed(frame):
                assert isinstance(message, SitePart)
                live.stage(message.entries, message.first)

        parts.append(took_ms(take))
    return sorted(parts)[len(parts) // 2], max(parts), took_ms(lambda: live.become(1, 0.0, False))


def answer_times(folder: Path) -> list[float]:
    """Milliseconds to each answer of the last run, sorted; the files are removed."""
    times: list[float] = []
    for path in folder.glob("call_*_rtt.csv"):
        with path.open() as file:
            times += [float(row["response_time_ms"]) for row in csv.DictReader(file, delimiter=";")]
        path.unlink()
    return sorted(times)


def apply(folder: Path, began: threading.Event) -> None:
    """Apply the site some seconds after the calls have begun."""
    began.wait()
    time.sleep(8)
    done = subprocess.run(
        [sys.executable, "-m", "oneproxy", "apply", "more.toml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"  apply: {done.stdout.splitlines()[:1] or done.stderr}")


def main() -> None:
    """Measure and print."""
    for count in (NEW, 200_000):
        middle, longest, word = stalls(count)
        print(f"{count} new subscribers: a part of {PART} holds up the loop for {middle:.2f} ms")
        print(f"  (at most {longest:.2f} ms), the last word for {word:.2f} ms")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("calls, and the median, 99 %, 99.9 % and longest of the time to the answer:")
        with Load(oneproxy(folder), folder) as load:
            more = "".join(
                f'[[subscriber]]\naor = "{aor}"\npassword = "secret"\n' for _, aor, _ in subscribers(NEW)
            )
            (folder / "more.toml").write_text(load.server.config.read_text() + more)
            for change in (False, True, False, True):
                began = threading.Event()
                thread = threading.Thread(target=apply, args=(folder, began))
                if change:
                    thread.start()
                    began.set()
                result = load.calls(CALLS, RATE, 1000, ["-trace_rtt", "-rtt_freq", "1"])
                if change:
                    thread.join()
                    subprocess.run(
                        [sys.executable, "-m", "oneproxy", "rollback", "1", "-c", "more.toml"],
                        cwd=folder,
                        stdout=subprocess.DEVNULL,
                        check=True,
                    )
                times = answer_times(folder)
                at = [times[int(len(times) * share)] for share in (0.5, 0.99, 0.999)]
                name = "with a change" if change else "without one"
                print(f"{name}: {result.done} calls, {result.failed} failed, {result.retransmissions} again;")
                print("  answered in ms: " + ", ".join(f"{one:.1f}" for one in (*at, times[-1])))


if __name__ == "__main__":
    main()
