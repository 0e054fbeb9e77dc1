"""Groups of changes that PostgreSQL commits while the loop goes on: no thread, and nobody who waits.

A connection of its own, read and written by the loop as sockets of nodes are. All statements of
a group, prepared, and the sync that ends their transaction go out together (libpq's pipeline);
the group is committed when the sync is answered. So a group costs one round trip and no change
of threads, where BEGIN, statement and COMMIT in a thread are three: a group of fifty changes
0.7 ms of our CPU, and 1.3 there.

Only what goes well is done here. Whatever does not ends the connection, and the group is for
`store.work`, which finds out what is wrong and for whom: it may do what was done already, since
storing a change twice has no further effect. Meanwhile the connection is made again.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import psycopg
import structlog
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

from oneproxy import logs
from oneproxy.registrar.bindings import Change
from oneproxy.store import locations
from oneproxy.store.database import CONNECT_S, LOCK_S, STATEMENT_S, Database, settings
from oneproxy.store.work import Verdict, sift

#: Has the server see within 7 s that our machine is gone. Of a group of which half has come it
#: waits for the rest whatever `settings` say, and has locks on rows meanwhile.
_SEEN: Final = "SET tcp_keepalives_idle = 3; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 2"
#: For a group that is not answered in this time the connection is taken for broken, whatever it says.
ANSWER_S: Final = STATEMENT_S + 5.0
#: Before a connection that was lost, or could not be made, is made again.
AGAIN_S: Final = 1.0

log = structlog.get_logger()


class Direct:
    """Commits groups in `database`, which is PostgreSQL, whenever it has a connection."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pgconn: PGconn | None = None
        #: That which made it, and would say that it was forgotten.
        self._made: psycopg.AsyncConnection[Any] | None = None
        #: Of its socket, which libpq closes by itself when the server has.
        self._descriptor = -1
        self._lost = asyncio.Event()
        #: Of the group under way: whether it was committed, and whether all went well so far.
        self._done: asyncio.Future[bool] | None = None
        self._sound = True

    @property
    def ready(self) -> bool:
        """Whether a group can be committed here."""
        return self._pgconn is not None

    async def keep(self) -> None:
        """Have a connection, for ever; cancel it to end."""
        seldom = logs.RateLimited(log)
        while True:
            try:
                await self._connect()
                await self._lost.wait()
            except (psycopg.Error, OSError, TimeoutError) as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                seldom.warning("commits by thread", asyncio.get_running_loop().time(), reason=reason)
            await asyncio.sleep(AGAIN_S)

    async def commit(self, group: Sequence[Sequence[Change]]) -> list[Verdict] | None:
        """Commit the batches of `group` in one transaction; a verdict for each.

        None: they may be committed or not, and `Work.commit` has to do it. One group at a time.
        """
        pgconn = self._pgconn
        if pgconn is None:
            return None
        loop = asyncio.get_running_loop()
        done = self._done = loop.create_future()
        self._sound = True
        impatience = loop.call_later(ANSWER_S, self.close)
        refused, changes = sift(group)
        try:
            for name, values in locations.statements(changes):
                pgconn.send_query_prepared(name.encode(), values)
            pgconn.pipeline_sync()
            if pgconn.flush():
                loop.add_writer(self._descriptor, self._write)
        except Exception:
            # Our own fault too, in what we made of somebody's change, is told of by `work`.
            self.close()
        committed = await done
        impatience.cancel()
        return list(refused) if committed else None

    def close(self) -> None:
        """Disconnect. What was sent and not answered is committed or not."""
        pgconn, self._pgconn = self._pgconn, None
        if pgconn is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._descriptor)
            loop.remove_writer(self._descriptor)
            pgconn.finish()
            self._made = None
        self._lost.set()
        self._end(False)

    async def _connect(self) -> None:
        """Connect, prepare the statements, and be read by the loop. Raises psycopg.Error."""
        arguments = self._database.arguments() | {"client_encoding": "utf8"}
        connecting = psycopg.AsyncConnection.connect(autocommit=True, **arguments)
        connection = await asyncio.wait_for(connecting, CONNECT_S)
        try:
            locks = f"SET lock_timeout = {int(LOCK_S * 1000)}"
            await connection.execute(f"{settings()}; {locks}; {_SEEN}".encode())
            for name, statement in locations.PREPARED.items():
                await connection.execute(f"PREPARE {name} AS {statement}".encode())
            pgconn = connection.pgconn
            pgconn.enter_pipeline_mode()
        except BaseException:
            await connection.close()
            raise
        self._lost.clear()
        self._pgconn, self._made, self._descriptor = pgconn, connection, pgconn.socket
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _write(self) -> None:
        """The socket takes more."""
        pgconn = self._pgconn
        assert pgconn is not None
        try:
            if not pgconn.flush():
                asyncio.get_running_loop().remove_writer(self._descriptor)
        except psycopg.Error:
            self.close()

    def _read(self) -> None:
        """Something came: answers to what was sent, or the end."""
        pgconn = self._pgconn
        assert pgconn is not None
        try:
            pgconn.consume_input()
            # Of a connection that was reset uvloop tells once, and the server's last words come
            # before the end: that is only seen by who reads on.
            pgconn.consume_input()
            while self._done is not None and not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    # Between the answers to two statements.
                    continue
                if result.status == ExecStatus.PIPELINE_SYNC:
                    if not self._sound:
                        self.close()
                    self._end(self._sound)
                elif result.status != ExecStatus.COMMAND_OK:
                    self._sound = False
        except psycopg.Error:
            self.close()

    def _end(self, committed: bool) -> None:
        """Say what became of the group under way, if there is one."""
        done, self._done = self._done, None
        if done is not None and not done.done():
            done.set_result(committed)
