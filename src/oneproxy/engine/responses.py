"""Responses: which transaction one belongs to (RFC 3261 16.7 step 1, 17.1.3), and what it has to be
before it gets there."""

from typing import TYPE_CHECKING

from oneproxy.engine.context import Context
from oneproxy.engine.flow import BRANCH_COOKIE
from oneproxy.sip.framing import fitted
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Response, split

if TYPE_CHECKING:
    from oneproxy.engine.client import ClientTransaction
    from oneproxy.engine.flow import Flow, Listener
    from oneproxy.engine.neighbours import Neighbours
    from oneproxy.engine.refusals import Refusals
    from oneproxy.engine.routing import Own
    from oneproxy.engine.tables import Tables
    from oneproxy.engine.trust import Trust


class Responses:
    """The way of a response to its client transaction."""

    __slots__ = ("_clients", "_counters", "_neighbours", "_own", "_refusals", "_trust", "_vias")

    def __init__(
        self,
        tables: "Tables",
        listeners: "list[Listener]",
        own: "Own",
        refusals: "Refusals",
        trust: "Trust",
        neighbours: "Neighbours",
    ) -> None:
        self._clients = tables.clients
        self._counters = tables.counters
        self._own = own
        self._refusals = refusals
        self._trust = trust
        self._neighbours = neighbours
        #: What our Via in a response begins with; only those responses are for us (18.1.2).
        self._vias = tuple([via for listener in listeners for via in (listener.via, listener.asking_via)])

    def receive(self, now: float, flow: "Flow", response: Response) -> None:
        """A response has come on `flow`."""
        self._counters.responses += 1
        branch = self.own_branch(response.top_via)
        # RFC 3261 17.1.3: a CANCEL has the branch of its INVITE, so the method tells them apart.
        method = response.cseq_method()
        client = self._clients.get(branch if method != "CANCEL" else f"{branch} CANCEL")
        if client is None or client.method != method:
            self._counters.stray_responses += 1
            return
        if client.listens:
            self._neighbours.heard(now, flow, client, response)
        if response.status > 100:
            context = client.context
            back = context.server.flow if isinstance(context, Context) else None
            stripped = self._trust.strip_response(flow, method, response, back)
            if isinstance(stripped, Malformed):
                self._refusals.drop(now, flow, stripped)
                return
            response = stripped
        if response.status >= 300 and (response.fault is not None or "to" not in response.first):
            # It would have to be acknowledged, or answer in place of others: it can't be.
            self._refusals.drop(now, flow, response.fault or Malformed.TO)
        elif client.fits:
            self._receive_fitted(now, flow, client, response)
        else:
            client.receive(now, response)

    def own_branch(self, via: str | None) -> str:
        """What follows the cookie in the branch of a Via; "" where it is not ours."""
        if via is None:
            return ""
        if not via.startswith(self._vias):
            return self._own.branch_of(via)
        return via.partition(BRANCH_COOKIE)[2].partition(";")[0].partition(",")[0].rstrip(" \t")

    def _receive_fitted(
        self, now: float, flow: "Flow", client: "ClientTransaction", response: Response
    ) -> None:
        """A response that goes on into a stream, where a wrong length would swallow what follows."""
        data = fitted(response.bytes())
        message = None if data is None else split(data)
        if isinstance(message, Response):
            client.receive(now, message)
        else:
            self._refusals.drop(now, flow, Malformed.CONTENT_LENGTH)
