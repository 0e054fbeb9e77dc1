"""The calls of a running OneProxy are looked at, and ended by hand: by a command, and over HTTP."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from system.server import DOMAIN, Server
from system.wire import Client, answer_to, free_port
from waiting import PATIENCE_S, until_now

NUMBER = "+351912345678"
TOKEN = "a-writers-token"


def more(gateway: Client, api: int) -> str:
    """A gateway to which all numbers go, a caller who is trusted, records, and an API at this port."""
    return f"""
[admin]
address = "127.0.0.1:{api}"
[[admin.token]]
name = "ops"
role = "write"
sha256 = "{sha256(TOKEN.encode()).hexdigest()}"
[cdr]
enabled = true
[[access]]
source = "127.0.0.1"
action = "trust"
[[provider]]
name = "carrier"
[[provider.gateway]]
name = "a1"
uri = "sip:{gateway.local}"
[[route]]
prefix = "+351"
provider = "carrier"
"""


class Stage(contextlib.ExitStack):
    """A server, a caller and a gateway, each with a socket; and who looks at their calls."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._api = free_port("127.0.0.1")
        # At another address than the caller, who would be taken for it.
        self.gateway = Client("127.0.0.2", 9)
        self.callback(self.gateway.close)
        self.server = Server(folder, subscribers={"bob": "secret"}, more=more(self.gateway, self._api))
        self.callback(self.server.close)
        self.caller = Client(self.server.host, self.server.port)
        self.callback(self.caller.close)
        self.http = self.enter_context(
            httpx.Client(
                base_url=f"http://127.0.0.1:{self._api}",
                headers={"Authorization": f"Bearer {TOKEN}"},
                timeout=PATIENCE_S,
            )
        )

    def start(self) -> None:
        """Start the server, and wait until commands and programs are answered."""
        self.server.start()
        until_now((self.server.folder / "oneproxy-site.last.running").exists, self.server.log)
        until_now(self._is_well, self.server.log)

    def _is_well(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return bool(self.http.get("/v1/health").json()["status"] == "ok")
        return False

    def command(self, *words: str, status: int = 0) -> Any:
        """What `oneproxy calls` prints with --json; None where it fails."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "oneproxy", "calls", *words),
                *("--config", str(self.server.config), "--json"),
            ],
            cwd=self.server.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == status, done.stderr + self.server.log()
        return json.loads(done.stdout) if status == 0 else None

    def listed(self, query: str = "") -> list[dict[str, Any]]:
        """The calls by the HTTP API."""
        answer = self.http.get(f"/v1/calls{query}")
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def dial(self) -> bytes:
        """The caller calls; the INVITE as the gateway has it."""
        uri, contact = f"sip:{NUMBER}@{DOMAIN}", f"sip:alice@{self.caller.local}"
        self.caller.send(self.caller.request("INVITE", uri, f"alice@{DOMAIN}", call_id="c1", contact=contact))
        return self.request(self.gateway, "INVITE")

    def request(self, peer: Client, method: str) -> bytes:
        """The next request of this method that comes to a peer."""
        came: list[bytes] = []

        def look() -> bool:
            data = peer.receive(0)
            if data is not None and data.startswith(f"{method} ".encode()):
                came.append(data)
            return bool(came)

        until_now(look, self.server.log)
        return came[0]

    def answer(self, peer: Client, request: bytes, status: int, reason: str, contact: str = "") -> None:
        """A peer answers."""
        data = answer_to(request, status, reason).decode("latin-1")
        if contact:
            data = data.replace("Content-Length:", f"Contact: <{contact}>\r\nContent-Length:")
        peer._socket.sendto(data.encode("latin-1"), (self.server.host, self.server.port))

    def comes_to(self, state: str) -> dict[str, Any]:
        """The one call, once it is as far."""
        until_now(lambda: [one["state"] for one in self.listed()] == [state], self.server.log)
        (one,) = self.listed()
        return one


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as made:
        made.start()
        yield made


def test_a_call_is_shown_until_it_is_ended_by_a_command_with_a_bye_to_each_side(stage: Stage) -> None:
    invite = stage.dial()
    first = stage.comes_to("calling")
    assert (first["node"], first["caller"], first["callee"]) == ("tested", f"alice@{DOMAIN}", NUMBER)
    assert (first["provider"], first["gateway"], first["answered_at"]) == ("carrier", "a1", None)
    assert first["source"] == stage.caller.local
    stage.answer(stage.gateway, invite, 180, "Ringing")
    assert stage.comes_to("ringing")["id"] == first["id"]
    stage.answer(stage.gateway, invite, 200, "OK", f"sip:gate@{stage.gateway.local}")
    answered = stage.comes_to("answered")
    assert (answered["id"], answered["since"]) == (first["id"], first["since"])
    assert answered["answered_at"] >= answered["since"]
    shown = stage.command("--number", NUMBER[4:], "--gateway", "a1")
    assert ([one["id"] for one in shown["items"]], shown["total"]) == ([first["id"]], 1)
    assert stage.command("--state", "ringing")["items"] == []
    told = stage.command("--end", first["id"], "--reason", "Fecho às 18")
    assert told == {"id": first["id"], "node": "tested", "silent": []}
    for peer in (stage.caller, stage.gateway):
        bye = stage.request(peer, "BYE")
        assert 'Reason: SIP;cause=480;text="Fecho às 18"\r\n' in bye.decode()
        stage.answer(peer, bye, 200, "OK")
    assert stage.listed() == []
    stage.command("--end", first["id"], status=2)


def test_a_call_that_rings_is_ended_over_http_by_a_cancel(stage: Stage) -> None:
    invite = stage.dial()
    stage.answer(stage.gateway, invite, 180, "Ringing")
    name = stage.comes_to("ringing")["id"]
    ended = stage.http.delete(f"/v1/calls/{name}", params={"reason": "Closing time"})
    assert (ended.status_code, ended.json()["node"]) == (200, "tested")
    cancel = stage.request(stage.gateway, "CANCEL")
    assert b'Reason: SIP;cause=480;text="Closing time"\r\n' in cancel
    stage.answer(stage.gateway, cancel, 200, "OK")
    stage.answer(stage.gateway, invite, 487, "Request Terminated")
    refused = stage.caller.final("c1", PATIENCE_S)
    assert refused is not None
    assert refused.status == 487
    until_now(lambda: stage.listed() == [], stage.server.log)
    gone = stage.http.delete(f"/v1/calls/{name}")
    assert (gone.status_code, gone.json()["code"]) == (404, "not-found")
