"""A running OneProxy is asked by commands what a call would do, and the call that comes next does it."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from system.server import DOMAIN, Server
from system.wire import Client, answer_to
from waiting import PATIENCE_S, until_now

NUMBER = "+351912345678"


def more(*gateways: Client) -> str:
    """A provider of these gateways, to which all numbers go, and a caller who is trusted."""
    lines = ["[[access]]", 'source = "127.0.0.0/8"', 'action = "trust"', "[[provider]]", 'name = "carrier"']
    for number, gateway in enumerate(gateways):
        lines += ["[[provider.gateway]]", f'name = "a{number}"', f'uri = "sip:{gateway.local}"']
    return "\n".join([*lines, "[[route]]", 'prefix = "+351"', "strip = 1", 'provider = "carrier"'])


@pytest.fixture
def gateways() -> Iterator[list[Client]]:
    # At another address than the caller, who would be taken for one of them.
    made = [Client("127.0.0.2", 9) for _ in range(2)]
    yield made
    for one in made:
        one.close()


@pytest.fixture
def server(tmp_path: Path, gateways: list[Client]) -> Iterator[Server]:
    with Server(tmp_path, subscribers={"bob": "secret"}, more=more(*gateways)) as running:
        notice = tmp_path / "oneproxy-site.last.running"
        until_now(notice.exists, running.log)
        assert stat.S_IMODE(notice.stat().st_mode) == 0o600
        yield running
    assert not notice.exists()


def asked(server: Server, *words: str) -> Any:
    """What a command prints with --json."""
    done = subprocess.run(
        [sys.executable, "-m", "oneproxy", *words, "--config", str(server.config), "--json"],
        cwd=server.folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr + server.log()
    return json.loads(done.stdout)


def invite_at(gateways: list[Client]) -> tuple[Client, bytes]:
    """The gateway that has got an INVITE, and that."""
    found: list[tuple[Client, bytes]] = []

    def came() -> bool:
        for gateway in gateways:
            data = gateway.receive(0)
            if data is not None and data.startswith(b"INVITE "):
                found.append((gateway, data))
        return bool(found)

    until_now(came)
    return found[0]


def test_a_call_goes_where_the_command_said(server: Server, gateways: list[Client]) -> None:
    (said,) = asked(server, "explain", "--from", f"bob@{DOMAIN}", "--to", NUMBER)["items"]
    caller = Client(server.host, server.port)
    try:
        uri = f"sip:{NUMBER}@{DOMAIN}"
        caller.send(
            caller.request("INVITE", uri, f"bob@{DOMAIN}", call_id="c1", contact=f"sip:{caller.local}")
        )
        gateway, invite = invite_at(gateways)
        place = gateways.index(gateway)
        assert said["gateway"] == f"carrier/a{place}"
        assert invite.decode().split()[1] == said["targets"][0] == f"sip:{NUMBER[1:]}@{gateway.local}"
        (provider,) = asked(server, "gateways")["items"]
        assert (provider["node"], provider["name"], provider["calls"]) == ("tested", "carrier", 1)
        assert [one["calls"] for one in provider["gateways"]] == [int(at == place) for at in range(2)]
        gateway._socket.sendto(answer_to(invite, 486, "Busy Here"), (server.host, server.port))
        refused = caller.final("c1", PATIENCE_S)
        assert refused is not None
        assert refused.status == 486
        until_now(lambda: asked(server, "gateways")["items"][0]["calls"] == 0, server.log)
    finally:
        caller.close()
