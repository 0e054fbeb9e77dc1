"""The response context: one request, the branches it went to, and which answer goes back
(RFC 3261 16.7 to 16.9)."""

from typing import TYPE_CHECKING, Final, Protocol

from oneproxy.engine.decisions import Outcome
from oneproxy.engine.forwarding import counted_back
from oneproxy.engine.machines import ACCEPTED, PROCEEDING, TRYING
from oneproxy.engine.neighbours import SLOWED
from oneproxy.engine.record import turned
from oneproxy.engine.routing import NO_ROUTE
from oneproxy.engine.sessions import on_success
from oneproxy.engine.timers import TIMER_F
from oneproxy.sip.edit import Edit
from oneproxy.sip.message import Response, split
from oneproxy.sip.oc import without_values

if TYPE_CHECKING:
    from oneproxy.engine.attempt import Attempt
    from oneproxy.engine.client import ClientTransaction
    from oneproxy.engine.decisions import Ask, Target
    from oneproxy.engine.dialog import DialogMark
    from oneproxy.engine.flow import Flow
    from oneproxy.engine.server import ServerTransaction
    from oneproxy.engine.sessions import Asked

#: RFC 3261 16.7 step 6: these say more about how to mend the request than other 4xx do.
_TELLING: Final = frozenset((401, 407, 415, 420, 484))
#: RFC 5626 5.3: after these, and no others, a phone is tried over its next flow.
_FLOW_FAILED: Final = (408, 430)
#: What stands for a branch that nothing came back from.
_OWN: Final = {
    403: "Forbidden",
    408: "Request Timeout",
    440: "Max-Breadth Exceeded",
    482: "Loop Detected",
}
#: RFC 3326 3.1: a phone that stops ringing for this reason shows no call as missed.
_ELSEWHERE: Final = 'SIP;cause=200;text="Call completed elsewhere"'
_CHALLENGES: Final = ("www-authenticate", "proxy-authenticate")


class Starter(Protocol):
    """Whoever starts the branches of a context."""

    marks: "DialogMark"

    def conclude(self, now: float, context: "Context") -> None:
        """All branches have failed: end in `Context.answer`, or in new branches."""
        ...

    def again(self, now: float, context: "Context", branch: "ClientTransaction") -> None:
        """Start a branch like this one, which failed, at its next address."""
        ...

    def instead(self, now: float, context: "Context", branch: "ClientTransaction", target: "Target") -> None:
        """Start a branch to `target` in place of this one, which failed."""
        ...

    def redirected(
        self, now: float, context: "Context", branch: "ClientTransaction", response: "Response"
    ) -> bool:
        """Start branches to the contacts of a 3xx; whether there were any."""
        ...


class Follow(Protocol):
    """Whoever is told of the answers to a request, for the sake of the call that it is part of."""

    def responded(self, now: float, response: "Response", flow: "Flow | None") -> None:
        """A 101 to 299 goes back. flow: where its sender is reached over a flow alone, that."""
        ...

    def failed(self, now: float, status: int) -> None:
        """A final failure goes back."""
        ...


class Lookup:
    """An attempt whose addresses are being asked for. context: None once it is given up."""

    __slots__ = ("attempt", "context")

    def __init__(self, context: "Context", attempt: "Attempt") -> None:
        self.context: Context | None = context
        self.attempt = attempt


