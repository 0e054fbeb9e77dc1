"""Callees whose contacts are names: a real name server, and hosts that fail (RFC 3263)."""

import contextlib
import itertools
import socket
import statistics
import time
from collections.abc import Callable, Iterator

import pytest

from dns_server import DnsServer
from system.agents.agent import Agent
from system.agents.call import complete, exchange, hang_up
from system.agents.channel import Datagrams
from system.agents.dialog import Dialog, answer, invite
from system.agents.listening import Listening
from system.agents.place import free_place
from system.server import DOMAIN, Server

USERS = [f"agent{number}" for number in range(200)]
NUMBERS = itertools.count()
#: A host that says nothing is given up for the next one after 4 s, and not after 32 s (Timer B).
DEAD_S = (3.0, 30.0)
#: A host or a name server that says nothing is waited for so long: who is not waited for takes less.
WAITED_S = 4.0

NewAgent = Callable[..., Agent]


@pytest.fixture(scope="module")
def names() -> Iterator[DnsServer]:
    with DnsServer() as running:
        yield running


@pytest.fixture(scope="module")
def server(names: DnsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("server"),
        subscribers=dict.fromkeys(USERS, "secret"),
        transports=["TCP"],
        more=f'[dns]\nservers = ["{names.text}"]\n',
    ) as running:
        yield running


@pytest.fixture
def agent(server: Server) -> Iterator[NewAgent]:
    """Make registered agents over UDP; name: what their contact names instead of their address."""
    with contextlib.ExitStack() as agents:

        def make(name: str = "", channel: Datagrams | None = None) -> Agent:
            channel = channel or Datagrams(server.places["UDP"])
            made = Agent(channel, USERS[next(NUMBERS)], DOMAIN, contact=name)
            agents.callback(made.close)
            assert made.register().status == 200
            # The call itself is with the host that answers, whatever name led there.
            made.contact = f"sip:{made.user}@{channel.contact}"
            made.reached_by.add(made.contact)
            return made

        yield make


@pytest.fixture
def name() -> str:
    """A domain that no other test uses, so that nothing is remembered of it."""
    return f"target{next(NUMBERS)}.test"


def two_hosts(names: DnsServer, name: str, first: int, second: int, transport: str = "udp") -> None:
    """Two hosts of `name`, the second one with the lower priority; both are at 127.0.0.1."""
    service = f"_sip._{transport}.{name}"
    names.add(service, "SRV", f"10 0 {first} one.{name}.", f"20 0 {second} two.{name}.")
    names.add(f"one.{name}", "A", "127.0.0.1")
    names.add(f"two.{name}", "A", "127.0.0.1")


def call_by_name(alice: Agent, bob: Agent) -> float:
    """A whole call to a callee that is there; the seconds until its INVITE came."""
    began = time.monotonic()
    asked = invite(alice, bob.aor)
    call = complete(alice, asked, bob)
    took_s = time.monotonic() - began
    exchange(call.callee, call.caller, "INFO", "x")
    hang_up(call.caller, call.callee)
    return took_s


