"""A call record in the making: what a call is told of, and the row that comes of it.

Little is done while messages pass. The INVITE is kept until its final response has gone back, and read
when the journal is written, for many calls at once.
"""

from collections.abc import Container
from typing import Final, Protocol

from oneproxy.engine.call import Call, CallEvent, Watch
from oneproxy.engine.decisions import Ask, Outcome
from oneproxy.records.identifier import make_id
from oneproxy.records.record import LONGEST, Attempt, Record
from oneproxy.sip.host import format_host
from oneproxy.sip.message import Message, Response
from oneproxy.sip.read import address_uri
from oneproxy.sip.uri import Uri

#: Of a call that is sent to more targets than anybody reads of, the last ones.
MOST_ATTEMPTS: Final = 50
_Q850: Final = "q.850"


class Writer(Protocol):
    """Who keeps records: `records.keeper.Keeper`.

    node: the name of this one. served: the domains of the site. shift_s: what is to be added to the
    engine's time for that of day.
    """

    node: str
    served: Container[str]
    shift_s: float

    def over(self, recording: "Recording", call: Call) -> None:
        """The record of this call is complete."""
        ...


class Recording:
    """The recorder of one call, as the engine has it (`engine.call.Recorder`), and its watch.

    ask: the INVITE; None for a call that goes on from before this process, of which `draft` is known.
    """

    __slots__ = ("_ask", "_cause", "_is_resumed", "_writer", "draft", "watch")

    def __init__(
        self, writer: Writer, ask: Ask | None, draft: Record | None = None, watch: Watch | None = None
    ) -> None:
        self._writer = writer
        self._ask = ask
        self._cause = ""
        self._is_resumed = ask is None
        #: The record as far as it is known; None before it was first asked for.
        self.draft = draft
        #: Who follows the call besides.
        self.watch = watch

    @property
    def id(self) -> str:
        """The name of the record; "" before it was first asked for."""
        return "" if self.draft is None else self.draft.id

    def note(self, now: float, call: Call, event: CallEvent) -> None:
        """What becomes of the call."""
        if self.watch is not None:
            self.watch.note(now, call, event)
        if event is CallEvent.ENDED or event is CallEvent.GIVEN_UP:
            self._writer.over(self, call)

    def refusing(self, cause: str) -> None:
        """Why OneProxy answers the call itself."""
        self._cause = cause

    def refused(self, now: float, status: int, cause: str, by: str = "") -> None:
        """The INVITE was answered before anybody followed the call."""
        ask = self._ask
        assert ask is not None
        call = Call(ask.request.call_id, ask.request.from_tag, ask.now, self)
        call.ended_at = now
        call.status = status
        call.ended_by = by
        self._cause = cause
        self._writer.over(self, call)

    def stand(self, call: Call) -> Record:
        """The record of a call whose end is not known. Its name stays, and what it says goes on."""
        draft = self.draft
        if draft is None:
            draft = self._begin(call)
        if not draft.answered_ms:
            _take_instants(draft, call)
        if call.attempts:
            _take_attempts(draft, call)
        return draft

    def complete(self, call: Call) -> Record:
        """The record of a call that is over."""
        record = self.stand(call)
        if self._is_resumed:
            # What was noted before is by the time of day; the clock of that process is gone.
            record.ended_ms = max(record.answered_ms, round((call.ended_at + self._writer.shift_s) * 1000.0))
        else:
            record.ended_ms = _later(record.started_ms, call.started_at, call.ended_at)
        if record.answered_ms:
            record.duration_ms = record.ended_ms - record.answered_ms
        record.status = call.status
        record.cause = self._cause
        record.ended_by = call.ended_by
        if call.reason:
            record.reason = text(call.reason)
        if record.reason:
            record.q850 = q850_cause(record.reason)
        return record

    def _begin(self, call: Call) -> Record:
        writer, ask = self._writer, self._ask
        assert ask is not None
        self._ask = None
        started_ms = round((call.started_at + writer.shift_s) * 1000.0)
        draft = self.draft = Record(make_id(started_ms), started_ms)
        draft.node = writer.node
        draft.call_id, draft.from_tag = text(call.call_id), text(call.caller_tag)
        _take_ask(draft, ask, writer.served)
        return draft


