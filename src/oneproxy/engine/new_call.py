"""A call begins: whether there is room for it, and who follows it."""

from typing import TYPE_CHECKING, Final

from oneproxy.engine.call import Call, CallEvent, Session, Watch
from oneproxy.engine.decisions import Reply
from oneproxy.engine.following import tell_of_none
from oneproxy.engine.holds import lasting, refuse
from oneproxy.engine.inside import FULL, TOO_MANY_HOPS

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
    watch, session, limit, record = decision.watch, decision.session, gate.limit, ask.record
    if record is not None:
        record.watch = watch
        watch = record
        session = session or _UNASKED
    refusal = refuse(now, ask, gate)
    if refusal is not None:
        if record is not None:
            record.refusing(gate.cause)
        if watch is not None:
            tell_of_none(now, ask.request, watch, refusal.status)
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
        context.attempts = followed.call.attempts
        if isinstance(followed.asked, Reply):
            return followed.asked
        context.asked = followed.asked
        followed.holds = held
    for hold in ask.holds:
        hold.begun(now)
    gate.begun(now)
    return None


def tell_of_no_hop(now: float, ask: "Ask", decision: "Forward") -> None:
    """A call that would go on has no hops left: who waits to hear of it does so no more."""
    watch: Watch | None = decision.watch
    if ask.record is not None:
        ask.record.watch = watch
        watch = ask.record
    if watch is not None:
        tell_of_none(now, ask.request, watch, TOO_MANY_HOPS.status)


def record_reply(now: float, ask: "Ask", reply: Reply, context: "Context | None") -> None:
    """Policy answers by itself: at once, or when it knows of no further target."""
    record = ask.record
    assert record is not None
    if context is None or context.follow is None:
        record.refused(now, reply.status, reply.cause)
    else:
        record.refusing(reply.cause)
