"""One connection: a flow of messages over a socket, with TLS or WebSocket between or without.

    CONNECTING -> OPENING -> OPEN -> CLOSING -> CLOSED
      TCP          TLS, WS             what is left goes out, then the end

The socket is read and written in callbacks of the loop, a bounded amount at a time. What is
to be sent waits until the batch that it belongs to is done, so that messages that are sent
together leave together.
"""

import os
import socket
from errno import ENOBUFS, ENOTCONN
from typing import TYPE_CHECKING, Final

from oneproxy.engine.flow import Flow
from oneproxy.transport.codec import Codec
from oneproxy.transport.tls import TlsStream

if TYPE_CHECKING:
    from oneproxy.transport.connections import Connections
    from oneproxy.transport.stream import StreamListener

CONNECTING: Final = 0
OPENING: Final = 1
OPEN: Final = 2
CLOSING: Final = 3
CLOSED: Final = 4

#: Where ";alias" stands if anywhere: in the top Via, one of the first lines.
_FIRST_LINES: Final = 1024
_RESPONSE: Final = b"SIP/2.0 "
_REGISTER: Final = b"REGISTER "
#: Reads of a connection that is about to be closed by a stop.
_LAST_READS: Final = 16


class Connection(Flow):
    """One connection, accepted or opened.

    host, port: the peer's IP address and port. tls_name: of whom the certificate has to be,
    where we have opened it. `start` it once it is in the table.
    """

    __slots__ = (
        "_begun",
        "_blocked",
        "_codec",
        "_cut",
        "_dirty",
        "_heard",
        "_queue",
        "_rest",
        "_size",
        "_socket",
        "_table",
        "_tls",
        "due",
        "keys",
        "opened",
        "registered",
        "state",
        "tls_name",
        "used_at",
    )

    def __init__(
        self,
        table: "Connections",
        listener: "StreamListener",
        sock: socket.socket,
        address: tuple[str, int],
        name: str,
        tls_name: str | None,
    ) -> None:
        super().__init__(listener, address[0], address[1], name)
        self._table = table
        self._socket = sock
        self._codec: Codec = listener.codec()
        self._tls: TlsStream | None = None
        self.tls_name = tls_name or ""
        #: Whether it was opened by us; else a peer did.
        self.opened = tls_name is not None
        self.state = CONNECTING if self.opened else OPENING
        #: Messages, or frames, that nobody has tried to send; what the socket did not take of
        #: earlier ones; both together in octets.
        self._queue: list[bytes] = []
        self._rest = b""
        self._size = 0
        #: Whether the table knows that there is something to write, and whether the loop is to
        #: tell when the socket takes more.
        self._dirty = False
        self._blocked = False
        #: Whether it was closed since the peer takes too little: responses to it are no loss.
        self._cut = False
        #: Whether a REGISTER has come: it is used though it says nothing.
        self.registered = False
        #: Whether a whole message has come, and whether the next one has begun.
        self._heard = self.opened
        self._begun = False
        #: By the loop's clock: when octets came last; when to close unless something happens
        #: before, 0 for never.
        self.used_at = table.now
        self.due = 0.0
        #: What the table finds this connection by, besides its name.
        self.keys: list[tuple[str, str, int, str]] = []

    # What the engine calls, through the driver.

    def send(self, data: bytes) -> None:
        """Send one message once the connection is open. Raises OSError where it is closed.

        A response for which that is too late takes a new connection (RFC 3261 18.2.2).
        """
        framed = self._codec.frame(data) if self.state < CLOSING else b""
        if framed:
            self._put(framed)
        elif not data.startswith(_RESPONSE):
            raise OSError(ENOTCONN, "connection is closed")
        elif not self._cut:
            back = self._table.way_back(self, data)
            if back is not None:
                back.send(data)

    # What the table calls.

    def start(self) -> None:
        """Begin: accepted with the handshake, if there is one; opened with waiting for the peer."""
        if self.opened:
            self._table.loop.add_writer(self._socket, self._connected)
            self._expect(self._table.limits.connect_s)
        else:
            self._open_layers()

    def names(self) -> list[str]:
        """The names in the peer's verified certificate, in lower case."""
        return self._tls.names() if self._tls is not None else []

    def write(self) -> None:
        """Send what waits, as much as the socket takes."""
        self._dirty = False
        if self.state not in (OPENING, OPEN, CLOSING):
            return
        if not self._blocked:
            self._push()
        elif self._tls is not None and self._size + self._tls.waiting > self._table.limits.outward:
            # TLS answers by itself, to new keys for example, and nobody has to ask for it.
            self._cut_off()

    def expire(self) -> None:
        """The time is over that something had to happen in."""
        if self.state != CLOSING:
            self._table.counts["connections_timed_out"] += 1
        self.lost("timed out")

    def finish(self) -> None:
        """Close in order: what waits goes out first, and nothing is read any more."""
        if self.state in (CONNECTING, OPENING):
            self.lost("closed")
        if self.state >= CLOSING:
            return
        self._codec.close()
        self._say(self._codec.take())
        self.state = CLOSING
        self._table.hide(self)
        self._expect(self._table.limits.closing_s)
        # Whatever the peer does now, it gets nothing more and is heard no more.
        self._table.wire.closed(self)
        self._push()

    def lost(self, reason: str) -> None:
        """Close at once. reason: "" where nobody has to know."""
        before = self.state
        if before == CLOSED:
            return
        table = self._table
        self.state = CLOSED
        table.loop.remove_reader(self._socket)
        table.loop.remove_writer(self._socket)
        self._socket.close()
        waiting, self._queue = self._queue, []
        self._rest = b""
        # Transactions keep the flow that they came on for a while, and TLS is all that is big.
        self._tls = None
        table.forget(self)
        failed = self.opened and before in (CONNECTING, OPENING)
        if failed:
            for data in waiting:
                if not data.startswith(_RESPONSE):
                    table.wire.undelivered(data)
        if before == OPEN or (self.opened and before != CLOSING):
            table.wire.closed(self)
        # Last, since it says so in the log: what depends on it must not depend on that.
        if failed:
            table.failed(self, reason)

    # Opening.

    def _connected(self) -> None:
        """The socket has an answer to its attempt to connect."""
        table = self._table
        table.loop.remove_writer(self._socket)
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self.lost(os.strerror(error))
            return
        self.state = OPENING
        self._open_layers()

    def _open_layers(self) -> None:
        table = self._table
        listener = self.listener
        credentials = listener.credentials  # type: ignore[attr-defined]
        self._expect(table.limits.handshake_s)
        if credentials is not None and self.opened:
            try:
                self._tls = TlsStream(credentials.client, self.tls_name)
            except ValueError:
                self.lost("no such name")
                return
            self._tls.start()
        elif credentials is not None:
            self._tls = TlsStream(credentials.server)
        table.loop.add_reader(self._socket, self.readable)
        self._advance()
        self.write()

    def _advance(self) -> None:
        """From OPENING to OPEN, once every layer is."""
        tls = self._tls
        if tls is not None:
            if tls.fault:
                self._push()
                self._table.counts["handshakes_failed"] += 1
                self.lost(tls.fault)
                return
            if not tls.established:
                return
            if not self.client_names:
                self.client_names = tls.client_names()
            if not self.opened and self.listener.transport == "TLS":
                self._table.note_names(self)
        if self._codec.open:
            self.state = OPEN
            if self._heard:
                self._expect(0.0)
            else:
                self._expect(self._table.limits.first_message_s)

    # Reading.

    def readable(self) -> None:
        """Read what has come, as much as there is a share of this turn of the loop for."""
        table = self._table
        if table.shut and table.is_shut(self.host):
            self.lost("banned")
            return
        most = table.turns.share(self, self.state == OPENING)
        if most:
            self._read(most)

    def read_rest(self, until: float) -> None:
        """Read what has come, without regard to others, since this is going to be closed."""
        reads = 0
        while self.state == OPEN and reads < _LAST_READS and self._table.loop.time() < until:
            reads += 1
            if not self._read(len(self._table.buffer)):
                return

    def _read(self, most: int) -> bool:
        """Take in at most so many octets; whether there were any."""
        table = self._table
        try:
            size = self._socket.recv_into(table.buffer, min(most, self._codec.most))
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self.lost(error.strerror or "read failed")
            return False
        if not size:
            self._ended()
            return False
        table.turns.charge(size)
        self.used_at = table.now
        if self.state == CLOSING:
            return True
        data = bytes(table.view[:size])
        table.wire.now()
        try:
            self._take(data)
        except Exception:
            # Our own fault: it costs this connection and no other.
            self.lost("fault")
            table.fault(self)
        if self.state != CLOSED and self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            # libuv stops watching a socket that has an error, though there was more to read.
            self.lost("reset")
        return True

    def _take(self, data: bytes) -> None:
        """What was read, through the layers."""
        tls = self._tls
        if tls is not None:
            data = tls.feed(data)
        codec = self._codec
        messages = codec.feed(data) if data else []
        if codec.worth:
            self._table.turns.charge(codec.worth)
        # The answer to a handshake goes out before what it lets through.
        self._say(codec.take())
        if self.state == OPENING:
            self._advance()
            if self.state == CLOSED:
                return
        self._note(bool(messages))
        if messages:
            self._hand_in(messages)
        if self.state < CLOSING and (codec.ended or (tls is not None and tls.ended)):
            self._end()
        # What the driver has not written yet: a keep-alive is answered without it, and TLS
        # has to say things of its own.
        if tls is not None:
            self.write()
        self._table.write()

    def _hand_in(self, messages: list[bytes]) -> None:
        table = self._table
        wire = table.wire
        for message in messages:
            if message.find(b";alias", 0, _FIRST_LINES) >= 0:
                table.note_alias(self, message)
            if message.startswith(_REGISTER):
                self.registered = True
            wire.received(self, message)
        wire.flush()

    def _note(self, complete: bool) -> None:
        """Give a message that has begun its time, and a connection that was never heard of."""
        begun = self._codec.begun
        if self.state == OPEN:
            heard = self._heard = self._heard or complete
            if heard and begun and (complete or not self._begun):
                self._expect(self._table.limits.message_s)
            elif heard and not begun and self.due:
                self._expect(0.0)
        self._begun = begun

    def _ended(self) -> None:
        """The peer sends nothing more: as SIP goes, it does not read either."""
        if self.state == OPENING:
            self.lost("closed by the peer")
            return
        self._table.write()
        self.lost("")

    def _end(self) -> None:
        """Nothing that can be understood follows."""
        if self.state == OPENING:
            # A handshake that was refused: the answer goes out, and then it is over.
            self.state = OPEN
        self.finish()

    # Writing.

    def _put(self, data: bytes) -> None:
        """Let one message, or frame, wait for the end of the batch."""
        size = self._size + len(data)
        if size > self._table.limits.outward:
            self._cut_off()
            raise OSError(ENOBUFS, "too much waits for the peer")
        self._queue.append(data)
        self._size = size
        if not self._dirty:
            self._dirty = True
            self._table.dirty.append(self)

    def _say(self, data: bytes) -> None:
        """As `_put`, for what is no message; whoever lets too much of it wait is cut off."""
        if data:
            try:
                self._put(data)
            except OSError:
                return

    def _cut_off(self) -> None:
        self._table.counts["connections_too_slow"] += 1
        self._cut = True
        self.lost("too slow")

    def _push(self) -> None:
        """Give the socket what waits."""
        tls = self._tls
        rest = self._rest
        if self._queue and (tls is None or tls.established):
            data = self._queue[0] if len(self._queue) == 1 else b"".join(self._queue)
            self._queue.clear()
            if tls is None:
                rest = rest + data if rest else data
            else:
                tls.write(data)
                if tls.fault:
                    self.lost(tls.fault)
                    return
        if tls is not None:
            if self.state == CLOSING:
                tls.close()
            rest += tls.take()
        if rest:
            try:
                sent = self._socket.send(rest)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self.lost(error.strerror or "write failed")
                return
            if sent:
                self.used_at = self._table.now
            rest = rest[sent:]
        self._rest = rest
        self._size = len(rest) + (sum(map(len, self._queue)) if self._queue else 0)
        self._block(bool(rest))
        if not rest and self.state == CLOSING:
            self._shut()

    def _block(self, blocked: bool) -> None:
        """Have the loop tell when the socket takes more, or no more."""
        if blocked != self._blocked:
            self._blocked = blocked
            if blocked:
                self._table.loop.add_writer(self._socket, self._push)
            else:
                self._table.loop.remove_writer(self._socket)

    def _shut(self) -> None:
        """All is sent. To close now would reset the connection, if the peer has sent more than
        was read, and what was sent last might be lost."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.lost("")

    def _expect(self, seconds: float) -> None:
        """Close in so many seconds unless this is called again; 0 for no such thing."""
        self._table.set_due(self, seconds)
