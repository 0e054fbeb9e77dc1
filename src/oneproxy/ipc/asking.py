"""One question to the recorder, and its answer: what a command does, which is gone afterwards."""

import asyncio
from typing import Final

from oneproxy.ipc.connection import Connection
from oneproxy.ipc.desk import Answer, Found, Query, Question
from oneproxy.ipc.endpoint import connect
from oneproxy.ipc.messages import FromRecorder, Hello, Welcome
from oneproxy.ipc.running import COMMAND
from oneproxy.ipc.stream import encode

#: For the whole of it; nodes have a second to answer the recorder.
PATIENCE_S: Final = 5.0


class _Once:
    """Asks when it is welcome."""

    def __init__(self, question: Question) -> None:
        self._query = encode(Query(1, question))
        self.found: asyncio.Future[Found] = asyncio.get_running_loop().create_future()

    def received(self, connection: Connection, message: FromRecorder) -> None:
        """A message came."""
        match message:
            case Welcome():
                connection.send(self._query)
            case Answer(found=found) if not self.found.done():
                self.found.set_result(found)
            case _:
                # What nodes are told.
                pass

    def lost(self, connection: Connection) -> None:
        """It has ended, before the answer or after."""
        if not self.found.done():
            self.found.set_exception(ConnectionError(connection.error))


async def ask_once(endpoint: str, token: str, question: Question, patience_s: float = PATIENCE_S) -> Found:
    """The answer of the recorder at `endpoint`. token: as `running.Running` has it.

    Raises OSError where nobody is there or it ends, TimeoutError where there is no answer in time.
    """
    once = _Once(question)
    connection = Connection(once, encode(Hello(COMMAND, token, asks=True)))
    async with asyncio.timeout(patience_s):
        await connect(endpoint, connection)
        try:
            return await once.found
        finally:
            connection.abort()
            await connection.ended