@pytest.fixture
def dead() -> Iterator[int]:
    """The port of a host that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


def test_the_second_host_has_the_call_when_the_first_is_dead(
    names: DnsServer, agent: NewAgent, name: str, dead: int, server: Server
) -> None:
    channel = Datagrams(server.places["UDP"])
    two_hosts(names, name, dead, channel.port)
    alice, bob = agent(), agent(name, channel)
    took_s = call_by_name(alice, bob)
    assert DEAD_S[0] < took_s < DEAD_S[1]
    # What was found out is remembered for a while: the next call does not wait.
    assert call_by_name(alice, bob) < WAITED_S


def test_the_second_host_has_the_call_when_the_first_refuses(
    names: DnsServer, agent: NewAgent, name: str, server: Server
) -> None:
    channel = Datagrams(server.places["UDP"])
    two_hosts(names, name, free_place("UDP").port, channel.port)
    alice, bob = agent(), agent(name, channel)
    assert call_by_name(alice, bob) < WAITED_S


def test_the_second_host_has_the_call_when_the_first_answers_503(
    names: DnsServer, agent: NewAgent, name: str, server: Server
) -> None:
    with contextlib.closing(Datagrams(server.places["UDP"])) as busy:
        channel = Datagrams(server.places["UDP"])
        two_hosts(names, name, busy.port, channel.port)
        alice, bob = agent(), agent(name, channel)
        overloaded = Agent(busy, bob.user, DOMAIN, contact=name)
        began = time.monotonic()
        asked = invite(alice, bob.aor)
        overloaded.respond(overloaded.expect("INVITE"), 503, tag="busy")
        overloaded.expect_acknowledgement()
        call = complete(alice, asked, bob)
        assert time.monotonic() - began < WAITED_S
        hang_up(call.callee, call.caller)
        assert 503 not in asked.statuses


def test_the_second_host_has_the_call_when_the_first_refuses_the_connection(
    names: DnsServer, agent: NewAgent, name: str, server: Server
) -> None:
    with contextlib.closing(Listening("TCP")) as listening:
        two_hosts(names, name, free_place("TCP").port, listening.place.port, "tcp")
        alice, registered = agent(), agent(f"{name};transport=tcp")
        call_over_connection(alice, registered, listening, server)


def call_over_connection(alice: Agent, registered: Agent, listening: Listening, server: Server) -> None:
    """A whole call to a callee to which a connection has to be opened first."""
    began = time.monotonic()
    asked = invite(alice, registered.aor)
    accepted = listening.accept(server.places["TCP"])
    bob = Agent(accepted, registered.user, DOMAIN, contact=listening.contact)
    bob.reached_by |= registered.reached_by
    with contextlib.closing(bob):
        call = complete(alice, asked, bob)
        assert time.monotonic() - began < WAITED_S
        hang_up(call.callee, call.caller)


def test_a_name_without_transport_goes_by_its_naptr_records(
    names: DnsServer, agent: NewAgent, name: str, server: Server
) -> None:
    with contextlib.closing(Listening("TCP")) as listening:
        names.add(
            name,
            "NAPTR",
            f'20 10 "s" "SIP+D2U" "" _sip._udp.{name}.',
            f'10 10 "s" "SIP+D2T" "" _sip._tcp.{name}.',
        )
        names.add(f"_sip._udp.{name}", "SRV", f"10 0 9 one.{name}.")
        names.add(f"_sip._tcp.{name}", "SRV", f"10 0 {listening.place.port} one.{name}.")
        names.add(f"one.{name}", "A", "127.0.0.1")
        call_over_connection(agent(), agent(name), listening, server)


def test_no_host_at_all_is_an_answer_and_no_silence(names: DnsServer, agent: NewAgent, name: str) -> None:
    alice, bob = agent(), agent(name)
    began = time.monotonic()
    assert alice.final(invite(alice, bob.aor)).status in (404, 480, 500, 503)
    assert time.monotonic() - began < WAITED_S


def test_a_name_server_that_hangs_delays_no_other_call(
    names: DnsServer, agent: NewAgent, name: str, record_property: Callable[..., None]
) -> None:
    alice, bob = agent(), agent()
    answer_times(alice, bob, 50)
    before = answer_times(alice, bob, 200)
    waiting = []
    for number in range(40):
        names.misbehave(f"{number}.{name}", "hang")
        for kind in ("_sip._udp", "_sip._tcp"):
            names.misbehave(f"{kind}.{number}.{name}", "hang")
        callee = agent(f"{number}.{name}")
        waiting.append((callee, invite(callee, callee.aor)))
    during = answer_times(alice, bob, 200)
    statuses = [caller.final(asked).status for caller, asked in waiting]
    after = answer_times(alice, bob, 200)
    medians = [statistics.median(times) * 1000 for times in (before, during, after)]
    record_property(
        "figure", "median answer time in ms before, during, after: {:.2f} {:.2f} {:.2f}".format(*medians)
    )
    # Where name servers held up the loop, one call would have all of the wait.
    assert max(during) < WAITED_S
    assert min(statuses) >= 400, statuses


def answer_times(alice: Agent, bob: Agent, count: int) -> list[float]:
    """Seconds from INVITE to 200 of so many calls, one after another."""
    found = []
    for _ in range(count):
        began = time.monotonic()
        asked = invite(alice, bob.aor)
        called = answer(bob, bob.expect("INVITE"))
        ok = alice.final(asked)
        found.append(time.monotonic() - began)
        assert ok.status == 200
        calling = Dialog.of_caller(alice, ok)
        calling.acknowledge()
        called.expect("ACK")
        hang_up(calling, called)
    return found
