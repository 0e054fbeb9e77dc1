"""What a node listens on: every kind of [[listen]], and why one can't be."""

import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from certificates import Authority
from oneproxy import listening
from oneproxy.listening import bind, bind_all, explain, name_servers, other_addresses, warn_of_choice
from oneproxy.site.model import Listen
from oneproxy.transport.address import local_addresses
from oneproxy.transport.connections import Connections
from oneproxy.transport.stream import StreamListener
from oneproxy.transport.websocket import WebSocketCodec


def test_every_transport_is_bound(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.issue("sip.example.com")
    listens = [
        Listen(one, "127.0.0.1", 0, "sip.example.com", 0, own.certificate, own.key, authority.path)
        for one in ("udp", "tcp", "tls", "ws", "wss")
    ]
    listeners = bind_all(listens, Connections())
    assert [one.transport for one in listeners] == ["UDP", "TCP", "TLS", "WS", "WSS"]
    streams = [one for one in listeners if isinstance(one, StreamListener)]
    assert [one.credentials is not None for one in streams] == [False, True, False, True]
    assert [isinstance(one.codec(), WebSocketCodec) for one in streams] == [False, False, True, True]
    assert {one.host for one in listeners} == {"sip.example.com"}
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_address_in_use_is_named_and_the_others_are_given_back(transport: str) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if transport == "tcp":
            taken.listen()
        port = taken.getsockname()[1]
        listens = [Listen("tcp", "127.0.0.1", 0), Listen(transport, "127.0.0.1", port)]
        with pytest.raises(OSError, match="in use") as caught:
            bind_all(listens, Connections())
    assert explain(caught.value) == (
        f"cannot listen on {transport} 127.0.0.1:{port}: another program uses it; "
        "stop that program or choose another port"
    )


def test_a_certificate_that_cannot_be_used_is_named_with_its_listener(tmp_path: Path) -> None:
    own, other = (Authority(tmp_path).issue(name) for name in ("own", "other"))
    with pytest.raises(OSError, match="belong") as caught:
        bind(Listen("tls", "127.0.0.1", 5061, "", 0, own.certificate, other.key), Connections())
    assert explain(caught.value) == (
        f"cannot listen on tls 127.0.0.1:5061: key {other.key} does not belong to "
        f"certificate {own.certificate}; give the key of it"
    )


def test_name_servers_have_a_port_even_where_none_is_written() -> None:
    written = ["127.0.0.1:5353", "192.0.2.1", "[2001:db8::1]:53"]
    assert name_servers(written) == [("127.0.0.1", 5353), ("192.0.2.1", 53), ("2001:db8::1", 53)]


def test_all_addresses_that_lead_here_are_known_besides_those_that_are_told() -> None:
    listens = [
        Listen("udp", "0.0.0.0", 0, "sip.example.com", 5060),
        Listen("tcp", "127.0.0.1", 0, "sip.example.com", 5060),
    ]
    listeners = bind_all(listens, Connections())
    datagrams, connections = [listener.socket.getsockname()[1] for listener in listeners]
    assert other_addresses(listeners) == [
        *((host, datagrams, False) for host in local_addresses(False)),
        ("127.0.0.1", connections, True),
    ]
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    ("transport", "address", "local", "warned"),
    [
        ("udp", "0.0.0.0", ["127.0.0.1", "192.0.2.1", "198.51.100.1"], True),
        ("udp", "0.0.0.0", ["127.0.0.1", "192.0.2.1", "169.254.0.1"], False),
        ("udp", "127.0.0.1", ["192.0.2.1", "198.51.100.1"], False),
        ("tcp", "0.0.0.0", ["192.0.2.1", "198.51.100.1"], False),
    ],
)
def test_a_wildcard_for_datagrams_on_a_machine_with_several_addresses_is_warned_of(
    transport: str, address: str, local: list[str], warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "local_addresses", lambda _ipv6: local)
    listener = bind(Listen(transport, address, 0), Connections())
    with capture_logs() as logged:
        warn_of_choice(listener)
    listener.close()
    assert [line["event"] for line in logged] == ["answers may leave from another address"] * warned
