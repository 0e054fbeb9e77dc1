"""The texts that configuration values are made of: what is a name, an address, an AoR.

Each check takes the text as written and gives it as the processes want it, or raises
`ValueError`; which words the operator reads is said where the key is defined.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
# A host name of RFC 1123; the last label is not all digits, so that 300.1.1.1 is none.
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*(?!\d+\Z){_LABEL}")
_HEX: Final = re.compile(r"[0-9A-Fa-f]*")
#: Characters of what entries are named by; PostgreSQL takes keys of 2,704 octets.
_LONGEST: Final = 512
#: Characters of a token without the dot (RFC 4412 3.1).
_NAMESPACE: Final = re.compile(r"[A-Za-z0-9!%*_+`'~-]{1,32}")
_METHOD: Final = re.compile(r"[A-Z]{1,32}")
_SIP_URI: Final = re.compile(
    r"sips?:(?:[^\s@<>\"]+@)?(\[[0-9A-Fa-f:.]+\]|[^\s@<>\":;?/]+)(:\d{1,5})?(;[^\s<>\"]*)?"
)


def _expect(held: object) -> None:
    if not held:
        raise ValueError("not allowed")


def not_empty(text: str) -> str:
    """Any text but the empty one."""
    _expect(text)
    return text


def username(text: str) -> str:
    """Who we are at a registrar; it stands in a header line, which it must not end."""
    _expect(text and text.isprintable())
    return text


def farm_key(text: str) -> str:
    """A shared secret; one of fewer than 8 characters is a slip, not a secret."""
    _expect(len(text) >= 8)
    return text


def name(text: str) -> str:
    """A node's, provider's or gateway's name; it stands in Via branches and in logs."""
    _expect(_NAME.fullmatch(text))
    return text


def method(text: str) -> str:
    """A SIP method (RFC 3261 7.1: they are case-sensitive)."""
    _expect(_METHOD.fullmatch(text))
    return text


def host(text: str) -> str:
    """A host name or an IP address, in lower case (RFC 3261 19.1.4: hosts compare so)."""
    lowered = text.lower()
    if not _HOST_NAME.fullmatch(lowered):
        ipaddress.ip_address(lowered)
    return lowered


def or_each(allowed: Callable[[str], str]) -> Callable[[str], str]:
    """What is `allowed`, or "*": each of them by itself."""
    return lambda text: text if text == "*" else allowed(text)


def client(text: str) -> str:
    """A name in a certificate, in lower case: a host, a URI, or whatever an authority has put there."""
    _expect(text.isprintable() and " " not in text and 0 < len(text) <= _LONGEST)
    return text.lower()


def split_port(text: str) -> tuple[str, int | None]:
    """`host:port`, `[v6]:port`, or either without the port, which is 1 to 65535."""
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        _expect(bracket and ":" in inner and (not rest or rest.startswith(":")))
        written, port = inner, rest[1:] if rest else None
    elif text.count(":") > 1:
        written, port = text, None
    else:
        written, colon, digits = text.partition(":")
        port = digits if colon else None
    if port is None:
        return written, None
    _expect(port.isascii() and port.isdecimal() and len(port) <= 5 and 1 <= int(port) <= 65_535)
    return written, int(port)


def address(text: str) -> str:
    """An IP address with a port."""
    written, port = split_port(text)
    _expect(port is not None)
    found = ipaddress.ip_address(written)
    # A scope would be lost in what others are told, and nobody listens on many machines' address.
    _expect("%" not in written and not found.is_multicast)
    return text


def same_place(text: str) -> tuple[str, int | None]:
    """What `address` gave, in the one spelling that compares equal."""
    written, port = split_port(text)
    return ipaddress.ip_address(written).compressed, port


def name_server(text: str) -> str:
    """An IP address, with port 53 where none is written."""
    written, port = split_port(text)
    ipaddress.ip_address(written)
    return f"[{written}]:{port or 53}" if ":" in written else f"{written}:{port or 53}"


def advertise(text: str) -> str:
    """A host or IP address with or without a port."""
    named = host(split_port(text)[0])
    try:
        found = ipaddress.ip_address(named)
    except ValueError:
        return text
    _expect("%" not in named and not found.is_multicast and not found.is_unspecified)
    return text


def network(text: str) -> str:
    """An IP network without host bits, or one address."""
    ipaddress.ip_network(text)
    return text


def aor(text: str) -> str:
    """`user@host`, the host in lower case; the user is what the phone's URI has, unescaped."""
    user, at, domain = text.rpartition("@")
    _expect(len(text) <= _LONGEST)
    _expect(at and user and user.isprintable() and not set(user) & set(' @:;<>"'))
    return f"{user}@{host(domain)}"


def ha1(text: str) -> str:
    """A hash of 128 or 256 bits in hexadecimal, in lower case."""
    _expect(_HEX.fullmatch(text) and len(text) in (32, 64))
    return text.lower()


def sha256(text: str) -> str:
    """A hash of 256 bits in hexadecimal, in lower case."""
    _expect(_HEX.fullmatch(text) and len(text) == 64)
    return text.lower()


def alias(text: str) -> str:
    """A user without a domain; the domain is that of whose alias it is."""
    _expect(text and text.isprintable() and not set(text) & set(' @:;<>"'))
    return text


def dialled(text: str) -> str:
    """A number as it is dialled: digits, "*" and "#", maybe a "+" before them."""
    digits = text.removeprefix("+")
    _expect(0 < len(digits) <= 32 and not digits.strip("0123456789*#"))
    return text


def namespace(text: str) -> str:
    """A namespace of Resource-Priority (RFC 4412 3.1): a token without a dot; in lower case."""
    _expect(_NAMESPACE.fullmatch(text))
    return text.lower()


def usable(text: str) -> str:
    """An AoR, or all of a domain: `*@host`."""
    return aor(text)


def sip_uri(text: str) -> str:
    """A sip: or sips: URI, as a gateway or target is written."""
    found = _SIP_URI.fullmatch(text)
    _expect(found and (not found[2] or 1 <= int(found[2][1:]) <= 65_535))
    return text


def database_url(text: str) -> str:
    """A file of SQLite, or PostgreSQL by any of the spellings of its scheme."""
    scheme, separator, rest = text.partition("://")
    _expect(separator)
    if scheme == "sqlite":
        _expect(len(rest) > 1 and rest.startswith("/") and not rest.startswith("/:memory:"))
    else:
        _expect(scheme in {"postgresql", "postgres", "postgresql+psycopg"} and rest)
    return text
