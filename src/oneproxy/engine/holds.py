"""What a new call is counted by: whether there is room for it by now, and who has to hear of its end."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneproxy.engine.decisions import Ask, Hold, Reply
    from oneproxy.engine.gate import Gate


def refuse(now: float, ask: "Ask", gate: "Gate") -> "Reply | None":
    """The refusal of a call that is about to go on; None where there is room for it, or it is spared.

    It was let in some time ago if it had to wait for its decision, as all others that waited.
    """
    if ask.spared:
        return None
    if now < gate.shut_until and gate.refuses(now, ask.flow, ask.request, ask.uri):
        return gate.reply(now)
    for hold in ask.holds:
        if now < hold.full_until(now):
            return gate.reply(now, hold)
    return None


def lasting(holds: "Sequence[Hold]") -> "Sequence[Hold]":
    """Those that have to be told of the end of a call that begins now."""
    return [hold for hold in holds if hold.lasts]
