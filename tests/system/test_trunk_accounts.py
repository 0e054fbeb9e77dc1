"""A node that registers at a carrier, as an operator runs it: its start, stop, and a site that changes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from system.kamailio import PASSWORD, REALM, Registrar
from system.server import DOMAIN, Server
from system.wire import Client
from waiting import until_now

ACCOUNTS = [f"g{number}" for number in range(100)]
#: Who calls is trusted, and every number goes to the carrier.
OUT = '[[access]]\nsource = "127.0.0.1"\naction = "trust"\n[[route]]\nprefix = "9"\nprovider = "p"\n'


def provider(registrar: Registrar, names: list[str], password: str = PASSWORD) -> str:
    """A gateway with an account for each of these; it is called only while it is registered at."""
    tables = ['[[provider]]\nname = "p"']
    for name in names:
        account = f'aor = "sip:{name}@{REALM}", username = "{name}", password = "{password}", expires_s = 60'
        tables.append(
            f'[[provider.gateway]]\nname = "{name}"\nuri = "sip:{registrar.address}"\n'
            f"register = {{ {account}, required = true }}"
        )
    return "\n".join([*tables, ""])


@pytest.fixture
def registrar(tmp_path: Path) -> Iterator[Registrar]:
    folder = tmp_path / "carrier"
    folder.mkdir()
    # An address of its own, so that who calls is not taken for the carrier.
    with Registrar(folder, host="127.0.0.2") as started:
        yield started


@pytest.fixture
def asking(registrar: Registrar) -> Iterator[Client]:
    made = Client(registrar.host, registrar.port)
    yield made
    made.close()


def server(folder: Path, more: str) -> Server:
    """One that is not started yet."""
    return Server(folder, subscribers={}, more=more)


def expected(server: Server, names: list[str]) -> list[str]:
    return [f"sip:{name}@{server.address}" for name in names]


def test_a_hundred_accounts_are_registered_after_the_start_and_stay_so_over_a_restart(
    tmp_path: Path, registrar: Registrar, asking: Client, record_property: Callable[[str, object], None]
) -> None:
    def places() -> list[str]:
        return [registrar.contact(asking, name) for name in ACCOUNTS]

    with server(tmp_path, provider(registrar, ACCOUNTS)) as one:
        began = time.monotonic()
        until_now(lambda: places() == expected(one, ACCOUNTS), one.log)
        record_property(
            "figure", f"100 accounts registered {time.monotonic() - began:.1f} s after OneProxy was ready"
        )
        assert one.stop() == 0
        # It may be a restart: calls that come now find it again.
        assert places() == expected(one, ACCOUNTS)
        registrar.kill_all()
        registrar.start()
        assert set(places()) == {""}
        one.start()
        until_now(lambda: places() == expected(one, ACCOUNTS), one.log)
        assert "secret" not in one.log()


def test_a_gateway_is_called_once_the_password_in_the_site_is_right(
    tmp_path: Path, registrar: Registrar, asking: Client
) -> None:
    wrong = OUT + provider(registrar, ["g"], "wrong")
    with server(tmp_path, wrong) as one:
        caller = Client(one.host, one.port)

        def called() -> int:
            answer = caller.ask("INVITE", f"sip:911@{DOMAIN}", f"caller@{DOMAIN}")
            return 0 if answer is None else answer.status

        try:
            until_now(lambda: "wrong-password" in one.log(), one.log)
            assert (called(), registrar.contact(asking, "g")) == (503, "")
            changed = tmp_path / "changed.toml"
            changed.write_text(one.config.read_text().replace('"wrong"', f'"{PASSWORD}"'))
            command = [sys.executable, "-m", "oneproxy", "apply", str(changed)]
            subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
            until_now(lambda: registrar.contact(asking, "g"), one.log)
            until_now(lambda: called() == 486, one.log)
        finally:
            caller.close()
