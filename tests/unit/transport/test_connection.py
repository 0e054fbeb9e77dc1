"""Connections over real loopback sockets: messages in and out however the network cuts them,
keep-alives, and every way in which one ends."""

import asyncio
import random
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from certificates import Authority
from oneproxy.transport.codec import StreamCodec
from oneproxy.transport.connections import Limits
from oneproxy.transport.credentials import Credentials
from oneproxy.transport.tls import TlsStream
from waiting import pass_time
from wires import Peer, Place, answer, in_loop, message

BODY = "v=0\r\n" * 200
MESSAGES = [message("OPTIONS"), message("MESSAGE", body=BODY), message("INFO"), message("BYE")]


class Secure:
    """Credentials of a listener and what its clients trust."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        issued = self.authority.issue("sip.example.com", names=["sip.example.com"], addresses=["127.0.0.1"])
        self.credentials = Credentials(issued.certificate, issued.key, self.authority.path)
        self.context = ssl.create_default_context(cafile=self.authority.path)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Secure:
    return Secure(tmp_path_factory.mktemp("certificates"))


class Browser:
    """A WebSocket client's octets, without a socket of its own."""

    def __init__(self, peer: Peer, subprotocol: str = "sip") -> None:
        self.peer = peer
        uri = parse_uri("ws://sip.example.com/")
        self.protocol = ClientProtocol(uri, subprotocols=[Subprotocol(subprotocol)] if subprotocol else None)

    def hello(self) -> bytes:
        self.protocol.send_request(self.protocol.connect())
        return b"".join(self.protocol.data_to_send())

    def text(self, data: bytes) -> bytes:
        self.protocol.send_text(data)
        return b"".join(self.protocol.data_to_send())

    def sent(self) -> bytes:
        return b"".join(self.protocol.data_to_send())

    async def frames(self, count: int) -> list[Frame]:
        """So many frames of the server, after its answer to the handshake."""
        got: list[Frame] = []
        while len(got) < count:
            data = await self.peer.read()
            assert data, "closed"
            self.protocol.receive_data(data)
            got += [event for event in self.protocol.events_received() if isinstance(event, Frame)]
        return got

    async def open(self) -> None:
        self.peer.send(self.hello())
        while self.protocol.state.name != "OPEN":
            self.protocol.receive_data(await self.peer.read())
            assert self.protocol.handshake_exc is None


def whole(data: bytes) -> list[bytes]:
    return [data]


