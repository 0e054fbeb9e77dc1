"""Ways to a gateway that are none: past the routes, by what somebody has registered, dialled or answered."""

from random import Random

import pytest
from msgspec.structs import replace

from oneproxy.registrar.bindings import STATIC
from oneproxy.sip.digest import make_ha1
from oneproxy.sip.message import Response
from oneproxy.site.model import Gateway, Provider, Route, Site, Subscriber
from oneproxy.trunks.authenticator import Authenticator
from routed import CALLER, STRANGER, Routed, dial, gateway, provider, site
from world import request, response

ALICE = "alice@example.com"
GATEWAY = "192.0.2.20"
PREMIUM = "sip:+900123@192.0.2.20"
#: No number gets out by it but Portuguese ones.
ROUTES = (Route("+351", provider="p"),)


def world_of(*gateways: Gateway, **domain: object) -> Routed:
    return Routed(site((provider("p", *(gateways or (gateway("g0"),))),), ROUTES, **domain))


def with_password(**domain: object) -> Routed:
    """The same, and alice has a password."""
    made = site((provider("p", gateway("g0")),), ROUTES, **domain)
    secret = {"MD5": make_ha1("MD5", "alice", "example.com", "secret")}
    return Routed(replace(made, subscribers={ALICE: Subscriber(ALICE, secret)}))


def from_outside(uri: str = f"sip:{ALICE}", method: str = "INVITE") -> bytes:
    octets = request(method, uri, via=STRANGER)
    return octets.replace(b"From: <sip:alice@example.com>", b"From: <sip:mallory@elsewhere.example>")


def test_a_contact_at_a_gateway_is_called_by_nobody() -> None:
    world = world_of()
    world.bind(ALICE, PREMIUM)
    world.peer(STRANGER).send(from_outside())
    world.peer(STRANGER).take_response(403)
    assert world.peer(GATEWAY).has_nothing
    assert world.engine.counters.dropped["kept"] == 1


@pytest.mark.parametrize("port", [5060, 5080])
def test_no_port_and_no_transport_makes_another_gateway_of_it(port: int) -> None:
    world = world_of()
    world.bind(ALICE, f"{PREMIUM}:{port}")
    world.peer(STRANGER).send(from_outside())
    world.peer(STRANGER).take_response(403)


def test_a_path_does_not_lead_to_a_gateway_either() -> None:
    world = world_of()
    world.bind(ALICE, "sip:+900123@203.0.113.9", path=(f"<sip:{GATEWAY};lr>",))
    world.peer(STRANGER).send(from_outside())
    world.peer(STRANGER).take_response(403)
    assert world.peer(GATEWAY).has_nothing


def test_nor_does_a_name_that_somebody_has_lead_there() -> None:
    world = world_of()
    world.names["mallory.example"] = [("UDP", GATEWAY, 5060)]
    world.bind(ALICE, "sip:+900123@mallory.example")
    world.peer(STRANGER).send(from_outside())
    world.peer(STRANGER).take_response(403)
    assert world.peer(GATEWAY).has_nothing


def test_a_gateway_with_a_name_is_kept_where_the_name_leads() -> None:
    made = Provider("p", gateway=(Gateway("g0", "sip:carrier.example"),))
    world = Routed(site((made,), ROUTES))
    world.step.peers.resolved("carrier.example", [GATEWAY])
    world.bind(ALICE, PREMIUM)
    world.peer(STRANGER).send(from_outside())
    world.peer(STRANGER).take_response(403)


def test_the_other_phones_of_a_user_ring_all_the_same() -> None:
    world = world_of()
    world.bind(ALICE, PREMIUM)
    world.bind(ALICE, "sip:alice@192.0.2.99")
    world.peer(STRANGER).send(from_outside())
    assert world.peer("192.0.2.99").take_request("INVITE").uri == "sip:alice@192.0.2.99"


def test_who_registers_from_the_gateways_own_address_is_there() -> None:
    """Phones behind an exchange that is a gateway too."""
    world = world_of()
    world.bind(ALICE, f"sip:alice@{GATEWAY}:5062", f"udp:{GATEWAY}:5062")
    world.peer(STRANGER).send(from_outside())
    assert world.peer(GATEWAY, 5062).take_request("INVITE").uri == f"sip:alice@{GATEWAY}:5062"


def test_a_contact_that_people_have_put_there_is_called() -> None:
    world = world_of()
    world.bind(ALICE, f"sip:alice@{GATEWAY}", STATIC)
    world.peer(STRANGER).send(from_outside())
    world.peer(GATEWAY).take_request("INVITE")


def test_a_3xx_does_not_lead_to_a_gateway() -> None:
    world = world_of(follow_redirects=3)
    world.bind(ALICE, "sip:alice@192.0.2.99")
    world.peer(STRANGER).send(from_outside())
    phone = world.peer("192.0.2.99")
    phone.send(response(phone.take_request("INVITE"), 302, f"Contact: <{PREMIUM}>", to_tag="x"))
    assert world.peer(GATEWAY).has_nothing


