"""Who we are, and where a URI or a Route leads (RFC 3261 16.4, 16.6 steps 6 and 7)."""

import pytest

from oneproxy.engine.flow import Hop, Listener
from oneproxy.engine.routing import NO_ROUTE, ONLY_OURS, Own, hop_of, is_numeric, next_hop
from oneproxy.sip.check import check
from oneproxy.sip.message import Request, split
from oneproxy.sip.uri import Uri, parse_uri
from world import request

UDP, UDP6, TCP = (
    Listener("UDP", "192.0.2.1", 5060),
    Listener("UDP", "2001:db8::1", 5070),
    Listener("TCP", "192.0.2.1", 5080),
)
OWN = Own([UDP, UDP6, TCP], frozenset({"example.com"}))


def asked(*headers: str) -> Request:
    """A checked request with these header lines."""
    message = split(request("INVITE", "sip:bob@example.com", *headers))
    assert isinstance(message, Request)
    assert check(message) is None
    return message


@pytest.mark.parametrize(
    ("uri", "hop"),
    [
        ("sip:bob@192.0.2.20", ("UDP", "192.0.2.20", 5060)),
        ("sip:bob@192.0.2.20:5099", ("UDP", "192.0.2.20", 5099)),
        ("sip:bob@Phone.Example.ORG", ("", "phone.example.org", 0)),
        ("sip:bob@phone.example.org:5070", ("UDP", "phone.example.org", 5070)),
        ("sip:bob@phone.example.org;transport=tcp", ("TCP", "phone.example.org", 0)),
        ("sips:bob@phone.example.org", ("SIPS", "phone.example.org", 0)),
        ("sips:bob@phone.example.org;transport=udp", ("SIPS", "phone.example.org", 0)),
        ("sips:bob@phone.example.org:5070", ("TLS", "phone.example.org", 5070)),
        ("sips:bob@192.0.2.20;transport=ws", ("WSS", "192.0.2.20", 443)),
        ("sip:[2001:DB8::9]:5070", ("UDP", "2001:db8::9", 5070)),
        ("sip:bob@192.0.2.20;transport=tcp", ("TCP", "192.0.2.20", 5060)),
        ("sip:bob@192.0.2.20;TRANSPORT=Ws;x", ("WS", "192.0.2.20", 80)),
        ("sip:bob@192.0.2.20;transport=tls", ("TLS", "192.0.2.20", 5061)),
        ("sips:bob@192.0.2.20", ("TLS", "192.0.2.20", 5061)),
        ("sips:bob@192.0.2.20:5099;transport=tcp", ("TLS", "192.0.2.20", 5099)),
        ("sip:bob@example.org;maddr=192.0.2.21", ("UDP", "192.0.2.21", 5060)),
        ("sip:bob@example.org:5070;maddr=Other.Example.ORG", ("UDP", "other.example.org", 5070)),
        ("sip:bob@example.org;maddr=[2001:db8::9]", ("UDP", "2001:db8::9", 5060)),
        ("sip:bob@example.org;transport=sctp", None),
        ("sip:bob@example.org;maddr=%00", None),
        ("sip:bob@example.org;maddr=a%20b", None),
        ("tel:+351123", None),
        ("urn:service:sos", None),
        ("bob", None),
        ("", None),
        ("<sip:bob@192.0.2.20>", None),
    ],
)
def test_a_uri_leads_to_its_transport_host_and_port(uri: str, hop: Hop | None) -> None:
    assert hop_of(uri) == next_hop(asked(), uri, NO_ROUTE) == hop


def test_a_pushed_route_comes_before_the_uri_and_before_the_routes_of_the_request() -> None:
    came = asked("Route: <sip:192.0.2.1;lr>, <sip:192.0.2.50;lr>")
    pushed = ("<sip:192.0.2.40:5080;lr>", "<sip:192.0.2.41;lr>")
    assert next_hop(came, "sip:bob@192.0.2.20", 1, pushed) == ("UDP", "192.0.2.40", 5080)
    assert next_hop(came, "sip:bob@192.0.2.20", NO_ROUTE, pushed) == ("UDP", "192.0.2.40", 5080)


@pytest.mark.parametrize(
    ("routes", "hop"),
    [
        (("Route: <sip:192.0.2.1;lr>",), ("UDP", "192.0.2.20", 5060)),
        (("Route: <sip:192.0.2.1;lr>, <sip:192.0.2.50;lr>",), ("UDP", "192.0.2.50", 5060)),
        (("Route: <sip:192.0.2.1;lr>", 'Route: "a, b" <sip:192.0.2.50;lr>;x'), ("UDP", "192.0.2.50", 5060)),
        (("Route: <sip:192.0.2.1;lr>", "Route: <sip:192.0.2.50;lr"), None),
        (("Route: <sip:192.0.2.1;lr>, <tel:+1>",), None),
    ],
)
def test_inside_of_a_dialog_the_route_after_ours_is_next(routes: tuple[str, ...], hop: Hop | None) -> None:
    assert next_hop(asked(*routes), "sip:bob@192.0.2.20", 1) == hop


def test_outside_of_a_dialog_no_route_of_the_sender_counts() -> None:
    came = asked("Route: <sip:192.0.2.1;lr>, <sip:192.0.2.50;lr>")
    assert next_hop(came, "sip:bob@192.0.2.20", NO_ROUTE) == ("UDP", "192.0.2.20", 5060)


