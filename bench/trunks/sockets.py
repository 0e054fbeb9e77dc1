"""Restless callers and a gateway that counts, with sockets of their own, on both sides of a server."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from agenda import Agenda
from counting_gateway import CountingGateway
from limited import MAX_CALL_S, MAX_CALLS
from ports import free_port
from restless_callers import PATIENCE_S, RestlessCallers
from system.gateways import CALLER_HOST, TRUST
from system.server import Server

_GATEWAY_HOST: Final = "127.0.0.2"
_WAITING_OCTETS: Final = 8 * 2**20
#: How often the gateway starts again, on average, and how long that takes.
_RESTART_EVERY_S: Final = 5.0
_AWAY_S: Final = (0.1, 2.0)
#: In which all have ended: who waits for an answer gives up, an INVITE that nobody answers after its
#: CANCEL is over 32 s later (RFC 3261 9.1), and so is a BYE; or the call has lasted too long.
_DRAIN_S: Final = max(PATIENCE_S + 32.0, MAX_CALL_S) + 34.0
#: More than there is room for.
_OFFERED_THEN: Final = 45


class Offered(NamedTuple):
    """most: calls at once, by the gateway's count; most_since: after the node was killed. left: calls at
    the gateway after the drain. taken_then: how many of `offered_then` calls got in after it."""

    calls: int
    invites: int
    answered: int
    restarts: int
    ends: Counter[int]
    most: int
    most_since: int
    beyond: int
    left: int
    offered_then: int
    taken_then: int


class End(asyncio.DatagramProtocol):
    """One end: a socket that may be closed and opened again at the same address."""

    def __init__(self, host: str, server: tuple[str, int]) -> None:
        self._at = host, free_port(host)
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None
        self.receive: Callable[[float, bytes], None] = lambda _now, _data: None

    @property
    def address(self) -> str:
        """Its own "host:port"."""
        return "{}:{}".format(*self._at)

    async def open(self) -> None:
        """There it is."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING_OCTETS)
        sock.setblocking(False)
        sock.bind(self._at)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)

    def close(self) -> None:
        """The system refuses what is sent here from now on."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def send(self, data: bytes) -> None:
        """To the server; lost where it is closed."""
        if self._transport is not None:
            self._transport.sendto(data, self._server)

    def datagram_received(self, data: bytes, _addr: object) -> None:
        """From the server."""
        if self._transport is not None:
            self.receive(time.time(), data)

    def error_received(self, _exc: Exception) -> None:
        """Nobody is there now: what matters is sent again."""


@contextlib.asynccontextmanager
async def opened(end: End) -> AsyncIterator[End]:
    """Open for as long as this is."""
    await end.open()
    try:
        yield end
    finally:
        end.close()


async def offer(folder: Path, random: Random, lasts_s: float, per_s: float, kill: bool) -> Offered:
    """Offer the calls to a server of its own, drain, and see how many get in then."""
    place = free_port(), CALLER_HOST
    gateway_end = End(_GATEWAY_HOST, (place[1], place[0]))
    callers_end = End(CALLER_HOST, (place[1], place[0]))
    more = f"""{TRUST}
[[provider]]
name = "carrier"
session_expires_s = 0
max_call_s = {MAX_CALL_S}
[[provider.gateway]]
name = "g"
uri = "sip:{gateway_end.address}"
max_calls = {MAX_CALLS}
[[route]]
prefix = "+351"
provider = "carrier"
"""
    agenda = Agenda()
    dialled = "sip:+351912345678@example.com"
    gateway = CountingGateway(agenda, random, gateway_end.send, gateway_end.address, MAX_CALLS)
    callers = RestlessCallers(agenda, random, callers_end.send, callers_end.address, dialled)
    gateway_end.receive, callers_end.receive = gateway.receive, callers.receive
    with Server(folder, subscribers={}, domain="example.com", port=place[0], more=more) as server:
        async with opened(gateway_end), opened(callers_end):
            clock = asyncio.create_task(_keep(agenda))
            before = await _offer(server, random, gateway, gateway_end, callers, lasts_s, per_s, kill)
            await asyncio.sleep(_DRAIN_S)
            left = len(gateway.legs)
            ends = callers.ends.copy()
            calls, invites, answered = callers.calls, gateway.invites, gateway.answered
            taken = await _fill(gateway, callers)
            clock.cancel()
    return Offered(
        calls,
        invites,
        answered,
        gateway.restarts,
        ends,
        max(before, gateway.most),
        gateway.most if kill else 0,
        gateway.beyond,
        left,
        _OFFERED_THEN,
        taken,
    )


async def _keep(agenda: Agenda) -> None:
    """Do what is due, until cancelled."""
    while True:
        agenda.run(time.time())
        await asyncio.sleep(0.002)


async def _offer(
    server: Server,
    random: Random,
    gateway: CountingGateway,
    end: End,
    callers: RestlessCallers,
    lasts_s: float,
    per_s: float,
    kill: bool,
) -> int:
    """The calls, with restarts of the gateway; the most at once before the node was killed."""
    began = time.time()
    callers.call_from(began, began + lasts_s, per_s)
    before = 0
    while (now := time.time()) < began + lasts_s:
        wait_s = random.expovariate(1.0 / _RESTART_EVERY_S)
        if kill and now + wait_s > began + lasts_s / 2:
            await asyncio.sleep(max(0.0, began + lasts_s / 2 - now))
            before, gateway.most = gateway.most, 0
            gateway.stray()
            os.kill(server.child("node"), signal.SIGKILL)
            kill = False
            continue
        await asyncio.sleep(min(wait_s, began + lasts_s - now))
        if time.time() < began + lasts_s:
            end.close()
            gateway.restart()
            await asyncio.sleep(random.uniform(*_AWAY_S))
            await end.open()
    return before


async def _fill(gateway: CountingGateway, callers: RestlessCallers) -> int:
    """How many of more calls than there is room for get in, where nobody hangs up."""
    gateway.is_steady = callers.is_steady = True
    ended = sum(callers.ends.values())
    for _ in range(_OFFERED_THEN):
        callers.call(time.time())
    give_up_at = time.time() + 30.0
    while time.time() < give_up_at:
        refused = sum(callers.ends.values()) - ended
        taken = sum(leg.answer is not None for leg in callers.legs.values())
        if taken + refused >= _OFFERED_THEN:
            break
        await asyncio.sleep(0.05)
    return len(gateway.legs)
