"""Whether a gateway is believed to work, and how it comes back when it did not.

    up       -> ejected   a run of failures, or a success rate far below its siblings'
    ejected  -> canary    its time is over
    canary   -> up        it took enough calls in a row
    canary   -> ejected   it failed one
    these    -> down      OPTIONS are not answered
    down     -> ejected   they are again; and on to canary at once, if its time is over

Each ejection lasts twice as long as the one before, up to a bound. OPTIONS that are answered again
bring a gateway back where it would be without them: since it may answer them while it refuses
every INVITE, it returns by a trickle of real calls in any case.
"""

from enum import StrEnum
from typing import Final

from oneproxy.site.model import Provider


class State(StrEnum):
    """What a gateway is taken for."""

    UP = "up"
    EJECTED = "ejected"  # no calls until a time
    CANARY = "canary"  # a trickle of calls
    DOWN = "down"  # no calls until OPTIONS are answered


class Input(StrEnum):
    """What changes it."""

    EJECT = "eject"
    RETURN = "return"  # the time is over
    PROVED = "proved"  # enough calls were taken
    SILENT = "silent"  # enough OPTIONS were not answered
    ANSWERS = "answers"  # enough were


TRANSITIONS: Final = {
    (State.UP, Input.EJECT): State.EJECTED,
    (State.CANARY, Input.EJECT): State.EJECTED,
    (State.EJECTED, Input.RETURN): State.CANARY,
    (State.CANARY, Input.PROVED): State.UP,
    (State.UP, Input.SILENT): State.DOWN,
    (State.EJECTED, Input.SILENT): State.DOWN,
    (State.CANARY, Input.SILENT): State.DOWN,
    (State.DOWN, Input.ANSWERS): State.EJECTED,
}


#: How long the next call of a canary waits for the fate of the one before. A call whose fate is
#: open for longer has got some response (RFC 3261 17.1.1.2, Timer B), or nobody follows it.
_OPEN_S: Final = 32.0


class Health:
    """The state of one gateway and what leads to the next. Instants are seconds since the epoch."""

    __slots__ = (
        "_answers",
        "_silences",
        "canary_at",
        "ejections",
        "proved",
        "rest_until",
        "run",
        "since",
        "state",
        "trying",
        "until",
    )

    def __init__(self) -> None:
        self.state = State.UP
        #: Since when it is in that state; 0: since the beginning.
        self.since = 0.0
        #: When an ejection ends.
        self.until = 0.0
        #: Ejections since it was last well for long: the next one lasts 2 ** this times as long.
        self.ejections = 0
        #: Failures in a row.
        self.run = 0
        #: No calls before this: what a Retry-After said.
        self.rest_until = 0.0
        #: Of a canary: calls that it took, the last one while its fate is open, and when the
        #: next one may come.
        self.proved = 0
        self.trying: object | None = None
        self.canary_at = 0.0
        self._silences = 0
        self._answers = 0

    def copy(self) -> "Health":
        """Another one in the same state, on which something may be tried."""
        other = Health()
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    def on(self, now: float, event: Input, rules: Provider) -> bool:
        """Go over to the next state, if there is one; whether there was."""
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            return False
        if event is Input.EJECT:
            self._eject(now, rules)
        elif event is Input.RETURN:
            self.proved = 0
            self.trying = None
            self.canary_at = now
        self.state = state
        self.since = now
        self.run = 0
        if event is Input.ANSWERS and now >= self.until:
            self.on(now, Input.RETURN, rules)
        return True

    def _eject(self, now: float, rules: Provider) -> None:
        if self.state is State.UP and now - self.since >= rules.max_eject_s:
            self.ejections = 0
        # 2 ** 20 times one second is above every bound there may be.
        lasts_s = rules.eject_s << (self.ejections if self.ejections < 20 else 20)
        self.until = now + (lasts_s if lasts_s < rules.max_eject_s else rules.max_eject_s)
        self.ejections += 1

    def probed(self, now: float, is_answered: bool, rules: Provider) -> bool:
        """OPTIONS were answered or not; whether that changed the state."""
        if is_answered:
            self._silences = 0
            self._answers += 1
            return self._answers >= rules.probes_up and self.on(now, Input.ANSWERS, rules)
        self._answers = 0
        self._silences += 1
        return self._silences >= rules.probes_down and self.on(now, Input.SILENT, rules)

    def unprobed(self, rules: Provider) -> None:
        """It is sent no OPTIONS any more, so that their silence can't keep it down."""
        self._silences = self._answers = 0
        self.on(self.since, Input.ANSWERS, rules)

    def is_due(self, now: float) -> bool:
        """Whether a canary may have its next call: one at a time, and not too often."""
        if self.state is not State.CANARY or now < self.canary_at:
            return False
        return self.trying is None or now >= self.canary_at + _OPEN_S

    def told(self, attempt: object) -> None:
        """The fate of a call that was a canary's is known."""
        if self.trying is attempt:
            self.trying = None

    def rest(self, now: float, seconds: int, rules: Provider) -> None:
        """It has answered 503 with this Retry-After (RFC 3261 21.5.4); 0: with none."""
        if seconds > rules.max_retry_after_s:
            seconds = rules.max_retry_after_s
        if seconds > 0 and now + seconds > self.rest_until:
            self.rest_until = now + seconds
