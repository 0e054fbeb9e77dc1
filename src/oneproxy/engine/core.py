"""The engine: what becomes of a message, from its octets to those that leave.

    receive -> split -> response: its branch, the response context, upstream
                     -> request:  its transaction, else its dialog, else policy

It has no socket and no clock: `receive` and `expire` are told the time, `deadline` says
when `expire` is wanted, and what is to be sent stands in `out`.
"""

from typing import Final

from oneproxy.engine.acks import Acks
from oneproxy.engine.branches import Branches
from oneproxy.engine.call import Call
from oneproxy.engine.context import Context
from oneproxy.engine.counters import Counters
from oneproxy.engine.decisions import (
    Answered,
    Ask,
    Best,
    Decision,
    Forward,
    Pending,
    Policy,
    Reply,
    Target,
)
from oneproxy.engine.dialog import DialogMark
from oneproxy.engine.flow import Flow, Flows, Listener
from oneproxy.engine.following import Followed, Following
from oneproxy.engine.forking import Forking
from oneproxy.engine.gate import Gate
from oneproxy.engine.inbound import read_inbound
from oneproxy.engine.inside import FULL, TOO_MANY_HOPS, Inside
from oneproxy.engine.loops import is_same_request, later_vias
from oneproxy.engine.machines import ACCEPTED, COMPLETED, CONFIRMED, PROCEEDING
from oneproxy.engine.neighbours import Neighbours
from oneproxy.engine.new_call import begin, record_reply, tell_of_no_hop
from oneproxy.engine.origin import OwnRequest
from oneproxy.engine.refusals import Refusals
from oneproxy.engine.responses import Responses
from oneproxy.engine.routing import NO_ROUTE, PARAMETER, Own, next_uri, unstrict
from oneproxy.engine.sending import Sender
from oneproxy.engine.server import ServerTransaction, to_tag
from oneproxy.engine.tables import Tables
from oneproxy.engine.telling import Telling
from oneproxy.engine.trust import Trust
from oneproxy.sip.check import check
from oneproxy.sip.identity import TRUSTED_ONLY
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request, Response, split
from oneproxy.sip.response import respond
from oneproxy.sip.uri import Uri, parse_uri

