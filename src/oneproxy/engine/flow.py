"""Where messages come from and go to, as the engine sees it.

`transport` makes listeners and flows; the engine only compares them, reads their
names, and hands a flow back with the octets that are to leave on it.
"""

from typing import Final, Protocol

BRANCH_COOKIE: Final = "z9hG4bK"


class Listener:
    """An address that OneProxy listens on, and the header text that names it.

    transport: "UDP", ... as written in Via. sent_by: "host:port" that others see.
    """

    __slots__ = ("host", "port", "reliable", "route_uri", "sent_by", "transport", "via")

    def __init__(self, transport: str, host: str, port: int) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.sent_by = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.reliable = transport not in ("UDP", "DTLS")
        #: All of our Via up to where the branch goes on (RFC 3261 18.1.1, 8.1.1.7).
        self.via = f"SIP/2.0/{transport} {self.sent_by};branch={BRANCH_COOKIE}"
        parameter = "" if transport == "UDP" else f";transport={transport.lower()}"
        self.route_uri = f"sip:{self.sent_by}{parameter};lr"


class Flow:
    """One remote address at one listener (RFC 5626: a datagram flow or a connection).

    host: the remote IP address or, before it is resolved, the name. port: 1 to 65535.
    """

    __slots__ = ("address", "host", "listener", "port", "reliable")

    def __init__(self, listener: Listener, host: str, port: int, address: tuple[object, ...] | None) -> None:
        self.listener = listener
        self.host = host
        self.port = port
        #: What the socket takes; None until the name is resolved.
        self.address = address
        self.reliable = listener.reliable


class Flows(Protocol):
    """What the engine asks of `transport`: a flow towards an address."""

    def towards(self, transport: str, host: str, port: int) -> Flow | None:
        """The flow to `host` (an IP address or a name), or None where no listener can."""
        ...

    def beside(self, flow: Flow, port: int) -> Flow:
        """The flow from the same listener to the same host at another port."""
        ...
