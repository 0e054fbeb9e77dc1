"""Password guesses from many addresses, while calls go on: none of these fails, and who guesses is banned.

    python bench/guesses.py --guesses 100000 --sources 1000 --rate 200

All addresses are of 127.0.0.0/8. Prints what became of the guesses and of the calls, and the CPU
of the node with the guesses and without.
"""

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

from load import USERS, Load, Server

from system.guesses import Guesser, addresses


def server(folder: Path) -> Server:
    """OneProxy, whose users prove their password when they register."""
    return Server(
        folder, subscribers=dict.fromkeys(USERS, "secret"), authenticate=["REGISTER"], algorithms=["MD5"]
    )


def main() -> int:
    """Guess and call; 1 where a call failed or a guesser is still heard."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--guesses", type=int, default=100_000)
    parser.add_argument("--sources", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=200, help="calls a second")
    parser.add_argument("--seconds", type=int, default=40, help="of calls")
    parser.add_argument("--guess-rate", type=int, default=4000, help="guesses a second")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Load(server(Path(folder)), Path(folder), password="secret") as load,
    ):
        began, before = time.monotonic(), load.cpu_s()
        alone = load.calls(arguments.rate * 10, arguments.rate)
        alone_s = (load.cpu_s() - before) / (time.monotonic() - began)
        place = (load.server.host, load.server.port)
        with Guesser(place, USERS, list(addresses(arguments.sources))) as guesser:
            each = arguments.guesses // arguments.sources
            guessing = threading.Thread(target=guesser.guess, args=(each, arguments.guess_rate))
            began, before = time.monotonic(), load.cpu_s()
            guessing.start()
            result = load.calls(arguments.rate * arguments.seconds, arguments.rate)
            spent_s = (load.cpu_s() - before) / (time.monotonic() - began)
            guessing.join()
            heard = guesser.hears()
    print(f"{guesser.sent} guesses from {arguments.sources} addresses, answered: {dict(guesser.statuses)}")
    print(f"{heard} of these addresses are still answered")
    print(
        f"{result.done} calls done, {result.failed} failed, {result.retransmissions} messages sent again,"
        f" answered in {result.answer_ms:.1f} ms; without guesses {alone.answer_ms:.1f} ms"
    )
    print(f"CPU of the server: {100 * spent_s:.0f} %, without guesses {100 * alone_s:.0f} %")
    return int(result.failed or alone.failed or heard > 0)


if __name__ == "__main__":
    sys.exit(main())
