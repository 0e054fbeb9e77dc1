"""Storing call records and letting go of old ones, in a database of each kind."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from oneproxy.records.record import Record
from oneproxy.records.wanted import Wanted
from oneproxy.store import partitions, records
from oneproxy.store.database import Database, UnreachableError
from oneproxy.store.record_search import RecordSearch
from oneproxy.store.records import Records
from postgres import Cluster
from recorded import AT_MS, a_record, id_at, journalled

DAY_MS = 86_400_000


def at_ms(year: int, month: int, day: int = 1) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp() * 1000)


def opened(url: str) -> str:
    """A database with its tables."""
    database = Database("proxy", url)
    database.open()
    database.drop()
    return url


@pytest.fixture
def url(database_url: str) -> str:
    return opened(database_url)


@pytest.fixture
def table(url: str) -> Iterator[Records]:
    made = Records(url)
    yield made
    made.close()


@pytest.fixture
def postgresql_url(postgres: Cluster) -> str:
    return opened(postgres.database())


def rows(url: str, query: str) -> list[Any]:
    database = Database("proxy", url)
    found = database.connection().execute(text(query)).all()
    database.drop()
    return [tuple(row) for row in found]


def stored(url: str) -> list[Record]:
    """All records, oldest first."""
    search = RecordSearch(url)
    found = search.find(Wanted(), None, 10_000)
    search.close()
    return found[::-1]


def partitions_of(url: str) -> list[str]:
    database = Database("proxy", url)
    found = partitions.names(database.connection())
    database.drop()
    return found


def test_a_record_is_stored_whole_and_storing_it_again_changes_nothing(url: str, table: Records) -> None:
    other = a_record(2, AT_MS + 1, caller="'; DROP TABLE cdr; --", callee="\\%_\u00e9\u4e2d\U0001f600")
    for _ in range(2):
        assert table.store(journalled(a_record(1), other)) == []
    assert table.store(journalled(a_record(1, caller="somebody else"))) == []
    assert stored(url) == [a_record(1), other]


def test_what_a_record_leaves_out_is_null(url: str, table: Records) -> None:
    least = Record(id_at(AT_MS), AT_MS)
    answered = Record(id_at(AT_MS + 1), AT_MS + 1, answered_ms=AT_MS + 5)
    assert table.store(journalled(least, answered)) == []
    lasted, *others = rows(url, "SELECT * FROM cdr ORDER BY started_at")[0][7:]
    assert (lasted, {*others}) == (None, {None})
    # It was answered, and lasted no time.
    assert rows(url, "SELECT duration_ms FROM cdr ORDER BY started_at DESC LIMIT 1") == [(0,)]
    assert stored(url) == [least, answered]


def test_instants_are_what_sql_takes_for_instants(url: str, table: Records) -> None:
    table.store(journalled(a_record()))
    (row,) = rows(url, "SELECT started_at, answered_at, id FROM cdr")
    said = [
        value if isinstance(value, str) else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
        for value in row[:2]
    ]
    assert said == ["2026-11-25 10:58:29.123", "2026-11-25 10:58:34.123"]
    assert str(row[2]) == id_at(AT_MS)


def test_attempts_are_json_that_the_database_reads(url: str, table: Records) -> None:
    table.store(journalled(a_record()))
    reach = "attempts ->> 0" if url.startswith("sqlite") else "(attempts -> 0)::text"
    ((first,),) = rows(url, f"SELECT {reach} FROM cdr")
    assert json.loads(first)["gateway"] == "a2"


GOOD = journalled(a_record(7, AT_MS - 1))[0]
ODD = {
    "no JSON": b"{",
    "two in one": b'{"id":"x"}{}',
    "nothing": b"",
    "a list": b"[]",
    "no text": b'{"id":"\xff\xfe"}',
    "a NUL": GOOD.replace(b"alice@example.com", b"al\0ce@example.com"),
    "an escaped NUL": GOOD.replace(b"alice@example.com", b"al\\u0000ce@example.com"),
    "a NUL in an attempt": GOOD.replace(b"sip:00351912345678@198.51.100.6", b"sip:\\u0000"),
    "half of a character": GOOD.replace(b"alice@example.com", b"\\ud800"),
    "half of one in an attempt": GOOD.replace(b"sip:00351912345678@198.51.100.6", b"\\udc00"),
    "no instant": GOOD.replace(str(AT_MS - 1).encode(), b'"soon"'),
    "an instant beyond all": GOOD.replace(b'"started_ms":' + str(AT_MS - 1).encode(), b'"started_ms":9e17'),
    "no start": b'{"id":"01a20000-0000-7000-8000-000000000000"}',
    "no id": b'{"started_ms":1795604309123}',
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_no_database_takes_is_given_back_and_keeps_no_other_from_being_stored(
    odd: bytes, url: str, table: Records
) -> None:
    good = [a_record(number, AT_MS + number) for number in range(9)]
    batch = journalled(*good)
    batch.insert(5, odd)
    refused = table.store(batch)
    assert [one.record for one in refused] == [odd]
    assert "\n" not in refused[0].reason and refused[0].reason
    assert stored(url) == good


def test_texts_may_be_long_and_hold_any_character(url: str, table: Records) -> None:
    odd = a_record(1, callee_agent="\x01\x7f\u2028\U0010ffff" * 64, caller="x" * 256, call_id="\u4e2d" * 256)
    assert table.store(journalled(odd)) == []
    assert stored(url) == [odd]


def test_many_that_cannot_be_stored_are_found_among_a_thousand(url: str, table: Records) -> None:
    batch = journalled(*(a_record(number, AT_MS + number) for number in range(1000)))
    for place in (0, 1, 500, 999):
        batch[place] = b'{"id":"%d"}' % place
    assert [one.record for one in table.store(batch)] == [
        b'{"id":"%d"}' % place for place in (0, 1, 500, 999)
    ]
    assert len(stored(url)) == 996


def test_a_database_that_is_away_refuses_no_record(postgres: Cluster) -> None:
    url = opened(postgres.database())
    table = Records(url)
    table.store(journalled(a_record(1)))
    postgres.stop()
    try:
        with pytest.raises(UnreachableError):
            table.store(journalled(a_record(2)))
    finally:
        postgres.start()
    table.close()
    table = Records(url)
    assert table.store(journalled(a_record(2))) == []
    # And a connection that broke meanwhile is none of anybody's business.
    postgres.stop()
    postgres.start()
    assert table.store(journalled(a_record(3))) == []
    assert len(stored(url)) == 3
    table.close()


def test_each_month_has_a_partition_made_before_its_first_record(postgresql_url: str) -> None:
    table = Records(postgresql_url)
    ends = [at_ms(2026, 12) - 1, at_ms(2026, 12), at_ms(2025, 1), at_ms(2025, 1) - 1]
    assert table.store(journalled(*(a_record(number, at) for number, at in enumerate(ends)))) == []
    made = [name for name in partitions_of(postgresql_url) if name[4:].strip("_0123456789") == ""]
    assert {"cdr_2025_01", "cdr_2026_11", "cdr_2026_12"} <= {*made}
    assert rows(postgresql_url, "SELECT count(*) FROM cdr_2026_12") == [(1,)]
    assert rows(postgresql_url, "SELECT count(*) FROM cdr_early") == [(1,)]
    table.close()


def test_the_partitions_of_this_month_and_the_next_are_there_before_a_record_is(postgresql_url: str) -> None:
    table = Records(postgresql_url)
    for _ in range(2):
        table.prepare()
    (now,) = rows(postgresql_url, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')")[0]
    assert len(partitions_of(postgresql_url)) == 4
    assert f"cdr_{now}" in partitions_of(postgresql_url)
    table.close()


def test_partitions_have_the_indexes_of_the_table(postgresql_url: str) -> None:
    table = Records(postgresql_url)
    table.store(journalled(a_record()))
    found = rows(
        postgresql_url,
        "SELECT count(*) FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid"
        " WHERE i.indrelid = 'cdr_2026_11'::regclass",
    )
    assert found == [(4,)]
    table.close()


def test_clocks_that_are_wrong_lose_no_record_and_make_few_partitions(postgresql_url: str) -> None:
    table = Records(postgresql_url)
    table.prepare()
    wild = [1, at_ms(1970, 1, 2), at_ms(2100, 1), at_ms(2300, 5)]
    assert table.store(journalled(*(a_record(0, at) for at in wild))) == []
    assert len(partitions_of(postgresql_url)) == 4
    ahead = [a_record(number, at_ms(2030 + number, 6)) for number in range(40)]
    refused = table.store(journalled(*ahead))
    assert [one.record for one in refused] == journalled(*ahead[partitions.MOST_AHEAD :])
    assert "has not come yet" in refused[0].reason
    assert len(partitions_of(postgresql_url)) == 4 + partitions.MOST_AHEAD
    assert len(stored(postgresql_url)) == len(wild) + partitions.MOST_AHEAD
    table.close()


def test_two_recorders_that_need_a_partition_at_once_both_store(postgresql_url: str) -> None:
    results: list[Any] = []
    start = threading.Barrier(4)

    def work(number: int) -> None:
        table = Records(postgresql_url)
        for month in range(1, 13):
            start.wait()
            results.append(table.store(journalled(a_record(number, at_ms(2025, month)))))
        table.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[]] * 48
    assert len(stored(postgresql_url)) == 48
    assert len(partitions_of(postgresql_url)) == 14


def test_old_rows_go_some_at_a_time_and_others_stay(
    url: str, table: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "EXPIRED", 10)
    old = [a_record(number, at_ms(2026, 10, 3) + number) for number in range(25)]
    young = [a_record(number, at_ms(2026, 10, 20) + number) for number in range(5)]
    table.store(journalled(*old, *young))
    steps = 1
    while table.expire(at_ms(2026, 10, 10)):
        steps += 1
        assert len(stored(url)) == 30 - 10 * (steps - 1)
    assert (steps, stored(url)) == (3, young)


def test_a_month_that_is_too_old_as_a_whole_is_dropped(postgresql_url: str) -> None:
    table = Records(postgresql_url)
    ancient, old, edge, young = (
        a_record(1, 5),
        a_record(2, at_ms(2026, 9, 30)),
        a_record(3, at_ms(2026, 10, 2)),
        a_record(4, at_ms(2026, 10, 20)),
    )
    table.store(journalled(ancient, old, edge, young))
    assert table.expire(at_ms(2026, 10, 10)) is False
    assert stored(postgresql_url) == [young]
    assert "cdr_2026_09" not in partitions_of(postgresql_url)
    assert {"cdr_2026_10", "cdr_early"} <= {*partitions_of(postgresql_url)}
    # And is made again where a record of that time comes yet.
    assert table.store(journalled(old)) == []
    assert stored(postgresql_url) == [old, young]
    table.close()


def test_a_month_that_somebody_reads_is_dropped_later(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "LOCK_MS", 20)
    table = Records(postgresql_url)
    table.store(journalled(a_record(1, at_ms(2026, 9, 30))))
    backup = Database("proxy", postgresql_url)
    backup.connection().execute(text("SELECT * FROM cdr")).all()
    assert table.expire(at_ms(2026, 10, 10)) is False
    # Nothing of the table is locked by that.
    assert table.store(journalled(a_record(2, at_ms(2026, 9, 30)))) == []
    backup.drop()
    assert table.expire(at_ms(2026, 10, 10)) is False
    assert stored(postgresql_url) == []
    table.close()


def test_one_recorder_at_a_time_deletes(postgresql_url: str) -> None:
    table = Records(postgresql_url)
    table.store(journalled(a_record(1, at_ms(2026, 9, 30))))
    other = Database("proxy", postgresql_url)
    other.connection().execute(text(f"SELECT pg_advisory_xact_lock({partitions.DROPPING_LOCK})"))
    assert table.expire(at_ms(2026, 10, 10)) is False
    assert len(stored(postgresql_url)) == 1
    other.drop()
    table.expire(at_ms(2026, 10, 10))
    assert stored(postgresql_url) == []
    table.close()


def test_the_table_goes_with_its_migration_and_comes_back(url: str) -> None:
    from alembic import command, config  # noqa: PLC0415

    from oneproxy.store import schema  # noqa: PLC0415

    table = Records(url)
    table.store(journalled(a_record()))
    table.close()
    database = Database("proxy", url)
    settings = config.Config()
    settings.set_main_option("script_location", f"{schema.__file__.rpartition('/')[0]}/migrations")
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = database.connection()
    command.downgrade(settings, "0004")
    database.connection().commit()
    assert schema.version(database.connection()) == "0004"
    database.drop()
    opened(url)
    assert stored(url) == []
