"""Where messages come from and go to, as the engine sees it.

`transport` makes listeners and flows; the engine only compares them, reads their
names, and hands a flow back with the octets that are to leave on it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from oneproxy.sip.host import IpAddress, parse_hostport, to_address
from oneproxy.sip.oc import ASKING

if TYPE_CHECKING:
    from oneproxy.engine.client import ClientTransaction

BRANCH_COOKIE: Final = "z9hG4bK"

#: Transport as in Via, or "" where it was not said, or "SIPS" for any secure one; host, an
#: IP address or a name; port, 0 where it was not said.
Hop = tuple[str, str, int]

#: How a URI names a transport (RFC 7118 5.2.3: WSS is a secure WS).
_URI_TRANSPORTS: Final = {"UDP": "", "TCP": "tcp", "TLS": "tls", "WS": "ws", "WSS": "ws"}


class Listener:
    """An address that OneProxy listens on, and the header text that names it.

    transport: "UDP", "TCP", "TLS", "WS" or "WSS". host, port: what others see.
    """

    __slots__ = (
        "asking_via",
        "host",
        "is_stream",
        "port",
        "reliable",
        "route_uri",
        "secure",
        "sent_by",
        "sips_route_uri",
        "transport",
        "via",
    )

    def __init__(self, transport: str, host: str, port: int) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.sent_by = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.reliable = transport != "UDP"
        #: Whether messages follow each other as octets, told apart by their length alone.
        self.is_stream = transport in ("TCP", "TLS")
        self.secure = transport in ("TLS", "WSS")
        #: All of our Via up to where the branch goes on (RFC 3261 18.1.1, 8.1.1.7).
        self.via = f"SIP/2.0/{transport} {self.sent_by};branch={BRANCH_COOKIE}"
        #: The same for a neighbour who may tell how much less he wants. What he says stands before the
        #: branch, so that one that comes back as it was, as nearly all do, says nothing.
        self.asking_via = f"SIP/2.0/{transport} {self.sent_by}{ASKING};branch={BRANCH_COOKIE}"
        named = _URI_TRANSPORTS[transport]
        self.route_uri = f"sip:{self.sent_by}{f';transport={named}' if named else ''};lr"
        #: For requests to SIPS URIs (RFC 3261 16.6 step 4); where nothing secure is listened
        #: for there is no such route.
        self.sips_route_uri = self.route_uri
        if self.secure:
            self.sips_route_uri = f"sips:{self.sent_by}{';transport=ws' if named == 'ws' else ''};lr"


class Flow:
    """One remote address at one listener (RFC 5626: a datagram flow), or one connection.

    host: the remote IP address. port: 1 to 65535. name: what names this flow for as long
    as it lasts, in bindings and in routes; of characters that a URI parameter may hold. It
    begins with the transport and a slash, and ends with a slash and the remote "host:port".
    """

    __slots__ = ("client_names", "host", "listener", "name", "pending", "port", "reliable")

    def __init__(self, listener: Listener, host: str, port: int, name: str) -> None:
        self.listener = listener
        self.host = host
        self.port = port
        self.name = name
        self.reliable = listener.reliable
        #: The names in the peer's verified TLS certificate; none where there is none.
        self.client_names: tuple[str, ...] = ()
        #: Over a connection, the client transactions that are lost with it.
        self.pending: set[ClientTransaction] = set() if self.reliable else _NONE

    def send(self, data: bytes) -> None:
        """Send one message, soon and in order. Raises OSError where that is known to fail."""
        raise NotImplementedError


def source_of(name: str) -> IpAddress | None:
    """The remote address of the flow of this name, be it closed; None where it does not say."""
    place = parse_hostport(name.rpartition("/")[2])
    return None if place is None else to_address(place[0])


_NONE: Final[set["ClientTransaction"]] = set()


class Flows(Protocol):
    """What the engine asks of `transport`: the ways to other places."""

    def towards(self, hop: Hop, name: str = "") -> Flow | None:
        """The flow to a whole hop with an IP address, an open connection or a new one.

        name: of whom the certificate has to be, over TLS; "" for the IP address.
        None where the host is a name, or no listener can reach it.
        """
        ...

    def find(self, now: float, hop: Hop, found: "Found") -> list[Hop] | None:
        """The addresses of `hop` in the order in which to try them (RFC 3263).

        [] where there are none. None where that takes time: then `found` is called once,
        later, with the time and the addresses.
        """
        ...

    def failed(self, now: float, hop: Hop) -> None:
        """Nobody answered at this address: for a while its siblings are to be found before it."""
        ...

    def beside(self, flow: Flow, port: int) -> Flow:
        """The flow from the same listener to the same host at another port."""
        ...

    def named(self, name: str) -> Flow | None:
        """The flow of this name; None for a connection that is closed or another node's."""
        ...


Found = Callable[[float, list[Hop]], None]
