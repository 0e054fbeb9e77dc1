"""Requests inside of a dialog that went through this farm: relayed, and nobody is asked
(RFC 3261 16.4, 16.12).

That is so for as long as they go where the dialog leads. What is to go elsewhere, by its
Request-URI or by a Route that its sender has put in, is for policy to decide:

    over the flow of the mark                    whatever the request says
    a GRUU of ours                               where policy places it
    to where the mark leads                      the caller, or the callee, as they began
    to where its receiver has moved              as he said through here (engine/moved.py)
    anywhere else                                policy is asked, with the URI of that place
"""

from collections.abc import Callable
from typing import Final

from oneproxy.engine.acks import Acks
from oneproxy.engine.context import Context
from oneproxy.engine.decisions import Ask, Decision, Forward, Reply, Target
from oneproxy.engine.flow import Flow, Flows, source_of
from oneproxy.engine.following import Following
from oneproxy.engine.forking import Forking
from oneproxy.engine.moved import Moved
from oneproxy.engine.part import Part
from oneproxy.engine.places import Places
from oneproxy.engine.refusals import Refusals
from oneproxy.engine.routing import ONLY_OURS, Own, hop_of, next_uri, route_values
from oneproxy.engine.server import ServerTransaction
from oneproxy.engine.sessions import Asked
from oneproxy.engine.tables import Tables
from oneproxy.sip.fields import option_tags
from oneproxy.sip.host import is_private, to_address
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request
from oneproxy.sip.uri import parse_uri

TOO_MANY_HOPS: Final = Reply(483, "Too Many Hops")
FULL: Final = Reply(503, "Service Unavailable", ("Retry-After: 10",))
_FLOW_FAILED: Final = Reply(430, "Flow Failed")
_GONE: Final = Reply(480, "Temporarily Unavailable")
#: A URI with this parameter leads to an instance of a user, of a domain here or elsewhere.
_GRUU: Final = ";gr"

#: A place, an answer, an ask that policy answers later, or None: policy has to be asked.
_Way = Target | Reply | Ask | None


