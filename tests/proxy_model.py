"""What RFC 3261 16 and 17 say of one request that a proxy forwards: its branches, its end.

Written from the statements of the RFCs and fed from what crosses the wire; it shares nothing
with the engine, which `property/test_engine_model.py` holds against it.
"""

from dataclasses import dataclass, field
from math import inf
from typing import Final, Literal

from oneproxy.engine.decisions import Ask
from oneproxy.engine.flow import Flow
from oneproxy.sip.message import Request

# RFC 3261 table 4: when a request or a response that nobody answers is sent again, seconds
# after it was sent first, and when nobody waits any more.
BY_TIMER_A: Final = (0.5, 1.5, 3.5, 7.5, 15.5, 31.5)
BY_TIMER_E: Final = (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)
BY_TIMER_G: Final = BY_TIMER_E
TIMERS_OF_64_T1: Final = 32.0
TIMER_C: Final = 180.5
TIMERS_OF_T4: Final = 5.0


@dataclass
class Plan:
    """What policy says when it is asked: to forward, to reply, to be late, or the best there is."""

    kind: Literal["forward", "reply", "stateless", "pending", "best"]
    places: list[str] = field(default_factory=list)
    status: int = 404
    recurse: int = 0
    #: As in `Target`.
    first_response_s: float = 0.0
    no_answer_s: float = 0.0


@dataclass
class Due:
    """A place that a request has to go to; plan and depth as in `Branch`."""

    place: str
    plan: Plan
    depth: int = 0


@dataclass(eq=False)
class Branch:
    """A request as it came to one phone, and what this phone has said to it."""

    call: "Call"
    place: str
    request: Request
    data: bytes
    via: str
    #: The flow that it came on.
    flow: Flow
    started_at: float
    #: How long policy lets it be tried, and after how many 3xx responses it was found.
    plan: Plan
    depth: int = 0
    copies: int = 1
    #: When the first provisional response came, and the last that tells of progress.
    provisional_at: float | None = None
    progress_at: float = 0.0
    #: The first final response, and when it came.
    final: int = 0
    final_at: float = 0.0
    #: The failure as it is to go on.
    failure: bytes = b""
    #: Whether its 3xx was followed, so that it counts no more.
    redirected: bool = False
    #: The network told that nobody is there, or that the ACK did not come through.
    lost: bool = False
    lost_at: float = 0.0
    forgotten: bool = False
    cancel: bytes = b""
    cancel_at: float | None = None
    #: When its CANCEL was answered; and whether the network told that it came to nobody.
    cancel_answered_at: float | None = None
    cancel_lost: bool = False
    ack: bytes = b""

    @property
    def answered(self) -> bool:
        return 200 <= self.final < 300

    @property
    def first_wait_s(self) -> float:
        """For how long a first response is waited for: what policy wants, Timers B and F at most."""
        plan = self.plan
        return min(TIMERS_OF_64_T1, plan.no_answer_s or inf, plan.first_response_s or inf)

    @property
    def wait_s(self) -> float:
        """For how long an answer to what is no INVITE is waited for."""
        wait_s = min(TIMERS_OF_64_T1, self.plan.no_answer_s or inf)
        return wait_s if self.provisional_at is not None else min(wait_s, self.first_wait_s)

    def lose(self, now: float) -> None:
        """The network tells that nobody is there."""
        self.lost = True
        self.lost_at = now

    def is_timed_out(self, now: float) -> bool:
        """Whether nothing final came and none is waited for any more (Timers B, F; 9.1)."""
        if self.final or self.lost:
            return False
        if not self.call.invite:
            return now >= self.started_at + self.wait_s
        if self.provisional_at is not None:
            return self.cancel_at is not None and now >= self.cancel_at + TIMERS_OF_64_T1
        return now >= self.started_at + TIMERS_OF_64_T1

    def is_over(self, now: float) -> bool:
        """Whether the others do not wait for an INVITE any more, which has not ended yet.

        It has said nothing for as long as policy wanted, or rings for longer than that.
        """
        if not self.call.invite:
            return False
        until = self.started_at + self.first_wait_s
        if self.provisional_at is not None and self.provisional_at < until:
            if not self.plan.no_answer_s:
                return False
            until = self.started_at + self.plan.no_answer_s
            if self.cancel_at is not None and self.cancel_at < until:
                return False
        elif self.first_wait_s == TIMERS_OF_64_T1:
            return False
        was_final = (self.final and self.final_at < until) or (self.lost and self.lost_at < until)
        return now >= until and not was_final

    def is_ended(self, now: float) -> bool:
        """Whether the transaction waits for no final response."""
        return bool(self.final) or self.lost or self.is_timed_out(now)

    def is_closed(self, now: float) -> bool:
        """Whether it holds the answer to the caller up no longer."""
        return self.is_ended(now) or self.is_over(now)

    def transactions(self, now: float, reliable: bool) -> int:
        """How many client transactions there are for it just now, that of its CANCEL too."""
        if self.cancel_at is None or self.cancel_lost:
            count = 0
        elif self.cancel_answered_at is None:
            count = int(now < self.cancel_at + TIMERS_OF_64_T1)
        else:
            count = int(not reliable and now < self.cancel_answered_at + TIMERS_OF_T4)
        if not self.is_ended(now):
            return count + 1
        if not self.final:
            return count
        if not self.call.invite:
            return count + int(not reliable and now < self.final_at + TIMERS_OF_T4)
        kept = self.answered or not (reliable or self.forgotten)
        return count + int(kept and now < self.final_at + TIMERS_OF_64_T1)

    def result(self, now: float) -> int:
        """What it counts as (16.7, 16.8, 16.9)."""
        if self.lost and not self.is_over(now):
            return 503
        return 408 if self.is_over(now) or self.is_timed_out(now) else self.final


