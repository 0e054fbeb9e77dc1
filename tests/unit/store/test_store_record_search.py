"""Looking for call records, in a database of each kind."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from oneproxy.records.record import Record
from oneproxy.records.wanted import Wanted
from oneproxy.store import record_search
from oneproxy.store.database import Database, StoreError
from oneproxy.store.record_search import RecordSearch, SlowError
from oneproxy.store.records import Records
from recorded import AT_MS, MINUTE_MS, a_record, id_at, journalled

Find = Callable[..., list[int]]

#: By number, each a minute after the one before.
CALLS = [
    a_record(0),
    a_record(1, AT_MS + MINUTE_MS, caller="+351912345678", callee="bob@example.com"),
    a_record(2, AT_MS + 2 * MINUTE_MS, callee="+351211111111", status=486, answered_ms=0, duration_ms=0),
    a_record(3, AT_MS + 3 * MINUTE_MS, caller="alice", callee="alice@example.com", gateway="a2"),
    a_record(4, AT_MS + 4 * MINUTE_MS, provider="carrier-b", caller="ALICE@example.com", status=404),
    a_record(5, AT_MS + 5 * MINUTE_MS, caller="alicex@example.com", callee="100%_\\?[x]", status=503),
]


@pytest.fixture
def url(database_url: str) -> str:
    database = Database("proxy", database_url)
    database.open()
    database.drop()
    table = Records(database_url)
    assert table.store(journalled(*CALLS)) == []
    table.close()
    return database_url


@pytest.fixture
def search(url: str) -> Iterator[RecordSearch]:
    made = RecordSearch(url)
    yield made
    made.close()


@pytest.fixture
def find(search: RecordSearch) -> Find:
    """The numbers of the calls that are found."""

    def found(after: Record | None = None, rows: int = 100, **wanted: object) -> list[int]:
        place = None if after is None else (after.started_ms, after.id)
        records = search.find(Wanted(**wanted), place, rows)  # type: ignore[arg-type]
        assert all(one == CALLS[CALLS.index(one)] for one in records)
        return [CALLS.index(one) for one in records]

    return found


def test_the_newest_come_first_and_pages_go_on_behind_the_last(find: Find) -> None:
    assert find() == [5, 4, 3, 2, 1, 0]
    assert find(rows=2) == [5, 4]
    assert find(CALLS[4], rows=3) == [3, 2, 1]
    assert find(CALLS[0]) == []


@pytest.mark.parametrize(
    ("number", "calls"),
    [
        ("+351912345678", [4, 1, 0]),
        ("alice@example.com", [3, 2, 0]),
        ("alice", [3, 2, 0]),
        ("bob", [1]),
        ("*5678", [4, 1, 0]),
        ("+3512*", [2]),
        ("*2345*", [4, 1, 0]),
        ("100%_\\?[x]", [5]),
        ("*%_\\?[*]", [5]),
        ("100", []),
        ("+35191234567", []),
    ],
)
def test_a_number_is_found_on_either_side_and_each_call_once(
    number: str, calls: list[int], find: Find
) -> None:
    assert find(number=number) == calls
    for count in range(1, len(calls)):
        assert find(number=number, rows=count) == calls[:count]


@pytest.mark.parametrize(
    ("wanted", "calls"),
    [
        ({"caller": "alice"}, [3, 2, 0]),
        ({"caller": "ALICE@example.com"}, [4]),
        ({"callee": "alice"}, [3]),
        ({"callee": "+351*"}, [4, 2, 0]),
        ({"call_id": CALLS[2].call_id}, [2]),
        ({"call_id": "3c267fb9"}, []),
        ({"gateway": "a2"}, [3]),
        ({"gateway": "carrier-b/a1"}, [4]),
        ({"gateway": "carrier-a/a1"}, [5, 2, 1, 0]),
        ({"provider": "carrier-b"}, [4]),
        ({"status_from": 486, "status_to": 486}, [2]),
        ({"status_from": 400, "status_to": 499}, [4, 2]),
        ({"answered": True}, [5, 4, 3, 1, 0]),
        ({"answered": False}, [2]),
        ({"since_ms": CALLS[3].started_ms}, [5, 4, 3]),
        ({"until_ms": CALLS[3].started_ms}, [2, 1, 0]),
        ({"since_ms": CALLS[3].started_ms, "until_ms": CALLS[4].started_ms}, [3]),
        ({"id": CALLS[3].id}, [3]),
        ({"id": id_at(CALLS[3].started_ms, 99)}, []),
        ({"id": "ffffffff-ffff-7fff-bfff-ffffffffffff"}, []),
        ({"number": "alice", "status_from": 486, "status_to": 486, "provider": "carrier-a"}, [2]),
        ({"since_ms": 10**17}, []),
    ],
)
def test_records_are_found_by(wanted: dict[str, object], calls: list[int], find: Find) -> None:
    assert find(**wanted) == calls


def test_calls_of_one_millisecond_are_in_the_order_of_their_ids(url: str, search: RecordSearch) -> None:
    table = Records(url)
    same = [a_record(number, AT_MS + 9 * MINUTE_MS) for number in range(10, 20)]
    table.store(journalled(*same))
    table.close()
    seen: list[Record] = []
    place = None
    while page := search.find(Wanted(since_ms=AT_MS + 9 * MINUTE_MS), place, 3):
        seen += page
        place = (page[-1].started_ms, page[-1].id)
    assert seen == same[::-1]


def test_attempts_that_somebody_else_wrote_are_none(url: str, search: RecordSearch) -> None:
    database = Database("proxy", url)
    database.connection().execute(text("""UPDATE cdr SET attempts = '{"odd": 1}'"""))
    database.connection().commit()
    database.drop()
    assert [one.attempts for one in search.find(Wanted(), None, 10)] == [[]] * len(CALLS)


def test_a_search_that_takes_too_long_says_so_and_the_next_one_is_answered(
    search: RecordSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(record_search, "SEARCH_S", 0.001)
        patch.setattr(record_search, "_STEPS", 1)
        slow = "1 FROM generate_series(1, 100000000)"
        if search._database.dialect == "sqlite":
            slow = "1 FROM (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n)"
        patch.setitem(record_search._SELECT, search._database.dialect, f"SELECT {slow}, cdr")
        with pytest.raises(SlowError, match="say `since`"):
            search.find(Wanted(), None, 10)
    assert len(search.find(Wanted(), None, 10)) == len(CALLS)


def test_a_database_that_cannot_be_used_is_said(tmp_path: object) -> None:
    search = RecordSearch(f"sqlite:///{tmp_path}/none/x.db")
    with pytest.raises(StoreError, match="cannot use the proxy database"):
        search.find(Wanted(), None, 10)
