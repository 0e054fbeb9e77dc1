"""The engine: what becomes of a message, from its octets to those that leave.

    receive -> split -> response: its branch, the response context, upstream
                     -> request:  its transaction, else its dialog, else policy

It has no socket and no clock: `receive` and `expire` are told the time, `deadline` says
when `expire` is wanted, and what is to be sent stands in `out`.
"""

from collections.abc import Callable
from secrets import token_hex
from typing import Final

from oneproxy.engine.client import ClientTransaction
from oneproxy.engine.context import Context
from oneproxy.engine.counters import Counters
from oneproxy.engine.decisions import Ask, Best, Decision, Forward, Pending, Policy, Reply, Target
from oneproxy.engine.dialog import PARAMETER, DialogMark
from oneproxy.engine.flow import BRANCH_COOKIE, Flow, Flows, Listener
from oneproxy.engine.forwarding import forwarded
from oneproxy.engine.inbound import read_inbound
from oneproxy.engine.machines import ACCEPTED, COMPLETED, CONFIRMED
from oneproxy.engine.routing import Own, next_hop
from oneproxy.engine.server import ServerTransaction, to_tag
from oneproxy.engine.tables import Tables
from oneproxy.sip.check import check
from oneproxy.sip.malformed import REASONS, Malformed
from oneproxy.sip.message import Request, Response, split
from oneproxy.sip.response import respond
from oneproxy.sip.uri import parse_uri

ALLOW: Final = (
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO, MESSAGE, REFER, SUBSCRIBE, "
    "NOTIFY, PUBLISH"
)
_CAPABILITIES: Final = (ALLOW, "Accept: application/sdp, */*", "Supported: path")


