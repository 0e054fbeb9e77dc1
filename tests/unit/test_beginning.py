"""What the recorder begins with: as a process, with databases that are there and that are not."""

import asyncio
import contextlib
import os
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest

from oneproxy.ipc.link import Link
from oneproxy.ipc.messages import Failed, Follow, FromChild, Ready, SitePart, SiteVersion, Start, Stop, Wanted
from oneproxy.ipc.stream import Decoder, encode
from oneproxy.registrar.bindings import Binding, Change, Fate
from oneproxy.site import last
from oneproxy.site.entries import encode_value
from oneproxy.site.last import LastSite, Writer
from oneproxy.site.model import Entries, Machine, Row, Version
from oneproxy.sitefeed import LOOK_TOLD_S
from oneproxy.store.database import Database
from oneproxy.store.sites import Sites
from postgres import Cluster
from waiting import PATIENCE_S, until, until_now

BY = Version(0, 5.0, "carol", "")


def site(*names: str) -> Entries:
    return {("subscriber", name): encode_value({"aor": name, "ha1": {"MD5": "0" * 32}}) for name in names}


class Process:
    """A recorder process, as its supervisor sees it."""

    def __init__(self, directory: Path, url: str, wanted: Wanted | None = None, farm_key: str = "") -> None:
        self.directory = directory
        with (directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "oneproxy.recorder"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=directory,
                bufsize=0,
            )
        machine = Machine("edge-1", (), url, url, farm_key=farm_key, last_site=str(directory / "last"))
        self.say(Start(machine, "unix:socket", "token", site=wanted))

    @staticmethod
    def pipe(end: IO[bytes] | None) -> IO[bytes]:
        assert end is not None
        return end

    def say(self, message: Start | Stop) -> None:
        self.pipe(self.process.stdin).write(encode(message))

    def hear(self) -> FromChild:
        return Decoder[FromChild](FromChild).feed(self.pipe(self.process.stdout).read(65536))[0]

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def end(self) -> int:
        """Wait for its end; its exit status."""
        status = self.process.wait(PATIENCE_S)
        for end in (self.process.stdin, self.process.stdout):
            self.pipe(end).close()
        return status

    def stop(self) -> int:
        self.say(Stop(1.0))
        return self.end()


class Node:
    """A node's end, that keeps what it is told of the site."""

    def __init__(self, directory: Path) -> None:
        self.link = Link(f"unix:{os.path.relpath(directory / 'socket')}", "token", "edge-1")
        self.site: Entries = {}
        self.version = Follow()
        self.secret = b""
        self.came: list[Row] = []

    async def open(self) -> None:
        self.secret = await self.link.start()
        self.link.follow_site(lambda: self.version, self._part, self._is)

    def _part(self, part: SitePart) -> None:
        self.came = [*([] if part.first else self.came), *part.entries]

    def _is(self, version: SiteVersion) -> None:
        if version.whole:
            self.site = {}
        for section, key, value in self.came:
            self.site.pop((section, key), None)
            if value:
                self.site[section, key] = value
        self.version = Follow(version.version, version.at)

    async def until(self, number: int) -> None:
        """Wait for a version."""
        await until(lambda: self.version.version == number)


def with_node(directory: Path, scene: Callable[[Node], Awaitable[Any]]) -> None:
    async def run() -> None:
        node = Node(directory)
        await node.open()
        try:
            await scene(node)
        finally:
            await node.link.close()

    asyncio.run(asyncio.wait_for(run(), 4 * PATIENCE_S))


def wanted(directory: Path, entries: Entries, digest: str, first_only: bool = False) -> Wanted:
    path = str(directory / f"site-{digest}")
    with Writer(path, Version(0, 0.0), b"") as writer:
        writer.add((*key, value) for key, value in entries.items())
        writer.finish()
    return Wanted(path, "m:/f.toml", digest, "run", first_only)


def opened(url: str) -> Database:
    database = Database("system", url)
    database.open()
    return database


def is_locked(url: str) -> bool:
    """Whether somebody writes into the database (SQLite), or a version of the site (PostgreSQL)."""
    if url.startswith("postgresql"):
        with psycopg.connect(url) as connection:
            query = (
                "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
                " WHERE locktype = 'advisory' AND datname = current_database()"
            )
            return connection.execute(query).fetchone() != (0,)
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False


def await_kept(directory: Path, version: int) -> LastSite:
    """The file with the last site known, once it has this version."""
    until_now(
        lambda: (head := last.read_head(str(directory / "last"))) is not None and head.version == version
    )
    found = last.read(str(directory / "last"))
    assert isinstance(found, LastSite)
    return found


def test_the_site_of_the_file_is_applied_and_changes_are_followed(database_url: str, tmp_path: Path) -> None:
    process = Process(tmp_path, database_url, wanted(tmp_path, site("a"), "1"))
    assert process.hear() == Ready(Database("x", database_url).shown, True, True)

    async def scene(node: Node) -> None:
        await node.until(1)
        assert node.site == site("a")
        database = opened(database_url)
        Sites(database).replace(site("a", "b"), BY)
        database.drop()
        await node.until(2)
        assert node.site == site("a", "b")

    with_node(tmp_path, scene)
    assert await_kept(tmp_path, 2).rows == sorted((*key, value) for key, value in site("a", "b").items())
    assert process.stop() == 0
    assert '"event": "site", "version": 1' in process.log()
    # The same file again: what was changed live stays.
    process = Process(tmp_path, database_url, wanted(tmp_path, site("a"), "1"))
    assert process.hear() == Ready(Database("x", database_url).shown, True, False)
    with_node(tmp_path, lambda node: node.until(2))
    process.stop()


