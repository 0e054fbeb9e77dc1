"""The octets of a segment of a journal: a header, and entries one after the other.

    header  "OneProxyJrnl", version (4), number (8), since (8), records (8), CRC-32 of all that (4)
    entry   length of the body (4), CRC-32 of the body (4), body
    body    kind (1), number (8), data

Numbers are little-endian. A segment is made of zeros and written from its beginning on, so a length of
0 means that nothing further is written, as does the end of the file. What a dying process or machine
left behind is whole up to some place. Kinds that are not known are passed over, so that a later version
may add some; one that changes what is here gets another number.
"""

from enum import IntEnum, StrEnum
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

MAGIC: Final = b"OneProxyJrnl"
VERSION: Final = 2
#: Octets of data that one entry may have: what claims more is none.
LONGEST: Final = 65_536
_HEADER: Final = Struct("<12sIQQQ")
_CHECK: Final = Struct("<I")
HEADER_OCTETS: Final = _HEADER.size + _CHECK.size
_FRAME: Final = Struct("<II")
_BODY: Final = Struct("<BQ")
_HEAD: Final = Struct("<IIBQ")
#: Octets of an entry beside its data.
ENTRY_OCTETS: Final = _HEAD.size
#: Where in an entry its kind is.
KIND_AT: Final = _FRAME.size

#: Kind, number, data.
Entry = tuple[int, int, bytes]


class Kind(IntEnum):
    """What an entry says of the call with its number."""

    STANDS = 1  # it stands, with this data; said again it is the later one that counts
    ENDED = 2  # it is over
    RECORD = 3  # it is over, and this is its record; number 0 is of a call that never stood


class Fault(StrEnum):
    """Why a segment is read no further."""

    FOREIGN = "foreign"  # it is no segment
    VERSION = "version"  # of another version of the format
    CORRUPT = "corrupt"  # an entry, or the header, is not as it was written


class Header(NamedTuple):
    """What a segment says of itself.

    since: the oldest segment that may have the last STANDS of a call that stood when this one was
    begun. records: how many there are in all segments before it that ever were.
    """

    number: int
    since: int
    records: int


def encode_header(header: Header) -> bytes:
    """The octets of a header. Its numbers: 0 to 2**64 - 1."""
    octets = _HEADER.pack(MAGIC, VERSION, *header)
    return octets + _CHECK.pack(crc32(octets))


def decode_header(octets: bytes) -> Header | Fault | None:
    """What the first `HEADER_OCTETS` of a file say; None for zeros: a segment that is not begun."""
    if not octets.strip(b"\0"):
        return None
    if octets[: len(MAGIC)] != MAGIC[: len(octets)]:
        return Fault.FOREIGN
    if len(octets) < HEADER_OCTETS:
        return Fault.CORRUPT
    _, version, *numbers = _HEADER.unpack_from(octets)
    if version != VERSION:
        return Fault.VERSION
    (check,) = _CHECK.unpack_from(octets, _HEADER.size)
    return Header(*numbers) if crc32(octets[: _HEADER.size]) == check else Fault.CORRUPT


def encode(kind: int, number: int, data: bytes = b"") -> bytes:
    """One entry. number: 0 to 2**64 - 1. data: `LONGEST` octets at most."""
    body = _BODY.pack(kind, number) + data
    return _FRAME.pack(len(body), crc32(body)) + body


def split(entry: bytes) -> Entry:
    """What `encode` was given."""
    _, _, kind, number = _HEAD.unpack_from(entry)
    return kind, number, entry[ENTRY_OCTETS:]


class Decoder:
    """Reads the entries of a segment, which follow its header, as their octets come.

    at: how many octets were good, from where it began to the end of the last whole entry. is_over:
    whether what follows says that nothing more is written. fault: why what follows is not read; None
    while nothing is wrong, though the last entry may be torn.
    """

    __slots__ = ("_left", "at", "fault", "is_over")

    def __init__(self) -> None:
        self._left = b""
        self.at = 0
        self.is_over = False
        self.fault: Fault | None = None

    def feed(self, octets: bytes) -> list[Entry]:
        """The entries that these octets complete; none any more where it is over, or after a fault."""
        octets = self._left + octets
        entries: list[Entry] = []
        used = 0
        while self.fault is None and not self.is_over and len(octets) - used >= _FRAME.size:
            length, check = _FRAME.unpack_from(octets, used)
            if not length:
                self.is_over = True
                break
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
        self.at += used
        self._left = octets[used:]
        return entries

    def end(self) -> None:
        """The file ends here: what is left is no whole entry."""
        if self.fault is None and not self.is_over:
            if self._left.strip(b"\0"):
                self.fault = Fault.CORRUPT
            else:
                self.is_over = True

    def pass_over(self) -> bool:
        """Go on behind the entry that is at fault; False where it can't be told where that ends."""
        if len(self._left) < _FRAME.size:
            return False
        length, _ = _FRAME.unpack_from(self._left)
        end = _FRAME.size + length
        if not _BODY.size <= length <= LONGEST + _BODY.size or end > len(self._left):
            return False
        self._left = self._left[end:]
        self.at += end
        self.fault = None
        return True
