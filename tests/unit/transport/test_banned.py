"""Banned sources: their datagrams are dropped before anything is made of them, their connections
closed or refused."""

import socket

import pytest

from oneproxy.transport.banned import Shut
from oneproxy.transport.stun import COOKIE
from oneproxy.transport.udp import BATCH, UdpListener
from wires import Place, in_loop, message

UNTIL = 2_000_000.0
#: The time of the scripted wire.
NOW = 1_000_000.0
NETWORK = b"\0" * 8  # of ::1


def sent(listener: UdpListener, *datagrams: bytes) -> None:
    family = socket.AF_INET6 if listener.ipv6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        for data in datagrams:
            client.sendto(data, (listener.address, listener.port))


@pytest.mark.parametrize(("address", "key"), [("127.0.0.1", "127.0.0.1"), ("::1", NETWORK)])
def test_datagrams_of_a_banned_source_are_counted_and_dropped_before_a_flow_is_made(
    address: str, key: str | bytes
) -> None:
    listener = UdpListener(address, 0, "", 0)
    try:
        listener.shut = {key: UNTIL}
        sent(listener, message(), b"\x00\x01\x00\x00" + COOKIE + b"transaction!", b"")
        assert listener.drain(lambda *_: pytest.fail("handed on"), NOW) == 3
        assert listener.banned == 3
        assert listener._flows == {}
        # A ban that is over, and one of somebody else, keep nobody out.
        came: list[bytes] = []
        others: tuple[Shut, ...] = ({key: NOW}, {"192.0.2.7": UNTIL, b"12345678": UNTIL})
        for shut in others:
            listener.shut = shut
            sent(listener, message())
            listener.drain(lambda _flow, data: came.append(data), NOW)
        assert came == [message()] * 2
        assert listener.banned == 3
    finally:
        listener.close()


def test_a_flood_of_a_banned_source_leaves_others_their_turn() -> None:
    listener = UdpListener("127.0.0.1", 0, "", 0)
    try:
        listener.shut = {"127.0.0.1": UNTIL}
        sent(listener, *[b"x"] * (BATCH + 1))
        assert [listener.drain(lambda *_: None, NOW) for _ in range(2)] == [BATCH, 1]
    finally:
        listener.close()


@pytest.mark.parametrize("transport", ["TCP", "WS"])
def test_a_connection_of_a_banned_source_is_refused(transport: str) -> None:
    async def play() -> None:
        async with Place(transport) as place:
            place.connections.shut = {"127.0.0.1": UNTIL}
            peer = await place.connect()
            assert await peer.end() == b""
            assert place.connections.counts == {"dropped.banned": 1}
            assert len(place.connections) == 0
            await peer.close()

    in_loop(play)


@pytest.mark.parametrize("transport", ["TCP", "WS"])
def test_a_connection_that_is_open_when_its_source_is_banned_is_closed_at_its_next_word(
    transport: str,
) -> None:
    async def play() -> None:
        async with Place(transport) as place:
            peer = await place.connect()
            await place.wire.until(lambda: len(place.connections) == 1)
            place.connections.shut = {"127.0.0.1": UNTIL}
            peer.send(message())
            assert await peer.end() == b""
            assert place.wire.came == []
            assert place.connections.counts["dropped.banned"] == 1
            assert len(place.connections) == 0
            await peer.close()

    in_loop(play)


def test_a_connection_is_taken_again_once_the_ban_is_over() -> None:
    async def play() -> None:
        async with Place("TCP") as place:
            place.connections.shut = {"127.0.0.1": NOW}
            peer = await place.connect()
            peer.send(message())
            await place.wire.until(lambda: len(place.wire.came) == 1)
            await peer.close()

    in_loop(play)
