"""Callers who give up, hang up, forget to, and are gone, of a rate. Datagrams, by any clock.

Of their calls some are cancelled after a while; those that are answered are ended by a BYE, but for
one in twenty whose BYE is lost, and one in fifty whose caller is gone when it is answered and says
nothing any more, not even ACK.
"""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final

from agenda import Agenda, Repeated
from oneproxy.sip.check import check, tag_of
from oneproxy.sip.message import Request, Response, split
from world import request, response

CANCELLED: Final = 0.25
LOST_BYE: Final = 0.05
GONE: Final = 0.02
#: How long a caller waits for an answer.
PATIENCE_S: Final = 6.0


class Leg:
    """One call of a caller."""

    __slots__ = ("answer", "call_id", "cancelling", "invite", "is_heard", "is_over", "repeated")

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.invite: Repeated | None = None
        #: The CANCEL, or the BYE, until it is answered.
        self.repeated: Repeated | None = None
        self.is_heard = False
        self.cancelling = False
        self.answer: Response | None = None
        self.is_over = False


class RestlessCallers:
    """send: to the proxy. address: theirs, as Via and Contact say it. dialled: a Request-URI."""

    def __init__(
        self, agenda: Agenda, random: Random, send: Callable[[bytes], None], address: str, dialled: str
    ) -> None:
        self._agenda = agenda
        self._random = random
        self._send = send
        self._address = address
        self._dialled = dialled
        self.legs: dict[str, Leg] = {}
        #: By Call-ID: those who say nothing any more.
        self._gone: set[str] = set()
        self.calls = 0
        #: How many calls came to which final status; 0: to none.
        self.ends: Counter[int] = Counter()
        #: Whether they wait and talk for ever: to count how many get in.
        self.is_steady = False

    def call_from(self, now: float, until: float, per_s: float) -> None:
        """Call at random instants, `per_s` in a second, until then."""
        when = now + self._random.expovariate(per_s)
        if when < until:
            # From the instant that was meant, or a clock that is late would make them fewer.
            self._agenda.at(when, lambda at: self._one_of(at, when, until, per_s))

    def _one_of(self, now: float, meant_at: float, until: float, per_s: float) -> None:
        self.call(now)
        self.call_from(meant_at, until, per_s)

    def call(self, now: float) -> None:
        """One call."""
        self.calls += 1
        call_id = f"c{self.calls}"
        leg = self.legs[call_id] = Leg(call_id)
        leg.invite = Repeated(
            self._agenda,
            now,
            self._send,
            self._request("INVITE", call_id, f"Contact: <sip:c@{self._address}>"),
            lambda _: self._over(leg, 0),
            longest_s=32.0,
        )
        if not self.is_steady:
            is_restless = self._random.random() < CANCELLED
            wait_s = self._random.uniform(0.0, 1.5) if is_restless else PATIENCE_S
            self._agenda.at(now + wait_s, lambda at: self._cancel(at, leg))

    def receive(self, now: float, data: bytes) -> None:
        """A datagram from the proxy."""
        message = split(data)
        if isinstance(message, Request):
            if check(message) is None and message.method == "BYE":
                self._ended(message)
        elif isinstance(message, Response) and call_id_of(message) not in self._gone:
            leg = self.legs.get(call_id_of(message))
            if leg is not None:
                self._responded(now, leg, message)
            elif message.cseq_method() == "INVITE" and message.status >= 200:
                # A final response that comes again: its ACK was lost.
                self._acknowledge(message)

    def _responded(self, now: float, leg: Leg, message: Response) -> None:
        method = message.cseq_method()
        if method != "INVITE":
            if method == "BYE" and message.status >= 200 and leg.repeated is not None:
                leg.repeated.stop()
                self._over(leg, 200)
            elif method == "CANCEL" and leg.repeated is not None and leg.answer is None:
                leg.repeated.stop()
            return
        if leg.invite is not None:
            leg.invite.stop()
        leg.is_heard = True
        if message.status >= 300:
            self._acknowledge(message)
            self._over(leg, message.status)
        elif message.status >= 200:
            self._answered(now, leg, message)
        elif leg.cancelling and leg.repeated is None:
            self._cancel(now, leg)

    def _answered(self, now: float, leg: Leg, message: Response) -> None:
        if leg.answer is None and not self.is_steady and self._random.random() < GONE:
            self._gone.add(leg.call_id)
            self._over(leg, 200)
            return
        self._acknowledge(message)
        if leg.answer is not None:
            return
        leg.answer = message
        if leg.cancelling:
            self._hang_up(now, leg)
        elif not self.is_steady and self._random.random() >= LOST_BYE:
            self._agenda.at(now + self._random.expovariate(2.0), lambda at: self._hang_up(at, leg))

    def _cancel(self, now: float, leg: Leg) -> None:
        """RFC 3261 9.1: not before a provisional response has come."""
        if leg.is_over or leg.answer is not None:
            return
        leg.cancelling = True
        if leg.is_heard and leg.repeated is None:
            leg.repeated = Repeated(self._agenda, now, self._send, self._request("CANCEL", leg.call_id))

    def _hang_up(self, now: float, leg: Leg) -> None:
        if leg.is_over or leg.answer is None:
            return
        if leg.repeated is not None:
            leg.repeated.stop()
        bye = self._inside("BYE", leg.call_id, leg.answer)
        leg.repeated = Repeated(self._agenda, now, self._send, bye, lambda _: self._over(leg, 200))

    def _ended(self, bye: Request) -> None:
        if bye.call_id in self._gone:
            return
        leg = self.legs.get(bye.call_id)
        self._send(response(bye, 481 if leg is None else 200))
        if leg is not None:
            self._over(leg, 200)

    def _over(self, leg: Leg, status: int) -> None:
        if leg.is_over:
            return
        leg.is_over = True
        for repeated in (leg.invite, leg.repeated):
            if repeated is not None:
                repeated.stop()
        self.ends[status] += 1
        del self.legs[leg.call_id]

    def _acknowledge(self, final: Response) -> None:
        if final.status < 300:
            self._send(self._inside("ACK", call_id_of(final), final))
        else:
            self._send(self._request("ACK", call_id_of(final), to_tag=tag_of(final.get("to") or "") or ""))

    def _request(self, method: str, call_id: str, *headers: str, to_tag: str = "") -> bytes:
        return request(
            method,
            self._dialled,
            *headers,
            branch=f"z9hG4bK{call_id}",
            via=self._address,
            call_id=call_id,
            from_tag=call_id,
            to_tag=to_tag,
        )

    def _inside(self, method: str, call_id: str, answer: Response) -> bytes:
        return request(
            method,
            (answer.get("contact") or "<sip:nobody@invalid>").strip("<>"),
            *(f"Route: {route}" for route in reversed(answer.all("record-route"))),
            branch=f"z9hG4bK{method}{call_id}",
            via=self._address,
            call_id=call_id,
            cseq=1 if method == "ACK" else 2,
            from_tag=call_id,
            to_tag=tag_of(answer.get("to") or "") or "",
        )


def call_id_of(message: Response) -> str:
    """Its Call-ID, as we have made it."""
    return message.get("call-id") or ""
