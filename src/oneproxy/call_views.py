"""What people are shown of the calls of a node, and how they end one.

A node may have 50,000 of them. AT_ONCE are looked at in one turn of the loop, which takes a few
milliseconds where each has to be read for the first time; after LOOK_S the answer says how many were
not looked at.
"""

import asyncio
from collections.abc import Callable, Container
from typing import Final

import structlog

from oneproxy.engine.call import Call
from oneproxy.engine.followed import ANSWERED as IS_ANSWERED
from oneproxy.engine.followed import OVER, Followed
from oneproxy.engine.following import Following
from oneproxy.ipc.calls import (
    ANSWERED,
    CALLING,
    MOST_CALLS,
    RINGING,
    AskCalls,
    CallFound,
    CallsFound,
    EndCall,
    NodeEnded,
)
from oneproxy.records.identifier import make_id
from oneproxy.records.recording import Recording, text, who
from oneproxy.sip.address import parse_address
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.reason import reason_value
from oneproxy.sip.uri import Uri, parse_uri

#: Calls that are looked at, or passed by in search of one, in a turn of the loop.
AT_ONCE: Final = 100
PASSED_AT_ONCE: Final = 5_000
#: How long a node looks: the recorder waits for a second.
LOOK_S: Final = 0.5
#: RFC 3261 21.4.18: what both sides are told, that the other one is not to be had any more.
_CAUSE: Final = 480

log = structlog.get_logger()


class LiveCalls:
    """The calls of one engine.

    end: `Engine.end`, and sends what comes of it. party_of: the provider and the gateway of an answered
    call of which no record is made. served: the domains. clock: the engine's time; shift: what is to be
    added to it for that of day.
    """

    def __init__(
        self,
        following: Following,
        end: Callable[[Call, str], None],
        party_of: Callable[[Call], tuple[str, str]],
        served: Container[str],
        clock: Callable[[], float],
        shift: Callable[[], float],
    ) -> None:
        self._following = following
        self._end = end
        self._party_of = party_of
        self._served = served
        self._clock = clock
        self._shift = shift

    async def answer(self, question: AskCalls | EndCall) -> CallsFound | NodeEnded:
        """What is asked for."""
        if isinstance(question, EndCall):
            return NodeEnded(await self.end(question.id.strip().lower(), question.reason))
        return await self.find(question)

    async def find(self, question: AskCalls) -> CallsFound:
        """The calls that are asked for, those that began first."""
        calls = self._following.all()
        most = min(question.most, MOST_CALLS)
        is_any = not (question.number or question.state or question.provider or question.gateway)
        give_up = self._clock() + LOOK_S
        found: list[CallFound] = []
        matching = looked = 0
        while looked < len(calls):
            if looked:
                # Messages have their turn between.
                await asyncio.sleep(0)
                if self._clock() >= give_up:
                    break
            for followed in calls[looked : looked + AT_ONCE]:
                one = self._match(followed, question)
                if one is not None:
                    matching += 1
                    if len(found) < most:
                        found.append(one)
            looked = min(looked + AT_ONCE, len(calls))
            if is_any and len(found) == most:
                return CallsFound(found, len(calls), len(calls))
        return CallsFound(found, len(calls), matching, len(calls) - looked)

    async def end(self, name: str, reason: str) -> bool:
        """End the call of this name; whether it was on. reason: as `sip.reason.is_text` has it."""
        if not name:
            return False  # as those are called that nobody was shown
        calls = self._following.all()
        for begin in range(0, len(calls), PASSED_AT_ONCE):
            if begin:
                await asyncio.sleep(0)
            for followed in calls[begin : begin + PASSED_AT_ONCE]:
                call = followed.call
                watch = call.watch
                if name == (watch.id if isinstance(watch, Recording) else call.name):
                    return self._end_one(name, followed, reason)
        return False

    def _end_one(self, name: str, followed: Followed, reason: str) -> bool:
        if followed.state == OVER:
            return False
        if followed.ending is None:
            log.info("call ended by hand", call=name, state=_state(followed), reason=reason)
            self._end(followed.call, reason_value(_CAUSE, reason))
        # Else it was given up while it rang: its answer is on the way.
        return True

    def _match(self, followed: Followed, question: AskCalls) -> CallFound | None:
        """The call as people are shown it; None where it is not asked for, or is over by now."""
        state = _state(followed)
        if followed.state == OVER or question.state not in ("", state):
            return None
        party = self._party(followed)
        if question.provider not in ("", party[0]) or question.gateway not in ("", party[1]):
            return None
        people = self._people(followed)
        if question.number not in people[0] and question.number not in people[1]:
            return None
        call = followed.call
        name, since, answered_at = self._known(call)
        seconds = max(self._clock() - (call.answered_at or call.started_at), 0.0)
        return CallFound(name, state, *people, *party, since, answered_at, seconds)

    def _known(self, call: Call) -> tuple[str, float, float]:
        """Its name, from now on, and when it began and was answered, by the time of day."""
        watch = call.watch
        if isinstance(watch, Recording):
            draft = watch.stand(call)
            return draft.id, draft.started_ms / 1000.0, draft.answered_ms / 1000.0
        shift_s = self._shift()
        since = call.started_at + shift_s
        call.name = call.name or make_id(round(since * 1000.0))
        return call.name, since, call.answered_at + shift_s if call.answered_at else 0.0

    def _people(self, followed: Followed) -> tuple[str, str, str, str]:
        """Caller, callee, domain and source; without a record by the From and the To of the sides."""
        watch = followed.call.watch
        if isinstance(watch, Recording):
            draft = watch.stand(followed.call)
            return draft.caller, draft.callee, draft.domain, draft.source
        context = followed.context
        ask = None if context is None else context.ask
        caller = _uri(followed.caller.address)
        callee = _uri(followed.callee.address) if ask is None else ask.uri
        domain = next((uri.host for uri in (caller, callee) if uri and uri.host in self._served), "")
        return _name(caller), _name(callee), domain, ""

    def _party(self, followed: Followed) -> tuple[str, str]:
        """The provider and the gateway that have the call, or had it last; "" for none."""
        call, context = followed.call, followed.context
        if context is not None and context.branches:
            party = context.branches[-1].attempt.target.party
            return ("", "") if party is None else (party.provider, party.gateway)
        watch = call.watch
        if isinstance(watch, Recording):
            draft = watch.stand(call)
            return draft.provider, draft.gateway
        return self._party_of(call)


def _state(followed: Followed) -> str:
    if followed.state == IS_ANSWERED:
        return ANSWERED
    return RINGING if followed.call.ringing_at else CALLING


def _uri(address: str | None) -> Uri | None:
    """The URI in a From or a To."""
    found = Malformed.FROM if address is None else parse_address(address)
    uri = found if isinstance(found, Malformed) else parse_uri(found.uri)
    return None if isinstance(uri, Malformed) else uri


def _name(uri: Uri | None) -> str:
    return "" if uri is None else text(who(uri))
