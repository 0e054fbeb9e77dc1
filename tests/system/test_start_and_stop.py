"""How it starts, how it does not, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from system.server import DOMAIN, Server, alive, configuration, descendants, wait_until_gone
from system.wire import Client, answer_to, free_port, read_answer
from waiting import PATIENCE_S, until_now


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, subscribers={"bob": "secret"}, options=["--drain", "3600"]) as running:
        yield running


@pytest.fixture
def caller(server: Server) -> Iterator[Client]:
    made = Client(server.host, server.port)
    yield made
    made.close()


def run(folder: Path, text: str, command: str = "run") -> subprocess.CompletedProcess[str]:
    """Run `oneproxy` with a configuration that it is expected to refuse."""
    path = folder / "refused.toml"
    path.write_text(text)
    arguments = ["run", "--config", str(path)] if command == "run" else [command, str(path)]
    return subprocess.run(
        [sys.executable, "-m", "oneproxy", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def the_line_for_people(stderr: str) -> str:
    """The only line that is not a log event; nothing in it or around it is a traceback."""
    assert "Traceback" not in stderr
    (line,) = [text for text in stderr.splitlines() if not text.startswith("{")]
    return line


def test_it_answers_options_and_sigterm_ends_it_with_status_0(server: Server) -> None:
    processes = server.pids()
    assert len(processes) >= 3
    assert server.stop() == 0
    assert [pid for pid in processes if alive(pid)] == []
    assert "Traceback" not in server.log()


def ring(caller: Client, bob: socket.socket) -> tuple[bytes, Any]:
    """Have a call ring at `bob`; its INVITE, and where that came from."""
    bob.bind(("127.0.0.1", 0))
    bob.settimeout(PATIENCE_S)
    contact = f"sip:bob@127.0.0.1:{bob.getsockname()[1]}"
    registered = caller.ask("REGISTER", f"sip:{DOMAIN}", f"bob@{DOMAIN}", contact=contact)
    assert registered is not None
    assert registered.status == 200
    caller.send(caller.request("INVITE", f"sip:bob@{DOMAIN}", f"bob@{DOMAIN}", call_id="open"))
    invite, hop = bob.recvfrom(65536)
    bob.sendto(answer_to(invite, 180, "Ringing"), hop)
    while (ringing := read_answer(caller.receive(PATIENCE_S) or b"")) and ringing.status != 180:
        pass
    assert ringing is not None
    return invite, hop


def test_a_stop_lets_the_open_call_be_answered_and_refuses_a_new_one(server: Server, caller: Client) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bob:
        invite, hop = ring(caller, bob)
        os.kill(server.pid, signal.SIGTERM)
        # Until the node has heard of it, requests are still accepted.
        while (told := caller.ask("REGISTER", f"sip:{DOMAIN}", f"bob@{DOMAIN}")) and told.status == 200:
            pass
        refused = caller.ask("INVITE", f"sip:bob@{DOMAIN}", f"bob@{DOMAIN}")
        assert refused is not None
        assert refused.status == 503
        bob.sendto(answer_to(invite, 200, "OK"), hop)
        answered = caller.final("open", PATIENCE_S)
    assert answered is not None
    assert answered.status == 200


def test_the_node_is_stopped_before_the_recorder(server: Server) -> None:
    node, recorder = server.child("node"), server.child("recorder")
    os.kill(server.pid, signal.SIGTERM)
    wait_until_gone([recorder])
    assert not alive(node)
    assert server.ended() == 0


def test_a_second_interrupt_ends_it_at_once(server: Server, caller: Client) -> None:
    children = descendants(server.pid)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bob:
        ring(caller, bob)
        os.kill(server.pid, signal.SIGINT)
        # Signals that come at once are one.
        until_now(lambda: '"event": "stopping"' in server.log(), server.log)
        os.kill(server.pid, signal.SIGINT)
        # The call would have had an hour.
        assert server.ended() == 130
    assert [pid for pid in children if alive(pid)] == []


def test_a_port_in_use_is_one_clear_line_and_status_1(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        ended = run(tmp_path, configuration(address, database=f"sqlite:///{tmp_path}/x.db", subscribers={}))
    assert ended.returncode == 1
    line = the_line_for_people(ended.stderr)
    assert address in line
    assert "another program uses it" in line


def test_an_unwritable_database_is_one_clear_line_and_status_1(tmp_path: Path) -> None:
    # A file where a folder should be: not even root can write below it.
    (tmp_path / "file").write_text("")
    database = f"{tmp_path}/file/x.db"
    address = f"127.0.0.1:{free_port()}"
    ended = run(tmp_path, configuration(address, database=f"sqlite:///{database}", subscribers={}))
    assert ended.returncode == 1
    line = the_line_for_people(ended.stderr)
    assert database in line


MISTAKEN = """\
[node]
name = 7
[[listen]]
transport = "pigeon"
address = "127.0.0.1:0x"
[database]
proxy = "sqlite:///{folder}/never.db"
[[domain]]
name = "example.com"
max_contacts = "ten"
colour = "blue"
[[subscriber]]
aor = "alice"
password = "secret"
"""


@pytest.mark.parametrize("command", ["run", "check"])
def test_every_mistake_in_a_configuration_is_named_with_its_line(tmp_path: Path, command: str) -> None:
    ended = run(tmp_path, MISTAKEN.format(folder=tmp_path), command)
    told = (ended.stdout + ended.stderr).splitlines()
    assert ended.returncode == 2
    for line, key in (
        (2, "name"),
        (4, "transport"),
        (5, "address"),
        (10, "max_contacts"),
        (11, "colour"),
        (13, "aor"),
    ):
        assert any(f":{line}:" in text and key in text for text in told), f"{key}, line {line}: {told}"
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stdout + ended.stderr
    assert not (tmp_path / "never.db").exists()
