"""Calls between every pair of transports, with requests inside of the call in both directions."""

import contextlib
import itertools
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from certificates import Authority
from system.agents.agent import Agent
from system.agents.call import complete, establish, exchange, hang_up
from system.agents.channel import Datagrams, Stream, connect
from system.agents.dialog import SDP, Dialog, answer, invite
from system.agents.listening import Listening
from system.agents.place import Place
from system.agents.trust import issue, serving, trusting
from system.network import ADDRESS, Network
from system.phone import Phone
from system.server import DOMAIN, Credentials, Server
from system.sipp import Sipp, write_users
from system.transports import TRANSPORTS
from system.wire import free_port
from waiting import PATIENCE_S, until_now

PASSWORD = "secret"
SIPP_USERS = [f"user{number}" for number in range(10)]
#: Every test has users of its own, so that no binding of another one is in its way.
USERS = [f"agent{number}" for number in range(400)]
NUMBERS = itertools.count()

#: Less than who is waited for is waited for (Timers B and F: 32 s).
WAITED_S = 25.0

NewAgent = Callable[..., Agent]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("server"),
        subscribers=dict.fromkeys([*USERS, *SIPP_USERS], PASSWORD),
        authenticate=["REGISTER"],
        transports=TRANSPORTS[1:],
        credentials=Credentials(*issue(authority, "server"), authority.path),
    ) as running:
        yield running


@pytest.fixture
def agent(server: Server, authority: Authority) -> Iterator[NewAgent]:
    """Make registered agents, each a user of its own; all of them end with the test."""
    trust = trusting(authority)
    with contextlib.ExitStack() as agents:

        def make(transport: str, contact: str = "") -> Agent:
            channel = connect(server.places[transport], trust)
            made = Agent(channel, USERS[next(NUMBERS)], DOMAIN, PASSWORD, contact)
            agents.callback(made.close)
            answer = made.register()
            assert answer.status == 200, answer
            return made

        yield make


@pytest.mark.parametrize("who_hangs_up", ["caller", "callee"])
@pytest.mark.parametrize("callee", TRANSPORTS)
@pytest.mark.parametrize("caller", TRANSPORTS)
def test_a_call_with_requests_both_ways_inside_of_it(
    agent: NewAgent, caller: str, callee: str, who_hangs_up: str, record_property: Callable[..., None]
) -> None:
    record_property("transports", f"{caller} to {callee}")
    alice, bob = agent(caller), agent(callee)
    call = establish(alice, bob)
    exchange(call.callee, call.caller, "INVITE", SDP)
    exchange(call.caller, call.callee, "INFO", "Signal=1\r\n")
    exchange(call.callee, call.caller, "INFO", "Signal=2\r\n")
    if who_hangs_up == "caller":
        hang_up(call.caller, call.callee)
    else:
        hang_up(call.callee, call.caller)
    # RFC 5658: one Record-Route where both sides are on one listener, else one for each.
    assert len(call.caller.routes) == (1 if caller == callee else 2)
    assert call.callee.routes == call.caller.routes[::-1]


@pytest.mark.parametrize("callee", TRANSPORTS)
@pytest.mark.parametrize("caller", TRANSPORTS)
def test_a_refusal_and_its_acknowledgement(agent: NewAgent, caller: str, callee: str) -> None:
    alice, bob = agent(caller), agent(callee)
    asked = invite(alice, bob.aor)
    bob.respond(bob.expect("INVITE"), 486, tag="busy")
    assert alice.final(asked).status == 486
    assert asked.statuses == [486]
    bob.expect_acknowledgement()


@pytest.mark.parametrize("transport", ["TCP", "TLS"])
def test_a_callee_that_listens_is_connected_to(
    server: Server, authority: Authority, agent: NewAgent, transport: str
) -> None:
    with contextlib.closing(Listening(transport, serving(authority, transport))) as listening:
        alice, registered = agent("UDP"), agent("UDP", listening.contact)
        asked = invite(alice, registered.aor)
        accepted = listening.accept(server.places[transport])
        bob = Agent(accepted, registered.user, DOMAIN, contact=listening.contact)
        with contextlib.closing(bob):
            call = complete(alice, asked, bob)
            exchange(call.callee, call.caller, "INVITE", SDP)
            exchange(call.caller, call.callee, "INFO", "Signal=1\r\n")
            hang_up(call.callee, call.caller)
            # Another call takes the connection that is there.
            call = establish(alice, bob)
            hang_up(call.caller, call.callee)


