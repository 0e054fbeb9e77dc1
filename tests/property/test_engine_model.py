"""The engine against a model of RFC 3261 16 and 17: any interleaving, every message judged.

Callers, phones, the network and policy act at random. The model sees only what crosses the
wire and what policy is asked. `proxy_judge` says of each message whether it may be, and of
each instant what must have come by then; `proxy_model` is what it knows of a request.

ONEPROXY_MODEL_STEPS: how many steps to take, 20000 unless it says otherwise; above that with
another seed every time.
"""

import os
from collections.abc import Callable
from typing import Any, Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from oneproxy.engine.decisions import Reply
from oneproxy.sip.message import Request, Response, split
from proxy_judge import Judge
from proxy_model import TIMERS_OF_64_T1, Branch, Call, Due, Plan
from world import request, response

STEPS: Final = int(os.environ.get("ONEPROXY_MODEL_STEPS", "20000"))
STEPS_OF_A_RUN: Final = 50

TICK: Final = 1 / 128
CALLERS: Final = ("192.0.2.10", "192.0.2.11")
PHONES: Final = ("192.0.2.20", "192.0.2.30", "192.0.2.40")
MOST_CALLS: Final = 12

PROVISIONAL = st.sampled_from([100, 180, 183])
FAILURES = (302, 401, 404, 407, 408, 480, 484, 486, 487, 500, 503, 504, 600, 603)
STATUSES = st.one_of(PROVISIONAL, st.sampled_from([200, 202]), st.sampled_from(FAILURES))
PLACES = st.lists(st.sampled_from(PHONES), min_size=1, max_size=3)
#: Where a phone says that it is; "" for where it was called.
ELSEWHERE = st.sampled_from(["", "", *PHONES])
#: In ticks, to the instants at which something is due.
SHORT = st.sampled_from([1, 10, 19, 20, 64, 128, 500, 512, 639, 640, 1280])
LONG = st.sampled_from([4095, 4096, 4097, 12_800, 23_104, 25_600])
WHICH = st.integers(0, 63)
METHODS = st.sampled_from(["INVITE", "INVITE", "MESSAGE", "SUBSCRIBE"])
#: How long a target is tried, in seconds: for a first response, and for a final one.
PATIENCE = st.sampled_from([(0, 0), (0, 0), (0, 0), (4, 0), (0, 10), (1, 10), (0, 60), (4, 60)])
FORWARD = st.builds(
    lambda places, recurse, patience: Plan("forward", places, 0, recurse, *patience),
    PLACES,
    st.integers(0, 2),
    PATIENCE,
)
REPLY = st.builds(Plan, st.just("reply"), status=st.sampled_from([302, 404, 480, 503]))
BEST_OF_THEM = st.builds(Plan, st.just("best"))
LATER = st.builds(Plan, st.just("pending"))
FIRST = st.one_of(FORWARD, FORWARD, FORWARD, REPLY, st.just(Plan("stateless")), LATER)
AGAIN = st.one_of(BEST_OF_THEM, BEST_OF_THEM, FORWARD, REPLY, LATER)
LATE = st.one_of(FORWARD, REPLY, BEST_OF_THEM)
IN_DIALOG = st.sampled_from(["BYE", "INVITE", "INFO"])

