"""Groups that PostgreSQL commits without the thread: the same as with it, or nothing and a word of that."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import psycopg
import pytest
import uvloop
from structlog.testing import capture_logs

from oneproxy.registrar.bindings import Binding, Change, meaning
from oneproxy.store import database as database_module
from oneproxy.store import direct as direct_module
from oneproxy.store import locations
from oneproxy.store.database import Database
from oneproxy.store.direct import Direct
from postgres import Cluster

NOW = 1_700_000_000.25
EVERY_OCTET = "".join(map(chr, range(1, 256)))
TOO_LONG = Change("long@x", ("c" * 3000,), ())


def binding(contact: str, cseq: int = 1, user_agent: str = "") -> Binding:
    return Binding(contact, NOW + 60, 1000, "call", cseq, "udp:192.0.2.7:5060", NOW, (), user_agent)


def change(name: str) -> Change:
    return Change(f"{name}@x", (), (binding(f"sip:{name}"),))


class Stage:
    """A connection that is kept, and the database behind it."""

    def __init__(self, url: str) -> None:
        self.database = Database("proxy", url)
        self.database.open()
        self.direct = Direct(self.database)
        self.keeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        if self.keeping is None:
            self.keeping = asyncio.create_task(self.direct.keep())
        while not self.direct.ready:
            await asyncio.sleep(0.001)

    async def close(self) -> None:
        if self.keeping is not None:
            self.keeping.cancel()
            await asyncio.wait([self.keeping])
        self.direct.close()
        self.database.drop()

    def stored(self) -> list[tuple[str, Binding]]:
        connection = self.database.connection()
        found, last = locations.page(connection, 0.0, "", 10_000)
        connection.rollback()
        assert last
        return found

    def names(self) -> list[str]:
        return [aor.partition("@")[0] for aor, _ in self.stored()]


Scene = Callable[[Stage], Awaitable[None]]
Play = Callable[[Scene], None]


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest, postgres: Cluster, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a scene with a connection that is made again at once; on either loop."""
    monkeypatch.setattr(direct_module, "AGAIN_S", 0.001)

    async def run(scene: Scene) -> None:
        stage = Stage(postgres.database())
        try:
            await asyncio.wait_for(stage.open(), 10)
            await asyncio.wait_for(scene(stage), 30)
        finally:
            await stage.close()

    return lambda scene: request.param(run(scene))


