"""What a final status says: of the gateway, of the way behind it, or of the callee.

By default the gateway has failed with 408 and with 5xx but 501 (it does not know the method)
and 505 (nor this version of SIP), which any other would answer too. All else is the answer to
the call: 404, 480, 486, 487, 600 and 603 are of the callee, and a gateway that says so works.
"""

from enum import StrEnum
from typing import Final

from oneproxy.site.model import Provider


class Verdict(StrEnum):
    """What a final status, or a fault that stood for one, comes to."""

    FAILED = "failed"  # the gateway's fault: it is charged, and the next one is tried
    NEXT = "next"  # no fault, but another one may know a way: the next one is tried
    FINAL = "final"  # the answer to the call
    SLOWED = "slowed"  # it was sent nothing, since it wants less at present: the next one is tried
    OURS = "ours"  # made in this node, and says nothing of anybody


#: Statuses below 700, each with what it comes to.
Codes = list[Verdict]

_NOT_FAILED: Final = (501, 505)

#: `Outcome.error`: no response at all, the network's refusal, a name without an address.
_GATEWAY_ERRORS: Final = frozenset(("timeout", "transport", "name"))
#: Likewise: it has said how much less it wants, or when it wants something again.
_SLOWED: Final = frozenset(("oc", "retry-after"))


def code_table(provider: Provider) -> Codes:
    """The table of a provider: the defaults, and what the site says otherwise."""
    codes = [Verdict.FINAL] * 700
    for status in (408, *range(500, 600)):
        codes[status] = Verdict.FINAL if status in _NOT_FAILED else Verdict.FAILED
    for statuses, verdict in (
        (provider.failed_codes, Verdict.FAILED),
        (provider.next_codes, Verdict.NEXT),
        (provider.final_codes, Verdict.FINAL),
    ):
        for status in statuses:
            codes[status] = verdict
    return codes


def judge(codes: Codes, status: int, error: str | None, is_reached: bool) -> Verdict:
    """The verdict on what a gateway came to.

    status, error: as in `engine.decisions.Outcome`. is_reached: a provisional response beyond
    100 came before: then a 408 is of a callee who was not there, by whomever it was made.
    """
    if error in _SLOWED:
        return Verdict.SLOWED
    if error is not None and error != "no-answer":
        return Verdict.FAILED if error in _GATEWAY_ERRORS else Verdict.OURS
    if status == 408 and is_reached:
        return Verdict.FINAL
    return codes[status]
