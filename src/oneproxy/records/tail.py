"""The records of a journal, in order, for whoever puts them elsewhere: whether its node runs or not.

piece = read(folder, load_drained(folder), 500)
...                                             piece.records are stored
store_drained(folder, piece.place)
"""

import os
from typing import Final

import structlog

from oneproxy.records.entries import ENTRY_OCTETS, HEADER_OCTETS, Header, Kind
from oneproxy.records.reader import Reader
from oneproxy.records.segments import (
    Place,
    folders,
    load_drained,
    load_dropped,
    numbers,
    path_of,
    read_header,
    store_drained,
)

__all__ = ["Piece", "Place", "folders", "load_drained", "read", "store_drained"]

#: Octets that are looked through at once, though no record be among them.
WORK: Final = 4 << 20
#: Segments in a row that are looked for by name: more than there can be within any limit.
_MISSING: Final = 10_000
_RECORD: Final = int(Kind.RECORD)

log = structlog.get_logger()


class Piece:
    """Some records. place: where to go on after these are stored.

    lost: how many segments are gone with records that nobody has read. ended: nothing more for now.
    """

    __slots__ = ("ended", "lost", "place", "records")

    def __init__(self, place: Place) -> None:
        self.records: list[bytes] = []
        self.place = place
        self.lost = 0
        self.ended = False


def read(folder: str, after: Place, most: int) -> Piece:
    """At most so many records from this place on. Raises OSError.

    What ends in the middle of an entry, or has an octet that is not as it was written, is not yet there
    where the node may be writing it, and is passed over in a segment that is written no more.
    """
    piece = Piece(after)
    try:
        begun = _begun(folder, after.segment)
        _count_dropped(folder, begun, piece)
        work = WORK
        for index, number in enumerate(begun):
            at = piece.place.octets if number == piece.place.segment else 0
            at = max(at, HEADER_OCTETS)
            # Whether it is written no more was asked before it is read: all of it is there then.
            is_closed = index + 1 < len(begun)
            if not _read_segment(folder, Place(number, at), is_closed, work, most, piece):
                return piece
            if is_closed:
                work -= piece.place.octets - at
                following = begun[index + 1]
                piece.lost += following - number - 1
                piece.place = Place(following, HEADER_OCTETS)
    except FileNotFoundError:
        # There is no journal; or a segment has been removed this instant, and what is there now shows
        # whether anything is lost for it.
        piece.ended = not os.path.isdir(folder)
        return piece
    finally:
        if piece.lost:
            log.error("records lost", file=folder, segments=piece.lost, reason="segments are gone")
    piece.ended = True
    return piece


def _read_segment(folder: str, at: Place, is_closed: bool, work: int, most: int, piece: Piece) -> bool:
    """Whether all that is there for now was read."""
    segment, place = at
    with Reader(folder, segment, place) as reader:
        while True:
            for entries in reader.pieces():
                for kind, _, data in entries:
                    if kind == _RECORD:
                        if len(piece.records) == most:
                            piece.place = Place(segment, place)
                            return False
                        piece.records.append(data)
                    place += ENTRY_OCTETS + len(data)
                if place - at.octets >= work:
                    piece.place = Place(segment, place)
                    return False
            if not is_closed or (reader.fault is None and not reader.has_more()):
                break
            is_passed = reader.fault is not None and reader.pass_over()
            log.error(
                "part of the journal passed over",
                file=path_of(folder, segment),
                octets=place,
                reason="corrupt",
                rest=not is_passed,
            )
            if not is_passed:
                break
            place = reader.at
    piece.place = Place(segment, place)
    return True


def _begun(folder: str, first: int) -> list[int]:
    """The segments from this one on that are begun; one whose header is spoilt is as one that is gone."""
    there = [number for number in numbers(folder) if number >= first]
    begun: list[int] = []
    for number in there:
        # A folder that is listed while files are made in it may show the later one of two alone.
        missing = range(begun[-1] + 1, number) if begun else range(0)
        begun += [one for one in (*missing[:_MISSING], number) if _is_begun(folder, one)]
    return begun


def _is_begun(folder: str, number: int) -> bool:
    try:
        return isinstance(read_header(folder, number), Header)
    except FileNotFoundError:
        return False


def _count_dropped(folder: str, begun: list[int], piece: Piece) -> None:
    """Segments are removed from the oldest on, mostly without a record that is not stored; `dropped`
    says up to where there were such."""
    expected = piece.place.segment or 1
    if begun and begun[0] > expected:
        piece.lost = max(min(begun[0] - 1, load_dropped(folder)) - expected + 1, 0)
