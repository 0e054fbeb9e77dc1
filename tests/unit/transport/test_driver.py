"""The driver over real loopback sockets: what comes in, what goes out, and that it goes on."""

import asyncio
import errno
import gc
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from oneproxy.engine.core import Engine
from oneproxy.engine.decisions import Ask, Decision, Forward, Policy, Reply, Target
from oneproxy.engine.dialog import DialogMark
from oneproxy.engine.routing import Own
from oneproxy.sip.message import Request, Response, split
from oneproxy.transport import resolve
from oneproxy.transport.driver import Clock, Driver
from oneproxy.transport.udp import BATCH, UdpFlows, UdpListener
from world import request, response

OK = Reply(200, "OK", stateless=True)
ELSEWHERE = Reply(480, "Elsewhere")


class Scripted:
    """A policy that decides as it is told."""

    def __init__(self, decide: Callable[[Ask], Decision]) -> None:
        self.decide = decide


class Place:
    """A listener, its driver and engine, and a client's socket."""

    def __init__(self, decide: Callable[[Ask], Decision]) -> None:
        self.listener = UdpListener("127.0.0.1", 0, "", 0)
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.bind(("127.0.0.1", 0))
        self.client.setblocking(False)
        clock = Clock()
        self.driver = Driver(clock, [self.listener])
        policy: Policy = Scripted(decide)
        own = Own([self.listener], frozenset({"example.com"}))
        flows = UdpFlows([self.listener])
        mark = DialogMark(b"k" * 32)
        self.engine = Engine(clock.now(), "n", [self.listener], flows, policy, mark, own, 1000)
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
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.client, 65_535), 5)
        message = split(data)
        assert isinstance(message, Request | Response)
        return message

    def close(self) -> None:
        self.driver.stop()
        self.client.close()


def in_loop(test: Callable[[], Coroutine[Any, Any, None]], uv: bool = False) -> None:
    """Run a test in a loop of its own."""
    if uv and sys.platform != "win32":
        import uvloop  # noqa: PLC0415

        uvloop.run(test())
    else:
        asyncio.run(test())
    gc.collect()


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
        place = Place(lambda ask: Forward([Target("sip:bob@127.0.0.1:9")]))
        try:
            answer = await place.ask(request("INVITE", via=place.via))
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
        send = UdpListener.send

        def refuse(listener: UdpListener, data: bytes, address: tuple[object, ...]) -> None:
            if address[1] == 9:
                raise OSError(errno.ENETUNREACH, "Network is unreachable")
            send(listener, data, address)

        monkeypatch.setattr(UdpListener, "send", refuse)
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


@pytest.mark.parametrize("known", [False, True])
def test_a_name_without_an_address_fails_its_branch_and_others_go_on(
    monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()

        async def nowhere(*_: object, **__: object) -> list[object]:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

        monkeypatch.setattr(loop, "getaddrinfo", nowhere)
        place = Place(lambda ask: ELSEWHERE if ask.outcomes else Forward([Target("sip:bob@nowhere.invalid")]))
        try:
            # The second time the answer is in the cache, and comes from inside of the flush.
            for number in range(1 + known):
                answer = await place.ask(request("MESSAGE", via=place.via, branch=f"z9hG4bK{number}"))
                assert isinstance(answer, Response)
                assert answer.status == 480
            assert place.driver.faults == 0
        finally:
            place.close()

    in_loop(play)


def test_a_name_is_looked_up_once_and_then_known(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        asked: list[object] = []

        async def found(host: str, *_: object, **__: object) -> list[object]:
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.7", 0))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
        resolver = resolve.Resolver()
        answers: list[object] = []
        assert resolver.resolve(0.0, "a.example", 5060, False, answers.append)
        assert resolver.resolve(0.0, "a.example", 5070, False, answers.append)
        assert answers == []
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert resolver.resolve(1.0, "a.example", 5080, False, answers.append)
        assert answers == [("192.0.2.7", 5060), ("192.0.2.7", 5070), ("192.0.2.7", 5080)]
        assert asked == ["a.example"]

    in_loop(play)


def test_too_many_names_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        never: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()

        async def silent(*_: object, **__: object) -> list[object]:
            return await never

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", silent)
        resolver = resolve.Resolver()
        taken = [resolver.resolve(0.0, f"{number}.example", 5060, False, print) for number in range(100)]
        assert taken.count(True) == resolve._ASKED
        never.set_result([])
        await asyncio.sleep(0)

    in_loop(play)


def test_flows_are_bounded_however_many_sources_there_are() -> None:
    listener = UdpListener("127.0.0.1", 0, "", 0)
    try:
        first = listener.flow("192.0.2.1", 1)
        assert listener.flow("192.0.2.1", 1) is first
        for number in range(70_000):
            listener.flow(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5060)
        assert len(listener._flows) <= 65_536
    finally:
        listener.close()


def test_a_way_is_found_by_transport_and_family() -> None:
    listener = UdpListener("127.0.0.1", 0, "sip.example.com", 5080)
    try:
        flows = UdpFlows([listener])
        assert (listener.sent_by, listener.via) == (
            "sip.example.com:5080",
            "SIP/2.0/UDP sip.example.com:5080;branch=z9hG4bK",
        )
        assert flows.towards("TCP", "192.0.2.1", 5060) is None
        assert flows.towards("UDP", "2001:db8::1", 5060) is None
        flow = flows.towards("UDP", "192.0.2.1", 5060)
        assert flow is not None
        assert (flow.host, flow.port, flow.address) == ("192.0.2.1", 5060, ("192.0.2.1", 5060))
        assert flows.towards("UDP", "192.0.2.1", 5060) is flow
        assert flows.beside(flow, 5070).address == ("192.0.2.1", 5070)
        named = flows.towards("UDP", "phone.example.com", 5060)
        assert named is not None
        assert named.address is None
    finally:
        listener.close()
