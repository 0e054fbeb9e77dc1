"""What a journal says at the start of a process: which calls stand."""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import structlog

from oneproxy.records.entries import Decoder, Fault, Kind

#: Octets that are read at once.
_PIECE: Final = 1 << 20

log = structlog.get_logger()


class Found:
    """What was found.

    standing: the data of each call that stands, by its number. last: the highest number there is.
    good: how many octets of the file are to be kept.
    """

    __slots__ = ("good", "last", "standing")

    def __init__(self) -> None:
        self.standing: dict[int, bytes] = {}
        self.last = 0
        self.good = 0

    def take(self, kind: int, number: int, data: bytes) -> None:
        """One entry after the other."""
        if kind == Kind.STANDS:
            self.standing[number] = data
        elif kind in (Kind.ENDED, Kind.RECORD):
            self.standing.pop(number, None)
        self.last = max(self.last, number)


def read(path: str) -> Found:
    """What stands by the journal in this file. Nothing is raised, what is wrong is logged.

    A file that is not there says that nothing does. One that is no journal, or of a later version, or
    can't be read, is moved aside, so that nothing in it is lost. What follows the last good entry is
    what a process or machine was writing when it died.
    """
    found, decoder = Found(), Decoder()
    size = 0
    try:
        for piece in _pieces(path):
            size += len(piece)
            for entry in decoder.feed(piece):
                found.take(*entry)
    except FileNotFoundError:
        return found
    except OSError as error:
        _move_aside(path, error.strerror or str(error))
        return Found()
    found.good = decoder.at
    if decoder.fault in (Fault.FOREIGN, Fault.VERSION):
        _move_aside(path, decoder.fault.value)
        return Found()
    if size > decoder.at:
        log.warning(
            "end of the journal left out", file=path, octets=size - decoder.at, reason=decoder.fault or "torn"
        )
    return found


def _pieces(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _move_aside(path: str, reason: str) -> None:
    number = 1
    while os.path.lexists(aside := f"{path}.aside-{number}"):
        number += 1
    moved = False
    with suppress(OSError):
        os.rename(path, aside)
        moved = True
    log.error("journal not read", file=path, reason=reason, moved_to=aside if moved else "")