def _take_instants(draft: Record, call: Call) -> None:
    """How far the call has come."""
    started_ms, since = draft.started_ms, call.started_at
    if call.first_response_at:
        draft.first_response_ms = _later(started_ms, since, call.first_response_at)
        draft.post_dial_delay_ms = draft.first_response_ms - started_ms
    if call.ringing_at:
        draft.ringing_ms = _later(started_ms, since, call.ringing_at)
    if call.answered_at:
        draft.answered_ms = _later(started_ms, since, call.answered_at)
        draft.status = call.status
        draft.to_tag = text(call.callee_tag)


def _take_ask(draft: Record, ask: Ask, served: Container[str]) -> None:
    """Whom the INVITE was from and for, and where it came from."""
    request, uri, flow = ask.request, ask.uri, ask.flow
    caller = address_uri(request, "from")
    subscriber = ask.subscriber or ""
    draft.callee_uri = text(request.uri)
    draft.callee = text(ask.number if ask.number[:1] == "+" else who(uri))
    if caller is not None:
        draft.caller_uri = text(caller.text)
    if ask.calling[:1] == "+":
        draft.caller = text(ask.calling)
    else:
        draft.caller = text(subscriber or ("" if caller is None else who(caller)))
    draft.subscriber = text(subscriber)
    own = subscriber.rpartition("@")[2]
    draft.domain = own or (uri.host if uri.host in served else "")
    draft.source = f"{format_host(flow.host)}:{flow.port}"
    draft.transport = flow.listener.transport.lower()
    draft.caller_agent = text(request.get("user-agent") or "")


def _take_attempts(draft: Record, call: Call) -> None:
    """What became of targets since this was looked at last."""
    taken = call.attempts[-MOST_ATTEMPTS:]
    # Responses are of no more use, and others may follow: branches that had been ringing.
    call.attempts.clear()
    draft.attempts = [*draft.attempts, *(_attempt(draft, call, one) for one in taken)][-MOST_ATTEMPTS:]
    has_answered = call.answered_at > 0.0
    for one in taken:
        if one.status < 300 or not has_answered:
            _take_last(draft, one)


def _take_last(draft: Record, outcome: Outcome) -> None:
    """Who answered, or was tried last, and what it said of itself."""
    target, response = outcome.target, outcome.response
    party = target.party
    draft.routed_callee = text(target.uri)
    draft.provider, draft.gateway, calling = (
        ("", "", "") if party is None else (party.provider, party.gateway, party.calling)
    )
    draft.routed_caller = text(calling) or draft.caller
    if response is not None:
        draft.callee_agent = text(response.get("user-agent") or response.get("server") or "")
        draft.reason = _reason(response)


def _attempt(draft: Record, call: Call, outcome: Outcome) -> Attempt:
    party = outcome.target.party
    started_ms, since = draft.started_ms, call.started_at
    attempt = Attempt(
        text(outcome.target.uri),
        outcome.status,
        _later(started_ms, since, outcome.started_at),
        _later(started_ms, since, outcome.ended_at),
    )
    if outcome.first_response_at:
        attempt.first_response_ms = _later(started_ms, since, outcome.first_response_at)
    if outcome.error is not None:
        attempt.error = outcome.error
    if party is not None:
        attempt.provider, attempt.gateway = party.provider, party.gateway
    return attempt


def _later(started_ms: int, since: float, at: float) -> int:
    """An instant of the engine as one of the record."""
    return started_ms + round((at - since) * 1000.0)


def who(uri: Uri) -> str:
    """Whose a URI is: a number that says so by itself, else "user@host"."""
    user = uri.user or ""
    return user if not uri.host or user[:1] == "+" else uri.aor()


def _reason(message: Response | Message) -> str:
    return text(", ".join(message.all("reason"))) if "reason" in message.first else ""


def q850_cause(reason: str) -> int:
    """The cause of Q.850 in the value of a Reason header (RFC 3326 2); 0 for none."""
    for value in reason.split(","):
        protocol, *params = value.split(";")
        if protocol.strip().lower() != _Q850:
            continue
        for param in params:
            name, _, cause = param.partition("=")
            cause = cause.strip()
            if name.strip().lower() == "cause" and cause.isascii() and cause.isdigit():
                return min(int(cause[:4]), 999)
    return 0


def text(value: str) -> str:
    """What a peer wrote, as records have it: SIP is UTF-8 (RFC 3261 7), and is read as Latin-1 here."""
    value = value[:LONGEST]
    if not value.isascii():
        value = value.encode("latin-1", "replace").decode("utf-8", "replace")
    return value.replace("\0", "\ufffd") if "\0" in value else value
