"""Calls that are routed, from the caller's INVITE to his answer, by an engine with the whole policy."""

import pytest

from oneproxy.sip.message import Request
from oneproxy.site.model import Format, Registration, Route
from routed import CALLER, STRANGER, Routed, dial, gateway, provider, site
from world import Peer, request, response

NUMBER = "+351912345678"
TO_P = Route("+351", provider="p")
CHALLENGE = 'Proxy-Authenticate: Digest realm="carrier", nonce="n1", qop="auth", algorithm=MD5'
ACCOUNT = Registration("sip:me@carrier", "me", "secret")


def two(**keys: object) -> Routed:
    """A provider of two gateways, in order."""
    return Routed(site((provider("p", gateway("g0"), gateway("g1"), **keys),), (TO_P,)))


def fail(peer: Peer, status: int, *headers: str) -> Request:
    """The peer refuses the INVITE that it has got."""
    invite = peer.take_request("INVITE")
    peer.send(response(invite, status, *headers, to_tag="x"))
    peer.take_request("ACK")
    return invite


def inside(method: str, uri: str, route: str, cseq: int = 2) -> bytes:
    return request(method, uri, f"Route: {route}", branch=f"z9hG4bK{method}", cseq=cseq, to_tag="b")


def talk(caller: Peer, callee: Peer) -> str:
    """The call that the callee has got is answered; the caller's route."""
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 200, f"Contact: <sip:b@{callee.flow.host}>", to_tag="b"))
    route = caller.take_response(200).all("record-route")[-1]
    caller.send(request("ACK", f"sip:b@{callee.flow.host}", f"Route: {route}", branch="z9hG4bKa", to_tag="b"))
    callee.take_request("ACK")
    return route


# Where a number goes.


def test_a_number_goes_to_a_gateway_as_its_route_and_the_gateway_want_it() -> None:
    route = Route(
        "+351", provider="p", strip=1, prepend="00", add=("X-Account: {caller}",), remove=("Subject",)
    )
    made = gateway("g0", format=Format(identity="asserted", domain="carrier.example"))
    world = Routed(site((provider("p", made),), (route,)))
    world.peer(CALLER).send(dial(NUMBER, "Subject: hello", "P-Asserted-Identity: <sip:900@example.com>"))
    invite = world.peer("192.0.2.20").take_request("INVITE")
    assert invite.uri == "sip:00351912345678@192.0.2.20"
    assert invite.get("p-asserted-identity") == "<sip:900@carrier.example>"
    assert invite.get("subject") is None
    assert invite.get("x-account") == ""


def test_a_number_is_read_as_it_is_dialled_in_the_country_of_its_domain() -> None:
    world = Routed(site((provider("p", gateway("g0")),), (TO_P,), country="PT"))
    world.peer(CALLER).send(dial("912345678"))
    assert world.peer("192.0.2.20").take_request("INVITE").uri == "sip:+351912345678@192.0.2.20"


def test_a_tel_uri_is_routed() -> None:
    world = two()
    world.peer(CALLER).send(request("INVITE", "tel:+351-912-345-678"))
    assert world.peer("192.0.2.20").take_request("INVITE").uri == f"sip:{NUMBER}@192.0.2.20"


@pytest.mark.parametrize("user", ["alice", "+351211234567"])
def test_a_user_here_is_not_a_number_of_others(user: str) -> None:
    world = Routed(site((provider("p", gateway("g0")),), (Route("", provider="p"),)))
    world.peer(CALLER).send(dial(user))
    world.peer(CALLER).take_response(480)
    assert world.peer("192.0.2.20").has_nothing


def test_a_route_may_be_for_users_too_and_who_it_leads_to_calls_them() -> None:
    """As call control has it: every call comes by it, and it calls the phones."""
    made = provider("control", gateway("g0"))
    world = Routed(site((made,), (Route("", provider="control", users=True),)))
    world.peer(CALLER).send(dial("alice"))
    control = world.peer("192.0.2.20")
    assert control.take_request("INVITE").uri == "sip:alice@192.0.2.20"
    control.send(dial("alice", via="192.0.2.20", branch="z9hG4bK2", call_id="call-2"))
    control.take_response(480)


def test_a_number_that_no_route_is_for_is_nobodys() -> None:
    world = two()
    world.peer(CALLER).send(dial("+44123456789"))
    world.peer(CALLER).take_response(404)


