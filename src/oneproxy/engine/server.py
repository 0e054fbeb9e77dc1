"""Server transactions: the upstream side of a request (RFC 3261 17.2, RFC 6026, RFC 4320)."""

from math import inf
from typing import TYPE_CHECKING, Final

from oneproxy.engine.machines import (
    ACCEPTED,
    ACK,
    COMPLETED,
    CONFIRMED,
    FAILURE,
    INVITE_SERVER,
    NON_INVITE_SERVER,
    PASS,
    PROCEEDING,
    PROVISIONAL,
    REPEAT,
    RESEND,
    SUCCESS,
    TERMINATED,
    TIMER_END,
    TIMER_RESEND,
    TIMER_TIMEOUT,
    TRYING,
)
from oneproxy.engine.timers import (
    LOOK_AFTER_S,
    PENDING_LIMIT,
    T1,
    T2,
    TIMER_H,
    TIMER_I,
    TIMER_J,
    TIMER_L,
    TRYING_AFTER,
    TRYING_NON_INVITE_AFTER,
)
from oneproxy.engine.transaction import Transaction
from oneproxy.sip.response import respond

_GIVEN_UP: Final = 487
#: Why a request is refused that policy has not decided on in time.
_LATE: Final = "no-decision"

if TYPE_CHECKING:
    from oneproxy.engine.context import Context
    from oneproxy.engine.decisions import Ask
    from oneproxy.engine.flow import Flow
    from oneproxy.engine.tables import Tables
    from oneproxy.sip.message import Request


