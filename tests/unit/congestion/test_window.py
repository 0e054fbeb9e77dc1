"""The window of calls at its edges, and how it is changed."""

from oneproxy.congestion.window import Window

NOW = 1_800_000_000.0


def taken(window: Window, *instants: float) -> list[float]:
    """Those of the instants, after `NOW`, at which a call was let in."""
    began = []
    for at in instants:
        if NOW + at >= window.full_until():
            window.add(NOW + at)
            began.append(at)
    return began


def test_no_more_than_the_calls_of_a_period_are_let_in() -> None:
    assert taken(Window(3, 1.0), 0.0, 0.1, 0.2, 0.3, 0.9) == [0.0, 0.1, 0.2]


def test_a_call_leaves_the_window_a_period_after_it_began() -> None:
    assert taken(Window(2, 1.0), 0.0, 0.5, 0.75, 1.0, 1.25, 1.5) == [0.0, 0.5, 1.0, 1.5]


def test_it_says_when_the_next_call_may_begin() -> None:
    window = Window(2, 0.5)
    window.add(NOW)
    assert window.full_until() == 0.0
    window.add(NOW + 0.25)
    assert window.full_until() == NOW + 0.5


def test_a_call_that_is_let_in_all_the_same_counts_like_any_other() -> None:
    window = Window(2, 1.0)
    for at in (0.0, 0.25, 0.5):
        window.add(NOW + at)
    assert window.full_until() == NOW + 1.25


def test_without_a_number_there_is_no_limit_and_nothing_is_remembered() -> None:
    window = Window(0, 1.0)
    window.add(NOW)
    assert window.full_until() == 0.0
    window.take(1, 1.0)
    assert window.full_until() == 0.0


def test_a_lower_limit_counts_the_calls_of_before() -> None:
    window = Window(3, 1.0)
    taken(window, 0.0, 0.1, 0.2, 0.3, 1.0)
    window.take(2, 1.0)
    assert window.full_until() == NOW + 1.2


def test_a_higher_limit_counts_them_too() -> None:
    window = Window(2, 1.0)
    assert taken(window, 0.0, 0.5, 1.0) == [0.0, 0.5, 1.0]
    window.take(3, 1.0)
    assert taken(window, 1.1, 1.2, 1.5) == [1.1, 1.5]


def test_another_period_is_that_of_the_calls_of_before() -> None:
    window = Window(1, 1.0)
    window.add(NOW)
    window.take(1, 60.0)
    assert window.full_until() == NOW + 60.0
