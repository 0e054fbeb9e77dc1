"""Calls in which something is odd: what they counted as is taken back, and nobody is told nonsense."""

from typing import Any

import pytest

from oneproxy.site.model import Gateway, Registration, Route
from routed import CALLER, Routed, dial, gateway, provider, site
from world import request, response

NUMBER = "+351912345678"
TO_P = Route("+351", provider="p")
CHALLENGE = 'Proxy-Authenticate: Digest realm="carrier", nonce="n1", qop="auth", algorithm=MD5'
ACCOUNT = Registration("sip:me@carrier", "me", "secret")


def world_of(*gateways: Gateway, **keys: Any) -> Routed:
    return Routed(site((provider("p", *(gateways or (gateway("g0"), gateway("g1"))), **keys),), (TO_P,)))


def held(world: Routed) -> list[int]:
    state = world.step.trunks.find("p")
    assert state is not None
    return [
        len(state.held),
        *(len(one.held) for one in state.gateways),
        *(one.waiting for one in state.gateways),
    ]


def test_a_gateway_that_nothing_can_be_made_of_counts_no_call() -> None:
    """A site that somebody wrote into the database by hand."""
    world = world_of(Gateway("g0", "tel:+351"))
    for number in range(3):
        with pytest.raises(ValueError, match="no SIP URI"):
            world.peer(CALLER).send(dial(NUMBER, branch=f"z9hG4bK{number}", call_id=f"c{number}"))
    assert held(world) == [0, 0, 0]


@pytest.mark.parametrize(
    "written", ["CSeq: 2 INVITE", "CSeq:\t2\tINVITE", "CSeq:  2  INVITE ", "cseq : 2   INVITE"]
)
def test_a_response_is_counted_back_however_its_number_is_written(written: str) -> None:
    world = world_of(gateway("g0", register=ACCOUNT))
    peer = world.peer("192.0.2.20")
    world.peer(CALLER).send(dial(NUMBER))
    peer.send(response(peer.take_request("INVITE"), 407, CHALLENGE, to_tag="x"))
    peer.take_request("ACK")
    ringing = response(peer.take_request("INVITE"), 180, to_tag="b")
    peer.send(ringing.replace(b"CSeq: 2 INVITE", written.encode()))
    assert (world.peer(CALLER).take_response(180).get("cseq") or "").split() == ["1", "INVITE"]


def test_no_cseq_gets_beyond_what_there_is() -> None:
    """RFC 3261 8.1.1.5: below 2**31. The password can't be proved by another request, so it is not."""
    world = world_of(gateway("g0", register=ACCOUNT))
    peer = world.peer("192.0.2.20")
    world.peer(CALLER).send(dial(NUMBER, cseq=2**31 - 1))
    peer.send(response(peer.take_request("INVITE"), 407, CHALLENGE, to_tag="x"))
    peer.take_request("ACK")
    assert peer.has_nothing
    world.peer(CALLER).take_response(500)
    assert held(world) == [0, 0, 0]


@pytest.mark.parametrize("written", ["9" * 5000, "0", "-1", "2147483649", "\u00b2"])
def test_a_response_with_a_number_that_is_none_of_ours_goes_back_as_it_came(written: str) -> None:
    world = world_of(gateway("g0", register=ACCOUNT))
    peer = world.peer("192.0.2.20")
    world.peer(CALLER).send(dial(NUMBER))
    peer.send(response(peer.take_request("INVITE"), 407, CHALLENGE, to_tag="x"))
    peer.take_request("ACK")
    ringing = response(peer.take_request("INVITE"), 180, to_tag="b")
    peer.send(ringing.replace(b"CSeq: 2 INVITE", f"CSeq: {written} INVITE".encode("latin-1")))
    assert world.peer(CALLER).take_response(180).get("cseq") == f"{written} INVITE"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("776656 1 INVITE", "776656 2 INVITE"),
        ("776656\t1\tINVITE", "776656 2 INVITE"),
        (f"1 {'9' * 5000} INVITE", f"1 {'9' * 5000} INVITE"),
        ("1 INVITE", "1 INVITE"),
        ("1 x INVITE", "1 x INVITE"),
        ("", ""),
    ],
)
def test_a_prack_names_the_invite_as_the_gateway_knows_it(written: str, sent: str) -> None:
    world = world_of(gateway("g0", register=ACCOUNT))
    caller, peer = world.peer(CALLER), world.peer("192.0.2.20")
    caller.send(dial(NUMBER))
    peer.send(response(peer.take_request("INVITE"), 407, CHALLENGE, to_tag="x"))
    peer.take_request("ACK")
    contact = "Contact: <sip:b@192.0.2.20>"
    peer.send(response(peer.take_request("INVITE"), 183, contact, "RSeq: 776656", to_tag="b"))
    route = caller.take_response(183).all("record-route")[-1]
    lines = (f"Route: {route}", f"RAck: {written}")
    caller.send(request("PRACK", "sip:b@192.0.2.20", *lines, branch="z9hG4bKp", cseq=2, to_tag="b"))
    prack = peer.take_request("PRACK")
    assert (prack.get("cseq"), prack.get("rack")) == ("3 PRACK", sent)


def test_a_call_counts_at_the_gateway_that_has_it_though_it_answered_late() -> None:
    """The next one has been tried by then, and is told to stop."""
    world = world_of()
    slow, other, caller = world.peer("192.0.2.20"), world.peer("192.0.2.21"), world.peer(CALLER)
    caller.send(dial(NUMBER))
    invite = slow.take_request("INVITE")
    world.wait(3.5)
    slow.inbox.clear()
    second = other.take_request("INVITE")
    other.inbox.clear()
    other.send(response(second, 180, to_tag="c"))
    slow.send(response(invite, 200, "Contact: <sip:b@192.0.2.20>", to_tag="b"))
    other.take_request("CANCEL")
    assert held(world) == [1, 1, 0, 0, 0]
    assert world.state("p", "g1").ends["2xx"] == 0
    other.send(response(second, 487, to_tag="c"))
    assert held(world) == [1, 1, 0, 0, 0]
    caller.take_response(100)
    caller.take_response(180)
    route = caller.take_response(200).all("record-route")[-1]
    caller.send(request("BYE", "sip:b@192.0.2.20", f"Route: {route}", branch="z9hG4bKb", cseq=2, to_tag="b"))
    slow.send(response(slow.take_request("BYE"), 200))
    assert held(world) == [0, 0, 0, 0, 0]
