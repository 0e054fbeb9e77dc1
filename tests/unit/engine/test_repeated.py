"""What was refused for want of room is refused when it is repeated, be there room by then or not."""

import pytest

from limits import limited
from oneproxy.engine import repeated
from oneproxy.engine.decisions import Forward, Reply, Target
from oneproxy.engine.repeated import Repeated
from world import World, request

NOW = 1_800_000_000.0
BOB = Forward([Target("sip:bob@192.0.2.20")])
FULL = Reply(503, "Service Unavailable", ("Retry-After: 7",), stateless=True, cause="full")


def test_a_key_is_known_for_as_long_as_an_invite_is_repeated() -> None:
    keys = Repeated()
    assert not keys.knows(NOW, "a")
    keys.note(NOW, "a")
    assert keys.knows(NOW + 32, "a")
    keys.note(NOW + 31, "b")
    keys.note(NOW + 33, "c")
    assert [keys.knows(NOW + 62, key) for key in "abcd"] == [True, True, True, False]
    keys.note(NOW + 65, "d")
    assert [keys.knows(NOW + 65, key) for key in "abcd"] == [False, False, True, True]
    assert not keys.knows(NOW + 65 + 64, "d")


def test_of_too_many_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated, "_MOST", 10)
    keys = Repeated()
    for number in range(1000):
        keys.note(NOW, str(number))
    assert sum(keys.knows(NOW, str(number)) for number in range(1000)) == 20
    assert keys.knows(NOW, "999")


def test_a_call_that_policy_refused_is_not_let_in_when_it_is_repeated() -> None:
    world = World(FULL, BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    tag = caller.take_response(503).get("to")
    world.wait(0.5)
    caller.send(request("INVITE"))
    again = caller.take_response(503)
    assert (again.get("to"), again.get("retry-after") is not None) == (tag, True)
    assert world.engine.counters.retransmissions == 1
    # Another try of the caller is another one.
    caller.send(request("INVITE", branch="z9hG4bK2", cseq=2))
    world.peer("192.0.2.20").take_request("INVITE")


def test_a_call_that_the_gate_refused_is_not_let_in_when_it_is_repeated() -> None:
    for header in ((), ("v: SIP/2.0/UDP 192.0.2.66;branch=z9hG4bKx",)):
        # One that is spelled as usual is refused before it is read, the other one when it is.
        world = World(BOB)
        room = limited(world, 0)
        caller = world.peer("192.0.2.10")
        caller.send(request("INVITE", "sip:bob@example.com", *header))
        caller.take_response(503)
        room.left, room.since = 5, 0.0
        caller.send(request("INVITE", "sip:bob@example.com", *header))
        caller.take_response(503)
        assert world.peer("192.0.2.20").has_nothing
        caller.send(request("INVITE", "sip:bob@example.com", *header, branch="z9hG4bK2", cseq=2))
        world.peer("192.0.2.20").take_request("INVITE")


def test_a_challenge_is_not_remembered() -> None:
    challenge = Reply(407, "Proxy Authentication Required", stateless=True)
    world = World(challenge, BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    caller.take_response(407)
    caller.send(request("INVITE"))
    world.peer("192.0.2.20").take_request("INVITE")
