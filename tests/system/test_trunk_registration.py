"""Registering at a real registrar, and asking it by OPTIONS: engine, sockets and all that drives them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Final, Self

import pytest

from oneproxy.engine.core import Engine
from oneproxy.engine.decisions import Ask, Decision, Reply, Target
from oneproxy.engine.dialog import DialogMark
from oneproxy.engine.flow import Flow, Listener
from oneproxy.engine.routing import Own
from oneproxy.site.model import Gateway, Provider, Registration, Site
from oneproxy.transport.alarm import Alarm
from oneproxy.transport.connections import Connections
from oneproxy.transport.driver import Clock, Driver
from oneproxy.transport.flows import Ways
from oneproxy.transport.udp import UdpListener
from oneproxy.trunks.health import State
from oneproxy.trunks.probes import Probes
from oneproxy.trunks.registration_states import State as RegistrationState
from oneproxy.trunks.registrations import Registrations
from oneproxy.trunks.trunks import Trunks
from ports import free_port
from system.kamailio import PASSWORD, REALM, Registrar
from system.wire import Client
from waiting import PATIENCE_S, until
from wires import LOOPBACK, in_loop

#: What is asked for: refreshed after 5 to 6.4 s.
EXPIRES_S: Final = 8
ACCOUNTS: Final = 100
#: Of them, those whose password is wrong at first.
WRONG: Final = 5


class Nothing:
    """A policy that has no calls."""

    def decide(self, _ask: Ask) -> Decision:
        """Whoever calls is told so."""
        return Reply(404, "Not Found")

    placed = decide

    def redirected(self, _ask: Ask, _contacts: list[str]) -> list[Target]:
        """Nothing is followed."""
        return []

    def closed(self, _now: float, flow: Flow) -> None:
        """A connection is none of its concerns."""


class Side:
    """Our side: what of a node it takes to register, and nothing else."""

    def __init__(self, registrar: Registrar, port: int = 0) -> None:
        self.clock = Clock()
        self.registrar = registrar
        self.listener = UdpListener(LOOPBACK, port, "", 0)
        connections = Connections()
        self.driver = Driver(self.clock, [self.listener], connections)
        listeners: list[Listener] = [self.listener]
        ways = Ways([self.listener], connections)
        own = Own(listeners, frozenset())
        mark = DialogMark(b"k" * 32)
        self.engine = Engine(self.clock.now(), "n1", listeners, ways, Nothing(), mark, own, 1000)
        self.trunks = Trunks(Site({}, {}), Random())
        send = self.engine.originate
        self.registrations = Registrations("n1", b"secret", self.trunks, send, self.contact_of, Random())
        #: What became of registrations, and how often in a row they had failed then.
        self.told: list[tuple[RegistrationState, int]] = []
        self.registrations.on_told = lambda _, __, one: self.told.append((one.state, one.failures))
        self.probes = Probes(self.trunks, send, self.contact_of, Random())
        self.driver.start(self.engine)
        loop = asyncio.get_running_loop()
        self.alarm = Alarm(self.driver, loop, [self.registrations, self.probes])

    def contact_of(self, _gateway: str, user: str) -> str:
        return f"sip:{user}@{self.listener.sent_by}"

    def take(self, *gateways: Gateway) -> None:
        """This is the site now."""
        changed = Site({}, {}, providers={"p": Provider("p", gateway=gateways, probes_down=2)})
        now = self.clock.now()
        self.trunks.take(changed)
        self.registrations.take(now, changed)
        self.probes.take(now, changed)

    def gateway(self, name: str, password: str = PASSWORD) -> Gateway:
        account = Registration(f"sip:{name}@{REALM}", name, password, EXPIRES_S, required=True)
        return Gateway(name, f"sip:{self.registrar.address}", probe_every_s=1, register=account)

    def registered(self) -> int:
        """How many are registered now, as their gateways have it."""
        now = self.clock.now()
        provider = self.trunks.find("p")
        assert provider is not None
        return sum(now < gateway.registered_until for gateway in provider.gateways)

    def answered_since(self, at: float) -> int:
        """How many were granted anew since then."""
        return sum(
            one.standing.answered_at > at and one.standing.status == 200
            for one in self.registrations.standings()
        )

    def errors(self) -> set[str]:
        return {one.standing.error for one in self.registrations.standings()}

    def health(self) -> set[State]:
        provider = self.trunks.find("p")
        assert provider is not None
        return {gateway.health.state for gateway in provider.gateways}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.alarm.stop()
        self.driver.stop()


@pytest.fixture
def registrar(tmp_path: Path) -> Iterator[Registrar]:
    with Registrar(tmp_path) as started:
        yield started


@pytest.fixture
def client(registrar: Registrar) -> Iterator[Client]:
    made = Client(registrar.host, registrar.port)
    yield made
    made.close()


async def places(registrar: Registrar, client: Client, names: list[str]) -> list[str]:
    """Where the registrar has these; the loop goes on meanwhile."""
    return await asyncio.to_thread(lambda: [registrar.contact(client, name) for name in names])


async def until_at(registrar: Registrar, client: Client, names: list[str], expected: list[str]) -> None:
    """Wait until that is where the registrar has these."""
    give_up_at = time.monotonic() + PATIENCE_S
    while (found := await places(registrar, client, names)) != expected:
        assert time.monotonic() < give_up_at, found
        await asyncio.sleep(0.01)


async def took(happens: Callable[[], object]) -> float:
    began = time.monotonic()
    await until(happens)
    return time.monotonic() - began


def test_a_hundred_accounts_are_registered_and_stay_so(
    registrar: Registrar, client: Client, record_property: Callable[[str, object], None]
) -> None:
    names = [f"g{number}" for number in range(ACCOUNTS)]

    async def play() -> None:
        with Side(registrar) as side:
            wrong = [side.gateway(name, "wrong") for name in names[:WRONG]]
            right = [side.gateway(name) for name in names]
            contacts = [side.contact_of("", name) for name in names]
            side.take(*wrong, *right[WRONG:])

            # All but those whose password is wrong.
            first_s = await took(lambda: side.registered() == ACCOUNTS - WRONG)
            record_property("figure", f"{ACCOUNTS - WRONG} accounts registered after {first_s:.1f} s")
            await until(lambda: side.errors() == {"", "wrong-password"})
            await until_at(registrar, client, names, [""] * WRONG + contacts[WRONG:])

            # The password is set right in the site.
            side.take(*right)
            mended_s = await took(lambda: side.registered() == ACCOUNTS)
            record_property("figure", f"{WRONG} with another password registered after {mended_s:.1f} s")

            # All are refreshed in time.
            since = side.clock.now()
            await until(lambda: side.answered_since(since) == ACCOUNTS)
            await until(lambda: (side.registered(), side.errors()) == (ACCOUNTS, {""}))
            await until_at(registrar, client, names, contacts)
            assert side.health() == {State.UP}

            # The registrar dies, and has forgotten all when it is back.
            await asyncio.to_thread(registrar.kill_all)
            await until(lambda: "transport" in side.errors() and side.health() == {State.DOWN})
            since = side.clock.now()
            await asyncio.to_thread(registrar.start)
            again_s = await took(lambda: side.answered_since(since) == ACCOUNTS)
            record_property("figure", f"all registered again {again_s:.1f} s after the registrar's start")
            await until(lambda: (side.registered(), side.errors()) == (ACCOUNTS, {""}))
            await until_at(registrar, client, names, contacts)
            await until(lambda: State.DOWN not in side.health())
            assert side.driver.faults == side.alarm.faults == 0

    in_loop(play, True)


def test_an_account_that_is_gone_from_the_site_is_gone_from_the_registrar(
    registrar: Registrar, client: Client
) -> None:
    async def play() -> None:
        with Side(registrar) as side:
            kept, gone = side.gateway("kept"), side.gateway("gone")
            side.take(kept, gone)
            await until(lambda: side.registered() == 2)
            contacts = [side.contact_of("", name) for name in ("kept", "gone")]
            assert await places(registrar, client, ["kept", "gone"]) == contacts
            side.take(kept)
            await until_at(registrar, client, ["gone"], [""])
            assert await places(registrar, client, ["kept"]) == contacts[:1]

    in_loop(play)


def test_a_registration_goes_on_when_the_node_is_started_again(registrar: Registrar, client: Client) -> None:
    async def play() -> None:
        port = free_port()
        for _ in range(2):
            with Side(registrar, port) as side:
                side.take(side.gateway("g"))
                await until(lambda: side.told)
                # The Call-ID is the same: with a CSeq that is lower it would have been refused first.
                assert side.told == [(RegistrationState.REGISTERED, 0)]
                contact = side.contact_of("", "g")
            # Nothing is taken back at the end.
            assert await places(registrar, client, ["g"]) == [contact]

    in_loop(play)
