"""The driver over real loopback sockets: what comes in, what goes out, and that it goes on."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from oneproxy.engine.core import Engine
from oneproxy.engine.decisions import Ask, Decision, Forward, Policy, Reply, Target
from oneproxy.engine.dialog import DialogMark
from oneproxy.engine.flow import Flow, Listener
from oneproxy.engine.routing import Own
from oneproxy.sip.message import Request, Response, split
from oneproxy.transport.connections import Connections, Limits
from oneproxy.transport.driver import Clock, Driver
from oneproxy.transport.flows import Ways
from oneproxy.transport.stream import StreamListener
from oneproxy.transport.udp import BATCH, UdpFlow, UdpListener
from ports import free_port
from waiting import PATIENCE_S
from wires import LOOPBACK, Peer, Server, in_loop
from world import request, response

OK = Reply(200, "OK", stateless=True)
ELSEWHERE = Reply(480, "Elsewhere")


class Scripted:
    """A policy that decides as it is told."""

    def __init__(self, decide: Callable[[Ask], Decision]) -> None:
        self.decide = decide
        self.gone: list[Flow] = []

    def redirected(self, _ask: Ask, _contacts: list[str]) -> list[Target]:
        """Nothing is followed."""
        return []

    def placed(self, ask: Ask) -> Decision:
        """A GRUU inside of a dialog."""
        return self.decide(ask)

    def closed(self, _now: float, flow: Flow) -> None:
        """A connection."""
        self.gone.append(flow)


class Place:
    """Listeners, their driver and engine, and a client's socket."""

    def __init__(self, decide: Callable[[Ask], Decision]) -> None:
        self.listener = UdpListener("127.0.0.1", 0, "", 0)
        self.connections = Connections(Limits(sweep_s=0.01))
        self.tcp = StreamListener("TCP", "127.0.0.1", 0, "", 0, self.connections)
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.bind(("127.0.0.1", 0))
        self.client.setblocking(False)
        clock = Clock()
        self.driver = Driver(clock, [self.listener, self.tcp], self.connections)
        self.policy = Scripted(decide)
        policy: Policy = self.policy
        listeners: list[Listener] = [self.listener, self.tcp]
        own = Own(listeners, frozenset({"example.com"}))
        flows = Ways([self.listener, self.tcp], self.connections)
        mark = DialogMark(b"k" * 32)
        self.engine = Engine(clock.now(), "n", listeners, flows, policy, mark, own, 1000)
        self.driver.start(self.engine)

    @property
    def via(self) -> str:
        """The client's sent-by."""
        return f"127.0.0.1:{self.client.getsockname()[1]}"

    async def ask(self, data: bytes) -> Request | Response:
        """Send, and wait for what comes back."""
        self.client.sendto(data, ("127.0.0.1", self.listener.port))
        return await self.receive()

    async def receive(self) -> Request | Response:
        """The next message that comes to the client."""
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.client, 65_535), PATIENCE_S)
        message = split(data)
        assert isinstance(message, Request | Response)
        return message

    def close(self) -> None:
        self.driver.stop()
        self.client.close()


@pytest.mark.parametrize("uv", [False, True])
def test_a_request_is_answered_over_the_socket_in_both_loops(uv: bool) -> None:
    async def play() -> None:
        place = Place(lambda _: OK)
        try:
            answer = await place.ask(request("MESSAGE", via=place.via))
            assert isinstance(answer, Response)
            assert answer.status == 200
        finally:
            place.close()

    in_loop(play, uv)


def test_more_than_a_batch_that_came_at_once_is_all_answered() -> None:
    async def play() -> None:
        place = Place(lambda _: OK)
        try:
            for number in range(2 * BATCH + 5):
                data = request("MESSAGE", via=place.via, branch=f"z9hG4bK{number}")
                place.client.sendto(data, ("127.0.0.1", place.listener.port))
            answers = [await place.receive() for _ in range(2 * BATCH + 5)]
            assert len({answer.get("via") for answer in answers}) == 2 * BATCH + 5
        finally:
            place.close()

    in_loop(play)


def test_a_timer_of_the_engine_fires_without_anything_coming_in() -> None:
    async def play() -> None:
        # There is somebody, who does not answer.
        place = Place(lambda _: Forward([Target(f"sip:bob@{place.via}")]))
        try:
            assert isinstance(await place.ask(request("INVITE", via=place.via)), Request)
            answer = await place.receive()
            assert isinstance(answer, Response)
            assert answer.status == 100
        finally:
            place.close()

    in_loop(play)


def test_a_call_passes_from_socket_to_socket() -> None:
    async def play() -> None:
        place = Place(lambda ask: Forward([Target(f"sip:bob@{ask.request.get('x-to')}")]))
        try:
            invite = await place.ask(
                request("INVITE", "sip:bob@example.com", f"X-To: {place.via}", via=place.via)
            )
            assert isinstance(invite, Request)
            answer = await place.ask(response(invite, 200, to_tag="b"))
            assert isinstance(answer, Response)
            assert (answer.status, len(answer.all("via"))) == (200, 1)
        finally:
            place.close()

    in_loop(play)


def test_a_fault_of_our_own_does_not_end_the_loop() -> None:
    async def play() -> None:
        def decide(ask: Ask) -> Decision:
            if ask.request.method == "INFO":
                raise RuntimeError
            return OK

        place = Place(decide)
        try:
            place.client.sendto(request("INFO", via=place.via), ("127.0.0.1", place.listener.port))
            answer = await place.ask(request("MESSAGE", via=place.via))
            assert isinstance(answer, Response)
            assert (answer.status, place.driver.faults) == (200, 1)
        finally:
            place.close()

    in_loop(play)


