"""What the network reports of datagrams that reached nobody, from the socket's error queue."""

import socket
import struct
import sys
from typing import Final

# Of Linux; the socket module does not name all of them in every version.
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_ORIGIN_ICMP: Final = 2
_ORIGIN_ICMP6: Final = 3
#: struct sock_extended_err up to ee_code.
_EXTENDED_ERROR: Final = struct.Struct("=IBBB")
_ANCILLARY: Final = 512
#: The head of a request, with the top Via that tells whose it was.
_HEAD: Final = 2048

#: RFC 3261 18.4: host, network, port or protocol unreachable and parameter problems are told;
#: source quench and an exceeded time to live are not. Nor is "fragmentation needed", which
#: the system acts on by itself.
_ICMP_UNREACHABLE: Final = 3
_ICMP_FRAGMENTATION: Final = 4
_ICMP_PARAMETER: Final = 12
_ICMP6_UNREACHABLE: Final = 1
_ICMP6_PARAMETER: Final = 4


def watch(sock: socket.socket) -> bool:
    """Have errors of sent datagrams queued at a UDP socket; False where the system can't."""
    if sys.platform != "linux":
        return False
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    return True


def read(sock: socket.socket) -> bytes | None:
    """What was sent and reached nobody, maybe truncated; b"" for other errors, None for no more."""
    if sys.platform != "linux":
        return None
    try:
        data, ancillary, _, _ = sock.recvmsg(_HEAD, _ANCILLARY, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    return data if any(_is_final(error) for _, _, error in ancillary) else b""


def _is_final(error: bytes) -> bool:
    if len(error) < _EXTENDED_ERROR.size:
        return False
    origin: int
    kind: int
    _, origin, kind, code = _EXTENDED_ERROR.unpack_from(error)
    if origin == _ORIGIN_ICMP:
        return kind == _ICMP_PARAMETER or (kind == _ICMP_UNREACHABLE and code != _ICMP_FRAGMENTATION)
    return origin == _ORIGIN_ICMP6 and kind in (_ICMP6_UNREACHABLE, _ICMP6_PARAMETER)
