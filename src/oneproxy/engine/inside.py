"""Requests inside of a dialog that went through this farm: relayed, and nobody is asked
(RFC 3261 16.4, 16.12)."""

from typing import Final

from oneproxy.engine.acks import Acks
from oneproxy.engine.context import Context
from oneproxy.engine.decisions import Reply, Target
from oneproxy.engine.flow import Flow, Flows, source_of
from oneproxy.engine.following import Following
from oneproxy.engine.forking import Forking
from oneproxy.engine.part import Part
from oneproxy.engine.refusals import Refusals
from oneproxy.engine.routing import next_hop
from oneproxy.engine.server import ServerTransaction
from oneproxy.engine.sessions import Asked
from oneproxy.engine.tables import Tables
from oneproxy.sip.fields import option_tags
from oneproxy.sip.host import is_private, to_address
from oneproxy.sip.message import Request

TOO_MANY_HOPS: Final = Reply(483, "Too Many Hops")
FULL: Final = Reply(503, "Service Unavailable", ("Retry-After: 10",))
_FLOW_FAILED: Final = Reply(430, "Flow Failed")


class Inside:
    """The way of a request that is inside of a dialog. limit: the most server transactions."""

    __slots__ = ("_acks", "_flows", "_following", "_forking", "_limit", "_refusals", "_tables")

    def __init__(
        self,
        tables: Tables,
        flows: Flows,
        forking: Forking,
        following: Following,
        refusals: Refusals,
        acks: Acks,
        limit: int,
    ) -> None:
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
        flow = self._flows.named(name) if name else None
        is_lost = flow is None and name != "" and not _is_left_to(name, request, passed)
        if request.method == "ACK":
            self._acks.relay(now, key, request, passed, flow, is_lost)
            return
        part, asked = None, None
        refusal = self._refuses(request, is_lost)
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
            self._forking.fork(now, context, [Target(request.uri, (), flow)])
        except Exception:
            server.abandon(now)
            raise

    def _refuses(self, request: Request, is_lost: bool) -> Reply | None:
        """What stands in the way of a request of one of our dialogs, or None.

        is_lost: the flow over which alone it could go on is closed.
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
        return _FLOW_FAILED if is_lost else None

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
