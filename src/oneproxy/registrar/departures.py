"""Bindings that go with the flow that alone led to their contact (RFC 5626 5.3, 6).

over WS or WSS               nobody can connect to a browser: its binding goes with the connection
with a reg-id that counts    the flow is what was registered: RFC 5626 has the phone make another
over TCP or TLS              the binding stays where its URI leads somewhere: RFC 3261 18 has us
                             connect to it; it goes where NAT is between and nobody could
over UDP                     there is nothing that closes

When a power cut or a restart of a load balancer closes ten thousand connections in one turn,
as many AoRs leave: a bounded number of them is on its way to the database at once, and the
others follow as these are done. Until then, and for ever where the database refuses, look-ups
pass such contacts over, and their time ends.

Only what came over a connection of this node leaves: those of other nodes, and of this one
before it was started again, have names that nobody here knows, and may be open for all we know.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from oneproxy.engine.decisions import Ask
from oneproxy.registrar.bindings import Binding, Change, Fate, meaning
from oneproxy.registrar.location import Location
from oneproxy.registrar.reach import FlowOf, is_reachable
from oneproxy.registrar.request import Wanted
from oneproxy.site.model import Domain

#: Takes a change and calls back, later, with what became of it; False: it can't be taken.
Save = Callable[[Change, Callable[[Fate], None]], bool]
#: REGISTERs that wait until the change before them is done.
Waiting = deque[tuple[Ask, Wanted, Domain]]

#: AoRs on their way out at once: a commit of that many takes some ten milliseconds.
AT_ONCE: Final = 256
#: AoRs registered over one flow, between looks for those that are there no more.
_PRUNED_EVERY: Final = 1024


class Write(Protocol):
    """A change on its way to the database."""

    waiting: Waiting


class _Departure:
    """The change that takes the contacts of one AoR away."""

    __slots__ = ("_departures", "change", "sent", "waiting")

    def __init__(self, departures: "Departures", change: Change, sent: Change) -> None:
        """sent: `change` with what is in its way in the database."""
        self._departures = departures
        self.change = change
        self.sent = sent
        self.waiting: Waiting = deque()

    def done(self, fate: Fate) -> None:
        """Called once, by whoever saves."""
        self._departures.finish(self, fate)


class Departures:
    """Who is registered over which connection, and what becomes of it when that closes."""

    __slots__ = (
        "_aors",
        "_busy",
        "_flow_of",
        "_go_on",
        "_is_starting",
        "_leaving",
        "_location",
        "_save",
        "_under_way",
        "_writes",
    )

    def __init__(
        self,
        location: Location,
        flow_of: FlowOf,
        writes: dict[str, Write],
        save: Save,
        go_on: Callable[[str, Waiting, Fate], None],
    ) -> None:
        """writes: by AoR, those under way; one at a time for each. go_on: carries out what waited."""
        self._location = location
        self._flow_of = flow_of
        self._writes = writes
        self._save = save
        self._go_on = go_on
        #: AoRs by the name of the connection that they registered over.
        self._aors: dict[str, set[str]] = {}
        #: AoRs to be looked at, each once, and which of their connections have closed.
        self._leaving: dict[str, tuple[str, ...]] = {}
        #: Those of them that a write is under way for, or that are not loaded.
        self._busy: dict[str, tuple[str, ...]] = {}
        self._under_way = 0
        self._is_starting = False

    def __len__(self) -> int:
        """How many AoRs wait to be looked at."""
        return len(self._leaving) + len(self._busy)

    def registered(self, change: Change) -> None:
        """`change` is committed, and calls see it: note whose connections matter.

        Whoever calls this calls `start` when the REGISTERs that waited for it had their turn.
        """
        for binding in change.stored:
            flow = binding.flow
            if not flow or flow.startswith("udp/"):
                continue
            if self._flow_of(flow) is None:
                # It has closed while the change was on its way.
                self._leave(change.aor, flow)
                continue
            aors = self._aors.setdefault(flow, set())
            if change.aor not in aors:
                if len(aors) % _PRUNED_EVERY == _PRUNED_EVERY - 1:
                    aors.difference_update([aor for aor in aors if not self._is_over(flow, aor)])
                aors.add(change.aor)

    def closed(self, flow: str) -> None:
        """The connection of this name is closed."""
        aors = self._aors.pop(flow, None)
        if aors is not None:
            for aor in aors:
                self._leave(aor, flow)
            self.start()

    def freed(self, aor: str) -> None:
        """A write of `aor` is done: whoever waited for that leaves, and others for whom there is room."""
        flows = self._busy.pop(aor, None)
        if flows is not None:
            self._leaving[aor] = flows
        self.start()

    def room(self) -> None:
        """What was not loaded may be, and what could not be saved may be saved."""
        busy, self._busy = self._busy, {}
        self._leaving.update(busy)
        self.start()

    def start(self) -> None:
        """Let those leave that may, as many as may be under way at once."""
        if self._is_starting:
            # Whoever saves is free to call back at once.
            return
        self._is_starting = True
        while self._leaving and self._under_way < AT_ONCE:
            aor = next(iter(self._leaving))
            flows = self._leaving.pop(aor)
            if aor in self._writes or not self._location.knows(aor):
                # What is under way for it may change everything, or nothing. Not among those that
                # are looked at each time: ten thousand may wait for their writes.
                self._busy[aor] = flows
            elif not self._take_away(aor, flows):
                # No room; whoever is done next tries again.
                self._leaving[aor] = flows
                break
        self._is_starting = False

    def _leave(self, aor: str, flow: str) -> None:
        """Have `aor` looked at: the connection `flow` of it has closed."""
        waiting = self._busy if aor in self._busy else self._leaving
        # Bounded by its bindings, however often it comes and goes while nothing can be saved.
        bound = {binding.flow for binding in self._location.stored(aor)}
        waiting[aor] = (*(one for one in waiting.get(aor, ()) if one in bound and one != flow), flow)

    def finish(self, departure: _Departure, fate: Fate) -> None:
        """A change is committed, refused, or to be stored later; look-ups pass over what is gone."""
        change = departure.change
        self._under_way -= 1
        del self._writes[change.aor]
        if fate is Fate.STORED:
            self._location.apply(change)
            self._location.settle(departure.sent)
        elif fate is Fate.UNKNOWN:
            self._location.keep_unsaved(change, sent=True)
            self._location.apply(change)
        self._go_on(change.aor, departure.waiting, fate)
        self.freed(change.aor)

    def _take_away(self, aor: str, flows: tuple[str, ...]) -> bool:
        """Start the change that takes the contacts over `flows` away that are gone; False without room."""
        gone = [
            one for one in self._location.stored(aor) if one.flow in flows and is_gone(one, self._flow_of)
        ]
        if not gone:
            return True
        # These very ones: the phone may be registered anew at another machine, with the same contact.
        change = Change(aor, tuple(one.key for one in gone), (), tuple(meaning(one) for one in gone))
        departure = _Departure(self, change, self._location.over_unsaved(change))
        self._writes[aor] = departure
        self._under_way += 1
        if self._save(departure.sent, departure.done):
            return True
        del self._writes[aor]
        self._under_way -= 1
        return False

    def _is_over(self, flow: str, aor: str) -> bool:
        """Whether `aor` still has a binding over `flow`."""
        return any(binding.flow == flow for binding in self._location.stored(aor))


def is_gone(binding: Binding, flow_of: FlowOf) -> bool:
    """Whether the one flow over which a contact can be reached is closed."""
    if not binding.flow or flow_of(binding.flow) is not None:
        return False
    return binding.reg_id > 0 or not is_reachable(binding)
