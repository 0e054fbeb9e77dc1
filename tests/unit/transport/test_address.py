"""The addresses of this machine."""

import socket
from ipaddress import ip_address

import pytest

from oneproxy.transport import address
from oneproxy.transport.address import local_addresses

# As the kernel writes it, with a route through a gateway between addresses of its own.
FIB = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.2
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 192.0.2.2
           /32 host LOCAL
"""
IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000002 02 40 00 80     eth0
"""


@pytest.mark.parametrize("ipv6", [False, True])
def test_every_local_address_can_be_bound(ipv6: bool) -> None:
    found = local_addresses(ipv6)
    assert len(found) == len(set(found)) > 0
    for one in found:
        if ip_address(one).is_link_local:
            continue
        with socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((one, 0))
            except OSError:
                # A machine without IPv6 knows its loopback address all the same.
                assert ipv6
                assert found == ["::1"]


def test_what_the_kernel_tells_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"/proc/net/fib_trie": FIB.splitlines(), "/proc/net/if_inet6": IF_INET6.splitlines()}
    monkeypatch.setattr(address, "_lines", told.__getitem__)
    monkeypatch.setattr("sys.platform", "linux")
    assert local_addresses(False) == ["192.0.2.2", "127.0.0.1"]
    assert local_addresses(True) == ["::1", "2001:db8::2"]


def test_where_the_kernel_tells_nothing_there_are_those_of_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(address, "_lines", lambda _path: [])
    monkeypatch.setattr(
        "socket.getaddrinfo",
        lambda *_args: [(2, 2, 17, "", ("192.0.2.9", 0)), (2, 2, 17, "", ("192.0.2.9", 0))],
    )
    assert local_addresses(False) == ["127.0.0.1", "192.0.2.9"]


def test_a_file_that_is_not_there_holds_nothing() -> None:
    assert address._lines("/proc/net/there is no such file") == []
