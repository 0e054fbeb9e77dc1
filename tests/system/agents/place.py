"""Where a server listens, and ports that nobody holds."""

import socket
from typing import NamedTuple

from system.wire import free_port


class Place(NamedTuple):
    """transport: as in Via: "UDP", "TCP", "TLS", "WS" or "WSS". host: an IP address."""

    transport: str
    host: str
    port: int

    @property
    def address(self) -> str:
        """ "host:port", the host in brackets where it is an IPv6 address."""
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        """The family of the host."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


def bracketed(host: str) -> str:
    """An IP address as it stands in a URI."""
    return f"[{host}]" if ":" in host else host


def free_place(transport: str, host: str = "127.0.0.1") -> Place:
    """An address of this host that nobody holds now."""
    return Place(transport, host, free_port(host))
