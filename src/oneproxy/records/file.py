"""A file that is written at its end alone, and is whole after a write that failed."""

import os
from contextlib import suppress
from typing import Final

from oneproxy.records.entries import HEADER

write = os.write
#: It says who calls whom.
_MODE: Final = 0o600
#: Data without times of access and change; where the system knows no such thing, all of it.
flush = getattr(os, "fdatasync", os.fsync)


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
