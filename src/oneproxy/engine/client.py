"""Client transactions: a branch of a request downstream (RFC 3261 17.1, RFC 6026)."""

from typing import TYPE_CHECKING, Protocol

from oneproxy.engine.attempt import NO_ATTEMPT, Addresses, Attempt
from oneproxy.engine.hop import accompany
from oneproxy.engine.machines import (
    ACCEPTED,
    CALLING,
    COMPLETED,
    FAILED,
    FAILURE,
    INVITE_CLIENT,
    NON_INVITE_CLIENT,
    PASS,
    PROCEEDING,
    PROVISIONAL,
    RESEND,
    SEND_ACK,
    SUCCESS,
    TERMINATED,
    TIMED_OUT,
    TIMER_END,
    TIMER_RESEND,
    TIMER_TIMEOUT,
    TRYING,
    UNREACHABLE,
)
from oneproxy.engine.timers import (
    T1,
    T2,
    TIMER_B,
    TIMER_C,
    TIMER_D,
    TIMER_F,
    TIMER_K,
    TIMER_M,
)
from oneproxy.engine.transaction import Transaction

if TYPE_CHECKING:
    from oneproxy.engine.flow import Flow
    from oneproxy.engine.tables import Tables
    from oneproxy.sip.message import Response


class Told(Protocol):
    """Whoever sent a request: the context of one that is passed on, the origin of our own."""

    def receive(self, now: float, branch: "ClientTransaction", response: "Response") -> None:
        """A response has come that the transaction lets pass."""
        ...

    def fail(self, now: float, branch: "ClientTransaction", status: int, error: str) -> None:
        """It ended without a final response: 408 "timeout" or "no-answer", 503 "transport"."""
        ...


