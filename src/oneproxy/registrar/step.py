"""The step that answers REGISTER (RFC 3261 10.3).

A REGISTER that changes something waits until its change is committed: only then is
it answered 200 and only then do calls see it. While a change of an address-of-record
is on its way, further REGISTERs for it wait in a queue, so that each is judged by the
bindings that the one before it left, in memory as in the database.

Where nothing can be stored the site says what becomes of a REGISTER: it is refused (503),
or served from memory and stored when that is possible again. What the database may or may
not have (the connection broke during the commit) is stored again as it is in memory.
"""

import random
from collections import deque
from collections.abc import Callable, Container, Iterator
from typing import Final

from oneproxy.engine.decisions import PENDING, Ask, Decision, Reply
from oneproxy.engine.flow import Flow
from oneproxy.registrar.answer import accept
from oneproxy.registrar.bindings import Binding, Change, Fate, is_static
from oneproxy.registrar.departures import Departures, Save, Waiting, Write, is_gone
from oneproxy.registrar.gruu import Gruus
from oneproxy.registrar.known import keeps_up
from oneproxy.registrar.location import Location
from oneproxy.registrar.mirror import Mirror
from oneproxy.registrar.reach import FlowOf
from oneproxy.registrar.request import Wanted, read_register
from oneproxy.registrar.rules import Refusal, register
from oneproxy.sip.malformed import REASONS, Malformed
from oneproxy.sip.message import Request
from oneproxy.sip.read import address_uri
from oneproxy.sip.uri import Uri
from oneproxy.site.model import Domain, Site

Answer = Callable[[Ask, Decision], None]

#: Option tags that a REGISTER may require (RFC 3261 8.2.2.3, RFC 3327, RFC 5626, RFC 5627).
SUPPORTED: Final = frozenset({"gruu", "outbound", "path"})
#: REGISTERs that may wait for one AoR: several phones of one person, after a power cut.
MAX_WAITING: Final = 16
RETRY_AFTER_S: Final = 5
#: AoRs that are stored again at once, when the database is back; half of them answered,
#: others follow.
RESENT: Final = 500
#: Contacts of one AoR that are stored again in one change.
TOGETHER: Final = 64

BUSY: Final = Reply(503, "Service Unavailable", (f"Retry-After: {RETRY_AFTER_S}",))
NOT_SAVED: Final = Reply(500, "Server Internal Error", (f"Retry-After: {RETRY_AFTER_S}",))
NOT_FOUND: Final = Reply(404, "Not Found")


class _Write:
    """A change on its way to the database, and the request that waits for it."""

    __slots__ = ("aor", "ask", "change", "growth", "registrar", "sent", "waiting", "wanted")

    def __init__(
        self, registrar: "Registrar", change: Change, growth: int, ask: Ask | None, wanted: Wanted | None
    ) -> None:
        """ask, wanted: None for what is stored again, of which somebody was told before."""
        self.registrar = registrar
        #: `change` as it went: with what is in its way in the database.
        self.sent = change
        self.aor = change.aor
        self.ask = ask
        self.wanted = wanted
        self.change = change
        #: Room that is kept for it in the location.
        self.growth = growth
        self.waiting: Waiting = deque()

    def done(self, fate: Fate) -> None:
        """Called once, by whoever saves."""
        self.registrar.finish(self, fate)


