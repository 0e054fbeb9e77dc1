"""One connection to the recorder, from its Hello to its end: a node's, or the admin process's."""

import asyncio
from typing import Protocol, cast

from oneproxy.ipc.messages import FromRecorder
from oneproxy.ipc.stream import Decoder, StreamError


class Owner(Protocol):
    """Who connects."""

    def received(self, connection: "Connection", message: FromRecorder) -> None:
        """A message came."""
        ...

    def lost(self, connection: "Connection") -> None:
        """It has ended."""
        ...


class Connection(asyncio.Protocol):
    """Sends `hello` when it is made, and hands what comes to `owner`."""

    def __init__(self, owner: Owner, hello: bytes) -> None:
        self._owner = owner
        self._hello = hello
        self._decoder = Decoder[FromRecorder](FromRecorder)
        self._transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: Whether the recorder has said anything: it says Welcome first.
        self.welcomed = False
        self.error = "it closed the connection"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not by isinstance: uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._decoder.feed(data)
        except StreamError as error:
            self.error = str(error)
            self.abort()
            return
        for message in messages:
            self.welcomed = True
            self._owner.received(self, message)

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self.error = str(error)
        self._transport = None
        self._owner.lost(self)
        if not self.ended.done():
            self.ended.set_result(None)

    def send(self, frame: bytes) -> None:
        """Hand a frame to the socket; what it cannot take waits in the transport."""
        if self._transport is not None:
            self._transport.write(frame)

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
