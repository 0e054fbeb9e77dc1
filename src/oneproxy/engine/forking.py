"""Starting the branches of a request: to all targets at once, at one address after the
other, and where a 3xx points (RFC 3261 16.6 and 16.7 step 4, RFC 3263 4.3, RFC 5393)."""

from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from oneproxy.engine.attempt import Addresses, Attempt
from oneproxy.engine.branches import Branches
from oneproxy.engine.breadth import MAX_BREADTH, available, divide
from oneproxy.engine.client import ClientTransaction
from oneproxy.engine.context import Context
from oneproxy.engine.decisions import Target
from oneproxy.engine.dialog import DialogMark
from oneproxy.engine.forwarding import forwarded
from oneproxy.engine.record import lines_of
from oneproxy.engine.routing import NO_ROUTE, Own, is_numeric, next_hop
from oneproxy.sip.address import parse_address
from oneproxy.sip.fields import parse_q, split_list
from oneproxy.sip.framing import fitted
from oneproxy.sip.malformed import Malformed

if TYPE_CHECKING:
    from oneproxy.engine.decisions import Ask
    from oneproxy.engine.flow import Flow, Flows, Hop
    from oneproxy.engine.neighbours import Neighbours
    from oneproxy.engine.tables import Tables
    from oneproxy.sip.message import Request, Response

#: How long an address is tried while another one of the same target is left, seconds:
#: three repetitions over UDP. RFC 3263 4.3 would wait 32 s, and no caller does.
NEXT_ADDRESS_AFTER: Final = 4.0
#: RFC 3261 18.1.1: larger requests go over a transport with congestion control.
MAX_DATAGRAM: Final = 1300
#: RFC 3261 16.6 step 4: requests that can make a dialog.
_MAKES_DIALOG: Final = frozenset(("INVITE", "SUBSCRIBE", "REFER", "NOTIFY"))
#: Targets that one 3xx may add.
_MAX_CONTACTS: Final = 10
#: For how long it is remembered that a peer refused TCP, and of how many peers.
_DATAGRAM_ONLY_S: Final = 300.0
_REMEMBERED: Final = 4096


