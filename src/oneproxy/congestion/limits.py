"""All limits of the site but the node's: of domains, sources, providers and callers.

Who a call is of is for others to say: the steps (`congestion.step`), the gate, and whoever chooses a
provider ask here by that. A call that is under several is refused where one of them is full, and then
counts in none.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from oneproxy.congestion.count import CALLER, DOMAIN, EACH, KINDS, PROVIDER, SOURCE, Bound, Count
from oneproxy.congestion.group import Group
from oneproxy.congestion.sources import Sources
from oneproxy.congestion.table import Share, Table
from oneproxy.engine.decisions import Ask, Hold, Reply
from oneproxy.site.model import Congestion, Limit

_REASON: Final = "Service Unavailable"


class Limits:
    """The limits of a node. One engine's gate, and the steps before it, share them.

    on_wire: gives an AoR of the site the form in which requests name it. source_of: what an address is
    counted as by itself. capacity: counts of a limit that each has for himself.
    """

    __slots__ = (
        "_capacity",
        "_groups",
        "_on_wire",
        "_random",
        "_retry_after_s",
        "_tables",
        "any",
        "callers",
        "domains",
        "lasts",
        "needs_caller",
        "on_refused",
        "providers",
        "sources",
        "spares",
    )

    def __init__(
        self,
        on_wire: Callable[[str], str] = str,
        source_of: Callable[[str], str] = str,
        capacity: int = 100_000,
    ) -> None:
        self._on_wire = on_wire
        self._capacity = capacity
        self._random = Random()
        self._retry_after_s = (5, 15)
        #: By key, of those that each has for himself.
        self._tables: dict[str, Table] = {}
        self.domains = Group()
        self.sources = Sources(source_of)
        self.providers = Group()
        self.callers = Group()
        self._groups = {
            DOMAIN: self.domains,
            SOURCE: self.sources,
            PROVIDER: self.providers,
            CALLER: self.callers,
        }
        #: Whether there is any, and any for which it matters who calls.
        self.any = False
        #: Whether any of them has to be told of the end of calls.
        self.lasts = False
        self.needs_caller = False
        #: Told of each call that is refused by one of them: when, of which count.
        self.on_refused: Callable[[float, Count], None] = lambda _now, _count: None
        #: Whether a call is never refused: an emergency. Whoever has the engine's gate says so.
        self.spares: Callable[[Ask], bool] = lambda _: False

    def take(self, congestion: Congestion) -> None:
        """These are the limits from now on. Those that there are yet keep what they have counted."""
        self._retry_after_s = congestion.retry_after_s
        known = {count.bound.key: count for group in self._groups.values() for count in group.counts.values()}
        tables, self._tables = self._tables, {}
        counts: dict[str, dict[str, Count]] = {kind: {} for kind in KINDS}
        each: dict[str, Table] = {}
        for limit in congestion.limit:
            kind, whom = whom_of(limit)
            key = f"{kind} {whom}"
            if whom == EACH:
                table = tables.get(key) or Table(self._bound(kind, whom), self._capacity)
                table.bound.take(limit)
                each[kind] = self._tables[key] = table
            else:
                count = known.get(key) or Count(self._bound(kind, whom))
                count.bound.take(limit)
                counts[kind][self._on_wire(whom) if kind == CALLER else whom] = count
        for kind, group in self._groups.items():
            group.take(counts[kind], each.get(kind))
        self.any = any(group.any for group in self._groups.values())
        self.lasts = any(limit.max_calls for limit in congestion.limit)
        self.needs_caller = self.callers.any or self.domains.any

    def reply(self, now: float, hold: Hold) -> Reply:
        """The refusal of a call for which there is no room in `hold`, as of its last `full_until`."""
        cause = hold.cause
        hold.refused(now)
        return Reply(503, _REASON, (f"Retry-After: {self.retry_after_s()}",), stateless=True, cause=cause)

    def retry_after_s(self) -> int:
        """How long somebody is told to wait."""
        return self._random.randint(*self._retry_after_s)

    def hold_again(self, key: str, now: float) -> Hold | None:
        """What a call is counted by that began before this process did, by the `key` of its hold.

        It counts from now on; whoever follows the call tells its end. None where no such limit stands
        in the site by now, or it does not matter how many calls are on.
        """
        kind, _, whom = key.partition(" ")
        group = self._groups.get(kind)
        if group is None:
            return None
        name, _, of = whom.partition(" ")
        if name == EACH:
            if group.each is None or not of or not group.each.bound.lasts:
                return None
            share = Share(group.each, of)
            share.resumed(now)
            return share
        count = group.counts.get(self._on_wire(whom) if kind == CALLER else whom)
        if count is None or not count.lasts:
            return None
        count.resumed(now)
        return count

    def bounds(self) -> Iterator[tuple[Bound, Count | Table]]:
        """Each limit, and what it counts in, by kind and in the order of the site."""
        for group in self._groups.values():
            for count in group.counts.values():
                yield count.bound, count
            if group.each is not None:
                yield group.each.bound, group.each

    def _bound(self, kind: str, whom: str) -> Bound:
        return Bound(kind, whom, self._refused)

    def _refused(self, now: float, count: Count) -> None:
        self.on_refused(now, count)


def whom_of(limit: Limit) -> tuple[str, str]:
    """Of which kind a limit is, and whom it is for."""
    for kind in KINDS:
        whom: str = getattr(limit, kind)
        if whom:
            return kind, whom
    # What somebody wrote into the database by hand is for nobody.
    return DOMAIN, ""
