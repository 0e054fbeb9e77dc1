"""Calls that are routed, of SIPp through SIPp gateways, over a running server."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.gateways import CALLER_HOST, TRUST, Gateways, read_log
from system.server import DOMAIN, Server
from system.sipp import Sipp, undisturbed, write_users
from system.wire import Client
from waiting import until_now

NUMBER = "+351912345678"
#: What a caller may be waiting for when a gateway dies: it is asked again after half a second
#: (RFC 3261 17.1.1.2), and given up when it has said nothing for so long.
TRY_FOR = "try_for_ms = 2000"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateways]:
    """One that is well."""
    with Gateways(1, tmp_path) as gateways:
        yield gateways


def route(prefix: str, *keys: str) -> str:
    return "\n".join(["[[route]]", f'prefix = "{prefix}"', *keys]) + "\n"


def call(server: Server, folder: Path, number: str, scenario: str = "routed", **options: object) -> Sipp:
    """Calls to one number, which are on for a second."""
    made: dict[str, object] = {
        "calls": 20,
        "rate": 20,
        "options": ["-d", "1000", "-key", "dom", DOMAIN],
    }
    dialled = write_users(folder / "dialled.csv", [number])
    return Sipp(scenario, folder, server=server.address, users=dialled, **{**made, **options})  # type: ignore[arg-type]


def test_no_call_is_lost_where_one_gateway_dies_and_another_refuses_every_other_call(tmp_path: Path) -> None:
    calls = 600
    with Gateways(5, tmp_path, failing_from={2: int(time.time())}) as gateways:
        more = TRUST + gateways.provider("carrier", [TRY_FOR]) + route("+351", 'provider = "carrier"')
        with (
            Server(tmp_path, subscribers={}, more=more) as server,
            call(server, tmp_path, NUMBER, calls=calls, rate=50) as calling,
        ):
            # Both have calls by then, or the test would show nothing.
            until_now(lambda: len(gateways.invites(1)) > 20 and gateways.refused(2))
            gateways.all[0].kill()
            result = calling.result()
        assert (result.done, result.failed) == (calls, 0), result.errors
        noted = read_log(calling.log)
        assert sum(one.what == "taken" for one in noted) == calls
        # Those that were up on it when it died: nobody is there to answer their BYEs.
        assert {one.of for one in noted if one.what == "unanswered"} <= {gateways.all[0].host}


def test_a_call_gets_to_a_gateway_with_its_number_rewritten(gateway: Gateways, tmp_path: Path) -> None:
    more = TRUST + gateway.provider("carrier")
    more += route("+351", 'provider = "carrier"', "strip = 4", 'prepend = "00351"')
    with Server(tmp_path, subscribers={}, more=more) as server, call(server, tmp_path, NUMBER) as calling:
        result = calling.result()
    assert undisturbed(result, 20), result
    assert [one.of for one in gateway.invites(1)] == ["00351912345678"] * 20


def test_a_number_leads_to_a_user_who_is_registered(gateway: Gateways, tmp_path: Path) -> None:
    more = TRUST + gateway.provider("carrier")
    more += route("", 'provider = "carrier"') + route("900", f'aor = "alice@{DOMAIN}"')
    with (
        Server(tmp_path, subscribers={"alice": "secret"}, more=more) as server,
        Sipp("answer", tmp_path) as phone,
        contextlib.closing(Client(CALLER_HOST, server.port)) as client,
    ):
        registered = client.ask(
            "REGISTER", f"sip:{DOMAIN}", f"alice@{DOMAIN}", contact=f"sip:alice@{phone.address}"
        )
        assert registered is not None
        assert registered.status == 200
        with call(server, tmp_path, "900") as calling:
            result = calling.result()
    assert undisturbed(result, 20), result
    assert {one.of for one in read_log(calling.log)} == {CALLER_HOST}
    assert gateway.invites(1) == []


def test_a_number_is_redirected_and_the_caller_calls_there_himself(tmp_path: Path) -> None:
    with Sipp("gateway", tmp_path, variables={"slow_from": 10**10, "failing_from": 10**10}) as there:
        more = TRUST + route("7", f'redirect = "sip:{there.address}"', "strip = 1")
        with (
            Server(tmp_path, subscribers={}, more=more) as server,
            call(server, tmp_path, "7100", "redirected") as calling,
        ):
            result = calling.result()
        assert undisturbed(result, 20), result
        assert [one.of for one in read_log(there.log)] == ["100"] * 20
