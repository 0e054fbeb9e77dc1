"""What policy says of peers beside its decisions: whom to keep out, and whom to believe (RFC 3325).

Whoever assembles the engine sets the hooks; without them everybody is let in and believed.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from oneproxy.engine.decisions import BY_SITE, Reply
from oneproxy.sip.check import check
from oneproxy.sip.identity import private_lines, trusted_lines, without_lines, without_trusted
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request, Response, split

if TYPE_CHECKING:
    from oneproxy.engine.counters import Counters
    from oneproxy.engine.decisions import Ask, Target
    from oneproxy.engine.flow import Flow

ALLOW: Final = (
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO, MESSAGE, REFER, SUBSCRIBE, "
    "NOTIFY, PUBLISH"
)
_CAPABILITIES: Final = (ALLOW, "Accept: application/sdp, */*", "Supported: path, outbound, gruu")
_OPTIONS: Final = Reply(200, "OK", _CAPABILITIES)


class Trust:
    """The hooks, and what is done by them."""

    __slots__ = ("_counters", "keeps", "on_refused", "screen", "trusts")

    def __init__(self, counters: "Counters") -> None:
        self._counters = counters
        #: Told of every request that policy refuses for a cause: the ask, and the cause.
        self.on_refused: Callable[[Ask, str], None] = _ignore
        #: Why a request that never gets to policy is to be refused all the same.
        self.screen: Callable[[Ask], Reply | None] = _let_in
        #: Whether what comes on a flow may say who somebody is, by its method.
        self.trusts: Callable[[Flow, str], bool] = _believe
        #: Whether new requests get to this address by the site alone, and not by what peers say.
        self.keeps: Callable[[str], bool] = _keep_none

    def note(self, ask: "Ask", decision: Reply) -> None:
        """Count a reply of policy that has a cause."""
        if decision.cause:
            self._counters.refused[decision.cause] += 1
            self.on_refused(ask, decision.cause)

    def answer_options(self, ask: "Ask") -> Reply:
        """The answer to OPTIONS to OneProxy itself (RFC 3261 11.2)."""
        answer = self.screen(ask) or _OPTIONS
        self.note(ask, answer)
        return answer

    def is_kept(self, ask: "Ask", target: "Target", host: str) -> bool:
        """Whether the request of `ask` may not go to `host`, where `target` would have it go.

        Peers answer for us there: a contact, a 3xx or a Request-URI that leads there would have them
        do it for whoever wrote it. Who is there himself may say so.
        """
        if ask.trusted or not self.keeps(host):
            return False
        source = target.source
        return source != BY_SITE and source.partition(":")[2].rpartition(":")[0].strip("[]") != host

    def strip_request(self, flow: "Flow", request: Request) -> Request:
        """A request inside of a dialog, without what its sender is not trusted to say."""
        if self.trusts(flow, request.method):
            return request
        less = split(without_lines(request, trusted_lines(request)))
        assert isinstance(less, Request)
        # It was in order with these lines and is without them; what is noted of it is noted anew.
        check(less)
        return less

    def hidden_lines(self, flow: "Flow", request: Request) -> tuple[int, ...]:
        """Lines of a request that are not for the peer on `flow` (RFC 3325 5, 7)."""
        lines = private_lines(request)
        return () if lines and self.trusts(flow, request.method) else lines

    def strip_response(
        self, flow: "Flow", method: str, response: Response, back: "Flow | None"
    ) -> Response | Malformed:
        """A response, likewise. It costs 0.3 us for those that say nothing of the kind.

        back: where it goes, None for nowhere. Malformed for one that says something of the kind
        and is not read to its end.
        """
        less = without_trusted(response)
        if less is None:
            return response
        if self.trusts(flow, method):
            lines = private_lines(response)
            if not lines or back is None or self.trusts(back, method):
                return response
            less = without_lines(response, lines)
        if isinstance(less, Malformed):
            return less
        stripped = split(less)
        assert isinstance(stripped, Response)
        return stripped


def _ignore(_ask: "Ask", _cause: str) -> None:
    """Nobody wants to know."""


def _let_in(_ask: "Ask") -> Reply | None:
    """Nobody is kept out."""
    return None


def _keep_none(_host: str) -> bool:
    """All are open."""
    return False


def _believe(_flow: "Flow", _method: str) -> bool:
    """Everybody."""
    return True