def test_the_sample_is_for_who_has_no_site(database_url: str, tmp_path: Path) -> None:
    for entries, digest, asked in ((site("a"), "1", True), (site("b"), "2", False)):
        process = Process(tmp_path, database_url, wanted(tmp_path, entries, digest, first_only=True))
        ready = process.hear()
        assert isinstance(ready, Ready)
        assert ready.asked == asked
        with_node(tmp_path, lambda node: node.until(1))
        process.stop()


def test_a_recorder_killed_in_the_middle_of_an_apply_leaves_the_site_as_it_was(
    database_url: str, tmp_path: Path
) -> None:
    database = opened(database_url)
    Sites(database).replace(site("a"), BY)
    many = site(*(f"u{number:05d}" for number in range(40_000)))
    process = Process(tmp_path, database_url, wanted(tmp_path, many, "1"))
    # Thrice, since the lock is also taken for a moment when the database is opened.
    held = 0
    assert process.process.stdout is not None
    while held < 3:
        assert not select.select([process.process.stdout], [], [], 0)[0], "it was over before it was seen"
        held = held + 1 if is_locked(database_url) else 0
    os.kill(process.process.pid, signal.SIGKILL)
    process.end()
    assert Sites(database).latest().version == 1
    assert Sites(database).entries(2) == site("a")
    process = Process(tmp_path, database_url, wanted(tmp_path, many, "1"))
    assert isinstance(process.hear(), Ready)
    assert Sites(database).entries(2) == many
    assert process.stop() == 0
    database.drop()


def test_without_the_database_it_starts_with_the_last_site_and_goes_on_with_the_database(
    postgres: Cluster, tmp_path: Path
) -> None:
    url = postgres.database()
    process = Process(tmp_path, url, wanted(tmp_path, site("a"), "1"))
    assert isinstance(process.hear(), Ready)
    secret = await_kept(tmp_path, 1).secret
    process.stop()
    postgres.stop()
    try:
        process = Process(tmp_path, url, wanted(tmp_path, site("a", "b"), "2"))
        assert process.hear() == Ready(Database("x", url).shown, False, False)

        async def scene(node: Node) -> None:
            await node.until(1)
            assert (node.site, node.secret) == (site("a"), secret)
            saved: asyncio.Future[Fate] = asyncio.get_running_loop().create_future()
            change = Change("a@x", (), (Binding("sip:a", 9e9, 0, "c", 1, "udp:192.0.2.1:5060", 1.0),))
            assert node.link.save(change, saved.set_result)
            assert await saved is Fate.UNKNOWN
            postgres.start()
            # The file's own site was waiting, and is applied now.
            await node.until(2)
            assert node.site == site("a", "b")
            again: asyncio.Future[Fate] = asyncio.get_running_loop().create_future()
            # It takes changes again once it is told that they are stored.
            await until(lambda: node.link.save(change, again.set_result))
            assert await again is Fate.STORED

        with_node(tmp_path, scene)
    finally:
        if postgres._process.poll() is not None:
            postgres.start()
    assert process.stop() == 0
    assert '"event": "started without the database"' in process.log()
    assert '"event": "database opened"' in process.log()


def test_without_database_and_file_it_does_not_start(tmp_path: Path) -> None:
    process = Process(tmp_path, "postgresql://u:hush@127.0.0.1:1/x")
    failed = process.hear()
    assert isinstance(failed, Failed)
    assert failed.reason.startswith("cannot use the proxy database postgresql://u:***@127.0.0.1:1/x: ")
    assert failed.reason.endswith(
        f"; no site is kept in {tmp_path}/last to start with (no such file or directory)"
    )
    assert "hush" not in failed.reason
    assert process.end() == 1


@pytest.mark.parametrize("url", ["mysql://h/x", "sqlite:////none/at/all.db"])
def test_a_mistake_of_the_configuration_ends_the_start_whatever_is_kept(tmp_path: Path, url: str) -> None:
    with Writer(str(tmp_path / "last"), Version(1, 1.0), b"s") as writer:
        writer.finish()
    process = Process(tmp_path, url)
    assert isinstance(process.hear(), Failed)
    assert process.end() == 1


def test_a_lost_listening_connection_comes_back(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.database()
    process = Process(tmp_path, url, wanted(tmp_path, site("a"), "1"))
    assert isinstance(process.hear(), Ready)

    def listeners(connection: "psycopg.Connection[Any]") -> list[int]:
        query = "SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN oneproxy_site' AND datname = %s"
        return [pid for (pid,) in connection.execute(query, [url.rpartition("/")[2]]).fetchall()]

    async def scene(node: Node) -> None:
        await node.until(1)
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
            await until(lambda: listeners(connection))
            first = listeners(connection)
            connection.execute("SELECT pg_terminate_backend(%s)", [first[0]])
            await until(lambda: listeners(connection) not in ([], first))
        database = opened(url)
        began = time.monotonic()
        for number in range(2, 6):
            Sites(database).replace(site("a", str(number)), BY)
            await node.until(number)
        database.drop()
        # Unheard, each but the first would wait until the recorder looks by itself.
        assert time.monotonic() - began < 3 * LOOK_TOLD_S

    with_node(tmp_path, scene)
    process.stop()
    assert '"event": "site changes not heard"' in process.log()
