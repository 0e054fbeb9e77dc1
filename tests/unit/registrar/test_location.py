"""The bindings in memory."""

import pytest
from msgspec import structs

from asking import NOW
from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.location import MAX_SWEPT, ROUND_S, Location
from oneproxy.registrar.unsaved import MAX_MEANT, MAX_SIZE


def bound(contact: str = "sip:a@b", q: int = 1000, left_s: float = 60) -> Binding:
    return Binding(contact, NOW + left_s, q, "c1", 1, "udp:192.0.2.7:5062", NOW)


def holding(*bindings: Binding, aor: str = "alice@example.com", capacity: int = 10) -> Location:
    location = Location(capacity)
    location.apply(Change(aor, (), bindings))
    return location


def found(location: Location, now: float = NOW, aor: str = "alice@example.com") -> list[str]:
    return [binding.contact for binding in location.lookup(aor, now)]


def test_nobody_is_found_where_nobody_registered() -> None:
    assert found(Location(10)) == []


def test_contacts_are_found_by_preference_and_among_equals_in_the_order_they_came() -> None:
    location = holding(bound("low", q=100), bound("first"), bound("second"), bound("middle", q=500))
    assert found(location) == ["first", "second", "middle", "low"]


def test_a_binding_is_found_until_the_instant_it_expires() -> None:
    location = holding(bound("short", left_s=60), bound("long", left_s=90))
    assert found(location, NOW + 59.999) == ["short", "long"]
    assert found(location, NOW + 60) == ["long"]
    assert found(location, NOW + 90) == []


def test_a_change_removes_replaces_and_adds_at_once() -> None:
    location = holding(bound("goes"), bound("stays"), bound("changes"))
    location.apply(Change("alice@example.com", ("goes",), (bound("changes", q=1), bound("comes"))))
    assert found(location) == ["stays", "comes", "changes"]
    assert location.count == 3


def test_an_address_whose_last_binding_goes_takes_no_room() -> None:
    location = holding(bound())
    location.apply(Change("alice@example.com", ("sip:a@b",), ()))
    assert (location.count, location.stored("alice@example.com")) == (0, [])


def test_removing_from_an_unknown_address_changes_nothing() -> None:
    location = Location(10)
    location.apply(Change("alice@example.com", ("sip:a@b",), ()))
    assert location.count == 0


def test_growth_counts_what_is_new_less_what_goes() -> None:
    location = holding(bound("one"), bound("two"))
    assert location.growth(Change("alice@example.com", (), (bound("one"), bound("three")))) == 1
    assert location.growth(Change("alice@example.com", ("one",), (bound("three"),))) == 0
    assert location.growth(Change("alice@example.com", ("one", "two"), ())) == -2


def test_what_the_recorder_has_is_loaded_as_far_as_there_is_room() -> None:
    location = Location(2)
    location.load(
        [("a@example.com", bound("a1")), ("b@example.com", bound("b1")), ("b@example.com", bound("b2"))]
    )
    assert (found(location, aor="a@example.com"), found(location, aor="b@example.com")) == (["a1"], [])
    assert (location.count, location.left_out) == (1, 2)
    location.load([("a@example.com", bound("a1", q=5))])
    assert (location.count, location.left_out) == (1, 2)


def test_what_is_left_out_is_counted_once_however_often_it_is_loaded() -> None:
    location = Location(1, known=False)
    for _ in range(2):
        location.begin()
        location.load([(f"{name}@x", bound()) for name in "abc"])
        assert (location.count, location.left_out) == (1, 2)


def test_loading_several_contacts_of_one_address_keeps_them_all() -> None:
    location = Location(10)
    location.load([("a@example.com", bound("low", q=1)), ("a@example.com", bound("high"))])
    assert found(location, aor="a@example.com") == ["high", "low"]


def test_a_sweep_drops_what_has_expired_and_keeps_the_rest() -> None:
    location = holding(bound("short", left_s=60), bound("long", left_s=90))
    location.apply(Change("bob@example.com", (), (bound("gone", left_s=10),)))
    assert location.sweep(NOW + 60, 100) == 2
    assert location.count == 1
    assert [binding.contact for binding in location.stored("alice@example.com")] == ["long"]
    assert location.stored("bob@example.com") == []


def test_a_sweep_looks_at_no_more_than_its_budget_and_goes_on_where_it_stopped() -> None:
    location = Location(100)
    for number in range(10):
        location.apply(Change(f"u{number}@example.com", (), (bound(left_s=0 if number > 5 else 60),)))
    assert [location.sweep(NOW, 2) for _ in range(6)] == [0, 0, 0, 2, 2, 0]
    assert location.count == 6


def test_the_whole_table_is_tended_in_a_round_however_often_that_is_asked_for() -> None:
    location = Location(1000)
    for number in range(600):
        location.apply(Change(f"u{number}@example.com", (), (bound(left_s=1),)))
    location.tend(NOW)
    assert location.count == 600
    for tenth in range(1, 2 + int(10 * ROUND_S)):
        location.tend(NOW + 1 + tenth / 10)
    assert location.count == 0


