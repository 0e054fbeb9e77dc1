"""Calls in any one second."""

from oneproxy.trunks.pace import Pace
from trunking import NOW


def admitted(pace: Pace, *instants: float) -> list[bool]:
    found = []
    for instant in instants:
        found.append(pace.admits(NOW + instant))
        if found[-1]:
            pace.add(NOW + instant)
    return found


def test_no_second_has_more_than_it_may_wherever_it_begins() -> None:
    assert admitted(Pace(2), 0.0, 0.5, 0.75, 1.0, 1.25, 1.5) == [True, True, False, True, False, True]


def test_another_bound_knows_what_came_before() -> None:
    pace = Pace(3)
    assert admitted(pace, 0.0, 0.25, 0.5) == [True] * 3
    assert admitted(Pace(2, pace), 0.75, 1.25) == [False, True]
    assert admitted(Pace(4, pace), 0.75, 0.875) == [True, False]
