"""The one final answer that the caller gets after all gateways that were tried.

A 503 of a gateway says that this gateway takes no calls for a time. Passed on, it would say so
of us, and others would stop sending to us (RFC 3261 16.7 step 6): it goes up as 500. A gateway
that said nothing is 504 (21.5.5), since a 408 (21.4.9) would speak of the callee. Where no
gateway was tried it is our own 503: there is no room, or none that works.
"""

from typing import Final

from oneproxy.trunks.codes import Verdict

#: The causes of our own refusals, as `engine.decisions.Reply` has them.
FULL: Final = "gateways-full"
UNHEALTHY: Final = "gateways-down"
UNKNOWN: Final = "no-provider"

#: After how long to come again, in seconds: calls end all the time, gateways return later.
FULL_S: Final = 5
UNHEALTHY_S: Final = 20

#: Reason phrases of what is answered here (RFC 3261 21).
REASONS: Final = {
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    410: "Gone",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    600: "Busy Everywhere",
    603: "Decline",
}
#: Those of 4xx that say what to do about it (RFC 3261 16.7 step 6).
_TELLING: Final = (401, 407, 415, 420, 484)


class Answer:
    """What the caller is told.

    place: of the gateway, among those that were tried, whose response goes back as it came; -1 for
    one of our own with `status` and `reason`. retry_after_s: 0 for none. cause: why no gateway was
    tried, "" where one was.
    """

    __slots__ = ("cause", "place", "reason", "retry_after_s", "status")

    def __init__(self, status: int, place: int = -1, cause: str = "", retry_after_s: int = 0) -> None:
        self.status = status
        self.reason = REASONS.get(status, "Call Failed")
        self.place = place
        self.cause = cause
        self.retry_after_s = retry_after_s


class End:
    """What one gateway came to. status, error: as in `engine.decisions.Outcome`."""

    __slots__ = ("error", "status", "verdict")

    def __init__(self, status: int, error: str | None, verdict: Verdict) -> None:
        self.status = status
        self.error = error
        self.verdict = verdict


def answer_of(ends: list[End]) -> Answer:
    """The best of what the gateways came to, which is one at least."""
    best = min(ends, key=_rank)
    if best.error == "full":
        return Answer(503, retry_after_s=FULL_S)
    if best.verdict is Verdict.SLOWED:
        # RFC 7339 5.10: without Retry-After, which would speak of us.
        return Answer(503)
    if best.verdict is Verdict.FAILED and best.error in ("timeout", "no-answer"):
        return Answer(504)
    if best.status == 503:
        # Of the gateway, or in place of one that can't be reached (RFC 3261 16.9).
        return Answer(500)
    if best.verdict is Verdict.FAILED and best.status == 408:
        return Answer(504)
    is_said = best.error is None
    return Answer(best.status, ends.index(best) if is_said else -1)


#: The answer to the call, then what let the next gateway be tried, then failures,
#: then what was not tried.
_ORDER: Final = {Verdict.FINAL: 0, Verdict.OURS: 0, Verdict.NEXT: 1, Verdict.FAILED: 2, Verdict.SLOWED: 3}


def _rank(end: End) -> tuple[int, bool, int]:
    """The lower, the better. Of failures, what was said before what was not."""
    is_failure = end.verdict is Verdict.FAILED
    return _ORDER[end.verdict], is_failure and end.status == 408, _rank_of(end.status)


def _rank_of(status: int) -> int:
    """RFC 3261 16.7 step 6: 6xx, then the lowest class, of 4xx what tells most; 503 last."""
    if status >= 600:
        return 0
    if status in _TELLING:
        return 401
    if status == 408:
        return 499
    if status == 503:
        return 599
    return status if status < 400 else (status // 100) * 100 + 50
