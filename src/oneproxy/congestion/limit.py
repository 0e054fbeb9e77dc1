"""How many calls a node takes on: so many within a period, and so many at once.

It is asked by the engine's gate, before anything of an INVITE is read, and told of each call that
goes on to somebody. What is refused for another reason, a password that is missing or wrong, nobody
of that name, uses up nothing: else whoever has no password could keep everybody else from calling.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from oneproxy.congestion.episode import Episode
from oneproxy.congestion.window import Window
from oneproxy.site.model import Congestion

#: Why a call is refused: stable codes, of counters and logs. Callers are not told.
PER_PERIOD: Final = "calls-per-period"
AT_ONCE: Final = "max-calls"
UNRECORDED: Final = "records-full"


class CallLimit:
    """The limits of a node, as its engine asks for them (`engine.gate.Limit`).

    calls_on: how many calls are followed at present. episode: is told of every refusal. has_no_room: whether
    there is no room for the record of another call.
    """

    __slots__ = (
        "_bars",
        "_episode",
        "_has_no_room",
        "_window",
        "calls",
        "calls_on",
        "cause",
        "follows",
        "is_set",
        "max_calls",
        "period_s",
        "refusals",
    )

    def __init__(
        self, calls_on: Callable[[], int], episode: Episode, has_no_room: Callable[[], bool] = bool
    ) -> None:
        self.calls_on = calls_on
        self._episode = episode
        self._has_no_room = has_no_room
        self._bars = False
        self._window = Window(0, 1.0)
        self.calls = 0
        self.period_s = 1.0
        self.max_calls = 0
        self.refusals = 0
        #: Whether there is any limit.
        self.is_set = False
        #: Whether all calls have to be followed: nothing else tells how many are on.
        self.follows = False
        #: Why there is no room, as of the last time that `full_until` said so.
        self.cause: str = PER_PERIOD

    def take(self, congestion: Congestion, bars: bool = False) -> None:
        """These are the limits from now on. Calls that have begun count.

        bars: whether a call whose record there is no room for is refused.
        """
        self._bars = bars
        self._window.take(congestion.calls, congestion.period_s)
        self.calls = congestion.calls
        self.period_s = congestion.period_s
        self.max_calls = congestion.max_calls
        self.is_set = bars or congestion.calls > 0 or congestion.max_calls > 0
        self.follows = congestion.max_calls > 0

    def full_until(self, now: float) -> float:
        """No call may begin before this instant; `inf`: not before another one has ended."""
        if self.max_calls and self.calls_on() >= self.max_calls:
            self.cause = AT_ONCE
            return inf
        if self._bars and self._has_no_room():
            self.cause = UNRECORDED
            return inf
        until = self._window.full_until()
        if now < until:
            self.cause = PER_PERIOD
        return until

    def begun(self, now: float) -> None:
        """A call has begun."""
        self._window.add(now)

    def refused(self, now: float) -> None:
        """A call has been refused for `cause`."""
        self.refusals += 1
        self._episode.note(now, self.cause)

    def within(self, now: float) -> int:
        """How many calls have begun in the period that ends now, for people."""
        return self._window.within(now)
