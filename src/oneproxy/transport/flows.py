"""The ways to other places: all listeners of a node and its connections, for the engine."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final, Protocol

from oneproxy.engine.flow import Flow, Found, Hop
from oneproxy.sip.host import parse_hostport
from oneproxy.transport.address import source_towards
from oneproxy.transport.connections import Connections
from oneproxy.transport.stream import StreamListener
from oneproxy.transport.udp import UdpListener

_KNOWN: Final = 65_536
#: Hosts whose listener is remembered, where there are several to choose from.
_CHOSEN: Final = 4096
_PORTS: Final = {"UDP": 5060, "TCP": 5060, "TLS": 5061, "WS": 80, "WSS": 443}
#: Transports that we open nothing over: browsers connect to us.
_OPENED_BY_PEERS: Final = ("WS", "WSS")
_WILDCARDS: Final = ("0.0.0.0", "::")

AnyListener = UdpListener | StreamListener


class Resolution(Protocol):
    """Whoever knows the addresses of names (RFC 3263)."""

    def find(self, now: float, hop: Hop, found: Found) -> list[Hop] | None:
        """As `oneproxy.engine.flow.Flows.find`."""
        ...

    def failed(self, now: float, hop: Hop) -> None:
        """Nobody is reached at this address at the moment."""
        ...


class NoNames:
    """Knows IP addresses only."""

    def find(self, _now: float, hop: Hop, _found: Found) -> list[Hop] | None:
        """The address that the hop is, if it is one."""
        transport, host, port = hop
        try:
            host = str(ip_address(host))
        except ValueError:
            return []
        transport = {"": "UDP", "SIPS": "TLS"}.get(transport, transport)
        return [(transport, host, port or _PORTS.get(transport, 5060))]

    def failed(self, _now: float, _hop: Hop) -> None:
        """It has no choice anyway."""


def reach(listeners: Sequence[AnyListener]) -> Callable[[str, int], bool]:
    """Whether some listener can open the way: asked by transport and IP version, 4 or 6."""
    able = {
        (listener.transport, 6 if listener.ipv6 else 4)
        for listener in listeners
        if listener.transport not in _OPENED_BY_PEERS
    }
    return lambda transport, version: (transport, version) in able


class Ways:
    """All of them; what the engine knows as `Flows`."""

    def __init__(
        self, listeners: Sequence[AnyListener], connections: Connections, names: Resolution | None = None
    ) -> None:
        self._names = names or NoNames()
        self._connections = connections
        connections.on_failed = self._names.failed
        self._by_kind: dict[tuple[str, bool], list[AnyListener]] = {}
        for listener in listeners:
            self._by_kind.setdefault((listener.transport, listener.ipv6), []).append(listener)
        self._bound = {
            listener.bound: listener for listener in listeners if isinstance(listener, UdpListener)
        }
        self._known: dict[Hop, Flow] = {}
        self._chosen: dict[tuple[str, str], AnyListener] = {}

    def towards(self, hop: Hop, name: str = "") -> Flow | None:
        """The flow to a whole hop with an IP address, an open connection or a new one.

        name: of whom the certificate has to be, over TLS; "" for the IP address. None where
        the host is a name, or no listener can reach it.
        """
        # One look is all that a request over UDP costs here.
        return self._known.get(hop) or self._connections.find(hop, name) or self._new(hop, name)

    def find(self, now: float, hop: Hop, found: Found) -> list[Hop] | None:
        """The addresses of `hop` in the order in which to try them (RFC 3263)."""
        return self._names.find(now, hop, found)

    def failed(self, now: float, hop: Hop) -> None:
        """Nobody is reached at this address at the moment: others of its name come first."""
        self._names.failed(now, hop)

    def beside(self, flow: Flow, port: int) -> Flow:
        """The flow from the same listener to the same host at another port."""
        listener = flow.listener
        if isinstance(listener, UdpListener):
            return listener.flow(flow.host, port)
        return self.towards((listener.transport, flow.host, port)) or flow

    def named(self, name: str) -> Flow | None:
        """The flow of this name; None for a connection that is closed or another node's."""
        if not name.startswith("udp/"):
            return self._connections.named(name)
        _, _, places = name.partition("/")
        bound, _, place = places.partition("/")
        listener = self._bound.get(bound)
        where = parse_hostport(place)
        if listener is None or where is None or where[1] is None:
            return None
        try:
            host = ip_address(where[0])
        except ValueError:
            return None
        return listener.flow(str(host), where[1]) if (host.version == 6) == listener.ipv6 else None

    def _new(self, hop: Hop, name: str) -> Flow | None:
        transport, host, port = hop
        try:
            address = ip_address(host)
        except ValueError:
            return None
        listener = self._choose(transport, str(address), address.version == 6)
        if listener is None:
            return None
        if isinstance(listener, UdpListener):
            if len(self._known) >= _KNOWN:
                self._known.clear()
            flow = self._known[hop] = listener.flow(str(address), port)
            return flow
        if str(address) != host:
            hop = (transport, str(address), port)
            connection = self._connections.find(hop, name)
            if connection is not None:
                return connection
        if transport in _OPENED_BY_PEERS:
            return None
        return self._connections.open(listener, str(address), port, name)

    def _choose(self, transport: str, host: str, ipv6: bool) -> AnyListener | None:
        """The listener to leave from: bound to what the system would take as source for `host`,
        else to all addresses, else the first one."""
        listeners = self._by_kind.get((transport, ipv6))
        if not listeners or len(listeners) == 1:
            return listeners[0] if listeners else None
        chosen = self._chosen.get((transport, host))
        if chosen is None:
            if len(self._chosen) >= _CHOSEN:
                self._chosen.clear()
            source = source_towards(host)
            suitable = [one for one in listeners if one.address == source]
            suitable += [one for one in listeners if one.address in _WILDCARDS]
            chosen = self._chosen[transport, host] = (suitable + listeners)[0]
        return chosen
