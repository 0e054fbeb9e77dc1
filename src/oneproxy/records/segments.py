"""The folder of a journal: its segments by number, and what two small files beside them say.

00000042.log   a segment
drained        how far the recorder has come: all records up to there are in the database
dropped        the last segment that was removed before it had, since there was no room
"""

import errno
import os
from contextlib import suppress
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from oneproxy.records.entries import HEADER_OCTETS, Fault, Header, decode_header

#: It says who calls whom.
FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_END: Final = ".log"
_DRAINED: Final = "drained"
_DROPPED: Final = "dropped"
_BESIDE: Final = ".new"
_FOLDER_BEGIN: Final = "oneproxy-"
_FOLDER_END: Final = ".journal"
_PLACE: Final = Struct("<QQ")
_CHECK: Final = Struct("<I")


class Place(NamedTuple):
    """A place in a journal. octets: where reading goes on in that segment; 0 for its beginning."""

    segment: int
    octets: int


NOWHERE: Final = Place(0, 0)


class Closed(NamedTuple):
    """A segment that is written no more. records: how many there are in it."""

    number: int
    octets: int
    records: int


def folder_of(directory: str, name: str, index: int) -> str:
    """The folder of the journal of one node: of a machine's name, and the node's number there."""
    return os.path.join(directory, f"{_FOLDER_BEGIN}{name}-{index}{_FOLDER_END}")


def folders(directory: str) -> list[str]:
    """The folders of the journals of all nodes that ever kept one there. Raises OSError."""
    with os.scandir(directory or ".") as found:
        return sorted(
            one.path
            for one in found
            if one.name.startswith(_FOLDER_BEGIN) and one.name.endswith(_FOLDER_END) and one.is_dir()
        )


def path_of(folder: str, number: int) -> str:
    """The file of a segment."""
    return os.path.join(folder, f"{number:08}{_END}")


def numbers(folder: str) -> list[int]:
    """The segments that are there, begun or not, from the oldest on. Raises OSError."""
    names = [name.removesuffix(_END) for name in os.listdir(folder) if name.endswith(_END)]
    return sorted(int(name) for name in names if name.isascii() and name.isdecimal())


def read_header(folder: str, number: int) -> Header | Fault | None:
    """What a segment says of itself; None where it is not begun. Raises OSError."""
    with open(path_of(folder, number), "rb") as file:
        header = decode_header(file.read(HEADER_OCTETS))
    if isinstance(header, Header) and header.number != number:
        return Fault.CORRUPT
    return header


def load_drained(folder: str) -> Place:
    """How far the recorder has come; nowhere, where that is not to be read."""
    return _load(os.path.join(folder, _DRAINED))


def store_drained(folder: str, place: Place) -> None:
    """All records up to here are in the database. Raises OSError."""
    _store(os.path.join(folder, _DRAINED), place)


def load_dropped(folder: str) -> int:
    """The last segment that was removed with records that are not in the database; 0 for none."""
    return _load(os.path.join(folder, _DROPPED)).segment


def store_dropped(folder: str, number: int) -> None:
    """This segment, and all before it, are about to be removed. Raises OSError."""
    _store(os.path.join(folder, _DROPPED), Place(number, 0))


def _load(path: str) -> Place:
    try:
        with open(path, "rb") as file:
            octets = file.read(_PLACE.size + _CHECK.size + 1)
    except OSError:
        return NOWHERE
    if len(octets) != _PLACE.size + _CHECK.size:
        return NOWHERE
    (check,) = _CHECK.unpack_from(octets, _PLACE.size)
    return Place(*_PLACE.unpack_from(octets)) if crc32(octets[: _PLACE.size]) == check else NOWHERE


def _store(path: str, place: Place) -> None:
    octets = _PLACE.pack(*place)
    octets += _CHECK.pack(crc32(octets))
    try:
        _write(path + _BESIDE, octets, os.O_CREAT | os.O_TRUNC)
        os.replace(path + _BESIDE, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(path + _BESIDE)
        if error.errno != errno.ENOSPC:
            raise
        # On a full disk nothing can be made, but what is there can be written over, and its check
        # tells whether that was whole. Else a journal on that disk would never get smaller.
        _write(path, octets, 0)


def _write(path: str, octets: bytes, flags: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, FILE_MODE)
    try:
        if os.write(fd, octets) != len(octets):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(fd)
    finally:
        os.close(fd)