def end_others(url: str) -> None:
    """Have the server end every connection to the database but this one."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def url_of(stage: Stage) -> str:
    return stage.database._engine.url.render_as_string(hide_password=False).replace("+psycopg", "")


def test_a_group_is_committed_and_what_cannot_be_stored_is_refused_alone(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        group = [[change("a")], [TOO_LONG, change("b"), TOO_LONG], []]
        assert await stage.direct.commit(group) == [(), (0, 2), ()]
        assert stage.names() == ["a", "b"]
        assert await stage.direct.commit([[change("c")]]) == [()]
        assert stage.names() == ["a", "b", "c"]

    play(scene)


def test_a_group_of_nothing_shows_that_the_server_is_there(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        assert await stage.direct.commit([[]]) == [()]
        end_others(url_of(stage))
        assert await stage.direct.commit([[]]) is None

    play(scene)


def test_every_octet_comes_back_as_it_went_whatever_the_encoding_of_others(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    full = Binding(
        EVERY_OCTET, NOW, 333, EVERY_OCTET, 2**31 - 1, "s", NOW, ("<sip:p1;lr>", EVERY_OCTET), EVERY_OCTET
    )

    async def scene(stage: Stage) -> None:
        assert await stage.direct.commit([[Change("josé@x", (), (full,))]]) == [()]
        assert stage.stored() == [("josé@x", full)]

    play(scene)


def test_what_it_does_is_what_the_thread_does(play: Play) -> None:
    """Removing, removing what is meant, storing what gives way, and twice to one binding."""
    first = [change(name) for name in "abcd"] + [Change("e@x", (), (binding("sip:1"), binding("sip:2")))]
    second = [
        Change("a@x", ("sip:a",), ()),
        Change("b@x", ("sip:b", "sip:none"), (binding("sip:b", 0),)),
        Change("c@x", ("sip:c",), (), (meaning(binding("sip:c", 0)),)),
        Change("d@x", ("sip:d",), (), (meaning(binding("sip:d", 7)),)),
        Change("e@x", (), (binding("sip:1", 0), binding("sip:2", 5))),
        Change("a@x", (), (binding("sip:a", 9),)),
        Change("e@x", ("sip:2",), (), (meaning(binding("sip:2", 4)),)),
    ]

    async def scene(stage: Stage) -> None:
        found = []
        for do in (True, False):
            connection = stage.database.connection()
            connection.exec_driver_sql("DELETE FROM location")
            connection.commit()
            for changes in (first, second):
                if do:
                    assert await stage.direct.commit([changes]) == [()]
                else:
                    locations.save(connection, changes)
                    connection.commit()
            found.append(stage.stored())
        assert found[0] == found[1]
        assert [(aor, one.contact, one.cseq) for aor, one in found[0]] == [
            ("a@x", "sip:a", 9),
            ("b@x", "sip:b", 0),
            ("c@x", "sip:c", 1),
            ("e@x", "sip:1", 1),
            ("e@x", "sip:2", 5),
        ]

    play(scene)


def test_a_group_that_no_socket_takes_at_once_is_sent_to_its_end(play: Play) -> None:
    agent = "x" * 8000
    changes = [Change(f"{n:04}@x", (), (binding("sip:1", user_agent=agent),)) for n in range(2000)]

    async def scene(stage: Stage) -> None:
        assert await stage.direct.commit([changes]) == [()]
        assert len(stage.names()) == 2000
        assert await stage.direct.commit([[Change(one.aor, ("sip:1",), ()) for one in changes]]) == [()]
        assert stage.names() == []

    play(scene)


def test_what_the_database_refuses_is_undone_whole_and_left_to_the_thread(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locations, "unfit", lambda change: None)
    odd = Change("odd@x", (), (binding("sip:1", user_agent="\0"),))

    async def scene(stage: Stage) -> None:
        assert await stage.direct.commit([[change("a")]]) == [()]
        assert await stage.direct.commit([[Change("a@x", ("sip:a",), ())], [change("b"), odd]]) is None
        assert not stage.direct.ready
        assert await stage.direct.commit([[change("b")]]) is None
        assert stage.names() == ["a"]
        await stage.open()
        assert await stage.direct.commit([[change("b")]]) == [()]
        assert stage.names() == ["a", "b"]

    play(scene)


def test_a_fault_of_our_own_sends_nothing_and_is_left_to_the_thread(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(stage: Stage) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(locations, "statements", lambda changes: [("oneproxy_store", [b"[]"]), 1])
            assert await stage.direct.commit([[change("a")]]) is None
        await stage.open()
        assert stage.names() == []

    play(scene)


def test_a_connection_that_the_server_ends_is_made_again(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        end_others(url_of(stage))
        while stage.direct.ready:
            await asyncio.sleep(0.001)
        stage.database.drop()
        await stage.open()
        assert await stage.direct.commit([[change("a")]]) == [()]

    play(scene)


def test_a_group_that_waits_when_the_connection_ends_is_left_to_the_thread(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        assert await stage.direct.commit([[change("a")]]) == [()]
        with psycopg.connect(url_of(stage)) as other:
            other.execute("UPDATE location SET cseq = 0")
            committing = asyncio.create_task(stage.direct.commit([[change("b"), change("a")]]))
            await asyncio.sleep(0.01)
            assert not committing.done()
            stage.direct.close()
            assert await committing is None

    play(scene)


def test_a_statement_that_takes_too_long_is_left_to_the_thread(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "STATEMENT_S", 0.2)

    async def scene(stage: Stage) -> None:
        assert await stage.direct.commit([[change("a")]]) == [()]
        with psycopg.connect(url_of(stage)) as other:
            other.execute("UPDATE location SET cseq = 0")
            assert await stage.direct.commit([[change("b"), change("a")]]) is None
        assert stage.names() == ["a"]

    play(scene)


def test_a_row_that_somebody_has_locked_is_soon_left_to_the_thread(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_module, "LOCK_S", 0.05)

    async def scene(stage: Stage) -> None:
        assert await stage.direct.commit([[change("a")]]) == [()]
        with psycopg.connect(url_of(stage)) as other:
            other.execute("UPDATE location SET cseq = 0")
            began = time.monotonic()
            assert await stage.direct.commit([[change("b"), change("a")]]) is None
            assert time.monotonic() - began < database_module.STATEMENT_S / 2
        assert stage.names() == ["a"]

    play(scene)


def test_a_server_that_does_not_answer_is_given_up(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_module, "ANSWER_S", 0.1)

    async def scene(stage: Stage) -> None:
        assert await stage.direct.commit([[change("a")]]) == [()]
        with psycopg.connect(url_of(stage)) as other:
            other.execute("UPDATE location SET cseq = 0")
            assert await stage.direct.commit([[change("a")]]) is None
        assert not stage.direct.ready

    play(scene)


def test_the_server_sees_soon_that_a_machine_is_gone_of_whose_group_half_has_come(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        made = stage.direct._made
        assert made is not None
        asyncio.get_running_loop().remove_reader(made.fileno())
        made.pgconn.exit_pipeline_mode()
        found = [
            await (await made.execute(f"SHOW {name}".encode())).fetchone()
            for name in ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
        ]
        assert found == [("3",), ("2",), ("2",)]

    play(scene)


def test_that_the_connection_cannot_be_made_is_logged_once_and_commits_go_by_the_thread(
    postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_module, "AGAIN_S", 0.001)

    async def scene() -> None:
        direct = Direct(Database("proxy", postgres.url("nowhere")))
        keeping = asyncio.create_task(direct.keep())
        while not logged:
            await asyncio.sleep(0.001)
        assert not direct.ready
        assert await direct.commit([[change("a")]]) is None
        keeping.cancel()
        await asyncio.wait([keeping])

    with capture_logs() as logged:
        asyncio.run(scene())
    ((event, reason),) = [(one["event"], one["reason"]) for one in logged]
    assert event == "commits by thread"
    assert 'database "nowhere" does not exist' in reason
