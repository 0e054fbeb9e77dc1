"""Targets that are given up in time, and those never tried (RFC 3261 16.5 to 16.8)."""

import pytest

from oneproxy.engine.decisions import Forward, Target
from world import World, request, response

CALLER, DESK, MOBILE = "192.0.2.10", "192.0.2.20", "192.0.2.30"
TO_DESK, TO_MOBILE = f"sip:bob@{DESK}", f"sip:bob@{MOBILE}"
TICK = 1 / 128


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_target_that_says_nothing_is_given_up_by_timer_b_however_long_it_may_ring(
    transport: str, method: str
) -> None:
    uri = TO_DESK if transport == "UDP" else f"{TO_DESK};transport=tcp"
    world = World(Forward([Target(uri, no_answer_s=60)]), transport=transport)
    world.peer(CALLER).send(request(method))
    world.wait(32 - TICK)
    assert len(world.asked) == 1
    world.wait(TICK)
    assert [(one.status, one.error) for one in world.asked[1].outcomes] == [(408, "timeout")]


def test_a_target_that_says_nothing_has_no_longer_for_that_than_for_its_answer() -> None:
    world = World(Forward([Target(TO_DESK, first_response_s=20, no_answer_s=10)]))
    world.peer(CALLER).send(request("INVITE"))
    world.wait(10)
    assert len(world.asked) == 2


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_first_response_in_time_gives_what_is_no_invite_its_whole_time(transport: str) -> None:
    uri = TO_DESK if transport == "UDP" else f"{TO_DESK};transport=tcp"
    world = World(Forward([Target(uri, first_response_s=4)]), transport=transport)
    caller, desk = world.peer(CALLER), world.peer(DESK)
    caller.send(request("MESSAGE"))
    message = desk.take_request("MESSAGE")
    world.wait(1)
    desk.send(response(message, 100))
    desk.inbox.clear()
    world.wait(20)
    assert transport == "UDP" or desk.has_nothing
    desk.send(response(message, 200, to_tag="d"))
    assert caller.take_all() == ["SIP/2.0 100 Trying", "SIP/2.0 200 Because"]
    assert len(world.asked) == 1


def test_what_is_no_invite_is_told_of_targets_that_were_given_up_early() -> None:
    world = World(Forward([Target(TO_DESK, first_response_s=4)]))
    caller = world.peer(CALLER)
    caller.send(request("MESSAGE"))
    world.wait(7.5)
    # RFC 4320 4.2 forbids a 408. Silence would make the next repetition a new request.
    assert caller.take_all()[-1] == "SIP/2.0 504 Server Time-out"
    caller.send(request("MESSAGE"))
    assert caller.take_all() == ["SIP/2.0 504 Server Time-out"]
    assert len(world.asked) == 2


def test_a_redirection_leads_to_nobody_twice() -> None:
    world = World(Forward([Target(TO_DESK)], recurse=1), Forward([Target(TO_MOBILE)], recurse=1))
    caller, desk, mobile = (world.peer(host) for host in (CALLER, DESK, MOBILE))
    caller.send(request("INVITE"))
    desk.send(response(desk.take_request("INVITE"), 302, f"Contact: <{TO_DESK}>", to_tag="d"))
    desk.take_request("ACK")
    # RFC 3261 16.5: a URI is in the target set once, the second group's too.
    both = f"Contact: <{TO_MOBILE}>, <{TO_DESK}>"
    mobile.send(response(mobile.take_request("INVITE"), 302, both, to_tag="m"))
    assert (mobile.take_all(), desk.has_nothing) == ([f"ACK {TO_MOBILE} SIP/2.0"], True)
    assert caller.take_all() == ["SIP/2.0 302 Because"]


def test_after_a_6xx_no_redirection_is_followed() -> None:
    world = World(Forward([Target(TO_DESK), Target(TO_MOBILE)], recurse=1))
    caller, desk, mobile = (world.peer(host) for host in (CALLER, DESK, MOBILE))
    caller.send(request("INVITE"))
    first, second = desk.take_request("INVITE"), mobile.take_request("INVITE")
    desk.send(response(first, 603, to_tag="d"))
    # RFC 3261 16.7 step 5: the two have crossed, and nobody else is to ring.
    mobile.send(response(second, 302, "Contact: <sip:bob@192.0.2.40>", to_tag="m"))
    assert world.peer("192.0.2.40").has_nothing
    assert caller.take_all() == ["SIP/2.0 603 Because"]


def test_after_a_6xx_no_further_address_is_tried() -> None:
    world = World(Forward([Target(TO_DESK), Target("sip:bob@phones.example")]))
    world.names["phones.example"] = [("UDP", MOBILE, 5060), ("UDP", "192.0.2.40", 5060)]
    caller, desk = world.peer(CALLER), world.peer(DESK)
    caller.send(request("INVITE"))
    desk.send(response(desk.take_request("INVITE"), 603, to_tag="d"))
    world.wait(5)
    assert world.peer("192.0.2.40").has_nothing
    world.peer(MOBILE).send(response(world.peer(MOBILE).take_request("INVITE"), 503, to_tag="m"))
    assert world.peer("192.0.2.40").has_nothing
    world.wait(32)
    assert caller.take_all()[:2] == ["SIP/2.0 100 Trying", "SIP/2.0 603 Because"]
