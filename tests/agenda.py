"""What peers that a test or a benchmark plays mean to do, and when: timers by any clock."""

import heapq
import itertools
from collections.abc import Callable

Do = Callable[[float], None]


class Due:
    """Something that will be done, unless it is dropped first."""

    __slots__ = ("do",)

    def __init__(self, do: Do | None) -> None:
        self.do = do

    def drop(self) -> None:
        """It is not wanted any more."""
        self.do = None


class Agenda:
    """Things to do, in the order of their instants; of one instant, in the order in which they came."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Due]] = []
        self._numbers = itertools.count()

    def at(self, when: float, do: Do) -> Due:
        """Call `do` with the time then."""
        due = Due(do)
        heapq.heappush(self._heap, (when, next(self._numbers), due))
        return due

    def deadline(self) -> float | None:
        """When `run` is wanted next."""
        return self._heap[0][0] if self._heap else None

    def run(self, now: float) -> None:
        """Do what is due."""
        while self._heap and self._heap[0][0] <= now:
            due = heapq.heappop(self._heap)[2]
            if due.do is not None:
                due.do(now)


class Repeated:
    """A datagram that is sent again until somebody stops that (RFC 3261 17.1: T1, T2, 64 * T1).

    given_up: what to do where nobody did.
    """

    __slots__ = ("_agenda", "_data", "_due", "_given_up", "_interval_s", "_longest_s", "_send", "_until")

    def __init__(
        self,
        agenda: Agenda,
        now: float,
        send: Callable[[bytes], None],
        data: bytes,
        given_up: Do | None = None,
        longest_s: float = 4.0,
    ) -> None:
        self._agenda = agenda
        self._send = send
        self._data = data
        self._given_up = given_up
        self._interval_s = 0.5
        self._longest_s = longest_s
        self._until = now + 32.0
        self._due = agenda.at(now, self._again)

    def stop(self) -> None:
        """It has been answered."""
        self._due.drop()

    def _again(self, now: float) -> None:
        if now >= self._until:
            if self._given_up is not None:
                self._given_up(now)
            return
        self._send(self._data)
        self._due = self._agenda.at(min(now + self._interval_s, self._until), self._again)
        self._interval_s = min(2 * self._interval_s, self._longest_s)
