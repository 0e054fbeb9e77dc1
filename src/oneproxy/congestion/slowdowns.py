"""Neighbours that are sent less: of each the first request that is held back and the last one are told."""

from collections.abc import Callable
from functools import partial

from oneproxy.congestion.episode import Episode


class Slowdowns:
    """One episode after another of each neighbour, by name; it is woken at its deadline.

    on_began, on_ended: as of `Episode`, with the name before. An episode that is over is forgotten, so
    that there are no more than neighbours that something was held back from within the last seconds.
    """

    __slots__ = ("_of", "_on_began", "_on_ended", "on_sooner")

    def __init__(
        self,
        on_began: Callable[[str, str], None],
        on_ended: Callable[[str, dict[str, int], float], None],
    ) -> None:
        self._of: dict[str, Episode] = {}
        self._on_began = on_began
        self._on_ended = on_ended
        #: Told when the deadline has become sooner.
        self.on_sooner: Callable[[], None] | None = None

    def note(self, now: float, name: str, cause: str) -> None:
        """Something was held back from the neighbour of this name."""
        episode = self._of.get(name)
        if episode is not None:
            episode.note(now, cause)
            return
        episode = self._of[name] = Episode(partial(self._on_began, name), partial(self._on_ended, name))
        episode.note(now, cause)
        if self.on_sooner is not None:
            self.on_sooner()

    def deadline(self) -> float | None:
        """When it is to be looked whether one of them is over; None where there is none."""
        return min((at for one in self._of.values() if (at := one.deadline()) is not None), default=None)

    def expire(self, now: float) -> None:
        """End those that are over."""
        for name, episode in tuple(self._of.items()):
            episode.expire(now)
            if episode.deadline() is None:
                del self._of[name]

    def close(self) -> None:
        """End all of them, be they over or not."""
        for episode in self._of.values():
            episode.close()
        self._of.clear()
