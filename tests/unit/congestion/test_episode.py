"""Episodes of refusals: the first and the last of each are told."""

from oneproxy.congestion.episode import QUIET_S, Episode

NOW = 1_800_000_000.0


class Told:
    """An episode, and what it said."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.episode = Episode(
            self.said.append, lambda refused, seconds: self.said.append((refused, seconds))
        )


def test_the_first_refusal_is_told_and_the_others_are_counted() -> None:
    told = Told()
    for at in range(3):
        told.episode.note(NOW + at, "a")
    told.episode.note(NOW + 3, "b")
    assert told.said == ["a"]
    told.episode.expire(NOW + 3 + QUIET_S)
    assert told.said == ["a", ({"a": 3, "b": 1}, 3.0)]


def test_it_is_over_when_nothing_was_refused_for_a_while() -> None:
    told = Told()
    told.episode.note(NOW, "a")
    told.episode.note(NOW + 4, "a")
    assert told.episode.deadline() == NOW + 4 + QUIET_S
    told.episode.expire(NOW + QUIET_S)
    assert told.said == ["a"]
    told.episode.expire(NOW + 4 + QUIET_S)
    assert told.said == ["a", ({"a": 2}, 4.0)]
    assert told.episode.deadline() is None


def test_the_next_refusal_begins_another_one() -> None:
    told = Told()
    for at in (0.0, 100.0):
        told.episode.note(NOW + at, "a")
        told.episode.expire(NOW + at + QUIET_S)
    assert told.said == ["a", ({"a": 1}, 0.0)] * 2


def test_who_wakes_it_is_told_of_its_beginning_alone() -> None:
    told = Told()
    woken: list[int] = []
    told.episode.on_sooner = lambda: woken.append(1)
    told.episode.note(NOW, "a")
    told.episode.note(NOW + 1, "a")
    assert len(woken) == 1


def test_it_can_be_ended_early_and_where_there_is_none_nothing_is_told() -> None:
    told = Told()
    told.episode.close()
    told.episode.expire(NOW)
    told.episode.note(NOW, "a")
    told.episode.close()
    assert told.said == ["a", ({"a": 1}, 0.0)]
