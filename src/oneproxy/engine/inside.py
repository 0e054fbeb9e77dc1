"""Requests inside of a dialog that went through this farm: relayed, and nobody is asked
(RFC 3261 16.4, 16.12)."""

from collections.abc import Callable
from typing import Final

from oneproxy.engine.acks import Acks
from oneproxy.engine.context import Context
from oneproxy.engine.decisions import Ask, Reply, Target
from oneproxy.engine.flow import Flow, Flows, source_of
from oneproxy.engine.following import Following
from oneproxy.engine.forking import Forking
from oneproxy.engine.part import Part
from oneproxy.engine.refusals import Refusals
from oneproxy.engine.routing import next_hop, route_values
from oneproxy.engine.server import ServerTransaction
from oneproxy.engine.sessions import Asked
from oneproxy.engine.tables import Tables
from oneproxy.sip.fields import option_tags
from oneproxy.sip.host import is_private, to_address
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request
from oneproxy.sip.uri import Uri, parse_uri

TOO_MANY_HOPS: Final = Reply(483, "Too Many Hops")
FULL: Final = Reply(503, "Service Unavailable", ("Retry-After: 10",))
_FLOW_FAILED: Final = Reply(430, "Flow Failed")
_GONE: Final = Reply(480, "Temporarily Unavailable")
#: A URI with this parameter leads to an instance of a user, of a domain here or elsewhere.
_GRUU: Final = ";gr"

#: Where URIs lead by what policy knows of them (`Policy.redirected`).
Placed = Callable[[Ask, list[str]], list[Target]]


class Inside:
    """The way of a request that is inside of a dialog.

    limit: the most server transactions. is_here: whether a URI is of a domain here. placed:
    where a GRUU of such a domain leads.
    """

    __slots__ = (
        "_acks",
        "_flows",
        "_following",
        "_forking",
        "_is_here",
        "_limit",
        "_placed",
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
        is_here: Callable[[Uri], bool],
        placed: Placed,
    ) -> None:
        self._is_here = is_here
        self._placed = placed
        self._tables = tables
        self._flows = flows
        self._forking = forking
        self._following = following
        self._refusals = refusals
        self._acks = acks
        self._limit = limit

    def relay(
        self,
        now: float,
        key: str,
        back: Flow,
        came: Flow | None,
        request: Request,
        passed: int,
        name: str,
    ) -> None:
        """A request of a dialog that this farm carries goes where its route says.

        came: the flow over which alone its sender is reached, None where he has an address.
        name: of the flow that leads to the other side, "" where the route does.
        """
        way = self._way(now, back, request, passed, name)
        if request.method == "ACK":
            self._acks.relay(now, key, request, passed, None if isinstance(way, Reply) else way)
            return
        part, asked = None, None
        refusal = self._refuses(request) or (way if isinstance(way, Reply) else None)
        if self._following.size:
            part, told = self._follow(now, request, came)
            if isinstance(told, Reply):
                refusal = refusal or told
            else:
                asked = told
        if refusal is not None:
            if part is not None:
                part.failed(now, refusal.status)
            if request.method == "INVITE" and refusal is not FULL:
                # Remembered, or its ACK would go on to who has never seen the INVITE.
                server = ServerTransaction(self._tables, key, request, back, now)
                server.reply(now, refusal.status, refusal.reason, refusal.headers)
            else:
                self._refusals.refuse(key, back, request, refusal, "full" if refusal is FULL else "")
            return
        assert isinstance(way, Target)
        server = ServerTransaction(self._tables, key, request, back, now)
        context = server.context = Context(server, None, self._forking)
        context.passed = passed
        context.follow = part
        context.asked = asked
        try:
            self._forking.fork(now, context, [way])
        except Exception:
            server.abandon(now)
            raise

    def _way(self, now: float, back: Flow, request: Request, passed: int, name: str) -> Target | Reply:
        """Where a request goes, or what it is answered because nothing leads there any more.

        name: of the flow over which alone it may go on, "" where its route says how.
        """
        gruu = self._target_of_gruu(now, back, request, passed) if _GRUU in request.uri else None
        if gruu is not None:
            return gruu
        flow = self._flows.named(name) if name else None
        if flow is None and name and not _is_left_to(name, request, passed):
            return _FLOW_FAILED
        return Target(request.uri, (), flow)

    def _target_of_gruu(self, now: float, back: Flow, request: Request, passed: int) -> Target | Reply | None:
        """Where a request for a GRUU of ours goes, at the end of its route; None for any other.

        A phone that has one may give it as its Contact (RFC 5627 4.4): the other side's requests
        come with it, and nobody but us knows which contact it stands for (RFC 5627 6.1).
        """
        uri = parse_uri(request.uri)
        if isinstance(uri, Malformed) or "gr" not in uri.params or not self._is_here(uri):
            return None
        if passed >= 0 and len(route_values(request)) > passed:
            # Other proxies come first; the request is for them to send on.
            return None
        targets = self._placed(Ask(request, uri, back, now), [request.uri])
        return targets[0] if targets else _GONE

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


def _is_left_to(name: str, request: Request, passed: int) -> bool:
    """Whether the route of a request leads where its closed flow led, as far as can be told.

    name: of that flow. RFC 5626 5.3.1: nobody can open another connection to a web browser.
    A private address that the flow did not lead to is one behind NAT, and where we are it is
    nobody's or a stranger's.
    """
    if name.startswith("ws"):
        return False
    hop = next_hop(request, request.uri, passed)
    address = None if hop is None else to_address(hop[1])
    if address is None:
        return True
    source = source_of(name)
    return address == source or not is_private(address, source)
