"""Calls by the hundred, on a network that loses datagrams."""

from pathlib import Path

from system.server import Server
from system.sipp import Sipp, undisturbed, write_users

USERS = [f"user{number}" for number in range(50)]


def test_every_call_completes_though_one_datagram_in_twenty_is_lost(tmp_path: Path) -> None:
    with (
        Server(tmp_path, subscribers=dict.fromkeys(USERS, "secret")) as server,
        Sipp("answer", tmp_path, lost=5) as called,
    ):
        rows = write_users(tmp_path / "rows", [f"{user};{called.port}" for user in USERS])
        with Sipp(
            "register", tmp_path, server=server.address, users=rows, calls=50, rate=200, lost=5
        ) as registering:
            assert registering.result().done == 50
        dialled = write_users(tmp_path / "dialled", USERS)
        with Sipp(
            "call",
            tmp_path,
            server=server.address,
            users=dialled,
            calls=200,
            rate=50,
            lost=5,
            options=["-d", "3000"],
        ) as calling:
            result = calling.result()
    assert (result.done, result.failed) == (200, 0), result.errors
    # Proof that something was lost at all.
    assert result.retransmissions > 0


def test_every_registration_and_call_is_authenticated_under_load(tmp_path: Path) -> None:
    subscribers = dict.fromkeys(USERS, "secret")
    with (
        Server(tmp_path, subscribers=subscribers, authenticate=["REGISTER"], algorithms=["MD5"]) as server,
        Sipp("answer", tmp_path) as called,
    ):
        rows = write_users(
            tmp_path / "rows",
            [f"{user};{called.port};[authentication username={user} password=secret]" for user in USERS],
        )
        with Sipp("register", tmp_path, server=server.address, users=rows, calls=50, rate=200) as registering:
            registered = registering.result()
        assert (registered.done, registered.failed) == (50, 0), registered.errors
        dialled = write_users(tmp_path / "dialled", USERS)
        with Sipp(
            "call", tmp_path, server=server.address, users=dialled, calls=300, rate=100, options=["-d", "200"]
        ) as calling:
            result = calling.result()
    assert undisturbed(result, 300), result
