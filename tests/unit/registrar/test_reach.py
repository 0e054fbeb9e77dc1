"""How a contact is reached: what saves the reading of a Via decides as reading it would."""

import itertools

from oneproxy.engine.flow import Flow, Listener
from oneproxy.registrar.reach import is_at_source, needed_flow, sole_via
from oneproxy.sip.message import Request
from oneproxy.sip.uri import Uri, parse_uri

SOURCE = "192.0.2.20"
HOSTS = (SOURCE, "192.0.2.21", "10.0.0.7", "phone.invalid", "[2001:db8::1]")


def register(via: str) -> Request:
    head = f"REGISTER sip:example.com SIP/2.0\r\nVia: {via}"
    return Request("REGISTER", "sip:example.com", "SIP/2.0", head, "")


def read(text: str) -> Uri:
    uri = parse_uri(text)
    assert isinstance(uri, Uri)
    return uri


def test_who_is_plainly_at_his_source_is_reached_by_his_uri_either_way() -> None:
    plain = 0
    for transport, scheme, host, sent_by in itertools.product(
        ("UDP", "TCP", "WS"), ("sip", "sips"), HOSTS, HOSTS
    ):
        flow = Flow(Listener(transport, "192.0.2.1", 5060), SOURCE, 40_000, f"{transport.lower()}/a/b:1")
        for port, contact_port in itertools.product(("", ":5060", ":40000"), ("", ":5999", ":40000")):
            contact = read(f"{scheme}:bob@{host}{contact_port}")
            for before in ("", "SIP/2.0/UDP 10.9.9.9;branch=z9hG4bK0, "):
                request = register(f"{before}SIP/2.0/{transport} {sent_by}{port};branch=z9hG4bK1;rport")
                if is_at_source(contact, request, flow):
                    plain += 1
                    via = sole_via(request)
                    assert via is None or needed_flow(contact, via, flow, False) == ""
    assert plain > 0


def test_a_register_that_came_through_a_proxy_is_not_plain() -> None:
    flow = Flow(Listener("UDP", "192.0.2.1", 5060), SOURCE, 5060, "udp/a/b:1")
    one = f"SIP/2.0/UDP {SOURCE};branch=z9hG4bK1"
    assert is_at_source(read(f"sip:bob@{SOURCE}"), register(one), flow)
    assert not is_at_source(read(f"sip:bob@{SOURCE}"), register(f"{one}\r\nVia: {one}"), flow)
