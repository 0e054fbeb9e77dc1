"""Sides of a dialog that move: by a target refresh (RFC 3261 12.2.1.2, 12.2.2), and what is
remembered of it."""

import pytest

from called import BOB, REFUSED, VICTIM, Called
from oneproxy.engine.decisions import Forward, Target
from oneproxy.engine.moved import Moved
from oneproxy.engine.places import Places
from oneproxy.sip.check import check
from oneproxy.sip.message import Request, split
from world import World, request, response

NEW = "Contact: <sip:bob@192.0.2.30>"
REFRESHES = ["INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"]


def with_contact(data: bytes, contact: str) -> bytes:
    return data.replace(b"\r\nFrom:", f"\r\n{contact}\r\nFrom:".encode(), 1)


def refresh(call: Called, method: str, contact: str = NEW, answer: str = "", status: int = 200) -> None:
    """Bob says where he is, and maybe alice does in her answer."""
    call.callee.send(with_contact(call.of_bob(method, "sip:alice@192.0.2.10"), contact))
    passed = call.caller.take_request(method)
    call.caller.send(response(passed, status, *([answer] if answer else [])))
    call.callee.take_response(status)


@pytest.mark.parametrize("method", REFRESHES)
def test_a_side_that_moves_is_reached_where_it_says(method: str) -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    refresh(call, method)
    for cseq, later in enumerate(("INVITE", "ACK", "BYE"), 2):
        call.caller.send(call.of_alice(later, "sip:bob@192.0.2.30", cseq=cseq))
        world.peer("192.0.2.30").take_request(later)
    assert len(world.asked) == 1


@pytest.mark.parametrize("method", REFRESHES)
def test_a_side_that_moves_says_so_in_its_answer_too(method: str) -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    refresh(call, method, "Contact: <sip:bob@192.0.2.20>", "Contact: <sip:alice@192.0.2.11>")
    call.callee.send(call.of_bob("INFO", "sip:alice@192.0.2.11", cseq=2))
    world.peer("192.0.2.11").take_request("INFO")


def test_both_ways_of_a_moved_dialog_stay_apart() -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    refresh(call, "UPDATE")
    call.callee.send(call.of_bob("INFO", "sip:bob@192.0.2.30", cseq=2))
    call.callee.take_response(403)
    call.caller.send(call.of_alice("INFO", "sip:bob@192.0.2.31"))
    call.caller.take_response(403)
    # Where he was is still his: what was on its way, and what lost a race, gets there.
    call.caller.send(call.of_alice("INFO", "sip:bob@192.0.2.20", cseq=3))
    call.callee.take_request("INFO")


@pytest.mark.parametrize("status", [180, 302, 481, 488])
def test_a_refresh_that_is_not_accepted_moves_nobody(status: int) -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    call.callee.send(with_contact(call.of_bob("INVITE", "sip:alice@192.0.2.10"), NEW))
    call.caller.send(response(call.caller.take_request("INVITE"), status))
    call.caller.take_all()
    call.caller.send(call.of_alice("INFO", "sip:bob@192.0.2.30"))
    call.caller.take_response(403)


@pytest.mark.parametrize("method", ["INFO", "MESSAGE", "PRACK", "OPTIONS"])
def test_other_requests_move_nobody(method: str) -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    refresh(call, method)
    call.caller.send(call.of_alice("INFO", "sip:bob@192.0.2.30"))
    call.caller.take_response(403)


@pytest.mark.parametrize("contact", ["Contact: *", "Contact: <bob>", "Contact: <tel:+1>", "X-Contact: none"])
def test_a_refresh_that_says_nothing_of_use_moves_nobody(contact: str) -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    refresh(call, "UPDATE", contact)
    call.caller.send(call.of_alice("INFO", "sip:bob@192.0.2.30"))
    call.caller.take_response(403)
    call.caller.send(call.of_alice("INFO", "sip:bob@192.0.2.20", cseq=3))
    call.callee.take_request("INFO")


