"""What a new call is counted by: whether there is room for it by now, and who has to hear of its end."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import parse_uri

if TYPE_CHECKING:
    from oneproxy.engine.decisions import Ask, Hold, Reply
    from oneproxy.engine.gate import Gate
    from oneproxy.sip.uri import Uri


def refuse(now: float, ask: "Ask", gate: "Gate") -> "Reply | None":
    """The refusal of a call that is about to go on; None where there is room for it, or it is spared.

    It was let in some time ago if it had to wait for its decision, as all others that waited. Where
    it had not, nothing has come between: to look again would cost 2 us for five limits.
    """
    if now < gate.shut_until and gate.refuses(now, ask.flow, ask.request, dialled(ask)):
        return gate.reply(now)
    for hold in ask.holds if ask.waited else ():
        if now < hold.full_until(now):
            return None if gate.spares(ask.flow, ask.request, dialled(ask)) else gate.reply(now, hold)
    return None


def dialled(ask: "Ask") -> "Uri":
    """What the caller has dialled: a route may have led the call to somebody else."""
    uri = parse_uri(ask.request.uri)
    return ask.uri if isinstance(uri, Malformed) else uri


def lasting(holds: "Sequence[Hold]") -> "Sequence[Hold]":
    """Those that have to be told of the end of a call that begins now."""
    return [hold for hold in holds if hold.lasts]
