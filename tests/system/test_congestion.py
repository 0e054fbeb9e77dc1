"""Calls beyond what the site allows, offered by SIPp: how many get through, and what becomes of them."""

import json
import socket
import threading
import time
from contextlib import closing
from pathlib import Path

from system.server import DOMAIN, Server
from system.sipp import Sipp, write_users
from system.wire import Client, answer_to
from waiting import until_now

CALLS = 50
OFFERED = 1200
RATE = 300
#: The node counts a call when it handles the INVITE. That and when it comes to the callee are
#: apart by as long as a process may wait for its turn.
_LATE_S = 0.25


class Callee(threading.Thread):
    """Answers every call, notes when the first INVITE of each came, and how many ended."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.came: dict[bytes, float] = {}
        self.ended: set[bytes] = set()

    def run(self) -> None:
        """The thread's work, until the socket is shut."""
        while True:
            data, sender = self._socket.recvfrom(65_535)
            if not data:
                return
            call_id = data.partition(b"Call-ID:")[2].partition(b"\r\n")[0].strip()
            if data.startswith(b"INVITE "):
                self.came.setdefault(call_id, time.monotonic())
                ok = answer_to(data, 200, "OK").decode("latin-1")
                contact = f"Contact: <sip:callee@127.0.0.1:{self.port}>\r\nContent-Length"
                self._socket.sendto(ok.replace("Content-Length", contact).encode("latin-1"), sender)
            elif data.startswith(b"BYE "):
                self.ended.add(call_id)
                self._socket.sendto(answer_to(data, 200, "OK"), sender)

    def close(self) -> None:
        """End the thread."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self.join()
        self._socket.close()


def most_within(instants: list[float], seconds: float) -> int:
    """The most of them, which are in order, in any window of that length."""
    return max(sum(start <= at < start + seconds for at in instants) for start in instants)


def test_no_window_has_more_calls_than_the_site_allows_and_all_of_them_complete(tmp_path: Path) -> None:
    callee = Callee()
    callee.start()
    limit = f"[congestion]\ncalls = {CALLS}\nperiod_s = 1\nretry_after_s = [3, 4]\n"
    try:
        with Server(tmp_path, subscribers={"bob": "secret"}, more=limit) as server:
            with closing(Client(server.host, server.port)) as client:
                contact = f"sip:bob@127.0.0.1:{callee.port}"
                registered = client.ask("REGISTER", f"sip:{DOMAIN}", f"bob@{DOMAIN}", contact=contact)
            assert registered is not None
            assert registered.status == 200
            dialled = write_users(tmp_path / "dialled", ["bob"])
            with Sipp(
                "call",
                tmp_path,
                server=server.address,
                users=dialled,
                calls=OFFERED,
                rate=RATE,
                options=["-d", "500"],
            ) as calling:
                result = calling.result()
            until_now(lambda: "no more calls refused" in server.log(), server.log)
            log = (server.folder / "server.log").read_text().splitlines()
    finally:
        callee.close()
    came = list(callee.came.values())
    # Every call that got through was a whole one, and SIPp was told 503 of each other one.
    assert (result.done, result.done + result.failed) == (len(came), OFFERED), result
    assert callee.ended == callee.came.keys()
    events = [json.loads(line) for line in log if line.startswith("{")]
    first, last = [one for one in events if "refused" in one["event"]]
    assert (first["event"], first["code"]) == ("calls refused", "calls-per-period")
    assert (last["event"], last["codes"]) == ("no more calls refused", {"calls-per-period": last["refused"]})
    # An INVITE that SIPp repeats since the 503 comes late is refused again.
    assert result.failed <= last["refused"] <= result.failed + result.retransmissions
    lasted_s = came[-1] - came[0]
    assert most_within(came, 1 - _LATE_S) <= CALLS
    # As many as there was room for, in each second of the offer.
    assert CALLS * int(lasted_s + _LATE_S) <= len(came) <= CALLS * (int(lasted_s + _LATE_S) + 1)
