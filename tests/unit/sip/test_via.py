"""Via values."""

import pytest

from oneproxy.sip.malformed import Malformed
from oneproxy.sip.via import Via, parse_via


@pytest.mark.parametrize(
    ("value", "transport", "host", "port", "params"),
    [
        ("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1", "UDP", "192.0.2.1", 5060, {"branch": "z9hG4bK1"}),
        ("SIP/2.0/tcp Host.Example", "TCP", "host.example", None, {}),
        ("sip/2.0/UDP a;rport", "UDP", "a", None, {"rport": None}),
        ("SIP/7.0/UDP a", "UDP", "a", None, {}),
        ("SIP/2.0/UNKNOWN t4.example.com;x=y", "UNKNOWN", "t4.example.com", None, {"x": "y"}),
        ("SIP  /   2.0 /UDP    192.0.2.2;branch=390", "UDP", "192.0.2.2", None, {"branch": "390"}),
        ("SIP/2.0/ UDP\t192.0.2.2 : 5070 ; branch = 390", "UDP", "192.0.2.2", 5070, {"branch": "390"}),
        ("SIP/2.0/UDP [2001:DB8::9:1]:6050", "UDP", "2001:db8::9:1", 6050, {}),
        ("SIP/2.0/UDP [2001:db8::1] : 6050", "UDP", "2001:db8::1", 6050, {}),
        ('SIP/2.0/WSS a.invalid;keep;x="b;c"', "WSS", "a.invalid", None, {"keep": None, "x": "b;c"}),
    ],
)
def test_a_via_is_read_into_its_parts(
    value: str, transport: str, host: str, port: int | None, params: dict[str, str | None]
) -> None:
    via = parse_via(value)
    assert isinstance(via, Via)
    assert (via.transport, via.host, via.port, via.params) == (transport, host, port, params)
    assert (via.text, via.branch) == (value, params.get("branch"))
    again = parse_via(via.format())
    assert isinstance(again, Via)
    assert (again.transport, again.host, again.port, again.params) == (transport, host, port, params)


@pytest.mark.parametrize(
    ("params", "received", "rport"),
    [
        ("", None, None),
        (";rport", None, None),
        (";received=192.0.2.7;rport=5062", "192.0.2.7", 5062),
        (";received=2001:db8::9:255", "2001:db8::9:255", None),
        (";received=[2001:db8::9:255]", "2001:db8::9:255", None),
        (";rport=0", None, None),
        (";rport=x", None, None),
    ],
)
def test_where_the_request_came_from_is_read(params: str, received: str | None, rport: int | None) -> None:
    via = parse_via(f"SIP/2.0/UDP a{params}")
    assert isinstance(via, Via)
    assert (via.received, via.rport) == (received, rport)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0/ a",
        "SIP/2.0 a",
        "SIP a",
        "HTTP/1.1/TCP a",
        "SIP/2.0/U(P a",
        "SIP//UDP a",
        "SIP/2.0/UDP a b",
        "SIP/2.0/UDP a:0",
        "SIP/2.0/UDP a:b",
        "SIP/2.0/UDP a:",
        "SIP/2.0/UDP 2001:db8::1",
        "SIP/2.0/UDP [2001:db8::1",
        "SIP/2.0/UDP 192.0.2.15;;",
        "SIP/2.0/UDP a;",
        "SIP/2.0/UDP a;branch=1;branch=2",
        "SIP/2.0/UDP a;branch=b c",
        ";",
    ],
)
def test_what_is_no_via_is_malformed(value: str) -> None:
    assert parse_via(value) is Malformed.VIA
