"""The admission gate: new calls that there is no room for are refused before they cost anything.

Policy sets how many calls may still come in; above that a new INVITE is answered 503 with
Retry-After, statelessly, and nobody is asked. One that is spelled as usual is refused from
its octets, for a third of what reading it would cost.
"""

from collections.abc import Container
from math import inf
from random import Random
from typing import TYPE_CHECKING, Final

from oneproxy.engine.decisions import Reply
from oneproxy.engine.inbound import usual_key
from oneproxy.engine.server import to_tag

if TYPE_CHECKING:
    from oneproxy.engine.flow import Flow

_COPIED: Final = ("Via:", "From:", "To:", "Call-ID:", "CSeq:")
#: First letters of header names that may be a compact or unusual spelling of what is copied.
_SUSPECT: Final = frozenset("vVfFtTiIcC \t")


class Gate:
    """How many new calls may still come in, and what those beyond are told.

    calls_left: counted down with every INVITE that is forwarded; policy sets it anew.
    retry_after_s: drawn at random between the two, so that not all come back at once.
    """

    __slots__ = ("_random", "calls_left", "refused", "retry_after_s")

    def __init__(self) -> None:
        self.calls_left: float = inf
        self.retry_after_s = (5, 15)
        self.refused = 0
        self._random = Random()

    def retry_after(self) -> str:
        """The Retry-After line of one refusal, which is counted."""
        self.refused += 1
        least, most = self.retry_after_s
        return f"Retry-After: {self._random.randint(least, most)}"

    def reply(self) -> Reply:
        """The refusal of one call, which is counted."""
        return Reply(503, "Service Unavailable", (self.retry_after(),))

    def refuse(self, data: bytes, flow: "Flow", known: Container[str]) -> bytes | None:
        """The 503 for the octets of a new INVITE; None where they have to be read as a message.

        known: keys of transactions. The refusal goes back on `flow`: what asks for another
        way, or repeats an INVITE that was let in, or goes on with a dialog, is read.
        """
        head, blank, _ = data.partition(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
            return None
        if not blank or not start.endswith(" SIP/2.0") or not lines[:1] or not lines[0].startswith("Via: "):
            return None
        key = usual_key(lines[0][4:], "INVITE", flow)
        if key is None or key in known:
            return None
        copied: list[str] = []
        to_line = -1
        for line in lines:
            if line.startswith(_COPIED):
                if line.startswith("To:"):
                    if to_line >= 0 or "tag=" in line:
                        return None
                    to_line = len(copied)
                copied.append(line)
            elif line[:1] in _SUSPECT and not line.startswith(("Contact:", "Content-")):
                return None
        if to_line < 0:
            return None
        copied[to_line] = f"{copied[to_line].rstrip(' ')};tag={to_tag(key)}"
        return "\r\n".join(
            ["SIP/2.0 503 Service Unavailable", *copied, self.retry_after(), "Content-Length: 0\r\n\r\n"]
        ).encode("latin-1")
