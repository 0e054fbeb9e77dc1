"""STUN Binding requests at the SIP port (RFC 5626 8, RFC 5389): what their answer is.

A phone behind a NAT asks so from where its datagrams seem to come, and keeps the NAT open.
Nothing but a well-formed Binding request gets an answer, so that nobody uses OneProxy to
send octets to others, and every answer fits into a few octets more than its question.
"""

from ipaddress import ip_address
from typing import Final
from zlib import crc32

COOKIE: Final = b"\x21\x12\xa4\x42"
_REQUEST: Final = b"\x00\x01"
_SUCCESS: Final = b"\x01\x01"
_ERROR: Final = b"\x01\x11"
_HEADER: Final = 20

_XOR_MAPPED_ADDRESS: Final = 0x0020
_ERROR_CODE: Final = 0x0009
_UNKNOWN_ATTRIBUTES: Final = 0x000A
_FINGERPRINT: Final = 0x8028
_FINGERPRINT_XOR: Final = 0x5354554E
#: Credentials (USERNAME, MESSAGE-INTEGRITY, REALM, NONCE) are known and not asked for.
_KNOWN: Final = frozenset((0x0006, 0x0008, 0x0014, 0x0015))
#: Below it an attribute must be understood, or the request be refused (RFC 5389 15).
_OPTIONAL: Final = 0x8000


def answer(data: bytes, host: str, port: int) -> bytes | None:
    """The response to the Binding request `data` that came from `host` and `port`, an IP address.

    None for whatever is no well-formed Binding request. 420 where it holds attributes that
    would have to be understood (RFC 5389 7.3.1).
    """
    if len(data) < _HEADER or data[:2] != _REQUEST or data[4:8] != COOKIE:
        return None
    if int.from_bytes(data[2:4], "big") != len(data) - _HEADER or len(data) % 4:
        return None
    unknown: list[int] = []
    signed = False
    at = _HEADER
    while at < len(data):
        kind = int.from_bytes(data[at : at + 2], "big")
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 4 + length + -length % 4
        if signed or end > len(data):
            # RFC 5389 15.5: nothing follows the fingerprint.
            return None
        if kind == _FINGERPRINT:
            if data[at + 4 : end] != _fingerprint(data[:at]):
                return None
            signed = True
        elif kind < _OPTIONAL and kind not in _KNOWN:
            unknown.append(kind)
        at = end
    if unknown:
        return _finish(data, _ERROR, _refusal(unknown), signed)
    return _finish(data, _SUCCESS, _mapped(data[4:_HEADER], host, port), signed)


def _mapped(cookie_and_transaction: bytes, host: str, port: int) -> bytes:
    """XOR-MAPPED-ADDRESS (RFC 5389 15.2)."""
    address = ip_address(host).packed
    family = b"\x00\x01" if len(address) == 4 else b"\x00\x02"
    hidden = bytes(a ^ b for a, b in zip(address, cookie_and_transaction, strict=False))
    return _attribute(_XOR_MAPPED_ADDRESS, family + (port ^ 0x2112).to_bytes(2, "big") + hidden)


def _refusal(unknown: list[int]) -> bytes:
    """ERROR-CODE 420 and what it is about (RFC 5389 15.6, 15.9)."""
    listed = b"".join(kind.to_bytes(2, "big") for kind in unknown)
    code = _attribute(_ERROR_CODE, b"\x00\x00\x04\x14Unknown Attribute")
    return code + _attribute(_UNKNOWN_ATTRIBUTES, listed)


def _attribute(kind: int, value: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)


def _finish(request: bytes, kind: bytes, attributes: bytes, signed: bool) -> bytes:
    """The whole message, with a fingerprint where the request had one."""
    length = len(attributes) + (8 if signed else 0)
    data = kind + length.to_bytes(2, "big") + request[4:_HEADER] + attributes
    return data + _attribute(_FINGERPRINT, _fingerprint(data)) if signed else data


def _fingerprint(data: bytes) -> bytes:
    """RFC 5389 15.5: over all that comes before the attribute."""
    return (crc32(data) ^ _FINGERPRINT_XOR).to_bytes(4, "big")