def test_a_route_may_lead_to_a_user_here() -> None:
    world = Routed(site((), (Route("900", aor="alice@example.com"),)))
    world.peer(CALLER).send(dial("900"))
    world.peer(CALLER).take_response(480)


def test_a_route_may_lead_to_a_target() -> None:
    world = Routed(site((), (Route("7", target="sip:192.0.2.30;transport=udp", strip=1),)))
    world.peer(CALLER).send(dial("7100"))
    assert world.peer("192.0.2.30").take_request("INVITE").uri == "sip:100@192.0.2.30;transport=udp"


def test_a_route_may_redirect() -> None:
    world = Routed(site((), (Route("7", redirect="sip:192.0.2.30", strip=1),)))
    world.peer(CALLER).send(dial("7100"))
    assert world.peer(CALLER).take_response(302).get("contact") == "<sip:100@192.0.2.30>"


def test_a_route_may_refuse_and_the_cause_is_told_to_people() -> None:
    world = Routed(site((), (Route("0900", refuse=603),)))
    world.peer(CALLER).send(dial("0900123"))
    assert world.peer(CALLER).take_response(603).reason == "Decline"
    assert world.refused == ["route"]


def test_a_number_of_which_nothing_is_left_is_answered_484() -> None:
    world = Routed(site((provider("p", gateway("g0")),), (Route("7", provider="p", strip=1),)))
    world.peer(CALLER).send(dial("7"))
    world.peer(CALLER).take_response(484)
    assert world.calls("p", "g0") == 0


# Who may.


@pytest.mark.parametrize("route", [TO_P, Route("+351", target="sip:192.0.2.30")])
def test_nobody_from_outside_talks_on_our_account(route: Route) -> None:
    world = Routed(site((provider("p", gateway("g0")),), (route,)))
    outsider = dial(NUMBER).replace(b"From: <sip:alice@example.com>", b"From: <sip:eve@elsewhere.example>")
    world.peer(STRANGER).send(outsider)
    world.peer(STRANGER).take_response(403)
    assert world.refused == ["not-allowed-out"]
    assert world.peer("192.0.2.20").has_nothing
    assert world.peer("192.0.2.30").has_nothing


def test_who_says_that_he_is_a_subscriber_has_to_prove_it_first() -> None:
    world = two()
    world.peer(STRANGER).send(dial(NUMBER))
    world.peer(STRANGER).take_response(407)


def test_a_call_of_a_gateway_needs_no_password_and_goes_by_its_own_routes_alone() -> None:
    routes = (Route("", provider="p"), Route("211", inbound=("p",), aor="alice@example.com"))
    world = Routed(site((provider("p", gateway("g0")),), routes))
    peer = world.peer("192.0.2.20")
    peer.send(dial("211", via="192.0.2.20", call_id="call-a"))
    peer.take_response(480)
    peer.send(dial("44123456789", via="192.0.2.20", branch="z9hG4bK2", call_id="call-b"))
    peer.take_response(404)
    assert peer.has_nothing


def test_a_gateway_may_call_another_providers_by_a_route_made_for_it() -> None:
    routes = (Route("44", inbound=("p/g0",), provider="q"),)
    made = (provider("p", gateway("g0")), provider("q", gateway("g5")))
    world = Routed(site(made, routes))
    world.peer("192.0.2.20").send(dial("44123", via="192.0.2.20"))
    assert world.peer("192.0.2.25").take_request("INVITE").uri == "sip:44123@192.0.2.25"


def test_a_gateway_registers_with_a_password_as_everybody_does() -> None:
    world = two()
    register = request("REGISTER", "sip:example.com", "Contact: <sip:a@192.0.2.20>", via="192.0.2.20")
    world.peer("192.0.2.20").send(register)
    world.peer("192.0.2.20").take_response(401)


# Failing over.


def test_the_next_gateway_has_the_call_where_one_fails() -> None:
    world = two()
    caller = world.peer(CALLER)
    caller.send(dial(NUMBER))
    fail(world.peer("192.0.2.20"), 503, "Retry-After: 30")
    assert (world.calls("p", "g0"), world.calls("p", "g1")) == (0, 1)
    assert world.state("p", "g0").health.rest_until == world.now + 30
    talk(caller, world.peer("192.0.2.21"))
    assert world.state("p", "g1").ends["2xx"] == 1