def test_what_cannot_be_sent_fails_its_branch_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        place = Place(lambda ask: ELSEWHERE if ask.outcomes else Forward([Target("sip:bob@127.0.0.1:9")]))
        send = UdpFlow.send

        def refuse(flow: UdpFlow, data: bytes) -> None:
            if flow.port == 9:
                raise OSError(errno.ENETUNREACH, "Network is unreachable")
            send(flow, data)

        monkeypatch.setattr(UdpFlow, "send", refuse)
        try:
            answer = await place.ask(request("MESSAGE", via=place.via))
            assert isinstance(answer, Response)
            assert (answer.status, place.driver.faults) == (480, 0)
        finally:
            place.close()

    in_loop(play)


@pytest.mark.parametrize("uv", [False, True])
def test_a_fault_of_our_own_about_what_cannot_be_sent_does_not_end_the_loop(uv: bool) -> None:
    async def play() -> None:
        def decide(ask: Ask) -> Decision:
            if ask.outcomes:
                raise RuntimeError
            # No datagram can be sent to port 0.
            return OK if ask.request.method == "INFO" else Forward([Target("sip:bob@127.0.0.1", (), nowhere)])

        place = Place(decide)
        nowhere = place.listener.flow("127.0.0.1", 0)
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        try:
            answer = await place.ask(request("MESSAGE", via=place.via))
            assert isinstance(answer, Response)
            assert (answer.status, place.driver.faults) == (500, 1)
            answer = await place.ask(request("INFO", via=place.via))
            assert isinstance(answer, Response)
            assert (answer.status, told) == (200, [])
        finally:
            place.close()

    in_loop(play, uv)


def over_tcp(data: bytes) -> bytes:
    return data.replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP", 1)


async def connect(place: Place) -> Peer:
    return Peer(*await asyncio.open_connection(LOOPBACK, place.tcp.bound))


@pytest.mark.parametrize("uv", [False, True])
def test_what_the_network_refuses_fails_its_branch_at_once(uv: bool) -> None:
    async def play() -> None:
        nobody = f"sip:b@{LOOPBACK}:{free_port()}"
        place = Place(lambda ask: ELSEWHERE if ask.outcomes else Forward([Target(nobody)]))
        try:
            answer = await place.ask(request("MESSAGE", via=place.via))
            assert isinstance(answer, Response)
            assert (answer.status, place.driver.faults) == (480, 0)
        finally:
            place.close()

    in_loop(play, uv)


@pytest.mark.parametrize("uv", [False, True])
def test_a_call_passes_from_udp_to_a_connection_that_is_opened_for_it(uv: bool) -> None:
    async def play() -> None:
        async with Server() as server:
            target = f"sip:bob@{LOOPBACK}:{server.port};transport=tcp"
            place = Place(lambda ask: Forward([Target(target)]))
            try:
                place.client.sendto(request("MESSAGE", via=place.via), (LOOPBACK, place.listener.port))
                peer = await server.peer()
                came = split(await peer.read())
                assert isinstance(came, Request)
                assert (came.get("via") or "").startswith(f"SIP/2.0/TCP {LOOPBACK}:{place.tcp.port};")
                peer.send(response(came, 200, to_tag="b"))
                answer = await place.receive()
                assert isinstance(answer, Response)
                assert (answer.status, place.driver.faults) == (200, 0)
            finally:
                place.close()

    in_loop(play, uv)


def test_many_requests_of_one_connection_are_answered_in_their_order() -> None:
    async def play() -> None:
        place = Place(lambda _: OK)
        try:
            peer = await connect(place)
            wanted = [f"z9hG4bK{number}" for number in range(300)]
            for branch in wanted:
                peer.send(over_tcp(request("MESSAGE", via=LOOPBACK, branch=branch)))
            got = b""
            while got.count(b"\r\n\r\n") < len(wanted):
                got += await peer.read()
            branches = [
                line.partition(b"branch=")[2].decode() for line in got.split(b"\r\n") if b"Via" in line
            ]
            assert (branches, place.driver.faults) == (wanted, 0)
            await peer.close()
        finally:
            place.close()

    in_loop(play)


def test_a_connection_that_breaks_fails_what_was_sent_on_it_and_policy_hears_of_it() -> None:
    async def play() -> None:
        async with Server() as server:
            target = f"sip:bob@{LOOPBACK}:{server.port};transport=tcp"
            place = Place(lambda ask: ELSEWHERE if ask.outcomes else Forward([Target(target)]))
            try:
                place.client.sendto(request("MESSAGE", via=place.via), (LOOPBACK, place.listener.port))
                peer = await server.peer()
                assert await peer.read()
                await peer.close()
                answer = await place.receive()
                assert isinstance(answer, Response)
                assert (answer.status, place.driver.faults) == (480, 0)
                assert [flow.port for flow in place.policy.gone] == [server.port]
            finally:
                place.close()

    in_loop(play)


def test_a_message_whose_end_cannot_be_told_is_answered_400_before_the_end() -> None:
    async def play() -> None:
        place = Place(lambda _: OK)
        try:
            peer = await connect(place)
            peer.send(over_tcp(request("MESSAGE", via=LOOPBACK)).replace(b"Content-Length: 0\r\n", b""))
            assert (await peer.end()).startswith(b"SIP/2.0 400 ")
            await peer.close()
        finally:
            place.close()

    in_loop(play)
