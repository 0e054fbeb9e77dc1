"""The recorder's end of the connection of a node, of the admin process, or of a command.

Nothing is read beyond a small Hello until it brought the right token: where there is no
Unix socket, everybody on the machine may connect.
"""

import asyncio
import hmac
from typing import Final, Protocol, cast

import structlog

from oneproxy.ipc.desk import Query, Report
from oneproxy.ipc.messages import Fetch, Follow, Hello, Load, Save, ToRecorder, Welcome
from oneproxy.ipc.running import COMMAND, asking_token
from oneproxy.ipc.stream import Decoder, StreamError, encode

#: Connections at once; more are closed as they come.
MAX_PEERS: Final = 64
#: The largest frame before the token was seen, and after: a batch of a node and some.
MAX_HELLO: Final = 4_096
MAX_SAVE: Final = 16 * 1024 * 1024
#: Octets that wait for a node that reads nothing; then it is disconnected, and loads anew
#: when it is back.
MAX_UNREAD: Final = 64 * 1024 * 1024

log = structlog.get_logger()


class Host(Protocol):
    """What a peer asks of the recorder."""

    secret: bytes
    token: str
    #: Those that are connected.
    peers: "set[Peer]"

    def saves(self, peer: "Peer", save: Save) -> None:
        """A batch came."""
        ...

    def loads(self, peer: "Peer", load: Load) -> None:
        """The node wants all bindings."""
        ...

    def fetches(self, peer: "Peer", fetch: Fetch) -> None:
        """The node wants the bindings of some AoRs."""
        ...

    def greeted(self, peer: "Peer") -> None:
        """The node has been welcomed."""
        ...

    def follows(self, peer: "Peer", follow: Follow) -> None:
        """The node wants the site."""
        ...

    def asks(self, peer: "Peer", query: Query) -> None:
        """The admin process wants to know something, or wants something done."""
        ...

    def reports(self, peer: "Peer", report: Report) -> None:
        """The node answers what it was asked."""
        ...

    def left(self, peer: "Peer") -> None:
        """The node has disconnected."""
        ...

    def wake(self) -> None:
        """The peer takes pages again."""
        ...


class Peer(asyncio.Protocol):
    """One node's connection to `recorder`."""

    def __init__(self, recorder: Host) -> None:
        self._recorder = recorder
        self._decoder = Decoder[ToRecorder](ToRecorder, MAX_HELLO)
        self._transport: asyncio.Transport | None = None
        #: The node's name; "" until it was welcomed.
        self.node = ""
        #: Whether it only asks, as the admin process and commands do.
        self.is_admin = False
        #: Whether the socket takes more pages; answers are few octets and always go.
        self.writable = True
        #: Whether it has asked for all bindings, and is told of the changes of others.
        self.follows = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not by isinstance: uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if len(self._recorder.peers) >= MAX_PEERS:
            log.warning("connection refused", reason="too many", limit=MAX_PEERS)
            self._transport.abort()
            return
        self._recorder.peers.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._decoder.feed(data)
        except StreamError as error:
            self._refuse(str(error))
            return
        for message in messages:
            match message:
                case Hello():
                    self._greet(message)
                case _ if not self.node:
                    self._refuse("no Hello")
                    return
                case _ if self.is_admin != isinstance(message, Query):
                    self._refuse("what only the admin process, or only a node says")
                    return
                case Query():
                    self._recorder.asks(self, message)
                case Save():
                    self._recorder.saves(self, message)
                case Follow():
                    self._recorder.follows(self, message)
                case Load():
                    self.follows = True
                    self._recorder.loads(self, message)
                case Fetch():
                    self._recorder.fetches(self, message)
                case Report():
                    self._recorder.reports(self, message)

    @property
    def welcomed(self) -> bool:
        """Whether it has shown that it knows the token."""
        return self.node != ""

    def _event(self, what: str) -> str:
        """What became of whom, for the log."""
        who = "node" if not self.is_admin else "command" if self.node == COMMAND else "admin process"
        return f"{who} {what}"

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self.writable = False
        self._recorder.peers.discard(self)
        self._recorder.left(self)
        if self.node:
            log.info(self._event("disconnected"), node=self.node)

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = self._transport is not None
        self._recorder.wake()

    def send(self, frame: bytes) -> None:
        """Hand a frame to the socket; to a node that has left nothing is sent."""
        if self._transport is not None:
            self._transport.write(frame)
            if not self.writable and self._transport.get_write_buffer_size() > MAX_UNREAD:
                log.warning(self._event("disconnected"), node=self.node, reason="it reads nothing")
                self._transport.abort()

    def read(self, on: bool) -> None:
        """Read on, or let the node wait."""
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.resume_reading if on else self._transport.pause_reading)()

    def close(self) -> None:
        """Disconnect when everything is sent."""
        if self._transport is not None:
            self._transport.close()

    def _greet(self, hello: Hello) -> None:
        if not self._lets_in(hello):
            self._refuse("wrong token")
            return
        self.node = hello.node or "?"
        self.is_admin = hello.asks
        self._decoder.maximum = MAX_SAVE
        # Who only asks has no use for the farm's secret.
        self.send(encode(Welcome(b"" if self.is_admin else self._recorder.secret)))
        self._recorder.greeted(self)
        log.info(self._event("connected"), node=self.node)

    def _lets_in(self, hello: Hello) -> bool:
        given, token = hello.token.encode(), self._recorder.token
        if hmac.compare_digest(given, token.encode()):
            return True
        return hello.asks and hmac.compare_digest(given, asking_token(token).encode())

    def _refuse(self, reason: str) -> None:
        log.warning("connection refused", reason=reason, node=self.node)
        if self._transport is not None:
            self._transport.abort()
