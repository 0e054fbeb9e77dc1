"""By URI or over the flow: how each contact is reached, by what its REGISTER looked like."""

import pytest

from asking import NOW, uri_of
from oneproxy.engine.flow import Flow, Listener
from oneproxy.registrar.bindings import Binding
from oneproxy.registrar.reach import is_reachable, needed_flow, sole_via
from oneproxy.registrar.request import Wanted, read_register
from oneproxy.sip.check import check
from oneproxy.sip.message import Request, split
from oneproxy.sip.via import Via, parse_via

PUBLIC = "203.0.113.9"


def flow_of(transport: str = "UDP", host: str = PUBLIC, port: int = 40_000) -> Flow:
    return Flow(Listener(transport, "192.0.2.1", 5060), host, port, f"{transport.lower()}/flow")


def via_of(sent_by: str) -> Via:
    via = parse_via(f"SIP/2.0/UDP {sent_by};branch=z9hG4bK1")
    assert isinstance(via, Via)
    return via


def is_flow_needed(contact: str, sent_by: str, flow: Flow, outbound: bool = False) -> bool:
    needed = needed_flow(uri_of(contact), via_of(sent_by), flow, outbound)
    assert needed in ("", flow.name)
    return needed != ""


@pytest.mark.parametrize(
    ("contact", "sent_by", "needed"),
    [
        # Not behind NAT: the Contact is where the REGISTER came from, or says somewhere else that is public.
        ("sip:a@203.0.113.9:40000", "203.0.113.9:40000", False),
        ("sip:a@203.0.113.9:5070", "203.0.113.9:40000", False),
        ("sip:a@203.0.113.9", "203.0.113.9", False),
        ("sip:a@198.51.100.7", "203.0.113.9", False),
        ("sip:a@phone.example.com", "203.0.113.9", False),
        ("sip:a@phone.example.com", "phone.example.com", False),
        # Behind NAT, and it knows its address outside.
        ("sip:a@203.0.113.9:40000", "192.168.1.5", False),
        # Behind NAT by its Via.
        ("sip:a@203.0.113.9:5060", "192.168.1.5", True),
        ("sip:a@198.51.100.7:5060", "192.168.1.5", True),
        ("sip:a@203.0.113.9:5060", "phone", True),
        # By its Contact.
        ("sip:a@192.168.1.5", "192.168.1.5", True),
        ("sip:a@192.168.1.5:40000", "203.0.113.9:40000", True),
        ("sip:a@10.1.2.3", "203.0.113.9", True),
        ("sip:a@172.31.0.1", "203.0.113.9", True),
        ("sip:a@172.32.0.1", "203.0.113.9", False),
        ("sip:a@100.64.0.1", "203.0.113.9", True),
        ("sip:a@169.254.7.7", "203.0.113.9", True),
        ("sip:a@[fd00::5]", "203.0.113.9", True),
        ("sip:a@[fe80::5]", "203.0.113.9", True),
        ("sip:a@[2001:db8::5]", "203.0.113.9", False),
        ("sip:a@0.0.0.0", "203.0.113.9", True),
        ("sip:a@127.0.0.1:5060", "203.0.113.9", True),
        ("sip:a@x7f3.invalid", "203.0.113.9", True),
        ("sip:a@phone.local", "203.0.113.9", True),
        ("sip:a@phone", "203.0.113.9", True),
        # A number is no place.
        ("tel:+12025550123", "192.168.1.5", False),
    ],
)
def test_over_udp_a_contact_behind_nat_needs_its_flow(contact: str, sent_by: str, needed: bool) -> None:
    assert is_flow_needed(contact, sent_by, flow_of()) is needed


def test_private_addresses_are_reached_directly_within_their_own_network() -> None:
    flow = flow_of(host="192.168.1.5", port=5062)
    assert not is_flow_needed("sip:a@192.168.1.5:5062", "192.168.1.5:5062", flow)
    assert not is_flow_needed("sip:a@192.168.1.5", "192.168.1.5", flow)
    assert is_flow_needed("sip:a@10.0.0.5", "10.0.0.5", flow)
    assert not is_flow_needed("sip:a@127.0.0.2", "127.0.0.1", flow_of(host="127.0.0.1"))


def test_an_address_is_the_same_however_it_is_written() -> None:
    flow = flow_of(host="2001:db8::9")
    assert not is_flow_needed("sip:a@[2001:DB8:0::9]:5060", "[2001:db8:0:0::9]:40000", flow)
    assert is_flow_needed("sip:a@[2001:db8::7]", "[2001:db8::7]", flow)
    mapped = flow_of(host="::ffff:192.168.1.5")
    assert not is_flow_needed("sip:a@192.168.1.5", "192.168.1.5", mapped)


@pytest.mark.parametrize("transport", ["TCP", "TLS", "WS", "WSS"])
@pytest.mark.parametrize("contact", ["sip:a@203.0.113.9:40000", "sip:a@192.168.1.5", "sip:a@x.invalid"])
def test_over_a_connection_every_contact_takes_it(transport: str, contact: str) -> None:
    assert is_flow_needed(contact, PUBLIC, flow_of(transport))


@pytest.mark.parametrize(
    ("transport", "needed"), [("UDP", False), ("TCP", False), ("WS", False), ("TLS", True), ("WSS", True)]
)
@pytest.mark.parametrize("outbound", [False, True])
def test_a_secure_contact_takes_a_secure_flow_only(transport: str, needed: bool, outbound: bool) -> None:
    assert is_flow_needed("sips:a@192.168.1.5", "192.168.1.5", flow_of(transport), outbound) is needed