class Registrar:
    """Answers every REGISTER for a served domain; passes on all else."""

    __slots__ = (
        "_answer",
        "_apart",
        "_departures",
        "_domain_of",
        "_draw",
        "_flow_of",
        "_from_memory",
        "_gruus",
        "_kept",
        "_left",
        "_location",
        "_mirror",
        "_resent",
        "_save",
        "_subscribers",
        "_writes",
        "dropped",
        "on_dropped",
    )

    def __init__(
        self,
        location: Location,
        domain_of: Callable[[Uri], tuple[Domain, str] | None],
        subscribers: Container[str],
        save: Save,
        answer: Answer,
        flow_of: FlowOf,
        mirror: Mirror | None = None,
        from_memory: bool = False,
        gruus: Gruus | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """domain_of: the served domain of a URI and the AoR that the URI is there.

        subscribers: asked anew each time. save: takes a change and calls back, later, with
        what became of it; False when it can't take it. answer: hands in the decision on an ask
        that was PENDING. flow_of: the flow of a name, None where it is closed. mirror: who
        knows when an AoR is loaded; None where all are. from_memory: as the site says, until
        `take`. gruus: makes temporary GRUUs; without it there are none. draw: a number from 0
        to 1, by which the times that are granted differ.
        """
        self._location = location
        self._domain_of = domain_of
        self._subscribers = subscribers
        self._save = save
        self._answer = answer
        self._flow_of = flow_of
        self._mirror = mirror
        if mirror is not None:
            mirror.resend = self.resend
        #: Whether a REGISTER that can't be stored is served all the same.
        self._from_memory = from_memory
        self._gruus = gruus
        self._draw = draw
        #: By AoR.
        self._writes: dict[str, Write] = {}
        self._departures = Departures(location, flow_of, self._writes, save, self._go_on_after)
        self._kept = 0
        #: Told of an AoR that has a contact which no database takes, and how many of them there were.
        self.on_dropped: Callable[[str], object] = str
        self.dropped = 0
        #: AoRs whose contacts are stored again one by one, since one of them was refused.
        self._apart: set[str] = set()
        #: AoRs left to store again, and how many are on their way.
        self._left: Iterator[str] = iter(())
        self._resent = 0

    def take(self, site: Site) -> None:
        """The site has changed: decide by this one from now on."""
        self._from_memory = site.without_database == "memory"

    def decide(self, ask: Ask) -> Decision | None:
        """Answer a REGISTER, or pass."""
        if ask.request.method != "REGISTER":
            return None
        served = self._domain_of(ask.uri)
        if served is None:
            return None
        domain = served[0]
        aor = self._find_aor(ask, domain)
        if isinstance(aor, Reply):
            return aor
        wanted = read_register(ask.request, aor, ask.flow)
        if isinstance(wanted, Malformed):
            return Reply(400, REASONS[wanted])
        wanted.domain = domain
        self._location.tend(ask.now)
        if not self._location.knows(aor):
            return self._await_aor(ask, wanted, domain)
        return self._take_turn(ask, wanted, domain)

    def finish(self, write: _Write, fate: Fate) -> None:
        """Answer the request of `write`, then let those that waited for it go on."""
        self._kept -= write.growth
        del self._writes[write.aor]
        if write.ask is None or write.wanted is None:
            self._finish_resent(write, fate)
        else:
            self._answer(write.ask, self._finished(write, write.ask, write.wanted, fate))
        self._go_on_after(write.aor, write.waiting, fate)
        if self._departures:
            self._departures.freed(write.aor)

    def keeps_up(self, request: Request, now: float) -> bool:
        """Whether a REGISTER keeps up a binding that is there."""
        return keeps_up(request, now, self._domain_of, self._location)

    def closed(self, _now: float, flow: Flow) -> None:
        """A connection is closed: whom nothing else leads to is registered no more."""
        self._departures.closed(flow.name)

    def _go_on_after(self, aor: str, waiting: Waiting, fate: Fate) -> None:
        """The change of `aor` has come to its end: carry out what waited for that."""
        self._go_on(waiting)
        if fate is not Fate.UNKNOWN and self._is_to_store(aor):
            # It had to wait for that, or was more than one change takes.
            self._store_again(aor)

    def _go_on(self, waiting: Waiting) -> None:
        """Carry out what waited, up to the first that has to be saved."""
        while waiting:
            ask, wanted, domain = waiting.popleft()
            if ask.answered:
                # It was told 503 while it waited: what it asked for must not come true.
                continue
            decision = self._carry_out(ask, wanted, domain, waiting)
            if decision is PENDING:
                break
            self._answer(ask, decision)

    def resend(self) -> None:
        """Store again what may not be stored as it is here; the rest follows as this is answered."""
        self._left = iter(list(self._location.unsaved))
        self._resend_more()
        if self._departures:
            self._departures.room()

    def _finished(self, write: _Write, ask: Ask, wanted: Wanted, fate: Fate) -> Decision:
        """The answer to a REGISTER, whose change has come to its end."""
        change = write.change
        if fate is Fate.STORED:
            self._location.settle(write.sent)
            return self._make_true(ask, wanted, change)
        if fate is not Fate.UNKNOWN:
            return NOT_SAVED
        # The database may have it: it has to learn what is true here.
        has_room = self._location.keep_unsaved(change, sent=True)
        return self._make_true(ask, wanted, change) if has_room and self._from_memory else BUSY

    def _serve_from_memory(self, ask: Ask, wanted: Wanted, change: Change) -> Decision:
        """Accept what can't be stored now."""
        if not self._location.keep_unsaved(change):
            return BUSY
        return self._make_true(ask, wanted, change)

    def _make_true(self, ask: Ask, wanted: Wanted, change: Change) -> Decision:
        """Have calls see `change` from now on; the 200 to who asked for it."""
        self._location.apply(change)
        self._departures.registered(change)
        return self._accept(ask, wanted)

    def _accept(self, ask: Ask, wanted: Wanted) -> Decision:
        """The 200 with what is bound."""
        bindings = self._location.lookup(wanted.aor, ask.now)
        return accept(wanted, bindings, ask.now, wanted.domain, self._gruus)

    def _finish_resent(self, write: _Write, fate: Fate) -> None:
        """What was stored again is stored, can't be, or has to wait for the next time."""
        self._resent -= 1
        aor = write.aor
        if fate is Fate.STORED:
            self._location.settle(write.sent)
        elif fate is Fate.UNFIT:
            self._refused(write.sent)
        if aor not in self._location.unsaved:
            self._apart.discard(aor)
        if self._resent <= RESENT // 2:
            self._resend_more()

    def _refused(self, sent: Change) -> None:
        """The database never takes what was served from memory; what is sound of it follows by itself."""
        keys = {*sent.removed, *(binding.key for binding in sent.stored)}
        if len(keys) > 1:
            self._apart.add(sent.aor)
            return
        self._location.settle(sent)
        self.dropped += 1
        self.on_dropped(sent.aor)

    def _resend_more(self) -> None:
        """Store again what is left, as much as may be on its way at once."""
        for aor in self._left:
            if self._is_to_store(aor) and (not self._store_again(aor) or self._resent >= RESENT):
                return

    def _is_to_store(self, aor: str) -> bool:
        """Whether the database may lack something of `aor`, and can be told now.

        One that is being written has its unsaved contacts with it. One that is not known is
        stored once its own load has come.
        """
        location = self._location
        return aor in location.unsaved and aor not in self._writes and location.knows(aor)

    def _store_again(self, aor: str) -> bool:
        """Store what is unsaved of `aor` as it is here; False: it can't be taken."""
        change = self._location.to_store(aor, 1 if aor in self._apart else TOGETHER)
        write = self._writes[aor] = _Write(self, change, 0, None, None)
        self._resent += 1
        if self._save(change, write.done):
            return True
        del self._writes[aor]
        self._resent -= 1
        return False

    def _await_aor(self, ask: Ask, wanted: Wanted, domain: Domain) -> Decision:
        """Have a REGISTER wait until the bindings of its AoR are known."""

        def decide(ask: Ask, known: bool) -> Decision:
            return self._take_turn(ask, wanted, domain) if known else self._without_aor(ask, wanted, domain)

        if self._mirror is not None and self._mirror.wait(wanted.aor, ask, decide):
            return PENDING
        return self._without_aor(ask, wanted, domain)

    def _without_aor(self, ask: Ask, wanted: Wanted, domain: Domain) -> Decision:
        """Answer a REGISTER where the bindings of its AoR can't be read.

        Nobody can say which they are, nor take away all of them; a new one can be had from
        memory, and is put together with the others when they are known.
        """
        if not self._from_memory or wanted.everything or not wanted.contacts:
            return BUSY
        return self._take_turn(ask, wanted, domain)

    def _take_turn(self, ask: Ask, wanted: Wanted, domain: Domain) -> Decision:
        """Carry a REGISTER out, after those for the same AoR that wait."""
        write = self._writes.get(wanted.aor)
        if write is None:
            return self._carry_out(ask, wanted, domain, None)
        if len(write.waiting) >= MAX_WAITING:
            return BUSY
        write.waiting.append((ask, wanted, domain))
        return PENDING

    def _find_aor(self, ask: Ask, domain: Domain) -> str | Reply:
        """The AoR that To names, or the 400 or 404 (RFC 3261 10.3 steps 3 and 5)."""
        uri = address_uri(ask.request, "to")
        if uri is None or uri.scheme not in ("sip", "sips"):
            # RFC 3261 10.2: the AoR is a SIP or SIPS URI.
            return Reply(400, REASONS[Malformed.TO])
        named = self._domain_of(uri)
        if named is None or named[0] is not domain or uri.user is None:
            return NOT_FOUND
        # An open domain has no list of who exists.
        if not domain.is_open and named[1] not in self._subscribers:
            return NOT_FOUND
        return named[1]

    def _is_gone(self, binding: Binding) -> bool:
        """Whether the one connection over which a contact can be reached is closed."""
        return is_gone(binding, self._flow_of)

    def _carry_out(self, ask: Ask, wanted: Wanted, domain: Domain, waiting: Waiting | None) -> Decision:
        """Apply the rules; start the write that they ask for. waiting: who comes after it."""
        location = self._location
        aor = wanted.aor
        stored = location.stored(aor)
        static = [binding.key for binding in stored if is_static(binding)]
        if static:
            stored = [binding for binding in stored if not is_static(binding)]
        change = register(stored, wanted, ask.now, domain, self._is_gone, self._draw())
        if isinstance(change, Refusal):
            return Reply(change.status, change.reason, change.headers)
        if static:
            change = _without(change, static)
        if not change.stored and not change.removed:
            return self._accept(ask, wanted)
        growth = len(change.stored)
        if location.count + self._kept + growth > location.capacity:
            # Only now is it worth to see which of them are new.
            growth = max(0, location.growth(change))
            if growth and location.count + self._kept + growth > location.capacity:
                return BUSY
        if location.unsaved and not location.has_room:
            # Where so much may be otherwise in the database nothing more is sent there.
            return BUSY
        write = _Write(self, change, growth, ask, wanted)
        if waiting:
            write.waiting = waiting
        # Known before it is saved: whoever saves is free to call back at once.
        self._writes[aor] = write
        self._kept += growth
        if location.knows(aor):
            if location.unsaved:
                write.sent = location.over_unsaved(change)
            if self._save(write.sent, write.done):
                return PENDING
        del self._writes[aor]
        self._kept -= growth
        return self._serve_from_memory(ask, wanted, change) if self._from_memory else BUSY


def _without(change: Change, static: list[str]) -> Change:
    """`change` without what it does to contacts that were added by hand."""
    stored = tuple(binding for binding in change.stored if binding.key not in static)
    return Change(change.aor, change.removed, stored, change.meant)