@pytest.mark.parametrize(
    ("text", "is_ours"),
    [
        ("sip:example.com", True),
        ("sip:bob@EXAMPLE.com:5099", True),
        ("sip:192.0.2.1", True),
        ("sip:192.0.2.1:5080;transport=tcp", True),
        ("sip:[2001:db8::1]:5070", True),
        ("sip:[2001:db8::1]", False),
        ("sip:192.0.2.1:5099", False),
        ("sip:192.0.2.2", False),
        ("sip:sub.example.com", False),
        ("tel:+351123", False),
    ],
)
def test_a_uri_is_here_by_domain_or_by_address_and_port(text: str, is_ours: bool) -> None:
    uri = parse_uri(text)
    assert isinstance(uri, Uri)
    assert OWN.is_here(uri) == is_ours


@pytest.mark.parametrize(
    ("host", "port", "is_ours"),
    [
        ("192.0.2.1", 5060, True),
        ("192.0.2.1", 5080, False),
        ("192.0.2.1", 5061, False),
        ("example.com", 5060, True),
        ("example.com", 5061, False),
        ("2001:db8::1", 5070, True),
        ("2001:db8::1", 5060, False),
        ("192.0.2.2", 5060, False),
    ],
)
def test_a_next_hop_is_ours_where_we_listen(host: str, port: int, is_ours: bool) -> None:
    assert OWN.is_next_hop(("UDP", host, port)) == is_ours


@pytest.mark.parametrize(
    ("hop", "is_ours"),
    [
        (("", "example.com", 0), True),
        (("TLS", "example.com", 0), False),
        (("TCP", "192.0.2.1", 5080), True),
        (("TLS", "192.0.2.1", 5080), True),
        (("TCP", "192.0.2.1", 5060), False),
        (("UDP", "example.com.", 5060), True),
        (("UDP", "2001:db8:0::1", 5070), True),
        (("UDP", "2001:0DB8::0001".lower(), 5070), True),
        (("UDP", "::ffff:192.0.2.1", 5060), True),
    ],
)
def test_no_other_spelling_hides_that_a_hop_is_ours(hop: Hop, is_ours: bool) -> None:
    assert OWN.is_next_hop(hop) == is_ours


@pytest.mark.parametrize(
    ("host", "is_address"),
    [("192.0.2.1", True), ("2001:db8::1", True), ("host1", False), ("3com.com", False), ("a.1.2", False)],
)
def test_an_address_is_told_from_a_name(host: str, is_address: bool) -> None:
    assert is_numeric(host) == is_address


@pytest.mark.parametrize(
    ("route", "passed"),
    [
        ("<sip:192.0.2.1:5060;lr;mark=ab>", (ONLY_OURS, "ab")),
        ("<sip:192.0.2.1:5060;lr;mark=ab>, <sip:192.0.2.50;lr;mark=cd>", (1, "ab")),
        ("<sip:192.0.2.1:5080;transport=tcp;lr;mark=ab>", (ONLY_OURS, "ab")),
        ("<sip:[2001:db8::1]:5070;lr;mark=ab>", (ONLY_OURS, "ab")),
        ("<sip:192.0.2.1;mark=ab;lr>", (1, "ab")),
        ('"we" <sip:192.0.2.1;lr;mark=ab>;x=y', (1, "ab")),
        ("<sip:192.0.2.1:5080;transport=tcp;lr;mark=ab>, <sip:192.0.2.1:5060;lr;mark=cd>", (2, "cd")),
        ("<sip:192.0.2.1;lr;mark=ab>\r\nRoute: <sip:192.0.2.1;lr;mark=cd>, <sip:192.0.2.2>", (2, "cd")),
        ("<sip:192.0.2.1;lr>", (1, "")),
        ("<sip:192.0.2.1;lr;mark>", (1, "")),
        ("<sip:192.0.2.50;lr;mark=ab>", (0, "")),
        ("<sip:192.0.2.1:5061;lr;mark=ab>", (0, "")),
        ("<sip:192.0.2.50;lr>, <sip:192.0.2.1;lr;mark=ab>", (0, "")),
        ("<sip:example.com;lr;mark=ab>", (0, "")),
        ("<sip:192.0.2.1", (0, "")),
        (",", (0, "")),
        ("", (0, "")),
    ],
)
def test_the_top_routes_of_ours_are_counted_and_the_last_one_has_the_mark(
    route: str, passed: tuple[int, str]
) -> None:
    assert OWN.passed(asked(f"Route: {route}")) == passed


@pytest.mark.parametrize(
    ("via", "branch"),
    [
        ("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKn1", "n1"),
        ("SIP / 2.0 / UDP 192.0.2.1 : 5060 ; branch = z9hG4bKn1", "n1"),
        ("SIP/2.0/UDP [2001:db8::1]:5070;x;branch=z9hG4bKn1, SIP/2.0/UDP a;branch=z9hG4bKn2", "n1"),
        ("SIP/2.0/UDP 192.0.2.1;branch=n1", ""),
        ("SIP/2.0/UDP 192.0.2.1", ""),
        ("SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKn1", ""),
        ("SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bKn1", ""),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_a_branch_of_ours_is_known_in_a_via_of_any_spelling(via: str, branch: str) -> None:
    assert OWN.branch_of(via) == branch


@pytest.mark.parametrize(
    "uri", ["sip:bob@elsewhere.org;maddr=192.0.2.1", "sip:bob@elsewhere.org;maddr=Example.COM"]
)
def test_a_maddr_that_names_us_is_known_for_ours(uri: str) -> None:
    hop = hop_of(uri)
    assert hop is not None
    assert OWN.is_next_hop(hop)
