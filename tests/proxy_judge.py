"""The judge of an engine: each message that it sends, each question that it asks, each instant.

It sees only what crosses the wire and what policy is asked, and holds it against what
`proxy_model` knows of a request.
"""

from oneproxy.engine.decisions import BEST, PENDING, Ask, Decision, Forward, Reply, Target
from oneproxy.engine.flow import Flow
from oneproxy.sip.message import Request, Response, split
from proxy_model import (
    BY_TIMER_A,
    BY_TIMER_E,
    BY_TIMER_G,
    TIMER_C,
    TIMERS_OF_64_T1,
    Branch,
    Call,
    Due,
    Plan,
)
from world import PROXY, World


class Observed(World):
    """A world that shows what the engine sends and asks to a judge."""

    def __init__(self, judge: "Judge", transport: str) -> None:
        self.judge = judge
        super().__init__(transport=transport)

    def decide(self, ask: Ask) -> Decision:
        return self.judge.decide(ask)

    def deliver(self) -> None:
        sent = self.engine.out.copy()
        self.engine.out.clear()
        for flow, data in sent:
            self.judge.see(flow, data)

    def break_off(self, flow: Flow) -> None:
        """A connection breaks; whoever needs one to there opens another."""
        self.flows = {key: one for key, one in self.flows.items() if one is not flow}
        self.engine.closed(self.now, flow)
        self.deliver()


