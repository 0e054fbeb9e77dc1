"""Pages of call records: every row once, whatever is stored while somebody turns them."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from oneproxy.records.record import Record
from oneproxy.records.wanted import Wanted
from oneproxy.store.database import Database
from oneproxy.store.record_search import RecordSearch
from oneproxy.store.records import Records
from postgres import Cluster
from recorded import AT_MS, a_record, journalled

#: Few instants, so that many are the same; and few sides, so that a call has one number on both.
_CALLS = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from("ab"), st.sampled_from("ab")),
    max_size=25,
)
_WANTED = st.sampled_from(
    [Wanted(), Wanted(number="a"), Wanted(number="a@x"), Wanted(caller="b"), Wanted(number="*a*")]
)


def _records(calls: list[tuple[int, str, str]], first: int) -> list[Record]:
    return [
        a_record(first + place, AT_MS + later, caller=caller, callee=f"{callee}@x")
        for place, (later, caller, callee) in enumerate(calls)
    ]


def _fits(record: Record, wanted: Wanted) -> bool:
    sides = (record.caller, record.callee)
    if wanted.caller:
        return record.caller in (wanted.caller, f"{wanted.caller}@x")
    number = wanted.number
    if number == "*a*":
        return any("a" in side for side in sides)
    return not number or any(side in (number, f"{number}@x") for side in sides)


def _see_pages(url: str, before: list[Record], meanwhile: list[Record], wanted: Wanted, rows: int) -> None:
    table, search = Records(url), RecordSearch(url)
    table.store(journalled(*before))
    late = list(meanwhile)
    seen: list[Record] = []
    place = None
    while page := search.find(wanted, place, rows):
        assert len(page) <= rows
        seen += page
        place = (page[-1].started_ms, page[-1].id)
        if late:
            table.store(journalled(late.pop()))
    search.close()
    table.close()
    keys = [(one.started_ms, one.id) for one in seen]
    assert keys == sorted(set(keys), reverse=True)
    there = {one.id for one in before if _fits(one, wanted)}
    assert there <= {one.id for one in seen} <= there | {one.id for one in meanwhile if _fits(one, wanted)}


@given(before=_CALLS, meanwhile=_CALLS, wanted=_WANTED, rows=st.integers(1, 7))
def test_every_row_comes_once_in_sqlite(
    before: list[tuple[int, str, str]],
    meanwhile: list[tuple[int, str, str]],
    wanted: Wanted,
    rows: int,
) -> None:
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/x.db"
        database = Database("proxy", url)
        database.open()
        database.drop()
        _see_pages(url, _records(before, 0), _records(meanwhile, 100), wanted, rows)


@given(before=_CALLS, meanwhile=_CALLS, wanted=_WANTED, rows=st.integers(1, 7))
def test_every_row_comes_once_in_postgresql(
    postgres: Cluster,
    before: list[tuple[int, str, str]],
    meanwhile: list[tuple[int, str, str]],
    wanted: Wanted,
    rows: int,
) -> None:
    url = _database(postgres)
    database = Database("proxy", url)
    database.connection().exec_driver_sql("DELETE FROM cdr")
    database.connection().commit()
    database.drop()
    _see_pages(url, _records(before, 0), _records(meanwhile, 100), wanted, rows)


_urls: dict[int, str] = {}


def _database(cluster: Cluster) -> str:
    """One for all examples: making one takes longer than all of an example."""
    if cluster.port not in _urls:
        url = _urls[cluster.port] = cluster.database()
        database = Database("proxy", url)
        database.open()
        database.drop()
    return _urls[cluster.port]
