"""The location service in memory: which contacts an address-of-record has (RFC 3261 10).

Every call looks here, so a look-up is one access to a table and a glance at each
binding. Bindings that have expired are never given out; they take room until `tend`,
which goes round the table a few entries at a time, comes by.

It is filled while calls and REGISTERs come: pages bring whole AoRs in their order, so
those up to the last page's are *known*, and those that were asked for by name. Nothing
may be concluded from the absence of an AoR that is not known. A load that begins anew,
since changes of others may have been missed, leaves what was there before in use: an AoR
is looked up there until its page has come.

What the recorder tells comes in the order of its commits, so what comes later is newer
and replaces what is here. The exception is what was not stored: contacts in `unsaved`
are here as they have to become in the database.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import zip_longest
from typing import Final

from msgspec import structs

from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.rules import apply_change
from oneproxy.registrar.unsaved import Unsaved, first_of, in_the_way, note, prevails, with_gone

#: User agents that are kept once however many bindings have them: phones of one kind are
#: many, and an eighth of what a binding takes is the name of its phone.
MAX_SHARED: Final = 10_000
#: Above every AoR: code points end at U+10FFFF, and AoRs are Latin-1.
END: Final = "\U0010ffff"
#: In which `tend` comes round the table, and AoRs that it looks at in one go: for a million of
#: them it is called 260 times a second.
ROUND_S: Final = 60.0
MAX_SWEPT: Final = 64
#: A table of fewer is tended as if it had so many.
_SMALL: Final = 1_000


class Location:
    """Bindings by AoR, at most `capacity` of them, best preference first.

    The lists that `lookup` and `stored` return belong to the location: read only.
    """

    __slots__ = (
        "_before",
        "_before_known",
        "_before_to",
        "_bindings",
        "_known",
        "_loaded_to",
        "_shared",
        "_tended_at",
        "_unsaved_ahead",
        "capacity",
        "count",
        "left_out",
        "unsaved",
        "unsaved_count",
    )

    def __init__(self, capacity: int, known: bool = True) -> None:
        """known: whether an AoR that is not here has no bindings; False: until it is loaded."""
        self.capacity = capacity
        #: Bindings held, expired ones that were not swept yet among them.
        self.count = 0
        #: Bindings of the database that there was no room for since the last load began.
        self.left_out = 0
        #: By AoR: contacts whose state here the database may not have.
        self.unsaved: dict[str, Unsaved] = {}
        self.unsaved_count = 0
        self._shared: dict[str, str] = {}
        self._tended_at = 0.0
        # In the order in which `sweep` comes to them; an ordinary dict finds its first
        # key only by walking over all that were deleted.
        self._bindings: OrderedDict[str, list[Binding]] = OrderedDict()
        #: AoRs up to this one are known, and those in `_known`.
        self._loaded_to = END if known else ""
        self._known: set[str] = set()
        #: What was here when the load began, without what its pages replaced.
        self._before: OrderedDict[str, list[Binding]] | None = None
        self._before_to = ""
        self._before_known: set[str] = set()
        #: A heap of the AoRs with unsaved contacts that the load has not come to.
        self._unsaved_ahead: list[str] = []

    def lookup(self, aor: str, now: float) -> list[Binding]:
        """The bindings of `aor` that have not expired at `now`, by q descending."""
        bindings = self._bindings.get(aor)
        if bindings is None:
            if self._before is None:
                return []
            bindings = self._earlier(aor)
        for binding in bindings:
            if binding.expires_at <= now:
                return [one for one in bindings if one.expires_at > now]
        return bindings

    def stored(self, aor: str) -> list[Binding]:
        """All bindings of `aor`, expired ones too: what is still in the database."""
        bindings = self._bindings.get(aor)
        if bindings is None:
            return [] if self._before is None else self._earlier(aor)
        return bindings

    def knows(self, aor: str) -> bool:
        """Whether what is here of `aor` is all that there is."""
        if aor <= self._loaded_to or aor in self._known:
            return True
        return self._before is not None and (aor <= self._before_to or aor in self._before_known)

    def begin(self) -> None:
        """A load begins: nothing is known but what was known before."""
        if self._before is None:
            self._before, self._before_to, self._before_known = self._bindings, self._loaded_to, self._known
        else:
            # The one before did not come to its end.
            self._before.update(self._bindings)
            self._before_to = max(self._before_to, self._loaded_to)
            self._before_known |= self._known
            self.count = sum(map(len, self._before.values()))
        self._bindings = OrderedDict()
        self.left_out = 0
        self._loaded_to = ""
        self._known = set()
        self._unsaved_ahead = list(self.unsaved)
        heapify(self._unsaved_ahead)

    def load(self, page: Iterable[tuple[str, Binding]], last: bool = True) -> None:
        """Take the next page of the load: whole AoRs, in their order. last: it ends the load."""
        aor = self._loaded_to
        bindings: list[Binding] = []
        for found, binding in page:
            if found == aor:
                bindings.append(binding)
                continue
            if bindings:
                self._replace(aor, bindings)
            aor, bindings = found, [binding]
        if bindings:
            self._replace(aor, bindings)
        to = END if last else aor
        ahead = self._unsaved_ahead
        while ahead and ahead[0] <= to:
            unsaved = heappop(ahead)
            if self._before is not None and unsaved in self._before:
                # The database has nothing of it: there is only what was not stored.
                self._replace(unsaved, [])
        self._loaded_to = to
        if last:
            self._end_load()

    def fetched(self, aors: Iterable[str], rows: Iterable[tuple[str, Binding]]) -> None:
        """Take what was asked for by name: `rows` are all bindings of `aors`."""
        found: dict[str, list[Binding]] = {aor: [] for aor in aors}
        for aor, binding in rows:
            found[aor].append(binding)
        for aor, bindings in found.items():
            self._replace(aor, bindings)
            # Bounded: whoever asks for what nobody has must not fill the memory.
            if aor > self._loaded_to and len(self._known) < self.capacity:
                self._known.add(aor)

    def changed(self, change: Change) -> None:
        """Take a change that somebody else committed."""
        if not self.knows(change.aor):
            # What will be read of this AoR has the change in it.
            return
        if change.aor in self.unsaved:
            change = self._of_others(change)
        growth = self.growth(change)
        if growth > 0 and self.count + growth > self.capacity:
            self.left_out += growth
            return
        self.apply(change)

    def growth(self, change: Change) -> int:
        """How many more bindings there will be after `change`; below 0 for fewer."""
        stored = self.stored(change.aor)
        return len(apply_change(stored, change)) - len(stored)

    def apply(self, change: Change) -> None:
        """Make `change` true here."""
        aor = change.aor
        stored = self.stored(aor)
        bindings = apply_change(stored, change)
        self._share(change.stored)
        if len(bindings) > 1:
            # Stable, so that among equals the one registered last comes last.
            bindings.sort(key=_preference)
        self.count += len(bindings) - len(stored)
        table = self._bindings
        if self._before is not None and aor > self._loaded_to and aor not in self._known and aor not in table:
            # The page that brings all of it is still to come.
            table = self._before
        if bindings:
            table[aor] = bindings
        elif stored:
            table.pop(aor, None)

    def keep_unsaved(self, change: Change, sent: bool = False) -> bool:
        """Note that the contacts of `change` have to be stored as they are here; False: no room.

        sent: the database may have it, so it is noted in any case. What may be on its way is bounded,
        and nothing more is sent while there is no room (`has_room`).
        """
        kept = self.unsaved.get(change.aor, {})
        contacts = note(kept, self.stored(change.aor), change)
        more = len(contacts) - len(kept)
        fits = self.unsaved_count + more <= self.capacity
        if not fits and not sent:
            return False
        self.unsaved[change.aor] = contacts
        self.unsaved_count += more
        if self._before is not None and not kept and change.aor > self._loaded_to:
            # Else the load has told what there is: what was before must not come back.
            heappush(self._unsaved_ahead, change.aor)
        return fits

    @property
    def has_room(self) -> bool:
        """Whether contacts that can't be stored may be noted."""
        return self.unsaved_count < self.capacity

    def over_unsaved(self, change: Change) -> Change:
        """`change`, so that it is true whatever the database has of its contacts, unsaved as they are.

        Other contacts of its AoR are stored by themselves (`to_store`).
        """
        kept = self.unsaved.get(change.aor)
        if kept is None:
            return change
        keys = dict.fromkeys((*change.removed, *(binding.key for binding in change.stored)))
        return with_gone(change, in_the_way({key: kept[key] for key in keys if key in kept}, change.stored))

    def to_store(self, aor: str, most: int) -> Change:
        """What stores the next unsaved contacts of an AoR that has some, as they are here."""
        here = {binding.key: binding for binding in self.stored(aor)}
        return first_of(aor, self.unsaved[aor], here, most)

    def settle(self, sent: Change) -> None:
        """The contacts of `sent` are stored as they are here, or never will be."""
        kept = self.unsaved.get(sent.aor)
        if kept is not None:
            self._drop(sent.aor, (*sent.removed, *(binding.key for binding in sent.stored)))

    def tend(self, now: float) -> None:
        """Sweep as much as is due, so that each AoR is looked at about every ROUND_S."""
        budget = int((now - self._tended_at) * max(self.count, _SMALL) / ROUND_S)
        if budget > 0:
            self._tended_at = now
            self.sweep(now, min(budget, MAX_SWEPT))

    def sweep(self, now: float, budget: int) -> int:
        """Look at the next `budget` AoRs and drop what has expired; how many bindings went."""
        table = self._bindings
        if not table and self._before is not None:
            # Without a database nothing is ever loaded.
            table = self._before
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

    def _earlier(self, aor: str) -> list[Binding]:
        """What was here of `aor` before the load, where its page has not come."""
        if self._before is None or aor <= self._loaded_to or aor in self._known:
            return []
        return self._before.get(aor) or []

    def _replace(self, aor: str, fresh: list[Binding]) -> None:
        """Have the bindings of `aor` be those of the database, and what was not stored there."""
        stored = self._bindings.get(aor)
        if stored is None and self._before is not None:
            stored = self._before.pop(aor, None)
        if self.unsaved and aor in self.unsaved:
            fresh = self._merge(aor, stored or [], fresh)
        if len(fresh) > 1:
            fresh.sort(key=_preference)
        self._share(fresh)
        count = self.count + len(fresh) - (0 if stored is None else len(stored))
        if count > self.capacity and count > self.count:
            self.left_out += count - self.count
            fresh = stored or []
        else:
            self.count = count
        if fresh:
            # Most often it is what was here: then nothing new stays in memory.
            self._bindings[aor] = stored if stored == fresh else fresh
        elif aor in self._bindings:
            del self._bindings[aor]

    def _share(self, bindings: Iterable[Binding]) -> None:
        """Have equal user agents be one text."""
        for binding in bindings:
            agent = binding.user_agent
            shared = self._shared.get(agent)
            if shared is None:
                if len(self._shared) < MAX_SHARED:
                    self._shared[agent] = agent
            elif shared is not agent:
                # Frozen for everybody else, and equal to what it was.
                structs.force_setattr(binding, "user_agent", shared)

    def _of_others(self, change: Change) -> Change:
        """What of a change of somebody else's is true here, where contacts of its AoR are unsaved."""
        here = {binding.key: binding for binding in self.stored(change.aor)}
        kept = self.unsaved[change.aor]
        theirs = [
            binding
            for binding in change.stored
            if binding.key in kept and prevails(binding, here.get(binding.key), kept[binding.key])
        ]
        # The database keeps these.
        self._drop(change.aor, [binding.key for binding in theirs])
        gone = [one for one in zip_longest(change.removed, change.meant) if one[0] not in kept]
        # Ours are older, or would not be replaced by theirs.
        gone += [(binding.key, None) for binding in theirs]
        stored = tuple(one for one in change.stored if one.key not in kept) + tuple(theirs)
        return Change(change.aor, tuple(key for key, _ in gone), stored, tuple(meant for _, meant in gone))

    def _drop(self, aor: str, keys: Iterable[str]) -> None:
        """Nothing of these is to be stored any more."""
        before = self.unsaved[aor]
        kept = dict(before)
        for key in keys:
            kept.pop(key, None)
        self.unsaved_count += len(kept) - len(before)
        if kept:
            self.unsaved[aor] = kept
        else:
            del self.unsaved[aor]

    def _merge(self, aor: str, stored: Sequence[Binding], fresh: Sequence[Binding]) -> list[Binding]:
        """`fresh` with the unsaved contacts as they are here.

        Where the AoR was not known the later of two registrations of one contact counts.
        """
        kept = self.unsaved[aor]
        ours = {binding.key: binding for binding in stored if binding.key in kept}
        is_known = self.knows(aor)
        theirs = []
        for binding in fresh:
            if binding.key not in kept:
                continue
            mine = ours.get(binding.key)
            if prevails(binding, mine, kept[binding.key]) or (
                not is_known and mine is not None and _is_later(binding, mine)
            ):
                theirs.append(binding)
                ours.pop(binding.key, None)
        self._drop(aor, [binding.key for binding in theirs])
        left = self.unsaved.get(aor, {})
        return [binding for binding in fresh if binding.key not in left] + list(ours.values())

    def _end_load(self) -> None:
        """Forget what the database does not have any more."""
        if self._before is not None:
            self.count -= sum(map(len, self._before.values()))
            self._before = None
        self._known = set()
        self._before_known = set()
        self._before_to = ""


def _preference(binding: Binding) -> int:
    return -binding.q


def _is_later(one: Binding, other: Binding) -> bool:
    """Whether `one` was registered later than `other`, of the same contact, as far as can be told."""
    if one.call_id == other.call_id:
        return one.cseq > other.cseq
    return one.expires_at > other.expires_at