class Forking:
    """The way of a request out to its targets.

    branches: makes those of this node. conclude: told when all branches
    of a context have failed. hidden: lines of a request that are not for who is on a flow. is_kept:
    whether a request may not go to an address (`Trust.is_kept`). neighbours: who wants to be sent less.
    """

    def __init__(
        self,
        tables: "Tables",
        flows: "Flows",
        mark: DialogMark,
        own: Own,
        branches: Branches,
        limit: int,
        policy: "Callable[[Context, list[str]], list[Target]]",
        conclude: Callable[[float, Context], None],
        hidden: "Callable[[Flow, Request], tuple[int, ...]]",
        is_kept: "Callable[[Ask, Target, str], bool]",
        neighbours: "Neighbours",
    ) -> None:
        self._tables = tables
        self._flows = flows
        self.marks = mark
        self._own = own
        self._branches = branches
        #: The most client transactions at once.
        self._limit = limit
        self._policy = policy
        self._hidden = hidden
        self._is_kept = is_kept
        self._neighbours = neighbours
        #: Peers that a large request need not be tried over TCP with, and until when.
        self._datagram_only: dict[tuple[str, int], float] = {}
        # Bound once: a context remembers this for as long as its transactions last.
        self.conclude = conclude

    def fork(self, now: float, context: Context, targets: list[Target]) -> None:
        """Send the request of `context` to all targets at once."""
        ask = context.ask
        if len(targets) == 1 and (ask is None or "max-breadth" not in ask.request.first):
            # So it is with nearly every request.
            self._start(now, context, Attempt(targets[0], 0, 0, now))
        elif ask is not None and targets:
            self._start_all(now, context, targets, 0, available(ask.request))
        if not context.waiting and not context.done:
            context.settle(now)

    def again(self, now: float, context: Context, branch: ClientTransaction) -> None:
        """Start the branch anew at the next address of its target."""
        flow = branch.flow
        self._flows.failed(now, (flow.listener.transport, flow.host, flow.port))
        rest = branch.rest
        assert rest is not None
        if rest.is_fallback:
            rest.is_fallback = False
            self._note_datagram_only(now, flow)
        self._try(now, context, branch.attempt, rest)
        if not context.waiting:
            context.settle(now)

    def instead(self, now: float, context: Context, branch: ClientTransaction, target: Target) -> None:
        """Start a branch to `target` in place of this one, which failed."""
        attempt = branch.attempt
        self._start(now, context, Attempt(target, attempt.depth, attempt.breadth, now))
        if not context.waiting:
            context.settle(now)

    def redirected(
        self, now: float, context: Context, branch: ClientTransaction, response: "Response"
    ) -> bool:
        """Start branches to the contacts of a 3xx that were not tried yet."""
        tried = context.tried
        if tried is None:
            tried = context.tried = set()
        tried.update(one.attempt.target.uri for one in context.branches)
        uris = [uri for uri in _contacts(response) if uri not in tried][:_MAX_CONTACTS]
        # Two users whose phones name each other must not be rung in turn.
        targets = [one for one in self._policy(context, uris) if one.uri not in tried] if uris else []
        tried.update(uris)
        if targets:
            # What the branch was given is free again, and no more (RFC 5393 5.3.3).
            breadth = branch.attempt.breadth or MAX_BREADTH
            self._start_all(now, context, targets, branch.attempt.depth + 1, breadth)
            if not context.waiting:
                context.settle(now)
        return bool(targets)

    def _start_all(
        self, now: float, context: Context, targets: list[Target], depth: int, breadth: int
    ) -> None:
        for target, share in zip(targets, divide(breadth, len(targets)), strict=True):
            if share:
                self._start(now, context, Attempt(target, depth, share, now))
            else:
                context.miss(target, 440, "breadth", now)

    def _start(self, now: float, context: Context, attempt: Attempt) -> None:
        """Find the flow to a target, or have its addresses looked up."""
        target = attempt.target
        flow = target.flow
        if len(self._tables.clients) >= self._limit:
            self._tables.counters.dropped["full"] += 1
            context.miss(target, 503, "full", now)
            return
        if flow is None:
            request = context.server.request
            assert request is not None
            hop = next_hop(request, target.uri, context.passed, target.route)
            if hop is None:
                context.miss(target, 503, "transport", now)
                return
            if self._own.is_next_hop(hop):
                # A contact at our own address: ten of these in one AoR would multiply
                # a request tenfold on each of its 70 hops (RFC 5393 3).
                context.miss(target, 482, "loop", now)
                return
            flow = self._flows.towards(hop)
            if flow is None:
                if is_numeric(hop[1]):
                    context.miss(target, 503, "transport", now)
                else:
                    self._look_up(now, context, attempt, hop)
                return
        self._send(now, context, attempt, flow, None)

    def _look_up(self, now: float, context: Context, attempt: Attempt, hop: "Hop") -> None:
        lookup = context.look_up(attempt)

        def found(now: float, addresses: "list[Hop]") -> None:
            context = lookup.context
            if context is not None:
                context.looked_up(lookup)
                self._try(now, context, attempt, Addresses(hop[1], addresses))
                if not context.waiting:
                    context.settle(now)

        addresses = self._flows.find(now, hop, found)
        if addresses is not None:
            context.looked_up(lookup)
            self._try(now, context, attempt, Addresses(hop[1], addresses))

    def _try(self, now: float, context: Context, attempt: Attempt, addresses: Addresses) -> None:
        """Send to the first of these addresses that there is a way to."""
        error = "transport" if addresses.hops else "name"
        while addresses.hops:
            hop, *addresses.hops = addresses.hops
            if self._own.is_next_hop(hop):
                context.miss(attempt.target, 482, "loop", now)
                return
            flow = self._flows.towards(hop, addresses.name)
            if flow is not None:
                self._send(now, context, attempt, flow, addresses)
                return
        context.miss(attempt.target, 503, error, now)

    def _send(
        self, now: float, context: Context, attempt: Attempt, flow: "Flow", rest: Addresses | None
    ) -> None:
        """Start the client transaction of one attempt. rest: addresses to go on with."""
        target = attempt.target
        ask = context.ask
        if ask is not None and target.flow is None and self._is_kept(ask, target, flow.host):
            self._tables.counters.dropped["kept"] += 1
            context.miss(target, 403, "kept", now)
            return
        neighbours = self._neighbours
        listens = neighbours.is_one(ask, target, flow)
        if listens and ask is not None and not ask.inside and len(neighbours):
            error = neighbours.refuses(now, flow, ask)
            if error:
                self._pass_over(now, context, attempt, rest, error)
                return
        branch = self._branches.new()
        records: tuple[str, ...] = ()
        if ask is not None and context.server.method in _MAKES_DIALOG:
            records = self._record_routes(context, ask, target, flow)
        asks = listens and neighbours.asks
        data = self._copy(context, attempt, flow, branch, records, asks)
        if flow.listener.is_stream and not context.server.flow.listener.is_stream:
            data = fitted(data) or data
        if len(data) > MAX_DATAGRAM and not flow.reliable and target.flow is None:
            other = self._stream_beside(now, flow)
            if other is not None:
                rest = rest or Addresses("", [])
                rest.hops = [("UDP", flow.host, flow.port), *rest.hops]
                rest.is_fallback = True
                flow = other
                if ask is not None and records:
                    records = self._record_routes(context, ask, target, flow)
                data = self._copy(context, attempt, flow, branch, records, asks)
                data = fitted(data) or data
        wait_s = target.first_response_s
        if attempt.answer_by and not 0.0 < wait_s < attempt.answer_by - now:
            wait_s = attempt.answer_by - now
        if rest is not None:
            if not rest.hops:
                rest = None
            elif not wait_s or wait_s > NEXT_ADDRESS_AFTER:
                wait_s = NEXT_ADDRESS_AFTER
        client = ClientTransaction(
            self._tables, branch, context.server.method, flow, data, context, now, wait_s
        )
        client.attempt = attempt
        client.listens = listens
        client.fits = context.server.flow.listener.is_stream and not flow.listener.is_stream
        client.rest = rest
        if records and target.flow is None:
            # Else the flow leads to the callee, wherever he says that he is.
            client.record = records[-1]
        context.add(client)

    def _pass_over(
        self, now: float, context: Context, attempt: Attempt, rest: Addresses | None, error: str
    ) -> None:
        """One address is not sent to, since who is there wants less: the next one, if there is one."""
        if rest is not None and rest.hops and not rest.is_fallback:
            self._try(now, context, attempt, rest)
        else:
            context.miss(attempt.target, 503, error, now)

    def _copy(
        self,
        context: Context,
        attempt: Attempt,
        flow: "Flow",
        branch: str,
        records: tuple[str, ...],
        asks: bool,
    ) -> bytes:
        """The octets that go to one target over `flow`. asks: as of `Neighbours`."""
        request = context.server.request
        assert request is not None
        ask = context.ask
        target = attempt.target
        via = (flow.listener.asking_via if asks else flow.listener.via) + branch
        asked = context.asked
        # RFC 3261 22.3: a proof for us is not shown to the callee, who could use it: one that
        # nobody asked for is not spent.
        spent = self._own.spent(request) if "proxy-authorization" in request.first else ()
        if "privacy" in request.first:
            spent = (*spent, *self._hidden(flow, request))
        if ask is None:
            lines: tuple[str, ...] = ()
            if asked is not None:
                spent, lines = (*spent, *asked.dropped), asked.lines
            passed, more = context.passed, target.cseq_more
            return forwarded(request, target.uri, via, passed, target.route, (), spent, lines, more)
        consumed, headers = (*spent, *ask.consumed, *target.dropped), target.headers
        if asked is not None:
            consumed, headers = (*consumed, *asked.dropped), (*headers, *asked.lines)
        if attempt.breadth:
            consumed = (*consumed, *request.positions("max-breadth"))
            headers = (*headers, f"Max-Breadth: {attempt.breadth}")
        more = target.cseq_more
        return forwarded(request, target.uri, via, NO_ROUTE, target.route, records, consumed, headers, more)

    def _record_routes(self, context: Context, ask: "Ask", target: Target, flow: "Flow") -> tuple[str, ...]:
        """What we write about ourselves into the copy that goes out on `flow` (RFC 3261 16.6 step 4)."""
        came = ask.flow
        request = ask.request
        caller = callee = ""
        if (came.reliable or context.server.natted) and "record-route" not in request.first:
            # Another proxy says itself how it is reached.
            caller = came.name
        if target.flow is not None:
            callee = target.flow.name
        marks = self.marks
        places = marks.places
        caller_place = places.of_sender(request, came.host)
        callee_place = places.of_target(target)
        more = target.cseq_more
        mark = marks.make(request.call_id, request.from_tag, caller_place, callee_place, caller, callee, more)
        return lines_of(mark, target.uri.startswith("sips:"), came.listener, flow.listener)

    def _stream_beside(self, now: float, flow: "Flow") -> "Flow | None":
        """A TCP flow to where a datagram would go (RFC 3261 18.1.1)."""
        until = self._datagram_only.get((flow.host, flow.port))
        if until is not None and now < until:
            return None
        return self._flows.towards(("TCP", flow.host, flow.port))

    def _note_datagram_only(self, now: float, flow: "Flow") -> None:
        """Nobody takes TCP there: the next large requests need not wait to find that out."""
        if len(self._datagram_only) >= _REMEMBERED:
            self._datagram_only.clear()
        self._datagram_only[flow.host, flow.port] = now + _DATAGRAM_ONLY_S


def _contacts(response: "Response") -> list[str]:
    """The URIs of the Contacts of a 3xx, best preference first (RFC 3261 16.7 step 4)."""
    found: list[tuple[int, str]] = []
    for value in [one for line in response.all("contact") for one in split_list(line)]:
        address = parse_address(value)
        if isinstance(address, Malformed):
            continue
        q = parse_q(address.params.get("q") or "1")
        found.append((-(1000 if q is None else q), address.uri))
    found.sort(key=itemgetter(0))
    return list(dict.fromkeys(uri for _, uri in found))
