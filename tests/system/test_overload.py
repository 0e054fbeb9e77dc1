"""More calls than there is time for, with a step that was installed and spends it: SIPp is told so."""

import json
from pathlib import Path

import pytest

from system.server import Server
from system.sipp import Sipp, write_users
from waiting import until_now

#: A package that adds a step, as an operator's would.
SPENDING = Path(__file__).parents[2] / "bench/spending"
CALLS = 1800
RATE = 600
#: At 5 ms a call there is time for 200 in a second at most, whatever else the machine does.
SPENT_MS = 5
USER = "bob"


def test_calls_that_there_is_no_time_for_are_refused_and_the_others_are_whole_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(SPENDING))
    monkeypatch.setenv("SPENDING_MS", str(SPENT_MS))
    with Server(tmp_path, subscribers={USER: "secret"}) as server, Sipp("answer", tmp_path) as called:
        rows = write_users(tmp_path / "users", [f"{USER};{called.port}"])
        with Sipp("register", tmp_path, server=server.address, users=rows, calls=1, rate=1) as registering:
            assert registering.result().done == 1
        dialled = write_users(tmp_path / "dialled", [USER])
        with Sipp(
            "call",
            tmp_path,
            server=server.address,
            users=dialled,
            calls=CALLS,
            rate=RATE,
            options=["-d", "100"],
        ) as calling:
            result = calling.result()
        until_now(lambda: "no more overloaded" in server.log(), server.log)
        log = (server.folder / "server.log").read_text().splitlines()
    events = [json.loads(line) for line in log if line.startswith("{")]
    first, *_, last = [one for one in events if "overloaded" in one["event"]]
    assert (first["event"], first["code"]) == ("overloaded", "overload-call")
    assert (last["event"], set(last["codes"])) == ("no more overloaded", {"overload-call"})
    # Nothing else happened to any of them: what failed was answered by a 503.
    assert (result.done + result.failed, result.done > 0, result.failed > 0) == (CALLS, True, True), result
    assert set(result.reasons) <= {"FailedCall", "FailedUnexpectedMessage"}, result
    assert "503" in result.errors


def test_a_step_that_cannot_be_used_keeps_it_from_starting_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    information = tmp_path / "broken-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[oneproxy.steps]\nbroken = nowhere:Step\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server = Server(tmp_path, subscribers={})
    try:
        server.launch()
        assert server.ended() == 1
        assert "step broken (nowhere:Step): ModuleNotFoundError" in server.log()
    finally:
        server.close()
