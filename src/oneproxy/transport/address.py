"""Which of this machine's addresses others see."""

import socket


def source_towards(host: str) -> str | None:
    """The address that the system would send from to the IP address `host`; None if to no one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing: it only asks for the route.
            probe.connect((host, 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def seen_address(address: str) -> str:
    """What others see of an address: itself, or for a wildcard that of the default route."""
    if address == "0.0.0.0":
        return source_towards("192.0.2.1") or "127.0.0.1"
    if address == "::":
        return source_towards("2001:db8::1") or "::1"
    return address
