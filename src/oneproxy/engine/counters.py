"""What the engine counts: plain integers that the loop adds to and others read."""

from collections import Counter


class Counters:
    """Totals since the start."""

    __slots__ = (
        "calls",
        "dropped",
        "refused",
        "requests",
        "responses",
        "retransmissions",
        "stray_responses",
    )

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

    def totals(self) -> dict[str, int]:
        """Everything by name; codes as "dropped.<code>" and "refused.<code>"."""
        coded = ("dropped", "refused")
        named = {name: getattr(self, name) for name in self.__slots__ if name not in coded}
        for name in coded:
            named |= {f"{name}.{code}": count for code, count in sorted(getattr(self, name).items())}
        return named
