"""A file that is written at its end alone, and is whole after a write that failed."""

import os
import sys
from contextlib import suppress
from typing import Final

from oneproxy.records.entries import HEADER

write = os.write
#: It says who calls whom.
_MODE: Final = 0o600
#: Data without times of access and change; where the system knows no such thing, all of it.
flush = getattr(os, "fdatasync", os.fsync)
#: Of `claim`: another process has it; and it is not to be known.
TAKEN: Final = -1
_UNKNOWN: Final = -2
_BESIDE: Final = ".lock"


class Appended:
    """An open file. size: its octets."""

    __slots__ = ("fd", "size")

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size

    def write(self, data: bytes) -> None:
        """Add to its end all or nothing. Raises OSError."""
        written = 0
        try:
            while written < len(data):
                written += write(self.fd, memoryview(data)[written:])
        except OSError:
            with suppress(OSError):
                os.ftruncate(self.fd, self.size)
            raise
        self.size += written


def claim(path: str) -> int:
    """Make the journal in this file ours for as long as this process lives, by a file beside it.

    What `give_back` is given, or TAKEN. Where the system can't say, it is believed to be ours.
    """
    if sys.platform == "win32":
        return _UNKNOWN
    import fcntl

    try:
        fd = os.open(path + _BESIDE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _MODE)
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


def append(path: str, size: int) -> Appended:
    """Open the journal in this file, of which as many octets count; 0 begins it anew. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        os.fchmod(fd, _MODE)
        os.ftruncate(fd, size)
        file = Appended(fd, size)
        if not size:
            file.write(HEADER)
    except OSError:
        os.close(fd)
        raise
    return file


def seal(file: Appended, path: str, target: str) -> None:
    """Have the machine keep this file, in the place of `target`. Raises OSError."""
    os.fsync(file.fd)
    os.replace(path, target)
    # From here on it is the file that counts, whether or not the directory is kept as well.
    with suppress(OSError):
        directory = os.open(os.path.dirname(target) or ".", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
