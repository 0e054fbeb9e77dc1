"""Listeners for connections: TCP, TLS, WS and WSS."""

import asyncio
import socket
from collections.abc import Callable
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from typing import Final

import structlog

from oneproxy.engine.flow import Listener
from oneproxy.logs import RateLimited
from oneproxy.transport.address import seen_address
from oneproxy.transport.codec import Codec, StreamCodec
from oneproxy.transport.connections import Connections, tune
from oneproxy.transport.credentials import Credentials
from oneproxy.transport.loop import Loop
from oneproxy.transport.wire import Wire

_log: Final = structlog.get_logger()

_BACKLOG: Final = 1024
#: Connections accepted before others get their turn.
_ACCEPTS: Final = 32
#: How long to let others wait when the system has no room for one more.
_PAUSE_S: Final = 1.0
_NO_ROOM: Final = (EMFILE, ENFILE, ENOBUFS, ENOMEM)


class StreamListener(Listener):
    """One bound socket that connections come to, and from whose address we open some.

    transport: "TCP", "TLS", "WS" or "WSS". address, port: where it is bound; advertise: what
    others see. credentials: for TLS and WSS. codec: makes what lies between a connection's
    octets and its messages. Raises OSError where the address can't be bound.
    """

    __slots__ = (
        "_accepting",
        "_connections",
        "_limited",
        "_loop",
        "address",
        "bound",
        "codec",
        "credentials",
        "ipv6",
        "socket",
    )

    def __init__(
        self,
        transport: str,
        address: str,
        port: int,
        advertise: str,
        advertise_port: int,
        connections: Connections,
        credentials: Credentials | None = None,
        codec: Callable[[], Codec] = StreamCodec,
    ) -> None:
        self.address = address
        self.ipv6 = ":" in address
        self.codec = codec
        self.credentials = credentials
        self.socket = socket.socket(socket.AF_INET6 if self.ipv6 else socket.AF_INET, socket.SOCK_STREAM)
        try:
            self.socket.setblocking(False)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self.ipv6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            tune(self.socket)
            self.socket.bind((address, port))
            self.socket.listen(_BACKLOG)
        except OSError:
            self.socket.close()
            raise
        self.bound: int = self.socket.getsockname()[1]
        super().__init__(transport, advertise or seen_address(address), advertise_port or self.bound)
        self._connections = connections
        self._loop: Loop | None = None
        self._accepting = False
        self._limited = RateLimited(_log)

    def start(self, wire: Wire) -> None:
        """Begin to accept, in the running loop."""
        self._connections.start(wire)
        if self.credentials is not None:
            self._connections.renew(self.credentials)
        self._loop = asyncio.get_running_loop()
        self._resume()

    def close(self) -> None:
        """Accept nothing more and give the address back; connections go on."""
        self._pause()
        self._loop = None
        self.socket.close()

    def _resume(self) -> None:
        if self._loop is not None and not self._accepting:
            self._accepting = True
            self._loop.add_reader(self.socket, self._acceptable)

    def _pause(self) -> None:
        if self._loop is not None and self._accepting:
            self._accepting = False
            self._loop.remove_reader(self.socket)

    def _acceptable(self) -> None:
        for _ in range(_ACCEPTS):
            try:
                sock, address = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    # To ask again at once would be to do nothing else.
                    self._no_room(error)
                    return
                # The peer is gone already.
                continue
            sock.setblocking(False)
            self._connections.accept(self, sock, address[0].partition("%")[0], address[1])

    def _no_room(self, error: OSError) -> None:
        assert self._loop is not None
        self._connections.counts["accept_paused"] += 1
        self._limited.warning("cannot accept", self._loop.time(), reason=error.strerror)
        self._pause()
        self._loop.call_later(_PAUSE_S, self._resume)
