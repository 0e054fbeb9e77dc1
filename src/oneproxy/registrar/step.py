"""The step that answers REGISTER (RFC 3261 10.3).

A REGISTER that changes something waits until its change is committed: only then is
it answered 200 and only then do calls see it. While a change of an address-of-record
is on its way, further REGISTERs for it wait in a queue, so that each is judged by the
bindings that the one before it left, in memory as in the database.
"""

import random
from collections import deque
from collections.abc import Callable, Container
from typing import Final

from oneproxy.engine.decisions import PENDING, Ask, Decision, Reply
from oneproxy.engine.flow import Flow
from oneproxy.registrar.answer import accept
from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.departures import Departures, Save, Waiting, Write, is_gone
from oneproxy.registrar.gruu import Gruus
from oneproxy.registrar.location import Location
from oneproxy.registrar.reach import FlowOf
from oneproxy.registrar.request import Wanted, read_register
from oneproxy.registrar.rules import Refusal, register
from oneproxy.sip.address import parse_address
from oneproxy.sip.malformed import REASONS, Malformed
from oneproxy.sip.uri import Uri, parse_uri
from oneproxy.site.model import Domain

Answer = Callable[[Ask, Decision], None]

#: Option tags that a REGISTER may require (RFC 3261 8.2.2.3, RFC 3327, RFC 5626, RFC 5627).
SUPPORTED: Final = frozenset({"gruu", "outbound", "path"})
#: REGISTERs that may wait for one AoR: several phones of one person, after a power cut.
MAX_WAITING: Final = 16
RETRY_AFTER_S: Final = 5
#: AoRs looked at for expired bindings with every REGISTER; more than one, so that the
#: sweep outruns what registrations add.
SWEPT: Final = 2

BUSY: Final = Reply(503, "Service Unavailable", (f"Retry-After: {RETRY_AFTER_S}",))
NOT_SAVED: Final = Reply(500, "Server Internal Error", (f"Retry-After: {RETRY_AFTER_S}",))
NOT_FOUND: Final = Reply(404, "Not Found")


class _Write:
    """A change on its way to the database, and the request that waits for it."""

    __slots__ = ("ask", "change", "growth", "registrar", "waiting", "wanted")

    def __init__(self, registrar: "Registrar", ask: Ask, wanted: Wanted, change: Change, growth: int) -> None:
        self.registrar = registrar
        self.ask = ask
        self.wanted = wanted
        self.change = change
        #: Room that is kept for it in the location.
        self.growth = growth
        self.waiting: Waiting = deque()

    def done(self, saved: bool) -> None:
        """Called once, by whoever saves: True when the change is committed."""
        self.registrar.finish(self, saved)


class Registrar:
    """Answers every REGISTER for a served domain; passes on all else."""

    __slots__ = (
        "_answer",
        "_departures",
        "_domain_of",
        "_draw",
        "_flow_of",
        "_gruus",
        "_kept",
        "_location",
        "_save",
        "_subscribers",
        "_writes",
    )

    def __init__(
        self,
        location: Location,
        domain_of: Callable[[Uri], tuple[Domain, str] | None],
        subscribers: Container[str],
        save: Save,
        answer: Answer,
        flow_of: FlowOf,
        gruus: Gruus | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """domain_of: the served domain of a URI and the AoR that the URI is there.

        save: takes a change and calls back, later, with whether it is committed; False
        when it has no room. answer: hands in the decision on an ask that was PENDING.
        flow_of: the flow of a name, None where it is closed. subscribers: asked anew each
        time. gruus: makes temporary GRUUs; without it there are none. draw: a number from 0
        to 1, by which the times that are granted differ.
        """
        self._location = location
        self._domain_of = domain_of
        self._subscribers = subscribers
        self._save = save
        self._answer = answer
        self._flow_of = flow_of
        self._gruus = gruus
        self._draw = draw
        #: By AoR.
        self._writes: dict[str, Write] = {}
        self._departures = Departures(location, flow_of, self._writes, save, self._go_on)
        self._kept = 0

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
        self._location.sweep(ask.now, SWEPT)
        write = self._writes.get(aor)
        if write is None:
            return self._carry_out(ask, wanted, domain, None)
        if len(write.waiting) >= MAX_WAITING:
            return BUSY
        write.waiting.append((ask, wanted, domain))
        return PENDING

    def finish(self, write: _Write, saved: bool) -> None:
        """Answer the request of `write`, then let those that waited for it go on."""
        self._kept -= write.growth
        wanted = write.wanted
        del self._writes[wanted.aor]
        if saved:
            self._location.apply(write.change)
            self._departures.registered(write.change)
            bindings = self._location.lookup(wanted.aor, write.ask.now)
            self._answer(write.ask, accept(wanted, bindings, write.ask.now, wanted.domain, self._gruus))
        else:
            self._answer(write.ask, NOT_SAVED)
        self._go_on(write.waiting)
        if self._departures:
            self._departures.start()

    def closed(self, _now: float, flow: Flow) -> None:
        """A connection is closed: whom nothing else leads to is registered no more."""
        self._departures.closed(flow.name)

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

    def _find_aor(self, ask: Ask, domain: Domain) -> str | Reply:
        """The AoR that To names, or the 400 or 404 (RFC 3261 10.3 steps 3 and 5)."""
        address = parse_address(ask.request.get("to") or "")
        uri = address if isinstance(address, Malformed) else parse_uri(address.uri)
        if isinstance(uri, Malformed) or uri.scheme not in ("sip", "sips"):
            # RFC 3261 10.2: the AoR is a SIP or SIPS URI.
            return Reply(400, REASONS[Malformed.TO])
        named = self._domain_of(uri)
        if named is None or named[0] is not domain or uri.user is None:
            return NOT_FOUND
        # A domain that asks nobody for a password has no list of who exists.
        if domain.authenticate and named[1] not in self._subscribers:
            return NOT_FOUND
        return named[1]

    def _is_gone(self, binding: Binding) -> bool:
        """Whether the one connection over which a contact can be reached is closed."""
        return is_gone(binding, self._flow_of)

    def _carry_out(self, ask: Ask, wanted: Wanted, domain: Domain, waiting: Waiting | None) -> Decision:
        """Apply the rules; start the write that they ask for. waiting: who comes after it."""
        location = self._location
        stored = location.stored(wanted.aor)
        change = register(stored, wanted, ask.now, domain, self._is_gone, self._draw())
        if isinstance(change, Refusal):
            return Reply(change.status, change.reason, change.headers)
        if not change.stored and not change.removed:
            bindings = location.lookup(wanted.aor, ask.now)
            return accept(wanted, bindings, ask.now, domain, self._gruus)
        growth = max(0, location.growth(change))
        if growth and location.count + self._kept + growth > location.capacity:
            return BUSY
        write = _Write(self, ask, wanted, change, growth)
        if waiting:
            write.waiting = waiting
        # Known before it is saved: whoever saves is free to call back at once.
        self._writes[wanted.aor] = write
        self._kept += growth
        if self._save(change, write.done):
            return PENDING
        del self._writes[wanted.aor]
        self._kept -= growth
        return BUSY
