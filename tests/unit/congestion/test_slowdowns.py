"""Neighbours that are sent less: of each the first and the last that is held back are told."""

from oneproxy.congestion.episode import QUIET_S
from oneproxy.congestion.slowdowns import Slowdowns

NOW = 1_800_000_000.0


class Told:
    """Slowdowns, and what they said."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.slowdowns = Slowdowns(
            lambda name, cause: self.said.append((name, cause)),
            lambda name, refused, seconds: self.said.append((name, refused, seconds)),
        )


def test_each_name_has_its_own() -> None:
    told = Told()
    for at, name in enumerate(("a", "b", "a", "a", "b")):
        told.slowdowns.note(NOW + at, name, "oc")
    assert told.said == [("a", "oc"), ("b", "oc")]
    told.said.clear()
    told.slowdowns.expire(NOW + 3 + QUIET_S)
    assert told.said == [("a", {"oc": 3}, 3.0)]
    assert told.slowdowns.deadline() == NOW + 4 + QUIET_S
    told.slowdowns.expire(NOW + 4 + QUIET_S)
    assert told.said[1:] == [("b", {"oc": 2}, 3.0)]
    assert told.slowdowns.deadline() is None


def test_one_that_was_over_begins_anew() -> None:
    told = Told()
    for at in (0.0, 100.0):
        told.slowdowns.note(NOW + at, "a", "oc")
        told.slowdowns.expire(NOW + at + QUIET_S)
    assert told.said == [("a", "oc"), ("a", {"oc": 1}, 0.0)] * 2


def test_who_wakes_them_is_told_of_each_beginning() -> None:
    told = Told()
    woken: list[int] = []
    told.slowdowns.on_sooner = lambda: woken.append(1)
    for name in ("a", "a", "b"):
        told.slowdowns.note(NOW, name, "oc")
    assert len(woken) == 2


def test_all_can_be_ended_early() -> None:
    told = Told()
    told.slowdowns.close()
    told.slowdowns.note(NOW, "a", "oc")
    told.slowdowns.note(NOW, "b", "retry-after")
    told.said.clear()
    told.slowdowns.close()
    assert told.said == [("a", {"oc": 1}, 0.0), ("b", {"retry-after": 1}, 0.0)]
    assert told.slowdowns.deadline() is None