def test_a_node_that_has_not_seen_the_refresh_asks_policy() -> None:
    call = Called(World(BOB, REFUSED))
    refresh(call, "INVITE")
    other = World(Forward([Target("sip:bob@192.0.2.30")]))
    caller = other.peer("192.0.2.10")
    caller.send(call.of_alice("INVITE", "sip:bob@192.0.2.30"))
    other.peer("192.0.2.30").take_request("INVITE")
    assert [ask.inside for ask in other.asked] == [True]


def test_the_end_of_a_dialog_is_the_end_of_what_is_remembered() -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    refresh(call, "UPDATE")
    call.caller.send(call.of_alice("BYE", "sip:bob@192.0.2.30"))
    phone = world.peer("192.0.2.30")
    phone.send(response(phone.take_request("BYE"), 401))
    call.caller.take_response(401)
    call.caller.send(call.of_alice("BYE", "sip:bob@192.0.2.30", cseq=3))
    phone.send(response(phone.take_request("BYE"), 200))
    call.caller.take_response(200)
    call.caller.send(call.of_alice("INFO", "sip:bob@192.0.2.30", cseq=4))
    call.caller.take_response(403)


def test_a_side_may_move_again() -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    refresh(call, "INVITE", NEW, "Contact: <sip:alice@192.0.2.11>")
    refresh(call, "UPDATE", "Contact: <sip:bob@192.0.2.31>", "Contact: <sip:alice@192.0.2.12>")
    for place in ("192.0.2.30", "192.0.2.31"):
        call.caller.send(call.of_alice("INFO", f"sip:bob@{place}", cseq=int(place[-2:])))
    call.caller.take_response(403)
    world.peer("192.0.2.31").take_request("INFO")


def test_both_sides_are_remembered_of_as_many_dialogs_as_there_is_room_for_calls() -> None:
    world = World(BOB, REFUSED, calls=1)
    call = Called(world)
    refresh(call, "UPDATE", NEW, "Contact: <sip:alice@192.0.2.11>")
    call.caller.send(call.of_alice("INFO", "sip:bob@192.0.2.30"))
    world.peer("192.0.2.30").take_request("INFO")
    call.callee.send(call.of_bob("INFO", "sip:alice@192.0.2.11", cseq=2))
    world.peer("192.0.2.11").take_request("INFO")


def test_an_answer_that_is_repeated_takes_nobody_back_to_where_he_was() -> None:
    world = World(BOB, REFUSED)
    call = Called(world)
    call.callee.send(with_contact(call.of_bob("INVITE", "sip:alice@192.0.2.10"), NEW))
    answer = response(call.caller.take_request("INVITE"), 200)
    call.caller.send(answer)
    call.callee.take_response(200)
    call.callee.send(
        with_contact(call.of_bob("UPDATE", "sip:alice@192.0.2.10", cseq=2), "m: <sip:192.0.2.31>")
    )
    call.caller.send(response(call.caller.take_request("UPDATE"), 200))
    # The ACK is lost, so the 2xx comes again.
    call.caller.send(answer)
    call.caller.send(call.of_alice("INFO", "sip:bob@192.0.2.31"))
    world.peer("192.0.2.31").take_request("INFO")


def of_dialog(number: int, call_id: str = "") -> Request:
    message = split(
        request("INFO", "sip:x@192.0.2.99", call_id=call_id or f"call-{number}", from_tag="a", to_tag="b")
    )
    assert isinstance(message, Request)
    assert check(message) is None
    return message


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    moved = Moved(Places(b"k" * 32), 3)
    requests = [of_dialog(number) for number in range(4)]
    for one in requests[:3]:
        moved.let(one, VICTIM)
    moved.let(requests[0], VICTIM)
    moved.let(requests[3], VICTIM)
    assert [moved.leads_to(one, "sip:1@192.0.2.99:5080") for one in requests] == [True, False, True, True]
    assert len(moved) == 3
    moved.let(of_dialog(0, "x" * 300), VICTIM)
    assert not moved.leads_to(of_dialog(0, "x" * 300), VICTIM)
    assert len(moved) == 3