def test_a_flow_that_is_bound_is_needed_whatever_the_address() -> None:
    assert is_flow_needed("sip:a@203.0.113.9:40000", "203.0.113.9:40000", flow_of(), outbound=True)


@pytest.mark.parametrize(
    ("contact", "flow", "source", "reachable"),
    [
        ("sip:a@203.0.113.9:5060;transport=tcp", "tcp/1.2", "tcp:203.0.113.9:40000", True),
        ("sip:a@phone.example.com;transport=tcp", "tcp/1.2", "tcp:203.0.113.9:40000", True),
        ("sip:a@192.168.1.5;transport=tcp", "tcp/1.2", "tcp:192.168.1.5:40000", True),
        ("sip:a@[fd00::5];transport=tcp", "tcp/1.2", "tcp:[fd00::5]:40000", True),
        ("sip:a@192.168.1.5;transport=tcp", "tcp/1.2", "tcp:203.0.113.9:40000", False),
        ("sip:a@203.0.113.9;transport=ws", "ws/1.2", "ws:203.0.113.9:40000", False),
        ("sip:a@203.0.113.9", "wss/1.2", "wss:203.0.113.9:40000", False),
        ("sip:a@203.0.113.9;transport=WS", "tcp/1.2", "tcp:203.0.113.9:40000", False),
        ("sip:a@x.invalid", "tcp/1.2", "tcp:203.0.113.9:40000", False),
        ("sip:a@192.168.1.5", "udp/192.0.2.1:5060/203.0.113.9:40000", "udp:203.0.113.9:40000", False),
        ("tel:+1", "tcp/1.2", "tcp:203.0.113.9:40000", False),
        ("not a uri", "tcp/1.2", "tcp:203.0.113.9:40000", False),
    ],
)
def test_a_contact_whose_flow_is_gone_is_reachable_where_its_uri_leads_to_it_alone(
    contact: str, flow: str, source: str, reachable: bool
) -> None:
    assert is_reachable(Binding(contact, NOW, 1, "c", 1, source, NOW, flow=flow)) is reachable


def registered(*lines: str, flow: Flow) -> Wanted:
    text = [
        "REGISTER sip:example.com SIP/2.0",
        *lines,
        "From: <sip:a@example.com>;tag=1",
        "To: <sip:a@example.com>",
        "Call-ID: c",
        "CSeq: 1 REGISTER",
    ]
    request = split(("\r\n".join(text) + "\r\n\r\n").encode())
    assert isinstance(request, Request)
    assert check(request) is None
    wanted = read_register(request, "a@example.com", flow)
    assert isinstance(wanted, Wanted)
    return wanted


VIA = "Via: SIP/2.0/TCP 192.168.1.5;branch=z9hG4bK1"
CONTACT = "Contact: <sip:a@192.168.1.5;transport=tcp>"
OUTBOUND = f'{CONTACT};+sip.instance="<urn:uuid:1>";reg-id=2'


def test_each_contact_of_a_register_is_given_the_flow_that_it_needs() -> None:
    wanted = registered(VIA, CONTACT, "Contact: <tel:+1>", flow=flow_of("TCP"))
    assert [contact.flow for contact in wanted.contacts] == ["tcp/flow", ""]


@pytest.mark.parametrize(
    "lines",
    [
        (VIA, "Path: <sip:edge.example.com;lr>"),
        (VIA, VIA),
        (f"{VIA}, SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK2",),
        (f"{VIA},SIP/2.0/TCP 10.0.0.1",),
    ],
)
def test_what_came_through_another_proxy_takes_no_flow(lines: tuple[str, ...]) -> None:
    assert registered(*lines, CONTACT, flow=flow_of("TCP")).contacts[0].flow == ""


def outcome(*lines: str) -> tuple[int, bool, bool]:
    wanted = registered(*lines, flow=flow_of("TCP"))
    return wanted.contacts[0].reg_id, wanted.outbound, wanted.lacks_outbound


@pytest.mark.parametrize("header", ["Supported: path, Outbound", "Require: outbound"])
def test_a_flow_is_bound_for_a_client_that_came_directly_and_asks_for_it(header: str) -> None:
    assert outcome(VIA, OUTBOUND, header) == (2, True, False)


def test_a_reg_id_counts_for_who_supports_outbound_and_has_an_instance() -> None:
    assert outcome(VIA, OUTBOUND) == (0, False, False)
    assert outcome(VIA, f"{CONTACT};reg-id=2", "Supported: outbound") == (0, False, False)
    assert outcome(VIA, f'{CONTACT};+sip.instance="<urn:uuid:1>"', "Supported: outbound") == (0, False, False)


def test_behind_a_proxy_a_reg_id_counts_where_the_proxy_keeps_the_flow() -> None:
    supported = "Supported: path, outbound"
    assert outcome(VIA, VIA, "Path: <sip:t@edge.example.com;lr;ob>", OUTBOUND, supported) == (2, True, False)
    assert outcome(VIA, VIA, "Path: <sip:t@edge.example.com;lr>", OUTBOUND, supported) == (2, False, True)
    assert outcome(VIA, VIA, OUTBOUND, supported) == (2, False, True)
    assert outcome(VIA, VIA, OUTBOUND) == (0, False, False)


def test_there_is_no_sole_via_without_a_via_that_can_be_read() -> None:
    request = split(b"REGISTER sip:a SIP/2.0\r\nVia: nonsense\r\n\r\n")
    assert isinstance(request, Request)
    assert sole_via(request) is None
