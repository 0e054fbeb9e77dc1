"""A carrier that asks for a password: Kamailio, at which OneProxy registers and through which it calls."""

from pathlib import Path

from system.kamailio import PASSWORD, REALM, Registrar
from system.server import Server
from system.sipp import Sipp, write_users
from system.wire import Client
from waiting import until_now

TRUNK = """
[[access]]
source = "127.0.0.1"
action = "trust"
[[provider]]
name = "carrier"
[[provider.gateway]]
name = "only"
uri = "sip:{address}"
register = {{ aor = "sip:me@{realm}", username = "me", password = "{password}", required = true }}
[[route]]
prefix = "+351"
provider = "carrier"
"""


def test_calls_through_a_carrier_that_asks_for_a_password_are_answered(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
    with (
        Sipp("answer", tmp_path) as answerer,
        Registrar(theirs, host="127.0.0.2", answerer=f"127.0.0.1:{answerer.port}") as carrier,
    ):
        more = TRUNK.format(address=carrier.address, realm=REALM, password=PASSWORD)
        with Server(ours, subscribers={"alice": "secret"}, more=more) as server:
            client = Client(carrier.host, carrier.port)
            try:
                until_now(lambda: carrier.contact(client, "me") == f"sip:me@{server.address}", server.log)
            finally:
                client.close()
            numbers = write_users(tmp_path / "numbers.csv", ["+351912345678"])
            with Sipp("call", tmp_path, server=server.address, users=numbers, calls=20, rate=20) as caller:
                result = caller.result()
            assert (result.done, result.failed, result.errors) == (20, 0, "")
