"""A gateway that counts the calls that are up at it, and is as unsteady as gateways are.

It refuses some calls, answers others late or never, hangs up some, loses the BYE of others, and starts
again now and then, with all that it knew forgotten. It reads and makes datagrams, by any clock.

A call is up from its INVITE to the failure that it is answered with, or to the end of the dialog: a
BYE that came, or one of its own that was answered.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from agenda import Agenda, Repeated
from oneproxy.sip.check import check
from oneproxy.sip.message import Request, Response, split
from world import request, response

RINGING: Final = 0
ANSWERED: Final = 1
HANGING_UP: Final = 2
OVER: Final = 3


class Leg:
    """One call at the gateway."""

    __slots__ = ("invite", "repeated", "state")

    def __init__(self, invite: Request) -> None:
        self.invite = invite
        self.state = RINGING
        #: The 2xx until its ACK comes, or its BYE until that is answered.
        self.repeated: Repeated | None = None


class CountingGateway:
    """send: to the proxy. address: its own, as its Via and Contact say it."""

    def __init__(
        self, agenda: Agenda, random: Random, send: Callable[[bytes], None], address: str, limit: int
    ) -> None:
        self._agenda = agenda
        self._random = random
        self._send = send
        self._address = address
        self._limit = limit
        #: By Call-ID: those that are up, those that were, and failures that nobody has acknowledged.
        self.legs: dict[str, Leg] = {}
        self._over: set[str] = set()
        self._failures: dict[str, Repeated] = {}
        #: Calls of which a proxy that was started again can't know: they were not answered yet.
        self.strays: set[str] = set()
        #: Whether it answers every call at once and ends none: to count how many get in.
        self.is_steady = False
        self.most = 0
        self.beyond = 0
        self.invites = 0
        self.answered = 0
        self.restarts = 0

    @property
    def up(self) -> int:
        """How many calls are up, without strays."""
        return len(self.legs) - len(self.strays)

    def receive(self, now: float, data: bytes) -> None:
        """A datagram from the proxy."""
        message = split(data)
        if isinstance(message, Response):
            self._responded(message)
        elif isinstance(message, Request) and check(message) is None:
            match message.method:
                case "INVITE":
                    self._invited(now, message)
                case "ACK":
                    self._acknowledged(message)
                case "CANCEL":
                    self._cancelled(now, message)
                case "BYE":
                    self._ended(message)
                case _:
                    self._send(response(message, 200, to_tag="g"))

    def restart(self) -> None:
        """All is forgotten: calls that were up are nobody's."""
        self.restarts += 1
        for call_id in list(self.legs):
            self._end(call_id)
        self._over.clear()
        for failure in self._failures.values():
            failure.stop()
        self._failures.clear()

    def stray(self) -> None:
        """The proxy was killed: those that were not answered are known to nobody but their callers."""
        self.strays = {call_id for call_id, leg in self.legs.items() if leg.state == RINGING}

    # Requests.

    def _invited(self, now: float, invite: Request) -> None:
        call_id = invite.call_id
        if call_id in self.legs or call_id in self._over:
            return
        leg = self.legs[call_id] = Leg(invite)
        self.invites += 1
        self.most = max(self.most, self.up)
        self.beyond += self.up > self._limit
        draw = self._random.random()
        if self.is_steady:
            self._answer(now, leg)
        elif draw < 0.1:
            self._agenda.at(now + 0.02, lambda at: self._fail(at, leg, 486 if draw < 0.05 else 503))
        else:
            self._send(response(invite, 180, to_tag=_tag(call_id)))
            wait_s = self._random.uniform(0.0, 1.0)
            if draw < 0.15:
                self._agenda.at(now + 3.0 + wait_s, lambda at: self._fail(at, leg, 480))
            else:
                self._agenda.at(now + wait_s, lambda at: self._answer(at, leg))

    def _acknowledged(self, ack: Request) -> None:
        leg = self.legs.get(ack.call_id)
        failure = self._failures.pop(ack.call_id, None)
        if failure is not None:
            failure.stop()
        elif leg is not None and leg.state == ANSWERED and leg.repeated is not None:
            leg.repeated.stop()

    def _cancelled(self, now: float, cancel: Request) -> None:
        leg = self.legs.get(cancel.call_id)
        if leg is None and cancel.call_id not in self._over:
            self._send(response(cancel, 481, to_tag="g"))
            return
        self._send(response(cancel, 200, to_tag="g"))
        if leg is not None:
            # Whoever is called has to be told first.
            wait_s = self._random.uniform(0.0, 0.3)
            self._agenda.at(now + wait_s, lambda at: self._fail(at, leg, 487))

    def _ended(self, bye: Request) -> None:
        is_known = bye.call_id in self.legs or bye.call_id in self._over
        if bye.call_id in self.legs:
            self._end(bye.call_id)
        self._send(response(bye, 200 if is_known else 481))

    # What becomes of a call by itself.

    def _fail(self, now: float, leg: Leg, status: int) -> None:
        if leg.state != RINGING:
            return
        call_id = leg.invite.call_id
        failure = response(leg.invite, status, to_tag=_tag(call_id))
        self._failures[call_id] = Repeated(
            self._agenda, now, self._send, failure, lambda _: self._forget(call_id)
        )
        self._end(call_id)

    def _forget(self, call_id: str) -> None:
        self._failures.pop(call_id, None)

    def _answer(self, now: float, leg: Leg) -> None:
        if leg.state != RINGING:
            return
        leg.state = ANSWERED
        self.answered += 1
        answer = response(
            leg.invite, 200, f"Contact: <sip:g@{self._address}>", to_tag=_tag(leg.invite.call_id)
        )
        # RFC 3261 13.3.1.4: where no ACK comes the call is ended by a BYE.
        leg.repeated = Repeated(self._agenda, now, self._send, answer, lambda at: self._hang_up(at, leg))
        if not self.is_steady and self._random.random() < 0.3:
            self._agenda.at(now + 0.2 + self._random.expovariate(2.0), lambda at: self._hang_up(at, leg))

    def _hang_up(self, now: float, leg: Leg) -> None:
        if leg.state != ANSWERED:
            return
        leg.state = HANGING_UP
        if leg.repeated is not None:
            leg.repeated.stop()
        invite = leg.invite
        call_id = invite.call_id
        contact = (invite.get("contact") or "<sip:nobody@invalid>").strip("<>")
        bye = request(
            "BYE",
            contact,
            *(f"Route: {route}" for route in invite.all("record-route")),
            branch=f"z9hG4bKg{call_id}",
            via=self._address,
            call_id=call_id,
            from_tag=_tag(call_id),
            to_tag=invite.from_tag,
        )
        leg.repeated = Repeated(self._agenda, now, self._send, bye, lambda _: self._end(call_id))

    def _responded(self, message: Response) -> None:
        call_id = message.get("call-id") or ""
        leg = self.legs.get(call_id)
        if leg is not None and leg.state == HANGING_UP and message.status >= 200:
            self._end(call_id)

    def _end(self, call_id: str) -> None:
        leg = self.legs.pop(call_id, None)
        if leg is None:
            return
        leg.state = OVER
        if leg.repeated is not None:
            leg.repeated.stop()
        self._over.add(call_id)
        self.strays.discard(call_id)


def _tag(call_id: str) -> str:
    return f"g{call_id}"
