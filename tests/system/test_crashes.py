"""What is left after a process was killed without warning."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from system.registering import register, register_at_rate, registered, take_until, take_what_came
from system.server import Server, descendants, wait_until_gone
from system.sipp import Sipp, undisturbed, write_users
from system.wire import Client

USERS = [f"user{number}" for number in range(600)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, subscribers=dict.fromkeys(USERS, "secret")) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    made = Client(server.host, server.port)
    yield made
    made.close()


def test_every_registration_that_was_answered_outlives_a_kill_of_all_processes(
    server: Server, client: Client
) -> None:
    answered: set[str] = set()
    register_at_rate(client, USERS, 300, answered)
    # Most are answered, and the others are on their way.
    take_until(client, answered, 500)
    server.kill_all()
    take_what_came(client, answered)
    assert len(answered) >= 500
    server.start()
    assert answered - registered(client, sorted(answered)) == set()


def test_a_killed_node_is_back_with_all_bindings(
    server: Server, client: Client, record_property: Callable[[str, object], None]
) -> None:
    answered: set[str] = set()
    register_at_rate(client, USERS[:300], 600, answered)
    take_until(client, answered, 300)
    assert len(answered) == 300
    killed = server.child("node")
    began = time.monotonic()
    os.kill(killed, signal.SIGKILL)
    server.wait_until_answering()
    assert registered(client, USERS[:300]) == set(USERS[:300])
    took_s = time.monotonic() - began
    record_property("figure", f"a killed node is back with all bindings after {took_s * 1000:.0f} ms")
    assert server.child("node") != killed


def test_calls_are_not_disturbed_by_a_killed_recorder(server: Server, client: Client, tmp_path: Path) -> None:
    with Sipp("answer", tmp_path) as called:
        rows = [f"{user};{called.port}" for user in USERS[:50]]
        with Sipp(
            "register",
            tmp_path,
            server=server.address,
            users=write_users(tmp_path / "r", rows),
            calls=50,
            rate=200,
        ) as registering:
            assert registering.result().done == 50
        calls = write_users(tmp_path / "c", USERS[:50])
        with Sipp(
            "call", tmp_path, server=server.address, users=calls, calls=400, rate=100, options=["-d", "500"]
        ) as calling:
            time.sleep(1.5)
            killed = server.child("recorder")
            os.kill(killed, signal.SIGKILL)
            result = calling.result()
    assert undisturbed(result, 400), result
    # And it is back: a registration is stored and answered again.
    answer = register(client, "user500")
    assert answer is not None
    assert answer.status == 200
    assert server.child("recorder") != killed


def test_no_process_outlives_a_killed_supervisor(server: Server) -> None:
    children = descendants(server.pid)
    assert len(children) >= 2
    os.kill(server.pid, signal.SIGKILL)
    wait_until_gone([server.pid, *children])
