"""Branches of our own: nobody can answer a request that he has not seen."""

from itertools import pairwise

from oneproxy.engine.branches import Branches
from oneproxy.engine.decisions import Forward, Target
from world import World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])


def test_no_branch_follows_from_another() -> None:
    branches = Branches("n1")
    made = [branches.new() for _ in range(2000)]
    assert len(set(made)) == 2000
    assert all(branch.startswith("n1.") and len(branch) == 23 for branch in made)
    numbers = [int(branch[3:], 16) for branch in made]
    steps = {later - before for before, later in pairwise(numbers)}
    assert len(steps) == 1999


def test_who_has_seen_one_branch_answers_no_other_request() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE", branch="z9hG4bK1", call_id="c1"))
    seen = callee.take_request("INVITE")
    caller.send(request("INVITE", branch="z9hG4bK2", call_id="c2"))
    branch = (seen.get("via") or "").partition("z9hG4bK")[2]
    number = int(branch.partition(".")[2], 16)
    for step in (1, 2, 16):
        guess = response(seen, 603, to_tag="x").replace(branch.encode(), f"n1.{number + step:020x}".encode())
        world.peer("192.0.2.66").send(guess)
    assert caller.has_nothing
    assert world.engine.counters.stray_responses == 3
