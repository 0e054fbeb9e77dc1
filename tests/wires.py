"""A driver's place taken by a test, and peers over real sockets on loopback.

async with Place("TCP") as place:
    peer = await place.connect()
    peer.send(message("OPTIONS"))
    flow, data = await place.message()
    place.send(flow, b"SIP/2.0 200 OK...")
    await peer.read()
"""

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final

from oneproxy.engine.flow import Flow, Hop
from oneproxy.transport.codec import Codec, StreamCodec
from oneproxy.transport.connections import Connections, Limits
from oneproxy.transport.credentials import Credentials
from oneproxy.transport.flows import Resolution, Ways
from oneproxy.transport.stream import StreamListener
from oneproxy.transport.udp import UdpListener
from oneproxy.transport.websocket import WebSocketCodec
from waiting import PATIENCE_S

LOOPBACK: Final = "127.0.0.1"


class ScriptedWire:
    """Keeps what transport tells. answer: what goes back on the flow of each message, or None."""

    def __init__(self) -> None:
        self.connections: Connections | None = None
        self.came: list[tuple[Flow, bytes]] = []
        self.not_delivered: list[bytes] = []
        self.ended: list[Flow] = []
        self.answer: Callable[[Flow, bytes], bytes | None] = lambda _flow, _data: None
        self.out: list[tuple[Flow, bytes]] = []
        self.flushes = 0
        self._changed: list[asyncio.Future[None]] = []

    def now(self) -> float:
        """Some time."""
        return 1_000_000.0

    def received(self, flow: Flow, data: bytes) -> None:
        """A message."""
        self.came.append((flow, data))
        answer = self.answer(flow, data)
        if answer is not None:
            self.out.append((flow, answer))
        self._note()

    def flush(self) -> None:
        """Send the answers."""
        self.flushes += 1
        for flow, data in self.out:
            try:
                flow.send(data)
            except OSError:
                self.undelivered(data)
        self.out.clear()
        if self.connections is not None:
            self.connections.write()

    def flush_soon(self) -> None:
        """Send the answers later."""
        asyncio.get_running_loop().call_soon(self.flush)

    def undelivered(self, data: bytes) -> None:
        """Something reached nobody."""
        self.not_delivered.append(data)
        self._note()

    def closed(self, flow: Flow) -> None:
        """A connection is gone."""
        self.ended.append(flow)
        self._note()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; looked at whenever something was told, and now and then."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        while not condition():
            assert loop.time() < deadline, "it never came to be"
            changed = loop.create_future()
            self._changed.append(changed)
            await asyncio.wait([changed], timeout=0.02)

    def _note(self) -> None:
        waiting, self._changed = self._changed, []
        for changed in waiting:
            if not changed.done():
                changed.set_result(None)


