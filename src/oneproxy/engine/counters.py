"""What the engine counts: plain integers that the loop adds to and others read."""

from collections import Counter
from typing import Final

#: Counters that are numbers, and those that are numbers by code.
_PLAIN: Final = ("calls", "requests", "responses", "retransmissions", "stray_responses")
_CODED: Final = ("dropped", "refused", "slowed")


class Counters:
    """Totals since the start."""

    __slots__ = (*_CODED, *_PLAIN)

    def __init__(self) -> None:
        self.requests = 0
        self.responses = 0
        self.retransmissions = 0
        #: INVITEs that were forwarded outside of a dialog.
        self.calls = 0
        #: Responses to nothing that this node sent (RFC 6026 8.8: not forwarded).
        self.stray_responses = 0
        #: What was refused or dropped by the engine itself, by code.
        self.dropped: Counter[str] = Counter()
        #: What policy refused, by the cause of its reply.
        self.refused: Counter[str] = Counter()
        #: Requests that were not sent to a neighbour who wants less, by how he says so.
        self.slowed: Counter[str] = Counter()

    def totals(self) -> dict[str, int]:
        """Everything by name; codes as "dropped.<code>" and so on."""
        named = {name: getattr(self, name) for name in _PLAIN}
        for name in _CODED:
            named |= {f"{name}.{code}": count for code, count in sorted(getattr(self, name).items())}
        return named
