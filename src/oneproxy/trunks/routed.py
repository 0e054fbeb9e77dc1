"""One call on its way through the gateways of a provider: what each is sent, and what it came to.

It decides again each time that a gateway has failed, and is told what becomes of the call.
A gateway that asks for a password gets it, where the site has one for it: the same gateway is sent
the INVITE once more, as another request with a higher CSeq (RFC 3261 22.2).
"""

from functools import partial
from typing import TYPE_CHECKING, Final

from oneproxy.engine.call import Call as EngineCall
from oneproxy.engine.call import CallEvent, Session
from oneproxy.engine.decisions import (
    BY_SITE,
    Ask,
    Best,
    Decision,
    Forward,
    Outcome,
    Party,
    Reply,
    Target,
)
from oneproxy.trunks.answer import Answer
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.authenticator import Turn
from oneproxy.trunks.call import Call
from oneproxy.trunks.identity import Identity
from oneproxy.trunks.outgoing import Outgoing, make_outgoing
from oneproxy.trunks.registrar_answers import retry_after_s
from oneproxy.trunks.routes import Plan
from oneproxy.trunks.walk import Walk

if TYPE_CHECKING:
    from oneproxy.trunks.authenticator import Authenticator
    from oneproxy.trunks.sides import Sides

#: Nothing is left to dial (RFC 3261 21.4.22).
NO_NUMBER: Final = Reply(484, "Address Incomplete")
#: How often one gateway may ask for a password in one call: its proxy, and who is behind it, and
#: each once more since the nonce was too old.
_MOST_PROOFS: Final = 4
_MOST_CSEQ: Final = 2**31 - 1
#: In place of 401 and 407 of a gateway whose password the site has and that does not take it: that
#: is the gateway's failure, and nothing that the caller could answer.
_NOT_PROVED: Final = 500


class RoutedCall:
    """One call, from its first gateway to its end."""

    __slots__ = (
        "_authenticator",
        "_call",
        "_failed",
        "_identity",
        "_more",
        "_plan",
        "_session",
        "_sides",
        "_turn",
        "walk",
    )

    def __init__(
        self,
        walk: Walk,
        sides: "Sides",
        plan: Plan,
        call: Call,
        identity: Identity | None,
        session: Session | None,
    ) -> None:
        self.walk = walk
        self._sides = sides
        self._plan = plan
        self._call = call
        self._identity = identity
        self._session = session
        #: What the gateways came to, in the order in which they were tried.
        self._failed: list[Outcome] = []
        #: Proofs that the present gateway was sent in this call, and where its nonces are.
        self._more = 0
        self._authenticator: Authenticator | None = None
        self._turn: Turn | None = None

    def begin(self, ask: Ask) -> Decision:
        """To the first gateway."""
        first = self.walk.begin(ask.now)
        if self.walk.holds:
            ask.holds = [*ask.holds, *self.walk.holds]
        return self._go(ask, first)

    def decide(self, ask: Ask) -> Decision:
        """The present gateway has failed: to the next one, or what the caller is answered."""
        outcome = ask.outcomes[-1]
        response = outcome.response
        status = outcome.status
        if self._authenticator is not None and response is not None:
            if status not in (401, 407):
                self._authenticator.succeeded(response, self._turn)
            elif self._may_prove(ask) and not self._authenticator.challenged(response, self._turn):
                attempt = self.walk.attempt
                if attempt is not None:
                    self._more += 1
                    return self._send(ask, attempt)
            if status in (401, 407):
                status = _NOT_PROVED
        self._failed.append(outcome)
        wait_s = 0 if response is None else retry_after_s(response)
        heard_at = outcome.first_response_at
        return self._go(ask, self.walk.failed(ask.now, status, outcome.error, wait_s, heard_at))

    def note(self, now: float, _call: EngineCall, event: CallEvent) -> None:
        """What becomes of the call."""
        attempt = self.walk.attempt
        if event is CallEvent.ENDED or event is CallEvent.GIVEN_UP:
            self.walk.end(now)
        elif attempt is not None:
            if event is CallEvent.ANSWERED:
                attempt.answered(now)
            elif event is CallEvent.FIRST_RESPONSE:
                attempt.reached(now)
                if self._authenticator is not None:
                    self._authenticator.succeeded(turn=self._turn)

    def _may_prove(self, ask: Ask) -> bool:
        """Whether there may be another INVITE, with a higher CSeq (RFC 3261 8.1.1.5)."""
        return self._more < _MOST_PROOFS and ask.request.cseq + self._more < _MOST_CSEQ

    def _go(self, ask: Ask, step: Attempt | Answer) -> Decision:
        if isinstance(step, Answer):
            return self._answer(step)
        self._more = 0
        self._authenticator = self._sides.authenticator(step.provider.site.name, step.gateway.site)
        self._turn = None if self._authenticator is None else Turn()
        return self._send(ask, step)

    def _send(self, ask: Ask, attempt: Attempt) -> Decision:
        try:
            side = self._sides.of(attempt.provider.site.name, attempt.gateway.site)
            out = make_outgoing(ask.request, self._call, self._plan, side, self._identity)
            target = None if out is None else self._target(ask, attempt, out)
        except Exception:
            # Nobody hears of a call that does not begin, by a fault of ours too: it counts no more.
            self.walk.end(ask.now)
            raise
        if target is None:
            self.walk.end(ask.now)
            return NO_NUMBER
        ask.step = self
        return Forward([target], watch=self, session=self._session)

    def _target(self, ask: Ask, attempt: Attempt, out: Outgoing) -> Target:
        headers = out.headers
        if self._authenticator is not None:
            # A nonce that was good is good again: most calls are not asked.
            headers += self._authenticator.lines("INVITE", out.uri, ask.request.body, self._turn)
        return Target(
            out.uri,
            first_response_s=attempt.try_for_s,
            headers=headers,
            dropped=out.dropped,
            cseq_more=self._more,
            heard=attempt.responded,
            source=BY_SITE,
            answered=partial(self.walk.won, attempt),
            party=Party(attempt.provider.site.name, attempt.gateway.site.name, out.calling),
        )

    def _answer(self, answer: Answer) -> Decision:
        if answer.place >= 0 and self._failed[answer.place].status == answer.status:
            # A challenge that we could not answer is not the caller's to answer.
            return Best(self._failed[answer.place])
        return reply_of(answer)


def reply_of(answer: Answer) -> Reply:
    """An answer of our own, as the engine has it."""
    headers = (f"Retry-After: {answer.retry_after_s}",) if answer.retry_after_s else ()
    return Reply(answer.status, answer.reason, headers, cause=answer.cause)
