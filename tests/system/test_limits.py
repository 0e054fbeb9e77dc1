"""Limits of callers, sources and domains over real sockets, offered more than that by SIPp."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from system.callee import Callee, most_within
from system.server import DOMAIN, Server
from system.sipp import Result, Sipp, write_users
from system.wire import Client
from waiting import PATIENCE_S, until_now

#: As of the limit of the node.
_LATE_S = 0.25


class Offered:
    """What became of calls that SIPp offered to a server with this limit."""

    def __init__(self, folder: Path, keys: str, calls: int, rate: int, lasts_ms: int) -> None:
        callee = Callee()
        callee.start()
        try:
            limit = f'[[congestion.limit]]\n{keys}\n[[congestion.limit]]\ndomain = "*"\nmax_calls = 9999\n'
            with Server(folder, subscribers={"bob": "secret"}, more=limit) as server:
                _register(server, callee)
                dialled = write_users(folder / "dialled", ["bob"])
                with Sipp(
                    "call",
                    folder,
                    server=server.address,
                    users=dialled,
                    calls=calls,
                    rate=rate,
                    options=["-d", str(lasts_ms)],
                ) as calling:
                    self.result: Result = calling.result()
                until_now(lambda: "no more calls refused" in server.log(), server.log)
                self.limits = _limits(server)
                log = (server.folder / "server.log").read_text().splitlines()
        finally:
            callee.close()
        self.callee = callee
        events = [json.loads(line) for line in log if line.startswith("{")]
        self.first, self.last = [one for one in events if "calls refused" in one["event"]]
        #: When each call came that got through.
        self.came = list(callee.came.values())

    def judge(self, calls: int, code: str, name: str) -> None:
        """Each call was whole or refused, and what was refused is told once and counted."""
        result = self.result
        assert (result.done, result.done + result.failed) == (len(self.came), calls), result
        assert result.failed > 0
        assert self.callee.ended == self.callee.came.keys()
        assert (self.first["event"], self.first["code"], self.first["limit"]) == ("calls refused", code, name)
        assert (self.last["event"], self.last["limit"]) == ("no more calls refused", name)
        assert self.last["codes"] == {code: self.last["refused"]}
        # An INVITE that SIPp repeats since the 503 comes late is refused again.
        assert result.failed <= self.last["refused"] <= result.failed + result.retransmissions
        assert self.limits[name]["refused"] == self.last["refused"]
        # Nothing counts as on when all is over.
        assert [one["calls_on"] for one in self.limits["domain *"]["busiest"]] == [0]


def _register(server: Server, callee: Callee) -> None:
    with closing(Client(server.host, server.port)) as client:
        contact = f"sip:bob@127.0.0.1:{callee.port}"
        registered = client.ask("REGISTER", f"sip:{DOMAIN}", f"bob@{DOMAIN}", contact=contact)
    assert registered is not None
    assert registered.status == 200


def _limits(server: Server) -> dict[str, Any]:
    """What `oneproxy limits` prints, by the name of the limit."""
    done = subprocess.run(
        [sys.executable, "-m", "oneproxy", "limits", "--config", str(server.config), "--json"],
        cwd=server.folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr + server.log()
    return {one["name"]: one for one in json.loads(done.stdout)["items"]}


@pytest.mark.parametrize(
    ("keys", "code", "name"),
    [
        ('caller = "*"', "caller-calls-per-period", "caller *"),
        ('source = "127.0.0.0/8"\nname = "loopback"', "source-calls-per-period", "loopback"),
    ],
)
def test_no_window_has_more_calls_of_one_than_he_may_have(
    tmp_path: Path, keys: str, code: str, name: str
) -> None:
    calls = 40
    offered = Offered(tmp_path, f"{keys}\ncalls = {calls}\nperiod_s = 1", 600, 200, 200)
    offered.judge(600, code, name)
    came = offered.came
    lasted_s = came[-1] - came[0]
    assert most_within(came, 1 - _LATE_S) <= calls
    # As many as there was room for, in each second of the offer.
    assert calls * int(lasted_s + _LATE_S) <= len(came) <= calls * (int(lasted_s + _LATE_S) + 1)


def test_a_domain_never_has_more_calls_at_once_than_it_may_have(tmp_path: Path) -> None:
    most = 15
    offered = Offered(tmp_path, f'domain = "{DOMAIN}"\nmax_calls = {most}', 400, 100, 400)
    offered.judge(400, "domain-max-calls", f"domain {DOMAIN}")
    # The proxy counts a call from before its INVITE comes here until after its BYE has.
    assert offered.callee.most == most
