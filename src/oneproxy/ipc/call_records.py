"""What people ask about call records, and how these fare, as `ipc.desk` carries it."""

from typing import Final

from msgspec import Struct

from oneproxy.records.record import Record
from oneproxy.records.wanted import Wanted

#: Records in an answer.
MOST_RECORDS: Final = 500
#: And octets of theirs: a record may have many attempts.
MAX_RECORDS_OCTETS: Final = 4 * 1024 * 1024


class RecordsHealth(Struct, frozen=True):
    """How call records come from the journals into the table. stored, refused: since the start.

    lost: segments of journals that are gone unread. waiting: octets that may not be stored yet, at most.
    oldest_ms: when the oldest call ended that cannot be stored, for this reason; 0 and "" for none.
    """

    stored: int
    refused: int
    lost: int
    waiting: int
    oldest_ms: int
    reason: str


class FindRecords(Struct, tag=True, frozen=True):
    """The newest call records that are wanted, behind `after` (when one began, in ms, and its id)."""

    wanted: Wanted
    after: tuple[int, str] | None = None
    most: int = MOST_RECORDS


class RecordsFound(Struct, tag=True, frozen=True):
    """Newest first. more: whether there may be others behind the last one."""

    records: list[Record]
    more: bool
