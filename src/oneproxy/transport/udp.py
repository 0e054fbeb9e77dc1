"""UDP listeners: a socket that is drained in batches, and the flows at its addresses."""

import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from oneproxy.engine.flow import Flow, Listener

#: Datagrams read before others get their turn: enough to empty a burst, few enough
#: that timers and the recorder's answers never wait for more than some milliseconds.
BATCH: Final = 64
_MAX_DATAGRAM: Final = 65_535
_BUFFER: Final = 4 * 1024 * 1024
_FLOWS: Final = 65_536


class UdpListener(Listener):
    """One bound UDP socket. address, port: where it is bound; advertise: what others see.

    Raises OSError where the address can't be bound.
    """

    __slots__ = ("_buffer", "_flows", "_view", "ipv6", "socket", "unsent")

    def __init__(self, address: str, port: int, advertise: str, advertise_port: int) -> None:
        self.ipv6 = ":" in address
        self.socket = socket.socket(socket.AF_INET6 if self.ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.setblocking(False)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                self.socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
            self.socket.bind((address, port))
        except OSError:
            self.socket.close()
            raise
        bound = self.socket.getsockname()[1]
        super().__init__("UDP", advertise or _seen_address(address, self.ipv6), advertise_port or bound)
        #: Datagrams dropped because the socket's buffer was full.
        self.unsent = 0
        # Reading into one buffer saves an allocation of 64 KiB for every datagram.
        self._buffer = bytearray(_MAX_DATAGRAM)
        self._view = memoryview(self._buffer)
        self._flows: dict[tuple[object, ...], Flow] = {}

    def drain(self, receive: Callable[[Flow, bytes], None]) -> int:
        """Hand what has come to `receive`, at most a batch; how many datagrams it was."""
        read = self.socket.recvfrom_into
        buffer = self._buffer
        view = self._view
        flows = self._flows
        for count in range(BATCH):
            try:
                size, address = read(buffer)
            except BlockingIOError:
                return count
            except OSError:
                # An ICMP error of an earlier datagram, on systems that report it here.
                continue
            flow = flows.get(address)
            if flow is None:
                flow = self._new_flow(address)
            receive(flow, bytes(view[:size]))
        return BATCH

    def flow(self, host: str, port: int) -> Flow:
        """The flow to the IP address `host` at `port`."""
        address = (host, port, 0, 0) if self.ipv6 else (host, port)
        return self._flows.get(address) or self._new_flow(address)

    def send(self, data: bytes, address: tuple[object, ...]) -> None:
        """Send one datagram. Raises OSError; a full buffer drops it, as a network would."""
        try:
            self.socket.sendto(data, address)
        except BlockingIOError:
            self.unsent += 1

    def close(self) -> None:
        """Give the address back."""
        self.socket.close()

    def _new_flow(self, address: tuple[object, ...]) -> Flow:
        if len(self._flows) >= _FLOWS:
            # Whoever sends from many forged addresses must not make memory grow.
            self._flows.clear()
        host, port = address[0], address[1]
        assert isinstance(host, str) and isinstance(port, int)
        flow = self._flows[address] = Flow(self, host.partition("%")[0], port, address)
        return flow


class UdpFlows:
    """All UDP listeners of a node, as the engine's way to new addresses."""

    def __init__(self, listeners: list[UdpListener]) -> None:
        self._ipv4 = next((one for one in listeners if not one.ipv6), None)
        self._ipv6 = next((one for one in listeners if one.ipv6), None)
        self._known: dict[tuple[str, int], Flow] = {}

    def towards(self, transport: str, host: str, port: int) -> Flow | None:
        """The flow to `host`, an IP address or a name; None where no listener can reach it."""
        if transport != "UDP":
            return None
        flow = self._known.get((host, port))
        if flow is not None:
            return flow
        try:
            numeric = ip_address(host)
        except ValueError:
            listener = self._ipv4 or self._ipv6
            return None if listener is None else Flow(listener, host, port, None)
        listener = self._ipv4 if numeric.version == 4 else self._ipv6
        if listener is None:
            return None
        if len(self._known) >= _FLOWS:
            self._known.clear()
        flow = self._known[host, port] = listener.flow(str(numeric), port)
        return flow

    def beside(self, flow: Flow, port: int) -> Flow:
        """The flow from the same listener to the same host at another port."""
        listener = flow.listener
        assert isinstance(listener, UdpListener)
        return listener.flow(flow.host, port)


def _seen_address(address: str, ipv6: bool) -> str:
    """What others see of an address: itself, or for a wildcard that of the default route."""
    if address not in ("0.0.0.0", "::"):
        return address
    family, somewhere = (socket.AF_INET6, "2001:db8::1") if ipv6 else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing: it only asks for the route.
            probe.connect((somewhere, 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "::1" if ipv6 else "127.0.0.1"
