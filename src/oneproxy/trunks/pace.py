"""New calls in any one second: no more than so many, exactly, wherever the second begins."""

from collections import deque


class Pace:
    """The instants of the last calls, as many as one second may have."""

    __slots__ = ("_at", "most")

    def __init__(self, most: int, before: "Pace | None" = None) -> None:
        """before: the one that this one takes over from, with another bound."""
        self.most = most
        self._at: deque[float] = deque(() if before is None else before._at, maxlen=most)

    def admits(self, now: float) -> bool:
        """Whether one more call may begin."""
        at = self._at
        return len(at) < self.most or now - at[0] >= 1.0

    def add(self, now: float) -> None:
        """A call begins."""
        self._at.append(now)
