"""The response context: one request, the branches it went to, and which answer goes back
(RFC 3261 16.7 to 16.9)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from oneproxy.engine.decisions import Outcome, Target
from oneproxy.engine.machines import ACCEPTED, PROCEEDING, TRYING
from oneproxy.sip.edit import Edit

if TYPE_CHECKING:
    from oneproxy.engine.client import ClientTransaction
    from oneproxy.engine.decisions import Ask
    from oneproxy.engine.server import ServerTransaction
    from oneproxy.sip.message import Response

#: RFC 3261 16.7 step 6: these say more about how to mend the request than other 4xx do.
_TELLING: Final = frozenset((401, 407, 415, 420, 484))
_CHALLENGES: Final = ("www-authenticate", "proxy-authenticate")


class Context:
    """What became of the branches of one request so far."""

    __slots__ = (
        "ask",
        "best",
        "best_status",
        "branches",
        "cancelled",
        "challenges",
        "conclude",
        "done",
        "outcomes",
        "server",
        "waiting",
    )

    def __init__(
        self, server: "ServerTransaction", ask: "Ask | None", conclude: "Callable[[float, Context], None]"
    ) -> None:
        self.server = server
        #: Called when all branches have failed; it ends in `answer` or in new branches.
        self.conclude = conclude
        #: The question that led here; None inside a dialog, where nobody is asked.
        self.ask = ask
        self.branches: list[ClientTransaction] = []
        #: Branches without a final response.
        self.waiting = 0
        #: Whether a final response has gone back.
        self.done = False
        self.cancelled = False
        #: The best failure so far as it would be sent back; None where it has to be made.
        self.best: bytes | None = None
        self.best_status = 0
        self.outcomes: list[Outcome] = []
        #: The challenges of all branches, as lines; None for as long as there are none.
        self.challenges: list[str] | None = None

    def add(self, branch: "ClientTransaction") -> None:
        """A branch has been started."""
        self.branches.append(branch)
        self.waiting += 1

    def receive(self, now: float, branch: "ClientTransaction", response: "Response") -> None:
        """A response of a branch that its transaction lets pass."""
        status = response.status
        if status >= 300:
            self.waiting -= 1
            self._note(branch.target, status, None, response)
            self.settle(now)
            return
        if status < 200:
            # RFC 3261 16.7 step 5: a 100 is for the next hop only. RFC 4320 4.1: no
            # other provisional response to what is not an INVITE.
            if status > 100 and not self.done and self.server.invite:
                self.server.send(now, status, _upstream(response))
            return
        if self.server.state in (TRYING, PROCEEDING, ACCEPTED):
            self.server.send(now, status, _upstream(response))
        elif self.server.invite:
            # RFC 3261 16.7 step 5: a 2xx to an INVITE passes even when a failure has gone back
            # before it, since the callee believes that the call stands.
            self.server.tables.out.append((self.server.flow, _upstream(response)))
        if not self.done:
            self.done = True
            self.waiting -= 1
            if self.waiting:
                self.cancel_branches(now)
        # The transaction stays for repetitions of the 2xx; the rest is of no more use.
        self.ask = None

    def fail(self, now: float, branch: "ClientTransaction", status: int, error: str) -> None:
        """A branch ended without a final response: timed out, or could not be reached."""
        self.waiting -= 1
        self._note(branch.target, status, error, None)
        self.settle(now)

    def miss(self, target: Target, status: int, error: str) -> None:
        """A target that nothing is sent to, as if it had answered with `status`.

        503 where there is no way to it (RFC 3261 16.9), 482 where the way leads back here.
        """
        self._note(target, status, error, None)

    def cancel(self, now: float) -> None:
        """The caller gave up (RFC 3261 16.10)."""
        self.cancelled = True
        self.cancel_branches(now)

    def cancel_branches(self, now: float) -> None:
        """Ask every branch that still rings to stop."""
        for branch in self.branches:
            branch.cancel(now)

    def _note(
        self, target: Target | None, status: int, error: str | None, response: "Response | None"
    ) -> None:
        """Keep the outcome, and the response if it is better than those before."""
        if target is not None:
            self.outcomes.append(Outcome(target, status, error))
        if status in (401, 407) and response is not None and len(self.branches) > 1:
            lines = [response.lines[at] for name in _CHALLENGES for at in response.positions(name)]
            self.challenges = (self.challenges or []) + lines
        if self.done or (self.best_status and not _better(status, self.best_status)):
            return
        self.best_status = status
        # RFC 3261 16.7 step 6: a 503 says that the next hop is full, not that we are.
        self.best = None if response is None or status == 503 else _upstream(response)

    def settle(self, now: float) -> None:
        """After a failure: stop the others on a 6xx, and answer when none is left."""
        if self.done:
            return
        if self.waiting:
            if self.best_status >= 600:
                self.cancel_branches(now)
            return
        self.conclude(now, self)

    def answer(self, now: float) -> None:
        """Send the best response back: all branches have failed."""
        self.done = True
        server = self.server
        status = self.best_status
        if status == 408 and not server.invite:
            # RFC 4320 4.2: no 408 to what is no INVITE. After our own time-out the caller's
            # has come too, and nothing is said; a peer that gave up early has to be told of.
            if self.best is None:
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
        elif status == 482:
            server.reply(now, 482, "Loop Detected")
        elif status == 408:
            server.reply(now, 408, "Request Timeout")
        else:
            server.reply(now, 500, "Server Internal Error")


def _upstream(response: "Response") -> bytes:
    """The response without our Via (RFC 3261 16.7 step 3)."""
    data = response.without_top_via()
    if data is None:
        edit = Edit(response)
        edit.pop("via")
        data = edit.join()
    return data


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