_DRAINING: Final = Reply(503, "Service Unavailable", ("Retry-After: 5",))
_LOOP: Final = Reply(482, "Loop Detected")
_NO_TRANSACTION: Final = Reply(481, "Call/Transaction Does Not Exist")
#: Groups of targets that are tried for one request: more than any route has, and few enough
#: that a policy that never gives up is no endless loop.
_ROUNDS: Final = 50
#: Branches at once for each server transaction that there is room for.
_BRANCHES: Final = 3


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
        calls: int = 0,
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
        self.trust = Trust(self.counters)
        self.gate = Gate(self.counters, self.trust)
        self.neighbours = Neighbours(self.counters, self.gate.spares)
        self.telling = Telling(self.gate)
        self._shedding = self.gate.shedding
        branches = Branches(node)
        self._forking = Forking(
            self._tables,
            flows,
            mark,
            own,
            branches,
            _BRANCHES * transactions,
            self._follow_redirect,
            self._conclude,
            self.trust.hidden_lines,
            self.trust.is_kept,
            self.neighbours,
        )
        self._sender = Sender(self._tables, flows, branches, _BRANCHES * transactions)
        self.following = Following(self._tables, calls or transactions, own.is_own_route, self._sender.send)
        self.refusals = Refusals(self._tables)
        self._inside = Inside(
            self._tables,
            flows,
            self._forking,
            self.following,
            self.refusals,
            Acks(self._tables, flows, own, branches.prefix),
            2 * transactions,
            calls or transactions,
            own,
            mark.places,
            policy.placed,
        )
        self._responses = Responses(self._tables, listeners, own, self.refusals, self.trust, self.neighbours)

    # What the driver calls.

    def receive(self, now: float, flow: Flow, data: bytes) -> None:
        """Handle one message that came on `flow`."""
        if now < self.gate.shut_until or now < self._shedding.until:
            if data.startswith(b"INVITE "):
                refusal = self.gate.refuse(now, data, flow, self._servers)
                if refusal is not None:
                    self.out.append((flow, refusal))
                    return
            elif data.startswith(b"ACK ") and self.gate.acknowledged(data, flow, self._servers):
                return
        message = split(data)
        if message.__class__ is Request:
            self._request(now, flow, message)
        elif message.__class__ is Response:
            self._responses.receive(now, flow, message)
        elif isinstance(message, Malformed) and data.strip(b"\r\n\0"):
            self.refusals.drop(now, flow, message)

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
            branch = self._responses.own_branch(message.get("via"))
            client = self._clients.get(branch if message.method != "CANCEL" else f"{branch} CANCEL")
            # Who has answered is there: the report is of a repetition that the answer overtook.
            if client is not None and not (client.invite and client.state == PROCEEDING):
                client.unreachable(now)

    def closed(self, now: float, flow: Flow) -> None:
        """A connection is closed. What was sent on it and not answered at all has failed."""
        # A phone that rings may answer on another connection; a page in a browser is gone.
        is_page = flow.listener.transport in ("WS", "WSS")
        for client in tuple(flow.pending):
            if is_page or client.state != PROCEEDING or not client.invite:
                client.unreachable(now)
        self._policy.closed(now, flow)

    def answer(self, now: float, ask: Ask, decision: Decision) -> None:
        """The decision for an ask that policy had answered PENDING."""
        server = ask.transaction
        if isinstance(server, ServerTransaction) and server.ask is ask:
            server.ask = None
            ask.waited = True
            try:
                self._apply(now, server, ask, decision)
            except Exception:
                server.abandon(now)
                raise

    def originate(self, now: float, request: OwnRequest, answered: Answered | None = None) -> None:
        """Send a request of our own; `answered` is told once what came of it."""
        self._sender.send(now, request, answered)

    def end(self, now: float, call: Call, reason: str = "") -> None:
        """End a followed call from the side: BYE to both, or the INVITE is given up.

        reason: a Reason value (RFC 3326), of Latin-1 characters, else UnicodeEncodeError is
        raised. A call that is over already stays as it is.
        """
        reason.encode("latin-1")
        followed = self.following.of_call(call)
        if followed is not None and not self.following.end(now, followed, reason):
            context = followed.context
            if context is not None:
                self._give_up(now, context.server, reason)

    def drain(self) -> None:
        """Refuse from now on what would start something new."""
        self._draining = True

    def unanswered(self) -> int:
        """Requests that wait for their final response."""
        return self._tables.unanswered

    def sizes(self) -> dict[str, int]:
        """How full the tables are."""
        return {"servers": len(self._servers), "clients": len(self._clients)}

    def calls(self) -> int:
        """How many calls are followed."""
        return len(self.following)

    # Requests.

    def _request(self, now: float, flow: Flow, request: Request) -> None:
        self.counters.requests += 1
        inbound = read_inbound(request, flow, self._flows)
        if isinstance(inbound, Malformed):
            self.refusals.via(now, flow, request)
            return
        key, back, natted = inbound
        if ";oc" in request.values[request.first["via"]]:
            self.telling.greet(now, back)
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
            self.refusals.malformed(now, key, back, request, fault)
        elif method == "CANCEL":
            self._cancel(now, key, back, request)
        elif method == "INVITE" and self.gate.repeated.knows(now, key):
            self.counters.retransmissions += 1
            self.refusals.answer(key, back, request, self.gate.reply_again())
        else:
            self._route(now, flow, key, back, natted, request)

    def _route(self, now: float, flow: Flow, key: str, back: Flow, natted: bool, request: Request) -> None:
        """Find the way of a request that is no repetition (RFC 3261 16.3 to 16.5)."""
        next_to, passed, more = "", NO_ROUTE, 0
        if "route" in request.first:
            mark = ""
            if PARAMETER in request.uri:
                request, mark = unstrict(request, self._own)
            ours, in_route = self._own.passed(request)
            mark = in_route or mark
            if mark and request.method != "REGISTER":
                leads = self._mark.read(mark, request)
                if leads is not None:
                    if not TRUSTED_ONLY.isdisjoint(request.first):
                        request = self.trust.strip_request(flow, request)
                    came = flow if natted or flow.reliable else None
                    if self._inside.relay(now, key, back, came, request, ours, leads):
                        return
                    # It is to go where its dialog does not lead.
                    next_to, passed, more = next_uri(request, ours), ours, leads[2]
        if request.method == "ACK":
            # Nothing of ours: an ACK is never answered, so it is never asked about.
            self.counters.dropped["stray-ack"] += 1
            return
        uri = parse_uri(next_to or request.uri)
        if isinstance(uri, Malformed):
            self.refusals.malformed(now, key, back, request, Malformed.REQUEST_URI)
        elif request.max_forwards == 0 and not self._ends_here(request, uri):
            self.refusals.refuse(key, back, request, TOO_MANY_HOPS)
        elif self._draining:
            # OPTIONS to OneProxy too: whoever asks so where to send calls looks elsewhere.
            self.refusals.refuse(key, back, request, _DRAINING)
        elif request.method == "OPTIONS" and uri.user is None and self._own.is_here(uri):
            self._answer_options(key, back, Ask(request, uri, flow, now))
        elif len(self._servers) >= self._limit:
            self.refusals.refuse(key, back, request, FULL, "full")
        elif (
            (now < self.gate.shut_until or now < self._shedding.until)
            and passed == NO_ROUTE
            and (refusal := self.gate.turn_away(now, key, flow, request, uri)) is not None
        ):
            self.refusals.answer(key, back, request, refusal)
        elif ("via" in request.again or "," in request.values[request.first["via"]]) and self._is_loop(
            flow, request
        ):
            self.refusals.refuse(key, back, request, _LOOP)
        else:
            ask = Ask(request, uri, flow, now)
            if passed != NO_ROUTE:
                ask.inside = True
                ask.passed, ask.more = passed, more
            self._decide(now, key, back, natted, ask)

    def _ends_here(self, request: Request, uri: Uri) -> bool:
        """Whether a request is for OneProxy itself, and so has no more hops to go."""
        return (uri.user is None or request.method == "REGISTER") and self._own.is_here(uri)

    def _is_loop(self, flow: Flow, request: Request) -> bool:
        """Whether the same request is on its way through here already (RFC 5393 4.2.2).

        It has been here if a Via is ours, and it is still on its way if that branch is. A
        request that comes again as another one, a spiral, has another Request-URI or Route, or
        comes from elsewhere.
        """
        for value in later_vias(request):
            client = self._clients.get(self._responses.own_branch(value))
            if client is not None and isinstance(client.context, Context):
                server = client.context.server
                before = server.request
                # Policy may send on what comes from another neighbour in another way.
                is_same_source = server.flow.host == flow.host
                if before is not None and is_same_source and is_same_request(request, before):
                    return True
        return False

    def _decide(self, now: float, key: str, back: Flow, natted: bool, ask: Ask) -> None:
        decision = self._policy.decide(ask)
        if decision.__class__ is Reply and decision.stateless:
            self.trust.note(ask, decision)
            if decision.status == 503:
                self.gate.repeated.note(now, key)
            tag = to_tag(key)
            data = respond(ask.request, decision.status, decision.reason, tag, decision.headers)
            self.out.append((back, data))
            return
        server = ServerTransaction(self._tables, key, ask.request, back, now)
        server.natted = natted
        ask.transaction = server
        try:
            if not ask.inside or self._inside.begin(now, server, ask):
                self._apply(now, server, ask, decision)
        except Exception:
            server.abandon(now)
            raise

    def _apply(self, now: float, server: ServerTransaction, ask: Ask, decision: Decision) -> None:
        """Do what policy decided, be it at once, later, or after all branches failed."""
        match decision:
            case Forward():
                context = server.context
                if ask.request.max_forwards == 0:
                    if context is None:
                        tell_of_no_hop(now, ask, decision)
                    server.reply(now, TOO_MANY_HOPS.status, TOO_MANY_HOPS.reason)
                    return
                if context is not None and (context.best_status >= 600 or not decision.targets):
                    # RFC 3261 16.7 step 5: after a 6xx nobody else is tried.
                    context.answer(now)
                    return
                if context is None:
                    context = self._new_context(server, ask)
                    if server.invite and not self._begin_call(now, context, ask, decision):
                        return
                if ask.inside:
                    self._forking.fork(now, context, self._inside.allowed(ask, decision.targets))
                else:
                    context.recurse = decision.recurse
                    if context.rounds and isinstance(context.follow, Followed):
                        context.follow.caller.more = decision.targets[0].cseq_more
                    self._forking.fork(now, context, decision.targets)
            case Reply():
                self.trust.note(ask, decision)
                if ask.record is not None:
                    record_reply(now, ask, decision, server.context)
                if server.context is not None:
                    server.context.ask, server.context.outcomes = None, []
                server.reply(now, decision.status, decision.reason, decision.headers)
            case Pending():
                server.pend(now, ask)
            case Best():
                (server.context or self._new_context(server, ask)).answer(now, decision.outcome)

    def _begin_call(self, now: float, context: Context, ask: Ask, decision: Forward) -> bool:
        """Count a new call; False where it was refused."""
        refusal = begin(now, context, ask, decision, self.gate, self.following)
        if refusal is not None:
            context.server.reply(now, refusal.status, refusal.reason, refusal.headers)
            return False
        self.counters.calls += 1
        return True

    def _new_context(self, server: ServerTransaction, ask: Ask | None) -> Context:
        context = server.context = Context(server, ask, self._forking)
        return context

    def _conclude(self, now: float, context: Context) -> None:
        """All branches have failed: ask once more, unless nobody was asked before."""
        ask = context.ask
        context.rounds += 1
        if ask is None or context.cancelled or not context.outcomes or context.rounds > _ROUNDS:
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

    def _follow_redirect(self, context: Context, uris: list[str]) -> list[Target]:
        return [] if context.ask is None else self._policy.redirected(context.ask, uris)

    def _cancel(self, now: float, key: str, back: Flow, request: Request) -> None:
        """RFC 3261 9.2 and 16.10: answered here, hop by hop."""
        server = self._servers.get(key.removesuffix("CANCEL") + "INVITE")
        if server is None:
            self.refusals.refuse(key, back, request, _NO_TRANSACTION)
            return
        answer = ServerTransaction(self._tables, key, request, back, now)
        answer.send(now, 200, respond(request, 200, "OK", to_tag(server.key)))
        context = server.context
        if context is not None and isinstance(context.follow, Followed):
            context.follow.cancelled(now, request)
        self._give_up(now, server, ", ".join(request.all("reason")))

    def _give_up(self, now: float, server: ServerTransaction, reason: str) -> None:
        """Nobody wants an answer to this INVITE any more. reason: a Reason value, "" for none."""
        if server.ask is not None:
            server.reply(now, 487, "Request Terminated")
        elif server.context is not None:
            server.context.cancel(now, reason)

    def _answer_options(self, key: str, back: Flow, ask: Ask) -> None:
        """RFC 3261 11.2: OPTIONS to OneProxy itself; nothing needs to be remembered."""
        answer = self.trust.answer_options(ask)
        self.out.append(
            (back, respond(ask.request, answer.status, answer.reason, to_tag(key), answer.headers))
        )
