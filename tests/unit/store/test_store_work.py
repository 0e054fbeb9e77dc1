"""The recorder's work: groups that commit or not, a verdict for each batch, and faults survived."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import psycopg
import pytest
from psycopg.errors import DeadlockDetected
from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError, OperationalError
from structlog.testing import capture_logs

from oneproxy.registrar.bindings import Binding, Change, static_binding
from oneproxy.store import database, locations
from oneproxy.store import work as work_module
from oneproxy.store.database import RETRY_S, STATEMENT_S, StoreError
from oneproxy.store.locations import START
from oneproxy.store.work import GRACE_S, MOST_LOCKED, Away, Left, Work
from postgres import Cluster

NOW = 1_700_000_000.0


def change(name: str, expires_at: float = NOW + 60) -> Change:
    contact = f"sip:{name}@192.0.2.7"
    return Change(f"{name}@x", (), (Binding(contact, expires_at, 0, "c", 1, "udp:192.0.2.7:5060", NOW),))


TOO_LONG = Change("long@x", ("c" * 3000,), ())


@pytest.fixture
def work(database_url: str) -> Iterator[Work]:
    work = Work(database_url, "")
    work.open("")
    yield work
    work.close()


def names(work: Work, now: float = NOW) -> list[str]:
    """Whose bindings are stored."""
    found = work.page(now, "")
    assert not isinstance(found, str)
    return [aor.partition("@")[0] for aor, _ in found[0]]


def test_a_group_is_committed_and_survives(work: Work, database_url: str) -> None:
    assert work.commit([[change("a"), change("b")], [change("c")], []]) == [(), (), ()]
    again = Work(database_url, "")
    again.open("")
    assert names(again) == ["a", "b", "c"]
    again.close()


def test_a_change_that_cannot_be_stored_is_refused_alone(work: Work) -> None:
    with capture_logs() as logged:
        verdicts = work.commit([[change("a")], [TOO_LONG, change("b"), TOO_LONG]])
    assert verdicts == [(), (0, 2)]
    assert names(work) == ["a", "b"]
    refusal = {
        "event": "change refused",
        "aor": "long@x",
        "reason": "contact too long",
        "log_level": "warning",
    }
    assert logged == [refusal, refusal]


@pytest.mark.parametrize("error", [DataError("INSERT", {}, Exception("odd text")), ZeroDivisionError("odd")])
def test_a_change_that_spoils_a_group_is_left_out_alone(
    work: Work, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    honest = locations.save

    def save(connection: object, changes: list[Change]) -> None:
        honest(connection, changes)  # type: ignore[arg-type]
        if any(change.aor == "odd@x" for change in changes):
            raise error

    monkeypatch.setattr(locations, "save", save)
    reason = "odd text" if isinstance(error, DataError) else "ZeroDivisionError: odd"
    many = [change(f"n{number}") for number in range(9)]
    group = [[change("a")], [TOO_LONG, *many, change("odd"), change("b")], [change("c")]]
    with capture_logs() as logged:
        assert work.commit(group) == [(), (0, 10), ()]
    assert names(work) == ["a", "b", "c", *(f"n{number}" for number in range(9))]
    assert not work.away
    assert {(one["aor"], one["reason"]) for one in logged if one["event"] == "change refused"} == {
        ("long@x", "contact too long"),
        ("odd@x", reason),
    }


def test_a_batch_whose_last_change_gives_way_again_and_again_may_be_stored_or_not(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = locations.save

    def save(connection: Connection, changes: list[Change]) -> None:
        if any(change.aor == "odd@x" for change in changes):
            raise OperationalError("INSERT", {}, DeadlockDetected("deadlock detected"))
        honest(connection, changes)

    monkeypatch.setattr(locations, "save", save)
    [verdict] = work.commit([[change("a"), change("b"), change("odd")]])
    # Nodes store it again when they are told that the database is back.
    assert (verdict, isinstance(verdict, Away), work.away) == ("deadlock detected", True, True)
    assert names(work) == ["a", "b"]
    monkeypatch.undo()
    assert work.commit([[change("a"), change("b"), change("odd")]]) == [()]


def test_a_full_disk_refuses_everyone_and_is_over_when_there_is_room(tmp_path: Path) -> None:
    work = Work(f"sqlite:///{tmp_path}/a.db", "")
    work.open("")
    connection = work.proxy.connection()
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    group = [[change(f"{batch}-{number}") for number in range(500)] for batch in range(2)]
    assert work.commit(group) == ["database or disk is full"] * 2
    # The connection was dropped, and the limit with it.
    assert work.commit(group) == [(), ()]
    assert len(names(work)) == 1000
    work.close()


def test_a_database_that_became_read_only_refuses_and_goes_on(tmp_path: Path) -> None:
    work = Work(f"sqlite:///{tmp_path}/a.db", "")
    work.open("")
    assert work.commit([[change("a")]]) == [()]
    work.proxy.connection().exec_driver_sql("PRAGMA query_only = 1")
    assert work.commit([[change("b")]]) == ["attempt to write a readonly database"]
    assert work.commit([[change("c")]]) == [()]
    assert names(work) == ["a", "c"]
    work.close()


def test_a_database_that_somebody_locks_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneproxy.store.database.BUSY_S", 0)
    work = Work(f"sqlite:///{tmp_path}/a.db", "")
    work.open("")
    other = sqlite3.connect(tmp_path / "a.db")
    other.execute("BEGIN IMMEDIATE")
    assert work.commit([[change("a")]]) == ["database is locked"]
    assert work.sweep(NOW) == "database is locked"
    assert names(work) == []
    other.rollback()
    other.close()
    assert work.commit([[change("a")]]) == [()]
    work.close()


def test_a_server_that_was_started_again_costs_no_refusal(postgres: Cluster) -> None:
    work = Work(postgres.database(), "")
    work.open("")
    assert work.commit([[change("a")]]) == [()]
    postgres.stop()
    postgres.start()
    assert work.commit([[change("b")]]) == [()]
    postgres.stop()
    postgres.start()
    assert names(work) == ["a", "b"]
    work.close()


def test_a_server_that_is_down_refuses_at_once_until_it_is_back(
    postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("oneproxy.store.database.time.monotonic", lambda: now)
    work = Work(postgres.database(), "")
    work.open("")
    postgres.stop()
    try:
        (verdict,) = work.commit([[change("a")]])
        assert isinstance(verdict, str)
        assert work.commit([[change("a")], [change("b")]]) == [verdict, verdict]
        assert work.page(NOW, "") == verdict
        assert work.fetch(NOW, ["a@x"]) == verdict
        assert work.sweep(NOW) == verdict
    finally:
        monkeypatch.undo()
        postgres.start()
    monkeypatch.setattr("oneproxy.store.database.time.monotonic", lambda: now)
    now = RETRY_S
    assert work.commit([[change("a")]]) == [()]
    assert names(work) == ["a"]
    work.close()


def test_sweeping_removes_what_expired_a_while_ago(work: Work) -> None:
    work.commit([[change("a", NOW), change("b", NOW + 1), change("c", NOW + 2)]])
    assert work.sweep(NOW + GRACE_S) is True
    assert names(work, 0) == ["b", "c"]
    assert work.sweep(NOW + GRACE_S + 1) is True
    assert names(work, 0) == ["c"]


def test_sweeping_goes_on_where_it_ended(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = locations.sweep
    monkeypatch.setattr(locations, "sweep", lambda connection, now, after: honest(connection, now, after, 2))
    work.commit([[change(name, NOW) for name in "abcde"]])
    left = []
    for _ in range(3):
        ended = work.sweep(NOW + GRACE_S)
        left.append((ended, len(names(work, 0))))
    assert left == [(False, 3), (False, 1), (True, 0)]


def test_the_farm_secret_is_made_once_and_kept(database_url: str) -> None:
    secrets = []
    for _ in range(2):
        work = Work(database_url, "")
        secrets.append(work.open(""))
        work.close()
    assert secrets[0] == secrets[1]
    assert len(secrets[0]) == 32


def test_the_farm_key_of_the_configuration_is_the_secret(work: Work) -> None:
    assert work.open("corréct horse") == "corréct horse".encode()


def test_the_farm_secret_is_kept_in_the_system_database(database_url: str, tmp_path: Path) -> None:
    work = Work(database_url, f"sqlite:///{tmp_path}/system.db")
    secret = work.open("")
    with sqlite3.connect(tmp_path / "system.db") as system:
        assert system.execute("SELECT name, value FROM setting").fetchall() == [("farm-secret", secret)]
    system.close()
    assert work.proxy.connection().execute(text("SELECT count(*) FROM setting")).scalar() == 0
    work.commit([[change("a")]])
    assert names(work) == ["a"]
    work.close()


def test_a_system_database_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    work = Work(f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/none/b.db")
    with pytest.raises(
        StoreError, match=r"^cannot use the system database .*change `system` under \[database\]$"
    ):
        work.open("")
    work.close()


def test_people_list_look_up_add_and_remove_bindings(work: Work) -> None:
    static = static_binding("sip:desk@192.0.2.9", 500, NOW)
    added = Change("a@x", (), (static,))
    assert work.commit([[change("a"), change("ab"), change("b"), change("old", NOW - 1)], [added]]) == [
        (),
        (),
    ]
    listed = work.listing(NOW, START, "a")
    assert not isinstance(listed, str)
    assert [(aor, binding.contact) for aor, binding in listed] == [
        ("a@x", "sip:a@192.0.2.7"),
        ("a@x", "sip:desk@192.0.2.9"),
        ("ab@x", "sip:ab@192.0.2.7"),
    ]
    assert work.listing(NOW, ("a@x", "sip:desk@192.0.2.9"), "a", 1) == listed[2:]
    assert work.look_up("a@x") == [change("a").stored[0], static]
    assert work.look_up("old@x") == [change("old", NOW - 1).stored[0]]
    assert work.look_up("none@x") == []
    # It does not expire, however far the clock has gone; it is removed as it was added.
    assert work.sweep(NOW + 1e8) is True
    assert work.look_up("a@x") == [static]
    assert work.commit([[Change("a@x", (static.contact,), ())]]) == [()]
    assert work.look_up("a@x") == []


def test_whether_the_database_is_away_shows_in_whatever_is_done(tmp_path: Path) -> None:
    work = Work(f"sqlite:///{tmp_path}/a.db", "")
    work.open("")
    work.probe()
    assert not work.away
    work.proxy.connection().exec_driver_sql("ALTER TABLE location RENAME TO gone")
    work.proxy.connection().commit()
    failures = [
        lambda: work.commit([[change("a")]]),
        lambda: work.page(NOW, ""),
        lambda: work.fetch(NOW, ["a@x"]),
        work.probe,
    ]
    for failure in failures:
        work.away = False
        failure()
        assert work.away
    [verdict] = work.commit([[change("a")]])
    assert isinstance(verdict, Away)
    work.proxy.connection().exec_driver_sql("ALTER TABLE gone RENAME TO location")
    work.proxy.connection().commit()
    work.probe()
    assert not work.away
    assert work.commit([[change("a")]]) == [()]
    work.close()


def test_a_batch_that_is_odd_does_not_mean_that_the_database_is_away(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(connection: object, changes: list[Change]) -> None:
        raise DataError("INSERT", {}, Exception("odd text"))

    monkeypatch.setattr(locations, "save", save)
    assert work.commit([[change("odd")], [change("odd")]]) == [(0,), (0,)]
    assert not work.away


def test_a_key_that_is_too_long_for_an_index_is_the_fault_of_its_change(
    postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of `unfit` comes before; were it wrong, the database would not be away."""
    work = Work(postgres.database(), "")
    work.open("")
    monkeypatch.setattr(locations, "unfit", lambda change: None)
    letters = "".join(map(chr, Random(1).choices(range(33, 127), k=6000)))
    odd = Change("a@x", (), (Binding(letters, NOW + 60, 0, "c", 1, "udp:192.0.2.7:5060", NOW),))
    assert work.commit([[change("a"), odd, change("b")]]) == [(1,)]
    assert (work.away, names(work)) == (False, ["a", "b"])
    work.close()


