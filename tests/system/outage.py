"""A database server that is gone for a while, under load: what becomes of calls and registrations.

Some users are registered before, and are called all the time. Others register while the
database is there, away, and back. In the end every binding that the server names is
compared with the row in the table.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psycopg

from postgres import Cluster
from system.registering import contact_of, register, register_at_rate, take_until
from system.server import DOMAIN, Server
from system.sipp import Result, Sipp, write_users
from system.wire import Client, read_answer
from waiting import PATIENCE_S

CALLED: Final = [f"called{number}" for number in range(20)]


class Registering(threading.Thread):
    """Registers users over and over, `rate` a second; counts the answers by status and phase."""

    def __init__(self, server: Server, users: Sequence[str], rate: int) -> None:
        super().__init__()
        self._client = Client(server.host, server.port)
        self._users = users
        self._rate = rate
        self._ended = threading.Event()
        #: "before", "away" or "after", as the one who stops the database says.
        self.phase = "before"
        self.answers: Counter[tuple[str, int]] = Counter()
        self.sent: Counter[str] = Counter()

    def run(self) -> None:
        began = time.monotonic()
        number = 0
        while not self._ended.is_set():
            user = self._users[number % len(self._users)]
            aor = f"{user}@{DOMAIN}"
            # The phase in which it was asked stands in the Call-ID.
            phase = self.phase
            call_id = f"{phase}-{number}-{user}"
            self._client.send(
                self._client.request(
                    "REGISTER", f"sip:{DOMAIN}", aor, call_id=call_id, contact=contact_of(user)
                )
            )
            self.sent[phase] += 1
            number += 1
            self._collect(began + number / self._rate)
        give_up = time.monotonic() + PATIENCE_S
        while self.answers.total() < self.sent.total() and time.monotonic() < give_up:
            self._collect(time.monotonic() + 0.1)
        self._client.close()

    def _collect(self, until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            data = self._client.receive(left)
            answer = read_answer(data) if data else None
            if answer is not None and answer.status >= 200:
                self.answers[answer.call_id.partition("-")[0], answer.status] += 1

    def turn(self, phase: str) -> None:
        """Begin the next phase, and wait until what was asked in the last one is answered."""
        last, self.phase = self.phase, phase
        give_up = time.monotonic() + PATIENCE_S
        while self._answered(last) < self.sent[last] and time.monotonic() < give_up:
            time.sleep(0.01)

    def _answered(self, phase: str) -> int:
        return sum(count for (asked, _), count in list(self.answers.items()) if asked == phase)

    def stop(self) -> None:
        """Send no more, and wait for the last answers."""
        self._ended.set()
        self.join()


class Outcome:
    """What an outage did."""

    def __init__(self, calls: Result, registering: Registering) -> None:
        self.calls = calls
        self.sent = registering.sent
        self.answers = registering.answers
        #: AoR to contacts: of the table, and as the server names them.
        self.stored: dict[str, set[str]] = {}
        self.named: dict[str, set[str]] = {}

    def differences(self) -> list[str]:
        """AoRs whose bindings are not the same in both."""
        empty: set[str] = set()
        aors = self.stored.keys() | self.named.keys()
        return sorted(aor for aor in aors if self.stored.get(aor, empty) != self.named.get(aor, empty))


def go_through(
    server: Server, cluster: Cluster, url: str, folder: Path, users: Sequence[str], away_s: float, rate: int
) -> Outcome:
    """Stop the database of a running server for `away_s`, start it again, and compare.

    users: who registers all the time, `rate` a second.
    """
    client = Client(server.host, server.port)
    with Sipp("answer", folder) as called:
        rows = write_users(folder / "called", [f"{user};{called.port}" for user in CALLED])
        with Sipp("register", folder, server=server.address, users=rows, calls=20, rate=100) as first:
            assert first.result().done == len(CALLED)
        registering = Registering(server, users, rate)
        registering.start()
        calls = int((away_s + 4) * 20)
        with Sipp(
            "call",
            folder,
            server=server.address,
            users=write_users(folder / "calls", CALLED, "RANDOM"),
            calls=calls,
            rate=20,
            timeout_s=int(away_s) + 60,
            options=["-d", "200"],
        ) as calling:
            time.sleep(1.0)
            registering.turn("away")
            cluster.stop()
            time.sleep(away_s)
            cluster.start()
            _wait_until_stored(client)
            registering.turn("after")
            outcome = Outcome(calling.result(), registering)
        registering.stop()
    answered: set[str] = set()
    register_at_rate(client, ["last"], 100, answered)
    take_until(client, answered, 1)
    outcome.named = _named(client, [*CALLED, *users, "probe", "last"])
    client.close()
    # What was served from memory may still be on its way to the table.
    give_up = time.monotonic() + PATIENCE_S
    outcome.stored = _stored(url)
    while outcome.differences() and time.monotonic() < give_up:
        time.sleep(0.1)
        outcome.stored = _stored(url)
    return outcome


def _wait_until_stored(client: Client) -> None:
    """The recorder looks once a second whether the database is back: wait until REGISTERs are accepted.

    Where they are served from memory that is at once.
    """
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        answer = register(client, "probe")
        if answer is not None and answer.status == 200:
            return
        time.sleep(0.1)
    raise AssertionError("no REGISTER is stored though the database is back")


def _stored(url: str) -> dict[str, set[str]]:
    """The table, by AoR."""
    found: dict[str, set[str]] = {}
    with psycopg.connect(url) as connection:
        for aor, contact in connection.execute("SELECT aor, contact FROM location"):
            found.setdefault(aor, set()).add(contact)
    return found


def _named(client: Client, users: Sequence[str]) -> dict[str, set[str]]:
    """The contacts of each user that a query brings (RFC 3261 10.2.3)."""
    found: dict[str, set[str]] = {}
    for user in users:
        answer = client.ask("REGISTER", f"sip:{DOMAIN}", f"{user}@{DOMAIN}")
        assert answer is not None
        assert answer.status == 200, answer.status
        contacts = {value.partition("<")[2].partition(">")[0] for value in answer.headers.get("contact", [])}
        if contacts:
            found[f"{user}@{DOMAIN}"] = contacts
    return found
