"""A time in which calls are refused: its first refusal and its last one are told, and how many there were."""

from collections import Counter
from collections.abc import Callable
from typing import Final

#: An episode is over when so long no call was refused.
QUIET_S: Final = 5.0


class Episode:
    """One episode after another. Times are seconds since the epoch; it is woken at its deadline.

    on_began: told the cause of the first refusal. on_ended: told how many calls were refused, by
    cause, and the seconds from the first to the last of them.
    """

    __slots__ = ("_began_at", "_last_at", "_on_began", "_on_ended", "_refused", "on_sooner")

    def __init__(
        self, on_began: Callable[[str], None], on_ended: Callable[[dict[str, int], float], None]
    ) -> None:
        self._on_began = on_began
        self._on_ended = on_ended
        self._began_at = self._last_at = 0.0
        self._refused: Counter[str] = Counter()
        #: Told when the deadline has become sooner.
        self.on_sooner: Callable[[], None] | None = None

    def note(self, now: float, cause: str) -> None:
        """A call was refused."""
        refused = self._refused
        self._last_at = now
        if refused:
            refused[cause] += 1
            return
        refused[cause] = 1
        self._began_at = now
        self._on_began(cause)
        if self.on_sooner is not None:
            self.on_sooner()

    def deadline(self) -> float | None:
        """When it is to be looked whether the episode is over; None where there is none."""
        return self._last_at + QUIET_S if self._refused else None

    def expire(self, now: float) -> None:
        """End the episode if it is over."""
        if self._refused and now >= self._last_at + QUIET_S:
            self.close()

    def close(self) -> None:
        """End the episode if there is one, be it over or not."""
        if self._refused:
            refused, self._refused = self._refused, Counter()
            self._on_ended(dict(refused), self._last_at - self._began_at)
