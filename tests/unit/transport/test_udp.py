"""UDP listeners over real loopback sockets: batches, flows, what others see of an address."""

import errno
import socket
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from oneproxy.engine.flow import Flow
from oneproxy.transport import udp
from oneproxy.transport.udp import BATCH, UdpFlows, UdpListener


@pytest.fixture
def listener() -> Iterator[UdpListener]:
    one = UdpListener("127.0.0.1", 0, "", 0)
    yield one
    one.close()


@pytest.fixture
def listener6() -> Iterator[UdpListener]:
    one = UdpListener("::1", 0, "", 0)
    yield one
    one.close()


@pytest.fixture
def client() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(5)
        yield one


def drained(listener: UdpListener) -> list[tuple[Flow, bytes]]:
    """One batch."""
    came: list[tuple[Flow, bytes]] = []
    count = listener.drain(lambda flow, data: came.append((flow, data)))
    assert count == len(came)
    return came


def test_a_batch_is_read_in_order_and_the_rest_stays_for_the_next(
    listener: UdpListener, client: socket.socket
) -> None:
    sent = [f"{number}".encode() for number in range(BATCH + 3)]
    for data in sent:
        client.sendto(data, ("127.0.0.1", listener.port))
    first, second, third = drained(listener), drained(listener), drained(listener)
    assert [data for _, data in first] == sent[:BATCH]
    assert [data for _, data in second] == sent[BATCH:]
    assert third == []


def test_each_datagram_is_handed_on_as_octets_of_its_own(
    listener: UdpListener, client: socket.socket
) -> None:
    for data in (b"a long one \0\xff", b"", b"short"):
        client.sendto(data, ("127.0.0.1", listener.port))
    assert [data for _, data in drained(listener)] == [b"a long one \0\xff", b"", b"short"]


def test_the_flow_of_a_source_is_the_flow_towards_it(listener: UdpListener, client: socket.socket) -> None:
    host, port = client.getsockname()
    client.sendto(b"x", ("127.0.0.1", listener.port))
    ((flow, _),) = drained(listener)
    assert (flow.host, flow.port, flow.address, flow.listener) == (host, port, (host, port), listener)
    assert flow is listener.flow(host, port) is UdpFlows([listener]).towards("UDP", host, port)
    assert UdpFlows([listener]).beside(listener.flow(host, 1), port) is flow


def test_a_datagram_is_sent_from_the_address_that_was_bound(
    listener: UdpListener, client: socket.socket
) -> None:
    listener.send(b"hello", client.getsockname())
    assert client.recvfrom(100) == (b"hello", ("127.0.0.1", listener.port))


def test_ipv6_goes_both_ways(listener6: UdpListener) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.bind(("::1", 0))
        client.settimeout(5)
        client.sendto(b"x", ("::1", listener6.port))
        ((flow, _),) = drained(listener6)
        port = client.getsockname()[1]
        assert (flow.host, flow.port, listener6.flow("::1", port)) == ("::1", port, flow)
        assert flow.address is not None
        listener6.send(b"y", flow.address)
        assert client.recv(100) == b"y"
    assert listener6.sent_by == f"[::1]:{listener6.port}"


def test_a_way_is_taken_by_the_family_of_the_address(listener: UdpListener, listener6: UdpListener) -> None:
    flows = UdpFlows([listener, listener6])
    four, six = flows.towards("UDP", "192.0.2.1", 5060), flows.towards("UDP", "2001:DB8:0::1", 5060)
    assert four is not None
    assert six is not None
    assert (four.listener, six.listener, six.host) == (listener, listener6, "2001:db8::1")
    assert six.address == ("2001:db8::1", 5060, 0, 0)
    assert UdpFlows([]).towards("UDP", "phone.example.com", 5060) is None


def test_an_error_that_an_earlier_datagram_caused_costs_no_later_one(
    listener: UdpListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = OSError(errno.ECONNREFUSED, "Connection refused")
    fake = Mock()
    fake.recvfrom_into = Mock(side_effect=[refused, (0, ("192.0.2.9", 5060)), refused, BlockingIOError()])
    real = listener.socket
    monkeypatch.setattr(listener, "socket", fake)
    came: list[Flow] = []
    listener.drain(lambda flow, _: came.append(flow))
    monkeypatch.setattr(listener, "socket", real)
    assert [flow.host for flow in came] == ["192.0.2.9"]


def test_a_socket_that_only_fails_gives_the_loop_its_turn_back(
    listener: UdpListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Mock()
    fake.recvfrom_into = Mock(side_effect=OSError(errno.EIO, "Input/output error"))
    real = listener.socket
    monkeypatch.setattr(listener, "socket", fake)
    listener.drain(lambda _flow, _data: None)
    monkeypatch.setattr(listener, "socket", real)
    assert fake.recvfrom_into.call_count == BATCH


def test_a_full_buffer_drops_and_counts_and_another_error_is_raised(
    listener: UdpListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Mock()
    fake.sendto = Mock(side_effect=[BlockingIOError(), OSError(errno.ENETUNREACH, "unreachable"), 1])
    real = listener.socket
    monkeypatch.setattr(listener, "socket", fake)
    listener.send(b"x", ("192.0.2.1", 5060))
    with pytest.raises(OSError, match="unreachable"):
        listener.send(b"x", ("192.0.2.1", 5060))
    listener.send(b"x", ("192.0.2.1", 5060))
    monkeypatch.setattr(listener, "socket", real)
    assert listener.unsent == 1


def test_a_datagram_too_large_for_udp_is_an_error_and_nothing_else(listener: UdpListener) -> None:
    with pytest.raises(OSError, match=r"."):
        listener.send(b"x" * 65_536, ("127.0.0.1", 9))
    assert listener.unsent == 0


def test_forged_sources_push_flows_out_but_no_flow_in_use_changes(
    listener: UdpListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "_FLOWS", 8)
    flows = UdpFlows([listener])
    kept = flows.towards("UDP", "192.0.2.1", 5060)
    assert kept is not None
    for number in range(1, 100):
        flows.towards("UDP", "192.0.2.2", number)
        listener.flow("192.0.2.3", number)
        assert len(listener._flows) <= 8
        assert len(flows._known) <= 8
    again = flows.towards("UDP", "192.0.2.1", 5060)
    assert again is not None
    assert (again.address, kept.address) == (("192.0.2.1", 5060), ("192.0.2.1", 5060))


def test_names_are_not_remembered_as_flows(listener: UdpListener) -> None:
    flows = UdpFlows([listener])
    for number in range(100):
        flow = flows.towards("UDP", f"{number}.example", 5060)
        assert flow is not None
        assert (flow.host, flow.address) == (f"{number}.example", None)
    assert (flows._known, listener._flows) == ({}, {})


def test_a_wildcard_is_seen_as_an_address_and_an_advertised_name_as_it_is() -> None:
    for address, advertise, advertise_port in (("0.0.0.0", "", 0), ("127.0.0.1", "sip.example.com", 5062)):
        one = UdpListener(address, 0, advertise, advertise_port)
        try:
            assert one.host not in ("", "0.0.0.0")
            assert one.port == (advertise_port or one.socket.getsockname()[1])
            if advertise:
                assert one.route_uri == "sip:sip.example.com:5062;lr"
        finally:
            one.close()


def test_an_address_in_use_is_an_error_that_leaves_no_socket_open(listener: UdpListener) -> None:
    # Warnings are errors here, so an unclosed socket would fail this test when collected.
    with pytest.raises(OSError, match="in use"):
        UdpListener("127.0.0.1", listener.socket.getsockname()[1], "", 0)