#: What may happen next: how often, the method that does it, and its arguments.
MOVES: Final[tuple[tuple[int, str, tuple[st.SearchStrategy[Any], ...]], ...]] = (
    (3, "call", (st.sampled_from(CALLERS), METHODS, FIRST, AGAIN)),
    (1, "call_inside_of_a_dialog", (WHICH, IN_DIALOG, st.sampled_from(PHONES), FIRST)),
    (2, "repeat_a_request", (WHICH,)),
    (8, "respond_in_time", (WHICH, STATUSES, ELSEWHERE)),
    (2, "respond", (WHICH, STATUSES, st.sampled_from(["b", "c"]), ELSEWHERE)),
    (1, "redirect", (WHICH, PLACES)),
    (2, "answer_a_cancel", (WHICH, st.sampled_from([200, 481]), st.booleans())),
    (1, "cancel", (WHICH,)),
    (2, "acknowledge", (WHICH,)),
    (2, "decide_late", (WHICH, LATE)),
    (1, "decide_too_late", (WHICH,)),
    (1, "nobody_is_there", (WHICH, st.sampled_from([1500, 250]))),
    (1, "an_ack_or_a_cancel_finds_nobody", (WHICH,)),
    (1, "a_connection_breaks", (WHICH,)),
    (6, "wait", (SHORT,)),
    (1, "wait", (LONG,)),
)
MOVE = st.one_of([st.tuples(st.just(name), *given) for often, name, given in MOVES for _ in range(often)])


