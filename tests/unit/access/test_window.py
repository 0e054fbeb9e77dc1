"""Counts within a time that slides."""

from oneproxy.access.window import Window

NOW = 1_700_000_000.0


def test_what_is_older_than_the_window_does_not_count() -> None:
    window = Window(80, 100)
    assert [window.add("a", NOW) for _ in range(3)] == [1, 2, 3]
    assert window.add("a", NOW + 69) == 4
    assert window.count("a", NOW + 91) == 1
    assert window.count("a", NOW + 1000) == 0


def test_what_leaves_the_window_leaves_it_evenly_within_one_slice() -> None:
    # The instant is at the start of a slice of 10 s.
    window = Window(80, 100)
    for _ in range(10):
        window.add("a", NOW)
    counts = [window.count("a", NOW + 80 + passed) for passed in (0, 2.5, 5, 7.5, 10)]
    assert counts == [10, 7.5, 5, 2.5, 0]


def test_a_steady_stream_counts_as_what_came_in_one_window() -> None:
    window = Window(60, 100)
    for number in range(600):
        counted = window.add("a", NOW + number)
    assert 58 <= counted <= 62


def test_keys_are_counted_each_by_itself() -> None:
    window = Window(60, 100)
    window.add("a", NOW)
    window.add("a", NOW)
    assert window.add("b", NOW) == 1


def test_a_clock_that_stands_or_goes_back_a_little_forgets_nothing() -> None:
    window = Window(80, 100)
    window.add("a", NOW)
    assert window.add("a", NOW - 15) == 2


def test_a_full_table_lets_go_of_the_oldest_and_goes_on_counting() -> None:
    window = Window(80, 1000)
    for number in range(900):
        window.add(f"old{number}", NOW)
    for number in range(900):
        window.add(f"new{number}", NOW + 20)
    assert len(window) <= 1000
    assert window.count("old1", NOW + 20) == 0
    assert window.count("new1", NOW + 20) == 1
    assert window.add("new899", NOW + 20) == 2


def test_a_full_table_of_one_instant_begins_anew() -> None:
    window = Window(80, 1000)
    for number in range(100_000):
        window.add(number, NOW)
    assert 0 < len(window) <= 1000
