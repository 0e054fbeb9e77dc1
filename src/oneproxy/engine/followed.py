"""A followed call: from the INVITE to its end, as what passes through tells it.

    INVITE --> EARLY -- 2xx -------------------> ANSWERED -- a BYE that is answered,
                |                                   |        481 or 408 to a request,
                +-- the failure that goes back      |        no refresh (RFC 4028),
                v                                   v        ended from the side
              OVER: given up                      OVER: ended

The engine tells a `Followed` what it passes on; that tells the `Watch` what this means for
the call, each event once and in order. What comes after the end is not heard of. A proxy
is no party to the call, so nothing here holds a message up or changes what it says, but
for session timers.
"""

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from oneproxy.engine.call import Call, CallEvent, Session
from oneproxy.engine.decisions import Reply
from oneproxy.engine.flow import Flow
from oneproxy.engine.sessions import REFRESHES, Asked, ask, interval
from oneproxy.engine.sides import KEPT, Hangup, Offer, Side, kept
from oneproxy.engine.standing import Standing, standing_session
from oneproxy.engine.timers import T1, Timed
from oneproxy.sip.check import tag_of
from oneproxy.sip.message import Message, Request, Response

if TYPE_CHECKING:
    from oneproxy.engine.context import Context
    from oneproxy.engine.decisions import Hold
    from oneproxy.engine.following import Following

EARLY: Final = 0
ANSWERED: Final = 1
OVER: Final = 2

#: RFC 3262 3, RFC 6665 4.1.3: a 481 to these says that something else than the call is not there.
_OF_OTHER_USAGES: Final = frozenset(("PRACK", "SUBSCRIBE", "NOTIFY"))


class Expiry(Timed):
    """When a session expires.

    An object of its own, since the wheel goes on holding it for a minute after the call.
    """

    __slots__ = ("followed",)

    def __init__(self, followed: "Followed") -> None:
        super().__init__()
        self.followed: Followed | None = followed

    def wake(self, now: float) -> None:
        """The session has expired, or it is time to end it."""
        if self.followed is not None:
            self.followed.expired(now)