def octets(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def anywhere(data: bytes) -> list[bytes]:
    cuts = sorted(random.Random(7).sample(range(1, len(data)), 30))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@pytest.mark.parametrize("cut", [whole, octets, anywhere])
@pytest.mark.parametrize("transport", ["TCP", "TLS", "WS", "WSS"])
@pytest.mark.parametrize("uv", [False, True])
def test_messages_come_out_whole_however_they_were_cut(
    transport: str, cut: Callable[[bytes], list[bytes]], uv: bool, secure: Secure
) -> None:
    async def play() -> None:
        credentials = secure.credentials if transport in ("TLS", "WSS") else None
        async with Place(transport, credentials=credentials) as place:
            peer = await place.connect(secure.context if credentials else None, "sip.example.com")
            if transport in ("WS", "WSS"):
                browser = Browser(peer)
                for piece in cut(browser.hello()):
                    peer.send(piece)
                    await peer.writer.drain()
                while browser.protocol.state.name != "OPEN":
                    browser.protocol.receive_data(await peer.read())
                stream = b"".join(browser.text(data) for data in MESSAGES)
            else:
                stream = b"\r\n".join(MESSAGES)
            for piece in cut(stream):
                peer.send(piece)
                await peer.writer.drain()
            await place.message(len(MESSAGES))
            assert [data for _, data in place.wire.came] == MESSAGES
            flow = place.wire.came[0][0]
            assert (flow.host, flow.port, flow.listener) == (*peer.address, place.listener)
            assert all(one is flow for one, _ in place.wire.came)
            assert place.ways.named(flow.name) is flow

    in_loop(play, uv)


@pytest.mark.parametrize("transport", ["TCP", "TLS"])
def test_what_is_sent_comes_in_order_and_a_batch_in_one_piece(transport: str, secure: Secure) -> None:
    async def play() -> None:
        credentials = secure.credentials if transport == "TLS" else None
        async with Place(transport, credentials=credentials) as place:
            peer = await place.connect(secure.context if credentials else None, "sip.example.com")
            peer.send(message())
            flow, _ = await place.message()
            place.wire.out += [(flow, data) for data in MESSAGES]
            place.wire.flush()
            assert await peer.exactly(sum(map(len, MESSAGES))) == b"".join(MESSAGES)

    in_loop(play)


def test_a_keep_alive_is_answered_at_once_and_by_itself() -> None:
    async def play() -> None:
        async with Place("TCP") as place:
            peer = await place.connect()
            peer.send(b"\r\n\r\n")
            assert await peer.exactly(2) == b"\r\n"
            peer.send(b"\r\n\r\n" * 3 + message())
            assert await peer.exactly(6) == b"\r\n" * 3
            await place.message()
            assert len(place.wire.came) == 1

    in_loop(play)


def test_keep_alives_leave_nothing_behind() -> None:
    async def play() -> None:
        async with Place("TCP") as place:
            peer = await place.connect()
            for _ in range(20):
                peer.send(b"\r\n\r\n")
                assert await peer.exactly(2) == b"\r\n"
            assert (place.connections.dirty, place.wire.flushes) == ([], 0)

    in_loop(play)


def test_a_websocket_gets_text_for_utf8_and_binary_for_the_rest_and_pongs(secure: Secure) -> None:
    async def play() -> None:
        async with Place("WS") as place:
            browser = Browser(await place.connect())
            await browser.open()
            browser.peer.send(browser.text(message()))
            flow, _ = await place.message()
            utf8, latin = "SIP/2.0 200 Größe".encode(), b"SIP/2.0 200 Gr\xf6\xdfe"
            place.wire.out += [(flow, utf8), (flow, latin)]
            place.wire.flush()
            text, binary = await browser.frames(2)
            assert (text.opcode.name, bytes(text.data)) == ("TEXT", utf8)
            assert (binary.opcode.name, bytes(binary.data)) == ("BINARY", latin)
            browser.protocol.send_ping(b"are you there")
            browser.peer.send(browser.sent())
            (pong,) = await browser.frames(1)
            assert (pong.opcode.name, bytes(pong.data)) == ("PONG", b"are you there")
            browser.peer.send(browser.text(b"\r\n\r\n"))
            (crlf,) = await browser.frames(1)
            assert bytes(crlf.data) == b"\r\n"
            assert len(place.wire.came) == 1

    in_loop(play)


def test_a_websocket_message_may_come_in_fragments_with_a_ping_between() -> None:
    async def play() -> None:
        async with Place("WS") as place:
            browser = Browser(await place.connect())
            await browser.open()
            data = message("MESSAGE", body=BODY)
            browser.protocol.send_binary(data[:100], fin=False)
            browser.protocol.send_continuation(data[100:700], fin=False)
            browser.protocol.send_ping(b"p")
            browser.protocol.send_continuation(data[700:], fin=True)
            browser.peer.send(browser.sent() + browser.text(message("BYE")))
            await place.message(2)
            assert [one for _, one in place.wire.came] == [data, message("BYE")]

    in_loop(play)


@pytest.mark.parametrize("subprotocol", ["", "mqtt"])
def test_a_websocket_without_the_subprotocol_is_refused(subprotocol: str) -> None:
    async def play() -> None:
        async with Place("WS") as place:
            browser = Browser(await place.connect(), subprotocol)
            browser.peer.send(browser.hello())
            assert (await browser.peer.end()).startswith(b"HTTP/1.1 400 ")
            await browser.peer.close()
            await place.wire.until(lambda: not len(place.connections))
            assert place.wire.came == []

    in_loop(play)


@pytest.mark.parametrize(
    "data",
    [b"\x81\xff" + b"\xff" * 8, b"\x81\x02no", b"\xff\x80", b"\x81\x82\0\0\0\0\xff\xfe"],
    ids=["too-large", "not-masked", "reserved", "not-utf8"],
)
def test_a_websocket_frame_that_is_none_ends_the_connection(data: bytes) -> None:
    async def play() -> None:
        async with Place("WS") as place:
            browser = Browser(await place.connect())
            await browser.open()
            browser.peer.send(data)
            rest = await browser.peer.end()
            # A close frame of the server says why.
            assert rest[:1] == b"\x88"
            await browser.peer.close()
            await place.wire.until(lambda: not len(place.connections))
            assert (place.wire.came, len(place.wire.ended)) == ([], 1)

    in_loop(play)


def test_a_websocket_that_says_good_bye_is_answered_so() -> None:
    async def play() -> None:
        async with Place("WS") as place:
            browser = Browser(await place.connect())
            await browser.open()
            browser.peer.send(browser.text(message()))
            browser.protocol.send_close(1000, "bye")
            browser.peer.send(browser.sent())
            assert await browser.peer.end() == b"\x88\x05\x03\xe8bye"
            await browser.peer.close()
            await place.wire.until(lambda: len(place.wire.ended) == 1)
            assert len(place.wire.came) == 1

    in_loop(play)


def test_a_message_without_a_length_is_handed_in_to_be_answered_and_then_it_is_over() -> None:
    async def play() -> None:
        async with Place("TCP") as place:
            refusal = answer("192.0.2.10", 400)
            place.wire.answer = lambda _flow, data: refusal if b"MESSAGE" in data else None
            peer = await place.connect()
            bad = message("MESSAGE").replace(b"Content-Length: 0\r\n", b"")
            # What follows can't be told from its body.
            peer.send(message() + bad + message("BYE") * 50)
            assert await peer.end() == refusal
            await peer.close()
            await place.wire.until(lambda: len(place.wire.ended) == 1)
            # Without a length it would be taken for a whole datagram, and answered 200.
            broken = bad[:-2] + b"Content-Length: ?\r\n\r\n"
            assert [data for _, data in place.wire.came] == [message(), broken]

    in_loop(play)


def test_the_last_answer_arrives_though_the_peer_goes_on_sending() -> None:
    async def play() -> None:
        async with Place("TCP") as place:
            refusal = answer("192.0.2.10", 400)
            place.wire.answer = lambda _flow, _data: refusal
            peer = await place.connect()
            # More than is read at once: to close a socket that holds unread octets is a reset.
            peer.send(message().replace(b"Content-Length: 0\r\n", b"") + b"x" * 2_000_000)
            await peer.writer.drain()
            assert await peer.end() == refusal

    in_loop(play)


@pytest.mark.parametrize("uv", [False, True])
def test_a_connection_that_the_peer_closes_is_told_once(uv: bool) -> None:
    async def play() -> None:
        async with Place("TCP") as place:
            peer = await place.connect()
            peer.send(message())
            flow, _ = await place.message()
            await peer.close()
            await place.wire.until(lambda: len(place.wire.ended) > 0)
            assert place.wire.ended == [flow]
            assert (place.ways.named(flow.name), len(place.connections)) == (None, 0)
            with pytest.raises(OSError, match="closed"):
                flow.send(message("NOTIFY"))

    in_loop(play, uv)


@pytest.mark.parametrize("uv", [False, True])
def test_a_connection_that_is_reset_behind_a_message_is_told_once(uv: bool) -> None:
    async def play() -> None:
        async with Place("TCP") as place:
            with socket.socket() as client:
                client.connect(("127.0.0.1", place.listener.bound))
                client.sendall(message())
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # Nothing was read yet: the message and the reset are found together.
            await place.wire.until(lambda: len(place.wire.ended) > 0)
            await asyncio.sleep(0)
            assert len(place.wire.ended) == 1
            assert len(place.connections) == 0

    in_loop(play, uv)


def test_a_response_goes_out_though_the_peer_has_sent_its_last() -> None:
    async def play() -> None:
        async with Place("TCP") as place:
            place.wire.answer = lambda _flow, _data: answer("192.0.2.10")
            peer = await place.connect()
            peer.send(message())
            peer.writer.write_eof()
            assert await peer.end() == answer("192.0.2.10")

    in_loop(play)


def test_who_says_nothing_goes() -> None:
    async def play() -> None:
        async with Place("TCP", Limits(first_message_s=30, sweep_s=0.01)) as place:
            peer = await place.connect()
            # Neither a keep-alive nor half of a message is a message.
            peer.send(b"\r\n\r\n" + message()[:50])
            assert await peer.exactly(2) == b"\r\n"
            pass_time(31)
            assert await peer.end() == b""
            await peer.close()
            await place.wire.until(lambda: not len(place.connections))
            assert place.connections.counts["connections_timed_out"] == 1

    in_loop(play)


def test_who_sends_slowly_goes_however_often_an_octet_comes() -> None:
    async def play() -> None:
        async with Place("TCP", Limits(message_s=0.1, sweep_s=0.01)) as place:
            peer = await place.connect()
            peer.send(message())
            flow, _ = await place.message()

            async def trickle() -> None:
                for octet in octets(message("MESSAGE", body=BODY * 20)):
                    if flow in place.wire.ended:
                        return
                    peer.send(octet)
                    await asyncio.sleep(0.005)

            trickling = asyncio.ensure_future(trickle())
            await place.wire.until(lambda: not len(place.connections) or peer.reader.at_eof())
            await trickling
            assert await peer.end() == b""
            await peer.close()
            await place.wire.until(lambda: place.wire.ended == [flow])
            assert len(place.wire.came) == 1

    in_loop(play)


def test_messages_that_come_one_after_another_each_have_their_time() -> None:
    async def play() -> None:
        async with Place("TCP", Limits(message_s=30, sweep_s=0.01)) as place:
            peer = await place.connect()
            # Each read ends inside of a message, for longer than one message may take.
            stream = message("MESSAGE", body=BODY)
            peer.send(stream + stream[:20])
            for number in range(1, 10):
                await place.message(number)
                pass_time(10)
                # So that it is looked at what is late.
                await asyncio.sleep(0.02)
                peer.send(stream[20:] + stream[:20])
            await place.message(10)
            assert place.wire.ended == []

    in_loop(play)


def test_an_idle_connection_is_closed_unless_it_is_kept_alive_or_waited_for() -> None:
    async def play() -> None:
        async with Place("TCP", Limits(idle_s=300, sweep_s=0.01)) as place:
            idle, kept, waited = [await place.connect() for _ in range(3)]
            for peer in (idle, kept, waited):
                peer.send(message())
            await place.message(3)
            flows = {flow.port: flow for flow, _ in place.wire.came}
            flows[waited.address[1]].pending.add(Mock())
            ended: list[object] = []
            while not ended:
                kept.send(b"\r\n\r\n")
                assert await kept.exactly(2) == b"\r\n"
                pass_time(90)
                await asyncio.sleep(0.02)
                ended = [flow for flow in flows.values() if place.ways.named(flow.name) is None]
            assert ended == [flows[idle.address[1]]]
            assert await idle.end() == b""

    in_loop(play)


def test_a_connection_that_was_registered_over_may_be_silent_for_longer() -> None:
    async def play() -> None:
        async with Place("TCP", Limits(idle_s=300, registered_idle_s=900, sweep_s=0.01)) as place:
            phone, other = await place.connect(), await place.connect()
            phone.send(message("REGISTER"))
            other.send(message())
            await place.message(2)
            flow = next(flow for flow, _ in place.wire.came if flow.port == phone.address[1])
            pass_time(600)
            assert await other.end() == b""
            assert place.ways.named(flow.name) is flow
            pass_time(600)
            assert await phone.end() == b""

    in_loop(play)


def test_what_tls_says_by_itself_is_bounded(secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with Place("TLS", credentials=secure.credentials) as place:
            peer = await place.connect(secure.context, "sip.example.com")
            peer.send(message())
            flow, _ = await place.message()
            # As if the peer read nothing, and its questions had been answered often.
            flow._blocked = True  # type: ignore[attr-defined]
            monkeypatch.setattr(TlsStream, "waiting", 300_000)
            peer.send(message("BYE"))
            await place.wire.until(lambda: place.wire.ended == [flow])
            assert place.connections.counts["connections_too_slow"] == 1

    in_loop(play)


@pytest.mark.parametrize("transport", ["TLS", "WS"])
def test_a_handshake_that_is_not_finished_ends(transport: str, secure: Secure) -> None:
    async def play() -> None:
        credentials = secure.credentials if transport == "TLS" else None
        limits = Limits(handshake_s=0.05, sweep_s=0.01)
        async with Place(transport, limits, credentials) as place:
            peer = await place.connect()
            peer.send(b"\x16\x03" if credentials else b"GET / HTTP/1.1\r\n")
            assert await peer.end() == b""
            await place.wire.until(lambda: not len(place.connections))
            # Nobody has heard of it, so nobody is told.
            assert (place.wire.ended, place.connections.counts["connections_timed_out"]) == ([], 1)

    in_loop(play)


def test_garbage_instead_of_tls_ends_the_connection(secure: Secure) -> None:
    async def play() -> None:
        async with Place("TLS", credentials=secure.credentials) as place:
            peer = await place.connect()
            peer.send(message())
            await peer.end()
            await place.wire.until(lambda: not len(place.connections))
            assert place.wire.came == []
            assert place.connections.counts["handshakes_failed"] == 1

    in_loop(play)


def test_garbage_instead_of_http_ends_the_connection() -> None:
    async def play() -> None:
        async with Place("WS") as place:
            peer = await place.connect()
            peer.send(message())
            await peer.end()
            await peer.close()
            await place.wire.until(lambda: not len(place.connections))
            assert place.wire.came == []

    in_loop(play)


@pytest.mark.parametrize("transport", ["TCP", "TLS"])
def test_a_peer_that_does_not_read_is_cut_off(transport: str, secure: Secure) -> None:
    async def play() -> None:
        credentials = secure.credentials if transport == "TLS" else None
        async with Place(transport, credentials=credentials) as place:
            peer = await place.connect(secure.context if credentials else None, "sip.example.com")
            peer.send(message())
            flow, _ = await place.message()
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            big = message("MESSAGE", body="x" * 60_000)
            sent = 0
            while flow not in place.wire.ended:
                place.send(flow, big)
                sent += len(big)
                assert sent < 50_000_000
                await asyncio.sleep(0)
            assert place.connections.counts["connections_too_slow"] == 1
            assert place.wire.not_delivered == [big]

    in_loop(play)


@pytest.mark.parametrize("uv", [False, True])
def test_much_that_is_read_late_comes_whole(uv: bool) -> None:
    async def play() -> None:
        async with Place("TCP", Limits(outward=8_000_000, sweep_s=0.01)) as place:
            peer = await place.connect()
            peer.send(message())
            flow, _ = await place.message()
            big = message("MESSAGE", body="x" * 60_000)
            for _ in range(100):
                place.send(flow, big)
            assert await peer.exactly(100 * len(big)) == big * 100
            place.send(flow, message("BYE"))
            assert await peer.exactly(len(message("BYE"))) == message("BYE")
            assert flow._size == 0  # type: ignore[attr-defined]

    in_loop(play, uv)


def test_one_busy_connection_leaves_others_their_turn() -> None:
    async def play() -> None:
        async with Place("TCP") as place:
            busy, other = await place.connect(), await place.connect()
            busy.send(message() * 5000)
            other.send(message("BYE"))
            await place.message(5001)
            at = [data for _, data in place.wire.came].index(message("BYE"))
            assert at < 4000

    in_loop(play)


def test_a_fault_of_our_own_costs_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        def fail(_codec: object, _data: bytes) -> list[bytes]:
            raise RuntimeError

        async with Place("TCP") as place:
            other = await place.connect()
            other.send(message())
            await place.message()
            with monkeypatch.context() as patch:
                patch.setattr(StreamCodec, "feed", fail)
                peer = await place.connect()
                peer.send(message())
                assert await peer.end() == b""
            other.send(message("BYE"))
            await place.message(2)
            assert place.connections.counts["faults"] == 1

    in_loop(play)
