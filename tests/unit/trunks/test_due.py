"""What is due when."""

from random import Random

from oneproxy.trunks.due import Due


def popped(due: Due[str], now: float) -> list[str]:
    found = []
    while (item := due.pop(now)) is not None:
        found.append(item)
    return found


def test_what_is_due_comes_in_the_order_of_its_time_and_once() -> None:
    due: Due[str] = Due()
    for item, at in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        due.set(item, at)
    assert due.deadline() == 1.0
    assert popped(due, 0.9) == []
    assert popped(due, 2.0) == ["a", "b"]
    assert (due.deadline(), len(due)) == (3.0, 1)
    assert popped(due, 9.0) == ["c"]
    assert (due.deadline(), len(due)) == (None, 0)


def test_what_is_set_anew_is_due_at_the_new_time_alone() -> None:
    due: Due[str] = Due()
    due.set("a", 1.0)
    due.set("b", 2.0)
    due.set("a", 3.0)
    assert due.deadline() == 2.0
    due.set("b", 1.5)
    assert popped(due, 2.9) == ["b"]
    due.set("a", 2.0)
    assert popped(due, 9.0) == ["a"]


def test_what_is_due_at_no_time_does_not_come() -> None:
    due: Due[str] = Due()
    due.set("a", 1.0)
    due.set("a", None)
    due.set("b", None)
    assert (due.deadline(), popped(due, 9.0)) == (None, [])
    due.set("a", 1.0)
    assert popped(due, 9.0) == ["a"]


def test_it_is_told_when_something_is_due_sooner_than_all_else() -> None:
    due: Due[str] = Due()
    told: list[float | None] = []
    due.on_sooner = lambda: told.append(due.deadline())
    due.set("a", 5.0)
    due.set("b", 7.0)
    due.set("c", 3.0)
    due.set("c", 3.0)
    due.set("a", 2.0)
    assert told == [5.0, 3.0, 2.0]


def test_setting_it_over_and_over_keeps_no_more_than_there_is() -> None:
    due: Due[int] = Due()
    random = Random(1)
    wanted = {}
    for _ in range(20_000):
        item = random.randrange(50)
        wanted[item] = random.random()
        due.set(item, wanted[item])
    assert len(due._heap) < 250
    found = []
    while (item_or_none := due.pop(1.0)) is not None:
        found.append(item_or_none)
    assert found == sorted(wanted, key=lambda item: wanted[item])