class ClientTransaction(Transaction):
    """One request that was sent, until no answer to it can come any more.

    context: who is told of responses; None for a CANCEL, whose answer changes nothing.
    """

    __slots__ = (
        "attempt",
        "branch",
        "cancel_sent",
        "cancelled",
        "context",
        "data",
        "fits",
        "gone_at",
        "listens",
        "method",
        "over",
        "reason",
        "record",
        "rest",
    )

    def __init__(
        self,
        tables: "Tables",
        branch: str,
        method: str,
        flow: "Flow",
        data: bytes,
        context: "Told | None",
        now: float,
        wait_s: float = 0.0,
    ) -> None:
        super().__init__()
        self.tables = tables
        self.branch = branch
        self.method = method
        self.flow = flow
        #: The request as it was sent; once a failure came, the ACK for it.
        self.data: bytes | None = data
        self.context = context
        #: What this branch is one try of; our own requests have none.
        self.attempt: Attempt = NO_ATTEMPT
        #: Further addresses of the target.
        self.rest: Addresses | None = None
        #: The Record-Route line of ours that answers to the request may have to change.
        self.record = ""
        #: Whether responses go on into a stream from where each came alone, so that their length
        #: has to be right.
        self.fits = False
        #: Whether what its answers say of the load of who answers is listened to.
        self.listens = False
        #: Whether the context waits for this branch no longer.
        self.over = False
        self.invite = method == "INVITE"
        self.machine = INVITE_CLIENT if self.invite else NON_INVITE_CLIENT
        self.state = CALLING if self.invite else TRYING
        #: Whether the INVITE is to be given up, and whether its CANCEL has gone out.
        self.cancelled = False
        self.cancel_sent = False
        self.reason = ""
        self.interval = T1
        #: Timer B or F, which are equal; waited for is less where others are left to try.
        self.gone_at = now + TIMER_F
        self.until = now + wait_s if 0.0 < wait_s < TIMER_F else self.gone_at
        if flow.reliable:
            flow.pending.add(self)
        tables.clients[branch] = self
        tables.out.append((flow, data))
        tables.wheel.set(self, self.until if flow.reliable else now + T1)

    def receive(self, now: float, response: "Response") -> None:
        """A response whose branch and method are ours."""
        status = response.status
        before = self.state
        attempt = self.attempt
        if not attempt.first_response_at:
            attempt.first_response_at = now
            if attempt.target.heard is not None:
                attempt.target.heard(now)
        step = self.step(PROVISIONAL if status < 200 else SUCCESS if status < 300 else FAILURE)
        if step & SEND_ACK:
            self._acknowledge(response)
        if not step & PASS:
            return
        if status < 200:
            if status > 100:
                self.rest = None  # this is the address where it rings
            self._provisional(now, status > 100 or before != PROCEEDING)
        elif self.state == ACCEPTED:
            # The first 2xx: the request can't be sent again and needs no ACK of ours.
            if self.data is not None:
                self.data = None
                self.tables.wheel.set(self, now + TIMER_M)
        elif self.flow.reliable:
            self._later(response, now)
            return
        else:
            self.tables.wheel.set(self, now + (TIMER_D if self.invite else TIMER_K))
            if not self.invite:
                self.data = None
        if self.context is not None:
            self.context.receive(now, self, response)

    def unreachable(self, now: float) -> None:
        """The transport could not send (RFC 3261 16.9: as if a 503 had come)."""
        context = self.context
        if self.step(UNREACHABLE) & FAILED and context is not None:
            context.fail(now, self, 503, "transport")

    def cancel(self, now: float, reason: str = "") -> None:
        """Ask the peer to give this INVITE up (RFC 3261 9.1): not before a provisional response.

        reason: the Reason value of the CANCEL (RFC 3326), "" for none.
        """
        if self.cancelled or not self.invite:
            return
        self.reason = reason
        if self.state == CALLING:
            self.cancelled = True
        elif self.state == PROCEEDING and self.data is not None:
            self.cancelled = True
            self._send_cancel(now)

    def wake(self, now: float) -> None:
        """One of the timers of this side has fired."""
        if self.state in (COMPLETED, ACCEPTED):
            self.step(TIMER_END)
        elif self.state == PROCEEDING and self.invite:
            self._give_up(now)
        elif now >= self.until:
            self._time_out(now)
        else:
            if self.step(TIMER_RESEND) & RESEND and self.data is not None:
                self.tables.out.append((self.flow, self.data))
            self.interval = 2 * self.interval if self.invite else min(2 * self.interval, T2)
            if self.state == PROCEEDING:
                self.interval = T2
            self.tables.wheel.set(self, min(now + self.interval, self.until))

    def terminate(self) -> None:
        """Forget this transaction; a response that comes later is a stray."""
        self.state = TERMINATED
        self.tables.clients.pop(self.branch, None)
        if self.flow.reliable:
            self.flow.pending.discard(self)
        self.tables.wheel.cancel(self)
        self.context = None
        self.data = None

    def _provisional(self, now: float, progress: bool) -> None:
        if not self.invite:
            # Whoever was to say something within a shorter time has.
            self.until = max(self.until, self.gone_at)
            if self.attempt.answer_by:
                self.until = min(self.until, self.attempt.answer_by)
            if self.flow.reliable:
                self.tables.wheel.set(self, self.until)
            return
        if self.cancelled:
            # RFC 3261 9.1: the CANCEL that had to wait for a provisional response.
            if not self.cancel_sent:
                self._send_cancel(now)
        elif progress:
            # RFC 3261 16.7 step 2, 16.8: Timer C starts with the first one and anew with
            # every one but 100, which says only that the next hop is there.
            until = now + TIMER_C
            if self.attempt.answer_by and not self.over:
                until = min(until, self.attempt.answer_by)
            self.tables.wheel.set(self, until)

    def _send_cancel(self, now: float) -> None:
        assert self.data is not None
        self.cancel_sent = True
        data = accompany(self.data, "CANCEL", headers=(f"Reason: {self.reason}",) if self.reason else ())
        ClientTransaction(self.tables, f"{self.branch} CANCEL", "CANCEL", self.flow, data, None, now)
        # RFC 3261 9.1: a peer that answers neither is gone after 64 T1.
        self.tables.wheel.set(self, now + TIMER_B)

    def _give_up(self, now: float) -> None:
        """Timer C or the time to answer is over, or 64 T1 after a CANCEL (RFC 3261 16.8, 9.1)."""
        self.rest = None  # somebody is there, so no other address is
        if self.cancelled:
            self._time_out(now)
            return
        self.cancel(now)
        if 0.0 < self.attempt.answer_by <= now and self.context is not None:
            # Others are tried without waiting for the 487; a 2xx that overtakes it still passes.
            self.context.fail(now, self, 408, "no-answer")

    def _time_out(self, now: float) -> None:
        context = self.context
        if self.state == CALLING and now < self.gone_at:
            # Waited for less than Timer B, since others can be tried: who answers yet is told
            # to stop, and a 2xx that comes all the same is the callee's word.
            self.cancelled = True
            self.until = self.gone_at
            self.tables.wheel.set(self, self.gone_at)
        elif self.state == PROCEEDING and self.invite:
            self.terminate()
        elif not self.step(TIMER_TIMEOUT) & TIMED_OUT:
            return
        if context is not None:
            context.fail(now, self, 408, "timeout")

    def _acknowledge(self, response: "Response") -> None:
        if self.state == COMPLETED and self.data is not None:
            if not self.data.startswith(b"ACK "):
                self.data = accompany(self.data, "ACK", response.lines[response.first["to"]])
            self.tables.out.append((self.flow, self.data))

    def _later(self, response: "Response", now: float) -> None:
        """Timers D and K are zero over a reliable transport: told, then forgotten."""
        context = self.context
        self.terminate()
        if context is not None:
            context.receive(now, self, response)
