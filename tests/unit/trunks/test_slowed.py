"""Gateways that say by RFC 7339 how much less they want: the next one has the call, and nothing is held
against those that were sent nothing."""

from neighbourly import ASKING
from oneproxy.site.model import Route
from oneproxy.trunks.health import State
from routed import CALLER, Routed, dial, gateway, provider, site
from world import response

NUMBER = "+351912345678"
NOTHING = b';oc=100;oc-algo="loss";oc-validity=60000;oc-seq=1.0'


def world_of(gateways: int) -> Routed:
    """A provider of which the first gateway has said that it wants nothing."""
    of = provider("p", *(gateway(f"g{place}") for place in range(gateways)))
    world = Routed(site((of,), (Route("+351", provider="p"),)))
    world.engine.neighbours.asks = True
    first = world.peer("192.0.2.20")
    world.peer(CALLER).send(dial(NUMBER, branch="z9hG4bKfirst", call_id="first"))
    busy = response(first.take_request("INVITE"), 486)
    first.send(busy.replace(ASKING.encode(), NOTHING))
    first.take_request("ACK")
    world.peer(CALLER).take_response(486)
    return world


def test_the_next_gateway_has_the_call() -> None:
    world = world_of(2)
    for number in range(10):
        world.peer(CALLER).send(dial(NUMBER, branch=f"z9hG4bK{number}", call_id=f"c{number}"))
        world.peer("192.0.2.21").take_request("INVITE")
    assert world.peer("192.0.2.20").has_nothing
    state = world.state("p", "g0")
    assert (state.health.state, state.health.run, state.calls, state.waiting) == (State.UP, 0, 0, 0)
    assert {kind: count for kind, count in state.ends.items() if count} == {"4xx": 1, "slowed": 10}
    assert (state.rate(), state.judged) == (1.0, 1)
    assert world.calls("p", "g1") == 10


def test_where_no_other_is_left_the_caller_is_told_to_come_again_without_a_time() -> None:
    world = world_of(1)
    world.peer(CALLER).send(dial(NUMBER))
    assert world.peer(CALLER).take_response(503).get("retry-after") is None
    assert world.peer("192.0.2.20").has_nothing


def test_what_a_gateway_has_said_goes_before_what_another_was_not_asked() -> None:
    world = world_of(2)
    world.peer(CALLER).send(dial(NUMBER))
    second = world.peer("192.0.2.21")
    second.send(response(second.take_request("INVITE"), 502))
    world.peer(CALLER).take_response(502)


def test_a_message_goes_to_the_next_one_as_well() -> None:
    world = world_of(2)
    world.peer(CALLER).send(dial(NUMBER, method="MESSAGE"))
    world.peer("192.0.2.21").take_request("MESSAGE")


def test_a_canary_that_was_sent_nothing_is_neither_proved_nor_ejected() -> None:
    world = world_of(1)
    health = world.state("p", "g0").health
    health.state = State.CANARY
    world.peer(CALLER).send(dial(NUMBER))
    world.peer(CALLER).take_response(503)
    assert (health.state, health.proved, health.trying) == (State.CANARY, 0, None)
