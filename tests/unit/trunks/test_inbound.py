"""Calls that come from gateways."""

import pytest

from asking import request_of, uri_of
from oneproxy.site.model import Format
from oneproxy.trunks.inbound import Peer, Peers

A1 = Peer("a", "a1", "sip:198.51.100.10")
A2 = Peer("a", "a2", "sip:198.51.100.10:5080")
B1 = Peer("b", "b1", "sip:gw.carrier.example", ("203.0.113.0/24", "2001:db8::/48"))
C1 = Peer("c", "c1", "sip:[2001:db8:1::7]:5061", ("203.0.113.64/26", "198.51.100.10"))
PEERS = [A1, A2, B1, C1]


def names(peers: Peers, host: str, port: int = 5060, client: str = "") -> list[str]:
    arrival = peers.find(host, port, client)
    return [] if arrival is None else [f"{peer.provider}/{peer.gateway}" for peer in arrival.peers]


@pytest.mark.parametrize(
    ("host", "port", "found"),
    [
        ("198.51.100.10", 5060, ["a/a1", "a/a2", "c/c1"]),
        ("198.51.100.10", 5080, ["a/a2", "a/a1", "c/c1"]),
        # Over TCP it comes from any port.
        ("198.51.100.10", 40_000, ["a/a1", "a/a2", "c/c1"]),
        ("::ffff:198.51.100.10", 5060, ["a/a1", "a/a2", "c/c1"]),
        ("203.0.113.1", 5060, ["b/b1"]),
        ("203.0.113.65", 5060, ["c/c1", "b/b1"]),
        ("2001:db8::9", 5060, ["b/b1"]),
        ("2001:db8:1::7", 5060, ["c/c1"]),
        ("192.0.2.1", 5060, []),
        ("nonsense", 5060, []),
    ],
)
def test_a_gateway_is_known_by_where_it_sends_from(host: str, port: int, found: list[str]) -> None:
    peers = Peers(PEERS)
    assert [names(peers, host, port) for _ in range(2)] == [found, found]


def test_routes_name_all_gateways_of_the_address() -> None:
    arrival = Peers(PEERS).find("198.51.100.10", 5060)
    assert arrival is not None
    assert arrival.sides == {"a", "a/a1", "a/a2", "c", "c/c1"}


def test_a_certificate_tells_a_gateway_that_has_a_name() -> None:
    peers = Peers(PEERS)
    assert names(peers, "192.0.2.1", 5061, "GW.carrier.example") == ["b/b1"]
    assert names(peers, "192.0.2.1", 5061, "other.example") == []
    assert names(peers, "198.51.100.10", 5060, "gw.carrier.example")[0] == "b/b1"


def test_addresses_of_a_name_are_told() -> None:
    peers = Peers(PEERS)
    assert peers.names == ["gw.carrier.example"]
    assert names(peers, "192.0.2.50") == []
    peers.resolved("gw.carrier.example", ["192.0.2.50", "192.0.2.51"])
    peers.resolved("nobody.example", ["192.0.2.52"])
    assert [names(peers, f"192.0.2.{last}") for last in (50, 51, 52)] == [["b/b1"], ["b/b1"], []]
    # It is known yet after a change, for as long as somebody has the name.
    peers.take([B1])
    assert names(peers, "192.0.2.50") == ["b/b1"]
    peers.resolved("gw.carrier.example", ["192.0.2.51"])
    assert names(peers, "192.0.2.50") == []
    peers.take([A1])
    peers.take([B1])
    assert (names(peers, "192.0.2.51"), names(peers, "198.51.100.10")) == ([], [])


def test_what_is_remembered_of_sources_is_bounded() -> None:
    peers = Peers(PEERS)
    for number in range(20_000):
        peers.find(f"10.0.{number >> 8}.{number & 255}", 5060)
    assert len(peers._known) <= 16_384


@pytest.mark.parametrize(
    ("format_", "uri", "headers", "number"),
    [
        (Format(), "sip:+351-21@h", (), "+35121"),
        (Format(form="digits"), "sip:351211234567@h", (), "+351211234567"),
        (Format(country="PT"), "sip:211234567@h", (), "+351211234567"),
        (Format(country="PT"), "tel:+351211234567", (), "+351211234567"),
        (Format(called_in="to", country="PT"), "sip:me@h", (), "+351211234567"),
        (Format(called_in="p-called-party-id"), "sip:me@h", ("P-Called-Party-ID: <sip:+35122@h>",), "+35122"),
        (Format(called_in="p-called-party-id"), "sip:me@h", ("P-Called-Party-ID: x",), "me"),
        (Format(called_in="p-called-party-id"), "sip:me@h", (), "me"),
    ],
)
def test_the_number_is_read_where_the_gateway_puts_it(
    format_: Format, uri: str, headers: tuple[str, ...], number: str
) -> None:
    request = request_of("INVITE", uri, *headers, to="<sip:211234567@h>")
    arrival = Peers([Peer("a", "a1", "sip:192.0.2.9", format_=format_)]).find("192.0.2.9", 5060)
    assert arrival is not None
    assert arrival.number(request, uri_of(uri)) == number


def test_strangers_cost_one_look_whatever_port_they_send_from_and_take_no_memory_for_it() -> None:
    peers = Peers([Peer("p", f"g{one}", f"sip:gw{one}.example") for one in range(100)])
    for port in range(1, 2000):
        assert peers.find("203.0.113.9", port) is None
    assert len(peers._known) == 1
    assert not peers._arrivals


def test_names_that_move_leave_nothing_behind_where_they_were() -> None:
    peers = Peers([Peer("p", "g0", "sip:gw.example"), Peer("p", "g1", "sip:gw2.example")])
    peers.resolved("gw2.example", ["203.0.113.1"])
    for number in range(1, 200):
        peers.resolved("gw.example", [f"203.0.113.{number}", f"203.0.113.{number}"])
        assert peers.find(f"203.0.113.{number}", 5060) is not None
    assert peers.find("203.0.113.7", 5060) is None
    assert peers.find("203.0.113.1", 5060) is not None
    assert len(peers._names_at) == 2
