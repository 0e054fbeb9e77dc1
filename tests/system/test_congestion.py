"""Calls beyond what the site allows, offered by SIPp: how many get through, and what becomes of them."""

import json
from contextlib import closing
from pathlib import Path

from system.callee import Callee, most_within
from system.server import DOMAIN, Server
from system.sipp import Sipp, write_users
from system.wire import Client
from waiting import until_now

CALLS = 50
OFFERED = 1200
RATE = 300
#: The node counts a call when it handles the INVITE. That and when it comes to the callee are
#: apart by as long as a process may wait for its turn.
_LATE_S = 0.25


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