def test_a_callee_whose_certificate_nobody_vouches_for_is_sent_nothing(
    server: Server, agent: NewAgent, tmp_path: Path
) -> None:
    stranger = serving(Authority(tmp_path), "stranger")
    with contextlib.closing(Listening("TLS", stranger)) as listening:
        alice, bob = agent("TCP"), agent("UDP", listening.contact)
        asked = invite(alice, bob.aor)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            # With TLS 1.3 the refusal of our certificate comes with the first read.
            listening.accept(server.places["TLS"]).read(time.monotonic() + PATIENCE_S)
        assert alice.final(asked).status in (408, 480, 500, 503)


@pytest.fixture
def double(server: Server, agent: NewAgent) -> Iterator[tuple[Agent, Datagrams]]:
    """Somebody registered at a UDP port of whom the TCP port of the same number is free."""
    datagrams = Datagrams(server.places["UDP"], port=free_port())
    with contextlib.closing(datagrams):
        yield agent("UDP", datagrams.contact), datagrams


def test_a_request_too_large_for_a_datagram_goes_over_tcp(
    server: Server, agent: NewAgent, double: tuple[Agent, Datagrams]
) -> None:
    registered, datagrams = double
    with contextlib.closing(Listening("TCP", port=datagrams.port)) as listening:
        alice = agent("TCP")
        asked = invite(alice, registered.aor, body=SDP + "a=x\r\n" * 300)
        accepted = listening.accept(server.places["TCP"])
        bob = Agent(accepted, registered.user, DOMAIN, contact=listening.contact)
        bob.reached_by |= registered.reached_by
        with contextlib.closing(bob):
            call = complete(alice, asked, bob)
            hang_up(call.callee, call.caller)
        assert datagrams.receive(0) is None


def test_a_request_too_large_for_a_datagram_goes_over_udp_where_nobody_listens_on_tcp(
    agent: NewAgent, double: tuple[Agent, Datagrams]
) -> None:
    registered, datagrams = double
    alice = agent("TCP")
    asked = invite(alice, registered.aor, body=SDP + "a=x\r\n" * 300)
    bob = Agent(datagrams, registered.user, DOMAIN)
    call = complete(alice, asked, bob)
    hang_up(call.caller, call.callee)


@pytest.mark.parametrize("transport", ["TCP", "TLS", "WS", "WSS"])
def test_a_callee_whose_connection_is_gone_is_not_waited_for(agent: NewAgent, transport: str) -> None:
    alice, bob = agent("UDP"), agent(transport)
    bob.close()
    began = time.monotonic()
    assert alice.final(invite(alice, bob.aor)).status in (408, 480, 500, 503)
    assert time.monotonic() - began < WAITED_S


@pytest.mark.parametrize("transport", ["TCP", "TLS", "WS", "WSS"])
def test_a_callee_whose_connection_ends_before_it_says_anything_is_not_waited_for(
    agent: NewAgent, transport: str
) -> None:
    alice, bob = agent("UDP"), agent(transport)
    asked = invite(alice, bob.aor)
    bob.expect("INVITE")
    bob.close()
    began = time.monotonic()
    assert alice.final(asked).status >= 400
    assert time.monotonic() - began < WAITED_S


def test_a_callee_whose_connection_ends_while_it_rings_may_answer_on_a_new_one(
    server: Server, authority: Authority, agent: NewAgent
) -> None:
    # Not over TLS: its new connection is known by an address alone, which proves nothing there.
    alice, bob = agent("UDP"), agent("TCP")
    asked = invite(alice, bob.aor)
    request = bob.expect("INVITE")
    bob.respond(request, 180)
    alice.provisional(asked, 180)
    bob.close()
    channel = connect(server.places["TCP"], trusting(authority))
    with contextlib.closing(Agent(channel, bob.user, DOMAIN)) as again:
        called = answer(again, request)
        calling = Dialog.of_caller(alice, alice.final(asked))
        calling.acknowledge()
        called.expect("ACK")
        hang_up(called, calling)


def test_a_response_whose_connection_is_gone_comes_on_a_new_one_to_the_port_of_the_via(
    server: Server, agent: NewAgent
) -> None:
    """RFC 3261 18.2.2."""
    with contextlib.closing(Listening("TCP")) as listening:
        bob = agent("UDP")
        lost = Stream(server.places["TCP"])
        lost.sent_by = listening.place.address
        alice = Agent(lost, USERS[next(NUMBERS)], DOMAIN, contact=listening.contact)
        asked = invite(alice, bob.aor)
        request = bob.expect("INVITE")
        lost.close()
        # By the time that this is answered the server knows.
        bob.register()
        called = answer(bob, request)
        with contextlib.closing(listening.accept(server.places["TCP"])) as alice.channel:
            calling = Dialog.of_caller(alice, alice.final(asked))
            calling.acknowledge()
            called.expect("ACK")
            hang_up(called, calling)


