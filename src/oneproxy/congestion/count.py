"""What is counted for one that a limit of the site is for: a domain, a network, a provider, a caller.

A `Bound` is a limit of the site, a `Count` the calls of one whom it is for. A limit for each of them has
many counts (`congestion.table`). The count is what a call holds: it is told that the call has begun, and
that it has ended where that matters.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from oneproxy.congestion.window import Window
from oneproxy.site.model import Limit

DOMAIN: Final = "domain"
SOURCE: Final = "source"
PROVIDER: Final = "provider"
CALLER: Final = "caller"
KINDS: Final = (DOMAIN, SOURCE, PROVIDER, CALLER)
#: Whom a limit is for that each has by himself.
EACH: Final = "*"

_PER_PERIOD: Final = {kind: f"{kind}-calls-per-period" for kind in KINDS}
_AT_ONCE: Final = {kind: f"{kind}-max-calls" for kind in KINDS}
#: Why calls are refused: stable codes, of counters and logs. Callers are not told.
CODES: Final = frozenset((*_PER_PERIOD.values(), *_AT_ONCE.values()))


class Bound:
    """One limit of the site.

    on_refused: told of each call that is refused by it: when, of which count.
    """

    __slots__ = (
        "at_once",
        "calls",
        "key",
        "kind",
        "lasts",
        "max_calls",
        "most",
        "name",
        "on_full",
        "on_refused",
        "on_room",
        "per_period",
        "period_s",
        "refused",
        "whom",
    )

    def __init__(
        self, kind: str, whom: str, on_refused: Callable[[float, "Count"], None] = lambda _now, _count: None
    ) -> None:
        self.kind = kind
        self.whom = whom
        self.key = f"{kind} {whom}"
        self.per_period = _PER_PERIOD[kind]
        self.at_once = _AT_ONCE[kind]
        self.on_refused = on_refused
        #: Where somebody wants to know: told of a count that has no room until an instant, and of
        #: one that a call has left.
        self.on_full: Callable[[Count, float], None] | None = None
        self.on_room: Callable[[Count], None] | None = None
        #: Calls that it has kept from going on, or from going where they were meant to.
        self.refused = 0
        self.take(Limit())

    def take(self, site: Limit) -> None:
        """It is this one from now on. Calls that have begun count."""
        self.name = site.name or self.key
        self.calls = site.calls
        self.period_s = site.period_s
        self.max_calls = site.max_calls
        self.most = site.max_calls or inf
        #: Whether it has to be told of the end of calls.
        self.lasts = site.max_calls > 0


class Count:
    """The calls of one. of: who that is, of a limit that each has for himself; else ""."""

    __slots__ = ("_window", "bound", "calls_on", "cause", "of", "refusals")

    def __init__(self, bound: Bound, of: str = "") -> None:
        self.bound = bound
        self.of = of
        self._window: Window | None = None
        #: Calls that are on, of those that began while `max_calls` stood in the site.
        self.calls_on = 0
        self.refusals = 0
        #: Why there is no room, as of the last time that `full_until` said so.
        self.cause = bound.per_period

    @property
    def key(self) -> str:
        """What it is found again by, in another process too."""
        return f"{self.bound.key} {self.of}" if self.of else self.bound.key

    @property
    def lasts(self) -> bool:
        """Whether `ended` has to be told of a call that begins now."""
        return self.bound.lasts

    def full_until(self, now: float) -> float:
        """No call may begin before this instant; `inf`: not before another one has ended."""
        bound = self.bound
        if self.calls_on >= bound.most:
            self.cause = bound.at_once
            return inf
        window = self._window
        if window is None:
            return 0.0
        if window.calls != bound.calls or window.period_s != bound.period_s:
            # The site has changed. There may be a hundred thousand counts: each looks when it is asked.
            window.take(bound.calls, bound.period_s)
        until = window.full_until()
        if now < until:
            self.cause = bound.per_period
        return until

    def begun(self, now: float) -> None:
        """A call has begun, be there room for it or not."""
        bound = self.bound
        if bound.calls:
            window = self._window
            if window is None:
                self.note(now)
            else:
                window.add(now)
        if bound.lasts:
            self.calls_on += 1
        if bound.on_full is not None:
            until = self.full_until(now)
            if now < until:
                bound.on_full(self, until)

    def note(self, now: float) -> None:
        """A call has begun that somebody else counts for as long as it is on."""
        bound = self.bound
        window = self._window
        if window is None:
            window = self._window = Window(bound.calls, bound.period_s)
        window.add(now)

    def resumed(self, now: float) -> None:
        """A call is on that began before this process did."""
        self.calls_on += 1
        if self.bound.on_full is not None:
            self._note_full(now)

    def ended(self, now: float) -> None:
        """A call has ended that has begun, or was resumed."""
        self.calls_on -= 1
        bound = self.bound
        if bound.on_room is not None and self.calls_on < bound.most:
            bound.on_room(self)

    def refused(self, now: float) -> None:
        """A call has been refused for `cause`."""
        bound = self.bound
        bound.refused += 1
        self.refusals += 1
        bound.on_refused(now, self)
        if bound.on_full is not None:
            self._note_full(now)

    def is_idle(self, now: float) -> bool:
        """Whether nothing is lost where it is forgotten."""
        window = self._window
        return not self.calls_on and (window is None or window.is_over(now))

    def within(self, now: float) -> int:
        """How many calls have begun in the period that ends now, for people."""
        return 0 if self._window is None else self._window.within(now)

    def _note_full(self, now: float) -> None:
        until = self.full_until(now)
        if now < until and self.bound.on_full is not None:
            self.bound.on_full(self, until)