@dataclass(eq=False)
class Call:
    """A request of a caller, INVITE or not, and what has come back."""

    host: str
    method: str
    branch: str
    call_id: str
    from_tag: str
    data: bytes
    via: str
    asked_at: float
    #: What policy says first and when it is asked again; None where it is not to be asked.
    first: Plan | None
    again: Plan | None = None
    asks: int = 0
    ask: Ask | None = None
    #: Until when a decision is awaited.
    pending_until: float | None = None
    #: What policy answers by itself.
    reply: int = 0
    stateless: bool = False
    branches: list[Branch] = field(default_factory=list)
    #: How many rounds of 3xx are followed.
    recurse: int = 0
    #: Where it has to go to at once and has not yet.
    due: list["Due"] = field(default_factory=list)
    #: The last response, and the first final one.
    last: bytes = b""
    final: bytes = b""
    status: int = 0
    final_at: float = 0.0
    acknowledged_at: float | None = None
    cancelled_at: float | None = None
    cancel_answer: bytes = b""
    cancel_answered_at: float = 0.0
    #: The response that just came and may be passed on.
    passing: bytes = b""
    #: The response that just came names another place than it came from (12.1.2).
    turns: bool = False
    #: The Record-Route of its 2xx, and where requests of the caller go by it: where the callee
    #: said that he is, and where policy has let one go since.
    route: str = ""
    leads: str = ""
    let: str = ""
    #: Of a request inside of a dialog: that, and where it is to go.
    dialog: "Call | None" = None
    wanted: str = ""
    #: Whether its 2xx ends what is remembered of the dialog.
    ends: bool = False

    @property
    def invite(self) -> bool:
        return self.method == "INVITE"

    def is_as_it_came(self, data: bytes) -> bool:
        """Whether a response goes on as it came (16.7 step 3), but for the mark where it has to change.

        16.7 step 8 lets a proxy change its own Record-Route, and nothing else.
        """
        if not self.turns:
            return data == self.passing
        begins = data.find(b";mark=") + len(b";mark=")
        ends = data.find(b">", begins)
        before, after = self.passing[:begins], self.passing[ends:]
        changed = data[begins:ends] != self.passing[begins:ends]
        return changed and data[:begins] == before and data[ends:] == after

    def counting(self) -> list[Branch]:
        """The branches whose ends count: all but those whose 3xx was followed."""
        return [branch for branch in self.branches if not branch.redirected]

    def all_closed(self, now: float) -> bool:
        """Whether no branch can bring a response any more."""
        return not self.due and all(branch.is_closed(now) for branch in self.branches)

    def is_silent(self, now: float) -> bool:
        """RFC 4320 4.2: no 408 to what is no INVITE, so after its own time-out nothing is said."""
        return (
            not self.invite
            and not self.final
            and self.pending_until is None
            and now >= self.asked_at + TIMERS_OF_64_T1
            and self.all_closed(now)
            and 408 in self.timeouts(now)
        )

    def timeouts(self, now: float) -> list[int]:
        """A 408 for every branch that stood for one by its silence."""
        return [408 for one in self.counting() if one.is_timed_out(now) or one.is_over(now)]

    def is_refused_by_all(self, now: float) -> bool:
        """Whether a 6xx came that counts."""
        return any(branch.result(now) >= 600 for branch in self.branches)

    def is_alive(self, now: float, reliable: bool) -> bool:
        """Whether the transaction of the caller is still there to absorb a repetition."""
        if self.stateless:
            return False
        if not self.final:
            return not self.is_silent(now)
        if not self.invite:
            return not reliable and now < self.final_at + TIMERS_OF_64_T1
        if self.status < 300 or self.acknowledged_at is None:
            return now < self.final_at + TIMERS_OF_64_T1
        return not reliable and now < self.acknowledged_at + TIMERS_OF_T4

    def transactions(self, now: float, reliable: bool) -> int:
        """How many server transactions there are for it just now, that of its CANCEL too."""
        kept = not reliable and self.cancel_answer and now < self.cancel_answered_at + TIMERS_OF_64_T1
        return int(self.is_alive(now, reliable)) + int(bool(kept))

    def may_answer(self, now: float) -> set[int]:
        """Which failures may go back (RFC 3261 16.7 step 6)."""
        if self.reply:
            return {self.reply}
        results = {branch.result(now) for branch in self.counting()}
        allowed = {status for status in results if status >= 600}
        if not allowed:
            lowest = min((status // 100 for status in results), default=5)
            allowed = {status for status in results if status // 100 == lowest} or {500}
            # "SHOULD give preference to responses that provide information affecting
            # resubmission of this request".
            allowed = allowed & {401, 407, 415, 420, 484} or allowed
        if 503 in allowed:
            allowed = allowed - {503} | {500}
        if 408 in allowed and not self.invite:
            allowed = allowed - {408} | {504}
        return allowed | ({487} if self.cancelled_at is not None else set())

    def is_made_here(self, status: int, now: float) -> bool:
        """Whether a failure of this status may be ours rather than a phone's."""
        if self.reply or (status == 487 and self.cancelled_at is not None):
            return True
        results = {branch.result(now) for branch in self.counting()}
        if status == 504 and not self.invite and 408 in results:
            return True
        if status == 500 and (503 in results or not results):
            return True
        # Challenges of several branches are put together (step 7).
        return (status == 408 and 408 in self.timeouts(now)) or status in (401, 407)