class Context:
    """What became of the branches of one request so far."""

    __slots__ = (
        "ask",
        "asked",
        "attempts",
        "best",
        "best_status",
        "branches",
        "cancelled",
        "challenges",
        "done",
        "follow",
        "forking",
        "lookups",
        "outcomes",
        "passed",
        "recurse",
        "rounds",
        "server",
        "tried",
        "waiting",
    )

    def __init__(self, server: "ServerTransaction", ask: "Ask | None", forking: Starter) -> None:
        self.server = server
        self.forking = forking
        #: The question that led here; None inside a dialog, where nobody is asked.
        self.ask = ask
        self.branches: list[ClientTransaction] = []
        #: Branches without a final response, those that have no address yet among them.
        self.waiting = 0
        self.lookups: list[Lookup] | None = None
        #: Whether a final response has gone back.
        self.done = False
        self.cancelled = False
        #: The best failure so far as it would be sent back; None where it has to be made.
        self.best: bytes | None = None
        self.best_status = 0
        self.outcomes: list[Outcome] = []
        #: The same and more, where a call is followed: `Call.attempts`.
        self.attempts: list[Outcome] | None = None
        #: The challenges of all branches, as lines; None for as long as there are none.
        self.challenges: list[str] | None = None
        #: How often policy was asked what to try next.
        self.rounds = 0
        #: How many rounds of 3xx are followed, and the URIs that were tried; None: none.
        self.recurse = 0
        self.tried: set[str] | None = None
        #: Who is told of what goes back, where somebody follows the call.
        self.follow: Follow | None = None
        #: What session timers add to the request and, maybe, to its 2xx.
        self.asked: Asked | None = None
        #: How many of the top Route values are ours and go; NO_ROUTE outside of a dialog.
        self.passed = NO_ROUTE

    def add(self, branch: "ClientTransaction") -> None:
        """A branch has been started."""
        self.branches.append(branch)
        self.waiting += 1

    def look_up(self, attempt: "Attempt") -> Lookup:
        """A branch begins with its addresses being asked for."""
        lookup = Lookup(self, attempt)
        if self.lookups is None:
            self.lookups = []
        self.lookups.append(lookup)
        self.waiting += 1
        return lookup

    def looked_up(self, lookup: Lookup) -> None:
        """The addresses have come: the branch goes on by itself, or is missed."""
        lookup.context = None
        self.waiting -= 1
        if self.lookups is not None:
            self.lookups.remove(lookup)

    def receive(self, now: float, branch: "ClientTransaction", response: "Response") -> None:
        """A response of a branch that its transaction lets pass."""
        status = response.status
        if status >= 300:
            if branch.over:
                return  # it was counted when it was waited for no longer
            branch.over = True
            self.waiting -= 1
            outcome = self._outcome(branch, status, None, response, now)
            if not self._goes_on(now, branch, response):
                self._note(outcome)
                self.settle(now)
            return
        if status < 200:
            # RFC 3261 16.7 step 5: a 100 is for the next hop only. RFC 4320 4.1: no
            # other provisional response to what is not an INVITE.
            if status > 100 and not self.done and not branch.over and self.server.invite:
                target = branch.attempt.target
                data = _upstream(response, target.cseq_more)
                if branch.record:
                    data = turned(self.forking.marks, branch.record, target, data, False)
                self.server.send(now, status, data)
                if self.follow is not None:
                    self.follow.responded(now, response, target.flow)
            return
        self._pass_success(now, branch, response)
        if not branch.over:
            branch.over = True
            self.waiting -= 1
        if not self.done:
            self.done = True
            if self.waiting:
                self.cancel_branches(now, _ELSEWHERE)
        # The transaction stays for repetitions of the 2xx; the rest is of no more use.
        self.ask = None

    def _pass_success(self, now: float, branch: "ClientTransaction", response: "Response") -> None:
        """A 2xx goes upstream."""
        target = branch.attempt.target
        more = target.cseq_more
        success = None if self.asked is None else on_success(self.asked, response)
        if success is None:
            data = _upstream(response, more)
        else:
            data = counted_back(success, more) if more else success
        if branch.record:
            data = turned(self.forking.marks, branch.record, target, data, True)
        if self.server.state in (TRYING, PROCEEDING, ACCEPTED):
            self.server.send(now, response.status, data)
            if self.follow is not None:
                if target.answered is not None:
                    target.answered(now)
                if self.attempts is not None and not self.done:
                    self._outcome(branch, response.status, None, response, now)
                self.follow.responded(now, response, target.flow)
        elif self.server.invite:
            # RFC 3261 16.7 step 5: a 2xx to an INVITE passes even when a failure has gone back
            # before it, since the callee believes that the call stands.
            self.server.tables.out.append((self.server.flow, data))

    def fail(self, now: float, branch: "ClientTransaction", status: int, error: str) -> None:
        """A branch ended without a final response: timed out, or could not be reached."""
        if branch.over:
            return
        branch.over = True
        self.waiting -= 1
        is_late = 0.0 < branch.attempt.answer_by <= now
        outcome = self._outcome(branch, status, error, None, now)
        if branch.rest is not None and not is_late and not self._is_decided():
            self.forking.again(now, self, branch)
            return
        instead = branch.attempt.target.instead
        if instead is not None and error != "no-answer" and not self._is_decided():
            self.forking.instead(now, self, branch, instead)
            return
        self._note(outcome)
        self.settle(now)

    def miss(self, target: "Target", status: int, error: str, now: float) -> None:
        """A target that nothing is sent to, as if it had answered with `status`.

        503 where there is no way to it (RFC 3261 16.9), 482 where the way leads back here, 403 where
        it is not for whoever asks.
        """
        outcome = Outcome(target, status, error, now, 0.0, now)
        if self.attempts is not None:
            self.attempts.append(outcome)
        self._note(outcome)

    def cancel(self, now: float, reason: str = "") -> None:
        """The caller gave up (RFC 3261 16.10). reason: the Reason value of that, "" for none."""
        self.cancelled = True
        self.cancel_branches(now, reason)
        if not self.waiting:
            self.settle(now)

    def cancel_branches(self, now: float, reason: str) -> None:
        """Ask every branch that still rings to stop, and wait for no address.

        reason: what the CANCEL says of itself (RFC 3326), "" for nothing.
        """
        for branch in self.branches:
            branch.cancel(now, reason)
        if self.lookups:
            for lookup in self.lookups:
                lookup.context = None
            self.waiting -= len(self.lookups)
            self.lookups = None

    def _goes_on(self, now: float, branch: "ClientTransaction", response: "Response") -> bool:
        """Whether a failure leads to another branch in place of this one."""
        if self._is_decided():
            return False
        status = response.status
        rest = branch.rest
        if status == 503 and rest is not None:
            # RFC 3263 4.3: another address of the same target may have room.
            if rest.is_fallback:
                rest.is_fallback = False  # who says so over TCP says so over UDP
                del rest.hops[0]
            if rest.hops:
                self.forking.again(now, self, branch)
                return True
        instead = branch.attempt.target.instead
        if instead is not None and status in _FLOW_FAILED:
            self.forking.instead(now, self, branch, instead)
            return True
        return (
            300 <= status <= 399
            and branch.attempt.depth < self.recurse
            and self.forking.redirected(now, self, branch, response)
        )

    def _is_decided(self) -> bool:
        """Whether nobody else is to be tried: RFC 3261 16.7 step 5 for a 6xx."""
        return self.done or self.cancelled or self.best_status >= 600

    def _outcome(
        self,
        branch: "ClientTransaction",
        status: int,
        error: str | None,
        response: "Response | None",
        now: float,
    ) -> Outcome:
        """What became of a branch, noted for who follows the call."""
        attempt = branch.attempt
        times = attempt.started_at, attempt.first_response_at, now
        outcome = Outcome(attempt.target, status, error, *times, response)
        if self.attempts is not None:
            self.attempts.append(outcome)
        return outcome

    def _note(self, outcome: Outcome) -> None:
        """Keep the outcome, and the response if it is better than those before."""
        self.outcomes.append(outcome)
        status, response = outcome.status, outcome.response
        if status in (401, 407) and response is not None and len(self.branches) > 1:
            lines = [response.lines[at] for name in _CHALLENGES for at in response.positions(name)]
            self.challenges = (self.challenges or []) + lines
        if self.done or (self.best_status and not _better(status, self.best_status)):
            return
        self.best_status = status
        # RFC 3261 16.7 step 6: a 503 says that the next hop is full, not that we are.
        more = outcome.target.cseq_more
        self.best = None if response is None or status == 503 else _upstream(response, more)

    def settle(self, now: float) -> None:
        """After a failure: stop the others on a 6xx, and answer when none is left."""
        if self.done:
            return
        if self.waiting and self.best_status >= 600:
            self.cancel_branches(now, f"SIP;cause={self.best_status}")
        if not self.waiting:
            self.forking.conclude(now, self)

    def answer(self, now: float, outcome: Outcome | None = None) -> None:
        """Send the best response back: all branches have failed. outcome: as of `Best`."""
        self.done = True
        if outcome is not None and outcome.response is not None:
            self.best = _upstream(outcome.response, outcome.target.cseq_more)
            self.best_status = outcome.status
            self.challenges = None
        # The transaction stays for a while; what peers have said is of no more use.
        self.ask = None
        slowed = any(one.error in SLOWED for one in self.outcomes)
        self.outcomes = []
        server = self.server
        status = self.best_status
        if status == 408 and not server.invite:
            # RFC 4320 4.2: no 408 to what is no INVITE. After our own time-out the caller's
            # has come too, and nothing is said; who gave up earlier has to be told of.
            if self.best is None and now >= server.since + TIMER_F:
                if self.follow is not None:
                    self.follow.failed(now, 408)
                server.terminate()
            else:
                server.reply(now, 504, "Server Time-out")
        elif self.best is not None:
            best = self.best
            if self.challenges is not None and status in (401, 407):
                best = _challenging(best, self.challenges)
            server.send(now, status, best)
        elif self.cancelled:
            server.reply(now, 487, "Request Terminated")
        elif status in _OWN:
            server.reply(now, status, _OWN[status])
        elif slowed:
            # RFC 7339 5.10: without Retry-After, for there is room for what goes elsewhere.
            server.reply(now, 503, "Service Unavailable")
        else:
            server.reply(now, 500, "Server Internal Error")


