"""UDP listeners: a socket that is drained in batches, and the flows at its addresses."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from oneproxy.engine.flow import Flow, Listener
from oneproxy.sip.host import format_host
from oneproxy.transport import icmp, stun
from oneproxy.transport.address import seen_address
from oneproxy.transport.banned import Shut, network
from oneproxy.transport.loop import Loop
from oneproxy.transport.waiting import BUSY_S, Tell, stamped
from oneproxy.transport.wire import Wire

#: Datagrams read before others get their turn: enough to empty a burst, few enough
#: that timers and the recorder's answers never wait for more than some milliseconds.
BATCH: Final = 64
#: The same while datagrams wait for long: each is behind fewer others then when it is decided upon.
SHORT_BATCH: Final = 8
_MAX_DATAGRAM: Final = 65_535
_BUFFER: Final = 4 * 1024 * 1024
_FLOWS: Final = 65_536
#: The first octet of a STUN request or response; a SIP message begins with a letter.
_STUN: Final = 2


class UdpFlow(Flow):
    """One remote address at one UDP listener."""

    __slots__ = ("_address", "_sendto", "_socket")

    def __init__(self, listener: "UdpListener", host: str, port: int, address: tuple[object, ...]) -> None:
        super().__init__(listener, host, port, f"udp/{listener.bound}/{format_host(host)}:{port}")
        self._address = address
        self._socket = listener
        # Bound once: three looks at attributes fewer for every datagram.
        self._sendto = listener.socket.sendto

    def send(self, data: bytes) -> None:
        """Send one datagram. Raises OSError; a full buffer drops it, as a network would."""
        try:
            self._sendto(data, self._address)
        except BlockingIOError:
            self._socket.unsent += 1
        except OSError:
            self._socket.send_again(data, self._address)


class UdpListener(Listener):
    """One bound UDP socket. address, port: where it is bound; advertise: what others see.

    Raises OSError where the address can't be bound.
    """

    __slots__ = (
        "_buffer",
        "_flows",
        "_loop",
        "_view",
        "_waits",
        "_wire",
        "address",
        "banned",
        "bound",
        "ipv6",
        "on_waited",
        "shut",
        "socket",
        "unsent",
    )

    def __init__(self, address: str, port: int, advertise: str, advertise_port: int) -> None:
        self.address = address
        self.ipv6 = ":" in address
        self.socket = socket.socket(socket.AF_INET6 if self.ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.setblocking(False)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                self.socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
            if self.ipv6:
                # The wildcards of both families stand side by side, and no IPv4 address
                # comes in the clothes of an IPv6 one.
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            icmp.watch(self.socket)
            self._waits = stamped(self.socket)
            self.socket.bind((address, port))
        except OSError:
            self.socket.close()
            raise
        bound = self.socket.getsockname()[1]
        super().__init__("UDP", advertise or seen_address(address), advertise_port or bound)
        #: What names this listener in the names of its flows.
        self.bound = f"{format_host(address)}:{bound}"
        #: Datagrams dropped because the socket's buffer was full.
        self.unsent = 0
        #: Whose datagrams are dropped as they come, and how many were.
        self.shut: Shut = {}
        self.banned = 0
        #: Told of how long datagrams wait here; None where nobody wants to know.
        self.on_waited: Tell | None = None
        # Reading into one buffer saves an allocation of 64 KiB for every datagram.
        self._buffer = bytearray(_MAX_DATAGRAM)
        self._view = memoryview(self._buffer)
        self._flows: dict[tuple[object, ...], UdpFlow] = {}
        self._wire: Wire | None = None
        self._loop: Loop | None = None

    @property
    def tells(self) -> bool:
        """Whether it is known how long datagrams wait here."""
        return self._waits is not None

    def start(self, wire: Wire) -> None:
        """Begin to read, in the running loop."""
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.socket, self._readable)

    def close(self) -> None:
        """Stop reading and give the address back."""
        if self._loop is not None:
            self._loop.remove_reader(self.socket)
            self._loop = None
        self.socket.close()

    def drain(self, receive: Callable[[Flow, bytes], None], now: float = 0.0, most: int = BATCH) -> int:
        """Hand what has come to `receive`, at most a batch; how many datagrams it was.

        now: seconds since the epoch; bans end by it. most: datagrams that are read.
        """
        read = self.socket.recvfrom_into
        buffer = self._buffer
        view = self._view
        flows = self._flows
        shut = self.shut
        ipv6 = self.ipv6
        for count in range(most):
            try:
                size, address = read(buffer)
            except BlockingIOError:
                return count
            except OSError:
                # An error of a datagram that was sent earlier.
                self._read_errors()
                continue
            if shut:
                # In place for IPv4: 0.05 us for every datagram while somebody is banned, not 0.13.
                until = shut.get(network(address[0]) if ipv6 else address[0])
                if until is not None and now < until:
                    self.banned += 1
                    continue
            if buffer[0] < _STUN:
                self._answer_stun(bytes(view[:size]), address)
                continue
            flow = flows.get(address)
            if flow is None:
                flow = self._new_flow(address)
            receive(flow, bytes(view[:size]))
        return most

    def flow(self, host: str, port: int) -> UdpFlow:
        """The flow to the IP address `host` at `port`."""
        address = (host, port, 0, 0) if self.ipv6 else (host, port)
        return self._flows.get(address) or self._new_flow(address)

    def send_again(self, data: bytes, address: tuple[object, ...]) -> None:
        """Send what failed once: maybe the error was that of an earlier datagram.

        Linux reports what became of one datagram to whoever uses the socket next, and
        does not send. Raises OSError where it fails by itself.
        """
        self._read_errors()
        try:
            self.socket.sendto(data, address)
        except BlockingIOError:
            self.unsent += 1

    def _readable(self) -> None:
        wire = self._wire
        assert wire is not None
        now = wire.now()
        waits = self._waits
        most = BATCH
        if waits is not None and now >= waits.due_at:
            found = None
            try:
                found = waits.look(now)
            except OSError:
                self._read_errors()
            if found is not None:
                if found[0] >= BUSY_S:
                    most = SHORT_BATCH
                if self.on_waited is not None:
                    self.on_waited(now, found[0], found[1])
        if self.drain(wire.received, now, most) == BATCH and waits is not None:
            # More has come than is read at a time.
            waits.due_at = now
        wire.flush()

    def _read_errors(self) -> None:
        """Tell of the datagrams that reached nobody, by ICMP."""
        for _ in range(BATCH):
            data = icmp.read(self.socket)
            if data is None:
                break
            if data and self._wire is not None:
                self._wire.undelivered(data)
        if self._loop is not None:
            # libuv stops watching a socket that has an error, and tells nobody.
            self._loop.remove_reader(self.socket)
            self._loop.add_reader(self.socket, self._readable)

    def _answer_stun(self, data: bytes, address: tuple[object, ...]) -> None:
        host, port = address[0], address[1]
        assert isinstance(host, str) and isinstance(port, int)
        answer = stun.answer(data, host.partition("%")[0], port)
        if answer is None:
            return
        try:
            self.socket.sendto(answer, address)
        except OSError:
            # It asks again.
            self.unsent += 1

    def _new_flow(self, address: tuple[object, ...]) -> UdpFlow:
        if len(self._flows) >= _FLOWS:
            # Whoever sends from many forged addresses must not make memory grow.
            self._flows.clear()
        host, port = address[0], address[1]
        assert isinstance(host, str) and isinstance(port, int)
        flow = self._flows[address] = UdpFlow(self, host.partition("%")[0], port, address)
        return flow