class Engine:
    """A stateful proxy core over its transactions (RFC 3261 16).

    node: goes into branches. transactions: the most server transactions at once; above
    it a request is refused with 503 and nothing is remembered of it, above twice as many
    one inside of a dialog too.
    """

    def __init__(
        self,
        now: float,
        node: str,
        listeners: list[Listener],
        flows: Flows,
        policy: Policy,
        mark: DialogMark,
        own: Own,
        transactions: int,
    ) -> None:
        self._tables = Tables(now)
        self.out = self._tables.out
        self.counters: Counters = self._tables.counters
        self._servers = self._tables.servers
        self._clients = self._tables.clients
        self._flows = flows
        self._policy = policy
        self._mark = mark
        self._own = own
        self._limit = transactions
        self._draining = False
        #: Told of every malformed message: when, from where, and its code.
        self.on_malformed: Callable[[float, Flow, Malformed], None] = _ignore
        # RFC 3261 8.1.1.7: unique over space and time: this node, this start of it, a number.
        self._branch_prefix = f"{node}.{token_hex(6)}."
        self._branch_number = 0
        # Bound once: a context remembers it for as long as its transactions last.
        self._failed = self._conclude
        #: What our Via in a response begins with; only those responses are for us (18.1.2).
        self._vias = tuple(listener.via for listener in listeners)

    # What the driver calls.

    def receive(self, now: float, flow: Flow, data: bytes) -> None:
        """Handle one message that came on `flow`."""
        message = split(data)
        if message.__class__ is Request:
            self._request(now, flow, message)
        elif message.__class__ is Response:
            self._response(now, flow, message)
        elif isinstance(message, Malformed) and data.strip(b"\r\n\0"):
            self._drop(now, flow, message)

    def expire(self, now: float) -> None:
        """Let every timer fire that is due at `now`."""
        self._tables.wheel.expire(now)

    def deadline(self) -> float | None:
        """When `expire` is wanted next, or None."""
        return self._tables.wheel.deadline()

    def unreachable(self, now: float, data: bytes) -> None:
        """The transport could not send `data` (RFC 3261 16.9, 18.4)."""
        message = split(data)
        if isinstance(message, Request):
            client = self._clients.get(self._own_branch(message.get("via")))
            if client is not None:
                client.unreachable(now)

    def answer(self, now: float, ask: Ask, decision: Decision) -> None:
        """The decision for an ask that policy had answered PENDING."""
        server = ask.transaction
        if isinstance(server, ServerTransaction) and server.ask is ask:
            server.ask = None
            self._apply(now, server, ask, decision)

    def drain(self) -> None:
        """Refuse from now on what would start something new."""
        self._draining = True

    def unanswered(self) -> int:
        """Requests that wait for their final response."""
        return self._tables.unanswered

    def sizes(self) -> dict[str, int]:
        """How full the tables are."""
        return {"servers": len(self._servers), "clients": len(self._clients)}

    # Requests.

    def _request(self, now: float, flow: Flow, request: Request) -> None:
        self.counters.requests += 1
        inbound = read_inbound(request, flow, self._flows)
        if isinstance(inbound, Malformed):
            self._refuse_via(now, flow, request)
            return
        key, back = inbound
        method = request.method
        server = self._servers.get(key)
        if server is not None:
            if method != "ACK":
                self.counters.retransmissions += 1
                server.repeat()
                return
            if server.state != ACCEPTED:
                if server.state in (COMPLETED, CONFIRMED):
                    server.acknowledge(now)
                return
        fault = check(request)
        if fault is not None:
            self._refuse_malformed(now, key, back, request, fault)
        elif method == "CANCEL":
            self._cancel(now, key, back, request)
        else:
            self._route(now, flow, key, back, request)

    def _route(self, now: float, flow: Flow, key: str, back: Flow, request: Request) -> None:
        """Find the way of a request that is no repetition (RFC 3261 16.3 to 16.5)."""
        if request.max_forwards == 0:
            self._refuse(key, back, request, 483, "Too Many Hops")
            return
        if "route" in request.first:
            mark = self._own.mark(request)
            if mark and request.method != "REGISTER" and self._mark.holds(mark, request):
                self._in_dialog(now, key, back, request)
                return
        if request.method == "ACK":
            # Nothing of ours: an ACK is never answered, so it is never asked about.
            self.counters.dropped["stray-ack"] += 1
            return
        uri = parse_uri(request.uri)
        if isinstance(uri, Malformed):
            self._refuse_malformed(now, key, back, request, Malformed.REQUEST_URI)
        elif self._draining:
            # OPTIONS to OneProxy too: whoever asks so where to send calls looks elsewhere.
            self._refuse(key, back, request, 503, "Service Unavailable", ("Retry-After: 5",))
        elif request.method == "OPTIONS" and uri.user is None and self._own.is_here(uri):
            self._answer_options(key, back, request)
        elif len(self._servers) >= self._limit:
            self._refuse(key, back, request, 503, "Service Unavailable", ("Retry-After: 10",), code="full")
        else:
            self._decide(now, key, back, Ask(request, uri, flow, now))

    def _decide(self, now: float, key: str, back: Flow, ask: Ask) -> None:
        decision = self._policy.decide(ask)
        if decision.__class__ is Reply and decision.stateless:
            tag = to_tag(key)
            data = respond(ask.request, decision.status, decision.reason, tag, decision.headers)
            self.out.append((back, data))
            return
        server = ServerTransaction(self._tables, key, ask.request, back, now)
        ask.transaction = server
        try:
            self._apply(now, server, ask, decision)
        except Exception:
            # A fault of ours must not keep a place in the table for ever.
            server.terminate()
            raise

    def _apply(self, now: float, server: ServerTransaction, ask: Ask, decision: Decision) -> None:
        """Do what policy decided, be it at once, later, or after all branches failed."""
        match decision:
            case Forward():
                context = server.context
                if context is None:
                    context = server.context = Context(server, ask, self._failed)
                    if server.invite:
                        self.counters.calls += 1
                self._fork(now, context, ask.request, decision.targets, ask.consumed)
            case Reply():
                server.reply(now, decision.status, decision.reason, decision.headers)
            case Pending():
                server.pend(now, ask)
            case Best():
                context = server.context
                if context is None:
                    context = server.context = Context(server, ask, self._failed)
                context.answer(now)

    def _conclude(self, now: float, context: Context) -> None:
        """All branches have failed: ask once more, unless nobody was asked before."""
        ask = context.ask
        if ask is None or context.cancelled:
            context.answer(now)
            return
        ask.outcomes = context.outcomes
        ask.now = now
        try:
            decision = self._policy.decide(ask)
        except Exception:
            # A fault of ours must not cost the caller his answer and us a place for ever.
            context.answer(now)
            raise
        self._apply(now, context.server, ask, decision)

    def _in_dialog(self, now: float, key: str, back: Flow, request: Request) -> None:
        """A request of a dialog that this farm carries goes where its route says."""
        if request.method == "ACK":
            self._pass_ack(key, request)
            return
        if len(self._servers) >= 2 * self._limit:
            # Calls can go on and end while nothing new is let in, but who has one call
            # must not fill our memory through it.
            self._refuse(key, back, request, 503, "Service Unavailable", ("Retry-After: 10",), code="full")
            return
        server = ServerTransaction(self._tables, key, request, back, now)
        context = server.context = Context(server, None, self._failed)
        try:
            self._fork(now, context, request, [Target(request.uri)])
        except Exception:
            server.terminate()
            raise

    def _pass_ack(self, key: str, request: Request) -> None:
        """An ACK for a 2xx goes on without a transaction (RFC 3261 16.11, 17)."""
        hop = next_hop(request, request.uri, True)
        flow = None if hop is None else self._flows.towards(*hop)
        if flow is None:
            self.counters.dropped["unroutable-ack"] += 1
            return
        # The same for every repetition of this ACK, and different from that of others.
        branch = f"{self._branch_prefix}{to_tag(key)}"
        self.out.append((flow, forwarded(request, request.uri, flow.listener.via + branch, True)))

    def _fork(
        self,
        now: float,
        context: Context,
        request: Request,
        targets: list[Target],
        consumed: tuple[int, ...] = (),
    ) -> None:
        """Send the request to all targets at once (RFC 3261 16.6), without the lines `consumed`."""
        tables = self._tables
        method = request.method
        # RFC 3261 16.6 step 4: only what can start a dialog needs it, and inside of a
        # dialog it changes nothing any more.
        in_dialog = context.ask is None
        records = not in_dialog and method in ("INVITE", "SUBSCRIBE", "REFER", "NOTIFY")
        for target in targets:
            flow = target.flow
            if flow is None:
                hop = next_hop(request, target.uri, in_dialog, target.route)
                if hop is not None and self._own.is_next_hop(hop[1], hop[2]):
                    # A contact at our own address: ten of these in one AoR would multiply
                    # a request tenfold on each of its 70 hops (RFC 5393 3).
                    context.miss(target, 482, "loop")
                    continue
                flow = None if hop is None else self._flows.towards(*hop)
            if flow is None:
                context.miss(target, 503, "transport")
                continue
            listener = flow.listener
            self._branch_number += 1
            branch = f"{self._branch_prefix}{self._branch_number:x}"
            record_route = ""
            if records:
                mark = self._mark.make(request.call_id, request.from_tag)
                record_route = f"<{listener.route_uri};{PARAMETER}={mark}>"
            data = forwarded(
                request, target.uri, listener.via + branch, in_dialog, target.route, record_route, consumed
            )
            client = ClientTransaction(tables, branch, method, flow, data, context, now)
            client.target = target
            context.add(client)
        if not targets:
            context.answer(now)
        elif not context.waiting:
            context.settle(now)

    def _cancel(self, now: float, key: str, back: Flow, request: Request) -> None:
        """RFC 3261 9.2 and 16.10: answered here, hop by hop."""
        server = self._servers.get(key.removesuffix("CANCEL") + "INVITE")
        if server is None:
            self._refuse(key, back, request, 481, "Call/Transaction Does Not Exist")
            return
        answer = ServerTransaction(self._tables, key, request, back, now)
        answer.send(now, 200, respond(request, 200, "OK", to_tag(server.key)))
        if server.ask is not None:
            server.reply(now, 487, "Request Terminated")
        elif server.context is not None:
            server.context.cancel(now)

    def _answer_options(self, key: str, back: Flow, request: Request) -> None:
        """RFC 3261 11.2: OPTIONS to OneProxy itself; nothing needs to be remembered."""
        self.out.append((back, respond(request, 200, "OK", to_tag(key), _CAPABILITIES)))

    # Responses.

    def _response(self, now: float, flow: Flow, response: Response) -> None:
        self.counters.responses += 1
        branch = self._own_branch(response.top_via)
        # RFC 3261 17.1.3: a CANCEL has the branch of its INVITE, so the method tells them apart.
        method = response.cseq_method()
        client = self._clients.get(branch if method != "CANCEL" else f"{branch} CANCEL")
        if client is None or client.method != method:
            self.counters.stray_responses += 1
        elif response.status >= 300 and (response.fault is not None or "to" not in response.first):
            # It would have to be acknowledged, or answer in place of others: it can't be.
            self._drop(now, flow, response.fault or Malformed.TO)
        else:
            client.receive(now, response)

    def _own_branch(self, via: str | None) -> str:
        """What follows the cookie in the branch of a Via; "" where it is not ours."""
        if via is None:
            return ""
        if not via.startswith(self._vias):
            return self._own.branch_of(via)
        return via.partition(BRANCH_COOKIE)[2].partition(";")[0].partition(",")[0].rstrip(" \t")

    # Refusals.

    def _refuse_malformed(self, now: float, key: str, back: Flow, request: Request, fault: Malformed) -> None:
        self.on_malformed(now, back, fault)
        if fault is Malformed.VERSION:
            self._refuse(key, back, request, 505, REASONS[fault], code=fault)
        else:
            self._refuse(key, back, request, 400, REASONS[fault], code=fault)

    def _refuse_via(self, now: float, flow: Flow, request: Request) -> None:
        """Without a Via that can be read, an answer can only go where the request came from."""
        via = request.get("via")
        if via is None:
            self._drop(now, flow, Malformed.VIA)
        else:
            self._refuse_malformed(now, via, flow, request, Malformed.VIA)

    def _refuse(
        self,
        key: str,
        back: Flow,
        request: Request,
        status: int,
        reason: str,
        headers: tuple[str, ...] = (),
        code: str = "",
    ) -> None:
        """Refuse without remembering anything: the same request gets the same answer."""
        self.counters.dropped[code or str(status)] += 1
        if request.method != "ACK":
            self.out.append((back, respond(request, status, reason, to_tag(key), headers)))

    def _drop(self, now: float, flow: Flow, fault: Malformed) -> None:
        self.counters.dropped[fault] += 1
        self.on_malformed(now, flow, fault)


def _ignore(_now: float, _flow: Flow, _fault: Malformed) -> None:
    """Nobody wants to know."""
