"""The journal of one node: what it says is in a file soon, and the loop waits for no disk.

    wake       what has changed in one turn is written after it; where much changes, every 50 ms. A
               process that is killed loses what was not written yet, and no more
    flush      a second after the first write that was not: a machine that loses power loses that
    compaction where the file has twice as many octets as what stands, and FLOOR at least. What stands
               is written to a file beside it, piece by piece, while all that changes goes to both; a
               thread has the machine keep it and puts it in the place of the other one

Where the file can't be written (the disk is full), nothing is kept and calls go on. Every RETRY_S a
compaction is tried, since that writes all of the truth.
"""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Final, Protocol

import structlog

from oneproxy.logs import RateLimited
from oneproxy.records.file import Appended, append, flush, seal

#: How long what is put waits at most where much is put.
EVERY_S: Final = 0.05
FLUSH_S: Final = 1.0
RETRY_S: Final = 10.0
#: Octets of a file that is not worth a compaction: 60,000 calls that have come and gone.
FLOOR: Final = 32 << 20
#: Entries of a compaction that are written in one turn: half a millisecond.
PIECE: Final = 100
_BESIDE: Final = ".new"
_LOGGED_EVERY_S: Final = 60.0

log = structlog.get_logger()


class Whole(Protocol):
    """Who knows all that stands."""

    @property
    def size(self) -> int:
        """How many octets the entries of what stands have, about."""
        ...

    def changes(self) -> list[bytes]:
        """Entries of what has changed since this was asked last."""
        ...

    def entries(self) -> Iterator[bytes]:
        """An entry for each call that stands, as it is when the entry is asked for.

        Calls that end or begin meanwhile are among the changes, and may be here too or not.
        """
        ...


class Compaction:
    """A journal that is to take the place of the present one."""

    __slots__ = ("entries", "file", "is_sealing", "is_spoilt")

    def __init__(self, file: Appended, entries: Iterator[bytes]) -> None:
        self.file = file
        self.entries = entries
        #: Whether a thread is putting it in its place.
        self.is_sealing = False
        #: Whether something that has changed meanwhile is not in it.
        self.is_spoilt = False


