"""The INVITEs that were refused statelessly for want of room, so that their repetitions are refused too.

Over UDP an INVITE comes again after 500 ms where the 503 is late or lost (RFC 3261 17.1.1.2). By then
there may be room. Let in, it would ring at somebody whose caller has been told that there is none.
"""

from typing import Final

#: For how long a client repeats an INVITE: Timer B, 64 * T1.
_REPEATED_S: Final = 32.0
#: Refusals in a generation. Each takes some 60 octets.
_MOST: Final = 50_000


class Repeated:
    """Two generations of keys, of which the older one is forgotten: each is known for 32 s at least.

    Where more than _MOST calls are refused in that time it is shorter, and memory does not grow.
    """

    __slots__ = ("_before", "_keys", "_since")

    def __init__(self) -> None:
        #: Hashes of keys: those of strings differ from one process to the next, so nobody makes two meet.
        self._keys: set[int] = set()
        self._before: set[int] = set()
        self._since = 0.0

    def note(self, now: float, key: str) -> None:
        """The INVITE of this transaction has been refused."""
        if now >= self._since + _REPEATED_S or len(self._keys) >= _MOST:
            self._before = self._keys if now < self._since + 2 * _REPEATED_S else set()
            self._keys, self._since = set(), now
        self._keys.add(hash(key))

    def knows(self, now: float, key: str) -> bool:
        """Whether it has been refused a short while ago."""
        if not self._keys or now >= self._since + 2 * _REPEATED_S:
            return False
        number = hash(key)
        return number in self._keys or number in self._before