class EngineModel(Judge, RuleBasedStateMachine):
    """Callers, phones, the network and policy; what they may do next."""

    @initialize(transport=st.sampled_from(["UDP", "UDP", "TCP"]), method=METHODS, first=FIRST, again=AGAIN)
    def start(self, transport: str, method: str, first: Plan, again: Plan) -> None:
        self.begin(transport)
        self.number = 0
        self.call(CALLERS[0], method, first, again)

    def act(self, action: Callable[[], None]) -> list[tuple[str, Call, bytes]]:
        """Do something, and what it made the engine send."""
        self.has_acted = True
        self.seen = []
        action()
        return self.seen

    def send(self, host: str, data: bytes) -> list[tuple[str, Call, bytes]]:
        return self.act(lambda: self.world.peer(host).send(data))

    @rule(move=MOVE)
    def step(self, move: tuple[Any, ...]) -> None:
        """One move. One rule for all, so that each comes as often as it is worth."""
        name, *given = move
        self.has_acted = False
        getattr(self, name)(*given)
        if not self.has_acted:
            # Nobody was there to do it: there shall be.
            method = "INVITE" if self.number % 4 else "MESSAGE"
            self.call(CALLERS[0], method, Plan("forward", [*PHONES[: 1 + self.number % 3]]), Plan("best"))

    def call(self, host: str, method: str, first: Plan, again: Plan) -> None:
        """A new request; policy is asked about it, and it goes where policy says."""
        if len(self.calls) == MOST_CALLS:
            return
        self.number += 1
        branch, call_id, from_tag = (f"{what}{self.number:02}" for what in ("z9hG4bKc", "call-", "a"))
        data = request(method, branch=branch, via=host, call_id=call_id, from_tag=from_tag)
        via = f"SIP/2.0/UDP {host};branch={branch}"
        call = Call(host, method, branch, call_id, from_tag, data, via, self.now, first, again)
        self.calls.append(call)
        seen = self.send(host, data)
        assert call.asks == 1
        assert not call.due
        if call.stateless:
            assert [kind for kind, *_ in seen] == ["response"]

    def call_inside_of_a_dialog(self, which: int, method: str, place: str, first: Plan) -> None:
        """A request of a dialog goes by its Route: nobody is asked where that leads there."""
        dialogs = [one for one in self.calls if one.route]
        if not dialogs or len(self.calls) == MOST_CALLS:
            return
        dialog = dialogs[which % len(dialogs)]
        self.number += 1
        branch = f"z9hG4bKc{self.number:02}"
        data = self.of_dialog(dialog, method, place, branch)
        via = f"SIP/2.0/UDP {dialog.host};branch={branch}"
        is_asked = place not in (dialog.leads, dialog.let)
        plan = first if is_asked else None
        call = Call(dialog.host, method, branch, dialog.call_id, dialog.from_tag, data, via, self.now, plan)
        call.dialog, call.wanted = dialog, place
        if not is_asked:
            call.due = [Due(place, Plan("forward"))]
        self.begin_inside(call)
        self.calls.append(call)
        self.send(dialog.host, data)
        assert call.asks == is_asked
        assert not call.due

    def of_dialog(self, dialog: Call, method: str, place: str, branch: str) -> bytes:
        """A request of the caller inside of a dialog, which goes by its Route."""
        return request(
            method,
            self.uri(place),
            f"Route: {dialog.route}",
            branch=branch,
            via=dialog.host,
            call_id=dialog.call_id,
            from_tag=dialog.from_tag,
            to_tag="b",
        )

    def repeat_a_request(self, which: int) -> None:
        """The caller has heard nothing and sends it again."""
        call = self.calls[which % len(self.calls)]
        if self.reliable or not call.is_alive(self.now, self.reliable):
            return
        self.repeating = call
        seen = self.send(call.host, call.data)
        self.repeating = None
        is_absorbed = call.acknowledged_at is not None or (call.invite and 200 <= call.status < 300)
        expected = [] if is_absorbed or not call.last else [("response", call, call.last)]
        assert seen == expected, "17.2: the last response again, and nothing goes on"

    def respond(self, which: int, status: int, tag: str, elsewhere: str) -> None:
        """Any phone says anything, late or not."""
        if not self.branches:
            return
        branch = self.branches[which % len(self.branches)]
        if status >= 300 and branch.final >= 300:
            status = branch.final
        self.answer(branch, status, tag, elsewhere=elsewhere)

    def respond_in_time(self, which: int, status: int, elsewhere: str) -> None:
        """A phone that is waited for says something."""
        waiting = [one for one in self.branches if not one.is_ended(self.now)]
        if waiting:
            self.answer(waiting[which % len(waiting)], status, "b", elsewhere=elsewhere)

    def redirect(self, which: int, places: list[str]) -> None:
        """A phone names others: they are tried as deep as policy has it (16.7 step 4)."""
        waiting = [one for one in self.branches if not one.is_ended(self.now)]
        if not waiting:
            return
        branch = waiting[which % len(waiting)]
        call = branch.call
        tried = {one.place for one in call.branches}
        fresh = [place for place in dict.fromkeys(places) if place not in tried]
        if (
            fresh
            and branch.depth < call.recurse
            and not branch.is_over(self.now)
            and not call.final
            and call.cancelled_at is None
            and not call.is_refused_by_all(self.now)
        ):
            branch.redirected = True
            call.due += [Due(place, Plan("forward"), branch.depth + 1) for place in fresh]
        self.answer(branch, 302, "b", f"Contact: {', '.join(f'<{self.uri(place)}>' for place in places)}")
        assert not call.due

    def answer(self, branch: Branch, status: int, tag: str, *headers: str, elsewhere: str = "") -> None:
        """A phone says `status`: what follows is certain where it is the hop's own business.

        elsewhere: where it is, if not where it was called, in what may begin a dialog.
        """
        call = branch.call
        begins = call.dialog is None and 100 < status < 300 and call.method != "MESSAGE"
        call.turns = begins and elsewhere not in ("", branch.place)
        if begins and elsewhere:
            headers = (*headers, f"Contact: <{self.uri(elsewhere)}>")
        data = response(branch.request, status, *headers, to_tag=tag)
        onward = data.replace(f"Via: {branch.via}\r\n".encode(), b"", 1)
        was_ended, was_over, was_final = (
            branch.is_ended(self.now),
            branch.is_over(self.now),
            bool(call.final),
        )
        if not was_ended:
            self.note(branch, status, onward)
        if status < 300:
            call.passing = onward
        seen = self.send(branch.place, data)
        call.passing = b""
        kinds = [kind for kind, *_ in seen]
        upwards = [one for kind, _, one in seen if kind == "response"]
        if was_ended:
            assert kinds == self.late_answer(branch, status), "RFC 6026 8.8"
        elif status < 200:
            passes = call.invite and status > 100 and not was_final and not was_over
            assert len(upwards) == passes
        elif status < 300:
            assert len(upwards) == (call.invite or not was_final)
            if call.invite and not call.route and call.dialog is None:
                answered = split(upwards[0])
                assert isinstance(answered, Response)
                call.route = answered.get("record-route") or ""
                call.leads = elsewhere or branch.place
        else:
            assert kinds.count("ack") == call.invite
            assert not (was_over and upwards)

    def late_answer(self, branch: Branch, status: int) -> list[str]:
        """What a response brings about whose transaction has had its final one."""
        age = self.now - branch.final_at
        if not branch.call.invite or not branch.final or age >= TIMERS_OF_64_T1:
            return []
        if branch.answered:
            return ["response"] if 200 <= status < 300 else []
        # 17.1.1.2: acknowledged again, and not passed on.
        return ["ack"] if status >= 300 and not self.reliable and not branch.forgotten else []

    def note(self, branch: Branch, status: int, onward: bytes) -> None:
        """What the first response of its kind makes of a branch that waits for one."""
        if status >= 200:
            branch.final, branch.final_at, branch.failure = status, self.now, onward
            return
        if branch.provisional_at is None:
            branch.provisional_at = self.now
        if status > 100:
            branch.progress_at = self.now

    def answer_a_cancel(self, which: int, status: int, ends: bool) -> None:
        """A phone answers the CANCEL, and maybe ends the call as it should."""
        asked = [one for one in self.branches if one.cancel]
        if not asked:
            return
        branch = asked[which % len(asked)]
        cancel = split(branch.cancel)
        assert isinstance(cancel, Request)
        is_awaited = not branch.cancel_lost and self.now < (branch.cancel_at or 0) + TIMERS_OF_64_T1
        if branch.cancel_answered_at is None and is_awaited:
            branch.cancel_answered_at = self.now
        assert self.send(branch.place, response(cancel, status)) == [], "9.1: its answer changes nothing"
        if ends and status == 200 and branch.final < 300:
            self.answer(branch, 487, "b")

    def cancel(self, which: int) -> None:
        """The caller gives up."""
        call = self.calls[which % len(self.calls)]
        if not call.invite and call.method != "INVITE" and which % 4:
            return
        alive = call.invite and call.is_alive(self.now, self.reliable)
        kept = not self.reliable and self.now < call.cancel_answered_at + TIMERS_OF_64_T1
        if alive and not call.final and call.cancelled_at is None:
            call.cancelled_at = self.now
        cseq = b"CSeq: 1 CANCEL"
        data = call.data.replace(call.method.encode(), b"CANCEL", 1).replace(
            f"CSeq: 1 {call.method}".encode(), cseq
        )
        seen = self.send(call.host, data)
        answers = [one for kind, _, one in seen if kind == "cancel-answer"]
        assert len(answers) == 1
        if kept and call.cancel_answer:
            assert answers == [call.cancel_answer]
        else:
            assert answers[0].startswith(b"SIP/2.0 200" if alive else b"SIP/2.0 481"), "9.2"
            if alive:
                call.cancel_answer, call.cancel_answered_at = answers[0], self.now
        if not alive:
            assert len(seen) == 1

    def acknowledge(self, which: int) -> None:
        """The caller acknowledges a final response."""
        ended = [one for one in self.calls if one.final and one.invite]
        if not ended:
            return
        call = ended[which % len(ended)]
        if call.status >= 300:
            if not call.is_alive(self.now, self.reliable):
                return
            if call.acknowledged_at is None:
                call.acknowledged_at = self.now
            data = call.data.replace(b"INVITE", b"ACK", 1).replace(b"1 INVITE", b"1 ACK")
            assert self.send(call.host, data) == [], "17.2.1: it ends the repetition, and goes nowhere"
        elif call.route:
            place = PHONES[which % len(PHONES)] if which % 2 else call.leads
            leads = place in (call.leads, call.let)
            self.passing_ack = call if leads else None
            data = self.of_dialog(call, "ACK", place, f"{call.branch}a")
            assert [kind for kind, *_ in self.send(call.host, data)] == ["passed-ack"] * leads

    def decide_late(self, which: int, plan: Plan) -> None:
        """Policy has made up its mind."""
        late = [one for one in self.calls if one.pending_until is not None]
        if not late:
            return
        call = late[which % len(late)]
        ask = call.ask
        assert ask is not None and not ask.answered
        decision = self.decision(call, plan)

        def hand_in() -> None:
            self.world.engine.answer(self.now, ask, decision)
            self.world.deliver()

        self.act(hand_in)
        assert not call.due
        # It is of no use twice.
        assert self.act(hand_in) == []

    def decide_too_late(self, which: int) -> None:
        """Policy decides what nobody waits for any more."""
        asked = [one for one in self.calls if one.ask is not None and one.pending_until is None]
        if asked:
            call = asked[which % len(asked)]
            assert call.ask is not None
            self.world.engine.answer(self.now, call.ask, Reply(500, "Too Late"))
            assert self.act(self.world.deliver) == []

    def nobody_is_there(self, which: int, quoted: int) -> None:
        """ICMP quotes what nobody took, or the beginning of it."""
        if not self.branches:
            return
        branch = self.branches[-1 - which % min(3, len(self.branches))]
        if branch.is_ended(self.now):
            return
        if branch.provisional_at is None or not branch.call.invite:
            branch.lose(self.now)

        def tell() -> None:
            self.world.engine.unreachable(self.now, branch.data[:quoted])
            self.world.deliver()

        seen = self.act(tell)
        if not branch.lost:
            assert seen == [], "figure 5: a phone that rings is there"

    def an_ack_or_a_cancel_finds_nobody(self, which: int) -> None:
        """ICMP tells that an ACK or a CANCEL found nobody."""
        asked = [one for one in self.branches if one.ack or one.cancel]
        if not asked:
            return
        branch = asked[which % len(asked)]
        if branch.ack:
            branch.forgotten = True
        elif branch.cancel_answered_at is None:
            branch.cancel_lost = True

        def tell() -> None:
            self.world.engine.unreachable(self.now, branch.ack or branch.cancel)
            self.world.deliver()

        assert self.act(tell) == []

    def a_connection_breaks(self, which: int) -> None:
        """A connection to a phone is gone; what waits there for a first response has failed."""
        if not self.reliable or not self.branches:
            return
        flow = self.branches[-1 - which % len(self.branches)].flow
        if flow not in self.world.flows.values():
            return
        for one in self.branches:
            if one.flow is not flow:
                continue
            if not one.is_ended(self.now) and (one.provisional_at is None or not one.call.invite):
                one.lose(self.now)
            if one.cancel and one.cancel_answered_at is None:
                one.cancel_lost = True
        self.act(lambda: self.world.break_off(flow))
        assert self.world.closed_flows[-1] is flow, "policy has to know, for its bindings"

    def wait(self, ticks: int) -> None:
        """Time passes, every timer at its instant."""
        self.waiting = True
        self.act(lambda: self.world.wait(ticks * TICK))
        self.waiting = False

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        if hasattr(self, "world"):
            self.check()

    def teardown(self) -> None:
        """Nobody says anything any more: five minutes later nothing is left."""
        if not hasattr(self, "world"):
            return
        self.wait(int(300 / TICK))
        self.check()
        assert all(call.final for call in self.calls if call.invite)
        assert self.world.engine.unanswered() == 0
        assert not any(self.world.engine.sizes().values()), self.world.engine.sizes()
        # A slot of the wheel may still hold a timer that was cancelled; none is set again.
        self.world.wait(120)
        assert self.world.engine.deadline() is None


TestEngineModel = EngineModel.TestCase
TestEngineModel.settings = settings(
    max_examples=max(1, STEPS // STEPS_OF_A_RUN),
    stateful_step_count=STEPS_OF_A_RUN,
    deadline=None,
    derandomize=STEPS <= 20_000,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
