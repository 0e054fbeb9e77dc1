"""Requests inside of a dialog that went through this farm: relayed, and nobody is asked
(RFC 3261 16.4, 16.12)."""

from collections.abc import Callable
from typing import Final

from oneproxy.engine.acks import Acks
from oneproxy.engine.context import Context
from oneproxy.engine.decisions import Ask, Reply, Target
from oneproxy.engine.flow import Flow, Flows
from oneproxy.engine.following import Following
from oneproxy.engine.forking import Forking
from oneproxy.engine.part import Part
from oneproxy.engine.refusals import Refusals
from oneproxy.engine.routing import route_values
from oneproxy.engine.server import ServerTransaction
from oneproxy.engine.sessions import Asked
from oneproxy.engine.tables import Tables
from oneproxy.sip.fields import option_tags
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request
from oneproxy.sip.uri import Uri, parse_uri

TOO_MANY_HOPS: Final = Reply(483, "Too Many Hops")
FULL: Final = Reply(503, "Service Unavailable", ("Retry-After: 10",))
_FLOW_FAILED: Final = Reply(430, "Flow Failed")
_GONE: Final = Reply(480, "Temporarily Unavailable")
#: A URI with this parameter leads to an instance of a user, of a domain here or elsewhere.
_GRUU: Final = ";gr"

#: In place of a target: a GRUU whose instance is not registered.
_NOBODY: Final = Target("")

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
        gruu = self._target_of_gruu(now, back, request, passed) if _GRUU in request.uri else None
        flow = self._flows.named(name) if name and gruu is None else None
        target = gruu or Target(request.uri, (), flow)
        if request.method == "ACK":
            if gruu is not _NOBODY:
                self._acks.relay(now, key, request, passed, target)
            return
        part, asked = None, None
        refusal = self._refuses(request, flow, name)
        if gruu is not None:
            refusal = _GONE if gruu is _NOBODY else self._refuses(request, gruu.flow, "")
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
        server = ServerTransaction(self._tables, key, request, back, now)
        context = server.context = Context(server, None, self._forking)
        context.passed = passed
        context.follow = part
        context.asked = asked
        try:
            self._forking.fork(now, context, [target])
        except Exception:
            server.abandon(now)
            raise

    def _target_of_gruu(self, now: float, back: Flow, request: Request, passed: int) -> Target | None:
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
        return targets[0] if targets else _NOBODY

    def _refuses(self, request: Request, flow: Flow | None, name: str) -> Reply | None:
        """What stands in the way of a request of one of our dialogs, or None.

        flow, name: over which alone it could go on; None and "" where its route says how.
        """
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
        if flow is None and name.startswith("ws"):
            # RFC 5626 5.3.1: nobody can open another connection to a web browser.
            return _FLOW_FAILED
        return None

    def _follow(
        self, now: float, request: Request, came: Flow | None
    ) -> tuple[Part | None, Asked | Reply | None]:
        """The followed call that a request belongs to hears of it, and what it makes of it."""
        followed = self._following.of(request)
        if followed is None:
            return None, None
        return Part(followed, request), followed.requested(now, request, came)
