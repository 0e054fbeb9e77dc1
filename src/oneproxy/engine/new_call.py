"""A call begins: whether there is room for it, and who follows it."""

from typing import TYPE_CHECKING, Final

from oneproxy.engine.call import Call, CallEvent, Session
from oneproxy.engine.decisions import Reply
from oneproxy.engine.following import tell_of_none
from oneproxy.engine.holds import lasting, refuse
from oneproxy.engine.inside import FULL

if TYPE_CHECKING:
    from oneproxy.engine.context import Context
    from oneproxy.engine.decisions import Ask, Forward
    from oneproxy.engine.following import Following
    from oneproxy.engine.gate import Gate


class _Nobody:
    """Nobody wants to hear of the call: it is followed since it counts for as long as it is on."""

    __slots__ = ()

    def note(self, now: float, call: Call, event: CallEvent) -> None:
        """It has come to `event`."""


_NOBODY: Final = _Nobody()
#: Nothing is asked of the sides. One whose BYE was lost does not count for ever.
_UNASKED: Final = Session(expires_s=0)


def begin(
    now: float, context: "Context", ask: "Ask", decision: "Forward", gate: "Gate", following: "Following"
) -> Reply | None:
    """Follow a new call where policy or a limit wants that; what it is refused with, or None."""
    watch, session, limit = decision.watch, decision.session, gate.limit
    refusal = refuse(now, ask, gate)
    if refusal is not None:
        if watch is not None:
            tell_of_none(now, ask.request, watch)
        return refusal
    held = lasting(ask.holds) if ask.lasts else ()
    if watch is None and (held or (limit is not None and limit.follows)):
        watch, session = _NOBODY, _UNASKED
    if watch is not None:
        caller = ask.flow if context.server.natted or ask.flow.reliable else None
        followed = following.begin(now, ask.request, watch, session, caller)
        if followed is None:
            return FULL
        followed.context = context
        context.follow = followed
        if isinstance(followed.asked, Reply):
            return followed.asked
        context.asked = followed.asked
        followed.holds = held
    for hold in ask.holds:
        hold.begun(now)
    gate.begun(now)
    return None