class ServerTransaction(Transaction):
    """One request from upstream, until its answer can't be asked for again."""

    __slots__ = ("ask", "context", "key", "last", "method", "natted", "request", "since")

    def __init__(self, tables: "Tables", key: str, request: "Request", flow: "Flow", now: float) -> None:
        super().__init__()
        self.tables = tables
        self.key = key
        #: Where responses go (RFC 3261 18.2.2).
        self.flow = flow
        self.method = request.method
        self.invite = request.method == "INVITE"
        #: Whether the sender can be reached over its flow alone.
        self.natted = False
        self.machine = INVITE_SERVER if self.invite else NON_INVITE_SERVER
        self.state = PROCEEDING if self.invite else TRYING
        #: What own responses are made from; dropped with the final response.
        self.request: Request | None = request
        #: The last response, for retransmissions.
        self.last: bytes | None = None
        self.context: Context | None = None
        #: The question that policy has not answered yet.
        self.ask: Ask | None = None
        self.interval = T1
        self.since = now
        #: When the answer of policy, or later the ACK, is waited for no longer.
        self.until = inf
        tables.servers[key] = self
        tables.unanswered += 1
        tables.wheel.set(self, now + (TRYING_AFTER if self.invite else TRYING_NON_INVITE_AFTER))

    def pend(self, now: float, ask: "Ask") -> None:
        """Wait for the decision of policy, but not for ever."""
        self.ask = ask
        self.until = now + PENDING_LIMIT
        self.tables.wheel.set(self, min(self.due, self.until))

    def _answer_for_policy(self, now: float, status: int) -> None:
        """The answer goes back that policy has not decided on: it was too late, or nobody wants it."""
        ask = self.ask
        self.ask = None
        if ask is not None:
            ask.answered = True
            if ask.record is not None:
                given_up = status == _GIVEN_UP
                cause, by = ("", "caller") if given_up else (_LATE, "")
                ask.record.refused(now, status, cause, by)

    def repeat(self) -> None:
        """The request came again."""
        step = self.step(REPEAT)
        if step & RESEND and self.last is not None:
            self.tables.out.append((self.flow, self.last))

    def acknowledge(self, now: float) -> None:
        """An ACK for our final response that is no 2xx."""
        if self.state != CONFIRMED:
            self.step(ACK)
            self.last = None
            # A repeated ACK is what Timer I absorbs; it does not start it anew.
            self._end_after(now, TIMER_I)

    def send(self, now: float, status: int, data: bytes) -> None:
        """A response of the proxy core, as octets; sent if the machine lets it pass."""
        given = PROVISIONAL if status < 200 else SUCCESS if status < 300 else FAILURE
        before = self.state
        if not self.step(given) & PASS:
            return
        tables = self.tables
        tables.out.append((self.flow, data))
        if status < 200:
            self.last = data
            return
        if before in (TRYING, PROCEEDING):
            tables.unanswered -= 1
            self.request = None
            if self.ask is not None:
                self._answer_for_policy(now, status)
        if self.state == ACCEPTED:
            # RFC 6026 8.5: the 2xx is the callee's to repeat, so nothing is kept of it.
            self.last = None
            if before != ACCEPTED:
                tables.wheel.set(self, now + TIMER_L)
            return
        self.last = data
        context = self.context
        self.context = None
        if not self.invite:
            self._end_after(now, TIMER_J)
        else:
            self.until = now + TIMER_H
            tables.wheel.set(self, self.until if self.flow.reliable else now + self.interval)
        if status >= 300 and context is not None and context.follow is not None:
            # Last, for whoever is told may call back.
            context.follow.failed(now, status)

    def reply(self, now: float, status: int, reason: str, headers: tuple[str, ...] = ()) -> None:
        """A response that OneProxy makes itself."""
        if self.request is not None:
            tag = "" if status == 100 else to_tag(self.key)
            self.send(now, status, respond(self.request, status, reason, tag, headers))

    def wake(self, now: float) -> None:
        """One of the timers of this side has fired."""
        if self.state in (TRYING, PROCEEDING):
            self._wake_unanswered(now)
        elif self.state == COMPLETED and self.invite:
            self._wake_completed(now)
        else:
            self.step(TIMER_END)

    def terminate(self) -> None:
        """Forget this transaction, answered or not."""
        if self.state in (TRYING, PROCEEDING):
            self.tables.unanswered -= 1
        self.state = TERMINATED
        self.tables.servers.pop(self.key, None)
        self.tables.wheel.cancel(self)
        self.context = None
        self.ask = None
        self.request = None
        self.last = None

    def abandon(self, now: float) -> None:
        """Forget this transaction after a fault of ours, which must not cost a place for ever."""
        context = self.context
        self.terminate()
        if context is not None and context.follow is not None:
            context.follow.failed(now, 500)

    def _wake_unanswered(self, now: float) -> None:
        if self.last is None:
            self.reply(now, 100, "Trying")
        if self.ask is None:
            self._look_after(now)
        elif now < self.until:
            self.tables.wheel.set(self, self.until)
        else:
            self.tables.counters.dropped[_LATE] += 1
            self.reply(now, 503, "Service Unavailable", ("Retry-After: 5",))

    def _look_after(self, now: float) -> None:
        """Now and then: where a fault of ours has left nobody to answer, somebody has to."""
        context = self.context
        if context is None or not context.waiting:
            self.tables.counters.dropped["forgotten"] += 1
            self.reply(now, 500, "Server Internal Error")
        else:
            self.tables.wheel.set(self, now + LOOK_AFTER_S)

    def _wake_completed(self, now: float) -> None:
        """Timers G and H: the failure is sent again until it is acknowledged."""
        if now >= self.until:
            self.step(TIMER_TIMEOUT)
            return
        self.step(TIMER_RESEND)
        if self.last is not None:
            self.tables.out.append((self.flow, self.last))
        self.interval = min(2 * self.interval, T2)
        self.tables.wheel.set(self, min(now + self.interval, self.until))

    def _end_after(self, now: float, delay: float) -> None:
        """Timers I and J: nothing can be repeated over a reliable transport."""
        if self.flow.reliable:
            self.step(TIMER_END)
        else:
            self.tables.wheel.set(self, now + delay)


def to_tag(key: str) -> str:
    """The To tag of our own answers to the request with this key.

    The same for every repetition, so that an answer that was sent without keeping
    anything (RFC 3261 8.2.7) and a 200 to CANCEL (9.2) carry the tag that they must.
    """
    return str(hash(key))
