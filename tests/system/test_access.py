"""Access control of a whole server: digests, relaying for those who may, address rules, guessers."""

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.agents.agent import Agent
from system.agents.call import establish, exchange, hang_up
from system.agents.channel import Channel, connect
from system.agents.dialog import invite
from system.guesses import Guesser, addresses
from system.server import DOMAIN, Server
from system.sipp import Sipp, write_users

PASSWORD = "wonderland"
METHODS = ("REGISTER", "INVITE")
USERS = [f"user{number}" for number in range(50)]
NUMBERS = itertools.count()


def agent_at(server: Server, user: str, password: str = PASSWORD, source: str = "") -> Agent:
    return Agent(connect(server.places["UDP"], source=source), user, DOMAIN, password, challenged=METHODS)


@pytest.mark.parametrize("algorithm", ["SHA-256", "SHA-512-256", "MD5"])
def test_an_agent_registers_and_calls_with_every_algorithm(algorithm: str, tmp_path: Path) -> None:
    subscribers = dict.fromkeys(("alice", "bob"), PASSWORD)
    with (
        Server(tmp_path, subscribers=subscribers, authenticate=METHODS, algorithms=[algorithm]) as server,
        contextlib.closing(agent_at(server, "alice")) as alice,
        contextlib.closing(agent_at(server, "bob")) as bob,
        contextlib.closing(agent_at(server, "bob", "guess")) as eve,
    ):
        assert [one.register().status for one in (alice, bob, alice)] == [200] * 3
        assert eve.register().status == 401
        call = establish(alice, bob)
        exchange(call.caller, call.callee, "INFO", "Signal=1\r\n")
        hang_up(call.callee, call.caller)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    rules = """
[[access]]
source = "127.9.0.0/16"
action = "deny"
[[access]]
source = "127.9.0.1"
action = "trust"
methods = ["INVITE", "OPTIONS"]
"""
    with Server(
        tmp_path_factory.mktemp("server"),
        subscribers=dict.fromkeys(("alice", "bob"), PASSWORD),
        authenticate=METHODS,
        algorithms=["SHA-256"],
        more=rules,
    ) as running:
        yield running


class Elsewhere:
    """Somebody whose domain, an address of this host, is not served here."""

    def __init__(self, server: Server) -> None:
        self.channel: Channel = connect(server.places["UDP"], source="127.7.7.7")
        self.agent = Agent(self.channel, "carol", self.channel.contact)
        self.uri = f"sip:carol@{self.channel.contact}"


@pytest.fixture
def elsewhere(server: Server) -> Iterator[Elsewhere]:
    made = Elsewhere(server)
    yield made
    made.agent.close()


def test_a_subscriber_is_relayed_elsewhere_once_it_has_proved_itself(
    server: Server, elsewhere: Elsewhere
) -> None:
    with contextlib.closing(agent_at(server, "alice")) as alice:
        asked = invite(alice, elsewhere.uri)
        request = elsewhere.agent.expect("INVITE")
        assert request.all("Proxy-Authorization") == []
        elsewhere.agent.respond(request, 486)
        assert alice.final(asked).status == 486


@pytest.mark.parametrize("user", ["alice", "nobody"])
def test_who_proves_nothing_is_relayed_nowhere(server: Server, elsewhere: Elsewhere, user: str) -> None:
    with contextlib.closing(agent_at(server, user, "guess")) as eve:
        assert eve.final(invite(eve, elsewhere.uri)).status == 407
    with contextlib.closing(Agent(connect(server.places["UDP"]), "eve", "elsewhere.org")) as outsider:
        assert outsider.final(invite(outsider, elsewhere.uri)).status == 403
    elsewhere.agent.poll()
    with pytest.raises(TimeoutError):
        elsewhere.agent.expect("INVITE", 0.2)


def test_a_denied_network_is_refused_everything_and_a_trusted_address_in_it_is_not(
    server: Server, elsewhere: Elsewhere
) -> None:
    with contextlib.closing(agent_at(server, "alice", source="127.9.0.2")) as denied:
        assert denied.register().status == 403
        assert denied.final(invite(denied, f"sip:bob@{DOMAIN}")).status == 403
        identity = [("From", "<sip:a@b>;tag=1"), ("To", f"<sip:{DOMAIN}>"), ("Call-ID", "options")]
        asked = denied.send(denied.request("OPTIONS", f"sip:{server.address}", identity, 1))
        assert denied.final(asked).status == 403
    with contextlib.closing(agent_at(server, "alice", "", source="127.9.0.1")) as trusted:
        # No password for its calls, wherever they go, and none for others of its network.
        asked = invite(trusted, elsewhere.uri, [("P-Asserted-Identity", "<sip:alice@elsewhere.org>")])
        request = elsewhere.agent.expect("INVITE")
        assert request.one("P-Asserted-Identity") == "<sip:alice@elsewhere.org>"
        elsewhere.agent.respond(request, 486)
        assert trusted.final(asked).status == 486
        assert trusted.register().status == 403


def test_guessers_are_banned_while_legitimate_calls_go_on(tmp_path: Path) -> None:
    flood = "[flood]\nwrong_passwords = 10\naccount_wrong_passwords = 20\nban_s = 600\n"
    sources = list(addresses(100))
    with (
        Server(
            tmp_path,
            subscribers=dict.fromkeys(USERS, PASSWORD),
            authenticate=["REGISTER"],
            algorithms=["MD5"],
            more=flood,
        ) as server,
        Sipp("answer", tmp_path) as called,
    ):
        rows = write_users(
            tmp_path / "rows",
            [f"{user};{called.port};[authentication username={user} password={PASSWORD}]" for user in USERS],
        )
        register = {"server": server.address, "users": rows, "calls": len(USERS), "rate": 200}
        with Sipp("register", tmp_path, **register) as registering:  # type: ignore[arg-type]
            assert registering.result().done == len(USERS)
        dialled = write_users(tmp_path / "dialled", USERS)
        with (
            Sipp(
                "call",
                tmp_path,
                server=server.address,
                users=dialled,
                calls=300,
                rate=100,
                options=["-d", "200"],
            ) as calling,
            Guesser((server.host, server.port), USERS, sources) as guesser,
        ):
            guessing = threading.Thread(target=guesser.guess, args=(20, 1000, 1000))
            guessing.start()
            result = calling.result()
            guessing.join()
            assert guesser.sent == 2000
            # Each had its ten answers, all alike, and then none.
            assert dict(guesser.statuses) == {401: 1000}
            assert guesser.hears() == 0
        assert (result.done, result.failed) == (300, 0), result.errors
        # The owners of all those accounts register again from where they are known.
        with Sipp("register", tmp_path, **register) as registering:  # type: ignore[arg-type]
            assert registering.result().done == len(USERS)
        server.stop()
    assert_counted(tmp_path / "server.log")


def assert_counted(log: Path) -> None:
    """What the log says of the guesses: how many there were, and nothing that is secret."""
    text = log.read_text()
    events = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    counted = [event for event in events if event["event"] == "counted"]
    assert sum(event.get("refused.wrong-password", 0) for event in counted) == 1000
    assert sum(event.get("dropped.banned", 0) for event in counted) == 1000 + 100
    refused = [event for event in events if event["event"] == "request refused"]
    assert 0 < len(refused) < 50
    assert {event["code"] for event in refused} == {"wrong-password"}
    assert refused[0]["source"].startswith("127.1.")
    assert "response=" not in text
    assert "nonce" not in text