class Journal:
    """The journal in the file `path`, of one loop. Nothing is raised; what is wrong is logged."""

    __slots__ = (
        "_compaction",
        "_file",
        "_flushing",
        "_is_closed",
        "_loop",
        "_path",
        "_retry",
        "_thread",
        "_troubles",
        "_was_in_trouble",
        "_whole",
        "_write_at",
        "_writing",
        "floor",
        "lost",
    )

    def __init__(self, path: str, whole: Whole, good: int) -> None:
        """Goes on after the first `good` octets of the file (`reading.Found`). Needs a running loop."""
        self._path = path
        self._whole = whole
        self._loop = asyncio.get_running_loop()
        #: The file that is there; None where it can't be written.
        self._file: Appended | None = None
        self._compaction: Compaction | None = None
        #: What is to write the changes, and when they may be written at once.
        self._writing: asyncio.Handle | None = None
        self._write_at = 0.0
        self._flushing: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        # One after the other: what is closed is not flushed any more, what is flushed is in its place.
        self._thread = ThreadPoolExecutor(1, "journal")
        self._troubles = RateLimited(log, _LOGGED_EVERY_S)
        self._was_in_trouble = False
        self._is_closed = False
        self.floor = FLOOR
        #: Entries that are in no file.
        self.lost = 0
        try:
            self._file = append(path, good)
        except OSError as error:
            self._trouble(error)

    @property
    def is_kept(self) -> bool:
        """Whether what changes gets into a file."""
        return self._file is not None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to be written."""
        return self._writing is None and self._compaction is None

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
        self._is_closed = True
        for handle in (self._writing, self._flushing, self._retry):
            if handle is not None:
                handle.cancel()
        self._thread.shutdown()
        self._write()
        compaction = self._compaction
        files = [self._file, None if compaction is None else compaction.file]
        for file in files:
            if file is not None:
                with suppress(OSError):
                    flush(file.fd)
                os.close(file.fd)
        if compaction is not None:
            self._remove()

    # Writing.

    def _write(self) -> None:
        self._writing = None
        changes = self._whole.changes()
        if not changes:
            return
        data = b"".join(changes)
        self._write_at = self._loop.time() + EVERY_S
        compaction = self._compaction
        if compaction is not None and not compaction.is_spoilt:
            self._add(compaction, data)
        file = self._file
        if file is not None:
            try:
                file.write(data)
            except OSError as error:
                self._give_up(error)
        if self._file is None and (self._compaction is None or self._compaction.is_spoilt):
            self.lost += len(changes)
        if self._is_closed:
            return
        if self._flushing is None:
            self._flushing = self._loop.call_later(FLUSH_S, self._flush)
        if file is not None and file.size > max(self.floor, 2 * self._whole.size):
            self._compact()

    def _give_up(self, error: BaseException) -> None:
        """The file that is there gets nothing any more."""
        if self._file is not None:
            self._close(self._file)
            self._file = None
        self._trouble(error)

    def _trouble(self, error: BaseException) -> None:
        self._was_in_trouble = True
        if self._retry is None and not self._is_closed:
            self._retry = self._loop.call_later(RETRY_S, self._try_again)
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        self._troubles.warning("calls not kept", self._loop.time(), file=self._path, reason=reason)

    def _try_again(self) -> None:
        self._retry = None
        if self._file is None:
            self._compact()

    def _close(self, file: Appended) -> None:
        if self._is_closed:
            os.close(file.fd)
        else:
            self._thread.submit(os.close, file.fd)  # it may be being flushed

    def _flush(self) -> None:
        self._flushing = None
        file = self._file
        if file is not None:
            done = self._loop.run_in_executor(self._thread, flush, file.fd)
            done.add_done_callback(lambda done: self._flushed(file, done))

    def _flushed(self, file: Appended, done: "asyncio.Future[None]") -> None:
        error = done.exception()
        if error is not None and file is self._file and not self._is_closed:
            # What the system could not write it may have forgotten: nothing of the file is sure.
            self._give_up(error)

    # Compaction.

    def _compact(self) -> None:
        """Begin to write all that stands, unless that is being done."""
        if self._compaction is not None or self._retry is not None:
            return
        try:
            file = append(self._path + _BESIDE, 0)
        except OSError as error:
            self._remove()
            self._trouble(error)
            return
        self._compaction = Compaction(file, self._whole.entries())
        self._loop.call_soon(self._piece, self._compaction)

    def _piece(self, compaction: Compaction) -> None:
        """Write the next piece of it."""
        if self._is_closed or compaction is not self._compaction:
            return
        data = b"".join(islice(compaction.entries, PIECE))
        if data:
            self._add(compaction, data)
            self._loop.call_soon(self._piece, compaction)
            return
        compaction.is_sealing = True
        beside = self._path + _BESIDE
        done = self._loop.run_in_executor(self._thread, seal, compaction.file, beside, self._path)
        done.add_done_callback(lambda done: self._sealed(compaction, done))

    def _add(self, compaction: Compaction, data: bytes) -> None:
        try:
            compaction.file.write(data)
        except OSError as error:
            compaction.is_spoilt = True
            if not compaction.is_sealing:
                self._abandon(compaction, error)

    def _abandon(self, compaction: Compaction, error: BaseException) -> None:
        self._compaction = None
        self._close(compaction.file)
        self._remove()
        self._trouble(error)

    def _sealed(self, compaction: Compaction, done: "asyncio.Future[None]") -> None:
        """It is in its place, or could not be put there."""
        if self._is_closed:
            return
        error = done.exception()
        if error is not None:
            self._abandon(compaction, error)
            return
        self._compaction = None
        if self._file is not None:
            # Nothing leads to it any more.
            self._close(self._file)
        self._file = compaction.file
        if compaction.is_spoilt:
            self._give_up(OSError("something could not be written while it took its place"))
        elif self._was_in_trouble:
            self._was_in_trouble = False
            log.info("calls kept again", file=self._path)
        if self._flushing is None:
            self._flushing = self._loop.call_later(FLUSH_S, self._flush)

    def _remove(self) -> None:
        with suppress(OSError):
            os.unlink(self._path + _BESIDE)