def test_the_next_gateway_has_the_call_where_one_says_nothing() -> None:
    world = two(try_for_ms=1000)
    caller = world.peer(CALLER)
    caller.send(dial(NUMBER))
    world.wait(0.9)
    assert world.peer("192.0.2.21").has_nothing
    world.wait(0.2)
    caller.take_response(100)
    talk(caller, world.peer("192.0.2.21"))
    assert world.state("p", "g0").ends["timeout"] == 1


def test_a_100_keeps_the_call_where_it_is() -> None:
    world = two(try_for_ms=1000)
    world.peer(CALLER).send(dial(NUMBER))
    first = world.peer("192.0.2.20")
    world.wait(0.25)
    first.send(response(first.take_request("INVITE"), 100))
    assert world.state("p", "g0").waiting == 0
    assert world.state("p", "g0").latency.value(world.now) == pytest.approx(250.0)
    world.wait(20.0)
    assert world.peer("192.0.2.21").has_nothing


def test_the_answer_of_the_callee_is_the_answer() -> None:
    world = two()
    world.peer(CALLER).send(dial(NUMBER))
    fail(world.peer("192.0.2.20"), 486, "X-Why: busy")
    assert world.peer(CALLER).take_response(486).get("x-why") == "busy"
    assert world.calls("p", "g0") == 0


def test_nobody_else_is_tried_once_it_rings() -> None:
    world = two()
    caller, first = world.peer(CALLER), world.peer("192.0.2.20")
    caller.send(dial(NUMBER))
    invite = first.take_request("INVITE")
    first.send(response(invite, 180, to_tag="b"))
    first.send(response(invite, 503, to_tag="b"))
    caller.take_response(180)
    caller.take_response(500)
    assert world.peer("192.0.2.21").has_nothing


def test_no_503_of_a_gateway_goes_to_the_caller() -> None:
    world = two()
    world.peer(CALLER).send(dial(NUMBER))
    fail(world.peer("192.0.2.20"), 503)
    fail(world.peer("192.0.2.21"), 503)
    world.peer(CALLER).take_response(500)


def test_the_fallback_provider_follows() -> None:
    made = (provider("p", gateway("g0"), fallback="q"), provider("q", gateway("g5")))
    world = Routed(site(made, (TO_P,)))
    world.peer(CALLER).send(dial(NUMBER))
    fail(world.peer("192.0.2.20"), 503)
    talk(world.peer(CALLER), world.peer("192.0.2.25"))
    assert world.calls("q", "g5") == 1


# Counting.


def full() -> Routed:
    return Routed(site((provider("p", gateway("g0", max_calls=1)),), (TO_P,)))


def test_a_call_counts_until_its_bye_is_answered() -> None:
    world = full()
    caller, callee = world.peer(CALLER), world.peer("192.0.2.20")
    caller.send(dial(NUMBER))
    route = talk(caller, callee)
    caller.send(dial(NUMBER, branch="z9hG4bK2", call_id="call-2"))
    assert caller.take_response(503).get("retry-after") == "5"
    assert world.refused == ["gateways-full"]
    caller.send(inside("BYE", "sip:b@192.0.2.20", route))
    callee.send(response(callee.take_request("BYE"), 200))
    assert world.calls("p", "g0") == 0


def test_a_call_that_is_given_up_counts_no_more() -> None:
    world = full()
    caller, callee = world.peer(CALLER), world.peer("192.0.2.20")
    caller.send(dial(NUMBER))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 180, to_tag="b"))
    caller.send(dial(NUMBER, method="CANCEL"))
    callee.send(response(callee.take_request("CANCEL"), 200))
    assert world.calls("p", "g0") == 1
    callee.send(response(invite, 487, to_tag="b"))
    assert world.calls("p", "g0") == 0


def test_a_call_whose_bye_was_lost_ends_when_it_has_lasted_too_long() -> None:
    world = Routed(site((provider("p", gateway("g0"), session_expires_s=0, max_call_s=60),), (TO_P,)))
    caller, callee = world.peer(CALLER), world.peer("192.0.2.20")
    caller.send(dial(NUMBER))
    talk(caller, callee)
    world.wait(59.0)
    assert world.calls("p", "g0") == 1
    world.wait(2.0)
    assert world.calls("p", "g0") == 0
    callee.take_request("BYE")


def test_the_invite_asks_for_session_timers_where_the_provider_wants_them() -> None:
    world = two(session_expires_s=600)
    world.peer(CALLER).send(dial(NUMBER))
    assert world.peer("192.0.2.20").take_request("INVITE").get("session-expires") == "600"


