"""The one question that the engine asks policy, and the answers that it takes.

An `Ask` is a request that starts something and waits for a decision. Policy returns
a `Decision` at once; where it cannot, it returns `PENDING` and hands the decision in
later through `Engine.answer`. When all branches of a `Forward` have failed, the
engine asks once more, with `outcomes` filled in; policy may then try further targets,
answer by itself, or return `BEST` to let the best response go back (RFC 3261 16.7).
"""

from typing import Protocol

from oneproxy.engine.flow import Flow
from oneproxy.sip.message import Request
from oneproxy.sip.uri import Uri


class Target:
    """One place that a request goes to: a branch of the target set (RFC 3261 16.5).

    uri: the new Request-URI. route: Route values to push, first one first (a Path).
    flow: send on this flow, whatever the URI says (RFC 5626); None: by the URI.
    """

    __slots__ = ("flow", "route", "uri")

    def __init__(self, uri: str, route: tuple[str, ...] = (), flow: Flow | None = None) -> None:
        self.uri = uri
        self.route = route
        self.flow = flow


class Outcome:
    """What became of one branch: its final status, or the fault that stood for one."""

    __slots__ = ("error", "status", "target")

    def __init__(self, target: Target, status: int, error: str | None) -> None:
        self.target = target
        #: 200 to 699; 408 for a branch that never answered, 503 for one unreachable.
        self.status = status
        #: None where the status came from the peer; else "timeout", "transport" or "loop".
        self.error = error


class Ask:
    """A request outside of every dialog that waits for a decision."""

    __slots__ = (
        "answered",
        "consumed",
        "flow",
        "now",
        "outcomes",
        "request",
        "subscriber",
        "transaction",
        "trusted",
        "uri",
    )

    def __init__(self, request: Request, uri: Uri, flow: Flow, now: float) -> None:
        self.request = request
        #: The Request-URI, read.
        self.uri = uri
        self.flow = flow
        #: Seconds since the epoch by a clock that never jumps.
        self.now = now
        #: What became of the targets tried so far; empty when asked first.
        self.outcomes: list[Outcome] = []
        #: Set by the access step: the AoR that proved its password, and whether the
        #: source needs none.
        self.subscriber: str | None = None
        self.trusted = False
        #: Places of header lines that were for this proxy alone and are not passed on.
        self.consumed: tuple[int, ...] = ()
        #: Set by the engine: the answer has gone back without policy, which was too late
        #: or whose caller gave up; nothing that is decided now is heard of.
        self.answered = False
        #: The engine's own: what the answer belongs to.
        self.transaction: object | None = None


class Reply:
    """Answer with this final response.

    headers: whole lines. stateless: nothing is remembered, so that a challenge costs
    no memory (RFC 3261 8.2.7); only for answers that are the same when asked again.
    """

    __slots__ = ("headers", "reason", "stateless", "status")

    def __init__(
        self, status: int, reason: str, headers: tuple[str, ...] = (), stateless: bool = False
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.stateless = stateless


class Forward:
    """Send the request to all of these targets at once."""

    __slots__ = ("targets",)

    def __init__(self, targets: list[Target]) -> None:
        self.targets = targets


class Pending:
    """The decision follows through `Engine.answer`."""

    __slots__ = ()


class Best:
    """Send back the best response of the branches that were tried."""

    __slots__ = ()


PENDING = Pending()
BEST = Best()

Decision = Reply | Forward | Pending | Best


class Policy(Protocol):
    """Whoever decides."""

    def decide(self, ask: Ask) -> Decision:
        """Decide on `ask`, at once and without waiting for anything."""
        ...