class Peer:
    """The other end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @property
    def address(self) -> tuple[str, int]:
        """Its own IP address and port."""
        host, port = self.writer.get_extra_info("sockname")[:2]
        return host, port

    def send(self, data: bytes) -> None:
        """Send octets."""
        self.writer.write(data)

    async def read(self, size: int = 65_536) -> bytes:
        """What comes next; b"" at the end."""
        return await asyncio.wait_for(self.reader.read(size), PATIENCE_S)

    async def exactly(self, size: int) -> bytes:
        """So many octets."""
        return await asyncio.wait_for(self.reader.readexactly(size), PATIENCE_S)

    async def end(self) -> bytes:
        """Everything up to the end; an end by force counts as one."""
        try:
            return await asyncio.wait_for(self.reader.read(), PATIENCE_S)
        except (ConnectionResetError, ssl.SSLError):
            return b""

    async def close(self) -> None:
        """Close."""
        self.writer.close()
        try:
            await asyncio.wait_for(self.writer.wait_closed(), PATIENCE_S)
        except (OSError, ssl.SSLError):
            return


class Place:
    """A listener of one transport, the table of connections, and the ways, on loopback."""

    def __init__(
        self,
        transport: str,
        limits: Limits | None = None,
        credentials: Credentials | None = None,
        names: Resolution | None = None,
        address: str = LOOPBACK,
    ) -> None:
        self.wire = ScriptedWire()
        # A sweep every some milliseconds: tests wait for what it does.
        self.connections = Connections(limits or Limits(sweep_s=0.01))
        self.wire.connections = self.connections
        codec: Callable[[], Codec] = WebSocketCodec if transport in ("WS", "WSS") else StreamCodec
        self.listener = StreamListener(transport, address, 0, "", 0, self.connections, credentials, codec)
        self.udp = UdpListener(address, 0, "", 0)
        self.ways = Ways([self.listener, self.udp], self.connections, names)
        self.peers: list[Peer] = []

    async def __aenter__(self) -> "Place":
        self.connections.start(self.wire)
        self.listener.start(self.wire)
        self.udp.start(self.wire)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.listener.close()
        self.udp.close()
        self.connections.close()
        for peer in self.peers:
            await peer.close()

    async def connect(self, context: ssl.SSLContext | None = None, name: str | None = None) -> Peer:
        """A new connection to the listener."""
        host = self.listener.address
        reader, writer = await asyncio.open_connection(
            host, self.listener.bound, ssl=context, server_hostname=name if context else None
        )
        peer = Peer(reader, writer)
        self.peers.append(peer)
        return peer

    async def message(self, number: int = 1) -> tuple[Flow, bytes]:
        """The message of this number, counted from 1, once it has come."""
        await self.wire.until(lambda: len(self.wire.came) >= number)
        return self.wire.came[number - 1]

    def send(self, flow: Flow, data: bytes) -> None:
        """Have the driver send."""
        self.wire.out.append((flow, data))
        self.wire.flush()

    def towards(self, hop: Hop, name: str = "") -> Flow:
        """The way that has to be there."""
        flow = self.ways.towards(hop, name)
        assert flow is not None
        return flow


class Server:
    """A listening socket of a peer, and the connections that came to it."""

    def __init__(self, context: ssl.SSLContext | None = None, address: str = LOOPBACK) -> None:
        self._context = context
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.socket.bind((address, 0))
        self.port: int = self.socket.getsockname()[1]
        self.address = address
        self.peers: asyncio.Queue[Peer] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._all: list[Peer] = []

    async def __aenter__(self) -> "Server":
        self._server = await asyncio.start_server(self._take, sock=self.socket, ssl=self._context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for peer in self._all:
            await peer.close()

    async def peer(self) -> Peer:
        """The next connection."""
        return await asyncio.wait_for(self.peers.get(), PATIENCE_S)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self._all.append(peer)
        await self.peers.put(peer)


def in_loop(test: Callable[[], Coroutine[Any, Any, None]], uv: bool = False) -> None:
    """Run a test in a loop of its own."""
    if uv and sys.platform != "win32":
        import uvloop  # noqa: PLC0415

        uvloop.run(test())
    else:
        asyncio.run(test())


def message(method: str = "OPTIONS", *headers: str, via: str = "192.0.2.10", body: str = "") -> bytes:
    """A whole request over TCP; headers: further whole lines."""
    lines = [
        f"{method} sip:example.com SIP/2.0",
        f"Via: SIP/2.0/TCP {via};branch=z9hG4bK1",
        *headers,
        "From: <sip:alice@example.com>;tag=a",
        "To: <sip:bob@example.com>",
        "Call-ID: call-1",
        f"CSeq: 1 {method}",
        f"Content-Length: {len(body)}",
        "",
        body,
    ]
    return "\r\n".join(lines).encode("latin-1")


def answer(via: str, status: int = 200, protocol: str = "TCP") -> bytes:
    """A whole response that goes back by the Via `via`."""
    lines = [
        f"SIP/2.0 {status} Because",
        f"Via: SIP/2.0/{protocol} {via};branch=z9hG4bK1",
        "From: <sip:alice@example.com>;tag=a",
        "To: <sip:bob@example.com>;tag=b",
        "Call-ID: call-1",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1")