class Followed:
    """One call that is followed."""

    __slots__ = (
        "_expiry",
        "_following",
        "asked",
        "call",
        "call_id",
        "callee",
        "caller",
        "context",
        "ending",
        "holds",
        "key",
        "next",
        "session",
        "state",
    )

    def __init__(self, following: "Following", call: Call, session: Session | None) -> None:
        self._following = following
        self._expiry: Expiry | None = None
        self.call = call
        #: None where it is too long to be kept.
        self.call_id: str | None = None
        self.key = key_of(call.call_id, call.caller_tag)
        #: The next pass of the same call through here.
        self.next: Followed | None = None
        self.state = EARLY
        self.session = session
        #: What session timers add to the INVITE, or the 422 that refuses it; until it is answered.
        self.asked: Asked | Reply | None = None
        #: The response context of the INVITE, until it is answered: the engine puts it there.
        self.context: Context | None = None
        #: By whom the call is to end that is not answered yet, "caller" or "proxy", and why.
        self.ending: tuple[str, str] | None = None
        self.caller = Side()
        self.callee = Side()
        #: What counts it until it ends.
        self.holds: Sequence[Hold] = ()

    def begin(self, request: Request, flow: Flow | None) -> None:
        """It starts with this INVITE. flow: where the caller is reached over it alone, that flow."""
        self.call_id = kept(request.call_id)
        if self.session is not None:
            self.asked = ask(request, self.session)
        caller = self.caller
        caller.learn(request, "from")
        caller.cseq = request.cseq
        if flow is not None:
            caller.flow = flow.name

    # What outlives the process.

    def standing(self) -> Standing:
        """What this call, which is answered, is followed again from."""
        call = self.call
        expiry = self._expiry
        return Standing(
            call.call_id if self.call_id is None else self.call_id,
            self.call_id is not None,
            call.caller_tag,
            call.callee_tag,
            self.caller.standing(),
            self.callee.standing(),
            call.started_at,
            call.first_response_at,
            call.ringing_at,
            call.answered_at,
            call.status,
            standing_session(self.session),
            0.0 if expiry is None or expiry.due == inf else expiry.due,
            None if self.ending is None else self.ending[1],
            [hold.key for hold in self.holds],
        )

    def resume(self, standing: Standing) -> None:
        """Go on from there. Where its time is over it ends when the wheel comes by."""
        if standing.is_whole:
            self.call_id = standing.call_id
        self.state = ANSWERED
        self.caller.resume(standing.caller)
        self.callee.resume(standing.callee)
        if standing.ending is not None:
            self.ending = ("proxy", standing.ending)
        if standing.expires_at:
            self._set(standing.expires_at)

    # The INVITE.

    def responded(self, now: float, response: Response, flow: Flow | None = None) -> None:
        """A 101 to 199 or a 2xx to the INVITE goes upstream.

        flow: where the callee can be reached over a flow alone, that flow.
        """
        status = response.status
        call = self.call
        if self.state != EARLY or status <= 100 or status >= 300:
            return
        if status >= 200:
            self._answer(now, response, flow)
            return
        is_ringing = status == 180 and not call.ringing_at
        if call.first_response_at and not is_ringing:
            return
        if is_ringing:
            call.ringing_at = now
        self._note_first(now)
        if is_ringing and self.state == EARLY:
            call.watch.note(now, call, CallEvent.RINGING)

    def failed(self, now: float, status: int, reason: str = "") -> None:
        """The final failure of the INVITE goes upstream. reason: its Reason value, "" for none."""
        if self.state != EARLY:
            return
        call = self.call
        call.status = status
        call.ended_at = now
        call.reason = reason
        if self.ending is not None:
            call.ended_by, given = self.ending
            call.reason = given or reason
        self._finish(now, CallEvent.GIVEN_UP)

    def cancelled(self, now: float, request: Request) -> None:
        """The caller's CANCEL has come; the failure that ends the call follows, or a 2xx does."""
        if self.state == EARLY and self.ending is None:
            self.ending = ("caller", _reason(request))

    # Requests inside of the dialog.

    def is_from_caller(self, request: Request) -> bool:
        """Whether it is the caller who sent this request of the dialog."""
        return request.from_tag[:KEPT] == self.call.caller_tag

    def requested(self, now: float, request: Request, flow: Flow | None = None) -> Asked | Reply | None:
        """A request of the dialog is about to pass, which is no ACK.

        flow: as for `responded`, of its sender. Gives what session timers add to it, or
        the 422 that refuses it.
        """
        is_from_caller = self.is_from_caller(request)
        told = self._requested(now, request, flow, is_from_caller)
        later = self._later_pass()
        while later is not None:
            later._requested(now, request, None, is_from_caller)
            later = later._later_pass()
        return told

    def answered(
        self,
        now: float,
        method: str,
        cseq: int,
        is_from_caller: bool,
        response: Response | None,
        status: int,
    ) -> None:
        """A request of the dialog has its final answer, which goes back to its sender.

        response: None where it was made here; status: 408 too where none goes back (RFC 4320).
        """
        later = self._later_pass()
        self._answered(now, method, cseq, is_from_caller, response, status)
        while later is not None:
            following = later._later_pass()
            later._answered(now, method, cseq, is_from_caller, response, status)
            later = following

    # Its end.

    def end(self, by: str, now: float, reason: str, bye: bool = False, at: float = 0.0) -> None:
        """The answered call is over. bye: tell both sides. at: since when, 0 for now."""
        call = self.call
        call.ended_by = by
        call.ended_at = at or now
        call.reason = reason
        if bye:
            self._following.hang_up(now, self, reason)
        self._finish(now, CallEvent.ENDED)

    def expired(self, now: float) -> None:
        """No refresh has come in time (RFC 4028 8.3), or the BYEs of `Following.end` are due."""
        if self.state != ANSWERED:
            return
        if self.ending is not None:
            self.end("proxy", now, self.ending[1], True)
        else:
            self.end("timer", now, "", self.session is not None and self.session.bye)

    def _answer(self, now: float, response: Response, flow: Flow | None) -> None:
        """The first 2xx: the dialog that it makes is the call."""
        call = self.call
        self._note_first(now)
        if self.state != EARLY:
            return
        caller, callee = self.caller, self.callee
        self.state = ANSWERED
        self.context = None
        call.status = response.status
        call.answered_at = now
        call.callee_tag = _to_tag(response)
        callee.learn(response, "to")
        if flow is not None:
            callee.flow = flow.name
        for side in (caller, callee):
            side.since = side.cseq
        if caller.hangup is not None and caller.hangup.peer_tag != call.callee_tag:
            caller.hangup = None  # it was for another callee, that had rung
        asked = self.asked
        self.asked = None
        if isinstance(asked, Asked):
            self._refresh(now, interval(asked, response))
        if self.ending is not None and self.ending[0] == "proxy":
            # RFC 3261 15: a callee sends no BYE before the ACK. To look for it would cost
            # every call something; by then the caller has the 2xx, which he must know first.
            self._set(now + T1)
        else:
            self.ending = None
        call.watch.note(now, call, CallEvent.ANSWERED)
        self._following.keeper.answered(now, call)

    def _note_first(self, now: float) -> None:
        call = self.call
        if not call.first_response_at:
            call.first_response_at = now
            call.watch.note(now, call, CallEvent.FIRST_RESPONSE)

    def _requested(
        self, now: float, request: Request, flow: Flow | None, is_from_caller: bool
    ) -> Asked | Reply | None:
        if self.state == OVER:
            return None
        sender = self.caller if is_from_caller else self.callee
        if request.cseq > sender.cseq:
            sender.cseq = request.cseq
        if flow is not None and sender.flow and sender.flow != flow.name:
            sender.flow = flow.name  # the connection before it may be gone
            if self.state == ANSWERED:
                self._following.keeper.changed(now, self.call)
        method = request.method
        if method in REFRESHES:
            asked = None if self.session is None else ask(request, self.session)
            if isinstance(asked, Reply):
                return asked
            sender.offer = Offer(request.cseq, kept(request.get("contact") or ""), asked)
            return asked
        if method == "BYE" and sender.hangup is None:
            sender.hangup = Hangup(now, _reason(request), request.to_tag[:KEPT])
            if is_from_caller and self.state == EARLY and self.ending is None:
                self.ending = ("caller", sender.hangup.reason)
        return None

    def _answered(
        self,
        now: float,
        method: str,
        cseq: int,
        is_from_caller: bool,
        response: Response | None,
        status: int,
    ) -> None:
        sender, receiver = (self.caller, self.callee) if is_from_caller else (self.callee, self.caller)
        if method == "BYE":
            if status in (401, 407):
                sender.hangup = None  # it is sent again with credentials, or the call goes on
            elif self.state == ANSWERED and sender.hangup is not None:
                self._hung_up(now)
            return
        # What was sent before the answer may have been for another callee who rang.
        if self.state != ANSWERED or cseq <= sender.since:
            return
        if status < 300:
            if method in REFRESHES and response is not None:
                self._refreshed(now, sender, receiver, cseq, response)
        elif status in (408, 481) and method not in _OF_OTHER_USAGES:
            # RFC 3261 12.2.1.2: the receiver is not there any more, or has no such call.
            self.end("callee" if is_from_caller else "caller", now, "")

    def _hung_up(self, now: float) -> None:
        """A BYE is answered. Where two have crossed, the earlier one was the end."""
        caller, callee = self.caller.hangup, self.callee.hangup
        if callee is None or (caller is not None and caller.at <= callee.at):
            assert caller is not None
            self.end("caller", now, caller.reason, at=caller.at)
        else:
            self.end("callee", now, callee.reason, at=callee.at)

    def _refreshed(self, now: float, sender: Side, receiver: Side, cseq: int, response: Response) -> None:
        """A 2xx to a re-INVITE or an UPDATE: new targets (RFC 3261 12.2), a new expiry."""
        offer = sender.offer
        if offer is None or offer.cseq != cseq:
            return
        sender.offer = None
        if offer.contact != "":
            sender.contact = offer.contact
        if "contact" in response.first:
            receiver.contact = kept(response.get("contact"))
        if offer.asked is not None and self.ending is None:
            self._refresh(now, interval(offer.asked, response))
        self._following.keeper.changed(now, self.call)

    def _refresh(self, now: float, seconds: int) -> None:
        # RFC 4028 8.2: each 2xx says it anew, and one without an interval ends the timer.
        if not seconds and self.session is not None:
            seconds = self.session.longest_s
        if seconds:
            self._set(now + seconds)
        elif self._expiry is not None:
            self._following.set_expiry(self._expiry, 0)

    def _set(self, due: float) -> None:
        if self._expiry is None:
            self._expiry = Expiry(self)
        self._following.set_expiry(self._expiry, due)

    def _finish(self, now: float, event: CallEvent) -> None:
        self.state = OVER
        self.context = None
        if self._expiry is not None:
            self._following.set_expiry(self._expiry, 0)
            self._expiry.followed = None
            self._expiry = None
        self._following.forget(self)
        for hold in self.holds:
            hold.ended(now)
        self.call.watch.note(now, self.call, event)
        self._following.keeper.ended(now, self.call)

    def _later_pass(self) -> "Followed | None":
        """Where the same dialog has passed here once more; it hears what this one hears."""
        return None if self.next is None else among(self.next, self.call.callee_tag)


def key_of(call_id: str, caller_tag: str) -> str:
    """By what a call is found."""
    return f"{call_id[:KEPT]}\n{caller_tag[:KEPT]}"


def among(followed: Followed | None, callee_tag: str) -> Followed | None:
    """The first pass of a call, from `followed` on, that a callee with this tag is in."""
    callee_tag = callee_tag[:KEPT]
    while followed is not None and followed.state != EARLY and followed.call.callee_tag != callee_tag:
        followed = followed.next
    return followed


def _to_tag(response: Response) -> str:
    return (tag_of(response.get("to") or "") or "")[:KEPT]


def _reason(message: Message) -> str:
    """The Reason values of a message (RFC 3326), "" for none."""
    return (kept(", ".join(message.all("reason"))) or "") if "reason" in message.first else ""
