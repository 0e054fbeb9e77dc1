"""PostgreSQL tells when there is a new version of the site; whoever listens hears it at once.

A connection of its own, since one that listens has nothing else to do. When it is lost it is
made again; what was told meanwhile is heard as one notice when it is back.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import psycopg
import structlog

from oneproxy import logs
from oneproxy.store.database import CONNECT_S, Database
from oneproxy.store.site_rows import CHANNEL

#: Before a lost connection is made again.
AGAIN_S: Final = 1.0

log = structlog.get_logger()


async def listen(database: Database, heard: Callable[[], None]) -> None:
    """Call `heard` for every notice, for ever; cancel it to end."""
    loop = asyncio.get_running_loop()
    seldom = logs.RateLimited(log)
    while True:
        try:
            await _listen_once(database, heard)
        except (psycopg.Error, OSError, TimeoutError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            seldom.warning("site changes not heard", loop.time(), reason=reason)
        await asyncio.sleep(AGAIN_S)


async def _listen_once(database: Database, heard: Callable[[], None]) -> None:
    """Listen until the connection is lost. Raises psycopg.Error."""
    loop = asyncio.get_running_loop()
    connection = await asyncio.wait_for(
        psycopg.AsyncConnection.connect(autocommit=True, **database.arguments()), CONNECT_S
    )
    readable = asyncio.Event()
    descriptor = connection.fileno()
    try:
        await connection.execute(f"LISTEN {CHANNEL}")
        heard()
        # Not `connection.notifies`, which wakes ten times a second to see whether it shall end.
        loop.add_reader(descriptor, readable.set)
        while True:
            await readable.wait()
            readable.clear()
            connection.pgconn.consume_input()
            if connection.pgconn.notifies() is not None:
                while connection.pgconn.notifies() is not None:
                    pass
                heard()
    finally:
        loop.remove_reader(descriptor)
        await connection.close()