class Judge:
    """What was asked and sent so far, and what of it may be."""

    def begin(self, transport: str) -> None:
        """A new world, with nobody in it."""
        self.world = Observed(self, transport)
        self.reliable = transport == "TCP"
        self.parameter = ";transport=tcp" if self.reliable else ""
        self.calls: list[Call] = []
        self.branches: list[Branch] = []
        #: What was sent since the present step began.
        self.seen: list[tuple[str, Call, bytes]] = []
        #: Whether time passes just now, so that a timer is why something is sent.
        self.waiting = False
        #: The call whose request was just sent again.
        self.repeating: Call | None = None
        #: The call whose end-to-end ACK is to pass.
        self.passing_ack: Call | None = None

    # Policy.

    def decide(self, ask: Ask) -> Decision:
        """What the plan of this request says; nothing is asked that should not be."""
        (call,) = (one for one in self.calls if one.branch in (ask.request.get("via") or ""))
        assert call.first is not None, "asked about a request that goes where its dialog leads"
        assert ask.inside == (call.dialog is not None)
        assert ask.now == self.now
        call.ask = ask
        call.asks += 1
        if call.asks == 1:
            assert ask.outcomes == []
            return self.decision(call, call.first)
        assert not call.final
        assert call.cancelled_at is None, "16.10: nobody wants further targets"
        assert call.all_closed(self.now)
        statuses = sorted(outcome.status for outcome in ask.outcomes)
        assert statuses == sorted(branch.result(self.now) for branch in call.counting())
        plan, call.again = call.again, None
        return self.decision(call, plan or Plan("best"))

    def begin_inside(self, call: Call) -> None:
        """A request inside of a dialog is about to be sent on, or to be asked about."""
        call.ends = call.method == "BYE" and any(one.let for one in self.calls)

    def decision(self, call: Call, plan: Plan) -> Decision:
        """The plan as the engine understands it; the model notes what has to follow."""
        call.pending_until = None
        match plan.kind:
            case "forward" if call.dialog is not None:
                # It goes where it wanted to, wherever policy would send a new one.
                call.due = [Due(call.wanted, Plan("forward"))]
                call.dialog.let = call.wanted
                return Forward([self.target(place, plan) for place in plan.places], plan.recurse)
            case "forward":
                # 16.7 step 5: after a 6xx there are no new branches, whatever policy says.
                if not call.is_refused_by_all(self.now):
                    call.due += [Due(place, plan) for place in plan.places]
                    call.recurse = plan.recurse
                return Forward([self.target(place, plan) for place in plan.places], plan.recurse)
            case "reply" | "stateless":
                call.reply = plan.status
                call.stateless = plan.kind == "stateless"
                return Reply(plan.status, "Decided", stateless=call.stateless)
            case "pending":
                call.pending_until = self.now + 10
                return PENDING
            case "best":
                return BEST

    def uri(self, place: str) -> str:
        return f"sip:bob@{place}{self.parameter}"

    def target(self, place: str, plan: Plan) -> Target:
        return Target(self.uri(place), (), None, plan.first_response_s, plan.no_answer_s)

    # What the engine sends.

    @property
    def now(self) -> float:
        return self.world.now

    def see(self, flow: Flow, data: bytes) -> None:
        """Judge one message that the engine has sent."""
        message = split(data)
        assert flow.port == 5060
        if isinstance(message, Response):
            self.see_response(flow.host, message, data)
        else:
            assert isinstance(message, Request)
            self.see_request(flow, message, data)

    def see_response(self, host: str, message: Response, data: bytes) -> None:
        vias = message.all("via")
        (call,) = (one for one in self.calls if one.via == vias[0])
        assert (host, len(vias)) == (call.host, 1), "18.2.2: only to who asked"
        assert message.get("call-id") == call.call_id
        method = message.cseq_method()
        if method == "CANCEL":
            assert message.status in (200, 481)
            self.seen.append(("cancel-answer", call, data))
            return
        assert method == call.method
        self.seen.append(("response", call, data))
        if message.status < 200:
            self.see_provisional(call, message.status, data)
        elif message.status < 300:
            self.see_success(call, message.status, data)
        else:
            self.see_failure(call, message, data)
        call.last = data

    def see_provisional(self, call: Call, status: int, data: bytes) -> None:
        assert not call.final, "17.2.1: nothing provisional after a final response"
        if status == 100:
            age = self.now - call.asked_at
            assert call.invite or self.reliable or age >= 3.5, "RFC 4320 4.1: not before Timer E is T2"
        elif self.repeating is call:
            assert data == call.last
        else:
            assert call.invite, "RFC 4320 4.1: only 100 to what is no INVITE"
            assert call.is_as_it_came(data), "16.7 step 3: as it came but for our Via"

    def see_success(self, call: Call, status: int, data: bytes) -> None:
        if call.final and not call.invite:
            assert self.repeating is call and data == call.final
            return
        assert call.is_as_it_came(data), "16.7: a 2xx of a phone, as it came, and each once"
        call.passing = b""
        if not call.final:
            # Whatever policy is thinking about still, the call is answered.
            call.pending_until = None
            self.finish(call, status, data)
            if call.ends and call.dialog is not None:
                call.dialog.let = ""

    def see_failure(self, call: Call, message: Response, data: bytes) -> None:
        status = message.status
        if call.final:
            assert data == call.final, "17.2: never another final response"
            assert call.acknowledged_at is None, "17.2.1: not after the ACK"
            assert self.repeating is call or (
                call.invite and not self.reliable and self.now - call.final_at in BY_TIMER_G
            )
            return
        assert "tag=" in (message.get("to") or "")
        if call.pending_until is not None:
            timed_out = self.now >= call.pending_until
            assert status == 503 if timed_out else (status == 487 and call.cancelled_at is not None)
            call.pending_until = None
        else:
            assert call.all_closed(self.now), "16.7 step 5: not before all branches have ended"
            assert not any(branch.answered for branch in call.branches)
            assert status in call.may_answer(self.now)
            failures = [branch.failure for branch in call.counting() if branch.final == status]
            if not call.is_made_here(status, self.now):
                assert data in failures, "16.7: the chosen response as it came"
        self.finish(call, status, data)

    def finish(self, call: Call, status: int, data: bytes) -> None:
        call.final, call.status, call.final_at = data, status, self.now

    def see_request(self, flow: Flow, message: Request, data: bytes) -> None:
        vias = message.all("via")
        assert vias[0].startswith(f"SIP/2.0/{'TCP' if self.reliable else 'UDP'} {PROXY}:5060;branch=z9hG4bK")
        branch = next((one for one in self.branches if one.via == vias[0]), None)
        if message.method == "ACK" and len(vias) == 2:
            call, self.passing_ack = self.passing_ack, None
            assert call is not None, "16.11: an ACK for a 2xx is the caller's"
            assert branch is None
            self.seen.append(("passed-ack", call, data))
        elif branch is None:
            self.see_new_branch(flow, message, data, vias)
        else:
            assert flow is branch.flow
            {"ACK": self.see_ack, "CANCEL": self.see_cancel}.get(message.method, self.see_again)(branch, data)

    def see_new_branch(self, flow: Flow, message: Request, data: bytes, vias: list[str]) -> None:
        (call,) = (one for one in self.calls if one.via == vias[1])
        assert (message.method, len(vias)) == (call.method, 2)
        assert (message.uri, message.get("max-forwards")) == (self.uri(flow.host), "69")
        assert not call.final
        assert call.cancelled_at is None
        due = next((one for one in call.due if one.place == flow.host), None)
        assert due is not None, "nobody has decided that it goes there"
        call.due.remove(due)
        branch = Branch(call, flow.host, message, data, vias[0], flow, self.now, due.plan, due.depth)
        call.branches.append(branch)
        self.branches.append(branch)
        self.seen.append(("branch", call, data))

    def see_again(self, branch: Branch, data: bytes) -> None:
        """Timers A and E."""
        assert self.waiting and not self.reliable
        assert data == branch.data
        assert not branch.is_ended(self.now)
        assert branch.provisional_at is not None or not branch.is_over(self.now)
        branch.copies += 1
        if branch.call.invite:
            assert branch.provisional_at is None
        if branch.provisional_at is None:
            expected = BY_TIMER_A if branch.call.invite else BY_TIMER_E
            assert self.now - branch.started_at == expected[branch.copies - 2]

    def see_ack(self, branch: Branch, data: bytes) -> None:
        assert branch.call.invite
        assert branch.final >= 300, "17.1.1.3: only for a failure"
        assert branch.ack in (b"", data)
        branch.ack = data
        ack = split(data)
        assert isinstance(ack, Request)
        assert ack.all("via") == [branch.via]
        assert (ack.uri, ack.get("cseq")) == (branch.request.uri, "1 ACK")
        self.seen.append(("ack", branch.call, data))

    def see_cancel(self, branch: Branch, data: bytes) -> None:
        call = branch.call
        if branch.cancel:
            assert data == branch.cancel
            assert self.waiting and not self.reliable
            assert branch.cancel_at is not None
            assert self.now - branch.cancel_at <= TIMERS_OF_64_T1
            return
        assert call.invite
        assert branch.provisional_at is not None, "9.1: not before a provisional response"
        assert not branch.is_ended(self.now), "9.1: not after a final response"
        assert (
            call.cancelled_at is not None
            or call.is_refused_by_all(self.now)
            or any(other.answered for other in call.branches)
            or branch.is_over(self.now)
            or self.now >= max(branch.progress_at, branch.provisional_at) + TIMER_C
        )
        cancel = split(data)
        assert isinstance(cancel, Request)
        assert cancel.all("via") == [branch.via]
        assert (cancel.uri, cancel.get("cseq")) == (branch.request.uri, "1 CANCEL")
        branch.cancel, branch.cancel_at = data, self.now
        self.seen.append(("cancel", call, data))

    # What must have happened by now.

    def check(self) -> None:
        """Whether everything is there that must be there at this instant."""
        now = self.now
        least = most = 0
        for call in self.calls:
            if call.pending_until is not None:
                assert now < call.pending_until
                assert not call.final
            elif not call.final and call.all_closed(now):
                assert call.is_silent(now), "16.7 step 6: all have ended and nothing went back"
            if call.invite and now >= call.asked_at + 0.2:
                assert call.last, "17.2.1: 100 within 200 ms"
            if not call.final and not call.is_silent(now):
                most += 1
                least += call.invite or not any(branch.is_timed_out(now) for branch in call.branches)
        assert least <= self.world.engine.unanswered() <= most
        sizes = self.world.engine.sizes()
        assert sizes["servers"] == sum(call.transactions(now, self.reliable) for call in self.calls)
        assert sizes["clients"] == sum(branch.transactions(now, self.reliable) for branch in self.branches)
        for branch in self.branches:
            if branch.call.invite and not branch.is_ended(now):
                self.check_open(branch, now)

    def check_open(self, branch: Branch, now: float) -> None:
        """What is due for a branch of an INVITE that is still waited for."""
        call = branch.call
        if branch.provisional_at is None:
            age = now - branch.started_at
            wanted = branch.first_wait_s
            repeated = 0 if self.reliable else sum(1 for due in BY_TIMER_A if due <= age and due < wanted)
            assert branch.copies == 1 + repeated, "17.1.1.2: Timer A"
            return
        if branch.cancel:
            return
        assert now < max(branch.progress_at, branch.provisional_at) + TIMER_C, "16.8"
        assert call.cancelled_at is None, "16.10"
        assert not any(other.answered for other in call.branches), "16.7 step 10"
        assert not call.is_refused_by_all(now), "16.7 step 5"
        assert not branch.is_over(now)