def test_a_stun_request_at_the_udp_port_is_told_where_it_came_from(server: Server) -> None:
    """RFC 5626 8: how a phone keeps its way through NAT open, and learns that it changed."""
    with contextlib.closing(Datagrams(server.places["UDP"])) as phone:
        cookie, number = bytes.fromhex("2112a442"), b"123456789012"
        phone.send(b"\x00\x01\x00\x00" + cookie + number)
        answer = phone.receive(PATIENCE_S)
        assert answer is not None
        port = (phone.port ^ 0x2112).to_bytes(2, "big")
        host = bytes(one ^ other for one, other in zip(socket.inet_aton("127.0.0.1"), cookie, strict=True))
        assert answer[:2] + answer[4:20] == b"\x01\x01" + cookie + number
        assert b"\x00\x20\x00\x08\x00\x01" + port + host in answer


@pytest.mark.parametrize("transport", ["TCP", "TLS"])
def test_a_ping_gets_its_pong(agent: NewAgent, transport: str) -> None:
    channel = agent(transport).channel
    assert isinstance(channel, Stream)
    channel.send(b"\r\n\r\n")
    until_now(lambda: channel.receive(0.01) is not None or channel.pongs)
    assert channel.receive(0.05) is None
    assert channel.pongs == 1


def test_sipp_registers_and_calls_over_tcp(server: Server, tmp_path: Path) -> None:
    address = server.places["TCP"].address
    with Sipp("answer", tmp_path, transport="tcp") as called:
        rows = [
            f"{user};{called.port};[authentication username={user} password={PASSWORD}]"
            for user in SIPP_USERS
        ]
        with Sipp(
            "register",
            tmp_path,
            transport="tcp",
            server=address,
            users=write_users(tmp_path / "rows", rows),
            calls=len(rows),
            rate=100,
        ) as registering:
            registered = registering.result()
        assert (registered.done, registered.failed) == (len(rows), 0), registered.errors
        with Sipp(
            "call",
            tmp_path,
            transport="tcp",
            server=address,
            users=write_users(tmp_path / "dialled", SIPP_USERS),
            calls=200,
            rate=200,
            options=["-d", "100"],
        ) as calling:
            result = calling.result()
    assert (result.done, result.failed, result.retransmissions) == (200, 0, 0), result.errors


class StreamPhone(Phone):
    """baresip over TCP or TLS."""

    transport = "tcp"

    def tell(self, command: str, parameters: str = "") -> str:
        return super().tell(command, parameters.replace("transport=udp", f"transport={self.transport}"))


class TlsPhone(StreamPhone):
    transport = "tls"


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network() as made:
        yield made


@pytest.fixture(scope="module")
def server_for_phones(
    network: Network, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("server-for-phones"),
        subscribers={"alice": PASSWORD, "bob": PASSWORD},
        authenticate=["REGISTER", "INVITE"],
        # This baresip gives up when one of several challenges is not MD5, against RFC 8760 2.4.
        algorithms=["MD5"],
        host=ADDRESS,
        port=5060,
        prefix=network.prefix(),
        probe=network.socket(socket.SOCK_DGRAM),
        listen=[Place("TCP", ADDRESS, 5060), Place("TLS", ADDRESS, 5061)],
        credentials=Credentials(*issue(authority, "server-for-phones")),
    ) as running:
        yield running


@pytest.mark.parametrize(("kind", "port"), [(StreamPhone, 5060), (TlsPhone, 5061)], ids=["TCP", "TLS"])
def test_baresip_registers_calls_and_talks(
    network: Network, server_for_phones: Server, tmp_path: Path, kind: type[Phone], port: int
) -> None:
    at = {"server": f"{ADDRESS}:{port}", "password": PASSWORD}
    with (
        kind(network, tmp_path / "alice", "alice", DOMAIN, **at) as alice,
        kind(network, tmp_path / "bob", "bob", DOMAIN, **at) as bob,
    ):
        for phone in (alice, bob):
            assert phone.wait("REGISTER_OK")["param"] == "200 OK"
        for caller, callee, leaver in ((alice, bob, alice), (bob, alice, alice)):
            caller.dial(callee.aor.partition("@")[0])
            callee.wait("CALL_INCOMING")
            callee.answer()
            for phone in (caller, callee):
                phone.wait("CALL_ESTABLISHED")
            for phone in (caller, callee):
                phone.wait_for_sound(5)
            leaver.hang_up()
            for phone in (caller, callee):
                phone.wait("CALL_CLOSED")
