"""All connections of a node: how many there may be, how they are found, and when they end."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import structlog

from oneproxy.engine.flow import Hop
from oneproxy.logs import Faults, RateLimited
from oneproxy.sip.fields import split_list
from oneproxy.sip.host import format_host
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request, Response, split
from oneproxy.sip.via import Via, parse_via
from oneproxy.transport.banned import Shut, is_shut
from oneproxy.transport.connection import CLOSING, Connection
from oneproxy.transport.loop import Loop
from oneproxy.transport.turns import OCTETS, Turns
from oneproxy.transport.wire import Wire

if TYPE_CHECKING:
    from oneproxy.transport.credentials import Credentials
    from oneproxy.transport.stream import StreamListener

_log: Final = structlog.get_logger()

#: Other addresses that a peer may be found at by what it says of itself.
_ALIASES: Final = 4
#: How often idle connections are looked for, and certificates that were renewed.
_IDLE_CHECK_S: Final = 30.0
_RENEW_CHECK_S: Final = 2.0
#: How long the system goes on sending what a peer does not acknowledge: no transaction waits
#: for longer (RFC 3261 17.1, 64 T1).
_UNACKNOWLEDGED_MS: Final = 32_000
_PROBE_AFTER_S: Final = 120
_PROBE_EVERY_S: Final = 30
_PROBES: Final = 3

_Key = tuple[str, str, int, str]


@dataclass(frozen=True, slots=True)
class Limits:
    """What connections may take. Seconds and octets."""

    #: Accepted ones, and once more as many that we open ourselves, so that whoever fills
    #: the one does not cut us off from gateways.
    connections: int = 20_000
    #: Of one source: an IPv4 address or an IPv6 network of 64 bits, which is what one
    #: machine gets. 0 for no limit.
    per_source: int = 1_000
    #: Opened by us to one such place, so that whoever names port after port of a machine, in
    #: contacts or in Via, does not use up what others are to be reached by. Half of it for
    #: responses whose own connection is gone.
    per_destination: int = 256
    connect_s: float = 4.0
    handshake_s: float = 10.0
    #: From accepting to the end of a first message; whoever has nothing to say goes.
    first_message_s: float = 30.0
    #: From the first octet of a message to its last.
    message_s: float = 30.0
    #: Without an octet in either direction. Phones send keep-alives far more often, but need
    #: not: one that has registered over its connection is reached for as long as that lasts.
    idle_s: float = 900.0
    registered_idle_s: float = 3_900.0
    #: For the peer to close too.
    closing_s: float = 2.0
    #: What may wait for the peer to read.
    outward: int = 262_144
    sweep_s: float = 1.0


class Connections:
    """The table of them. `start` it in the running loop before anything else."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.counts: Counter[str] = Counter()
        #: Whose connections are closed as soon as they say something, and refused. How many were
        #: is in `counts`, as "dropped.banned".
        self.shut: Shut = {}
        #: Those that have something to write once the batch is over.
        self.dirty: list[Connection] = []
        # One buffer for all: an idle connection has none of its own.
        self.buffer = bytearray(OCTETS)
        self.view = memoryview(self.buffer)
        self.loop: Loop
        self.wire: Wire
        #: The loop's time, as of the last sweep.
        self.now = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        # RFC 5626: what names a flow must not name another one after a restart.
        self._start = token_hex(4)
        self._number = 0
        self._by_name: dict[str, Connection] = {}
        self._by_address: dict[_Key, Connection] = {}
        self._sources: Counter[str] = Counter()
        self._destinations: Counter[str] = Counter()
        self._opened = 0
        #: Those that have to do something before their time is over.
        self._hurried: set[Connection] = set()
        #: What each may read, and when.
        self.turns = Turns()
        self._credentials: set[Credentials] = set()
        self._idle_check_at = 0.0
        self._renew_check_at = 0.0
        self._faults = Faults(_log)
        self._limited = RateLimited(_log)
        #: Told of an address that could not be connected to: when, and which.
        self.on_failed: Callable[[float, Hop], None] = _ignore

    def __len__(self) -> int:
        return len(self._by_name)

    def start(self, wire: Wire) -> None:
        """Begin, if nobody has yet."""
        if self._alarm is None:
            self.wire = wire
            self.loop = asyncio.get_running_loop()
            self.now = self.loop.time()
            self.turns.start(self.loop)
            self._alarm = self.loop.call_later(self.limits.sweep_s, self._sweep)

    def close(self) -> None:
        """Close all of them at once."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
            self.write()
            for connection in list(self._by_name.values()):
                connection.lost("")

    def finish(self, until: float) -> None:
        """Take in what has come on all of them, then say good-bye: each ends by and by.

        until: by the loop's clock; what was not taken in by then is lost.
        """
        for connection in list(self._by_name.values()):
            connection.read_rest(until)
            connection.finish()

    def renew(self, credentials: "Credentials") -> None:
        """Look after these from now on."""
        self._credentials.add(credentials)

    def is_shut(self, host: str) -> bool:
        """Whether nothing is taken from `host`; it is counted then."""
        if self.shut and is_shut(self.shut, host, self.wire.now()):
            self.counts["dropped.banned"] += 1
            return True
        return False

    # Into the table and out of it.

    def accept(self, listener: "StreamListener", sock: socket.socket, host: str, port: int) -> None:
        """Take in a connection that a peer has opened, or close it where there are too many."""
        if self.is_shut(host):
            sock.close()
            return
        limits = self.limits
        source = _source(host)
        if len(self._by_name) - self._opened >= limits.connections:
            self._refuse(sock, "connections_refused_full", host)
        elif limits.per_source and self._sources[source] >= limits.per_source:
            self._refuse(sock, "connections_refused_source", host)
        else:
            self._sources[source] += 1
            self.counts["connections_accepted"] += 1
            connection = self._add(listener, sock, host, port, None)
            if listener.transport != "TLS":
                # RFC 3261 18: by the address of its other end, so that what goes there finds
                # it. TLS asks who is there, and an address is no answer to that.
                self._index(connection, (listener.transport, host, port, ""))
            connection.start()

    def open(self, listener: "StreamListener", host: str, port: int, name: str = "") -> Connection | None:
        """A new connection to an IP address; None where it fails at once or there are too many.

        name: of whom the certificate has to be; "" for the address.
        """
        destination = _source(host)
        if self._opened >= self.limits.connections:
            self.counts["connections_refused_full"] += 1
            return None
        if self._destinations[destination] >= self.limits.per_destination:
            self.counts["connections_refused_destination"] += 1
            return None
        family = socket.AF_INET6 if listener.ipv6 else socket.AF_INET
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            self.counts["connections_failed"] += 1
            return None
        try:
            sock.setblocking(False)
            tune(sock)
            if listener.address not in ("0.0.0.0", "::"):
                sock.bind((listener.address, 0))
            sock.connect((host, port))
        except BlockingIOError:
            pass
        except OSError:
            sock.close()
            self.counts["connections_failed"] += 1
            return None
        self._opened += 1
        self._destinations[destination] += 1
        self.counts["connections_opened"] += 1
        secure = listener.secure
        connection = self._add(listener, sock, host, port, name or host)
        self._index(connection, (listener.transport, host, port, (name or host) if secure else ""))
        connection.start()
        return connection

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        del self._by_name[connection.name]
        self._hurried.discard(connection)
        self.turns.forget(connection)
        self.hide(connection)
        counted = self._sources
        if connection.opened:
            self._opened -= 1
            counted = self._destinations
        place = _source(connection.host)
        counted[place] -= 1
        if not counted[place]:
            del counted[place]

    def hide(self, connection: Connection) -> None:
        """It is about to be closed: nothing new goes there."""
        for key in connection.keys:
            if self._by_address.get(key) is connection:
                del self._by_address[key]
        connection.keys.clear()

    def _add(
        self, listener: "StreamListener", sock: socket.socket, host: str, port: int, tls_name: str | None
    ) -> Connection:
        self._number += 1
        # The address is for when the connection is gone: who is reached instead (`engine.inside`).
        name = f"{listener.transport.lower()}/{self._start}.{self._number}/{format_host(host)}:{port}"
        connection = self._by_name[name] = Connection(self, listener, sock, (host, port), name, tls_name)
        return connection

    def _index(self, connection: Connection, key: _Key) -> None:
        """Find it by `key` too, unless we have opened one: of those that came the last counts."""
        before = self._by_address.get(key)
        if before is None or not before.opened:
            self._by_address[key] = connection
            if key not in connection.keys:
                connection.keys.append(key)

    def _refuse(self, sock: socket.socket, count: str, host: str) -> None:
        sock.close()
        self.counts[count] += 1
        self._limited.warning(
            "connection refused", self.now, key=count, source=host, connections=len(self._by_name)
        )

    # Finding.

    def named(self, name: str) -> Connection | None:
        """The connection of this name, unless it is about to be closed."""
        connection = self._by_name.get(name)
        return connection if connection is not None and connection.state < CLOSING else None

    def find(self, hop: Hop, name: str = "") -> Connection | None:
        """The connection to a whole hop with an IP address, opened by us or by the peer.

        name: of whom the certificate has to be, over TLS; "" for the IP address.
        """
        transport, host, port = hop
        return self._by_address.get((transport, host, port, (name or host) if transport == "TLS" else ""))

    def note_names(self, connection: Connection) -> None:
        """An accepted connection over TLS is reached by the names that its peer has proven."""
        self._index_names(connection, connection.port)

    def note_alias(self, connection: Connection, message: bytes) -> None:
        """RFC 5923: a peer lets itself be reached over this connection at the port it names.

        Over TLS alone: over TCP anybody at the same address could have what is another's.
        """
        if connection.listener.transport != "TLS" or connection.opened or len(connection.keys) > _ALIASES:
            return
        request = split(message)
        via = _top_via(request.get("via")) if isinstance(request, Request) else None
        if via is not None and "alias" in via.params:
            self._index_names(connection, via.port or 5061)

    def _index_names(self, connection: Connection, port: int) -> None:
        # RFC 5923 5: who is reached so must have proven the name that is looked for.
        for name in connection.names()[:_ALIASES]:
            self._index(connection, ("TLS", connection.host, port, name))

    def way_back(self, closed: Connection, response: bytes) -> Connection | None:
        """RFC 3261 18.2.2: the connection for a response whose own one is closed, maybe a new one."""
        listener: StreamListener = closed.listener  # type: ignore[assignment]
        message = split(response)
        via = _top_via(message.top_via) if isinstance(message, Response) else None
        if via is None or listener.transport not in ("TCP", "TLS"):
            return None
        host = via.received or via.host
        port = via.port or (5061 if listener.secure else 5060)
        name = via.host if listener.secure else ""
        try:
            if (ip_address(host).version == 6) != listener.ipv6:
                return None
        except ValueError:
            return None
        found = self.find((listener.transport, host, port), name)
        if found is None and self._destinations[_source(host)] < self.limits.per_destination // 2:
            found = self.open(listener, host, port, name)
        return found

    # What connections tell and ask.

    def write(self) -> None:
        """Write what connections have to send: at the end of a batch."""
        dirty = self.dirty
        while dirty:
            dirty.pop().write()

    def set_due(self, connection: Connection, seconds: float) -> None:
        """Close it in so many seconds, unless told otherwise; 0 for never."""
        if seconds:
            connection.due = self.loop.time() + seconds
            self._hurried.add(connection)
        else:
            connection.due = 0.0
            self._hurried.discard(connection)

    def failed(self, connection: Connection, reason: str) -> None:
        """An attempt to connect came to nothing."""
        self.counts["connections_failed"] += 1
        hop = (connection.listener.transport, connection.host, connection.port)
        self.on_failed(self.wire.now(), hop)
        # By host: who names port after port must not fill the disk with it.
        self._limited.warning(
            "cannot connect",
            self.now,
            key=connection.host,
            to=f"{connection.host}:{connection.port}",
            reason=reason,
        )

    def fault(self, connection: Connection) -> None:
        """A fault of our own, while what came on a connection was read."""
        self.counts["faults"] += 1
        self._faults.note("connection not read", self.loop.time(), flow=connection.name)

    def _sweep(self) -> None:
        """Close those whose time is over. One timer for all: most of them never are."""
        now = self.now = self.loop.time()
        self._alarm = self.loop.call_later(self.limits.sweep_s, self._sweep)
        for connection in [one for one in self._hurried if one.due <= now]:
            connection.expire()
        if now >= self._idle_check_at:
            self._idle_check_at = now + min(_IDLE_CHECK_S, self.limits.idle_s / 4)
            idle_since = now - self.limits.idle_s
            registered_since = now - self.limits.registered_idle_s
            for connection in [one for one in self._by_name.values() if one.used_at <= idle_since]:
                if not connection.pending and (
                    not connection.registered or connection.used_at <= registered_since
                ):
                    self.counts["connections_idle"] += 1
                    connection.finish()
            self.write()
        if now >= self._renew_check_at:
            self._renew_check_at = now + min(_RENEW_CHECK_S, self.limits.sweep_s * 2)
            for credentials in self._credentials:
                credentials.refresh(now)


def tune(sock: socket.socket) -> None:
    """Send small messages at once, and notice within minutes that a silent peer is gone."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", _PROBE_AFTER_S),
        ("TCP_KEEPINTVL", _PROBE_EVERY_S),
        ("TCP_KEEPCNT", _PROBES),
        ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED_MS),
    ):
        number = getattr(socket, option, None)
        if number is not None:
            sock.setsockopt(socket.IPPROTO_TCP, number, value)


def _source(host: str) -> str:
    """Whom connections are counted by."""
    if ":" not in host:
        return host
    return IPv6Address(int(IPv6Address(host)) >> 64 << 64).compressed


def _top_via(value: str | None) -> Via | None:
    values = split_list(value) if value else []
    via = parse_via(values[0].strip(" \t")) if values else Malformed.VIA
    return None if isinstance(via, Malformed) else via


def _ignore(_now: float, _hop: Hop) -> None:
    """Nobody wants to know."""
