"""Limits of source addresses: they are known from the flow alone, so the gate asks before it reads anything.

A network's limit is for all of it together; the limit that each has is for an IPv4 address or an IPv6
network of 64 bits, which is one customer. Finding the networks of an address takes a step for each
length of prefix that there is, whatever their number, and the hosts seen last are remembered.
"""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from math import inf
from typing import Final

from oneproxy.congestion.count import Bound, Count
from oneproxy.congestion.group import Group
from oneproxy.congestion.table import Share, Table
from oneproxy.engine.decisions import Hold

_REMEMBERED: Final = 65_536
#: IPv4 and IPv6: how many bits an address has.
_BITS: Final = (32, 128)


class Sources(Group):
    """Counts by network. source_of: what an address is counted as by itself."""

    __slots__ = ("_at_most", "_by_length", "_known", "_source_of", "_until", "on_full")

    def __init__(self, source_of: Callable[[str], str]) -> None:
        super().__init__()
        self._source_of = source_of
        #: By IPv6 or not: how far an address is shifted, and the networks of that length.
        self._by_length: tuple[dict[int, dict[int, Count]], ...] = ({}, {})
        self._known: dict[str, tuple[Count, ...]] = {}
        #: Those that have no room before another call has ended; and until when some of the others
        #: have none. Both may be of some that have room by now.
        self._at_most: set[Count] = set()
        self._until = 0.0
        #: Told when some source has no room until an instant.
        self.on_full: Callable[[float], None] = lambda _: None

    def take(self, counts: dict[str, Count], each: Table | None) -> None:
        """These are the limits from now on. Who is full by them is found when he calls."""
        super().take(counts, each)
        self._by_length = ({}, {})
        self._known = {}
        self._at_most = set()
        self._until = 0.0
        for text, count in counts.items():
            network = ip_network(text)
            is_six = network.version == 6
            shift = _BITS[is_six] - network.prefixlen
            first = int(network.network_address) >> shift
            self._by_length[is_six].setdefault(shift, {})[first] = count
        for bound in self.bounds():
            self._watch(bound)

    def add(self, whom: str, holds: list[Hold]) -> None:
        """A call comes from the host `whom`: add what it is counted by."""
        if self.counts:
            holds += self._of(whom)
        if self.each is not None:
            holds.append(Share(self.each, self._source_of(whom)))

    def full(self, now: float, host: str) -> Count | None:
        """The count that has no room for a call of this host; None where all have."""
        if self.counts:
            for count in self._of(host):
                if now < count.full_until(now):
                    return count
        if self.each is not None:
            found = self.each.counts.get(self._source_of(host))
            if found is not None and now < found.full_until(now):
                return found
        return None

    def until(self) -> float:
        """From this instant on nobody is full, as far as is known."""
        return inf if self._at_most else self._until

    def _watch(self, bound: Bound) -> None:
        bound.on_full = self._note_full
        bound.on_room = self._at_most.discard

    def _note_full(self, count: Count, until: float) -> None:
        if until == inf:
            self._at_most.add(count)
        elif until > self._until:
            self._until = until
        self.on_full(until)

    def _of(self, host: str) -> tuple[Count, ...]:
        """The counts of the networks that a host is in."""
        found = self._known.get(host)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                # Whoever has many addresses must not make memory grow.
                self._known.clear()
            found = self._known[host] = self._look_up(host)
        return found

    def _look_up(self, host: str) -> tuple[Count, ...]:
        try:
            address = ip_address(host)
        except ValueError:
            return ()
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        number = int(address)
        by_length = self._by_length[address.version == 6]
        found = [networks.get(number >> shift) for shift, networks in by_length.items()]
        return tuple([count for count in found if count is not None])
