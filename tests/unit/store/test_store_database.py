"""Opening databases, and saying what is wrong with them in one line."""

import os
import pwd
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from oneproxy.registrar.bindings import Binding, Change
from oneproxy.store.database import Database, StoreError, UnreachableError, shown
from oneproxy.store.locations import page, save
from oneproxy.store.schema import HEAD, upgrade
from oneproxy.store.tables import metadata
from postgres import Cluster


def complaint(url: str) -> str:
    """What opening `url` says."""
    with pytest.raises(StoreError) as raised:
        Database("proxy", url).open()
    return str(raised.value)


def test_opening_a_new_database_makes_the_tables_and_opening_it_again_changes_nothing(
    database_url: str,
) -> None:
    for _ in range(2):
        database = Database("proxy", database_url)
        database.open()
        connection = database.connection()
        assert connection.execute(text("SELECT version_num FROM alembic_version")).all() == [(HEAD,)]
        assert connection.execute(text("SELECT count(*) FROM location")).scalar() == 0
        database.drop()


@contextmanager
def with_the_right_to_read(folder: Path) -> Iterator[None]:
    """What is in the folder may be read and not written; root becomes nobody for it."""
    before = {name: name.stat().st_mode for name in (folder, *folder.iterdir())}
    for name, mode in before.items():
        name.chmod(mode & ~0o222)
    if os.geteuid() == 0:
        for name in (*before, *folder.parents):
            mode = name.stat().st_mode
            if mode & 0o055 != 0o055:
                before.setdefault(name, mode)
                name.chmod(mode | (0o055 if name.is_dir() else 0o044))
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        for name, mode in before.items():
            name.chmod(mode)


@pytest.mark.parametrize("others", ["nobody", "who has it open", "who has died"])
def test_who_may_only_read_reads(tmp_path: Path, others: str) -> None:
    """Whether somebody has it open, nobody, or somebody had when he died."""
    folder = tmp_path / "data"
    folder.mkdir()
    file = folder / "a.db"
    Database("system", f"sqlite:///{file}").open()
    writing = sqlite3.connect(file)
    writing.execute("INSERT INTO setting VALUES ('a', x'01')")
    writing.commit()
    if others == "nobody":
        writing.close()
    if others == "who has died":
        copied = tmp_path / "copied"
        shutil.copytree(folder, copied)
        folder = copied
        file = folder / "a.db"
    before = sorted(folder.iterdir())
    with with_the_right_to_read(folder):
        database = Database("system", f"sqlite:///{file}", reading=True)
        database.open()
        assert database.connection().execute(text("SELECT name FROM setting")).all() == [("a",)]
        with pytest.raises(OperationalError, match="readonly"):
            database.connection().execute(text("DELETE FROM setting"))
        database.drop()
    assert sorted(folder.iterdir()) == before
    writing.close()


def test_who_only_reads_makes_no_tables_and_says_who_does(database_url: str) -> None:
    way = "`oneproxy run` or `apply` of this version makes them"
    for version, why in [("0003", f"its tables have version 0003, not {HEAD}"), ("head", "")]:
        if not why:
            database = Database("system", database_url)
            database.open()
            database.drop()
        else:
            upgrading = Database("system", database_url)
            upgrade(upgrading.connection(), version)
            upgrading.connection().commit()
            upgrading.drop()
        reading = Database("system", database_url, reading=True)
        if why:
            with pytest.raises(StoreError, match=why) as raised:
                reading.open()
            assert way in str(raised.value)
        else:
            reading.open()
        reading.drop()


def test_the_tables_in_the_database_are_those_that_the_code_knows(database_url: str) -> None:
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415
    from alembic.migration import MigrationContext  # noqa: PLC0415

    database = Database("proxy", database_url)
    database.open()
    # Partitions are the database's own tables, and no others of the code's.
    options = {"include_name": lambda name, kind, _: kind != "table" or not name.startswith("cdr_")}
    context = MigrationContext.configure(database.connection(), opts=options)
    assert compare_metadata(context, metadata) == []
    database.drop()