def proved(world: Routed, uri: str) -> None:
    """Alice sends an INVITE with her password."""
    caller = world.peer("198.51.100.7")
    caller.send(request("INVITE", uri, via="198.51.100.7"))
    phone = Authenticator("alice", "secret", Random(1))
    challenge: Response = caller.take_response(407)
    caller.send(request("ACK", uri, via="198.51.100.7"))
    assert not phone.challenged(challenge)
    [line] = phone.lines("INVITE", uri)
    caller.send(request("INVITE", uri, line, via="198.51.100.7", branch="z9hG4bK2", cseq=2))


def test_a_subscriber_gets_to_a_gateway_by_the_routes_alone() -> None:
    """A number that a route refuses, or none is for, would be reached by the gateway's address."""
    world = with_password()
    proved(world, PREMIUM)
    world.peer("198.51.100.7").take_response(403)
    assert world.peer(GATEWAY).has_nothing


def test_a_callee_does_not_lead_a_subscribers_call_to_a_gateway() -> None:
    world = with_password(follow_redirects=3)
    world.bind(ALICE, "sip:alice@192.0.2.99")
    proved(world, f"sip:{ALICE}")
    phone = world.peer("192.0.2.99")
    phone.send(response(phone.take_request("INVITE"), 302, f"Contact: <{PREMIUM}>", to_tag="x"))
    assert world.peer(GATEWAY).has_nothing


def test_who_is_trusted_gets_anywhere() -> None:
    world = world_of()
    world.peer(CALLER).send(request("INVITE", PREMIUM))
    assert world.peer(GATEWAY).take_request("INVITE").uri == PREMIUM


@pytest.mark.parametrize(
    "uri",
    [
        "tel:+351912345678",
        "tel:912345678;phone-context=+351",
        "tel:+351912345678;phone-context=example.com",
        "sip:+351912345678@example.com",
        "sip:+351912345678@192.0.2.1",
        "sip:+351912345678@192.0.2.1:5060;user=phone",
        "sip:%2B351912345678@example.com",
        "sip:+351-912.345(678)@example.com",
        "sips:+351912345678@example.com",
        "sip:+351912345678@example.com;maddr=192.0.2.20",
        "sip:+351912345678@example.com;gr",
        "sip:+351912345678@example.com;gr=urn:uuid:1",
    ],
)
@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "REFER", "SUBSCRIBE", "NOTIFY", "INFO"])
def test_nobody_from_outside_gets_out_however_he_writes_it(uri: str, method: str) -> None:
    world = world_of()
    world.peer(STRANGER).send(from_outside(uri, method))
    message = world.peer(STRANGER).take()
    assert getattr(message, "status", 0) in (403, 404)
    assert world.peer(GATEWAY).has_nothing


@pytest.mark.parametrize(
    "user", ["1900555", "1-900-555", "1.900.555", "1(900)555", "1%20900555", "1%2D900555"]
)
def test_no_way_of_writing_a_number_gets_around_the_route_that_refuses_it(user: str) -> None:
    routes = (Route("1900", refuse=603), Route("1", provider="p"), Route("", provider="p"))
    world = Routed(site((provider("p", gateway("g0")),), routes))
    world.peer(CALLER).send(dial(user))
    world.peer(CALLER).take_response(603)
    world.peer(CALLER).send(dial("7-eleven", branch="z9hG4bK2", call_id="call-2"))
    assert world.peer(GATEWAY).take_request("INVITE").uri == f"sip:7-eleven@{GATEWAY}"


def test_a_gateway_does_not_get_out_by_a_route_of_its_own_making() -> None:
    """Its Route leads elsewhere, or through us to another one."""
    world = world_of(gateway("g0"), gateway("g1"))
    for number, route in enumerate(("<sip:192.0.2.21;lr>", "<sip:192.0.2.1;lr>,<sip:192.0.2.21;lr>")):
        branch = f"z9hG4bK{number}"
        world.peer(GATEWAY).send(dial("+351912345678", f"Route: {route}", via=GATEWAY, branch=branch))
        world.peer(GATEWAY).take_response(403)
    world.peer(GATEWAY).send(dial("+351912345678", via=GATEWAY, branch="z9hG4bK9"))
    world.peer(GATEWAY).take_response(404)
    assert world.peer("192.0.2.21").has_nothing


def test_a_gateway_is_kept_for_as_long_as_it_is_in_the_site() -> None:
    world = world_of()
    world.bind(ALICE, PREMIUM)
    before = world.policy
    before.take(Site(site().domains, site().subscribers))
    world.peer(STRANGER).send(from_outside())
    assert world.peer(GATEWAY).take_request("INVITE").uri == PREMIUM
