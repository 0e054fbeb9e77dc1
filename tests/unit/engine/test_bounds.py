"""A full table and a node that drains: what is refused, and what goes on."""

from oneproxy.engine.decisions import Forward, Target
from world import World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])
EMPTY = {"servers": 0, "clients": 0}


def test_a_draining_node_refuses_what_is_new_and_finishes_what_is_not() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    world.engine.drain()
    assert world.engine.unanswered() == 1
    caller.send(request("INVITE"))
    assert (caller.has_nothing, callee.has_nothing) == (True, True)
    for number, method in enumerate(("INVITE", "OPTIONS", "REGISTER")):
        caller.send(request(method, "sip:example.com", branch=f"z9hG4bKn{number}"))
        assert caller.take_response(503).get("retry-after") == "5"
    callee.send(response(invite, 200, to_tag="b"))
    route = caller.take_response(200).get("record-route")
    assert world.engine.unanswered() == 0
    caller.send(request("BYE", "sip:bob@192.0.2.20", f"Route: {route}", branch="z9hG4bK3", to_tag="b"))
    callee.take_request("BYE")
    assert len(world.asked) == 1


def test_a_full_table_refuses_without_remembering() -> None:
    world = World(BOB, transactions=2)
    caller = world.peer("192.0.2.10")
    for number in range(4):
        caller.send(request("INVITE", branch=f"z9hG4bK{number}", call_id=str(number)))
    assert caller.take_all() == ["SIP/2.0 503 Service Unavailable"] * 2
    assert world.engine.sizes() == {"servers": 2, "clients": 2}
    assert world.engine.counters.dropped == {"full": 2}


def test_a_full_table_still_serves_what_it_holds_and_takes_in_again_what_leaves() -> None:
    world = World(BOB, transactions=1)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    refused = request("INVITE", branch="z9hG4bK2", call_id="call-2")
    caller.send(refused)
    answer = caller.take_response(503)
    assert (answer.get("retry-after"), world.engine.counters.dropped) == ("10", {"full": 1})
    callee.send(response(invite, 180, to_tag="b"))
    caller.take_response(180)
    caller.send(request("INVITE"))
    caller.take_response(180)
    callee.send(response(invite, 200, to_tag="b"))
    caller.take_response(200)
    world.wait(33)
    caller.send(refused)
    assert callee.take_request("INVITE").get("call-id") == "call-2"


def test_options_to_oneproxy_is_answered_while_the_table_is_full() -> None:
    world = World(BOB, transactions=0)
    caller = world.peer("192.0.2.10")
    caller.send(request("OPTIONS", "sip:192.0.2.1"))
    assert caller.take_all() == ["SIP/2.0 200 OK"]
    assert (world.asked, world.engine.sizes()) == ([], EMPTY)