def _upstream(response: "Response", cseq_more: int) -> bytes:
    """The response without our Via (RFC 3261 16.7 step 3). cseq_more: as of its `Target`."""
    data = response.without_top_via()
    if data is None:
        edit = Edit(response)
        edit.pop("via")
        data = edit.join()
    if b";oc=" in data:
        data = _without_oc(data)
    return counted_back(data, cseq_more) if cseq_more else data


def _without_oc(data: bytes) -> bytes:
    """A response without what was said to others of how much less somebody wants (RFC 7339 5.4).

    It would be taken for ours.
    """
    response = split(data)
    if not isinstance(response, Response):
        return data
    edit = Edit(response)
    for at in response.positions("via"):
        edit.lines[at] = f"Via: {without_values(response.values[at])}"
    return edit.join()


def _challenging(best: bytes, challenges: list[str]) -> bytes:
    """A 401 or 407 with the challenges of all branches (RFC 3261 16.7 step 7), each once.

    A caller who could answer those of one branch only would never get through to the others.
    """
    head, blank, body = best.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lines += [line for one in challenges if (line := one.encode("latin-1")) not in lines]
    return b"\r\n".join(lines) + blank + body


def _better(status: int, than: int) -> bool:
    """Which of two failures goes back (RFC 3261 16.7 step 6)."""
    return _rank(status) < _rank(than)


def _rank(status: int) -> int:
    if status >= 600:
        return 0
    if status in _TELLING:
        return 401
    if status == 408:
        return 499  # says less than any answer of the callee
    if status == 503:
        return 599
    return status if status < 400 else (status // 100) * 100 + 50
