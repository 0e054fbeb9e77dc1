"""Connections that we open, find again, and lose; limits of those that come."""

import asyncio
import errno
import os
import socket
import ssl
import struct
from pathlib import Path
from unittest.mock import Mock

import pytest

from certificates import Authority
from oneproxy.engine.flow import Found, Hop
from oneproxy.logs import RateLimited
from oneproxy.transport import connections, stream
from oneproxy.transport.connections import Limits
from oneproxy.transport.credentials import Credentials
from oneproxy.transport.tls import TlsStream
from ports import free_port
from wires import LOOPBACK, Place, Server, answer, in_loop, message


class Names:
    """Keeps what failed."""

    def __init__(self) -> None:
        self.lost: list[Hop] = []

    def find(self, _now: float, _hop: Hop, _found: Found) -> list[Hop] | None:
        return []

    def failed(self, _now: float, hop: Hop) -> None:
        self.lost.append(hop)


class Secure:
    """An authority that the listener trusts, its credentials, and those of a peer."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        own = self.authority.issue("sip.example.com", names=["sip.example.com"])
        self.credentials = Credentials(own.certificate, own.key, self.authority.path)
        self.peer = self.authority.issue("peer", names=["peer.example.net"], addresses=[LOOPBACK])
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(*self.peer)
        self.server.load_verify_locations(self.authority.path)
        self.server.verify_mode = ssl.CERT_OPTIONAL
        self.anonymous = ssl.create_default_context(cafile=self.authority.path)
        self.client = ssl.create_default_context(cafile=self.authority.path)
        self.client.load_cert_chain(*self.peer)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Secure:
    return Secure(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("uv", [False, True])
def test_a_connection_is_opened_once_and_used_again(uv: bool) -> None:
    async def play() -> None:
        async with Place("TCP") as place, Server() as server:
            hop = ("TCP", LOOPBACK, server.port)
            flow = place.towards(hop)
            place.wire.out += [(flow, message()), (flow, message("BYE"))]
            place.wire.flush()
            peer = await server.peer()
            assert await peer.exactly(len(message() + message("BYE"))) == message() + message("BYE")
            assert place.towards(hop) is flow is place.ways.named(flow.name)
            peer.send(answer("192.0.2.1"))
            assert (await place.message())[0] is flow
            assert (flow.host, flow.port, flow.reliable) == (LOOPBACK, server.port, True)
            assert (place.connections.counts["connections_opened"], server.peers.qsize()) == (1, 0)
            await peer.close()
            await place.wire.until(lambda: place.wire.ended == [flow])
            assert place.towards(hop) is not flow

    in_loop(play, uv)


@pytest.mark.parametrize("uv", [False, True])
def test_a_refused_connection_hands_its_requests_back_and_then_itself(uv: bool) -> None:
    async def play() -> None:
        names = Names()
        async with Place("TCP", names=names) as place:
            hop = ("TCP", LOOPBACK, free_port())
            flow = place.towards(hop)
            place.wire.out += [(flow, message()), (flow, answer("192.0.2.1")), (flow, message("BYE"))]
            place.wire.flush()
            await place.wire.until(lambda: bool(place.wire.ended))
            assert place.wire.not_delivered == [message(), message("BYE")]
            assert (place.wire.ended, names.lost) == ([flow], [hop])
            assert len(place.connections) == 0

    in_loop(play, uv)


def test_a_connection_that_nobody_answers_is_given_up_in_time() -> None:
    async def play() -> None:
        # A listener whose backlog is full answers no further attempt.
        with socket.socket() as silent:
            silent.bind((LOOPBACK, 0))
            silent.listen(0)
            place_of = silent.getsockname()
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(place_of)
            async with Place("TCP", Limits(connect_s=0.1, sweep_s=0.01)) as place:
                flow = place.towards(("TCP", *place_of))
                place.send(flow, message())
                await place.wire.until(lambda: bool(place.wire.ended))
                assert place.wire.not_delivered == [message()]
                assert place.connections.counts["connections_timed_out"] == 1
            for filler in fillers:
                filler.close()

    in_loop(play)


def test_an_address_that_fails_at_once_is_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with Place("TCP") as place:
            # A broadcast address.
            assert place.ways.towards(("TCP", "255.255.255.255", 5060)) is None
            monkeypatch.setattr(socket, "socket", Mock(side_effect=OSError(errno.EMFILE, "")))
            assert place.ways.towards(("TCP", LOOPBACK, 5060)) is None
            monkeypatch.undo()
            assert len(place.connections) == 0

    in_loop(play)


def test_what_waits_for_a_connection_is_bounded() -> None:
    async def play() -> None:
        async with Place("TCP", Limits(outward=1000, sweep_s=0.01)) as place, Server() as server:
            flow = place.towards(("TCP", LOOPBACK, server.port))
            for _ in range(6):
                place.send(flow, message())
            assert place.wire.not_delivered[-1:] == [message()]
            assert place.wire.ended == [flow]
            assert len(place.wire.not_delivered) == 6

    in_loop(play)


@pytest.mark.parametrize("name", ["peer.example.net", ""])
@pytest.mark.parametrize("uv", [False, True])
def test_tls_is_opened_to_whom_the_certificate_names(secure: Secure, name: str, uv: bool) -> None:
    async def play() -> None:
        place = Place("TLS", credentials=secure.credentials)
        async with place, Server(secure.server) as server:
            hop = ("TLS", LOOPBACK, server.port)
            flow = place.towards(hop, name)
            place.send(flow, message())
            peer = await server.peer()
            assert await peer.exactly(len(message())) == message()
            certificate = peer.writer.get_extra_info("peercert")
            assert ("DNS", "sip.example.com") in certificate["subjectAltName"]
            assert flow.client_names == ("peer.example.net", LOOPBACK, "peer")
            assert place.towards(hop, name) is flow
            # Whoever asks for another name does not get this one.
            assert place.towards(hop, "other.example.net") is not flow

    in_loop(play, uv)


def test_tls_to_somebody_else_fails(secure: Secure) -> None:
    async def play() -> None:
        names = Names()
        place = Place("TLS", credentials=secure.credentials, names=names)
        async with place, Server(secure.server) as server:
            hop = ("TLS", LOOPBACK, server.port)
            flow = place.towards(hop, "bank.example.org")
            place.send(flow, message())
            await place.wire.until(lambda: bool(place.wire.ended))
            assert (place.wire.not_delivered, place.wire.ended) == ([message()], [flow])
            assert (names.lost, flow.client_names) == ([hop], ())

    in_loop(play)


def test_nothing_is_opened_over_websocket_but_what_came_is_found() -> None:
    async def play() -> None:
        async with Place("WS") as place:
            assert place.ways.towards(("WS", LOOPBACK, 80)) is None
            peer = await place.connect()
            await place.wire.until(lambda: len(place.connections) == 1)
            flow = place.towards(("WS", *peer.address))
            assert (flow.host, flow.port) == peer.address
            assert flow.name.startswith("ws/")

    in_loop(play)


def test_what_goes_to_the_other_end_of_an_accepted_connection_takes_it() -> None:
    async def play() -> None:
        async with Place("TCP") as place:
            peer = await place.connect()
            peer.send(message())
            flow, _ = await place.message()
            assert place.towards(("TCP", *peer.address)) is flow
            await peer.close()
            await place.wire.until(lambda: not len(place.connections))
            assert place.connections.find(("TCP", *peer.address)) is None

    in_loop(play)


@pytest.mark.parametrize("proven", [True, False])
def test_over_tls_the_other_end_is_who_it_has_proven_to_be(secure: Secure, proven: bool) -> None:
    async def play() -> None:
        async with Place("TLS", credentials=secure.credentials) as place:
            peer = await place.connect(secure.client if proven else secure.anonymous, "sip.example.com")
            peer.send(message())
            flow, _ = await place.message()
            hop = ("TLS", *peer.address)
            assert (place.connections.find(hop) is flow) == proven
            assert (place.connections.find(hop, "peer.example.net") is flow) == proven
            assert place.connections.find(hop, "bank.example.org") is None
            assert place.ways.named(flow.name) is flow

    in_loop(play)


@pytest.mark.parametrize("transport", ["TCP", "WS"])
def test_who_has_proven_nothing_is_not_reached_at_another_port(transport: str) -> None:
    async def play() -> None:
        async with Place("TCP") as place:
            peer = await place.connect()
            peer.send(message(via="127.0.0.1:5090;alias"))
            flow, _ = await place.message()
            assert place.connections.find((transport, LOOPBACK, 5090)) is None
            assert place.towards(("TCP", *peer.address)) is flow

    in_loop(play)


@pytest.mark.parametrize("proven", [True, False])
def test_over_tls_only_a_proven_name_is_reached_so(secure: Secure, proven: bool) -> None:
    async def play() -> None:
        async with Place("TLS", credentials=secure.credentials) as place:
            peer = await place.connect(secure.client if proven else secure.anonymous, "sip.example.com")
            peer.send(message(via="peer.example.net:5071;alias"))
            flow, _ = await place.message()
            assert flow.client_names == (("peer.example.net", LOOPBACK, "peer") if proven else ())
            hop = ("TLS", LOOPBACK, 5071)
            assert (place.connections.find(hop, "peer.example.net") is flow) == proven
            assert (place.connections.find(hop) is flow) == proven
            assert place.connections.find(hop, "bank.example.org") is None

    in_loop(play)


def test_an_alias_takes_nothing_away_that_we_opened_and_there_are_few_of_them(secure: Secure) -> None:
    async def play() -> None:
        async with Place("TLS", credentials=secure.credentials) as place, Server(secure.server) as server:
            ours = place.towards(("TLS", LOOPBACK, server.port), "peer.example.net")
            peer = await place.connect(secure.client, "sip.example.com")
            peer.send(message(via=f"{LOOPBACK}:{server.port};alias"))
            for port in range(6001, 6101):
                peer.send(message(via=f"{LOOPBACK}:{port};alias"))
            flow, _ = await place.message(101)
            assert place.towards(("TLS", LOOPBACK, server.port), "peer.example.net") is ours
            found = [place.connections.find(("TLS", LOOPBACK, port)) for port in range(6001, 6101)]
            assert 0 < found.count(flow) <= 4  # type: ignore[arg-type]

    in_loop(play)


def test_of_two_connections_that_ask_for_the_same_port_the_last_is_taken(secure: Secure) -> None:
    async def play() -> None:
        async with Place("TLS", credentials=secure.credentials) as place:
            for number in (1, 2):
                peer = await place.connect(secure.client, "sip.example.com")
                peer.send(message(via="peer.example.net:5071;alias"))
                flow, _ = await place.message(number)
                assert place.connections.find(("TLS", LOOPBACK, 5071), "peer.example.net") is flow

    in_loop(play)


def test_what_we_open_to_one_host_is_bounded_and_half_of_it_is_not_for_responses() -> None:
    async def play() -> None:
        with socket.create_server((LOOPBACK, 0)) as one, socket.create_server(("127.0.0.2", 0)) as other:
            async with Place("TCP", Limits(per_destination=4, sweep_s=0.01)) as place:
                peer = await place.connect()
                peer.send(message())
                flow, _ = await place.message()
                await peer.close()
                await place.wire.until(lambda: place.wire.ended == [flow])
                for port in range(20_001, 20_009):
                    place.send(flow, answer(f"nat.example.com:{port};received=127.0.0.3"))
                # They are refused later: nobody listens there.
                assert place.connections.counts["connections_opened"] == 2
                place.towards(("TCP", *one.getsockname()))
                for port in range(20_001, 20_009):
                    place.ways.towards(("TCP", LOOPBACK, port))
                assert place.connections.counts["connections_opened"] == 6
                assert place.connections.counts["connections_refused_destination"] == 5
                assert place.ways.towards(("TCP", *other.getsockname())) is not None
                await place.wire.until(lambda: len(place.connections) == 2)
                assert dict(place.connections._destinations) == {LOOPBACK: 1, "127.0.0.2": 1}

    in_loop(play)


def test_responses_to_a_peer_that_was_cut_off_open_nothing() -> None:
    async def play() -> None:
        async with Place("TCP", Limits(outward=5_000, sweep_s=0.01)) as place, Server() as server:
            peer = await place.connect()
            peer.send(message())
            flow, _ = await place.message()
            via = f"{LOOPBACK}:{server.port}"
            place.wire.out += [(flow, answer(via)) for _ in range(100)]
            place.wire.flush()
            assert place.connections.counts["connections_too_slow"] == 1
            assert place.connections.counts["connections_opened"] == 0

    in_loop(play)


def test_a_log_that_cannot_be_written_keeps_no_failure_from_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_args: object, **_fields: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    async def play() -> None:
        async with Place("TCP") as place:
            monkeypatch.setattr(RateLimited, "warning", full)
            asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
            flow = place.towards(("TCP", LOOPBACK, free_port()))
            place.send(flow, message())
            await place.wire.until(lambda: place.wire.ended == [flow])
            assert place.wire.not_delivered == [message()]

    in_loop(play)


@pytest.mark.parametrize("uv", [False, True])
def test_connections_that_are_reset_while_they_wait_for_their_handshake_are_gone_at_once(
    secure: Secure, uv: bool
) -> None:
    async def play() -> None:
        async with Place("TLS", Limits(handshake_s=60.0), credentials=secure.credentials) as place:
            clients = [socket.create_connection((LOOPBACK, place.listener.bound)) for _ in range(100)]
            await place.wire.until(lambda: len(place.connections) == 100)
            for client in clients:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
            await place.wire.until(lambda: not len(place.connections))

    in_loop(play, uv)


@pytest.mark.parametrize("known", [False, True])
def test_a_response_whose_connection_is_closed_takes_another_one(known: bool) -> None:
    async def play() -> None:
        async with Place("TCP") as place, Server() as server:
            peer = await place.connect()
            peer.send(message())
            flow, _ = await place.message()
            await peer.close()
            await place.wire.until(lambda: place.wire.ended == [flow])
            if known:
                place.towards(("TCP", LOOPBACK, server.port))
            via = f"nat.example.com:{server.port};received={LOOPBACK}"
            place.send(flow, answer(via))
            place.send(flow, answer(via, 486))
            back = await server.peer()
            expected = answer(via) + answer(via, 486)
            assert await back.exactly(len(expected)) == expected
            # There is no way back to these: a name, no port of a family that we have, garbage.
            for nowhere in ("nat.example.com", "[2001:db8::1]:5060", ""):
                place.send(flow, answer(nowhere))
            assert place.wire.not_delivered == []
            assert place.connections.counts["connections_opened"] == 1

    in_loop(play)


def test_connections_are_bounded_and_room_comes_back() -> None:
    async def play() -> None:
        async with Place("TCP", Limits(connections=2, sweep_s=0.01)) as place, Server() as server:
            first, second = await place.connect(), await place.connect()
            await place.wire.until(lambda: len(place.connections) == 2)
            third = await place.connect()
            assert await third.end() == b""
            # Gateways are reached all the same, but not without bound either.
            kept = [place.ways.towards(("TCP", host, server.port)) for host in ("127.0.0.1", "127.0.0.2")]
            assert None not in kept
            assert place.ways.towards(("TCP", "127.0.0.3", server.port)) is None
            assert place.connections.counts["connections_refused_full"] == 2
            await first.close()
            await place.wire.until(lambda: place.connections.counts["connections_accepted"] == 2)
            await place.wire.until(lambda: len(place.wire.ended) >= 1)
            fourth = await place.connect()
            fourth.send(message())
            await place.message()
            await second.close()

    in_loop(play)


def test_connections_of_one_source_are_bounded() -> None:
    async def play() -> None:
        async with Place("TCP", Limits(per_source=2, sweep_s=0.01), address="0.0.0.0") as place:
            loop = asyncio.get_running_loop()
            clients = []
            for host in ("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2"):
                client = socket.socket()
                client.setblocking(False)
                client.bind((host, 0))
                await loop.sock_connect(client, ("127.0.0.1", place.listener.bound))
                clients.append(client)
            assert await loop.sock_recv(clients[2], 10) == b""
            await loop.sock_sendall(clients[3], message())
            await place.message()
            counts = place.connections.counts
            assert (counts["connections_accepted"], counts["connections_refused_source"]) == (3, 1)
            for client in clients:
                client.close()
            await place.wire.until(lambda: not len(place.connections))
            assert not place.connections._sources

    in_loop(play)


def test_sources_over_ipv6_are_networks() -> None:
    of = connections._source
    assert of("2001:db8:1:2:3::4") == of("2001:db8:1:2:ffff::1") != of("2001:db8:1:3::4")
    assert of("192.0.2.1") != of("192.0.2.2")


def test_a_system_without_room_for_more_sockets_is_asked_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play() -> None:
        async with Place("TCP") as place:
            monkeypatch.setattr(stream, "_PAUSE_S", 0.05)
            full = [True]
            accepted = [0]
            real = place.listener.socket

            class Full:
                def accept(self) -> object:
                    accepted[0] += 1
                    if full[0]:
                        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
                    return real.accept()

                def __getattr__(self, name: str) -> object:
                    return getattr(real, name)

                def fileno(self) -> int:
                    return real.fileno()

            place.listener.socket = Full()  # type: ignore[assignment]
            peer = await place.connect()
            await place.wire.until(lambda: accepted[0] >= 2)
            assert place.connections.counts["accept_paused"] == accepted[0] < 10
            full[0] = False
            peer.send(message())
            await place.message()
            place.listener.socket = real

    in_loop(play)


@pytest.mark.parametrize("uv", [False, True])
def test_handshakes_of_one_turn_are_few(secure: Secure, uv: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        steps: list[int] = [0]
        shake = TlsStream._shake

        def turn() -> None:
            steps.append(0)
            loop.call_soon(turn)

        def count(tls: TlsStream) -> None:
            steps[-1] += 1
            shake(tls)

        async with Place("TLS", credentials=secure.credentials) as place:
            clients = [socket.create_connection((LOOPBACK, place.listener.bound)) for _ in range(40)]
            await place.wire.until(lambda: len(place.connections) == 40)
            monkeypatch.setattr(TlsStream, "_shake", count)
            turn()
            await asyncio.sleep(0)
            for client in clients:
                # All of them are there before any of them is read.
                client.sendall(b"\x16\x03\x01\x02\x00")
            await place.wire.until(lambda: sum(steps) == 40)
            assert max(steps) == 8
            for client in clients:
                client.close()

    in_loop(play, uv)


@pytest.mark.parametrize("uv", [False, True])
def test_all_who_come_back_at_once_get_in(secure: Secure, uv: bool) -> None:
    async def play() -> None:
        async with Place("TLS", credentials=secure.credentials) as place:
            peers = await asyncio.gather(
                *(place.connect(secure.anonymous, "sip.example.com") for _ in range(50))
            )
            for peer in peers:
                peer.send(message())
            await place.message(50)
            assert len({flow.name for flow, _ in place.wire.came}) == 50

    in_loop(play, uv)


def test_a_stop_takes_in_what_has_come_and_says_good_bye(secure: Secure) -> None:
    async def play() -> None:
        async with Place("TLS", credentials=secure.credentials) as place:
            place.wire.answer = lambda _flow, _data: answer("192.0.2.10", 503)
            peer = await place.connect(secure.anonymous, "sip.example.com")
            peer.send(message())
            assert await peer.exactly(len(answer("192.0.2.10", 503))) == answer("192.0.2.10", 503)
            peer.send(message() * 500)
            await peer.writer.drain()
            place.listener.close()
            place.connections.finish(asyncio.get_running_loop().time() + 1)
            # An end by force would have lost some of it, and asyncio would have raised.
            assert await asyncio.wait_for(peer.reader.read(), 10) == answer("192.0.2.10", 503) * 500
            await peer.close()
            await place.wire.until(lambda: not len(place.connections))

    in_loop(play)


def test_all_that_is_open_is_closed_at_the_end() -> None:
    async def play() -> None:
        async with Place("TCP") as place, Server() as server:
            peer = await place.connect()
            peer.send(message())
            await place.message()
            place.send(place.towards(("TCP", LOOPBACK, server.port)), message())
            other = await server.peer()
            place.listener.close()
            place.connections.close()
            assert (await peer.end(), len(place.connections)) == (b"", 0)
            assert await other.end() == message()

    in_loop(play)
