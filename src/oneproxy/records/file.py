"""One segment as a file: its room is there before it is written, so a disk that is full takes nothing
from what is being written."""

import errno
import os
import sys
from contextlib import suppress
from typing import Final

from oneproxy.records.segments import FILE_MODE, FOLDER_MODE, path_of

pwrite = os.pwrite
#: Data without times of access and change; where the system knows no such thing, all of it.
flush = getattr(os, "fdatasync", os.fsync)
#: Has the file system set room aside; where the system knows no such thing, none is.
_allocate = getattr(os, "posix_fallocate", None)
#: Of `claim`: another process has it; and it is not to be known.
TAKEN: Final = -1
_UNKNOWN: Final = -2
_BESIDE: Final = ".lock"
_PIECE: Final = 1 << 20


class Segment:
    """An open segment. octets: those that count; room: how many there may be; records: how many are in it."""

    __slots__ = ("fd", "number", "octets", "records", "room")

    def __init__(self, fd: int, number: int, room: int, octets: int = 0, records: int = 0) -> None:
        self.fd = fd
        self.number = number
        self.room = room
        self.octets = octets
        self.records = records

    def write(self, data: bytes) -> tuple[int, OSError | None]:
        """Write after what counts; how many octets were written, and why not all. None counts yet."""
        written = 0
        try:
            while written < len(data):
                rest = memoryview(data)[written:] if written else data
                written += pwrite(self.fd, rest, self.octets + written)
        except OSError as error:
            return written, error
        return written, None

    def clean(self) -> None:
        """Make zeros of what is behind what counts, for good. It waits for the disk. Raises OSError."""
        at = self.octets
        is_clean = True
        while piece := os.pread(self.fd, _PIECE, at):
            if piece.count(0) != len(piece):
                os.pwrite(self.fd, bytes(len(piece)), at)
                is_clean = False
            at += len(piece)
        if not is_clean:
            flush(self.fd)


def prepare(folder: str, number: int, room: int) -> Segment:
    """A new segment, not begun, with so many octets of room. It waits for the disk. Raises OSError."""
    with suppress(FileExistsError):
        os.mkdir(folder, FOLDER_MODE)
    _look_for_room(folder, room)
    path = path_of(folder, number)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        os.fchmod(fd, FILE_MODE)
        if _allocate is not None:
            _allocate(fd, 0, room)
        os.fsync(fd)
        _keep(folder)
    except OSError:
        os.close(fd)
        # What room it got is for others.
        with suppress(OSError):
            os.unlink(path)
        raise
    return Segment(fd, number, room)


def resume(folder: str, number: int, octets: int, records: int, least: int) -> Segment:
    """Go on with a segment, of which as many octets count; with room for `least` where that is not yet
    set aside. It waits for the disk. Raises OSError.
    """
    fd = os.open(path_of(folder, number), os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fchmod(fd, FILE_MODE)
        room = os.fstat(fd).st_size
        segment = Segment(fd, number, room if _allocate is not None else max(room, least), octets, records)
        segment.clean()
    except OSError:
        os.close(fd)
        raise
    return segment


def finish(segment: Segment) -> None:
    """Nothing is written any more: have the machine keep it, and give back what it did not need.

    It waits for the disk. Raises OSError.
    """
    try:
        os.ftruncate(segment.fd, segment.octets)
        flush(segment.fd)
    finally:
        os.close(segment.fd)


def cut(folder: str, number: int, octets: int) -> None:
    """As `finish`, for one that is not open."""
    fd = os.open(path_of(folder, number), os.O_RDWR | os.O_CLOEXEC)
    finish(Segment(fd, number, octets, octets))


def claim(path: str) -> int:
    """Make the journal in this folder ours for as long as this process lives, by a file beside it.

    What `give_back` is given, or TAKEN. Where the system can't say, it is believed to be ours.
    """
    if sys.platform == "win32":
        return _UNKNOWN
    import fcntl

    try:
        fd = os.open(path + _BESIDE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError:
        return _UNKNOWN
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        return TAKEN if isinstance(error, BlockingIOError) else _UNKNOWN
    return fd


def give_back(claimed: int) -> None:
    """Let the next process have the journal."""
    if claimed >= 0:
        os.close(claimed)


def _look_for_room(folder: str, room: int) -> None:
    """Raises OSError where there is none, before all that is left is taken for a moment from a database
    on the same disk."""
    found = os.statvfs(folder)
    if found.f_blocks and found.f_bavail * found.f_frsize < room:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _keep(folder: str) -> None:
    """Have the machine keep which files are there."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
