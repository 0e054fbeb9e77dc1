"""Where the recorder listens: "unix:/path" or, where there is no Unix socket, "tcp:127.0.0.1:port"."""

import asyncio
from collections.abc import Callable


async def connect(endpoint: str, protocol: asyncio.Protocol) -> None:
    """Connect `protocol` to `endpoint`. Raises OSError."""
    loop = asyncio.get_running_loop()
    kind, _, where = endpoint.partition(":")
    if kind == "unix":
        await loop.create_unix_connection(lambda: protocol, where)
        return
    host, _, port = where.rpartition(":")
    await loop.create_connection(lambda: protocol, host, int(port))


async def listen(endpoint: str, make: Callable[[], asyncio.Protocol]) -> asyncio.AbstractServer:
    """Listen at `endpoint`; `make` gives a protocol for each connection. Raises OSError.

    A socket file that a dead process left at the path is replaced.
    """
    loop = asyncio.get_running_loop()
    kind, _, where = endpoint.partition(":")
    if kind == "unix":
        return await loop.create_unix_server(make, where)
    host, _, port = where.rpartition(":")
    return await loop.create_server(make, host, int(port))
