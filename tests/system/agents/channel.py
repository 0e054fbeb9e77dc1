"""The ways on which an agent's messages travel: datagrams, a stream, a WebSocket.

    channel = connect(place, tls)
    channel.send(request)
    answer = channel.receive(within_s=1.0)      # one whole message, or None

All of them block. A connection that the other side ends raises `ClosedError`.
"""

import contextlib
import itertools
import socket
import ssl
import time
from typing import Final, Protocol

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from system.agents.place import Place, bracketed

_CONNECT_S: Final = 5.0
_END_OF_HEAD: Final = b"\r\n\r\n"
_NUMBERS: Final = itertools.count(1)


class ClosedError(ConnectionError):
    """The other side has ended the connection."""


class Channel(Protocol):
    """One agent's way to one server.

    sent_by: what our Via names; contact: how others name us in a URI, the user left out.
    """

    remote: Place
    sent_by: str
    contact: str

    def send(self, data: bytes) -> None:
        """Send one whole message."""
        ...

    def receive(self, within_s: float) -> bytes | None:
        """The next whole message, or None where none comes in time. Raises ClosedError."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Datagrams:
    """A UDP socket, which hears whoever sends to it and sends to the one place."""

    def __init__(self, remote: Place, source: str = "", port: int = 0) -> None:
        self.remote = remote
        self._socket = socket.socket(remote.family, socket.SOCK_DGRAM)
        self._socket.bind((source or remote.host, port))
        host, port = self._socket.getsockname()[:2]
        self.port: int = port
        self.sent_by = f"{bracketed(host)}:{port}"
        self.contact = self.sent_by

    def send(self, data: bytes) -> None:
        """One datagram."""
        self._socket.sendto(data, self.remote[1:])

    def receive(self, within_s: float) -> bytes | None:
        """The next datagram."""
        self._socket.settimeout(max(within_s, 0.0001))
        try:
            return self._socket.recv(65536)
        except TimeoutError:
            return None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Connection:
    """What the channels over a connection share: the socket, TLS, and reading on to a deadline."""

    def __init__(
        self, remote: Place, tls: ssl.SSLContext | None, source: str = "", made: socket.socket | None = None
    ) -> None:
        self.remote = remote
        plain = made or socket.create_connection(
            remote[1:], _CONNECT_S, source_address=(source, 0) if source else None
        )
        # One that was accepted waits for ever unless it is told not to.
        plain.settimeout(_CONNECT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host, port = plain.getsockname()[:2]
        self.port: int = port
        self.sent_by = f"{bracketed(host)}:{port}"
        self.contact = f"{self.sent_by};transport={remote.transport.lower()}"
        self._socket: socket.socket = plain
        if tls is not None:
            try:
                self._socket = tls.wrap_socket(
                    plain, server_side=made is not None, server_hostname=None if made else remote.host
                )
            except BaseException:
                plain.close()
                raise

    def certificate(self) -> bytes:
        """The other side's certificate, in DER."""
        assert isinstance(self._socket, ssl.SSLSocket)
        return self._socket.getpeercert(binary_form=True) or b""

    def write(self, data: bytes) -> None:
        """Send octets as they are."""
        self._socket.settimeout(_CONNECT_S)
        try:
            self._socket.sendall(data)
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise ClosedError(str(error)) from error

    def read(self, until: float) -> bytes | None:
        """Some octets, or None where none come by this instant of the monotonic clock."""
        self._socket.settimeout(max(until - time.monotonic(), 0.0001))
        try:
            data = self._socket.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return None
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise ClosedError(str(error)) from error
        if not data:
            raise ClosedError("end of stream")
        return data

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class Stream(Connection):
    """SIP over TCP or TLS: messages by their Content-Length (RFC 3261 18.3)."""

    def __init__(
        self,
        remote: Place,
        tls: ssl.SSLContext | None = None,
        source: str = "",
        made: socket.socket | None = None,
    ) -> None:
        super().__init__(remote, tls, source, made)
        self._buffer = b""
        #: Pongs that came (RFC 5626 4.4.1), each an empty line between messages.
        self.pongs = 0

    def send(self, data: bytes) -> None:
        """One message."""
        self.write(data)

    def receive(self, within_s: float) -> bytes | None:
        """The next message."""
        until = time.monotonic() + within_s
        while (message := self._take()) is None:
            data = self.read(until)
            if data is None:
                return None
            self._buffer += data
        return message

    def _take(self) -> bytes | None:
        while self._buffer.startswith(b"\r\n"):
            self._buffer = self._buffer[2:]
            self.pongs += 1
        head, found, _ = self._buffer.partition(_END_OF_HEAD)
        if not found:
            return None
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        assert len(lengths) == 1, f"one Content-Length is due on a stream: {head!r}"
        end = len(head) + len(_END_OF_HEAD) + int(lengths[0].partition(b":")[2])
        if len(self._buffer) < end:
            return None
        message, self._buffer = self._buffer[:end], self._buffer[end:]
        return message


class WebSocket(Connection):
    """SIP over WS or WSS: a message is a frame's (RFC 7118)."""

    def __init__(self, remote: Place, tls: ssl.SSLContext | None = None, source: str = "") -> None:
        super().__init__(remote, tls, source)
        # RFC 7118 5.2.1, 5.2.3: a browser knows no address of its own, and WSS is a secure "ws".
        self.sent_by = f"agent{next(_NUMBERS)}.invalid"
        self.contact = f"{self.sent_by};transport=ws"
        scheme = remote.transport.lower()
        self._protocol = ClientProtocol(
            parse_uri(f"{scheme}://{remote.address}/"), subprotocols=[Subprotocol("sip")]
        )
        self._messages: list[bytes] = []
        try:
            self._shake_hands()
        except BaseException:
            self.close()
            raise

    def _shake_hands(self) -> None:
        self._protocol.send_request(self._protocol.connect())
        self._flush()
        until = time.monotonic() + _CONNECT_S
        while not self._protocol.events_received():
            self._feed(until)
        if self._protocol.handshake_exc is not None:
            raise self._protocol.handshake_exc
        assert self._protocol.subprotocol == "sip"

    def _feed(self, until: float) -> bool:
        data = self.read(until)
        if data is None:
            return False
        self._protocol.receive_data(data)
        self._flush()
        return True

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.write(data)

    def send(self, data: bytes) -> None:
        """One message in a text frame."""
        self._protocol.send_text(data)
        self._flush()

    def receive(self, within_s: float) -> bytes | None:
        """The next frame."""
        until = time.monotonic() + within_s
        while not self._messages:
            if not self._feed(until):
                return None
            self._messages += [
                bytes(event.data)
                for event in self._protocol.events_received()
                if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY)
            ]
        return self._messages.pop(0)

    def close(self) -> None:
        """Say so, as a browser does, and close the connection."""
        with contextlib.suppress(OSError, InvalidState):
            self._protocol.send_close()
            self._flush()
        super().close()


def connect(remote: Place, tls: ssl.SSLContext | None = None, source: str = "") -> Channel:
    """A channel to a server. tls: whom we trust, for TLS and WSS; source: our own IP address."""
    spoken = tls if remote.transport in ("TLS", "WSS") else None
    match remote.transport:
        case "UDP":
            return Datagrams(remote, source)
        case "TCP" | "TLS":
            return Stream(remote, spoken, source)
        case _:
            return WebSocket(remote, spoken, source)
