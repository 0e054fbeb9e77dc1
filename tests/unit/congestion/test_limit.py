"""The limits of a node at its engine's gate: so many calls in a period, so many at once."""

from typing import Any

from oneproxy.congestion.episode import Episode
from oneproxy.congestion.limit import CallLimit
from oneproxy.engine.decisions import Forward, Target
from oneproxy.site.model import Congestion
from world import World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])


class Limited(World):
    """A world whose calls are limited as a site says. causes: of the first refusals of episodes."""

    def __init__(self, **keys: Any) -> None:
        super().__init__(BOB)
        self.causes: list[str] = []
        self.limit = CallLimit(self.engine.calls, Episode(self.causes.append, lambda *_: None))
        self.limit.take(Congestion(**keys))
        self.engine.gate.limit = self.limit
        self.engine.gate.look_again()
        self.placed_calls = 0
        #: The BYE of the last call that was answered.
        self.hang_up = b""

    def call(self) -> bool:
        """Place another call; whether it went on."""
        self.placed_calls += 1
        caller, callee = self.peer("192.0.2.10"), self.peer("192.0.2.20")
        caller.send(request("INVITE", branch=f"z9hG4bK{self.placed_calls}", call_id=f"c{self.placed_calls}"))
        if callee.has_nothing:
            caller.take_response(503)
            return False
        return True

    def refused(self) -> dict[str, int]:
        return dict(self.engine.counters.refused)


def test_calls_of_a_period_are_let_in_as_the_window_goes_on() -> None:
    world = Limited(calls=2, period_s=1.0)
    assert [answered(world) for _ in range(3)] == [True, True, False]
    world.wait(1.0)
    assert [answered(world) for _ in range(3)] == [True, True, False]
    assert world.refused() == {"calls-per-period": 2}
    assert world.causes == ["calls-per-period"]


def answered(world: Limited) -> bool:
    """Place a call that is answered and stays, if it goes on."""
    if not world.call():
        return False
    callee, caller = world.peer("192.0.2.20"), world.peer("192.0.2.10")
    callee.send(response(callee.take_request("INVITE"), 200, "Contact: <sip:bob@192.0.2.20>", to_tag="b"))
    route = caller.take_response(200).get("record-route")
    world.hang_up = request(
        "BYE",
        "sip:bob@192.0.2.20",
        f"Route: {route}",
        branch=f"z9hG4bKb{world.placed_calls}",
        call_id=f"c{world.placed_calls}",
        to_tag="b",
        cseq=2,
    )
    return True


def test_calls_at_once_count_from_the_invite_to_the_bye() -> None:
    world = Limited(max_calls=2)
    assert [answered(world) for _ in range(3)] == [True, True, False]
    world.wait(3600)
    assert not world.call()
    world.peer("192.0.2.10").take_all()
    world.peer("192.0.2.20").take_all()
    world.peer("192.0.2.10").send(world.hang_up)
    callee = world.peer("192.0.2.20")
    callee.send(response(callee.take_request("BYE"), 200))
    world.peer("192.0.2.10").take_response(200)
    assert [answered(world) for _ in range(2)] == [True, False]
    assert world.refused() == {"max-calls": 3}
    assert world.causes == ["max-calls"]


def test_a_call_that_rings_counts_until_it_has_failed() -> None:
    world = Limited(max_calls=1)
    assert world.call()
    callee = world.peer("192.0.2.20")
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 180, to_tag="b"))
    assert not answered_at_once(world)
    callee.send(response(invite, 486, to_tag="b"))
    callee.take_request("ACK")
    assert answered_at_once(world)


def answered_at_once(world: Limited) -> bool:
    """Place a call whose responses of before do not matter."""
    world.peer("192.0.2.10").take_all()
    return answered(world)


def test_a_call_that_nobody_answers_counts_until_it_is_given_up() -> None:
    world = Limited(max_calls=1)
    assert world.call()
    world.wait(31)
    world.peer("192.0.2.20").take_all()
    world.peer("192.0.2.10").take_all()
    assert not world.call()
    world.wait(2)
    world.peer("192.0.2.20").take_all()
    assert answered_at_once(world)


def test_a_call_whose_bye_was_lost_does_not_count_for_ever() -> None:
    world = Limited(max_calls=1)
    assert answered(world)
    world.wait(43_200)
    world.peer("192.0.2.20").take_all()
    assert answered_at_once(world)


def test_without_room_for_calls_at_once_the_period_does_not_matter() -> None:
    world = Limited(calls=1, period_s=1.0, max_calls=1)
    assert answered(world)
    world.wait(10)
    assert not world.call()
    assert world.refused() == {"max-calls": 1}


def test_a_site_without_limits_has_none() -> None:
    world = Limited()
    assert (world.limit.is_set, world.limit.follows) == (False, False)
    assert all(answered(world) for _ in range(100))
    assert world.refused() == {}


def test_a_change_of_the_site_keeps_what_began() -> None:
    world = Limited(calls=3, period_s=10.0)
    assert [answered(world) for _ in range(2)] == [True, True]
    world.limit.take(Congestion(calls=2, period_s=10.0))
    world.engine.gate.look_again()
    assert not answered(world)
    world.limit.take(Congestion(calls=4, period_s=10.0))
    world.engine.gate.look_again()
    assert [answered(world) for _ in range(3)] == [True, True, False]
