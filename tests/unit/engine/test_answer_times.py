"""How long a target is waited for where policy says so, and what it is told of each."""

from oneproxy.engine.decisions import Ask, Decision, Forward, Target
from world import World, request, response

CAROL = Forward([Target("sip:carol@192.0.2.30")])
NOTHING_LEFT = {"servers": 0, "clients": 0}


def test_a_target_that_says_nothing_is_left_when_policy_has_waited_enough() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20", first_response_s=2.0)]), CAROL)
    world.peer("192.0.2.10").send(request("INVITE"))
    world.wait(1.9)
    assert world.peer("192.0.2.30").has_nothing
    world.wait(0.1)
    world.peer("192.0.2.30").take_request("INVITE")
    assert [(one.status, one.error) for one in world.asked[1].outcomes] == [(408, "timeout")]


def test_a_target_that_has_said_something_may_take_its_time() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20", first_response_s=2.0)]), CAROL)
    world.peer("192.0.2.10").send(request("INVITE"))
    bob = world.peer("192.0.2.20")
    bob.send(response(bob.take_request("INVITE"), 100))
    world.wait(100)
    assert world.peer("192.0.2.30").has_nothing


def test_a_target_that_does_not_answer_is_cancelled_and_the_next_tried_at_once() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20", no_answer_s=20.0)]), CAROL)
    start = world.now
    world.peer("192.0.2.10").send(request("INVITE"))
    bob = world.peer("192.0.2.20")
    invite = bob.take_request("INVITE")
    world.wait(1)
    bob.take_request("INVITE")  # once more, since nothing had come back
    bob.send(response(invite, 180, to_tag="b"))
    world.wait(18)
    bob.send(response(invite, 180, to_tag="b"))
    assert world.peer("192.0.2.30").has_nothing
    world.wait(1)
    bob.take_request("CANCEL")
    world.peer("192.0.2.30").take_request("INVITE")
    outcome = world.asked[1].outcomes[0]
    assert (outcome.status, outcome.error) == (408, "no-answer")
    assert (outcome.started_at, outcome.first_response_at, outcome.ended_at) == (start, start + 1, start + 20)


def test_the_487_of_a_target_that_was_left_changes_nothing() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20", no_answer_s=5.0)]), CAROL)
    caller, bob, carol = world.peer("192.0.2.10"), world.peer("192.0.2.20"), world.peer("192.0.2.30")
    caller.send(request("INVITE"))
    invite = bob.take_request("INVITE")
    bob.send(response(invite, 180, to_tag="b"))
    world.wait(5)
    bob.send(response(bob.take_request("CANCEL"), 200))
    bob.send(response(invite, 487, to_tag="b"))
    bob.take_request("ACK")
    carol.send(response(carol.take_request("INVITE"), 486, to_tag="c"))
    assert caller.take_all()[-1] == "SIP/2.0 486 Because"
    assert len(world.asked[-1].outcomes) == 2


def test_a_2xx_that_overtakes_the_cancel_is_the_answer() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20", no_answer_s=5.0)]), CAROL)
    caller, bob, carol = world.peer("192.0.2.10"), world.peer("192.0.2.20"), world.peer("192.0.2.30")
    caller.send(request("INVITE"))
    invite = bob.take_request("INVITE")
    bob.send(response(invite, 180, to_tag="b"))
    world.wait(5)
    carol.send(response(carol.take_request("INVITE"), 180, to_tag="c"))
    bob.send(response(invite, 200, to_tag="b"))
    assert caller.take_all()[-1] == "SIP/2.0 200 Because"
    carol.take_request("CANCEL")
    world.wait(300)
    assert world.engine.sizes() == NOTHING_LEFT


def test_no_answer_within_the_time_and_no_provisional_either() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20", no_answer_s=5.0)]), CAROL)
    world.peer("192.0.2.10").send(request("INVITE"))
    world.wait(5)
    world.peer("192.0.2.30").take_request("INVITE")


def test_a_6xx_ends_the_search_whatever_policy_says() -> None:
    def decide(ask: Ask) -> Decision:
        return (
            CAROL if ask.outcomes else Forward([Target("sip:bob@192.0.2.20"), Target("sip:bob@192.0.2.21")])
        )

    world = World(decide, decide)
    world.peer("192.0.2.10").send(request("INVITE"))
    one, two = world.peer("192.0.2.20"), world.peer("192.0.2.21")
    invite = two.take_request("INVITE")
    two.send(response(invite, 180, to_tag="c"))
    one.send(response(one.take_request("INVITE"), 603, to_tag="b"))
    two.take_request("CANCEL")
    two.send(response(invite, 487, to_tag="c"))
    assert world.peer("192.0.2.30").has_nothing
    assert world.peer("192.0.2.10").take_all()[-1] == "SIP/2.0 603 Because"


def test_headers_of_a_target_are_added_for_it_alone() -> None:
    targets = [Target("sip:bob@192.0.2.20", headers=("X-Line: 1",)), Target("sip:bob@192.0.2.21")]
    world = World(Forward(targets))
    world.peer("192.0.2.10").send(request("INVITE"))
    assert world.peer("192.0.2.20").take_request("INVITE").get("x-line") == "1"
    assert world.peer("192.0.2.21").take_request("INVITE").get("x-line") is None