def test_bindings_of_flows_that_the_version_before_kept_are_found_by_their_keys(database_url: str) -> None:
    database = Database("proxy", database_url)
    upgrade(database.connection(), "0002")
    connection = database.connection()
    row = (
        "INSERT INTO location (aor, contact, expires_at, q, call_id, cseq, source, since, path, user_agent,"
        " instance, reg_id, flow) VALUES ('bob@x', :contact, 9, 500, 'call', 7, 'tcp:192.0.2.7:5060', 1,"
        " '[]', '', :instance, :reg_id, 'tcp/a.1')"
    )
    for contact, instance, reg_id in (
        ("sip:a%@h", "<urn:x>", 1),
        ("sip:plain@h", "<urn:x>", 0),
        ("sip:long@h", "<urn:" + "x" * 3000 + ">", 1),
        ("sip:both@h", "<urn:x>", 2),
        ("sip:both@h 2 <urn:x>", "<urn:x>", 2),
    ):
        connection.execute(text(row), {"contact": contact, "instance": instance, "reg_id": reg_id})
    connection.commit()
    database.open()
    rows, _ = page(database.connection(), 0, "")
    keys = [binding.key for _, binding in rows]
    assert keys == ["sip:a%@h 1 <urn:x>", "sip:both@h 2 <urn:x>", "sip:plain@h"]
    save(database.connection(), [Change("bob@x", tuple(keys), ())])
    assert page(database.connection(), 0, "") == ([], True)
    database.drop()


def test_tables_of_the_version_before_are_brought_up_with_their_rows(database_url: str) -> None:
    database = Database("proxy", database_url)
    upgrade(database.connection(), "0001")
    written = text(
        "INSERT INTO location VALUES ('bob@x', 'sip:bob@h', 9, 500, 'call', 7, 'udp:192.0.2.7:5060', 1,"
        " '[]', 'Phone/1', '<urn:x>', 2)"
    )
    connection = database.connection()
    connection.execute(written)
    connection.execute(text("INSERT INTO setting VALUES ('odd', '')"))
    connection.commit()
    for _ in range(2):
        database.open()
        assert page(database.connection(), 0, "")[0] == [
            (
                "bob@x",
                Binding(
                    "sip:bob@h",
                    9.0,
                    500,
                    "call",
                    7,
                    "udp:192.0.2.7:5060",
                    1.0,
                    (),
                    "Phone/1",
                    "<urn:x>",
                    2,
                    "",
                ),
            )
        ]
        assert database.connection().execute(text("SELECT count(*) FROM setting")).scalar() == 1
        database.drop()


def test_sqlite_survives_power_failures_and_lets_people_read(tmp_path: Path) -> None:
    database = Database("proxy", f"sqlite:///{tmp_path}/a.db")
    database.open()
    connection = database.connection()
    assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    database.drop()


