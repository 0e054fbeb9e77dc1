"""Overload: what is refused while messages wait for longer than they may before they are handled.

Whoever measures that says how much of what is refused (`set`): new calls first, then new registrations
and other new requests, then registrations that are only kept up. What goes on with something that
was begun (a dialog, a transaction) is never refused.

Which requests it is says a hash of each one's transaction: it is as good as a draw, costs less, and
says the same of a repetition. Who repeats a refused INVITE when the share has fallen meanwhile is
refused too, by the gate (`engine.repeated`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from oneproxy.sip.message import Request

#: Why a request is refused: stable codes, of counters and logs. Peers are not told.
CALL: Final = "overload-call"
REGISTER: Final = "overload-register"
REFRESH: Final = "overload-refresh"
OTHER: Final = "overload-request"
CODES: Final = frozenset((CALL, REGISTER, REFRESH, OTHER))

#: Shares are parts of this.
WHOLE: Final = 65_536
#: How long what was measured holds. Where messages wait it is measured many times in that.
_HOLDS_S: Final = 0.25
#: For how long after that ACKs of refusals are told by their octets.
_ACKS_S: Final = 1.0
#: A phone that is to register later draws anew then: its Call-ID is the same.
_REDRAWN_S: Final = 16


class Shedding:
    """What is refused at present. Times are seconds since the epoch by a clock that never jumps."""

    __slots__ = (
        "_calls",
        "_refreshes",
        "_registers",
        "_valid_until",
        "knows",
        "loss_percent",
        "on_refused",
        "until",
    )

    def __init__(self) -> None:
        #: Nothing is refused from this instant on, and nothing has to be asked here.
        self.until = 0.0
        #: The share of new calls that is refused, 0 to 100, over the last second or so.
        self.loss_percent = 0
        #: Whether a REGISTER keeps up a binding that is there.
        self.knows: Callable[[Request, float], bool] = _knows_none
        #: Told of each refusal: when, and its code.
        self.on_refused: Callable[[float, str], None] = _ignore
        self._calls = self._registers = self._refreshes = 0
        self._valid_until = 0.0

    def set(self, now: float, calls: float, registers: float, refreshes: float) -> None:
        """Refuse these shares, 0.0 to 1.0, from now on; each holds for a quarter of a second.

        calls: of new calls. registers: of new registrations and other new requests. refreshes: of
        registrations that are only kept up.
        """
        self._calls = int(calls * WHOLE)
        self._registers = int(registers * WHOLE)
        self._refreshes = int(refreshes * WHOLE)
        self._valid_until = now + _HOLDS_S
        if self._calls:
            self.until = now + _ACKS_S

    def refuses_call(self, now: float, key: str) -> bool:
        """Whether a new call is refused. key: of its transaction."""
        return now < self._valid_until and hash(key) % WHOLE < self._calls

    def refusal_of(self, now: float, key: str, request: "Request") -> str:
        """The code by which a new request that is no INVITE is refused; "" for one that is let in."""
        if now >= self._valid_until or not self._registers:
            return ""
        if request.method != "REGISTER":
            return OTHER if hash(key) % WHOLE < self._registers else ""
        # By Call-ID, so that whoever was challenged is not refused when it proves its password.
        drawn = hash((request.get("call-id"), int(now) // _REDRAWN_S)) % WHOLE
        if drawn >= self._registers:
            return ""
        if not self.knows(request, now):
            return REGISTER
        return REFRESH if drawn < self._refreshes else ""


def _knows_none(_request: "Request", _now: float) -> bool:
    """All are new."""
    return False


def _ignore(_now: float, _code: str) -> None:
    """Nobody wants to know."""
