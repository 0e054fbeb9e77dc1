"""The table of followed calls: which there are, and which one a request belongs to."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from oneproxy.engine.call import Call, CallEvent, Session, Watch
from oneproxy.engine.flow import Flow
from oneproxy.engine.followed import ANSWERED, EARLY, Expiry, Followed, among, key_of
from oneproxy.engine.origin import OwnRequest
from oneproxy.engine.sides import KEPT, byes
from oneproxy.engine.standing import Standing, call_of, session_of
from oneproxy.engine.tables import Tables
from oneproxy.sip.message import Request
from oneproxy.sip.uri import Uri

if TYPE_CHECKING:
    from oneproxy.engine.decisions import Hold

__all__ = ["Followed", "Following"]

#: How often one call may pass here and be followed each time: an application server that
#: sends it back (a spiral, RFC 3261 6) once or twice, a caller who repeats himself for ever.
_PASSES: Final = 8
#: What an INVITE is refused with that nobody has room to follow.
_FULL: Final = 503


class Keeper(Protocol):
    """Who keeps answered calls beyond this process: `records.keeper.Keeper`."""

    def answered(self, now: float, call: Call) -> None:
        """It has been answered."""
        ...

    def changed(self, now: float, call: Call) -> None:
        """What stands of an answered call is another one: by a refresh, or another flow."""
        ...

    def ended(self, now: float, call: Call) -> None:
        """It is over, answered or not."""
        ...


class Following:
    """The table of followed calls.

    capacity: the most at once. is_own_route: whether a URI in a Record-Route is this
    node's. send: sends a request of our own, whose answer nobody waits for.
    """

    __slots__ = (
        "_calls",
        "_capacity",
        "_counters",
        "_is_own_route",
        "_send",
        "_wheel",
        "hold_again",
        "keeper",
        "size",
    )

    def __init__(
        self,
        tables: Tables,
        capacity: int,
        is_own_route: Callable[[Uri], bool],
        send: Callable[[float, OwnRequest], None],
    ) -> None:
        self._capacity = capacity
        self._is_own_route = is_own_route
        self._send = send
        self._wheel = tables.wheel
        self._counters = tables.counters
        #: By Call-ID and the caller's tag: the first pass of the call through here.
        self._calls: dict[str, Followed] = {}
        #: How many calls are followed.
        self.size = 0
        self.keeper: Keeper = NOBODY
        #: What counts an adopted call again, by its key, from an instant on; None where nothing does by now.
        self.hold_again: Callable[[str, float], Hold | None] = _not_again

    def __len__(self) -> int:
        """How many calls are followed."""
        return self.size

    def all(self) -> list[Followed]:
        """Every call that is followed at this moment; those that end later are over by their `state`.

        50,000 take 0.2 ms, where none of them passes here twice.
        """
        if len(self._calls) == self.size:
            return list(self._calls.values())
        found = []
        for first in self._calls.values():
            one: Followed | None = first
            while one is not None:
                found.append(one)
                one = one.next
        return found

    def begin(
        self, now: float, request: Request, watch: Watch, session: Session | None, flow: Flow | None = None
    ) -> Followed | None:
        """Follow the call that `request`, an INVITE outside of a dialog, starts.

        flow: where the caller can be reached over the flow of the INVITE alone, that flow.
        None where there is no room, which is counted; the INVITE is then to be refused.
        """
        if self.size >= self._capacity:
            self._counters.dropped["calls-full"] += 1
            tell_of_none(now, request, watch, _FULL)
            return None
        call = Call(request.call_id[:KEPT], request.from_tag[:KEPT], now, watch)
        followed = Followed(self, call, session)
        followed.begin(request, flow)
        last = self._calls.get(followed.key)
        if last is None:
            self._calls[followed.key] = followed
        else:
            passes = 1
            while last.next is not None:
                last = last.next
                passes += 1
            if passes >= _PASSES:
                self._counters.dropped["call-repeated"] += 1
                tell_of_none(now, request, watch, _FULL)
                return None
            last.next = followed
        self.size += 1
        return followed

    def standing(self, call: Call) -> Standing | None:
        """What `call` is followed again from by another process; None unless it is answered, and on."""
        followed = self.of_call(call)
        return None if followed is None or followed.state != ANSWERED else followed.standing()

    def adopt(self, now: float, standing: Standing, watch: Watch) -> Call | None:
        """Follow a call again that was answered before this process began; nothing is told of that.

        None where there is no room, which is counted. Where its session has expired meanwhile, or its
        BYEs are due, it ends at the next tick.
        """
        if self.size >= self._capacity:
            self._counters.dropped["calls-full"] += 1
            return None
        call = call_of(standing, watch, KEPT)
        followed = Followed(self, call, session_of(standing))
        if not self._put_back(followed):
            self._counters.dropped["call-repeated"] += 1
            return None
        followed.resume(standing)
        holds = [self.hold_again(key, now) for key in standing.holds]
        followed.holds = [hold for hold in holds if hold is not None]
        self.size += 1
        return call

    def _put_back(self, followed: Followed) -> bool:
        """Give it its place among the passes of its call, which are in the order of their INVITEs.

        Of passes of one instant the later one was answered first, so is kept and comes first.
        """
        before, passes = None, 0
        one = first = self._calls.get(followed.key)
        while one is not None:
            passes += 1
            if one.call.started_at < followed.call.started_at:
                before = one
            one = one.next
        if passes >= _PASSES:
            return False
        if before is None:
            followed.next = first
            self._calls[followed.key] = followed
        else:
            followed.next = before.next
            before.next = followed
        return True

    def of(self, request: Request) -> Followed | None:
        """The followed call that `request` belongs to, which is inside of a dialog.

        Until the call is answered it has a dialog with each callee that rings; then the
        tag of the one who answered has to be in the request.
        """
        if not self._calls:
            return None
        call_id = request.call_id
        return among(self._calls.get(key_of(call_id, request.from_tag)), request.to_tag) or among(
            self._calls.get(key_of(call_id, request.to_tag)), request.from_tag
        )

    def of_call(self, call: Call) -> Followed | None:
        """The one that reports about `call`; None where that is over."""
        followed = self._calls.get(key_of(call.call_id, call.caller_tag))
        while followed is not None and followed.call is not call:
            followed = followed.next
        return followed

    def end(self, now: float, followed: Followed, reason: str) -> bool:
        """End a call from the side. reason: a Reason value (RFC 3326), "" for none.

        True: it is over, and each side has been sent a BYE. False: it is not answered, and
        its INVITE has to be given up, which leads to the failure that ends it. Should a
        2xx overtake the CANCEL, the BYEs follow that.
        """
        if followed.state == EARLY:
            followed.ending = ("proxy", reason)
            return False
        if followed.state == ANSWERED:
            followed.end("proxy", now, reason, True)
        return True

    def hang_up(self, now: float, followed: Followed, reason: str) -> None:
        """Send each side of an answered call a BYE."""
        if followed.call_id is None:
            return
        for request in byes(followed.call_id, followed.caller, followed.callee, reason, self._is_own_route):
            self._send(now, request)

    def set_expiry(self, expiry: Expiry, due: float) -> None:
        """Let the time of a session end at `due`; none where that is 0."""
        if due:
            self._wheel.set(expiry, due)
        else:
            self._wheel.cancel(expiry)

    def forget(self, followed: Followed) -> None:
        """The call is over: its place is free."""
        self.size -= 1
        first = self._calls[followed.key]
        if first is not followed:
            while first.next is not followed:
                assert first.next is not None
                first = first.next
            first.next = followed.next
        elif followed.next is not None:
            self._calls[followed.key] = followed.next
        else:
            del self._calls[followed.key]
        followed.next = None


def _not_again(_key: str, _now: float) -> "Hold | None":
    """Nothing counts calls."""
    return None


class _Nobody:
    """Nobody keeps calls."""

    __slots__ = ()

    def answered(self, now: float, call: Call) -> None:
        """It is not kept."""

    def changed(self, now: float, call: Call) -> None:
        """It was not kept."""

    def ended(self, now: float, call: Call) -> None:
        """It was not kept."""


NOBODY: Final = _Nobody()


def tell_of_none(now: float, request: Request, watch: Watch, status: int) -> None:
    """The call that `request` would begin is refused before it is followed: nobody waits for its end."""
    call = Call(request.call_id[:KEPT], request.from_tag[:KEPT], now, watch)
    call.ended_at = now
    call.status = status
    watch.note(now, call, CallEvent.GIVEN_UP)
