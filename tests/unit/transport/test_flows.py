"""The ways to other places: which listener, which flow, and their names."""

import asyncio
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from oneproxy.engine.flow import Found, Hop
from oneproxy.transport import flows
from oneproxy.transport.connections import Connections
from oneproxy.transport.flows import AnyListener, NoNames, Ways, reach
from oneproxy.transport.stream import StreamListener
from oneproxy.transport.udp import UdpListener
from waiting import PATIENCE_S
from wires import Place, Server, in_loop


@pytest.fixture
def four() -> Iterator[UdpListener]:
    one = UdpListener("127.0.0.1", 0, "", 0)
    yield one
    one.close()


@pytest.fixture
def six() -> Iterator[UdpListener]:
    one = UdpListener("::1", 0, "", 0)
    yield one
    one.close()


def ways(*listeners: AnyListener) -> Ways:
    return Ways(listeners, Connections())


def test_a_way_is_taken_by_transport_and_family(four: UdpListener, six: UdpListener) -> None:
    both = ways(four, six)
    one, other = both.towards(("UDP", "192.0.2.1", 5060)), both.towards(("UDP", "2001:DB8:0::1", 5060))
    assert one is not None
    assert other is not None
    assert (one.listener, other.listener, other.host) == (four, six, "2001:db8::1")
    assert both.towards(("UDP", "192.0.2.1", 5060)) is one is four.flow("192.0.2.1", 5060)
    assert both.towards(("TCP", "192.0.2.1", 5060)) is None
    assert both.towards(("SCTP", "192.0.2.1", 5060)) is None
    assert both.towards(("UDP", "phone.example.com", 5060)) is None
    assert ways(four).towards(("UDP", "2001:db8::1", 5060)) is None


def test_what_is_beside_a_flow_leaves_from_the_same_listener(four: UdpListener) -> None:
    assert ways(four).beside(four.flow("192.0.2.1", 1), 5060) is four.flow("192.0.2.1", 5060)

    async def play() -> None:
        async with Place("TCP") as place, Server() as server:
            peer = await place.connect()
            await place.wire.until(lambda: len(place.connections) == 1)
            accepted = place.towards(("TCP", *peer.address))
            beside = place.ways.beside(accepted, server.port)
            assert (beside.host, beside.port, beside is accepted) == ("127.0.0.1", server.port, False)

    in_loop(play)


def test_a_flow_is_found_by_its_name_at_any_time_and_nothing_else_is(
    four: UdpListener, six: UdpListener
) -> None:
    both = ways(four, six)
    for listener, host in ((four, "192.0.2.1"), (six, "2001:db8::1")):
        flow = listener.flow(host, 5070)
        name = flow.name
        listener._flows.clear()
        again = both.named(name)
        assert again is not None
        assert (again.name, again.listener, again.host, again.port) == (name, listener, host, 5070)
    prefix = f"udp/127.0.0.1:{four.port}"
    for name in (
        "",
        "udp/",
        f"{prefix}/",
        f"{prefix}/192.0.2.1",
        f"{prefix}/phone.example.com:5060",
        f"{prefix}/[2001:db8::1]:5060",
        f"{prefix}/192.0.2.1:0",
        "udp/127.0.0.1:1/192.0.2.1:5060",
        "tcp/00000000.1",
        "tls/x",
    ):
        assert both.named(name) is None, name


