"""The segments of one journal: the one that is written, those to come, whose room a thread sets aside
before it is needed, and those that are full, which it removes when they are needed no more."""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, Protocol

from oneproxy.records.entries import Header, encode_header
from oneproxy.records.file import Segment, cut, finish, flush, prepare, resume
from oneproxy.records.reading import Good
from oneproxy.records.segments import Closed, load_drained, path_of
from oneproxy.records.space import Tidied, tidy

SEGMENT_OCTETS: Final = 32 << 20
#: A segment has an eighth of a small limit, but no less: the longest entry has a sixteenth of it.
_LEAST_OCTETS: Final = 1 << 20
LIMIT: Final = 1 << 30
LOOK_S: Final = 1.0


class Owner(Protocol):
    """Who writes into the segments."""

    def there_is_room(self) -> None:
        """The next segment has been made."""
        ...

    def tidied(self, lost: int) -> None:
        """Segments were looked through; so many records are lost for want of room."""
        ...

    def doubt(self, error: BaseException) -> None:
        """The machine may not have kept what was written."""
        ...

    def trouble(self, error: BaseException) -> None:
        """Something could not be done; `try_again` is to be called in a while."""
        ...


class Shelf:
    """The segments in a folder, of one loop. Nothing is raised.

    present: the one that is written; None where there was no room for one yet. closed: those before it.
    since: what calls stand by is in this segment and later ones. limit: octets for all of them;
    drops_oldest: whether records are lost rather than to have more. wanted: how many are made in
    advance.
    """

    __slots__ = (
        "_folder",
        "_is_over",
        "_is_tidying",
        "_looking",
        "_loop",
        "_next",
        "_owner",
        "_preparing",
        "_segment_octets",
        "_spares",
        "_thread",
        "closed",
        "drops_oldest",
        "limit",
        "present",
        "records",
        "since",
        "wanted",
    )

    def __init__(self, folder: str, owner: Owner, good: Good, segment_octets: int) -> None:
        """Needs a running loop."""
        self._folder = folder
        self._owner = owner
        self._segment_octets = segment_octets
        self._loop = asyncio.get_running_loop()
        # One after the other: what is closed is not flushed any more, what is removed was flushed.
        self._thread = ThreadPoolExecutor(1, "journal")
        self._spares: deque[Segment] = deque()
        self._preparing: Future[Segment] | None = None
        self._next = good.next
        self._looking: asyncio.TimerHandle | None = None
        self._is_tidying = False
        self._is_over = False
        self.present: Segment | None = None
        self.closed = good.closed
        self.since = good.since
        #: How many records there ever were.
        self.records = good.records
        self.limit = LIMIT
        self.drops_oldest = True
        self.wanted = 1

    @property
    def octets(self) -> int:
        """How many the segments have."""
        present = self.present
        return sum(one.octets for one in self.closed) + (0 if present is None else present.octets)

    @property
    def behind(self) -> int:
        """How many octets there are by which calls stand."""
        present = self.present
        octets = sum(one.octets for one in self.closed if one.number >= self.since)
        return octets + (0 if present is None else present.octets)

    @property
    def is_busy(self) -> bool:
        """Whether the thread makes or removes segments."""
        return self._preparing is not None or self._is_tidying

    @property
    def room(self) -> int:
        """Octets of the next segment to be made."""
        return min(self._segment_octets, max(self.limit // 8, _LEAST_OCTETS))

    def open(self, good: Good) -> None:
        """Go on where the process before this one ended. It waits for the disk."""
        drained = load_drained(self._folder)
        for number in good.spares:
            # From one on that was still being made, all are made anew, by the same numbers: whoever
            # reads the journal takes a number that is left out for a segment that is lost.
            is_ahead = max(good.number, drained.segment) < number < self._next
            if is_ahead and self._adopt(number):
                continue
            if is_ahead:
                self._next = number
            with suppress(OSError):
                os.unlink(path_of(self._folder, number))
        try:
            if good.number:
                self._resume(good)
            elif not self._spares:
                self._prepare_now()
        except OSError as error:
            self._owner.trouble(error)
        if self.present is None:
            self.begin()
        self.want()
        self._look_soon()

    def _adopt(self, number: int) -> bool:
        """Have a segment that the process before this one made for a spare; False: it has not the room."""
        try:
            spare = resume(self._folder, number, 0, 0, self.room)
        except OSError:
            return False
        if spare.room < self.room:
            os.close(spare.fd)
            return False
        self._spares.append(spare)
        return True

    def _resume(self, good: Good) -> None:
        drained = load_drained(self._folder)
        # The recorder may have read what the machine forgot when it lost power, and would not look
        # there again.
        if drained <= (good.number, good.octets):
            with suppress(OSError):
                self.present = resume(self._folder, good.number, good.octets, good.of_it, self.room)
                return
        self.closed.append(Closed(good.number, good.octets, good.of_it))
        cut(self._folder, good.number, good.octets)

    def begin(self) -> bool:
        """Begin the next segment; False where there is none yet."""
        if not self._spares:
            if self._is_over:
                with suppress(OSError):
                    self._prepare_now()
            self.want()
        if not self._spares:
            return False
        spare = self._spares[0]
        self.since = self.since or spare.number
        written, error = spare.write(encode_header(Header(spare.number, self.since, self.records)))
        if error is not None:
            self._owner.trouble(error)
            return False
        spare.octets = written
        self._spares.popleft()
        before, self.present = self.present, spare
        if before is not None:
            self.closed.append(Closed(before.number, before.octets, before.records))
            self.do(self._finished, finish, before)
        self.want()
        self._look_soon()
        return True

    def flush(self, done: "Callable[[Future[None]], None] | None" = None) -> None:
        """Have the machine keep what is written. done: who is told how that went."""
        if self.present is not None:
            self.do(self._finished if done is None else done, flush, self.present.fd)

    def close(self) -> None:
        """From now on it waits for the disk itself; `end` follows."""
        if self._looking is not None:
            self._looking.cancel()
        self._thread.shutdown()
        self._is_over = True
        if self._preparing is not None and self._preparing.exception() is None:
            self._spares.append(self._preparing.result())

    def end(self) -> None:
        """Nothing is written any more."""
        if self.present is not None:
            with suppress(OSError):
                flush(self.present.fd)
            os.close(self.present.fd)
            self.present = None
        for spare in self._spares:
            os.close(spare.fd)
        self._spares.clear()

    # What the thread does.

    def do(self, done: "Callable[[Future[Any]], None]", work: "Callable[..., Any]", *arguments: Any) -> None:
        """Have the thread do what waits for the disk; `done` is called in the loop then."""
        if self._is_over:
            with suppress(OSError):
                work(*arguments)
            return
        made = self._thread.submit(work, *arguments)
        made.add_done_callback(lambda made: self._loop.call_soon_threadsafe(self._done, done, made))

    def _done(self, done: "Callable[[Future[Any]], None]", made: "Future[Any]") -> None:
        if not self._is_over:
            done(made)

    def _finished(self, made: "Future[None]") -> None:
        error = made.exception()
        if error is not None:
            self._owner.doubt(error)

    def want(self) -> None:
        """Have the next segment made, unless it is there."""
        if len(self._spares) < self.wanted and self._preparing is None and not self._is_over:
            self._preparing = self._thread.submit(self._prepare)
            self._preparing.add_done_callback(
                lambda made: self._loop.call_soon_threadsafe(self._done, self._prepared, made)
            )

    def _prepare(self) -> Segment:
        segment = prepare(self._folder, self._next, self.room)
        self._next += 1
        return segment

    def _prepare_now(self) -> None:
        self._spares.append(self._prepare())

    def _prepared(self, made: "Future[Segment]") -> None:
        self._preparing = None
        error = made.exception()
        if error is not None:
            self._owner.trouble(error)
            return
        self._spares.append(made.result())
        self._owner.there_is_room()
        self.want()

    def _look_soon(self) -> None:
        if self.closed and self._looking is None and not self._is_over:
            self._looking = self._loop.call_later(LOOK_S, self.look)

    def look(self) -> None:
        """Have removed what is not needed any more, or what there is no room for."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self.closed and not self._is_tidying and not self._is_over:
            self._is_tidying = True
            excess = self.octets - self.limit if self.drops_oldest else 0
            self.do(self._tidied, tidy, self._folder, list(self.closed), self.since, excess)

    def _tidied(self, made: "Future[Tidied]") -> None:
        self._is_tidying = False
        tidied = made.result()
        del self.closed[: tidied.removed]
        if tidied.error is not None:
            self._owner.trouble(tidied.error)
        self._owner.tidied(tidied.lost)
        self._look_soon()
