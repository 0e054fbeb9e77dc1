"""Limits of the gate as tests script them."""

from math import inf

from world import World


class Room:
    """A limit that has room for so many calls, from an instant on."""

    def __init__(self, calls: int, follows: bool = False) -> None:
        self.left = calls
        self.follows = follows
        self.cause = "no-room"
        self.since = 0.0
        self.refusals = 0

    def full_until(self, now: float) -> float:
        return self.since if self.left > 0 else inf

    def begun(self, now: float) -> None:
        self.left -= 1

    def refused(self, now: float) -> None:
        self.refusals += 1


def limited(world: World, calls: int, follows: bool = False) -> Room:
    """Let so many calls into a world."""
    room = Room(calls, follows)
    world.engine.gate.limit = room
    world.engine.gate.look_again()
    return room