def test_of_several_listeners_the_one_leaves_that_the_system_would_leave_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listeners = [UdpListener(address, 0, "", 0) for address in ("127.0.0.2", "0.0.0.0", "127.0.0.1")]
    try:
        asked: list[str] = []
        sources = {"192.0.2.1": "127.0.0.1", "192.0.2.2": "127.0.0.2", "192.0.2.3": "10.0.0.9"}

        def source(host: str) -> str | None:
            asked.append(host)
            return sources.get(host)

        monkeypatch.setattr(flows, "source_towards", source)
        all_ways = ways(*listeners)
        taken = {}
        for port in (5060, 5070):
            for host in (*sources, "192.0.2.4"):
                flow = all_ways.towards(("UDP", host, port))
                assert flow is not None
                taken[host] = flow.listener
        assert list(taken.values()) == [listeners[2], listeners[0], listeners[1], listeners[1]]
        assert asked == [*sources, "192.0.2.4"]
        first = ways(listeners[0], listeners[2]).towards(("UDP", "192.0.2.3", 5060))
        assert first is not None
        assert first.listener is listeners[0]
    finally:
        for listener in listeners:
            listener.close()


def test_what_is_remembered_is_bounded(
    four: UdpListener, six: UdpListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows, "_KNOWN", 8)
    monkeypatch.setattr(flows, "_CHOSEN", 4)
    other = UdpListener("127.0.0.2", 0, "", 0)
    try:
        all_ways = ways(four, six, other)
        kept = all_ways.towards(("UDP", "127.0.0.1", 5060))
        for number in range(1, 100):
            all_ways.towards(("UDP", f"127.0.0.{number}", 5060))
            assert (len(all_ways._known) <= 8, len(all_ways._chosen) <= 4) == (True, True)
        assert all_ways.towards(("UDP", "127.0.0.1", 5060)) is kept
    finally:
        other.close()


def test_names_are_looked_up_and_failures_told_to_whom_it_may_concern(four: UdpListener) -> None:
    names = Mock()
    names.find = Mock(return_value=None)
    table = Connections()
    all_ways = Ways([four], table, names)
    found: list[object] = []

    def take(now: float, hops: list[Hop]) -> None:
        found.append((now, hops))

    callback: Found = take
    hop = ("", "example.com", 0)
    assert all_ways.find(5.0, hop, callback) is None
    names.find.assert_called_once_with(5.0, hop, callback)
    all_ways.failed(6.0, ("UDP", "192.0.2.1", 5060))
    table.on_failed(7.0, ("TCP", "192.0.2.1", 5060))
    assert [call.args for call in names.failed.call_args_list] == [
        (6.0, ("UDP", "192.0.2.1", 5060)),
        (7.0, ("TCP", "192.0.2.1", 5060)),
    ]


def test_without_names_only_addresses_are_known() -> None:
    find = NoNames().find
    never: Found = Mock(side_effect=AssertionError)
    assert find(0.0, ("", "192.0.2.1", 0), never) == [("UDP", "192.0.2.1", 5060)]
    assert find(0.0, ("SIPS", "192.0.2.1", 0), never) == [("TLS", "192.0.2.1", 5061)]
    assert find(0.0, ("TCP", "2001:DB8::1", 5070), never) == [("TCP", "2001:db8::1", 5070)]
    assert find(0.0, ("", "example.com", 0), never) == []


def test_what_can_be_reached_is_what_listeners_can_open(four: UdpListener) -> None:
    table = Connections()
    tcp = StreamListener("TCP", "::1", 0, "", 0, table)
    ws = StreamListener("WS", "127.0.0.1", 0, "", 0, table)
    try:
        can = reach([four, tcp, ws])
        asked = [("UDP", 4), ("UDP", 6), ("TCP", 4), ("TCP", 6), ("WS", 4), ("TLS", 4)]
        assert [can(*one) for one in asked] == [True, False, False, True, False, False]
    finally:
        tcp.close()
        ws.close()


def test_an_ipv6_address_in_another_spelling_finds_the_same_connection() -> None:
    async def play() -> None:
        async with Place("TCP", address="::1") as place, Server(address="::1") as server:
            flow = place.towards(("TCP", "::1", server.port))
            assert place.towards(("TCP", "0:0:0:0:0:0:0:1", server.port)) is flow
            await asyncio.wait_for(server.peers.get(), PATIENCE_S)

    in_loop(play)
