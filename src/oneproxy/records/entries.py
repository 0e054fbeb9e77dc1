"""The octets of a journal: a header, and entries one after the other.

    header  "OneProxyJrnl", version (4 octets)
    entry   length of the body (4), CRC-32 of the body (4), body
    body    kind (1), number (8), data

Numbers are little-endian. A journal is written at its end alone, so what a dying process or machine
left behind is whole up to some place: reading stops at the first entry that is not. Kinds that are
not known are passed over, so that a later version may add some; one that changes what is here gets
another number.
"""

from enum import IntEnum, StrEnum
from struct import Struct
from typing import Final
from zlib import crc32

MAGIC: Final = b"OneProxyJrnl"
VERSION: Final = 1
HEADER: Final = MAGIC + VERSION.to_bytes(4, "little")
#: Octets of data that one entry may have: what claims more is none.
LONGEST: Final = 65_536
_FRAME: Final = Struct("<II")
_BODY: Final = Struct("<BQ")

#: Kind, number, data.
Entry = tuple[int, int, bytes]


class Kind(IntEnum):
    """What an entry says of the call with its number."""

    STANDS = 1  # it stands, with this data; said again it is the later one that counts
    ENDED = 2  # it is over
    RECORD = 3  # it is over, and this is its record; number 0 for one that never stood


class Fault(StrEnum):
    """Why a journal is read no further."""

    FOREIGN = "foreign"  # it is no journal
    VERSION = "version"  # of another version of the format
    CORRUPT = "corrupt"  # an entry is not as it was written


def encode(kind: int, number: int, data: bytes = b"") -> bytes:
    """One entry. number: 0 to 2**64 - 1. data: `LONGEST` octets at most."""
    body = _BODY.pack(kind, number) + data
    return _FRAME.pack(len(body), crc32(body)) + body


class Decoder:
    """Reads a journal as its octets come.

    at: how many octets are good, up to the end of the last whole entry. fault: why what follows them
    is not read; None while nothing is wrong, though the last entry may be torn.
    """

    __slots__ = ("_left", "at", "fault")

    def __init__(self) -> None:
        self._left = b""
        self.at = 0
        self.fault: Fault | None = None

    def feed(self, octets: bytes) -> list[Entry]:
        """The entries that these octets complete; none any more after a fault."""
        if self.fault is not None:
            return []
        octets = self._left + octets
        place = 0
        if not self.at:
            self.fault = _judge(octets[: len(HEADER)])
            if self.fault is not None or len(octets) < len(HEADER):
                self._left = octets
                return []
            place = len(HEADER)
            self.at = place
        entries: list[Entry] = []
        used = place
        while len(octets) - used >= _FRAME.size:
            length, check = _FRAME.unpack_from(octets, used)
            if not _BODY.size <= length <= LONGEST + _BODY.size:
                self.fault = Fault.CORRUPT
                break
            end = used + _FRAME.size + length
            if end > len(octets):
                break
            body = octets[used + _FRAME.size : end]
            if crc32(body) != check:
                self.fault = Fault.CORRUPT
                break
            kind, number = _BODY.unpack_from(body)
            entries.append((kind, number, body[_BODY.size :]))
            used = end
        self.at += used - place
        self._left = octets[used:]
        return entries


def _judge(begin: bytes) -> Fault | None:
    """What is wrong with the first octets of a file, as many as there are of its header."""
    if begin[: len(MAGIC)] != MAGIC[: len(begin)]:
        return Fault.FOREIGN
    return None if begin == HEADER[: len(begin)] else Fault.VERSION
