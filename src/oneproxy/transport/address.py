"""Which addresses this machine has, and which of them others see."""

import socket
import sys
from ipaddress import ip_address
from typing import Final

#: All addresses of one family.
WILDCARDS: Final = ("0.0.0.0", "::")


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


def local_addresses(ipv6: bool) -> list[str]:
    """The addresses of this machine, of one family; some may be missing where the system tells
    none but those of its name."""
    found: list[str] = []
    if sys.platform == "linux":
        found = _of_kernel_6() if ipv6 else _of_kernel_4()
    if not found:
        found = ["::1" if ipv6 else "127.0.0.1", *_of_name(socket.AF_INET6 if ipv6 else socket.AF_INET)]
    return list(dict.fromkeys(found))


def _of_kernel_4() -> list[str]:
    """A leaf of the routing table is an address, and a line below says whether it is ours."""
    found: list[str] = []
    leaf = ""
    for line in _lines("/proc/net/fib_trie"):
        words = line.split()
        if words[:1] == ["|--"]:
            leaf = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"]:
            found.append(leaf)
    return found


def _of_kernel_6() -> list[str]:
    """An address in 32 hexadecimal digits begins each line."""
    return [
        ip_address(bytes.fromhex(line[:32])).compressed
        for line in _lines("/proc/net/if_inet6")
        if len(line) > 32 and line[32] == " "
    ]


def _of_name(family: int) -> list[str]:
    try:
        answers = socket.getaddrinfo(socket.gethostname(), None, family, socket.SOCK_DGRAM)
    except OSError:
        return []
    return [str(address[0]).partition("%")[0] for *_, address in answers]


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []
