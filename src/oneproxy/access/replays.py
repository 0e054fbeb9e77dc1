"""What nonces were used for: none of their counts is good twice (RFC 7616 3.3, 5.12).

Two tables: uses are noted in the present one, and when that has lasted for as long as a nonce
may be used, it becomes the one before, and that one goes. A table that is full is turned over
before its time. What was used then is not known any more, so nonces that are old enough to have
been used then count as stale: who has one asks for another, and nobody uses one again.

Datagrams overtake each other, so the last 64 counts of a nonce are told apart; whatever is older
counts as used.
"""

from typing import Final

from oneproxy.access.nonces import LIFETIME_S, SKEW_S, Nonce

#: Nonces of one table, some 30 MB: of 700 challenges met in a second.
CAPACITY: Final = 250_000
#: The count of a client that knows none (RFC 2069): its nonce is good once.
ONCE: Final = -1

_PERIOD_S: Final = LIFETIME_S + SKEW_S
_COUNTS: Final = 64
_MASK: Final = (1 << _COUNTS) - 1


class Replays:
    """The memory of one node. since: nothing is known of what came before, by seconds since the epoch."""

    __slots__ = ("_before", "_began", "_capacity", "_current", "_lost_of_others", "_lost_of_own")

    def __init__(self, since: float = 0.0, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        #: By name of the nonce: its highest count, above a bit for each of the 64 up to it.
        self._current: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._began = since
        #: Up to when nonces may have been used and forgotten. Those of other nodes are dated by
        #: other clocks; of our own there were none before the start.
        self._lost_of_own = -1.0
        self._lost_of_others = since if since else -1.0

    def __len__(self) -> int:
        return len(self._current) + len(self._before)

    def knows(self, nonce: Nonce) -> bool:
        """Whether it would be known if the nonce had been used."""
        return nonce.made_at > (self._lost_of_own if nonce.is_own else self._lost_of_others)

    def spend(self, nonce: Nonce, count: int, now: float) -> bool:
        """Use `count` of a nonce that is fresh; False where it was used before.

        count: nc, or ONCE.
        """
        if now >= self._began + _PERIOD_S:
            self._turn(now)
        name = nonce.name
        seen = self._current.get(name) or self._before.get(name)
        if seen is None:
            if len(self._current) >= self._capacity:
                self._turn(now)
            self._current[name] = count << _COUNTS | 1 if count >= 0 else ONCE
            return True
        if seen < 0 or count < 0:
            return False
        highest, mask = seen >> _COUNTS, seen & _MASK
        ahead = count - highest
        if ahead > 0:
            mask = (mask << ahead | 1) & _MASK if ahead < _COUNTS else 1
            highest = count
        elif ahead <= -_COUNTS or mask >> -ahead & 1:
            return False
        else:
            mask |= 1 << -ahead
        self._current[name] = highest << _COUNTS | mask
        return True

    def _turn(self, now: float) -> None:
        """Forget the table before; the present one takes its place."""
        if self._before:
            # Nothing in it was made after the present table began.
            self._lost_of_own = self._began
            self._lost_of_others = self._began + SKEW_S
        if now >= self._began + 2 * _PERIOD_S:
            self._before = {}
        else:
            self._before = self._current
        self._current = {}
        self._began = now
