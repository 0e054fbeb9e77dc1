"""Many connections, slow ones, ones that never read, and certificates replaced under them."""

import contextlib
import itertools
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from certificates import Authority
from system.agents.agent import Agent
from system.agents.call import establish, hang_up
from system.agents.channel import ClosedError, Connection, Stream, connect
from system.agents.load import Line
from system.agents.place import Place
from system.agents.slow import Slow, SlowClients
from system.agents.trust import issue, trusting
from system.server import DOMAIN, Credentials, Server, resident_bytes
from waiting import PATIENCE_S, until_now

USERS = [f"agent{number}" for number in range(400)]
NUMBERS = itertools.count()
IDLE = 10_000
#: What a slow client is allowed for its first message, and much for a machine that is busy.
SLOW_S = 60.0

NewAgent = Callable[..., Agent]


@pytest.fixture(scope="session")
def descriptors() -> Iterator[None]:
    """Room for the connections, here and in the servers, which inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 2000
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = hard if hard == resource.RLIM_INFINITY else max(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def server(
    descriptors: None, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("server"),
        subscribers=dict.fromkeys(USERS, "secret"),
        transports=["TCP", "TLS", "WS", "WSS"],
        credentials=Credentials(*issue(authority, "server")),
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def beside_slow_clients(slow: SlowClients) -> None:
    """Every test here."""


@pytest.fixture
def agent(server: Server, authority: Authority) -> Iterator[NewAgent]:
    """Make registered agents, each a user of its own; all of them end with the test."""
    with contextlib.ExitStack() as agents:

        def make(transport: str, source: str = "") -> Agent:
            made = new_agent(server, transport, trusting(authority), source)
            agents.callback(made.close)
            return made

        yield make


def new_agent(server: Server, transport: str, trust: ssl.SSLContext, source: str = "") -> Agent:
    """A registered agent, a user of its own."""
    made = Agent(connect(server.places[transport], trust, source), USERS[next(NUMBERS) % len(USERS)], DOMAIN)
    assert made.register().status == 200
    return made


def request(method: str, place: Place, call_id: str, body: str = "") -> bytes:
    """A request to the server itself."""
    lines = [
        f"{method} sip:{place.address} SIP/2.0",
        f"Via: SIP/2.0/{place.transport} 127.0.0.1:5099;branch=z9hG4bK{call_id}",
        "Max-Forwards: 70",
        f"From: <sip:slow@{DOMAIN}>;tag=slow",
        f"To: <sip:{place.address}>",
        f"Call-ID: {call_id}",
        f"CSeq: 1 {method}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", body]).encode()


@pytest.fixture(scope="session")
def slow(server: Server, authority: Authority) -> Iterator[SlowClients]:
    """They are at work while other tests run, which must not notice them."""
    source = "127.0.0.99"
    tcp, tls, ws = (server.places[name] for name in ("TCP", "TLS", "WS"))

    def plain(place: Place) -> socket.socket:
        return socket.create_connection(place[1:], PATIENCE_S, source_address=(source, 0))

    endless = b"OPTIONS sip:somebody@example.com SIP/2.0\r\n" + b"Subject: slow\r\n" * 1000
    upgrade = f"GET / HTTP/1.1\r\nHost: {ws.address}\r\n".encode() + b"Cookie: slow\r\n" * 1000
    over_tls = trusting(authority).wrap_socket(plain(tls), server_hostname=tls.host)
    hello = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        trusting(authority).wrap_bio(ssl.MemoryBIO(), hello, server_hostname=tls.host).do_handshake()
    clients = {
        "a first message": Slow(plain(tcp), endless),
        "a later message": Slow(plain(tcp), endless, request("OPTIONS", tcp, "before")),
        "a body": Slow(plain(tcp), b"x", request("MESSAGE", tcp, "body", "x" * 60_000)[:-60_000]),
        "a first message over TLS": Slow(over_tls, endless),
        "a TLS handshake": Slow(plain(tls), hello.read()[:-1]),
        "a WebSocket handshake": Slow(plain(ws), upgrade),
    } | {f"one of many, {number}": Slow(plain(tcp), endless) for number in range(50)}
    with contextlib.closing(SlowClients(clients)) as running:
        yield running


def test_a_certificate_is_replaced_under_calls_and_none_fails(server: Server, authority: Authority) -> None:
    trust = trusting(authority)

    def pair() -> tuple[Agent, Agent]:
        return new_agent(server, "TLS", trust), new_agent(server, "TLS", trust)

    running = [Line(pair, 10) for _ in range(8)] + [Line(pair, 10, fresh=True) for _ in range(2)]
    shown = {seen(server, trust)}
    for line in running:
        line.start()
    try:
        wait_for_calls(running)
        for _ in range(2):
            issue(authority, "server")
            until_now(lambda: seen(server, trust) not in shown)
            shown.add(seen(server, trust))
            wait_for_calls(running)
    finally:
        for line in running:
            line.stop()
    assert [fault for line in running for fault in line.faults] == []


def wait_for_calls(lines: Sequence[Line]) -> None:
    """Wait until each line has had ten more calls, or a fault."""
    enough = [line.done + 10 for line in lines]
    until_now(
        lambda: all(line.faults or line.done >= count for line, count in zip(lines, enough, strict=True))
    )


def seen(server: Server, trust: ssl.SSLContext) -> bytes:
    """The certificate that a new connection is shown."""
    with contextlib.closing(Stream(server.places["TLS"], trust)) as connection:
        return connection.certificate()


def test_phones_register_and_call_beside_ten_thousand_idle_connections(
    server: Server, agent: NewAgent, record_property: Callable[..., None]
) -> None:
    node = [server.child("node")]
    place = server.places["TCP"]
    hang_up_at_once(agent)
    before = resident_bytes(node)
    with contextlib.ExitStack() as idle:
        for number in range(IDLE):
            source = f"127.0.1.{1 + number * 20 // IDLE}"
            connection = socket.create_connection(place[1:], PATIENCE_S, source_address=(source, 0))
            idle.callback(connection.close)
        last = connection
        began = time.monotonic()
        hang_up_at_once(agent)
        took_s = time.monotonic() - began
        # The server has taken every one of them, and each is good for a message.
        last.sendall(request("OPTIONS", place, "last"))
        assert last.recv(65536).startswith(b"SIP/2.0 200 ")
        each = (resident_bytes(node) - before) / IDLE
        record_property("figure", f"{each:.0f} octets of the node for each of {IDLE} idle TCP connections")
        record_property("figure", f"two phones register and call beside them in {took_s * 1000:.0f} ms")
        assert each < 16 * 1024
    # They are gone as they came, and their room is there again.
    for number in range(50):
        socket.create_connection(place[1:], PATIENCE_S, source_address=(f"127.0.2.{number + 1}", 0)).close()
    hang_up_at_once(agent)


def hang_up_at_once(agent: NewAgent) -> None:
    """Two phones register, one calls the other."""
    alice, bob = agent("TCP"), agent("UDP")
    call = establish(alice, bob)
    hang_up(call.callee, call.caller)


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Server]:
    """A server with room for 5 connections of one source and for 12 in all."""
    more = "[capacity]\nconnections = 12\nconnections_per_source = 5\n"
    with Server(tmp_path, subscribers={"alice": "secret"}, transports=["TCP"], more=more) as running:
        yield running


def stands(connection: Connection, place: Place) -> bool:
    """Whether the server serves this connection; it ends one that it has no room for at once."""
    try:
        connection.write(request("OPTIONS", place, f"stands-{next(NUMBERS)}"))
        return bool(connection.read(time.monotonic() + PATIENCE_S))
    except ClosedError:
        return False


def test_connections_are_limited_for_each_source_and_in_all(narrow: Server) -> None:
    place = narrow.places["TCP"]
    with contextlib.ExitStack() as connections:

        def from_source(number: int, count: int) -> list[Stream]:
            made = [Stream(place, source=f"127.0.0.{number}") for _ in range(count)]
            for one in made:
                connections.callback(one.close)
            return made

        first = from_source(11, 7)
        assert [stands(one, place) for one in first] == [True] * 5 + [False] * 2
        # Another source has a limit of its own, as long as there is room at all.
        others = from_source(12, 5) + from_source(13, 4)
        assert [stands(one, place) for one in others] == [True] * 7 + [False] * 2
        # A place that becomes free can be taken.
        first[0].close()
        until_now(lambda: stands(from_source(13, 1)[0], place))
        assert stands(others[0], place)
        alice = Agent(connect(narrow.places["UDP"]), "alice", DOMAIN)
        connections.callback(alice.close)
        assert alice.register().status == 200


def test_a_client_that_never_reads_is_given_up(server: Server, agent: NewAgent) -> None:
    node = [server.child("node")]
    place = server.places["TCP"]
    before = resident_bytes(node)
    with contextlib.closing(socket.socket()) as deaf:
        # So that the kernel takes little of what nobody reads.
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(place[1:])
        deaf.settimeout(PATIENCE_S)
        faults: list[OSError] = []
        asking = threading.Thread(target=ask_until_closed, args=(deaf, place, faults), daemon=True)
        asking.start()
        while asking.is_alive():
            hang_up_at_once(agent)
        assert isinstance(faults[0], ConnectionError), faults
        assert resident_bytes(node) - before < 4 * 2**20


def ask_until_closed(connection: socket.socket, place: Place, faults: list[OSError]) -> None:
    """Send requests whose answers nobody reads, until that is no longer possible."""
    batch = b"".join(request("OPTIONS", place, f"deaf-{number}") for number in range(100))
    until = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < until:
            connection.sendall(batch)
    except OSError as fault:
        faults.append(fault)
    else:
        faults.append(TimeoutError("the server goes on"))


@pytest.mark.last
def test_a_slow_client_holds_its_place_no_longer_than_the_limits(slow: SlowClients) -> None:
    clients = slow.clients
    slow.wait(lambda: all(client.lasted_s is not None for client in clients.values()), SLOW_S)
    assert [name for name, client in clients.items() if client.lasted_s is None] == []
    assert max(client.lasted_s or 0 for client in clients.values()) < SLOW_S
