"""What an answered call is followed again from, by a process that did not see it begin.

All that lasts is in it. What is on its way is not: the transaction of a BYE or of a refresh is gone
with the process that had it, its sender repeats the request, and it is heard of then.
"""

from typing import Final

from msgspec import Struct

from oneproxy.engine.call import Call, Session, Watch

#: How far the numbers of a side may have gone on since what is known of it was kept. RFC 3261 12.2.2:
#: numbers may be left out, but a BYE in its name that has one below those that it used is refused.
UNSEEN: Final = 10_000


class StandingSide(Struct, array_like=True, gc=False):
    """One side: what `engine.sides.Side` has of it."""

    address: str | None
    contact: str | None
    routes: str | None
    flow: str
    cseq: int
    since: int


class StandingSession(Struct, array_like=True, gc=False):
    """As `engine.call.Session`."""

    expires_s: int
    min_s: int
    bye: bool
    longest_s: int


class Standing(Struct, array_like=True, gc=False):
    """An answered call. Instants are seconds since the epoch, 0 for never.

    call_id: whole, or its beginning where `is_whole` is false. expires_at: when its session does.
    ending: the Reason of the BYEs that are due then, where it was ended from the side while it rang;
    None for every other call. holds: keys of what counts it.
    """

    call_id: str
    is_whole: bool
    caller_tag: str
    callee_tag: str
    caller: StandingSide
    callee: StandingSide
    started_at: float
    first_response_at: float
    ringing_at: float
    answered_at: float
    status: int
    session: StandingSession | None
    expires_at: float
    ending: str | None
    holds: list[str]


def session_of(standing: Standing) -> Session | None:
    """How the call is kept alive."""
    kept = standing.session
    return None if kept is None else Session(kept.expires_s, kept.min_s, kept.bye, kept.longest_s)


def standing_session(session: Session | None) -> StandingSession | None:
    """The same the other way round."""
    if session is None:
        return None
    return StandingSession(session.expires_s, session.min_s, session.bye, session.longest_s)


def call_of(standing: Standing, watch: Watch, longest: int) -> Call:
    """The call as policy is told of it. longest: as much of its Call-ID tells it from others."""
    call = Call(standing.call_id[:longest], standing.caller_tag, standing.started_at, watch)
    call.callee_tag = standing.callee_tag
    call.first_response_at = standing.first_response_at
    call.ringing_at = standing.ringing_at
    call.answered_at = standing.answered_at
    call.status = standing.status
    return call
