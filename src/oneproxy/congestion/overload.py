"""Overload of OneProxy itself: from how long messages wait to how much is refused.

    the wait, in times of what it may be (`max_wait_ms`)
    0          1          1.5         2                      3
    |  nothing | new calls | and new   | and registrations    | all but what goes on with
    |          | ------->  | registr.  | that are kept up     | something that was begun
    |          | 0 to 100% | 0 to 100% | 0 to 100%            |

The share is in proportion to how far the wait is above what it may be, and to nothing else. That is a
proportional controller of an integrator: who refuses a share p of the calls that come has his queue grow
by what they take less what there is, and so the wait with it. And it is one without a dead time, since
what is measured is the wait of the very datagram that is decided upon next. Such a loop has no
oscillation of its own, whatever its gain, and no share is remembered: below the bound nothing is
refused, and when the load is gone, so is the wait, and so is all refusing. What it does not do is to
keep the wait at its bound: it stays between that and one and a half of it, which is where a share
of all calls is refused. `tests/unit/congestion/test_overload.py` has a model of a server under it.

A process that had to pause, since the machine did something else, is not overloaded: it has taken in what
came meanwhile a moment later. So nothing is refused before the wait has been too long for a tenth of a
second; a real overload makes it longer by that at its beginning.

A queue that is too short to wait in for so long drops datagrams of any kind before anything is
refused. So where the kernel drops, a share of new calls is refused too, which grows by a step with every
look that finds drops, and falls by and by when there are none.
"""

from math import exp
from typing import Final, Protocol

from oneproxy.site.model import Congestion

#: Waits above what is allowed, in parts of it, at which all of a kind is refused; those of the next
#: kind begin there.
_ALL_CALLS: Final = 0.5
_ALL_REGISTERS: Final = 1.0
_ALL_REFRESHES: Final = 2.0
#: How long the wait has to be too long before anything is refused; and it is an overload until it has
#: not been so for this time.
_PATIENCE_S: Final = 0.1
_CALM_S: Final = 1.0
#: The share that is refused where the kernel drops: what is added with each look that finds some, not more
#: often than so, and how much it falls in a second.
_DROP_STEP: Final = 0.1
_DROP_EVERY_S: Final = 0.02
_DROP_FALLS_PER_S: Final = 0.5
#: A wait says something for so long: a source of them that is silent has none.
_FRESH_S: Final = 0.1
#: What neighbours are told is a mean over about this time: they answer to it later than that.
_SMOOTH_S: Final = 1.0


class Shed(Protocol):
    """Who refuses: `engine.shedding.Shedding`."""

    loss_percent: int

    def set(self, now: float, calls: float, registers: float, refreshes: float) -> None:
        """Refuse these shares, 0.0 to 1.0."""
        ...


class Overload:
    """How long messages wait, by where, and what is refused for it. Times are seconds."""

    __slots__ = (
        "_above_at",
        "_above_since",
        "_dropping",
        "_dropping_at",
        "_last",
        "_longest_s",
        "_loss",
        "_max_wait_s",
        "_overloaded",
        "_said_at",
        "_seen",
        "_shed",
        "_waited_s",
        "_waits",
        "drops",
    )

    def __init__(self, shed: Shed) -> None:
        self._shed = shed
        self._max_wait_s = 0.0
        #: Whether the wait is too long, since when it is so without a break, and when it was so last.
        self._overloaded = False
        self._above_since: float | None = None
        self._above_at = 0.0
        #: By where they wait: how long, and when that was.
        self._waits: dict[int, tuple[float, float]] = {}
        #: The share of calls that is refused for drops, and as of when.
        self._dropping = 0.0
        self._dropping_at = 0.0
        self._loss = 0.0
        self._said_at = 0.0
        #: Since the last `period`; and what that said.
        self._longest_s = self._waited_s = 0.0
        self._seen = 0
        self._last = (0.0, 0.0)
        #: Datagrams that the kernel dropped, since the start.
        self.drops = 0

    def take(self, congestion: Congestion) -> None:
        """This is what may be from now on."""
        self._max_wait_s = congestion.max_wait_ms / 1000
        if not self._max_wait_s:
            self._dropping = self._loss = 0.0
            self._overloaded, self._above_since = False, None
            self._shed.loss_percent = 0
            self._shed.set(0.0, 0.0, 0.0, 0.0)

    def waited(self, where: int, now: float, wait_s: float, drops: int) -> None:
        """What came to `where` has waited for so long, and so much was dropped there since the last time."""
        self._longest_s = max(self._longest_s, wait_s)
        self._waited_s += wait_s
        self._seen += 1
        self.drops += drops
        if not self._max_wait_s:
            return
        waits = self._waits
        waits[where] = (wait_s, now)
        if len(waits) > 1:
            # Whoever waits for longest decides: all wait for the same process.
            wait_s = max(one for one, at in waits.values() if now - at <= _FRESH_S)
        if drops or self._dropping:
            self._note_drops(now, drops)
        over = wait_s / self._max_wait_s - 1.0
        if not self._lasts(now, over > 0.0):
            over = 0.0
        if over <= 0.0 and not self._dropping and not self._loss:
            return
        calls = max(_part(over, 0.0, _ALL_CALLS), self._dropping)
        registers = _part(over, _ALL_CALLS, _ALL_REGISTERS)
        self._shed.set(now, calls, registers, _part(over, _ALL_REGISTERS, _ALL_REFRESHES))
        self._say(now, calls)

    def waits(self) -> tuple[float, float]:
        """The longest wait and the mean of the oldest at each look, since the last `period` began."""
        longest_s, mean_s = self._last
        if not self._seen:
            return longest_s, mean_s
        return max(longest_s, self._longest_s), self._waited_s / self._seen

    def period(self) -> tuple[float, float]:
        """A period is over: its longest wait, and the mean of the oldest at each look."""
        self._last = (self._longest_s, self._waited_s / (self._seen or 1))
        self._longest_s = self._waited_s = 0.0
        self._seen = 0
        return self._last

    def _lasts(self, now: float, above: bool) -> bool:
        """Whether this is an overload, and no pause of the process."""
        if above:
            if self._above_since is None:
                self._above_since = now
            elif not self._overloaded:
                self._overloaded = now - self._above_since >= _PATIENCE_S
            self._above_at = now
        else:
            self._above_since = None
            if self._overloaded and now - self._above_at >= _CALM_S:
                self._overloaded = False
        return self._overloaded

    def _note_drops(self, now: float, drops: int) -> None:
        passed_s = now - self._dropping_at
        if not drops:
            self._dropping = max(0.0, self._dropping - _DROP_FALLS_PER_S * passed_s)
        elif passed_s < _DROP_EVERY_S:
            return
        else:
            self._dropping = min(1.0, self._dropping + _DROP_STEP)
        self._dropping_at = now

    def _say(self, now: float, calls: float) -> None:
        """What neighbours are told."""
        follows = exp((self._said_at - now) / _SMOOTH_S)
        self._said_at = now
        self._loss = calls + (self._loss - calls) * follows
        if self._loss < 0.005 and not calls:
            self._loss = 0.0
        self._shed.loss_percent = round(100 * self._loss)


def _part(over: float, least: float, most: float) -> float:
    """Where `over` is between two bounds: 0.0 at the lower one and below, 1.0 at the upper one and above."""
    if over <= least:
        return 0.0
    return 1.0 if over >= most else (over - least) / (most - least)
