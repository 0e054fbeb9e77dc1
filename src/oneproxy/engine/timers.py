"""The timers of RFC 3261 17 and a wheel that they cost next to nothing on.

Nearly every SIP timer is cancelled before it fires, so neither setting nor cancelling
touches more than a number: a timed object carries `due`, the instant at which it
wants to be woken, and stands in at most one slot of the wheel that it still cares
for. Postponing or cancelling only changes `due`; the slot is corrected when the wheel
comes by. Only an earlier instant than the slot's needs a second entry.

A timer fires within one tick after its instant and never before it. Instants that are
whole ticks fire exactly.
"""

from math import ceil, inf
from typing import Final

# RFC 3261 table 4, seconds.
T1: Final = 0.5
T2: Final = 4.0
T4: Final = 5.0
TIMER_B: Final = 64 * T1
TIMER_C: Final = 180.0 + T1
TIMER_D: Final = 64 * T1
TIMER_F: Final = 64 * T1
TIMER_H: Final = 64 * T1
TIMER_I: Final = T4
TIMER_J: Final = 64 * T1
TIMER_K: Final = T4
# RFC 6026 7.1 and 7.2.
TIMER_L: Final = 64 * T1
TIMER_M: Final = 64 * T1
#: RFC 3261 17.2.1: 100 is due 200 ms after an INVITE unless another response comes
#: before. Nearly always one does, and then a datagram of thirteen is saved.
TRYING_AFTER: Final = 0.15
#: RFC 4320 4.1: 100 to other requests over unreliable transports only once Timer E of the
#: other side has been reset to T2, after 3.5 s. Our own third repetition downstream leaves
#: at that instant, so its answer gets T1 to make the 100 unnecessary; the other side's next
#: repetition, which the 100 is to prevent, is due at 7.5 s.
TRYING_NON_INVITE_AFTER: Final = T2
#: How long a policy that answered "pending" may take.
PENDING_LIMIT: Final = 10.0
#: How often it is looked whether a request without an answer still has somebody to wait for.
LOOK_AFTER_S: Final = 60.0

TICK: Final = 1 / 128
_SLOTS: Final = 8192  # 64 s: covers all timers but C in one placement
_MASK: Final = _SLOTS - 1


class Timed:
    """Something that can be woken: `due` in seconds (`inf`: not at all)."""

    __slots__ = ("due", "slot")

    def __init__(self) -> None:
        self.due = inf
        #: The tick of the wheel entry that counts; entries elsewhere are stale.
        self.slot = 0

    def wake(self, now: float) -> None:
        """Called once when `due` has come; `due` is `inf` then."""
        raise NotImplementedError


class Wheel:
    """Timers in slots of one tick."""

    __slots__ = ("_done", "_next", "_slots")

    def __init__(self, now: float) -> None:
        self._slots: list[list[Timed]] = [[] for _ in range(_SLOTS)]
        self._done = int(now / TICK)
        #: No slot before this tick holds an entry.
        self._next = self._done + _SLOTS

    def set(self, timed: Timed, due: float) -> None:
        """Wake `timed` at `due`, and not at the instant that was set before."""
        timed.due = due
        if self._done < timed.slot and timed.slot * TICK <= due:
            return  # its present slot comes first and will send it on
        tick = ceil(due / TICK)
        if tick <= self._done:
            tick = self._done + 1
        elif tick >= self._done + _SLOTS:
            tick = self._done + _MASK
        timed.slot = tick
        self._slots[tick & _MASK].append(timed)
        if tick < self._next:
            self._next = tick

    def cancel(self, timed: Timed) -> None:
        """Do not wake `timed`; its entry goes when the wheel comes by."""
        timed.due = inf

    def deadline(self) -> float | None:
        """The instant at which `expire` has something to look at, or None."""
        last = self._done + _SLOTS
        tick = self._next
        slots = self._slots
        while tick < last and not slots[tick & _MASK]:
            tick += 1
        self._next = tick
        return tick * TICK if tick < last else None

    def expire(self, now: float) -> None:
        """Wake everything that is due at `now`."""
        upto = int(now / TICK)
        if upto <= self._done:
            return
        if upto - self._done >= _SLOTS:
            self._leap(upto)
        for tick in range(max(self._next, self._done + 1), upto + 1):
            entries = self._slots[tick & _MASK]
            self._done = tick
            if not entries:
                continue
            self._slots[tick & _MASK] = []
            entries.reverse()
            try:
                self._visit(entries, tick, now)
            finally:
                # Left over only after a fault of our own: the others keep their timers.
                for timed in entries:
                    if timed.slot == tick:
                        timed.slot = 0
                        self.set(timed, timed.due)
        self._done = max(self._done, upto)
        self._next = max(self._next, self._done + 1)

    def _visit(self, entries: list[Timed], tick: int, now: float) -> None:
        """Wake those of a slot that are due, last one first, and send the others on."""
        while entries:
            timed = entries.pop()
            if timed.slot != tick:
                continue
            timed.slot = 0
            if timed.due <= now:
                timed.due = inf
                timed.wake(now)
            elif timed.due != inf:
                self.set(timed, timed.due)

    def _leap(self, upto: int) -> None:
        """After standing still for more than a turn of the wheel: all is placed anew, before `upto`."""
        entries = [timed for slot in self._slots for timed in slot if timed.slot]
        for slot in self._slots:
            slot.clear()
        self._done = upto - 1
        self._next = upto
        for timed in entries:
            timed.slot = 0
        for timed in entries:
            if timed.due != inf and not timed.slot:
                self.set(timed, timed.due)
