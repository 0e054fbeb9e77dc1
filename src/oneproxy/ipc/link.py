"""The node's end of the connection to the recorder.

Changes go out in batches. What one turn of the loop gathers is one batch; while
IN_FLIGHT batches are unanswered the following changes gather, so that under load a
batch is what came during one commit of the recorder. A batch is kept until it is
answered, and sent again on every new connection, in order: storing one twice has no
further effect.

    save() -> gathering -> [at most IN_FLIGHT batches] -> Saved, NotSaved -> done(...)

Bounds: MAX_WAITING changes and MAX_WAITING_OCTETS of them wait for an answer. Beyond
these, or while the database is away, `save` refuses, so that the registrar can answer at
once. What has waited for PATIENCE_S is told Fate.UNKNOWN: it may be stored or not, and its
batch still goes out, since the answer to that shows when changes are stored again. Then,
and when there is room again, the taker is told.

Pages, what was asked for by AoR, changes of others and acknowledgements are handed on in
the order in which they come, which is that of the commits.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from oneproxy import logs
from oneproxy.ipc.batch import Batch, Done, Waiting, encode_change
from oneproxy.ipc.connection import Connection
from oneproxy.ipc.desk import Answer, Inquiry, Report
from oneproxy.ipc.endpoint import connect
from oneproxy.ipc.messages import (
    Changed,
    Fetch,
    Fetched,
    Follow,
    FromRecorder,
    Hello,
    Load,
    NotSaved,
    Page,
    Saved,
    SitePart,
    SiteVersion,
    Standing,
    Welcome,
)
from oneproxy.ipc.stream import encode
from oneproxy.ipc.taker import Taker
from oneproxy.registrar.bindings import Change, Fate

MAX_WAITING: Final = 20_000
MAX_WAITING_OCTETS: Final = 32 * 1024 * 1024
#: One change stems from one message, yet each of its contacts repeats Path and User-Agent.
MAX_CHANGE_OCTETS: Final = 128 * 1024
#: Of one batch. The recorder has to hold it, and everyone in it waits for its commit.
MAX_BATCH: Final = 1_000
MAX_BATCH_OCTETS: Final = 8 * 1024 * 1024
#: A batch is sent this long after the one before, and at once where that was longer ago. What a
#: batch costs node, recorder and database is the same for one change and for fifty.
GATHER_S: Final = 0.05
#: One is being committed while the next is on its way.
IN_FLIGHT: Final = 2
PATIENCE_S: Final = 5.0
#: Before changes are offered again whose rows somebody had locked: finding that out takes a second.
LATER_S: Final = 10.0
#: AoRs asked for and not answered yet.
MAX_FETCHING: Final = 10_000
#: Between attempts to connect: the first pause, doubled up to the longest.
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0

OnPart = Callable[[SitePart], object]
OnVersion = Callable[[SiteVersion], object]

log = structlog.get_logger()


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
        self._gathering: deque[Waiting] = deque()
        self._flying: deque[Batch] = deque()
        self._batch = 0
        self._flushing = False
        #: When the next batch may be sent.
        self._flush_at = 0.0
        self._asking = False
        #: Whether changes are stored, as far as is known, and whether some were not taken.
        self._available = True
        self._owes = False
        self._taker: Taker | None = None
        self._clock: Callable[[], float] = float
        self._loading = False
        #: AoRs asked for, and those that are to be at the end of this turn of the loop.
        self._fetching: dict[str, float] = {}
        self._wanted: list[str] = []
        self._impatience: asyncio.TimerHandle | None = None
        self._offering: asyncio.TimerHandle | None = None
        self._site: tuple[Callable[[], Follow], OnPart, OnVersion] | None = None
        #: Takes what only nodes can answer; `report` follows.
        self.on_inquiry: Callable[[Inquiry], object] = _ignore
        self._connection: Connection | None = None
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
        if self._impatience is not None:
            self._impatience.cancel()
        if self._offering is not None:
            self._offering.cancel()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    def follow_site(self, have: Callable[[], Follow], on_part: OnPart, on_version: OnVersion) -> None:
        """Have the site brought, now and whenever it changes.

        have: the version that the node has, asked on every new connection.
        """
        self._site = (have, on_part, on_version)
        if self._connection is not None:
            self._connection.send(encode(have()))

    def follow(self, taker: Taker, clock: Callable[[], float]) -> None:
        """Have every binding brought, page by page, and then what others change.

        clock: seconds since the epoch; what has expired is not brought. After a broken
        connection changes of others may be missed, so all is brought anew.
        """
        self._taker = taker
        self._clock = clock
        self._begin_load()

    def fetch(self, aor: str) -> bool:
        """Have the bindings of one AoR brought before the pages; False: it can't be asked for.

        `Taker.fetched` or `not_fetched` follows.
        """
        if self._taker is None or not self._available or len(self._fetching) >= MAX_FETCHING:
            return False
        self._fetching[aor] = asyncio.get_running_loop().time()
        self._wanted.append(aor)
        self._wait_patiently()
        self._ask_soon()
        return True

    def save(self, change: Change, done: Done) -> bool:
        """Have `change` committed; `done` is told its fate.

        Changes are committed in the order of the calls. False: it was refused, nothing of
        it is kept, and `done` is never called.
        """
        encoded = encode_change(change)
        now = asyncio.get_running_loop().time()
        if (
            not self._available
            or self.waiting >= MAX_WAITING
            or self._waiting_octets + len(encoded) > MAX_WAITING_OCTETS
            or len(encoded) > MAX_CHANGE_OCTETS
        ):
            self.refused += 1
            self._owes = True
            return False
        self.waiting += 1
        self._waiting_octets += len(encoded)
        self._gathering.append(Waiting(encoded, done, now))
        self._wait_patiently()
        self._flush_soon()
        return True

    def _wait_patiently(self) -> None:
        """See to it that what waits now is not waited for longer than PATIENCE_S, and a little."""
        if self._impatience is None:
            loop = asyncio.get_running_loop()
            self._impatience = loop.call_later(PATIENCE_S / 4, self._look)

    def _look(self) -> None:
        """Give up what has waited too long; look again while something waits."""
        self._impatience = None
        if self._oldest() <= asyncio.get_running_loop().time() - PATIENCE_S:
            self._complain("recorder does not answer", f"for {PATIENCE_S:.0f} s")
            self._give_up()
            if not self._flying:
                # Its answer shows when changes are stored again.
                self._send_batch([])
        elif self.waiting or self._fetching:
            self._wait_patiently()

    def _oldest(self) -> float:
        """Since when somebody waits for an answer, by the loop's clock; infinite: nobody does."""
        waiting = next((batch.changes for batch in self._flying if batch.changes), None) or self._gathering
        since = waiting[0].since if waiting else math.inf
        return min(since, next(iter(self._fetching.values()), math.inf))

    def _give_up(self) -> None:
        """Nothing is stored now: tell so whoever waits. What is on its way stays there."""
        self._available = False
        self._owes = True
        waiting = [one for batch in self._flying for one in batch.changes]
        for batch in self._flying:
            batch.changes = []
        waiting += self._gathering
        self._gathering.clear()
        aors = list(self._fetching)
        self._fetching.clear()
        self._wanted.clear()
        for one in waiting:
            self._end(one, Fate.UNKNOWN)
        if aors and self._taker is not None:
            self._tell(self._taker.not_fetched, aors)

    def _is_back(self) -> None:
        """Changes are stored, so what was not may be offered again."""
        self._available = True
        if self._owes and self._taker is not None and self.waiting <= MAX_WAITING // 2:
            self._owes = False
            self._tell(self._taker.room)

    def _begin_load(self) -> None:
        if self._connection is not None and self._taker is not None:
            self._loading = True
            self._tell(self._taker.begin)
            self._connection.send(encode(Load(self._clock())))

    def _flush_soon(self) -> None:
        """Send a batch at the end of this turn of the loop, or GATHER_S after the last one."""
        if not self._flushing and self._connection is not None:
            self._flushing = True
            asyncio.get_running_loop().call_at(self._flush_at, self._flush)

    def _ask_soon(self) -> None:
        """Ask for AoRs at the end of this turn of the loop, so that the turn's share a question."""
        if not self._asking and self._connection is not None:
            self._asking = True
            asyncio.get_running_loop().call_soon(self._ask)

    def _ask(self) -> None:
        self._asking = False
        if self._connection is not None and self._wanted:
            self._connection.send(encode(Fetch(self._wanted, self._clock())))
            self._wanted = []

    def _flush(self) -> None:
        self._flushing = False
        if self._gathering:
            self._flush_at = asyncio.get_running_loop().time() + GATHER_S
        while self._connection is not None and self._gathering and len(self._flying) < IN_FLIGHT:
            taken: list[Waiting] = []
            octets = 0
            while self._gathering and len(taken) < MAX_BATCH and octets < MAX_BATCH_OCTETS:
                taken.append(self._gathering.popleft())
                octets += len(taken[-1].change)
            self._send_batch(taken)

    def _send_batch(self, changes: list[Waiting]) -> None:
        self._batch += 1
        batch = Batch(self._batch, changes)
        self._flying.append(batch)
        if self._connection is not None:
            self._connection.send(batch.frame)

    def received(self, connection: Connection, message: FromRecorder) -> None:
        match message:
            case Welcome():
                self._welcomed(connection, message.secret)
            case SitePart() | SiteVersion():
                self._site_came(message)
            case Page():
                if self._taker is not None and self._loading:
                    self._loading = not message.last
                    self._tell(self._taker.page, message.bindings, message.last)
            case Fetched():
                self._fetched(message)
            case Changed():
                if self._taker is not None:
                    self._tell(self._taker.changed, message.changes)
            case Saved():
                self._answered(message.batch, Fate.STORED, message.refused, message.later)
            case NotSaved():
                self._complain("bindings not saved", message.reason)
                self._answered(message.batch, Fate.UNKNOWN if message.away else Fate.REFUSED)
            case Standing():
                if message.away:
                    self._give_up()
                else:
                    self._is_back()
            case Inquiry():
                self._tell(self.on_inquiry, message)
            case Answer():
                # For the admin process.
                pass

    def report(self, report: Report) -> None:
        """Answer an inquiry; one that came over a connection that broke needs no answer."""
        if self._connection is not None:
            self._connection.send(encode(report))

    def _welcomed(self, connection: Connection, secret: bytes) -> None:
        self._connection = connection
        for batch in self._flying:
            connection.send(batch.frame)
        if self._site is not None:
            connection.send(encode(self._site[0]()))
        self._begin_load()
        self._wanted = list(self._fetching)
        self._ask_soon()
        self._flush_soon()
        if not self._flying:
            # It would say so if it could not store anything.
            self._is_back()
        if self._welcome is not None and not self._welcome.done():
            self._welcome.set_result(secret)

    def _site_came(self, message: SitePart | SiteVersion) -> None:
        if self._site is None:
            return
        _, on_part, on_version = self._site
        if isinstance(message, SitePart):
            self._tell(on_part, message)
        else:
            self._tell(on_version, message)

    def _fetched(self, fetched: Fetched) -> None:
        """Hand on what was asked for; what is not waited for any more is dropped."""
        aors = [aor for aor in fetched.aors if self._fetching.pop(aor, None) is not None]
        if self._taker is None or not aors:
            return
        if fetched.failed:
            self._tell(self._taker.not_fetched, aors)
        elif len(aors) == len(fetched.aors):
            self._tell(self._taker.fetched, aors, fetched.bindings)
        else:
            self._tell(self._taker.fetched, aors, [row for row in fetched.bindings if row[0] in aors])

    def _answered(
        self, number: int, fate: Fate, refused: tuple[int, ...] = (), later: tuple[int, ...] = ()
    ) -> None:
        """Tell everyone in batch `number`. Answers come in order; an unknown one is an old one."""
        if not self._flying or self._flying[0].number != number:
            return
        batch = self._flying.popleft()
        self._flush_soon()
        for at, waiting in enumerate(batch.changes):
            self._end(waiting, Fate.UNFIT if at in refused else Fate.UNKNOWN if at in later else fate)
        if later and self._offering is None:
            self._offering = asyncio.get_running_loop().call_later(LATER_S, self._offer)
        if fate is Fate.UNKNOWN:
            self._give_up()
        elif self._owes:
            self._is_back()

    def _offer(self) -> None:
        """What could not be stored a while ago may be now."""
        self._offering = None
        self._owes = True
        if self._available:
            self._is_back()

    def _end(self, waiting: Waiting, fate: Fate) -> None:
        """Tell one who waits what became of its change."""
        self.waiting -= 1
        self._waiting_octets -= len(waiting.change)
        if fate is Fate.STORED:
            self.saved += 1
        else:
            self.failed += 1
        self._tell(waiting.done, fate)

    def _tell(self, whom: Callable[..., object], *what: object) -> None:
        """Hand something on. A fault in what it causes is our own, and must not end the connection."""
        try:
            whom(*what)
        except Exception:
            log.exception("taking what the recorder said failed")

    def lost(self, connection: Connection) -> None:
        if self._connection is connection:
            self._connection = None

    def _complain(self, what: str, reason: str) -> None:
        self._seldom.warning(what, asyncio.get_running_loop().time(), reason=reason)

    async def _keep_connected(self) -> None:
        """Connect, wait until the connection ends, and again, with growing pauses."""
        pause_s = FIRST_PAUSE_S
        connection: Connection | None = None
        try:
            while True:
                connection = Connection(self, self._hello)
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


def _ignore(_inquiry: Inquiry) -> None:
    """Nobody answers, and the recorder says so."""
