"""The episodes of the site's limits: each limit has its own, so that one tenant's does not hide another's."""

from collections.abc import Callable

from oneproxy.congestion.count import Bound, Count
from oneproxy.congestion.episode import QUIET_S, Episode


class Episodes:
    """Those that run. Times are seconds since the epoch; it is woken at its deadline.

    on_began: told of the first refusal of an episode. on_ended: told of which limit it was, how many calls
    were refused, by cause, and the seconds from the first to the last of them.
    """

    __slots__ = ("_at", "_on_began", "_on_ended", "_running", "on_sooner")

    def __init__(
        self, on_began: Callable[[Count], None], on_ended: Callable[[Bound, dict[str, int], float], None]
    ) -> None:
        self._on_began = on_began
        self._on_ended = on_ended
        self._running: dict[Bound, Episode] = {}
        #: When it is looked which of them are over; None where none runs.
        self._at: float | None = None
        #: Told when the deadline has become sooner.
        self.on_sooner: Callable[[], None] | None = None

    def note(self, now: float, count: Count) -> None:
        """A call was refused by this count."""
        bound = count.bound
        episode = self._running.get(bound)
        if episode is not None:
            episode.note(now, count.cause)
            return
        episode = self._running[bound] = Episode(
            lambda _cause: self._on_began(count),
            lambda refused, seconds: self._on_ended(bound, refused, seconds),
        )
        episode.note(now, count.cause)
        if self._at is None:
            self._at = now + QUIET_S
            if self.on_sooner is not None:
                self.on_sooner()

    def deadline(self) -> float | None:
        """When `expire` is wanted, None where no episode runs."""
        return self._at

    def expire(self, now: float) -> None:
        """End those that are over."""
        if self._at is None or now < self._at:
            return
        running = {}
        due = []
        for bound, episode in self._running.items():
            episode.expire(now)
            at = episode.deadline()
            if at is not None:
                running[bound] = episode
                due.append(at)
        self._running = running
        self._at = min(due, default=None)

    def close(self) -> None:
        """End all of them, be they over or not."""
        running, self._running, self._at = self._running, {}, None
        for episode in running.values():
            episode.close()
