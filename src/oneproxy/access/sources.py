"""Who is counted and banned: the source of a message, an IPv4 address or an IPv6 network of 64 bits.

A machine with IPv6 has a whole network of 64 bits to send from, so an address of one says
nothing. An IPv4 address in the clothes of IPv6 (RFC 4291 2.5.5.2) is the IPv4 address.
"""

from ipaddress import IPv6Address
from typing import Final

_REMEMBERED: Final = 16_384

_known: dict[str, str] = {}


def source_of(host: str) -> str:
    """What `host` is counted as: "192.0.2.7", or "2001:db8:0:1::/64"."""
    if ":" not in host:
        return host
    source = _known.get(host)
    if source is None:
        if len(_known) >= _REMEMBERED:
            # Whoever has many addresses must not make memory grow.
            _known.clear()
        source = _known[host] = _read(host)
    return source


def source_of_binding(text: str) -> str:
    """The source that a contact was registered from, as bindings have it ("udp:192.0.2.7:5060")."""
    return source_of(text.partition(":")[2].rpartition(":")[0].strip("[]"))


def shut_key(source: str) -> str | bytes:
    """What transport looks `source` up by: the address as it is, or the first 8 octets of IPv6."""
    if not source.endswith("/64"):
        return source
    return IPv6Address(source.removesuffix("/64")).packed[:8]


def _read(host: str) -> str:
    try:
        address = IPv6Address(host)
    except ValueError:
        return host
    mapped = address.ipv4_mapped
    if mapped is not None:
        return str(mapped)
    return f"{IPv6Address(int(address) >> 64 << 64).compressed}/64"
