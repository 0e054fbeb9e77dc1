"""Which segments of a journal are needed no more, and which have to go where it has no more room. For a
thread: it waits for the disk."""

import os
from contextlib import suppress

from oneproxy.records.entries import Kind
from oneproxy.records.reader import Reader
from oneproxy.records.segments import Closed, Place, load_drained, path_of, store_dropped


class Tidied:
    """What has become of it. removed: how many segments, from the oldest on; lost: records in them that
    were not in the database yet; error: why no more."""

    __slots__ = ("error", "lost", "removed")

    def __init__(self) -> None:
        self.removed = 0
        self.lost = 0
        self.error: OSError | None = None


def tidy(folder: str, closed: list[Closed], since: int, excess: int) -> Tidied:
    """Remove those of the closed segments that are needed no more. Nothing is raised.

    Needed is what calls stand by, from `since` on, and what has records that are not in the database.
    excess: octets to be made free in any case, at the price of such records.
    """
    tidied = Tidied()
    drained = load_drained(folder)
    for one in closed:
        if one.number >= since:
            break
        if not _is_drained(one, drained):
            if excess <= 0:
                break
            tidied.lost += _left_in(folder, one, drained)
            # On a disk that is full it may not be said; the records are lost all the same.
            with suppress(OSError):
                store_dropped(folder, one.number)
        try:
            os.unlink(path_of(folder, one.number))
        except FileNotFoundError:
            pass
        except OSError as error:
            tidied.error = error
            break
        excess -= one.octets
        tidied.removed += 1
    return tidied


def _is_drained(one: Closed, drained: Place) -> bool:
    if one.number == drained.segment:
        return not one.records or drained.octets >= one.octets
    return not one.records or one.number < drained.segment


def _left_in(folder: str, one: Closed, drained: Place) -> int:
    """How many of its records are not in the database."""
    if one.number == drained.segment:
        with suppress(OSError), Reader(folder, *drained) as reader:
            return sum(kind == Kind.RECORD for piece in reader.pieces() for kind, _, _ in piece)
    return one.records