@pytest.mark.parametrize(("times", "verdict"), [(1, ()), (2, ()), (3, "deadlock detected")])
def test_a_transaction_that_gave_way_to_another_recorders_is_done_again(
    work: Work, monkeypatch: pytest.MonkeyPatch, times: int, verdict: object
) -> None:
    left = [None] * times
    honest = locations.save

    def save(connection: Connection, changes: list[Change]) -> None:
        if left:
            left.pop()
            raise OperationalError("INSERT", {}, DeadlockDetected("deadlock detected"))
        honest(connection, changes)

    monkeypatch.setattr(locations, "save", save)
    assert work.commit([[change("a")]]) == [verdict]
    # It was undone for certain: nobody is told that the database is away.
    assert not work.away
    assert names(work) == (["a"] if verdict == () else [])


def test_a_database_that_can_only_be_read_is_away(work: Work) -> None:
    connection = work.proxy.connection()
    read_only = {"sqlite": "PRAGMA query_only = ON", "postgresql": "SET default_transaction_read_only = on"}
    connection.exec_driver_sql(read_only[connection.dialect.name])
    connection.commit()
    work.probe()
    assert work.away
    work.probe()
    assert not work.away


@contextmanager
def locked(url: str, where: str) -> Iterator[None]:
    """Somebody has begun to change these rows, and has not ended it."""
    with psycopg.connect(url) as other:
        other.execute(f"UPDATE location SET q = q WHERE {where}")
        yield
        other.rollback()