class Inside:
    """The way of a request that is inside of a dialog.

    limit: the most server transactions; dialogs: the most that are remembered to have moved.
    placed: as `Policy.placed`.
    """

    __slots__ = (
        "_acks",
        "_flows",
        "_following",
        "_forking",
        "_limit",
        "_moved",
        "_own",
        "_placed",
        "_places",
        "_refusals",
        "_tables",
    )

    def __init__(
        self,
        tables: Tables,
        flows: Flows,
        forking: Forking,
        following: Following,
        refusals: Refusals,
        acks: Acks,
        limit: int,
        dialogs: int,
        own: Own,
        places: Places,
        placed: Callable[[Ask], Decision],
    ) -> None:
        self._tables = tables
        self._flows = flows
        self._forking = forking
        self._following = following
        self._refusals = refusals
        self._acks = acks
        self._limit = limit
        self._own = own
        self._places = places
        # Both sides of each: every refresh says where both are, be they elsewhere or not.
        self._moved = Moved(places, 2 * dialogs)
        self._placed = placed

    def relay(
        self,
        now: float,
        key: str,
        back: Flow,
        came: Flow | None,
        request: Request,
        passed: int,
        leads: tuple[str, str, int],
    ) -> bool:
        """A request of a dialog that this farm carries goes where its route says.

        came: the flow over which alone its sender is reached, None where he has an address.
        leads: as its mark says (`DialogMark.read`). False where policy has to say whether it may
        go where its route leads.
        """
        way = self._way(now, back, request, passed, leads)
        if way is None:
            return False
        if leads[2] and isinstance(way, Target):
            way.cseq_more = leads[2]
        if request.method == "ACK":
            self._acks.relay(now, key, request, passed, way if isinstance(way, Target) else None)
            return True
        part, asked = None, None
        refusal = self._refuses(request) or (way if isinstance(way, Reply) else None)
        if self._following.size:
            part, told = self._follow(now, request, came)
            if isinstance(told, Reply):
                refusal = refusal or told
            else:
                asked = told
        if refusal is not None:
            self._refuse(now, key, back, request, refusal, part)
            return True
        server = ServerTransaction(self._tables, key, request, back, now)
        context = self._new_context(server, request, passed, part, asked)
        if isinstance(way, Ask):
            way.transaction = server
            server.pend(now, way)
            return True
        assert isinstance(way, Target)
        try:
            self._forking.fork(now, context, [way])
        except Exception:
            server.abandon(now)
            raise
        return True

    def begin(self, now: float, server: ServerTransaction, ask: Ask) -> bool:
        """What is done of a request that policy is asked about before it goes anywhere; False: refused."""
        request = ask.request
        part, told = None, None
        if self._following.size:
            part, told = self._follow(now, request, ask.flow if server.natted or ask.flow.reliable else None)
        asked = None if isinstance(told, Reply) else told
        self._new_context(server, request, ask.passed, part, asked)
        if isinstance(told, Reply):
            server.reply(now, told.status, told.reason, told.headers)
            return False
        return True

    def allowed(self, ask: Ask, targets: list[Target]) -> list[Target]:
        """Where a request of a dialog goes that policy lets pass: on its own route.

        targets: what policy said; of a URI here it knows better where that leads.
        """
        request = ask.request
        if ask.uri.text == request.uri and self._own.is_here(ask.uri):
            return targets[:1]
        self._moved.let(request, ask.uri.text)
        return [Target(request.uri, cseq_more=ask.more)]

    def _new_context(
        self, server: ServerTransaction, request: Request, passed: int, part: Part | None, asked: Asked | None
    ) -> Context:
        context = server.context = Context(server, None, self._forking)
        context.passed = passed
        context.follow = self._moved.follow(request, part)
        context.asked = asked
        return context

    def _refuse(
        self, now: float, key: str, back: Flow, request: Request, refusal: Reply, part: Part | None
    ) -> None:
        if part is not None:
            part.failed(now, refusal.status)
        if request.method == "INVITE" and refusal is not FULL:
            # Remembered, or its ACK would go on to who has never seen the INVITE.
            server = ServerTransaction(self._tables, key, request, back, now)
            server.reply(now, refusal.status, refusal.reason, refusal.headers)
        else:
            self._refusals.refuse(key, back, request, refusal, "full" if refusal is FULL else "")

    def _way(
        self, now: float, back: Flow, request: Request, passed: int, leads: tuple[str, str, int]
    ) -> _Way:
        """Where a request goes, or what it is answered because nothing leads there any more."""
        name, place, _ = leads
        gruu = self._way_to_gruu(now, back, request, passed) if _GRUU in request.uri else None
        if gruu is not None:
            return gruu
        uri = request.uri if passed == ONLY_OURS else next_uri(request, passed)
        if name:
            flow = self._flows.named(name)
            if flow is not None:
                return Target(request.uri, (), flow)
            if not _is_left_to(name, uri):
                return _FLOW_FAILED
        if self._places.of(uri) == place or self._moved.leads_to(request, uri):
            return Target(request.uri)
        hop = hop_of(uri)
        if hop is None or (self._own.is_next_hop(hop) and request.method != "ACK"):
            # It goes nowhere, which its sender is told.
            return Target(request.uri)
        return None

    def _way_to_gruu(self, now: float, back: Flow, request: Request, passed: int) -> _Way:
        """Where a request for a GRUU of ours goes, at the end of its route; None for any other.

        A phone that has one may give it as its Contact (RFC 5627 4.4): the other side's requests
        come with it, and nobody but us knows which contact it stands for (RFC 5627 6.1).
        """
        uri = parse_uri(request.uri)
        if isinstance(uri, Malformed) or "gr" not in uri.params or not self._own.is_here(uri):
            return None
        if passed >= 0 and len(route_values(request)) > passed:
            # Other proxies come first; the request is for them to send on.
            return None
        ask = Ask(request, uri, back, now)
        ask.inside = True
        ask.passed = passed
        decision = self._placed(ask)
        if isinstance(decision, Forward):
            return decision.targets[0] if decision.targets else _GONE
        return decision if isinstance(decision, Reply) else ask

    def _refuses(self, request: Request) -> Reply | None:
        """What stands in the way of a request of one of our dialogs wherever it goes, or None."""
        if request.max_forwards == 0:
            return TOO_MANY_HOPS
        if "proxy-require" in request.first:
            # RFC 3261 16.3 step 5: we have no extension that a proxy could be asked for.
            tags = ", ".join(option_tags(request.all("proxy-require")))
            if tags:
                return Reply(420, "Bad Extension", (f"Unsupported: {tags}",))
        if len(self._tables.servers) >= self._limit:
            # Calls can go on and end while nothing new is let in, but who has one call
            # must not fill our memory through it.
            return FULL
        return None

    def _follow(
        self, now: float, request: Request, came: Flow | None
    ) -> tuple[Part | None, Asked | Reply | None]:
        """The followed call that a request belongs to hears of it, and what it makes of it."""
        followed = self._following.of(request)
        if followed is None:
            return None, None
        return Part(followed, request), followed.requested(now, request, came)


def _is_left_to(name: str, uri: str) -> bool:
    """Whether `uri`, where a request goes next, leads where its closed flow led, as far as can be told.

    name: of that flow. RFC 5626 5.3.1: nobody can open another connection to a web browser.
    A private address that the flow did not lead to is one behind NAT, and where we are it is
    nobody's or a stranger's.
    """
    if name.startswith("ws"):
        return False
    hop = hop_of(uri)
    address = None if hop is None else to_address(hop[1])
    if address is None:
        return True
    source = source_of(name)
    return address == source or not is_private(address, source)
