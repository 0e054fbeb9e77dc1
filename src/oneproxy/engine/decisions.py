"""The one question that the engine asks policy, and the answers that it takes.

An `Ask` is a request that starts something and waits for a decision. Policy returns
a `Decision` at once; where it cannot, it returns `PENDING` and hands the decision in
later through `Engine.answer`. When all branches of a `Forward` have failed, the
engine asks once more, with `outcomes` filled in; policy may then try further targets,
answer by itself, or return `BEST` to let the best response go back (RFC 3261 16.7).
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from oneproxy.engine.call import Recorder, Session, Watch
from oneproxy.engine.flow import Flow
from oneproxy.sip.message import Request, Response
from oneproxy.sip.uri import Uri

#: `Target.source` of what the site, or people by hand, have lead there: as `Binding.source` has it.
BY_SITE: Final = "static"


class Party:
    """The gateway that a target leads to, and the number that it is told calls, "" for none."""

    __slots__ = ("calling", "gateway", "provider")

    def __init__(self, provider: str, gateway: str, calling: str = "") -> None:
        self.provider = provider
        self.gateway = gateway
        self.calling = calling


class Target:
    """One place that a request goes to: a branch of the target set (RFC 3261 16.5).

    uri: the new Request-URI. route: Route values to push, first one first (a Path, or a
    Service-Route). flow: send on this flow, whatever the URI says (RFC 5626); None: by the
    route or the URI. first_response_s: how long to wait for any response, no_answer_s: how
    long for a final one, both from sending on; 0 for as long as RFC 3261 has it. headers:
    whole lines to add for this target; dropped: places of lines that are left out for it.
    instead: tried in its place, at once, where it answers 430, answers nothing or can't be
    reached: another flow to the same phone (RFC 5626 5.3). cseq_more: what is added to the CSeq
    of the request, and of the caller's in its dialog: an INVITE that proves a password which
    the caller does not know is another one than that which was challenged (RFC 3261 22.2).
    heard: told when the first response has come, be it a 100; answered: when a 2xx goes back, before
    the watch is, also of a target that was waited for no longer. source: who says that it leads there:
    from where that was registered ("udp:192.0.2.7:5060"), BY_SITE, or "" for anybody; it counts
    where the address is kept (`Trust.keeps`). party: whose it is, where it is a gateway's.
    """

    __slots__ = (
        "answered",
        "cseq_more",
        "dropped",
        "first_response_s",
        "flow",
        "headers",
        "heard",
        "instead",
        "no_answer_s",
        "party",
        "route",
        "source",
        "uri",
    )

    def __init__(
        self,
        uri: str,
        route: tuple[str, ...] = (),
        flow: Flow | None = None,
        first_response_s: float = 0.0,
        no_answer_s: float = 0.0,
        headers: tuple[str, ...] = (),
        instead: "Target | None" = None,
        dropped: tuple[int, ...] = (),
        cseq_more: int = 0,
        heard: Callable[[float], None] | None = None,
        source: str = "",
        answered: Callable[[float], None] | None = None,
        party: Party | None = None,
    ) -> None:
        self.uri = uri
        self.route = route
        self.flow = flow
        self.first_response_s = first_response_s
        self.no_answer_s = no_answer_s
        self.headers = headers
        self.instead = instead
        self.dropped = dropped
        self.cseq_more = cseq_more
        self.heard = heard
        self.source = source
        self.answered = answered
        self.party = party


class Outcome:
    """What became of one branch: its final status, or the fault that stood for one."""

    __slots__ = ("ended_at", "error", "first_response_at", "response", "started_at", "status", "target")

    def __init__(
        self,
        target: Target,
        status: int,
        error: str | None,
        started_at: float,
        first_response_at: float,
        ended_at: float,
        response: Response | None = None,
    ) -> None:
        self.target = target
        #: 200 to 699; 408 for a branch that never answered, 503 for one unreachable.
        self.status = status
        #: None where the status came from the peer; else "timeout" (no response at all),
        #: "no-answer" (nothing final), "transport", "name" (no address), "full" (no room here),
        #: "breadth" (RFC 5393), "loop" or "kept" (`Trust.keeps`); "oc" or "retry-after" where
        #: nothing was sent since who is there wants less (`engine.neighbours`).
        self.error = error
        #: Seconds since the epoch; first_response_at is 0 where none came.
        self.started_at = started_at
        self.first_response_at = first_response_at
        self.ended_at = ended_at
        #: What the peer said; None where the status did not come from there.
        self.response = response


class Hold(Protocol):
    """What a call is counted by, besides the limit of the node, from when it goes on to its end."""

    @property
    def key(self) -> str:
        """What it is found again by, in another process too."""
        ...

    @property
    def cause(self) -> str:
        """Why there is no room, as of the last `full_until`: what refusals are counted by."""
        ...

    @property
    def lasts(self) -> bool:
        """Whether it has to be told of the end of a call that begins now."""
        ...

    def full_until(self, now: float) -> float:
        """No call may begin before this instant; inf where nobody knows when one may."""
        ...

    def begun(self, now: float) -> None:
        """The call goes on."""
        ...

    def ended(self, now: float) -> None:
        """The call that has begun is over: told once, whatever way it ended."""
        ...

    def refused(self, now: float) -> None:
        """The call is refused, since there is no room."""
        ...


class Ask:
    """A request that starts something and waits for a decision.

    It is outside of every dialog, but for one that is `inside` of a dialog and is to go where
    that has not led before: then `uri` is of where it would go next, a Forward lets it go there
    on its own route, and no call begins with it.
    """

    __slots__ = (
        "answered",
        "calling",
        "consumed",
        "flow",
        "holds",
        "inside",
        "lasts",
        "more",
        "now",
        "number",
        "outcomes",
        "passed",
        "peer",
        "record",
        "request",
        "screened",
        "step",
        "subscriber",
        "transaction",
        "trusted",
        "uri",
        "waited",
    )

    def __init__(self, request: Request, uri: Uri, flow: Flow, now: float) -> None:
        self.request = request
        #: The Request-URI, read; for one inside of a dialog, that or the Route that comes next.
        self.uri = uri
        self.inside = False
        self.flow = flow
        #: Seconds since the epoch by a clock that never jumps.
        self.now = now
        #: What became of the targets tried so far; empty when asked first.
        self.outcomes: list[Outcome] = []
        #: Set by the access step: the AoR that proved its password, and whether the
        #: source needs none.
        self.subscriber: str | None = None
        self.trusted = False
        #: Set by the access step: which neighbour it came from, as trunk management knows it.
        self.peer: object | None = None
        #: Whether address rules and the flood guard have let it in.
        self.screened = False
        #: Places of header lines that were for this proxy alone and are not passed on.
        self.consumed: tuple[int, ...] = ()
        #: Set by steps: what the call is counted by once it goes on, each of which has room for it
        #: at `now`, and whether some of them may have to be told of its end.
        self.holds: Sequence[Hold] = ()
        self.lasts = False
        #: Kept for the step that decided, from one question about this request to the next.
        self.step: object | None = None
        #: Set by the steps that route: whom it is for and who makes it, as numbers or users.
        self.number = ""
        self.calling = ""
        #: Who writes down what becomes of it.
        self.record: Recorder | None = None
        #: Set by the engine: the answer has gone back without policy, which was too late
        #: or whose caller gave up; nothing that is decided now is heard of.
        self.answered = False
        #: Set by the engine: the decision has been waited for.
        self.waited = False
        #: The engine's own: what the answer belongs to, and, inside of a dialog, how many Route
        #: values are ours, and `Target.cseq_more`.
        self.transaction: object | None = None
        self.passed = 0
        self.more = 0


class Reply:
    """Answer with this final response.

    headers: whole lines. stateless: nothing is remembered, so that a challenge costs
    no memory (RFC 3261 8.2.7); only for answers that are the same when asked again.
    cause: a stable code that it is counted and logged by, "" for no refusal; peers are not
    told it.
    """

    __slots__ = ("cause", "headers", "reason", "stateless", "status")

    def __init__(
        self,
        status: int,
        reason: str,
        headers: tuple[str, ...] = (),
        stateless: bool = False,
        cause: str = "",
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.stateless = stateless
        self.cause = cause


class Forward:
    """Send the request to all of these targets at once.

    consumed lines apart, the request goes on as it came. recurse: how many rounds of 3xx
    responses to follow (RFC 3261 16.7 step 4); 0 hands them to the caller. watch: whom to
    tell of the call, for an INVITE. session: keep the call alive by RFC 4028.
    """

    __slots__ = ("recurse", "session", "targets", "watch")

    def __init__(
        self,
        targets: list[Target],
        recurse: int = 0,
        watch: Watch | None = None,
        session: Session | None = None,
    ) -> None:
        self.targets = targets
        self.recurse = recurse
        self.watch = watch
        self.session = session


class Result:
    """What came back to a request that OneProxy made itself.

    status as in `Outcome`; response: None where the status did not come from the peer.
    """

    __slots__ = ("error", "response", "response_time_s", "status")

    def __init__(
        self, status: int, error: str | None, response: Response | None, response_time_s: float
    ) -> None:
        self.status = status
        self.error = error
        self.response = response
        #: From sending to the first response, or to giving up.
        self.response_time_s = response_time_s


Answered = Callable[[float, Result], None]


class Pending:
    """The decision follows through `Engine.answer`."""

    __slots__ = ()


class Best:
    """Send back the best response of the branches that were tried, by RFC 3261 16.7 step 6.

    outcome: the one whose response goes back instead.
    """

    __slots__ = ("outcome",)

    def __init__(self, outcome: Outcome | None = None) -> None:
        self.outcome = outcome


PENDING = Pending()
BEST = Best()

Decision = Reply | Forward | Pending | Best


class Policy(Protocol):
    """Whoever decides."""

    def decide(self, ask: Ask) -> Decision:
        """Decide on `ask`, at once and without waiting for anything."""
        ...

    def redirected(self, ask: Ask, contacts: list[str]) -> list[Target]:
        """Targets for the URIs that a 3xx named, where the Forward follows them; [] for none."""
        ...

    def placed(self, ask: Ask) -> Decision:
        """Where a GRUU of a domain here leads, for a request of a dialog: nobody is asked whether."""
        ...

    def closed(self, now: float, flow: Flow) -> None:
        """A connection is closed; its flow leads nowhere any more."""
        ...
