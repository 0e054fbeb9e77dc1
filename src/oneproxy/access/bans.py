"""Bans: sources and accounts that are shut out, since when, until when and why.

What transport needs to know of them stands in `shut`, a table that it looks into before it
reads anything: until when nothing is taken from an address.
"""

from heapq import heapify, heappop, heappush
from typing import Final

from oneproxy.access.names import Names
from oneproxy.access.sources import shut_key

#: At once. When there is no room, the ban that would end first ends.
CAPACITY: Final = 200_000
#: Bans that are over and are let go of at once: some 0.2 ms. A network of thousands that was banned
#: in one second is let in again in one second too.
ENDED: Final = 64

SOURCE: Final = "source"
ACCOUNT: Final = "account"

#: Seconds since the epoch, by what transport looks up: an IPv4 address, or 8 octets of IPv6.
Shut = dict[str | bytes, float]


class Ban:
    """One of them. kind: SOURCE or ACCOUNT. since, until: seconds since the epoch."""

    __slots__ = ("kind", "name", "since", "until", "why")

    def __init__(self, kind: str, name: str, since: float, until: float, why: str) -> None:
        self.kind = kind
        #: An IPv4 address, an IPv6 network of 64 bits, or an AoR.
        self.name = name
        self.since = since
        self.until = until
        self.why = why


class Bans:
    """All bans of a node. What is over goes by and by, without being looked for."""

    __slots__ = ("_by_name", "_capacity", "_ends", "_names", "shut")

    def __init__(self, shut: Shut | None = None, capacity: int = CAPACITY) -> None:
        """shut: the table that transport looks into, kept here."""
        self.shut: Shut = {} if shut is None else shut
        self._capacity = capacity
        self._by_name: dict[str, Ban] = {}
        self._names = Names()
        #: When each ends, the first of them in front. One that was lifted, or goes on for
        #: longer, leaves an end behind that is nobody's.
        self._ends: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._by_name)

    def add(self, ban: Ban, everywhere: bool) -> None:
        """Begin a ban, in place of one of the same name.

        everywhere: transport takes nothing from the source at all.
        """
        self.expire(ban.since)
        if ban.name not in self._by_name:
            if len(self._by_name) >= self._capacity:
                self._end_first()
            self._names.add(ban.name)
        self._by_name[ban.name] = ban
        heappush(self._ends, (ban.until, ban.name))
        if len(self._ends) > 2 * self._capacity:
            self._ends = [(one.until, one.name) for one in self._by_name.values()]
            heapify(self._ends)
        if ban.kind == SOURCE:
            if everywhere:
                self.shut[shut_key(ban.name)] = ban.until
            else:
                self.shut.pop(shut_key(ban.name), None)

    def find(self, name: str, now: float) -> Ban | None:
        """The ban of this source or account that is not over at `now`."""
        ban = self._by_name.get(name)
        return None if ban is None or ban.until <= now else ban

    def page(self, after: str, most: int) -> list[Ban]:
        """Those whose names follow `after`, in the order of their names; `expire` comes before it."""
        return [self._by_name[name] for name in self._names.after(after, most)]

    def narrow(self, name: str) -> None:
        """Let transport take from this source again: some of what comes from there is trusted."""
        self.shut.pop(shut_key(name), None)

    def lift(self, name: str) -> bool:
        """End a ban at once; whether there was one."""
        ban = self._by_name.pop(name, None)
        if ban is None:
            return False
        self._names.remove(name)
        if ban.kind == SOURCE:
            self.shut.pop(shut_key(name), None)
        return True

    def expire(self, now: float) -> bool:
        """Let go of some of those that are over; whether there are more."""
        ends = self._ends
        for _ in range(ENDED):
            if not ends or ends[0][0] > now:
                return False
            self._end(*heappop(ends))
        return True

    def _end_first(self) -> None:
        """End the ban that would end first."""
        while self._ends and not self._end(*heappop(self._ends)):
            pass

    def _end(self, until: float, name: str) -> bool:
        """Lift the ban that ends then, unless it was lifted before or goes on for longer."""
        ban = self._by_name.get(name)
        return ban is not None and ban.until == until and self.lift(name)
