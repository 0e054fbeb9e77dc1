"""What becomes of requests whose connection breaks (RFC 3261 18.4, RFC 5626)."""

from oneproxy.engine.decisions import Forward, Target
from world import World, request, response

TCP_BOB = Target("sip:bob@192.0.2.20;transport=tcp")
NOTHING_LEFT = {"servers": 0, "clients": 0}


def calling(*targets: Target) -> World:
    world = World(Forward(list(targets or (TCP_BOB,))), also=("TCP",))
    world.peer("192.0.2.10").send(request("INVITE"))
    return world


def test_a_request_that_nothing_came_back_to_has_failed_with_its_connection() -> None:
    world = calling()
    world.close(world.peer("192.0.2.20", transport="TCP"))
    world.peer("192.0.2.10").take_response(500)
    assert [(one.status, one.error) for one in world.asked[-1].outcomes] == [(503, "transport")]
    world.wait(300)
    assert world.engine.sizes() == NOTHING_LEFT


def test_a_call_that_rings_goes_on_since_its_answer_may_come_another_way() -> None:
    world = calling()
    bob = world.peer("192.0.2.20", transport="TCP")
    invite = bob.take_request("INVITE")
    bob.send(response(invite, 180, to_tag="b"))
    world.close(bob)
    world.peer("192.0.2.20", 33333, "TCP").send(response(invite, 200, to_tag="b"))
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 180 Because", "SIP/2.0 200 Because"]


def test_every_request_on_the_connection_fails_and_no_other() -> None:
    world = calling(TCP_BOB, Target("sip:bob@192.0.2.21;transport=tcp"))
    world.close(world.peer("192.0.2.20", transport="TCP"))
    assert world.peer("192.0.2.10").has_nothing
    other = world.peer("192.0.2.21", transport="TCP")
    other.send(response(other.take_request("INVITE"), 200, to_tag="b"))
    world.peer("192.0.2.10").take_response(200)


def test_a_flow_keeps_no_transaction_that_is_over() -> None:
    world = calling()
    bob = world.peer("192.0.2.20", transport="TCP")
    bob.send(response(bob.take_request("INVITE"), 486, to_tag="b"))
    assert not bob.flow.pending


def test_policy_hears_of_a_closed_connection() -> None:
    world = calling()
    bob = world.peer("192.0.2.20", transport="TCP")
    world.close(bob)
    assert world.closed_flows == [bob.flow]


def test_a_datagram_flow_remembers_no_transactions() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    world.peer("192.0.2.10").send(request("INVITE"))
    assert not world.peer("192.0.2.20").flow.pending


def test_a_page_that_is_gone_rings_no_more() -> None:
    world = World(also=("WS",))
    page = world.peer("192.0.2.20", 40000, "WS")
    world.decisions = (Forward([Target("sip:bob@x.invalid;transport=ws", flow=page.flow)]),)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    page.send(response(page.take_request("INVITE"), 180, to_tag="b"))
    world.close(page)
    assert caller.take_all() == ["SIP/2.0 180 Because", "SIP/2.0 500 Server Internal Error"]
