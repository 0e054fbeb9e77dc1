"""Banned sources: nothing is taken from them, which costs a look into a table.

The table is kept by policy: by IPv4 address, or by the first 8 octets of an IPv6 address, until
when nothing is taken, in seconds since the epoch.
"""

from socket import AF_INET6, inet_pton

Shut = dict[str | bytes, float]


def network(host: str) -> bytes:
    """What an IPv6 address, as the system writes it, is banned by."""
    return inet_pton(AF_INET6, host.partition("%")[0])[:8]


def is_shut(shut: Shut, host: str, now: float) -> bool:
    """Whether `host`, an IP address, is banned."""
    until = shut.get(network(host) if ":" in host else host)
    return until is not None and now < until
