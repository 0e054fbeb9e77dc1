"""What other programs do over HTTP, and what phones see of it: whole servers, on both databases."""

import contextlib
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from certificates import Authority
from system.agents.agent import Agent
from system.agents.call import establish, hang_up
from system.agents.channel import connect
from system.registering import prove
from system.server import DOMAIN, Server
from system.wire import Client, free_port
from waiting import PATIENCE_S, until_now

TOKENS = {"ops": ("write", "a-writers-token"), "crm": ("read", "a-readers-token")}


def admin_section(port: int) -> str:
    """The [admin] of a file. Who looks whether a password is good already is no guesser."""
    lines = ["[admin]", f'address = "127.0.0.1:{port}"']
    for name, (role, token) in TOKENS.items():
        digest = sha256(token.encode()).hexdigest()
        lines += ["[[admin.token]]", f'name = "{name}"', f'role = "{role}"', f'sha256 = "{digest}"']
    return "\n".join([*lines, "[flood]", "wrong_passwords = 0", "account_wrong_passwords = 0", ""])


class Program:
    """A server with an HTTP API, a program that uses it, and a phone that looks at what comes of it."""

    def __init__(self, folder: Path, database: str) -> None:
        self.port = free_port("127.0.0.1")
        self.server = Server(
            folder, subscribers={"bob": "b"}, authenticate=["REGISTER"], more=admin_section(self.port)
        )
        text = self.server.config.read_text()
        self.server.config.write_text(text.replace(f"sqlite:///{folder}/oneproxy.db", database))
        self.server.start()
        self.phone = Client(self.server.host, self.server.port)
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {TOKENS['ops'][1]}"},
            timeout=PATIENCE_S,
        )
        self.wait_until_it_answers()

    def close(self) -> None:
        """Leave nothing behind."""
        self.http.close()
        self.phone.close()
        self.server.close()

    def wait_until_it_answers(self) -> None:
        """Wait until the API answers and knows the recorder."""
        until_now(self._is_well, self.server.log)

    def _is_well(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return bool(self.http.get("/v1/health").json()["status"] == "ok")
        return False

    def ask(self, method: str, path: str, status: int = 200, body: Any = None) -> Any:
        """What is answered with this status."""
        answer = self.http.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def seen(self, look: Callable[[], bool]) -> float:
        """Seconds until `look` is true."""
        began = time.monotonic()
        until_now(look, self.server.log)
        return time.monotonic() - began


@pytest.fixture
def program(tmp_path: Path, database_url: str) -> Iterator[Program]:
    made = Program(tmp_path, database_url)
    yield made
    made.close()


@pytest.fixture
def sqlite_program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path, f"sqlite:///{tmp_path}/oneproxy.db")
    yield made
    made.close()


def test_a_subscriber_that_is_created_registers_and_is_refused_when_it_is_deleted(
    program: Program, record_property: Callable[[str, object], None]
) -> None:
    phone, aor = program.phone, f"zoe@{DOMAIN}"
    assert prove(phone, "zoe", "z") == 401
    made = program.ask("POST", "/v1/subscribers", 201, {"aor": aor, "password": "z"})
    took = program.seen(lambda: prove(phone, "zoe", "z") == 200)
    (binding,) = program.ask("GET", f"/v1/locations/{aor}")["items"]
    assert (binding["contact"], binding["static"]) == (f"sip:zoe@{phone.local}", False)
    assert binding in program.ask("GET", "/v1/locations?prefix=zoe")["items"]
    version = program.ask("DELETE", f"/v1/subscribers/{aor}")["version"]
    gone = program.seen(lambda: prove(phone, "zoe", "z") == 401)
    assert version == made["version"] + 1
    program.ask("POST", f"/v1/versions/{made['version']}/rollback")
    program.seen(lambda: prove(phone, "zoe", "z") == 200)
    who = [one["who"] for one in program.ask("GET", "/v1/versions")["items"]][:3]
    assert who == ["ops", "ops", "ops"]
    record_property("figure", f"a change over HTTP is seen after {max(took, gone) * 1000:.0f} ms at most")


def test_a_call_reaches_a_binding_that_was_added_by_hand_until_it_is_removed(program: Program) -> None:
    place = program.server.places["UDP"]
    alice, bob = Agent(connect(place), "alice", DOMAIN), Agent(connect(place), "bob", DOMAIN)
    with contextlib.closing(alice), contextlib.closing(bob):
        path = f"/v1/locations/bob@{DOMAIN}"
        program.ask("POST", path, 201, {"contact": bob.contact})
        call = establish(alice, bob)
        hang_up(call.caller, call.callee)
        assert program.ask("GET", "/v1/health")["nodes"][0]["bindings"] == 1
        assert program.ask("DELETE", path) == {"removed": 1}
        assert program.ask("GET", path)["items"] == []
        program.seen(lambda: program.ask("GET", "/v1/health")["nodes"][0]["bindings"] == 0)
    assert status_of_call(program, f"bob@{DOMAIN}") == 480


def status_of_call(program: Program, aor: str) -> int:
    answer = program.phone.ask("INVITE", f"sip:{aor}", f"alice@{DOMAIN}", contact="sip:alice@127.0.0.1:9")
    assert answer is not None
    return answer.status


