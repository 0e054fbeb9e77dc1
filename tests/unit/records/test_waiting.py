"""Entries that wait for room."""

from oneproxy.records.entries import Kind, encode
from oneproxy.records.waiting import Waiting

STANDS = encode(Kind.STANDS, 1, b"x" * 50)


def record(number: int) -> bytes:
    return encode(Kind.RECORD, number, b"y" * 83)  # 100 octets


def left(waiting: Waiting) -> list[bytes]:
    return waiting.first(1 << 30, 1 << 30)


def test_what_waits_is_taken_in_order_as_it_fits() -> None:
    waiting = Waiting()
    entries = [STANDS, record(1), record(2)]
    assert waiting.add(entries) == 0
    assert waiting.first(167, 1000) == entries[:2]
    assert waiting.first(166, 1000) == entries[:1]
    assert waiting.first(10, 1000) == []
    assert waiting.first(1000, 1) == entries[:1]
    waiting.drop(1)
    assert (left(waiting), len(waiting), waiting.octets, waiting.records()) == (entries[1:], 2, 200, 2)


def test_beyond_its_bound_the_oldest_records_are_lost_and_what_they_end_is_not() -> None:
    waiting = Waiting()
    waiting.bound = 1000
    assert waiting.add([STANDS, record(1), record(0)]) == 0
    lost = waiting.add([record(number) for number in range(2, 10)])
    # Down to 750 octets: the first four of ten.
    assert lost == 4
    assert left(waiting)[:4] == [STANDS, *(encode(Kind.ENDED, number) for number in (1, 2, 3))]
    assert left(waiting)[4:] == [record(number) for number in range(4, 10)]
    assert waiting.octets == sum(map(len, left(waiting))) <= 750
    assert not waiting.is_spoilt


def test_where_not_even_that_is_enough_it_is_known_that_something_is_missing() -> None:
    waiting = Waiting()
    waiting.bound = 1000
    entries = [encode(Kind.STANDS, number, b"x" * 83) for number in range(11)]
    assert waiting.add(entries) == 0
    assert waiting.is_spoilt
    assert left(waiting) == entries[4:]
    assert waiting.octets == 700
