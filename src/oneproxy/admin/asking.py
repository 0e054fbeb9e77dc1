"""The recorder as the admin process sees it: it is asked, and answers, or is not there.

Reconnects by itself. What was asked over a connection that broke is not asked again: whoever
asked is told, since a change may have been made or not.
"""

import asyncio
from typing import Final, Protocol

import structlog

from oneproxy import logs
from oneproxy.ipc.connection import Connection
from oneproxy.ipc.desk import Answer, Found, Query, Question
from oneproxy.ipc.endpoint import connect
from oneproxy.ipc.messages import FromRecorder, Hello, Welcome
from oneproxy.ipc.stream import encode

#: Questions at once, others wait here; the recorder lets more of them wait than these.
AT_ONCE: Final = 32
#: An answer takes this long at most: a database may take half of it to say that it is away.
PATIENCE_S: Final = 20.0
#: Between attempts to connect: the first pause, doubled up to the longest.
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0

log = structlog.get_logger()


class RecorderAwayError(Exception):
    """The recorder can't be asked, or has not answered; the text is one line for people."""


class Desk(Protocol):
    """Who answers questions."""

    async def ask(self, question: Question) -> Found:
        """The answer. Raises RecorderAwayError."""
        ...


class RecorderDesk:
    """The recorder at `endpoint`. token: what `Start` brought. name: for the recorder's log."""

    def __init__(self, endpoint: str, token: str, name: str) -> None:
        self._endpoint = endpoint
        self._hello = encode(Hello(name, token, asks=True))
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Found]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._connection: Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._seldom = logs.RateLimited(log)

    @property
    def connected(self) -> bool:
        """Whether the recorder has welcomed us on the present connection."""
        return self._connection is not None

    def start(self) -> None:
        """Connect, and connect again whenever that ends, until `close`."""
        self._keeper = asyncio.create_task(self._keep_connected())

    async def close(self) -> None:
        """Disconnect for good."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    async def ask(self, question: Question) -> Found:
        """The answer. Raises RecorderAwayError."""
        async with self._turns:
            if self._connection is None:
                raise RecorderAwayError("the recorder is not there; it is started again")
            self._number += 1
            number = self._number
            answer: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
            self._waiting[number] = answer
            self._connection.send(encode(Query(number, question)))
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await answer
            except TimeoutError:
                reason = f"the recorder has not answered for {PATIENCE_S:.0f} s"
                raise RecorderAwayError(reason) from None
            finally:
                self._waiting.pop(number, None)

    def received(self, connection: Connection, message: FromRecorder) -> None:
        """A message came over `connection`."""
        match message:
            case Welcome():
                self._connection = connection
            case Answer():
                waiting = self._waiting.get(message.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message.found)
            case _:
                # What nodes are told.
                pass

    def lost(self, connection: Connection) -> None:
        """`connection` has ended: nothing that was asked over it will be answered."""
        if self._connection is not connection:
            return
        self._connection = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(
                    RecorderAwayError("the recorder ended before it answered; what was asked may be done")
                )

    async def _keep_connected(self) -> None:
        pause_s = FIRST_PAUSE_S
        connection: Connection | None = None
        try:
            while True:
                connection = Connection(self, self._hello)
                try:
                    await connect(self._endpoint, connection)
                    await connection.ended
                except OSError as error:
                    connection.error = str(error)
                if connection.welcomed:
                    pause_s = FIRST_PAUSE_S
                now = asyncio.get_running_loop().time()
                self._seldom.warning("recorder unreachable", now, reason=connection.error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        finally:
            if connection is not None:
                connection.abort()