def test_no_tending_takes_long_however_late_it_comes() -> None:
    location = Location(1000)
    for number in range(600):
        location.apply(Change(f"u{number}@example.com", (), (bound(left_s=1),)))
    location.tend(NOW + 1000)
    assert location.count == 600 - MAX_SWEPT


def test_a_sweep_of_nothing_does_nothing() -> None:
    assert Location(10).sweep(NOW, 5) == 0


def ticked(location: Location, *names: str, last: bool = False) -> None:
    """Load a page with one contact for each name."""
    location.load([(f"{name}@x", bound(f"db-{name}")) for name in names], last)


def test_what_the_load_has_passed_does_not_come_back_with_what_becomes_unsaved() -> None:
    location = Location(10)
    location.apply(Change("a@x", (), (bound("gone"),)))
    location.begin()
    ticked(location, "b")
    assert location.keep_unsaved(Change("a@x", ("gone",), ()))
    ticked(location, "c", last=True)
    assert (location.stored("a@x"), location.count) == ([], 2)


def test_nothing_is_known_until_its_page_has_come_or_it_was_asked_for() -> None:
    location = Location(10, known=False)
    location.begin()
    assert not location.knows("a@x")
    ticked(location, "a", "c")
    assert [location.knows(f"{name}@x") for name in "abcde"] == [True, True, True, False, False]
    location.fetched(["e@x", "f@x"], [("e@x", bound("db-e"))])
    assert [location.knows(f"{name}@x") for name in "def"] == [False, True, True]
    assert found(location, aor="e@x") == ["db-e"]
    ticked(location, "d", "e", last=True)
    assert all(location.knows(f"{name}@x") for name in "abcdefg")
    assert location.count == 4


def test_changes_of_others_to_what_is_not_known_are_left_to_the_page_that_has_them() -> None:
    location = Location(10, known=False)
    location.begin()
    ticked(location, "a")
    location.changed(Change("a@x", (), (bound("more"),)))
    location.changed(Change("b@x", (), (bound("more"),)))
    assert (found(location, aor="a@x"), found(location, aor="b@x")) == (["db-a", "more"], [])


def test_during_a_new_load_what_was_there_is_found_until_its_page_has_come() -> None:
    location = Location(10)
    for name in "abcd":
        location.apply(Change(f"{name}@x", (), (bound(f"old-{name}"),)))
    location.begin()
    ticked(location, "a", "c")
    assert [found(location, aor=f"{name}@x") for name in "abcd"] == [["db-a"], [], ["db-c"], ["old-d"]]
    location.apply(Change("d@x", (), (bound("new"),)))
    assert found(location, aor="d@x") == ["old-d", "new"]
    # A second break: what the first attempt brought stays in use.
    location.begin()
    assert [found(location, aor=f"{name}@x") for name in "acd"] == [["db-a"], ["db-c"], ["old-d", "new"]]
    ticked(location, "a", last=True)
    assert [found(location, aor=f"{name}@x") for name in "abcd"] == [["db-a"], [], [], []]
    assert location.count == 1


def test_what_is_not_stored_outlives_a_load_and_changes_of_others() -> None:
    location = holding(bound("kept"), bound("stale"), aor="a@x")
    change = Change("a@x", ("gone",), (bound("kept", q=5),))
    location.apply(change)
    assert location.keep_unsaved(change)
    location.changed(Change("a@x", ("kept",), (bound("gone"), bound("theirs"))))
    assert found(location, aor="a@x") == ["stale", "theirs", "kept"]
    location.begin()
    location.load([("a@x", bound("gone")), ("a@x", bound("kept")), ("a@x", bound("theirs"))])
    assert found(location, aor="a@x") == ["theirs", "kept"]
    assert location.to_store("a@x", 64) == Change("a@x", ("gone",), (bound("kept", q=5),), (None,))
    location.settle(location.to_store("a@x", 64))
    assert (location.unsaved, location.unsaved_count, location.count) == ({}, 0, 2)


def test_of_an_address_that_was_not_known_the_later_registration_of_a_contact_counts() -> None:
    location = Location(10, known=False)
    location.begin()
    ours = Change("a@x", (), (bound("1", left_s=50), bound("2", left_s=70)))
    location.apply(ours)
    assert location.keep_unsaved(ours)
    theirs = [structs.replace(bound(contact), call_id="c2") for contact in "123"]
    location.fetched(["a@x"], [("a@x", binding) for binding in theirs])
    assert sorted((one.contact, one.expires_at - NOW) for one in location.stored("a@x")) == [
        ("1", 60),
        ("2", 70),
        ("3", 60),
    ]
    assert {aor: list(kept) for aor, kept in location.unsaved.items()} == {"a@x": ["2"]}
    assert location.unsaved_count == 1