def test_a_ban_is_listed_and_lifted(sqlite_program: Program) -> None:
    program = sqlite_program
    edits = [{"section": "flood", "key": "", "table": {"wrong_passwords": 3}}]
    program.ask("POST", "/v1/changes", body={"edits": edits})
    version = program.ask("GET", "/v1/health")["site_version"]
    program.seen(lambda: program.ask("GET", "/v1/health")["nodes"][0]["site_version"] == version)
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.2", 0))
    with contextlib.closing(Client(program.server.host, program.server.port, bound)) as guesser:
        assert [prove(guesser, "bob", "wrong") for _ in range(3)] == [401] * 3
        bans = program.ask("GET", "/v1/bans")
        assert [(one["name"], one["kind"]) for one in bans["items"]] == [("127.0.0.2", "source")]
        assert (bans["next"], bans["silent"]) == (None, [])
        assert prove(guesser, "bob", "b", within_s=0.3) == 0
        assert program.ask("GET", "/v1/health")["nodes"][0]["bans"] == 1
        assert prove(program.phone, "bob", "b") == 200
        assert program.ask("DELETE", "/v1/bans/127.0.0.2") == {"nodes": 1, "silent": []}
        assert program.ask("GET", "/v1/bans")["items"] == []
        assert prove(guesser, "bob", "b") == 200
        program.ask("DELETE", "/v1/bans/127.0.0.2", 404)


def test_calls_go_on_while_the_admin_process_is_killed_and_it_is_back(sqlite_program: Program) -> None:
    program = sqlite_program
    place = program.server.places["UDP"]
    alice, bob = Agent(connect(place), "alice", DOMAIN), Agent(connect(place), "bob", DOMAIN)
    with contextlib.closing(alice), contextlib.closing(bob):
        program.ask("POST", f"/v1/locations/bob@{DOMAIN}", 201, {"contact": bob.contact})
        call = establish(alice, bob)
        killed = program.server.child("admin.process")
        os.kill(killed, signal.SIGKILL)
        hang_up(call.caller, call.callee)
        call = establish(alice, bob)
        hang_up(call.caller, call.callee)
        program.wait_until_it_answers()
    assert program.server.child("admin.process") != killed


def test_a_recorder_that_is_killed_is_503_and_found_again(sqlite_program: Program) -> None:
    program = sqlite_program
    os.kill(program.server.child("recorder"), signal.SIGKILL)
    until_now(lambda: program.http.get("/v1/locations").status_code == 503)
    program.wait_until_it_answers()
    assert program.ask("GET", "/v1/locations")["items"] == []


def test_what_may_not_be_or_is_stale_or_wrong_is_said_and_changes_nothing(sqlite_program: Program) -> None:
    program = sqlite_program
    path, good = "/v1/subscribers", {"aor": f"zoe@{DOMAIN}", "password": "z"}
    before = program.ask("GET", "/v1/versions")["items"]

    def status(authorization: str | None, **more: Any) -> tuple[int, str]:
        headers = {"Authorization": authorization} if authorization else {}
        with httpx.Client(base_url=program.http.base_url) as http:
            answer = http.request(
                "POST", path, json=more.get("body", good), headers=headers | more.get("also", {})
            )
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.status_code, answer.json()["code"]

    writer = f"Bearer {TOKENS['ops'][1]}"
    assert status(None) == (401, "no-token")
    assert status("Bearer a-guessed-token") == (401, "wrong-token")
    assert status(f"Bearer {TOKENS['crm'][1]}") == (403, "read-only")
    assert status(writer, also={"If-Match": '"999"'}) == (412, "stale")
    assert status(writer, body={"aor": "zoe@elsewhere.test", "password": "z"}) == (422, "mistakes")
    assert program.ask("GET", "/v1/versions")["items"] == before
    log = program.server.log()
    assert "a-guessed-token" not in log and TOKENS["ops"][1] not in log
    assert '"event": "change asked for", "who": "crm"' in log


def test_a_client_that_says_half_a_request_keeps_nobody_from_asking(sqlite_program: Program) -> None:
    program = sqlite_program
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", program.port)))
            slow.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n")
        assert program.ask("GET", "/v1/health")["status"] == "ok"
        assert prove(program.phone, "bob", "b") == 200


def test_with_a_certificate_it_speaks_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("api", addresses=["127.0.0.1"])
    port = free_port("127.0.0.1")
    files = f'[admin]\ncertificate = "{issued.certificate}"\nkey = "{issued.key}"'
    server = Server(tmp_path, subscribers={}, more=admin_section(port).replace("[admin]", files, 1))
    context = ssl.create_default_context(cafile=authority.path)
    with server, httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=context) as http:
        give_up_at = time.monotonic() + 10
        answered = 0
        while answered != 200:
            assert time.monotonic() < give_up_at, server.log()
            with contextlib.suppress(httpx.ConnectError):
                answered = http.get("/livez").status_code
        assert [http.get("/v1/health").status_code for _ in range(11)] == [401] * 11
        wrong = {"Authorization": "Bearer guess"}
        answers = [http.get("/v1/health", headers=wrong).status_code for _ in range(11)]
        assert answers == [401] * 10 + [429]
        assert "HTTP API without TLS" not in server.log()


def test_it_stops_in_order_with_the_admin_process_first(sqlite_program: Program) -> None:
    program = sqlite_program
    assert program.server.stop() == 0
    log = program.server.log()
    assert "process killed" not in log
    assert log.index("admin process disconnected") < log.index("node disconnected")


def test_a_port_that_is_taken_is_said_and_calls_are_served_all_the_same(tmp_path: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        server = Server(tmp_path, subscribers={"bob": "b"}, more=admin_section(port))
        with server, contextlib.closing(Client(server.host, server.port)) as phone:
            until_now(lambda: "process not started" in server.log(), server.log)
            assert "another program uses it" in server.log()
            assert phone.alive(PATIENCE_S)
            taken.close()
            until_now(lambda: '"child": "admin", "pid"' in server.log(), server.log)
