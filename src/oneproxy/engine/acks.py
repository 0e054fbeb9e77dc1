"""ACKs for 2xx: relayed without a transaction, since nothing answers them (RFC 3261 16.11, 17)."""

from oneproxy.engine.decisions import Target
from oneproxy.engine.flow import Flow, Flows, Hop
from oneproxy.engine.forwarding import forwarded
from oneproxy.engine.routing import Own, next_hop
from oneproxy.engine.server import to_tag
from oneproxy.engine.tables import Tables
from oneproxy.sip.framing import fitted
from oneproxy.sip.message import Request


class Acks:
    """The way of an ACK inside of a dialog. prefix: what our branches begin with."""

    __slots__ = ("_dropped", "_flows", "_out", "_own", "_prefix")

    def __init__(self, tables: Tables, flows: Flows, own: Own, prefix: str) -> None:
        self._out = tables.out
        self._dropped = tables.counters.dropped
        self._flows = flows
        self._own = own
        self._prefix = prefix

    def relay(self, now: float, key: str, request: Request, passed: int, target: Target | None) -> None:
        """An ACK for a 2xx goes on without a transaction (RFC 3261 16.11, 17).

        target: None where nothing leads to its receiver any more.
        """
        if target is None:
            self._dropped["unroutable-ack"] += 1
            return
        flow = target.flow
        # The same for every repetition of this ACK, and different from that of others.
        branch = f"{self._prefix}{to_tag(key)}"
        hop = next_hop(request, target.uri, passed, target.route) if flow is None else None
        if hop is not None:
            flow = self._flows.towards(hop)
        if flow is None and hop is not None and request.max_forwards != 0:
            self._relay_to_name(now, branch, request, passed, target, hop)
        else:
            self._send(branch, request, passed, target, flow)

    def _relay_to_name(
        self, now: float, branch: str, request: Request, passed: int, target: Target, hop: Hop
    ) -> None:
        """Send an ACK on once the address is known; nobody repeats it but the callee's 2xx."""

        def found(_now: float, addresses: list[Hop]) -> None:
            flows = (self._flows.towards(address, hop[1]) for address in addresses)
            self._send(branch, request, passed, target, next((flow for flow in flows if flow), None))

        addresses = self._flows.find(now, hop, found)
        if addresses is not None:
            found(now, addresses)

    def _send(self, branch: str, request: Request, passed: int, target: Target, flow: Flow | None) -> None:
        if flow is None or request.max_forwards == 0:
            self._dropped["unroutable-ack"] += 1
            return
        via = flow.listener.via + branch
        spent = self._own.spent(request) if "proxy-authorization" in request.first else ()
        data = forwarded(request, target.uri, via, passed, target.route, (), spent, (), target.cseq_more)
        if flow.listener.is_stream:
            data = fitted(data) or data
        self._out.append((flow, data))