def of_call(contact: str, call_id: str, cseq: int) -> Binding:
    return structs.replace(bound(contact), call_id=call_id, cseq=cseq)


def test_what_may_be_stored_and_is_not_here_is_taken_back_and_nothing_else_is() -> None:
    """What another machine has stored there meanwhile stays."""
    location = holding(of_call("1", "c", 1), aor="a@x")
    for tried in (of_call("1", "c", 2), of_call("1", "d", 1)):
        assert location.keep_unsaved(Change("a@x", (), (tried,)))
    assert location.to_store("a@x", 64) == Change("a@x", ("1",), (of_call("1", "c", 1),), (("c", 2),))
    gone = Change("a@x", ("1",), (), (("c", 3),))
    assert location.keep_unsaved(gone)
    location.apply(gone)
    assert location.to_store("a@x", 64) == Change("a@x", ("1", "1"), (), (("c", 3), ("d", 1)))


@pytest.mark.parametrize("loaded", [True, False])
def test_what_another_has_stored_later_is_true_here_though_ours_was_not_stored(loaded: bool) -> None:
    newer, stranger = of_call("1", "c", 3), of_call("2", "d", 1)
    location = holding(of_call("1", "c", 1), of_call("2", "c", 1), of_call("3", "c", 1), aor="a@x")
    ours = Change("a@x", ("2",), (of_call("1", "c", 2), of_call("3", "c", 2)), (("c", 2),))
    assert location.keep_unsaved(ours)
    location.apply(ours)
    theirs = [newer, stranger, of_call("3", "c", 1)]
    if loaded:
        location.fetched(["a@x"], [("a@x", one) for one in theirs])
    else:
        location.changed(Change("a@x", (), tuple(theirs)))
    assert {one.key: one for one in location.stored("a@x")} == {
        "1": newer,
        "2": stranger,
        "3": of_call("3", "c", 2),
    }
    assert location.to_store("a@x", 64) == Change("a@x", (), (of_call("3", "c", 2),))
    assert location.unsaved_count == 1


def test_of_a_phone_that_begins_anew_each_time_a_bounded_number_of_calls_is_noted() -> None:
    location = Location(10)
    for number in range(100):
        assert location.keep_unsaved(Change("a@x", (), (of_call("1", f"c{number}", 1),)))
    assert len(location.unsaved["a@x"]["1"]) == MAX_MEANT


def test_what_is_not_stored_is_bounded_by_the_capacity() -> None:
    location = Location(3)
    assert location.keep_unsaved(Change("a@x", ("1", "2"), ()))
    assert location.keep_unsaved(Change("a@x", ("2",), ()))
    assert not location.keep_unsaved(Change("b@x", ("1", "2"), ()))
    assert location.keep_unsaved(Change("b@x", ("1",), ()))
    # What may be in the database is noted all the same.
    assert location.has_room is False
    assert not location.keep_unsaved(Change("c@x", ("1",), ()), sent=True)
    assert (list(location.unsaved), location.unsaved_count) == (["a@x", "b@x", "c@x"], 4)


def test_unsaved_contacts_are_stored_some_at_a_time() -> None:
    location = Location(1000)
    long = [structs.replace(bound(f"{number:02}"), user_agent="a" * 8000) for number in range(20)]
    location.apply(Change("a@x", (), tuple(long)))
    assert location.keep_unsaved(Change("a@x", ("gone",), tuple(long)))
    sizes = []
    while "a@x" in location.unsaved:
        change = location.to_store("a@x", 8)
        sizes.append(len(change.removed) + len(change.stored))
        assert sum(len(binding.user_agent) for binding in change.stored) <= MAX_SIZE
        location.settle(change)
    assert sizes == [7, 6, 6, 2]
    assert location.unsaved_count == 0
    # One alone goes, however long it is.
    huge = structs.replace(bound("huge"), user_agent="a" * MAX_SIZE)
    location.apply(Change("a@x", (), (huge,)))
    assert location.keep_unsaved(Change("a@x", (), (huge, bound("1"))))
    assert location.to_store("a@x", 8).stored == (huge,)


def test_changes_of_others_beyond_the_room_are_left_out_and_counted() -> None:
    location = holding(bound("1"), capacity=1)
    location.changed(Change("b@x", (), (bound("2"),)))
    location.changed(Change("alice@example.com", (), (bound("1", q=1),)))
    assert (location.count, location.left_out, found(location, aor="b@x")) == (1, 1, [])


def test_equal_user_agents_are_one_text_in_memory() -> None:
    location = Location(10)
    made = [structs.replace(bound(), user_agent=b"Phone/1".decode()) for _ in range(3)]
    location.load([("a@x", made[0]), ("b@x", made[1])])
    location.apply(Change("c@x", (), (made[2],)))
    texts = {id(location.stored(aor)[0].user_agent) for aor in ("a@x", "b@x", "c@x")}
    assert len(texts) == 1
    assert location.stored("c@x")[0].user_agent == "Phone/1"
