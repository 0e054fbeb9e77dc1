"""UDP listeners over real loopback sockets: batches, flows, STUN, and what ICMP reports."""

import asyncio
import errno
import socket
import sys
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from oneproxy.engine.flow import Flow
from oneproxy.transport import icmp, udp
from oneproxy.transport.address import seen_address, source_towards
from oneproxy.transport.stun import COOKIE
from oneproxy.transport.udp import BATCH, UdpFlow, UdpListener
from ports import free_port
from waiting import PATIENCE_S
from wires import ScriptedWire, in_loop, message

STUN = b"\x00\x01\x00\x00" + COOKIE + b"transaction!"


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
        one.settimeout(PATIENCE_S)
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
    assert (flow.host, flow.port, flow.listener, flow.reliable) == (host, port, listener, False)
    assert flow.name == f"udp/127.0.0.1:{listener.port}/{host}:{port}"
    assert flow is listener.flow(host, port)


def test_a_datagram_is_sent_from_the_address_that_was_bound(
    listener: UdpListener, client: socket.socket
) -> None:
    listener.flow(*client.getsockname()).send(b"hello")
    assert client.recvfrom(100) == (b"hello", ("127.0.0.1", listener.port))


def test_ipv6_goes_both_ways(listener6: UdpListener) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.bind(("::1", 0))
        client.settimeout(PATIENCE_S)
        client.sendto(b"x", ("::1", listener6.port))
        ((flow, _),) = drained(listener6)
        port = client.getsockname()[1]
        assert (flow.host, flow.port, listener6.flow("::1", port)) == ("::1", port, flow)
        assert flow.name == f"udp/[::1]:{listener6.port}/[::1]:{port}"
        flow.send(b"y")
        assert client.recv(100) == b"y"
    assert listener6.sent_by == f"[::1]:{listener6.port}"


