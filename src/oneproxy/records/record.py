"""A call record: one call attempt that reached routing, as a journal has it and as table `cdr` keeps it.

In a journal it is JSON. What is not said there, since there was no such thing, is NULL in the table.
Instants are whole milliseconds since the epoch, of UTC. Texts are Unicode without NUL, `LONGEST`
characters at most.
"""

from typing import Final

from msgspec import Struct
from msgspec.json import Decoder, Encoder

#: Characters of any text: peers write what they like.
LONGEST: Final = 256


class Attempt(Struct, omit_defaults=True, gc=False):
    """One target that the call was sent to.

    to: the Request-URI. status: final; error: as of `engine.decisions.Outcome`, "" where the peer has
    answered. provider, gateway: whose target it was, "" for no gateway's.
    """

    to: str
    status: int
    started_ms: int
    ended_ms: int
    first_response_ms: int = 0
    error: str = ""
    provider: str = ""
    gateway: str = ""


class Record(Struct, omit_defaults=True, gc=False):
    """One call attempt."""

    #: UUIDv7 of the instant that it began (RFC 9562 5.7).
    id: str
    #: The INVITE came; the first response beyond 100, 180, 2xx went back; it was over.
    started_ms: int
    first_response_ms: int = 0
    ringing_ms: int = 0
    answered_ms: int = 0
    ended_ms: int = 0
    #: From the INVITE to the first response beyond 100, and from the answer to the end; 0 for neither.
    post_dial_delay_ms: int = 0
    duration_ms: int = 0
    #: The final status that went to the caller.
    status: int = 0
    #: Why OneProxy refused it: the code that refusals are counted by.
    cause: str = ""
    #: The Reason header of its end (RFC 3326), and the cause of Q.850 in there.
    reason: str = ""
    q850: int = 0
    #: "caller", "callee", "proxy", "timer" (as of `engine.call.Call`).
    ended_by: str = ""
    call_id: str = ""
    from_tag: str = ""
    to_tag: str = ""
    #: The URIs as they came, in the From and as the Request-URI.
    caller_uri: str = ""
    callee_uri: str = ""
    #: Who that is: a number such as "+351912345678", or "alice@example.com".
    caller: str = ""
    callee: str = ""
    #: The URIs as they were sent on, to whoever answered or was tried last.
    routed_caller: str = ""
    routed_callee: str = ""
    #: The served domain; the AoR that proved its password.
    domain: str = ""
    subscriber: str = ""
    #: Where the INVITE came from ("192.0.2.7:5060"), and how ("udp").
    source: str = ""
    transport: str = ""
    #: Who had it: whoever answered, or was tried last.
    provider: str = ""
    gateway: str = ""
    attempts: list[Attempt] = []
    node: str = ""
    caller_agent: str = ""
    callee_agent: str = ""


_ENCODER: Final = Encoder()
_DECODER: Final = Decoder(Record)


def encode_record(record: Record) -> bytes:
    """The JSON of a record."""
    return _ENCODER.encode(record)


def decode_record(data: bytes) -> Record:
    """The record of its JSON. Raises msgspec.MsgspecError."""
    return _DECODER.decode(data)