def test_a_call_that_the_engine_refuses_counts_nowhere() -> None:
    world = Routed(site((provider("p", gateway("g0")),), (TO_P,)), calls=1)
    caller = world.peer(CALLER)
    caller.send(dial(NUMBER))
    caller.send(dial(NUMBER, branch="z9hG4bK2", call_id="call-2"))
    caller.take_response(503)
    caller.send(dial(NUMBER, branch="z9hG4bK3", call_id="call-3", hops=0))
    caller.take_response(483)
    assert world.calls("p", "g0") == 1


# Passwords of gateways.


def guarded(*more: object) -> Routed:
    made = provider("p", gateway("g0", register=ACCOUNT), gateway("g1"))
    return Routed(site((made,), (TO_P,)))


def test_a_gateway_that_asks_for_a_password_gets_it_with_another_cseq() -> None:
    world = guarded()
    caller, peer = world.peer(CALLER), world.peer("192.0.2.20")
    caller.send(dial(NUMBER))
    first = fail(peer, 407, CHALLENGE)
    again = peer.take_request("INVITE")
    assert (first.get("cseq"), again.get("cseq")) == ("1 INVITE", "2 INVITE")
    assert 'username="me"' in (again.get("proxy-authorization") or "")
    peer.send(response(again, 200, "Contact: <sip:b@192.0.2.20>", to_tag="b"))
    assert caller.take_response(200).get("cseq") == "1 INVITE"
    assert world.calls("p", "g0") == 1


def test_a_nonce_that_was_good_is_used_again() -> None:
    world = guarded()
    caller, peer = world.peer(CALLER), world.peer("192.0.2.20")
    caller.send(dial(NUMBER))
    fail(peer, 407, CHALLENGE)
    talk_again = peer.take_request("INVITE")
    peer.send(response(talk_again, 200, "Contact: <sip:b@192.0.2.20>", to_tag="b"))
    caller.send(dial(NUMBER, branch="z9hG4bK2", call_id="call-2"))
    invite = peer.take_request("INVITE")
    assert "nc=00000002" in (invite.get("proxy-authorization") or "")
    assert invite.get("cseq") == "1 INVITE"


def test_a_gateway_that_does_not_take_the_password_has_failed() -> None:
    world = guarded()
    caller, peer = world.peer(CALLER), world.peer("192.0.2.20")
    caller.send(dial(NUMBER))
    fail(peer, 407, CHALLENGE)
    fail(peer, 407, CHALLENGE)
    fail(world.peer("192.0.2.21"), 404)
    caller.take_response(404)
    assert world.state("p", "g0").health.run == 1


def test_a_challenge_of_a_gateway_without_a_password_is_the_callers() -> None:
    world = two()
    world.peer(CALLER).send(dial(NUMBER))
    fail(world.peer("192.0.2.20"), 407, CHALLENGE)
    world.peer(CALLER).take_response(407)


# Other requests.


def test_a_message_goes_through_a_gateway_and_is_no_call() -> None:
    world = two()
    world.peer(CALLER).send(dial(NUMBER, method="MESSAGE"))
    first = world.peer("192.0.2.20")
    message = first.take_request("MESSAGE")
    assert message.uri == f"sip:{NUMBER}@192.0.2.20"
    assert world.calls("p", "g0") == 0
    first.send(response(message, 404))
    world.peer(CALLER).take_response(404)


def test_a_message_goes_to_the_next_gateway_where_one_is_silent() -> None:
    world = two(try_for_ms=1000)
    world.peer(CALLER).send(dial(NUMBER, method="MESSAGE"))
    world.wait(1.1)
    second = world.peer("192.0.2.21")
    second.send(response(second.take_request("MESSAGE"), 200))
    world.peer(CALLER).take_response(200)


# A site that changes.


def test_a_changed_site_routes_new_calls_and_keeps_those_that_are_on() -> None:
    world = two()
    caller = world.peer(CALLER)
    caller.send(dial(NUMBER))
    talk(caller, world.peer("192.0.2.20"))
    world.policy.take(site((provider("p", gateway("g1")),), (TO_P,)))
    caller.send(dial(NUMBER, branch="z9hG4bK2", call_id="call-2"))
    world.peer("192.0.2.21").take_request("INVITE")
    assert world.calls("p", "g0") == 1
