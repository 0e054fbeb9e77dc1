"""Sending requests of our own: to their address, or to the next one (RFC 3261 8.1, RFC 3263)."""

from typing import TYPE_CHECKING

from oneproxy.engine.attempt import Addresses
from oneproxy.engine.branches import Branches
from oneproxy.engine.client import ClientTransaction
from oneproxy.engine.forking import NEXT_ADDRESS_AFTER
from oneproxy.engine.origin import Origin, OwnRequest
from oneproxy.engine.routing import hop_of, is_numeric

if TYPE_CHECKING:
    from oneproxy.engine.decisions import Answered
    from oneproxy.engine.flow import Flow, Flows, Hop
    from oneproxy.engine.tables import Tables


class Sender:
    """Starts the client transactions of our own requests."""

    __slots__ = ("_branches", "_flows", "_limit", "_tables")

    def __init__(self, tables: "Tables", flows: "Flows", branches: Branches, limit: int) -> None:
        self._tables = tables
        self._flows = flows
        self._branches = branches
        #: The most client transactions at once.
        self._limit = limit

    def send(self, now: float, request: OwnRequest, answered: "Answered | None" = None) -> None:
        """Send a request; `answered` is told once what has come of it, maybe at once."""
        origin = Origin(request, now, answered, self)
        flow = self._flows.named(request.flow) if request.flow else None
        if len(self._tables.clients) >= self._limit:
            self._tables.counters.dropped["full"] += 1
            origin.fail(now, None, 503, "full")
            return
        if flow is not None:
            self._start(now, origin, flow, None)
            return
        hop = hop_of(request.towards)
        if hop is None:
            origin.fail(now, None, 503, "transport")
            return
        if is_numeric(hop[1]):
            self._try(now, origin, Addresses(hop[1], [hop]))
            return

        def found(now: float, addresses: "list[Hop]") -> None:
            self._try(now, origin, Addresses(hop[1], addresses))

        addresses = self._flows.find(now, hop, found)
        if addresses is not None:
            found(now, addresses)

    def send_again(self, now: float, origin: Origin, branch: ClientTransaction) -> None:
        """Start a branch like this one, which failed, at the next of its `rest` of addresses."""
        flow = branch.flow
        self._flows.failed(now, (flow.listener.transport, flow.host, flow.port))
        assert branch.rest is not None
        self._try(now, origin, branch.rest)

    def _try(self, now: float, origin: Origin, addresses: Addresses) -> None:
        error = "transport" if addresses.hops else "name"
        while addresses.hops:
            hop, *addresses.hops = addresses.hops
            flow = self._flows.towards(hop, addresses.name)
            if flow is not None:
                self._start(now, origin, flow, addresses if addresses.hops else None)
                return
        origin.fail(now, None, 503, error)

    def _start(self, now: float, origin: Origin, flow: "Flow", rest: Addresses | None) -> None:
        branch = self._branches.new()
        request = origin.request
        data = request.render(flow.listener.via + branch)
        wait_s = 0.0 if rest is None else NEXT_ADDRESS_AFTER
        client = ClientTransaction(self._tables, branch, request.method, flow, data, origin, now, wait_s)
        client.rest = rest
