"""Another flow to the same phone, where the first one has failed (RFC 5626 5.3)."""

import pytest

from oneproxy.engine.decisions import Forward, Target
from world import World, request, response


def target(world: World, host: str, instead: Target | None = None, no_answer_s: float = 0.0) -> Target:
    return Target("sip:bob@192.168.1.5", (), world.flow(host, 5060), no_answer_s=no_answer_s, instead=instead)


def called(no_answer_s: float = 0.0, beside: bool = False) -> World:
    """Bob's phone has two flows, and there may be another phone beside."""
    world = World()
    first = target(world, "192.0.2.20", target(world, "192.0.2.21"), no_answer_s)
    targets = [first, target(world, "192.0.2.30")] if beside else [first]
    world.decisions = (Forward(targets),)
    world.peer("192.0.2.10").send(request("INVITE"))
    return world


@pytest.mark.parametrize("status", [408, 430])
def test_a_flow_that_is_told_to_have_failed_is_replaced_at_once(status: int) -> None:
    world = called(beside=True)
    edge = world.peer("192.0.2.20")
    edge.send(response(edge.take_request("INVITE"), status, to_tag="e"))
    second = world.peer("192.0.2.21")
    invite = second.take_request("INVITE")
    assert invite.uri == "sip:bob@192.168.1.5"
    second.send(response(invite, 200, to_tag="b"))
    world.peer("192.0.2.10").take_response(200)
    assert len(world.asked) == 1


def test_a_flow_on_which_nothing_is_answered_is_replaced() -> None:
    world = called()
    world.wait(32.5)
    world.peer("192.0.2.21").take_request("INVITE")


def test_a_flow_that_is_gone_is_replaced() -> None:
    world = called()
    world.engine.unreachable(world.now, world.peer("192.0.2.20").inbox[0])
    world.deliver()
    world.peer("192.0.2.21").take_request("INVITE")


@pytest.mark.parametrize("status", [480, 486, 500, 503, 603])
def test_a_phone_that_has_answered_is_not_asked_again_over_another_flow(status: int) -> None:
    world = called()
    phone = world.peer("192.0.2.20")
    phone.send(response(phone.take_request("INVITE"), status, to_tag="b"))
    assert world.peer("192.0.2.21").has_nothing
    assert world.asked[-1].outcomes[-1].status == status


def test_a_phone_that_rang_is_not_rung_again_over_another_flow() -> None:
    world = called(no_answer_s=20.0)
    phone = world.peer("192.0.2.20")
    phone.send(response(phone.take_request("INVITE"), 180, to_tag="b"))
    world.wait(20.5)
    phone.take_request("CANCEL")
    assert world.peer("192.0.2.21").has_nothing


def test_when_the_last_flow_has_failed_that_is_the_answer() -> None:
    world = called()
    for host in ("192.0.2.20", "192.0.2.21"):
        edge = world.peer(host)
        edge.send(response(edge.take_request("INVITE"), 430, to_tag="e"))
    assert [outcome.status for outcome in world.asked[-1].outcomes] == [430]
    world.peer("192.0.2.10").take_response(430)


def test_after_the_caller_gave_up_no_other_flow_is_tried() -> None:
    world = called()
    edge = world.peer("192.0.2.20")
    invite = edge.take_request("INVITE")
    edge.send(response(invite, 180, to_tag="e"))
    world.peer("192.0.2.10").send(request("CANCEL"))
    edge.send(response(invite, 430, to_tag="e"))
    assert world.peer("192.0.2.21").has_nothing
