"""The journal of one node: what it says is in a file soon, and the loop waits for no disk.

    wake    what has changed in one turn is written after it; where much changes, every 50 ms. A process
            that is killed loses what was not written yet, and no more
    flush   a second after the first write that was not: a machine that loses power loses that
    begin   where a segment is full the next one is begun. Its room was set aside by a thread before
    pass    where much has been written since all that stands was: it is written again to the present
            segment, piece by piece, while changes go on. What is older is not needed for it then
    look    now and then a thread removes the oldest segments, as far as they are not needed

Where there is no room (the disk is full), what is to be written waits in memory, and calls go on. Every
RETRY_S it is tried whether there is some again.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Final, Protocol

import structlog

from oneproxy.logs import RateLimited
from oneproxy.records.entries import KIND_AT, Kind
from oneproxy.records.file import Segment
from oneproxy.records.reading import Good
from oneproxy.records.shelf import SEGMENT_OCTETS, Shelf
from oneproxy.records.waiting import Waiting

#: How long what is put waits at most where much is put.
EVERY_S: Final = 0.05
FLUSH_S: Final = 1.0
RETRY_S: Final = 1.0
#: Segments between two passes.
PASS_AFTER: Final = 4
#: Entries of a pass that are written in one turn: half a millisecond.
PIECE: Final = 100
#: Octets of what waited that are written in one turn.
_TURN_OCTETS: Final = 1 << 20
_LOGGED_EVERY_S: Final = 60.0
DROP_OLDEST: Final = "drop-oldest"
REFUSE_CALLS: Final = "refuse-calls"
_RECORD: Final = int(Kind.RECORD)

log = structlog.get_logger()


class Whole(Protocol):
    """Who knows all that stands."""

    @property
    def size(self) -> int:
        """How many octets the entries of what stands have, about."""
        ...

    def changes(self) -> list[bytes]:
        """Entries of what has changed since this was asked last, the records among them."""
        ...

    def entries(self) -> Iterator[bytes]:
        """An entry for each call that stands, as it is when the entry is asked for.

        Calls that end or begin meanwhile are among the changes, and may be here too or not.
        """
        ...


class Journal:
    """The journal in a folder, of one loop. Nothing is raised; what is wrong is logged.

    is_full: whether new calls are to be refused, since there is no more room and no record may be lost.
    lost: records that are lost nevertheless.
    """

    __slots__ = (
        "_error",
        "_flushing",
        "_folder",
        "_going_on",
        "_is_closed",
        "_is_unsure",
        "_loop",
        "_lost_before",
        "_pass",
        "_pass_from",
        "_pass_is_good",
        "_pass_is_through",
        "_piecing",
        "_retry",
        "_shelf",
        "_troubles",
        "_waiting",
        "_was_in_trouble",
        "_whole",
        "_write_at",
        "_writing",
        "is_full",
        "lost",
    )

    def __init__(self, folder: str, whole: Whole, good: Good, segment_octets: int = SEGMENT_OCTETS) -> None:
        """Goes on where `reading.Found` says. Needs a running loop, and waits for the disk.

        segment_octets: more than any entry has.
        """
        self._folder = folder
        self._whole = whole
        self._loop = asyncio.get_running_loop()
        #: What could not be written yet.
        self._waiting = Waiting()
        #: What is to write the changes, and when they may be written at once.
        self._writing: asyncio.Handle | None = None
        self._write_at = 0.0
        self._going_on: asyncio.Handle | None = None
        self._flushing: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        #: What could not be done and is to be tried again.
        self._error: BaseException | None = None
        #: A pass that is on, what is to write its next piece, the segment that it began in, whether all
        #: of it is written, and whether the machine has kept it so far.
        self._pass: Iterator[bytes] | None = None
        self._piecing: asyncio.Handle | None = None
        self._pass_from = 0
        self._pass_is_through = False
        self._pass_is_good = True
        #: Whether something may be missing by which calls stand or do not.
        self._is_unsure = False
        self._troubles = RateLimited(log, _LOGGED_EVERY_S)
        self._was_in_trouble = False
        self._lost_before = 0
        self._is_closed = False
        self.is_full = False
        self.lost = 0
        self._shelf = Shelf(folder, self, good, segment_octets)
        self._shelf.open(good)
        self._judge()

    @property
    def is_kept(self) -> bool:
        """Whether what changes gets into a file."""
        return self._shelf.present is not None and not self._waiting and not self._is_unsure

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to be done at once."""
        is_writing = self._writing is not None or len(self._waiting) > 0 or self._pass is not None
        return not is_writing and not self._shelf.is_busy

    @property
    def limit(self) -> int:
        """Octets that segments may have in all; to be set at any time."""
        return self._shelf.limit

    @limit.setter
    def limit(self, octets: int) -> None:
        self._shelf.limit = octets
        self._shelf.look()
        self._weigh()

    @property
    def when_full(self) -> str:
        """What becomes of it beyond the limit; to be set at any time: DROP_OLDEST loses the oldest records;
        REFUSE_CALLS has `is_full` say so, until a tenth is free."""
        return DROP_OLDEST if self._shelf.drops_oldest else REFUSE_CALLS

    @when_full.setter
    def when_full(self, when_full: str) -> None:
        self._shelf.drops_oldest = when_full != REFUSE_CALLS
        self._shelf.look()
        self._weigh()

    @property
    def octets(self) -> int:
        """What segments have in all."""
        return self._shelf.octets

    def wake(self) -> None:
        """Something has changed."""
        if self._writing is None:
            wait_s = self._write_at - self._loop.time()
            if wait_s > 0.0:
                self._writing = self._loop.call_later(wait_s, self._write)
            else:
                self._writing = self._loop.call_soon(self._write)

    def write(self) -> None:
        """Write what has changed now."""
        if self._writing is not None:
            self._writing.cancel()
        self._write()

    def close(self) -> None:
        """Write what is left, and have the machine keep it. It waits for the disk."""
        for handle in (self._writing, self._going_on, self._flushing, self._retry):
            if handle is not None:
                handle.cancel()
        self._is_closed = True
        self._shelf.close()
        self._write()
        while self._waiting and self._go_on():
            pass
        left = self._waiting.records()
        if left:
            self._lose(left, "the node ended before there was room")
        self._shelf.end()

    # Writing.

    def _write(self) -> None:
        self._writing = None
        entries = self._whole.changes()
        if entries:
            self._write_at = self._loop.time() + EVERY_S
            self._put(entries)
        if not self._shelf.drops_oldest:
            self._weigh()

    def _put(self, entries: list[bytes]) -> None:
        """Write these, or let them wait."""
        segment = self._shelf.present
        if segment is not None and not self._waiting:
            data = b"".join(entries)
            if segment.octets + len(data) <= segment.room:
                stored = self._store(segment, entries, data)
                if stored == len(entries):
                    return
                entries = entries[stored:]
        lost = self._waiting.add(entries)
        if lost:
            self._lose(lost, "too much waits for room")
        self._go_on()

    def _store(self, segment: Segment, entries: list[bytes], data: bytes) -> int:
        """Write these, which fit; how many of them are in it."""
        written, error = segment.write(data)
        if error is not None:
            entries, written = _whole_within(entries, written)
        records = 0
        for entry in entries:
            if entry[KIND_AT] == _RECORD:
                records += 1
        segment.octets += written
        segment.records += records
        self._shelf.records += records
        if error is not None:
            # What was written in part is cut off when the next one is begun.
            segment.room = segment.octets
            self.trouble(error)
        if self._flushing is None and not self._is_closed:
            self._flushing = self._loop.call_later(FLUSH_S, self._flush)
        return len(entries)

    def _go_on(self) -> bool:
        """Write some of what waits, and the rest in later turns; False where there is no room for it."""
        if self._going_on is not None:
            self._going_on.cancel()
            self._going_on = None
        left = _TURN_OCTETS
        while self._waiting and left > 0:
            segment = self._shelf.present
            room = 0 if segment is None else segment.room - segment.octets
            entries = self._waiting.first(room, left)
            if segment is None or not entries:
                if not self._shelf.begin():
                    if self._error is not None and not self._was_in_trouble:
                        self.trouble(self._error)
                    return False
                continue
            data = b"".join(entries)
            stored = self._store(segment, entries, data)
            self._waiting.drop(stored)
            left -= len(data)
        if not self._waiting:
            self._wrote_all()
        elif not self._is_closed:
            self._going_on = self._loop.call_soon(self._go_on)
        return True

    def _wrote_all(self) -> None:
        """Nothing waits any more."""
        if self._waiting.is_spoilt:
            self._waiting.is_spoilt = False
            self.doubt(OSError("too much waited for room"))
        if self._was_in_trouble and not self._is_unsure:
            self._was_in_trouble = False
            log.info("calls kept again", file=self._folder, lost=self.lost - self._lost_before)
            self._lost_before = self.lost
        self._piece_soon()

    def _lose(self, records: int, reason: str) -> None:
        self.lost += records
        self._troubles.warning(
            "records lost", self._loop.time(), file=self._folder, records=self.lost, reason=reason
        )

    def _weigh(self) -> None:
        """See whether there is room for more calls."""
        limit, octets = self._shelf.limit, self._shelf.octets
        bound, waits = self._waiting.bound, self._waiting.octets
        if self._shelf.drops_oldest:
            self.is_full = False
        elif self.is_full:
            self.is_full = octets * 10 > limit * 9 or waits * 4 > bound
        else:
            self.is_full = octets >= limit or waits * 2 > bound

    # As `shelf.Owner`.

    def there_is_room(self) -> None:
        """The next segment has been made."""
        if self._shelf.present is None:
            self._shelf.begin()
        if self._waiting:
            self._go_on()
        elif self._was_in_trouble:
            self._wrote_all()
        self._judge()

    def tidied(self, lost: int) -> None:
        """Segments were looked through; so many records are lost for want of room."""
        if lost:
            self._lose(lost, "the journal has grown to its limit")
        self._weigh()
        self._judge()

    def doubt(self, error: BaseException) -> None:
        """What the system could not write it may have forgotten: all that stands is written anew."""
        self._is_unsure = True
        self._pass_is_good = False
        self.trouble(error)

    def trouble(self, error: BaseException) -> None:
        """Something could not be done."""
        self._error = error
        self._retry_soon()
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        event = "journal in trouble"
        if not self.is_kept:
            self._was_in_trouble = True
            event = "calls not kept"
        self._troubles.warning(event, self._loop.time(), file=self._folder, reason=reason)

    def _retry_soon(self) -> None:
        if self._retry is None and not self._is_closed:
            self._retry = self._loop.call_later(RETRY_S, self._try_again)

    def _try_again(self) -> None:
        self._retry = self._error = None
        if self._waiting:
            self._go_on()
        self._shelf.want()
        self._judge()

    def _flush(self) -> None:
        self._flushing = None
        self._shelf.flush()

    # What stands, written again.

    def _judge(self) -> None:
        """Begin a pass where it is time for one."""
        shelf, present = self._shelf, self._shelf.present
        if self._pass is not None or self._waiting or present is None or self._is_closed:
            return
        enough = 2 * self._whole.size
        if shelf.octets <= shelf.limit:
            enough = max(enough, min(PASS_AFTER * shelf.room, shelf.limit // 4))
        if self._is_unsure or (shelf.since < present.number and shelf.behind > enough):
            self._pass = self._whole.entries()
            self._pass_from = present.number
            self._pass_is_through = False
            self._pass_is_good = True
            self._piece_soon()

    def _piece_soon(self) -> None:
        is_on = self._pass is not None and not self._pass_is_through and not self._is_closed
        if is_on and self._piecing is None:
            self._piecing = self._loop.call_soon(self._piece)

    def _piece(self) -> None:
        """Write the next piece of a pass, unless something waits for room."""
        self._piecing = None
        if self._is_closed or self._waiting or self._pass is None:
            return
        # What has changed comes first, so that there is nothing in the piece that is not true yet.
        entries = self._whole.changes()
        count = len(entries)
        entries += islice(self._pass, PIECE)
        if entries:
            self._put(entries)
        if len(entries) > count:
            self._piece_soon()
        else:
            self._pass_is_through = True
            self._shelf.flush(self._passed)

    def _passed(self, done: "Future[None]") -> None:
        """All of it is written, and the machine keeps it."""
        self._pass = None
        error = done.exception()
        if error is not None:
            self.doubt(error)
        if not self._pass_is_good:
            self._retry_soon()
            return
        self._shelf.since = self._pass_from
        if self._is_unsure:
            self._is_unsure = False
            # What is older is not to be read any more, which the header of the next one says.
            self._shelf.begin()
            if not self._waiting:
                self._wrote_all()
        self._shelf.look()


def _whole_within(entries: list[bytes], octets: int) -> tuple[list[bytes], int]:
    """Those that end within so many octets, and where the last of these ends."""
    end = 0
    for count, entry in enumerate(entries):
        if end + len(entry) > octets:
            return entries[:count], end
        end += len(entry)
    return entries, end
