"""What a journal says at the start of a process: which calls stand, and where to go on."""

import os
from contextlib import suppress

import structlog

from oneproxy.records.entries import HEADER_OCTETS, Header, Kind
from oneproxy.records.reader import Reader
from oneproxy.records.segments import (
    Closed,
    load_drained,
    load_dropped,
    numbers,
    path_of,
    read_header,
)

log = structlog.get_logger()


class Good:
    """Where a journal goes on.

    number: the segment, 0 for none; octets: of which these are good; of_it: the records in it. since:
    as of `Header`. records: how many there ever were. closed: the segments before it. spares: those
    that are made and not begun. next: a number that no segment has had.
    """

    __slots__ = ("closed", "next", "number", "octets", "of_it", "records", "since", "spares")

    def __init__(self) -> None:
        self.number = 0
        self.octets = 0
        self.of_it = 0
        self.since = 0
        self.records = 0
        self.closed: list[Closed] = []
        self.spares: list[int] = []
        self.next = 1


class Found:
    """What was found.

    standing: the data of each call that stands, by its number. last: the highest number there is.
    """

    __slots__ = ("good", "last", "records", "standing")

    def __init__(self) -> None:
        self.standing: dict[int, bytes] = {}
        self.last = 0
        #: In what was read.
        self.records = 0
        self.good = Good()

    def take(self, kind: int, number: int, data: bytes) -> None:
        """One entry after the other."""
        if kind == Kind.STANDS:
            self.standing[number] = data
        elif kind == Kind.ENDED:
            self.standing.pop(number, None)
        elif kind == Kind.RECORD:
            self.records += 1
            self.standing.pop(number, None)
        self.last = max(self.last, number)


def read(folder: str) -> Found:
    """What stands by the journal in this folder. Nothing is raised, what is wrong is logged.

    A folder that is not there says that nothing does. What is no segment, or of a later version, or
    can't be read, is moved aside, so that nothing in it is lost. What follows the last good entry of
    the last segment is what a process or machine was writing when it died; what follows that of an
    earlier one is left out.
    """
    found = Found()
    good = found.good
    try:
        there = numbers(folder)
    except FileNotFoundError:
        return found
    except OSError as error:
        _move_aside(folder, error.strerror or str(error))
        return found
    good.next = max([*there, load_drained(folder).segment, load_dropped(folder)]) + 1
    begun = _begun(folder, there, good)
    if not begun:
        return found
    last = max(begun)
    good.number, good.since = last, begun[last].since
    _look_for_gaps(folder, [number for number in begun if number >= good.since])
    for number, header in begun.items():
        octets, before = os.path.getsize(path_of(folder, number)), found.records
        if number >= good.since:
            octets = _read_segment(folder, number, found)
        if number == last:
            good.octets, good.of_it = octets, found.records - before
            good.records = header.records + good.of_it
        else:
            following = min(other for other in begun if other > number)
            records = max(begun[following].records - header.records, 0)
            good.closed.append(Closed(number, octets, records))
    return found


def _begun(folder: str, there: list[int], good: Good) -> dict[int, Header]:
    """The headers of the segments that are begun, from the oldest on."""
    begun: dict[int, Header] = {}
    for number in there:
        try:
            header = read_header(folder, number)
        except OSError as error:
            _move_aside(path_of(folder, number), error.strerror or str(error))
            continue
        if isinstance(header, Header):
            begun[number] = header
        elif header is None:
            good.spares.append(number)
        else:
            _move_aside(path_of(folder, number), header.value)
    return begun


def _read_segment(folder: str, number: int, found: Found) -> int:
    """Take what is in it; how many octets are good."""
    try:
        with Reader(folder, number) as reader:
            for piece in reader.pieces():
                for entry in piece:
                    found.take(*entry)
            if reader.fault is not None or reader.has_more():
                log.warning(
                    "end of the journal left out",
                    file=path_of(folder, number),
                    octets=reader.at,
                    reason="corrupt",
                )
            return reader.at
    except OSError as error:
        log.error("journal not read", file=path_of(folder, number), reason=error.strerror or str(error))
        return HEADER_OCTETS


def _look_for_gaps(folder: str, needed: list[int]) -> None:
    missing = needed[-1] - needed[0] + 1 - len(needed)
    if missing:
        log.error("journal not read", file=folder, reason="segments are missing", segments=missing)


def _move_aside(path: str, reason: str) -> None:
    number = 1
    while os.path.lexists(aside := f"{path}.aside-{number}"):
        number += 1
    moved = False
    with suppress(OSError):
        os.rename(path, aside)
        moved = True
    log.error("journal not read", file=path, reason=reason, moved_to=aside if moved else "")
