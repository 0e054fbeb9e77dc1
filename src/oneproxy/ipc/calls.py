"""What people ask of the calls that are on, as `ipc.desk` carries it."""

from typing import Final

from msgspec import Struct

#: Calls in an answer.
MOST_CALLS: Final = 1_000

CALLING: Final = "calling"
RINGING: Final = "ringing"
ANSWERED: Final = "answered"


class AskCalls(Struct, tag=True, frozen=True):
    """Which calls are on? At most `most`, and MOST_CALLS, of each node; those that began first.

    number: what the caller or the callee contains; state, provider, gateway: "" for any.
    """

    number: str = ""
    state: str = ""
    provider: str = ""
    gateway: str = ""
    most: int = 100


class CallFound(Struct, frozen=True):
    """One call. Instants are seconds since the epoch, 0 for not yet.

    id: of its record, or made for it. state: CALLING, RINGING or ANSWERED. seconds: since the answer,
    before since it began. node: its name, filled in by the recorder.
    """

    id: str
    state: str
    caller: str
    callee: str
    domain: str
    source: str
    provider: str
    gateway: str
    since: float
    answered_at: float
    seconds: float
    node: str = ""


class CallsFound(Struct, tag=True, frozen=True):
    """Of one node, or of all that answered, those that began first.

    total: calls that are on. matching: those of them that were asked for. unseen: those that were not
    looked at, since that would have taken too long; there may be more among them that match.
    """

    calls: list[CallFound]
    total: int
    matching: int
    unseen: int = 0
    silent: tuple[str, ...] = ()


class EndCall(Struct, tag=True, frozen=True):
    """End this call. reason: what the sides are told, as `sip.reason.is_text` has it; "" for nothing."""

    id: str
    reason: str = ""


class NodeEnded(Struct, tag=True, frozen=True):
    """Whether a node had it."""

    had: bool


class CallEnded(Struct, tag=True, frozen=True):
    """The node that had it, "" where none did. silent: nodes that did not answer."""

    node: str
    silent: tuple[str, ...] = ()
