"""The location service in memory: which contacts an address-of-record has (RFC 3261 10).

Every call looks here, so a look-up is one access to a table and a glance at each
binding. Bindings that have expired are never given out; they take room until `sweep`,
which goes round the table a few entries at a time, comes by.
"""

from collections import OrderedDict
from collections.abc import Iterable

from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.rules import apply_change


class Location:
    """Bindings by AoR, at most `capacity` of them, best preference first.

    The lists that `lookup` and `stored` return belong to the location: read only.
    """

    __slots__ = ("_bindings", "capacity", "count")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        #: Bindings held, expired ones that were not swept yet among them.
        self.count = 0
        # In the order in which `sweep` comes to them; an ordinary dict finds its first
        # key only by walking over all that were deleted.
        self._bindings: OrderedDict[str, list[Binding]] = OrderedDict()

    def lookup(self, aor: str, now: float) -> list[Binding]:
        """The bindings of `aor` that have not expired at `now`, by q descending."""
        bindings = self._bindings.get(aor)
        if bindings is None:
            return []
        for binding in bindings:
            if binding.expires_at <= now:
                return [one for one in bindings if one.expires_at > now]
        return bindings

    def stored(self, aor: str) -> list[Binding]:
        """All bindings of `aor`, expired ones too: what is still in the database."""
        return self._bindings.get(aor) or []

    def load(self, page: Iterable[tuple[str, Binding]]) -> int:
        """Take bindings as the recorder has them; how many there was no room for."""
        refused = 0
        for aor, binding in page:
            change = Change(aor, (), (binding,))
            if self.count >= self.capacity and self.count + self.growth(change) > self.capacity:
                refused += 1
            elif aor in self._bindings:
                self.apply(change)
            else:
                # Nearly every row: nothing to merge with, and a restart waits for all of them.
                self._bindings[aor] = [binding]
                self.count += 1
        return refused

    def growth(self, change: Change) -> int:
        """How many more bindings there will be after `change`; below 0 for fewer."""
        stored = self.stored(change.aor)
        return len(apply_change(stored, change)) - len(stored)

    def apply(self, change: Change) -> None:
        """Make `change` true here, once it is committed."""
        stored = self.stored(change.aor)
        bindings = apply_change(stored, change)
        if len(bindings) > 1:
            # Stable, so that among equals the one registered last comes last.
            bindings.sort(key=_preference)
        self.count += len(bindings) - len(stored)
        if bindings:
            self._bindings[change.aor] = bindings
        elif stored:
            del self._bindings[change.aor]

    def sweep(self, now: float, budget: int) -> int:
        """Look at the next `budget` AoRs and drop what has expired; how many bindings went."""
        table = self._bindings
        dropped = 0
        for _ in range(min(budget, len(table))):
            aor = next(iter(table))
            bindings = table[aor]
            live = self.lookup(aor, now)
            dropped += len(bindings) - len(live)
            if not live:
                del table[aor]
                continue
            if live is not bindings:
                table[aor] = live
            table.move_to_end(aor)
        self.count -= dropped
        return dropped


def _preference(binding: Binding) -> int:
    return -binding.q