def test_a_row_that_somebody_has_locked_holds_up_its_own_change_alone(postgres: Cluster) -> None:
    url = postgres.database()
    work = Work(url, "")
    work.open("")
    many = [change(f"n{number}") for number in range(40)]
    group = [[change("b")], [TOO_LONG, change("a"), *many, change("odd")], [change("c")]]
    assert work.commit([[change("a"), change("odd")]]) == [()]
    began = time.monotonic()
    with locked(url, "aor IN ('a@x', 'odd@x')"), capture_logs() as logged:
        assert work.commit(group) == [(), Left((0,), (1, 42)), ()]
        assert work.commit([[change("a")]]) == [Left((), (0,))]
        assert not work.away
    # Far from what a statement may take.
    assert time.monotonic() - began < STATEMENT_S / 2
    assert [one["aor"] for one in logged if one["event"] == "change waits for a lock"] == [
        "a@x",
        "odd@x",
        "a@x",
    ]
    assert work.commit(group) == [(), (0,), ()]
    work.close()


def test_a_table_that_somebody_has_locked_is_no_row_of_somebodys(
    postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_module, "BRIEF_LOCK_S", 0.01)
    url = postgres.database()
    work = Work(url, "")
    work.open("")
    many = [change(f"n{number}") for number in range(2 * MOST_LOCKED)]
    assert work.commit([many]) == [()]
    with locked(url, "true"):
        [verdict] = work.commit([many])
        assert (isinstance(verdict, Away), work.away) == (True, True)
    assert work.commit([many]) == [()]
    assert not work.away
    work.close()


def test_an_expired_row_that_somebody_has_locked_does_not_hold_up_those_who_wait_to_be_stored(
    postgres: Cluster,
) -> None:
    url = postgres.database()
    work = Work(url, "")
    work.open("")
    assert work.commit([[change("a")]]) == [()]
    with locked(url, "true"):
        assert work.sweep(NOW + GRACE_S + 60) == "canceling statement due to lock timeout"
    assert work.sweep(NOW + GRACE_S + 60) is True
    assert names(work) == []
    work.close()


def test_rows_that_a_machine_had_locked_when_it_went_are_free_again_soon(
    postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.database()
    gone, left = Work(url, ""), Work(url, "")
    left.open("")
    monkeypatch.setattr(database, "IDLE_S", 0.3)
    locations.save(gone.proxy.connection(), [change("a")])
    assert left.commit([[change("a"), change("b")]]) == [()]
    assert names(left) == ["a", "b"]
    left.close()
    gone.close()
