"""What an operator changes while it runs, and when a client sees it: on both databases."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postgres import Cluster
from system.agents.digest import credentials
from system.server import Server, configuration
from system.wire import Client
from waiting import PATIENCE_S, until_now

DOMAIN = "live.test"
#: Its client tries passwords over and over until one is right.
PATIENT = "[flood]\nwrong_passwords = 0\naccount_wrong_passwords = 0\n"


class Operator:
    """A server whose site is changed by command, and a client that looks at it."""

    def __init__(self, folder: Path, database: str) -> None:
        self.server = Server(
            folder, subscribers={"alice": "old"}, authenticate=["REGISTER"], domain=DOMAIN, more=PATIENT
        )
        text = self.server.config.read_text()
        self.server.config.write_text(text.replace(f"sqlite:///{folder}/oneproxy.db", database))
        self.folder = folder
        self.database = database
        self.server.start()
        self.client = Client(self.server.host, self.server.port)

    def close(self) -> None:
        self.client.close()
        self.server.close()

    def command(self, *words: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "oneproxy", *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stdout

    def apply(self, subscribers: dict[str, str], domain: str = DOMAIN, more: str = "") -> str:
        """Have this be the site."""
        file = self.folder / "changed.toml"
        file.write_text(
            configuration(
                self.server.address,
                database=self.database,
                subscribers=subscribers,
                authenticate=["REGISTER"],
                domain=domain,
                more=PATIENT + more,
            )
        )
        return self.command("apply", str(file))

    def register(self, user: str, password: str, domain: str = DOMAIN) -> int:
        """The final status of a REGISTER with this password."""
        uri, aor = f"sip:{domain}", f"{user}@{domain}"
        call_id = f"live-{time.monotonic_ns()}"
        text = self.client.request("REGISTER", uri, aor, call_id=call_id)
        self.client.send(text)
        challenge = self.client.final(call_id, PATIENCE_S)
        assert challenge is not None
        if challenge.status != 401:
            return challenge.status
        value = challenge.headers["www-authenticate"][0]
        proof = credentials(value, "REGISTER", uri, user, password)
        text = self.client.request("REGISTER", uri, aor, call_id=call_id, cseq=2)
        self.client.send(text.replace("\r\n\r\n", f"\r\nAuthorization: {proof}\r\n\r\n"))
        answer = self.client.final(call_id, PATIENCE_S)
        assert answer is not None
        return answer.status

    def seen(self, look: Callable[[], bool]) -> float:
        """Seconds until `look` is true, counted from now."""
        began = time.monotonic()
        until_now(look, self.server.log)
        return time.monotonic() - began


@pytest.fixture
def operator(tmp_path: Path, database_url: str) -> Iterator[Operator]:
    made = Operator(tmp_path, database_url)
    yield made
    made.close()


def test_changes_are_seen_by_a_client(
    operator: Operator, record_property: Callable[[str, object], None]
) -> None:
    register = operator.register
    assert (register("alice", "old"), register("alice", "new"), register("bob", "b")) == (200, 401, 401)
    took = []
    operator.apply({"alice": "new", "bob": "b"})
    took.append(operator.seen(lambda: register("alice", "new") == 200))
    assert (register("alice", "old"), register("bob", "b")) == (401, 200)
    operator.apply({"alice": "new"})
    took.append(operator.seen(lambda: register("bob", "b") != 200))
    assert register("alice", "new") == 200
    operator.apply({"carol": "c"}, domain="other.test")
    took.append(operator.seen(lambda: register("carol", "c", "other.test") == 200))
    # The domain is denied: nobody is of it any more.
    assert register("alice", "new") in (403, 404)
    assert operator.command("rollback", "1", "--config", "changed.toml").startswith("version 5: ")
    took.append(operator.seen(lambda: register("alice", "old") == 200))
    assert register("carol", "c", "other.test") in (403, 404)
    record_property("figure", f"a change is seen after {max(took) * 1000:.0f} ms at most")


def test_changes_made_live_survive_a_restart_with_the_unchanged_file(operator: Operator) -> None:
    operator.apply({"alice": "new"})
    operator.seen(lambda: operator.register("alice", "new") == 200)
    assert operator.server.stop() == 0
    operator.server.start()
    assert operator.register("alice", "new") == 200
    text = operator.server.config.read_text()
    operator.server.config.write_text(text.replace('"old"', '"third"'))
    assert operator.server.stop() == 0
    operator.server.start()
    assert (operator.register("alice", "third"), operator.register("alice", "new")) == (200, 401)


def test_a_file_without_a_site_leaves_it_to_the_database(operator: Operator) -> None:
    assert operator.server.stop() == 0
    text = operator.server.config.read_text()
    operator.server.config.write_text(text.replace(PATIENT, "").partition("[[domain]]")[0])
    operator.server.start()
    assert operator.register("alice", "old") == 200


def test_a_start_while_the_database_is_away_ends_in_service(postgres: Cluster, tmp_path: Path) -> None:
    operator = Operator(tmp_path, postgres.database())
    last = tmp_path / "oneproxy-site.last"
    try:
        until_now(last.exists)
        assert last.stat().st_mode & 0o777 == 0o600
        assert operator.server.stop() == 0
        postgres.stop()
        try:
            operator.server.launch()
            until_now(lambda: "started without the database" in operator.server.log(), operator.server.log)
        finally:
            postgres.start()
        operator.server.wait_until_answering()
        # Who registers before the database is open again is told to come back.
        until_now(lambda: operator.register("alice", "old") != 503)
        assert operator.register("alice", "old") == 200
    finally:
        operator.close()


def test_what_export_prints_is_taken_back_without_a_difference(operator: Operator) -> None:
    text = operator.command("export", "--config", str(operator.server.config))
    (operator.folder / "exported.toml").write_text(text)
    said = operator.command("apply", "exported.toml", "--config", str(operator.server.config))
    assert said == "nothing differs; version 1 stays\n"
