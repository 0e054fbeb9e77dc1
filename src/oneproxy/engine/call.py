"""A call that is followed from its INVITE to its end, as policy is told of it."""

from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from oneproxy.engine.decisions import Outcome

#: RFC 4028 4: the least interval of a session, seconds.
LEAST_S: Final = 90
#: Half a day: hardly anybody talks for longer, and who does loses the record's end, not the call.
LONGEST_S: Final = 43_200


class CallEvent(StrEnum):
    """What a call comes to, in this order; the last two are ends."""

    FIRST_RESPONSE = "first-response"  # beyond 100
    RINGING = "ringing"  # 180
    ANSWERED = "answered"  # 2xx
    ENDED = "ended"  # after it was answered
    GIVEN_UP = "given-up"  # never answered: refused, cancelled, timed out


class Call:
    """What is known of a call. Instants are seconds since the epoch, 0 for not yet."""

    __slots__ = (
        "answered_at",
        "attempts",
        "call_id",
        "callee_tag",
        "caller_tag",
        "ended_at",
        "ended_by",
        "first_response_at",
        "name",
        "reason",
        "ringing_at",
        "started_at",
        "status",
        "watch",
    )

    def __init__(self, call_id: str, caller_tag: str, started_at: float, watch: "Watch") -> None:
        self.call_id = call_id
        self.caller_tag = caller_tag
        #: Of the callee who answered; "" before, when several may ring.
        self.callee_tag = ""
        self.watch = watch
        #: By what people are shown the call and end it, where no record of it has a name; "" before.
        self.name = ""
        self.started_at = started_at
        self.first_response_at = 0.0
        self.ringing_at = 0.0
        self.answered_at = 0.0
        self.ended_at = 0.0
        #: The final status that went to the caller; 0 before.
        self.status = 0
        #: "caller", "callee", "proxy" (ended from the side) or "timer" (no refresh came:
        #: RFC 4028); "" before. Of a call given up: "caller" for one who hung up, "proxy",
        #: or "" where `status` alone says why.
        self.ended_by = ""
        #: The Reason of the BYE, the CANCEL or the failure (RFC 3326), or that of whoever
        #: ended it from the side: the header value; "" for none.
        self.reason = ""
        #: What became of each target that its INVITE was sent to, in the order of their ends; also of
        #: those that an attempt elsewhere followed at once (a 3xx, another address). The one with a 2xx
        #: is who answered. Who has read them may remove them.
        self.attempts: list[Outcome] = []


class Watch(Protocol):
    """Whoever follows a call."""

    def note(self, now: float, call: Call, event: CallEvent) -> None:
        """`call` has come to `event`; what it says is of this instant."""
        ...


class Recorder(Watch, Protocol):
    """Whoever writes down what becomes of an INVITE that policy decides on, be it a call or refused.

    It is the watch of the call, and tells that which policy has for it.
    """

    watch: Watch | None

    def refused(self, now: float, status: int, cause: str, by: str = "") -> None:
        """The INVITE was answered with this failure before anybody followed it.

        cause: why OneProxy refuses it, "" for another reason. by: "caller" where he gave up.
        """
        ...

    def refusing(self, cause: str) -> None:
        """Why OneProxy answers the call itself, which is followed."""
        ...


class Session:
    """How a call is kept alive by RFC 4028, so that one whose BYE was lost ends.

    expires_s: the most from one refresh to the next; 0: none is asked for. min_s: the least that is accepted,
    90 or more. bye: whether both sides get a BYE when no refresh came. RFC 4028 8.3
    forbids that to a proxy, since a side that knows timers hangs up by itself; it is for
    peers that know none and would never learn that the other side is gone. longest_s: the
    most from the answer, or the last re-INVITE, to the end where no side knows timers, and so
    nothing but its BYE tells that the call is over; 0: for ever.
    """

    __slots__ = ("bye", "expires_s", "longest_s", "min_s")

    def __init__(
        self, expires_s: int = 1800, min_s: int = LEAST_S, bye: bool = False, longest_s: int = LONGEST_S
    ) -> None:
        self.expires_s = expires_s
        self.min_s = min_s
        self.bye = bye
        self.longest_s = longest_s