def test_a_half_made_schema_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that is killed, or fails, in the middle of a migration leaves nothing."""
    database = Database("proxy", f"sqlite:///{tmp_path}/a.db")
    connection = database.connection()
    connection.exec_driver_sql("CREATE TABLE setting (name TEXT)")
    connection.commit()
    with pytest.raises(StoreError, match="table setting already exists") as raised:
        database.open()
    # Waiting does not make it one of ours: a start without the database would wait for ever.
    assert not isinstance(raised.value, UnreachableError)
    with sqlite3.connect(tmp_path / "a.db") as left:
        assert left.execute("SELECT name FROM sqlite_master").fetchall() == [("setting",)]
    left.close()


def test_tables_of_a_newer_version_are_left_alone(database_url: str) -> None:
    database = Database("proxy", database_url)
    database.open()
    connection = database.connection()
    connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    connection.commit()
    database.drop()
    line = f"its tables have version 9999, and this version knows those up to {HEAD}"
    assert f": {line}; install the version that made them, or change `proxy` " in complaint(database_url)


@pytest.mark.parametrize("url", ["", "oneproxy.db", "not a url", "://", "postgresql//x:hush@y"])
def test_what_is_no_url_is_refused_without_being_shown(url: str) -> None:
    assert complaint(url) == (
        "cannot use the proxy database: it is no URL; write `proxy` under [database] "
        "as sqlite:///path/to/file.db or postgresql://user:password@host/name"
    )


def test_a_database_of_another_kind_is_refused() -> None:
    assert complaint("mysql://root:hush@localhost/x?password=hush") == (
        "cannot use the proxy database: mysql is not supported; write `proxy` under [database] "
        "as sqlite:///path/to/file.db or postgresql://user:password@host/name"
    )


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_server_that_is_down_is_named_without_its_password(scheme: str) -> None:
    line = complaint(f"{scheme}://proxy:hush@127.0.0.1:1/calls?sslpassword=hush&connect_timeout=2")
    shown_url = "postgresql://proxy:***@127.0.0.1:1/calls?connect_timeout=2"
    assert line.startswith(f"cannot use the proxy database {shown_url}: ")
    assert "onnection refused" in line or "onnection failed" in line
    assert line.endswith("; see that the server runs and lets us in, or change `proxy` under [database]")
    assert "hush" not in line
    assert "\n" not in line


def test_a_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    assert complaint(f"sqlite:///{tmp_path}/none/a.db") == (
        f"cannot use the proxy database sqlite:///{tmp_path}/none/a.db: "
        f"the directory {tmp_path}/none does not exist; create it, or change `proxy` under [database]"
    )


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("Dear diary, today I was taken for a database. " * 100)
    assert complaint(f"sqlite:///{tmp_path}/a.db") == (
        f"cannot use the proxy database sqlite:///{tmp_path}/a.db: file is not a database; "
        "see that we may write it and its directory, or change `proxy` under [database]"
    )


def test_a_directory_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    assert complaint(f"sqlite:///{tmp_path}") == (
        f"cannot use the proxy database sqlite:///{tmp_path}: unable to open database file; "
        "see that we may write it and its directory, or change `proxy` under [database]"
    )


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write everywhere, so the answer is put into the system's mouth.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert complaint(f"sqlite:///{tmp_path}/a.db") == (
        f"cannot use the proxy database sqlite:///{tmp_path}/a.db: "
        f"the directory {tmp_path} cannot be written; "
        "see that we may write it and its directory, or change `proxy` under [database]"
    )


def test_a_database_that_is_locked_for_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneproxy.store.database.BUSY_S", 0)
    url = f"sqlite:///{tmp_path}/a.db"
    database = Database("proxy", url)
    database.open()
    database.drop()
    other = sqlite3.connect(tmp_path / "a.db")
    other.execute("BEGIN IMMEDIATE")
    assert ": database is locked; " in complaint(url)
    other.close()


def test_a_postgresql_database_in_another_encoding_is_named(postgres: Cluster) -> None:
    url = postgres.database("LATIN1")
    assert complaint(url) == (
        f"cannot use the proxy database {url.replace('sesame', '***')}: its encoding is LATIN1; "
        "create it with ENCODING 'UTF8'"
    )


def test_a_postgresql_database_that_does_not_exist_is_named(postgres: Cluster) -> None:
    url = postgres.url("nowhere")
    line = complaint(url)
    assert line.startswith(f"cannot use the proxy database {url.replace('sesame', '***')}: ")
    assert 'database "nowhere" does not exist; see that the server runs' in line


def test_after_a_failed_connection_the_next_attempt_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database("proxy", "postgresql://127.0.0.1:1/x")
    with pytest.raises(StoreError):
        database.open()
    monkeypatch.setattr(database, "_engine", None)
    with pytest.raises(StoreError, match="onnection"):
        database.connection()


def test_a_url_is_shown_without_passwords() -> None:
    from sqlalchemy.engine import make_url  # noqa: PLC0415

    url = make_url("postgresql+psycopg://u:hush@h/n?password=hush&passfile=%2Fx&sslmode=require")
    assert shown(url) == "postgresql://u:***@h/n?passfile=%2Fx&sslmode=require"
