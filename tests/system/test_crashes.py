"""What is left after a process was killed without warning."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from system.registering import register, register_at_rate, registered, take_until, take_what_came
from system.server import DOMAIN, Server, descendants, wait_until_gone
from system.sipp import Sipp, undisturbed, write_users
from system.wire import Client, answer_to, free_port
from waiting import PATIENCE_S

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


NUMBER = f"sip:+351912345678@{DOMAIN}"
TRUNK = """
[[access]]
source = "127.0.0.1"
action = "trust"
[[provider]]
name = "carrier"
[[provider.gateway]]
name = "only"
uri = "sip:{gateway}"
max_calls = 1
[[route]]
prefix = "+351"
provider = "carrier"
"""


class Talk:
    """One caller and one gateway, each a socket, with OneProxy between them."""

    def __init__(self, caller: Client, gateway: Client) -> None:
        self._caller = caller
        self._gateway = gateway
        #: Our route, by Call-ID.
        self._routes: dict[str, str] = {}

    def call(self, call_id: str) -> int:
        """The final status of a call that the gateway takes, if it comes there."""
        self._caller.send(self._request("INVITE", call_id, 1, NUMBER))
        # A final answer comes from the gateway, or from OneProxy without it.
        self._answer("INVITE", 1.0)
        status = self._status(call_id)
        if status == 200:
            self._caller.send(self._request("ACK", call_id, 1, f"sip:gw@{self._gateway.local}"))
        return status

    def hang_up(self, call_id: str) -> int:
        """The final status of its BYE."""
        self._caller.send(self._request("BYE", call_id, 2, f"sip:gw@{self._gateway.local}"))
        self._answer("BYE", PATIENCE_S)
        return self._status(call_id)

    def _status(self, call_id: str) -> int:
        answer = self._caller.final(call_id, PATIENCE_S)
        assert answer is not None
        self._routes.setdefault(call_id, (answer.headers.get("record-route") or [""])[-1])
        return answer.status

    def _request(self, method: str, call_id: str, cseq: int, uri: str) -> str:
        route = self._routes.get(call_id)
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._caller.local};rport;branch=z9hG4bK-{call_id}-{cseq}{method}",
            *([f"Route: {route}"] if route else []),
            "Max-Forwards: 70",
            f"From: <sip:caller@{DOMAIN}>;tag=asking",
            f"To: <{NUMBER}>{';tag=answered' if route else ''}",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:caller@{self._caller.local}>",
            "Content-Length: 0",
        ]
        return "\r\n".join([*lines, "", ""])

    def _answer(self, method: str, within_s: float) -> None:
        """Answer the next request of this method that the gateway gets, with its Contact."""
        give_up = time.monotonic() + within_s
        while (data := self._gateway.receive(give_up - time.monotonic())) is not None:
            if data.startswith(f"{method} ".encode()):
                contact = f"\r\nContact: <sip:gw@{self._gateway.local}>\r\n\r\n".encode()
                self._gateway.send(answer_to(data, 200, "OK").replace(b"\r\n\r\n", contact, 1))
                return


def test_a_killed_node_counts_the_calls_of_its_gateways_that_are_still_on(tmp_path: Path) -> None:
    port = free_port()
    at_gateway = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    at_gateway.bind(("127.0.0.2", 0))
    gateway, caller = Client("127.0.0.1", port, at_gateway), Client("127.0.0.1", port)
    more = TRUNK.format(gateway=gateway.local)
    talk = Talk(caller, gateway)
    with Server(tmp_path, subscribers={"alice": "secret"}, port=port, more=more) as server:
        assert [talk.call("first"), talk.call("second")] == [200, 503]
        killed = server.child("node")
        os.kill(killed, signal.SIGKILL)
        wait_until_gone([killed])
        server.wait_until_answering()
        assert talk.call("third") == 503
        assert talk.hang_up("first") == 200
        assert talk.call("fourth") == 200
        # And over the orderly end of everything.
        assert server.stop() == 0
        server.start()
        assert [talk.call("fifth"), talk.hang_up("fourth"), talk.call("sixth")] == [503, 200, 200]
    caller.close()
    gateway.close()
