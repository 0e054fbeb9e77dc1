"""The node's end of the connection to the recorder.

Changes go out in batches. What one turn of the loop gathers is one batch; while
IN_FLIGHT batches are unanswered the following changes gather, so that under load a
batch is what came during one commit of the recorder. A batch is kept until it is
answered, and sent again on every new connection, in order: storing one twice has no
further effect.

    save() -> gathering -> [at most IN_FLIGHT batches] -> Saved, NotSaved -> done(...)

Bounds: MAX_WAITING changes and MAX_WAITING_OCTETS of them wait for an answer. Beyond
these, or once the oldest has waited for PATIENCE_S, `save` refuses and the phone gets
a 503 at once instead of none at all.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, cast

import msgspec
import structlog

from oneproxy import logs
from oneproxy.ipc.endpoint import connect
from oneproxy.ipc.messages import (
    Follow,
    FromRecorder,
    Hello,
    Load,
    NotSaved,
    Page,
    Saved,
    SitePart,
    SiteVersion,
    Welcome,
)
from oneproxy.ipc.stream import Decoder, StreamError, encode
from oneproxy.registrar.bindings import Binding, Change

MAX_WAITING: Final = 20_000
MAX_WAITING_OCTETS: Final = 32 * 1024 * 1024
#: One change stems from one message, yet each of its contacts repeats Path and User-Agent.
MAX_CHANGE_OCTETS: Final = 128 * 1024
#: Of one batch. The recorder has to hold it, and everyone in it waits for its commit.
MAX_BATCH: Final = 1_000
MAX_BATCH_OCTETS: Final = 8 * 1024 * 1024
#: One is being committed while the next is on its way.
IN_FLIGHT: Final = 2
PATIENCE_S: Final = 5.0
#: Between attempts to connect: the first pause, doubled up to the longest.
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0

Done = Callable[[bool], None]
OnPage = Callable[[list[tuple[str, Binding]]], object]
OnPart = Callable[[SitePart], object]
OnVersion = Callable[[SiteVersion], object]

log = structlog.get_logger()
_encoder = msgspec.msgpack.Encoder()


class _Save(msgspec.Struct, tag="Save"):
    """`messages.Save` with changes that are encoded already, so that they can be counted."""

    batch: int
    changes: list[msgspec.Raw]


class _Waiting:
    """A change that waits to be sent."""

    __slots__ = ("change", "done", "since")

    def __init__(self, change: bytes, done: Done, since: float) -> None:
        self.change = change
        self.done = done
        self.since = since


class _Batch:
    """A batch that is not answered yet, as the frame that carries it."""

    __slots__ = ("changes", "frame", "number")

    def __init__(self, number: int, changes: list[_Waiting]) -> None:
        self.number = number
        self.changes = changes
        self.frame = encode(_Save(number, [msgspec.Raw(waiting.change) for waiting in changes]))


class Link:
    """The recorder, as a node sees it. Everything happens in the loop that `start` ran in.

    endpoint: "unix:/path" or "tcp:127.0.0.1:port". token: what `Start` brought. node: the
    node's name, for the recorder's log.
    """

    def __init__(self, endpoint: str, token: str, node: str) -> None:
        self.endpoint = endpoint
        self.waiting = 0
        #: Counters since the start: changes stored, rolled back, and refused unsent.
        self.saved = 0
        self.failed = 0
        self.refused = 0
        self._seldom = logs.RateLimited(log)
        self._hello = encode(Hello(node, token))
        self._waiting_octets = 0
        self._gathering: deque[_Waiting] = deque()
        self._flying: deque[_Batch] = deque()
        self._batch = 0
        self._flushing = False
        self._site: tuple[Callable[[], Follow], OnPart, OnVersion] | None = None
        self._load: tuple[float, OnPage, Callable[[], None]] | None = None
        self._connection: _Connection | None = None
        self._welcome: asyncio.Future[bytes] | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether the recorder has welcomed us on the present connection."""
        return self._connection is not None

    async def start(self) -> bytes:
        """Connect, however long it takes; the farm's secret. Reconnects by itself until `close`."""
        self._welcome = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep_connected())
        return await self._welcome

    async def close(self) -> None:
        """Disconnect for good. Changes that wait get no answer; see `waiting` before."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    def follow(self, have: Callable[[], Follow], on_part: OnPart, on_version: OnVersion) -> None:
        """Have the site brought, now and whenever it changes.

        have: the version that the node has, asked on every new connection.
        """
        self._site = (have, on_part, on_version)
        if self._connection is not None:
            self._connection.send(encode(have()))

    def load(self, now: float, on_page: OnPage, on_done: Callable[[], None]) -> None:
        """Have every binding that has not expired at `now` brought, page by page.

        After a broken connection the load begins anew, so a binding may come twice; what
        comes later is newer. `on_done()` follows the last page, once.
        """
        self._load = (now, on_page, on_done)
        if self._connection is not None:
            self._connection.send(encode(Load(now)))

    def save(self, change: Change, done: Done) -> bool:
        """Have `change` committed; `done(True)` when it is, `done(False)` when it was rolled back.

        Changes are committed in the order of the calls. False: it was refused, nothing of
        it is kept, and `done` is never called.
        """
        encoded = _encoder.encode(change)
        now = asyncio.get_running_loop().time()
        if (
            self.waiting >= MAX_WAITING
            or self._waiting_octets + len(encoded) > MAX_WAITING_OCTETS
            or len(encoded) > MAX_CHANGE_OCTETS
            or now - self._oldest(now) > PATIENCE_S
        ):
            self.refused += 1
            return False
        self.waiting += 1
        self._waiting_octets += len(encoded)
        self._gathering.append(_Waiting(encoded, done, now))
        self._flush_soon()
        return True

    def _oldest(self, now: float) -> float:
        """When the change that has waited longest came, in seconds of the loop's clock."""
        if self._flying:
            return self._flying[0].changes[0].since
        return self._gathering[0].since if self._gathering else now

    def _flush_soon(self) -> None:
        """Send at the end of this turn of the loop, so that the turn's changes share a batch."""
        if not self._flushing and self._connection is not None and len(self._flying) < IN_FLIGHT:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        while self._connection is not None and self._gathering and len(self._flying) < IN_FLIGHT:
            taken: list[_Waiting] = []
            octets = 0
            while self._gathering and len(taken) < MAX_BATCH and octets < MAX_BATCH_OCTETS:
                taken.append(self._gathering.popleft())
                octets += len(taken[-1].change)
            self._batch += 1
            batch = _Batch(self._batch, taken)
            self._flying.append(batch)
            self._connection.send(batch.frame)

    def _received(self, connection: "_Connection", message: FromRecorder) -> None:
        match message:
            case Welcome():
                self._welcomed(connection, message.secret)
            case SitePart() | SiteVersion():
                self._site_came(message)
            case Page():
                self._page(message)
            case Saved():
                self._answered(message.batch, True, message.refused)
            case NotSaved():
                self._complain("bindings not saved", message.reason)
                self._answered(message.batch, False, ())

    def _welcomed(self, connection: "_Connection", secret: bytes) -> None:
        self._connection = connection
        for batch in self._flying:
            connection.send(batch.frame)
        if self._site is not None:
            connection.send(encode(self._site[0]()))
        if self._load is not None:
            connection.send(encode(Load(self._load[0])))
        self._flush_soon()
        if self._welcome is not None and not self._welcome.done():
            self._welcome.set_result(secret)

    def _site_came(self, message: SitePart | SiteVersion) -> None:
        if self._site is None:
            return
        _, on_part, on_version = self._site
        try:
            if isinstance(message, SitePart):
                on_part(message)
            else:
                on_version(message)
        except Exception:
            # Our own fault; the site that was there goes on.
            log.exception("taking the site failed")

    def _page(self, page: Page) -> None:
        if self._load is None:
            return
        _, on_page, on_done = self._load
        try:
            on_page(page.bindings)
        except Exception:
            # Our own fault; without this the connection would end, and the load begin anew, forever.
            log.exception("taking a page of bindings failed")
        if page.last:
            self._load = None
            on_done()

    def _answered(self, number: int, saved: bool, refused: tuple[int, ...]) -> None:
        """Tell everyone in batch `number`. Answers come in order; an unknown one is an old one."""
        if not self._flying or self._flying[0].number != number:
            return
        batch = self._flying.popleft()
        self._flush_soon()
        for at, waiting in enumerate(batch.changes):
            self.waiting -= 1
            self._waiting_octets -= len(waiting.change)
            stored = saved and at not in refused
            if stored:
                self.saved += 1
            else:
                self.failed += 1
            try:
                waiting.done(stored)
            except Exception:
                # Our own fault, and that of one change: the others are told all the same.
                log.exception("answering a change failed")

    def _lost(self, connection: "_Connection") -> None:
        if self._connection is connection:
            self._connection = None

    def _complain(self, what: str, reason: str) -> None:
        self._seldom.warning(what, asyncio.get_running_loop().time(), reason=reason)

    async def _keep_connected(self) -> None:
        """Connect, wait until the connection ends, and again, with growing pauses."""
        pause_s = FIRST_PAUSE_S
        connection: _Connection | None = None
        try:
            while True:
                connection = _Connection(self)
                try:
                    await connect(self.endpoint, connection)
                    await connection.ended
                except OSError as error:
                    connection.error = str(error)
                if connection.welcomed:
                    pause_s = FIRST_PAUSE_S
                self._complain("recorder unreachable", connection.error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        finally:
            if connection is not None:
                connection.abort()


class _Connection(asyncio.Protocol):
    """One connection to the recorder, from its Hello to its end."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._decoder = Decoder[FromRecorder](FromRecorder)
        self._transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.welcomed = False
        self.error = "it closed the connection"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not by isinstance: uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._link._hello)

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._decoder.feed(data)
        except StreamError as error:
            self.error = str(error)
            self.abort()
            return
        for message in messages:
            self.welcomed = True
            self._link._received(self, message)

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self.error = str(error)
        self._transport = None
        self._link._lost(self)
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