def test_the_wildcards_of_both_families_stand_side_by_side() -> None:
    four = UdpListener("0.0.0.0", 0, "", 0)
    try:
        six = UdpListener("::", four.port, "", 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", ("127.0.0.1", four.port))
            assert [flow.host for flow, _ in drained(four)] == ["127.0.0.1"]
        six.close()
    finally:
        four.close()


def test_stun_is_answered_and_never_handed_on(listener: UdpListener, client: socket.socket) -> None:
    client.sendto(STUN, ("127.0.0.1", listener.port))
    client.sendto(STUN[:-1], ("127.0.0.1", listener.port))
    client.sendto(message(), ("127.0.0.1", listener.port))
    came: list[bytes] = []
    listener.drain(lambda _flow, data: came.append(data))
    assert came == [message()]
    answer = client.recv(100)
    port = client.getsockname()[1] ^ 0x2112
    assert answer == b"\x01\x01\x00\x0c" + STUN[4:] + b"\x00\x20\x00\x08\x00\x01" + port.to_bytes(2) + bytes(
        a ^ b for a, b in zip(b"\x7f\x00\x00\x01", COOKIE, strict=True)
    )
    client.settimeout(0)
    with pytest.raises(BlockingIOError):
        client.recv(100)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say which datagram it was")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("uv", [False, True])
def test_a_refusal_is_told_with_what_was_refused_and_the_next_datagrams_pass(host: str, uv: bool) -> None:
    async def play() -> None:
        wire = ScriptedWire()
        one = UdpListener(host, 0, "", 0)
        one.start(wire)
        with socket.socket(one.socket.family, socket.SOCK_DGRAM) as peer:
            peer.bind((host, 0))
            peer.setblocking(False)
            nobody, somebody = one.flow(host, free_port(host)), one.flow(host, peer.getsockname()[1])
            loop = asyncio.get_running_loop()
            for number in range(3):
                nobody.send(message())
                # In the same turn, when nobody has read the error yet.
                somebody.send(b"next")
                assert await asyncio.wait_for(loop.sock_recv(peer, 100), PATIENCE_S) == b"next"
                await wire.until(lambda number=number: len(wire.not_delivered) == number + 1)  # type: ignore[misc]
                peer.sendto(b"still there", (host, one.port))
                await wire.until(lambda number=number: len(wire.came) == number + 1)  # type: ignore[misc]
            # Found by the loop this time: nothing is sent behind it.
            nobody.send(message("BYE"))
            await wire.until(lambda: len(wire.not_delivered) == 4)
            peer.sendto(b"still there", (host, one.port))
            await wire.until(lambda: len(wire.came) == 4)
            assert all(message().startswith(data) for data in wire.not_delivered[:3])
            assert message("BYE").startswith(wire.not_delivered[3])
        one.close()

    in_loop(play, uv)


def errors(*kinds: tuple[int, int, int]) -> list[tuple[int, int, bytes]]:
    """Ancillary data of errors: origin, type, code."""
    return [(0, 11, b"o\0\0\0" + bytes(kind) + bytes(9)) for kind in kinds]


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
@pytest.mark.parametrize(
    ("error", "told"),
    [
        ((2, 3, 0), True),
        ((2, 3, 1), True),
        ((2, 3, 3), True),
        ((2, 3, 13), True),
        ((2, 12, 0), True),
        ((3, 1, 4), True),
        ((3, 4, 1), True),
        # Fragmentation needed, source quench, time exceeded; errors of our own system.
        ((2, 3, 4), False),
        ((2, 4, 0), False),
        ((2, 11, 0), False),
        ((3, 2, 0), False),
        ((3, 3, 0), False),
        ((1, 3, 3), False),
    ],
)
def test_only_errors_that_are_final_are_told(error: tuple[int, int, int], told: bool) -> None:
    fake = Mock()
    fake.recvmsg = Mock(return_value=(b"INVITE", errors(error), 0, None))
    assert icmp.read(fake) == (b"INVITE" if told else b"")
    fake.recvmsg = Mock(return_value=(b"INVITE", [(0, 11, b"o")], 0, None))
    assert icmp.read(fake) == b""
    fake.recvmsg = Mock(side_effect=BlockingIOError())
    assert icmp.read(fake) is None


def fake_socket(listener: UdpListener, monkeypatch: pytest.MonkeyPatch) -> Mock:
    fake = Mock()
    fake.recvmsg = Mock(side_effect=BlockingIOError())
    monkeypatch.setattr(listener, "socket", fake)
    return fake


def test_an_error_that_an_earlier_datagram_caused_costs_no_later_one(
    listener: UdpListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        refused = OSError(errno.ECONNREFUSED, "Connection refused")
        fake = fake_socket(listener, patch)
        reads = [refused, (0, ("192.0.2.9", 5060)), refused, BlockingIOError()]
        fake.recvfrom_into = Mock(side_effect=reads)
        listener._buffer[0] = ord("I")
        came: list[Flow] = []
        listener.drain(lambda flow, _: came.append(flow))
        assert [flow.host for flow in came] == ["192.0.2.9"]


def test_a_socket_that_only_fails_gives_the_loop_its_turn_back(
    listener: UdpListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fake = fake_socket(listener, patch)
        fake.recvfrom_into = Mock(side_effect=OSError(errno.EIO, "Input/output error"))
        fake.recvmsg = Mock(return_value=(b"", [], 0, None))
        listener.drain(lambda _flow, _data: None)
        assert (fake.recvfrom_into.call_count, fake.recvmsg.call_count) == (BATCH, BATCH * BATCH)


def test_a_full_buffer_drops_and_counts_and_an_error_that_stays_is_raised(
    listener: UdpListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fake = fake_socket(listener, patch)
        unreachable = OSError(errno.ENETUNREACH, "unreachable")
        fake.sendto = Mock(side_effect=[BlockingIOError(), unreachable, unreachable, unreachable, 1, 1])
        flow = UdpFlow(listener, "192.0.2.1", 5060, ("192.0.2.1", 5060))
        flow.send(b"a")
        with pytest.raises(OSError, match="unreachable"):
            flow.send(b"b")
        # This time it was another one's.
        flow.send(b"c")
        flow.send(b"d")
        sent = [call.args[0] for call in fake.sendto.call_args_list]
        assert (sent, listener.unsent) == ([b"a", b"b", b"b", b"c", b"c", b"d"], 1)


def test_a_datagram_too_large_for_udp_is_an_error_and_nothing_else(listener: UdpListener) -> None:
    with pytest.raises(OSError, match=r"."):
        listener.flow("127.0.0.1", 9).send(b"x" * 65_536)
    assert listener.unsent == 0


def test_forged_sources_push_flows_out_but_no_flow_in_use_changes(
    listener: UdpListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "_FLOWS", 8)
    kept = listener.flow("192.0.2.1", 5060)
    for number in range(1, 100):
        listener.flow("192.0.2.3", number)
        assert len(listener._flows) <= 8
    assert listener.flow("192.0.2.1", 5060).name == kept.name


def test_a_wildcard_is_seen_as_an_address_and_an_advertised_name_as_it_is() -> None:
    for address, advertise, advertise_port in (("0.0.0.0", "", 0), ("127.0.0.1", "sip.example.com", 5062)):
        one = UdpListener(address, 0, advertise, advertise_port)
        try:
            assert one.host not in ("", "0.0.0.0")
            assert one.port == (advertise_port or one.socket.getsockname()[1])
            if advertise:
                assert one.route_uri == "sip:sip.example.com:5062;lr"
                assert one.via == "SIP/2.0/UDP sip.example.com:5062;branch=z9hG4bK"
        finally:
            one.close()


def test_addresses_are_seen_as_they_are_and_sources_are_the_systems_choice() -> None:
    assert seen_address("192.0.2.7") == "192.0.2.7"
    assert seen_address("::") not in ("", "::")
    assert source_towards("127.0.0.9") == "127.0.0.1"
    assert source_towards("::1") == "::1"
    assert source_towards("255.255.255.255") is None


def test_an_address_in_use_is_an_error_that_leaves_no_socket_open(listener: UdpListener) -> None:
    # Warnings are errors here, so an unclosed socket would fail this test when collected.
    with pytest.raises(OSError, match="in use"):
        UdpListener("127.0.0.1", listener.socket.getsockname()[1], "", 0)
