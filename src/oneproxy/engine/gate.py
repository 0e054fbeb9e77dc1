"""The admission gate: new calls that there is no room for are refused before they cost anything.

A limit says until when no call may begin; before that a new INVITE is answered 503 with
Retry-After, statelessly, and nobody is asked. One that is spelled as usual is refused from
its octets, for a third of what reading it would cost. Emergency calls, and what somebody who is
trusted marks as urgent, are let through (`engine.urgent`).
"""

from collections.abc import Container
from math import inf
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

from oneproxy.engine.decisions import Hold, Reply
from oneproxy.engine.inbound import usual_key
from oneproxy.engine.repeated import Repeated
from oneproxy.engine.server import to_tag
from oneproxy.engine.urgent import is_to, may_be_to, says_so

if TYPE_CHECKING:
    from oneproxy.engine.counters import Counters
    from oneproxy.engine.flow import Flow
    from oneproxy.engine.trust import Trust
    from oneproxy.sip.message import Request
    from oneproxy.sip.uri import Uri

_COPIED: Final = ("Via:", "From:", "To:", "Call-ID:", "CSeq:")
#: First letters of header names that may be a compact or unusual spelling of what is copied.
_SUSPECT: Final = frozenset("vVfFtTiIcC \t")
#: Those of header names that may say that a call is urgent.
_OF_PRIORITY: Final = frozenset("pPrR")


class Limit(Protocol):
    """Who says how many calls may begin: `congestion.limit.CallLimit`."""

    #: Why no call may begin, as of the last `full_until`: what refusals are counted by.
    cause: str
    #: Whether calls have to be followed that policy does not follow, since all that are on count.
    follows: bool

    def full_until(self, now: float) -> float:
        """No call may begin before this instant; inf where nobody knows when one may."""
        ...

    def begun(self, now: float) -> None:
        """A call has begun."""
        ...

    def refused(self, now: float) -> None:
        """A call has been refused."""
        ...


class SourceLimits(Protocol):
    """Who says which sources may begin none: `congestion.sources.Sources`."""

    def full(self, now: float, host: str) -> Hold | None:
        """What has no room for a call of this host; None where all have."""
        ...

    def until(self) -> float:
        """From this instant on nobody is full, as far as is known; inf where nobody knows."""
        ...


class Gate:
    """Whether a new call may begin, and what those that may not are told.

    limit: None where any number may begin. shut_until: none may before this instant, as far as is
    known; from then on, or where that is inf, the limit is asked (`is_shut`). retry_after_s: drawn at
    random between the two, so that not all come back at once. emergency: numbers that are never refused.
    """

    __slots__ = (
        "_counters",
        "_full",
        "_random",
        "_trust",
        "emergency",
        "limit",
        "repeated",
        "retry_after_s",
        "shut_until",
        "sources",
    )

    def __init__(self, counters: "Counters", trust: "Trust") -> None:
        self._counters = counters
        self._trust = trust
        self._random = Random()
        self.limit: Limit | None = None
        #: Limits of source addresses; None where there are none.
        self.sources: SourceLimits | None = None
        #: What had no room, as of the last `is_shut` that said so.
        self._full: Limit | Hold | None = None
        self.shut_until = 0.0
        self.repeated = Repeated()
        self.retry_after_s = (5, 15)
        self.emergency: frozenset[str] = frozenset()

    def look_again(self) -> None:
        """The limit is another one from now on: it is asked about the next call."""
        self.shut_until = inf

    def shut(self, until: float) -> None:
        """Some source has no room before this instant: each call is looked at."""
        self.shut_until = max(self.shut_until, until)

    def is_shut(self, now: float, flow: "Flow") -> bool:
        """Whether no call of this flow may begin that is not spared.

        Asked where `shut_until` is not over.
        """
        self._full = limit = self.limit
        self.shut_until = until = 0.0 if limit is None else limit.full_until(now)
        sources = self.sources
        if sources is not None:
            self.shut_until = max(until, sources.until())
        if sources is None or now < until:
            return now < until
        self._full = full = sources.full(now, flow.host)
        return full is not None

    def begun(self, now: float) -> None:
        """A call has begun."""
        if self.limit is not None:
            self.limit.begun(now)
            until = self.limit.full_until(now)
            self.shut_until = until if self.sources is None else max(until, self.sources.until())

    def refuses(self, now: float, flow: "Flow", request: "Request", uri: "Uri") -> bool:
        """Whether there is no room for this INVITE. uri: where it is for."""
        return self.is_shut(now, flow) and not self.spares(flow, request, uri)

    def reply(self, now: float, hold: Hold | None = None) -> Reply:
        """The refusal of one call, which is counted. hold: what has no room, if not what `is_shut` found."""
        if hold is not None:
            self._full = hold
        return Reply(503, "Service Unavailable", (self._retry_after(now),))

    def reply_again(self) -> Reply:
        """The refusal of one that is repeated."""
        return Reply(503, "Service Unavailable", (self._draw(),))

    def refuse(self, now: float, data: bytes, flow: "Flow", known: Container[str]) -> bytes | None:
        """The 503 for the octets of a new INVITE; None where they have to be read as a message.

        known: keys of transactions. The refusal goes back on `flow`: what asks for another
        way, or repeats an INVITE that was let in, or goes on with a dialog, or may be urgent, is read.
        """
        head, blank, _ = data.partition(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
            return None
        if not blank or not start.endswith(" SIP/2.0") or not lines[:1] or not lines[0].startswith("Via: "):
            return None
        key = usual_key(lines[0][4:], "INVITE", flow)
        if key is None or key in known or may_be_to(self.emergency, start):
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
            elif line[:1] in _SUSPECT:
                if not line.startswith(("Contact:", "Content-")):
                    return None
            elif line[:1] in _OF_PRIORITY and "priority" in line.lower() and self._trusts(flow):
                return None
        if to_line < 0:
            return None
        self.repeated.note(now, key)
        copied[to_line] = f"{copied[to_line].rstrip(' ')};tag={to_tag(key)}"
        return "\r\n".join(
            ["SIP/2.0 503 Service Unavailable", *copied, self._retry_after(now), "Content-Length: 0\r\n\r\n"]
        ).encode("latin-1")

    def acknowledged(self, data: bytes, flow: "Flow", known: Container[str]) -> bool:
        """Whether these octets are the ACK of a refusal that nothing is remembered of.

        Its tag says so, which is made of its branch. Half of what a refused call costs is its ACK.
        """
        via = data.find(b"\r\n") + 2
        if not data.startswith(b"Via: ", via):
            return False
        value = data[via + 4 : data.find(b"\r\n", via)].decode("latin-1")
        key = usual_key(value, "INVITE", flow)
        return key is not None and key not in known and f";tag={to_tag(key)}\r\n".encode("latin-1") in data

    def _retry_after(self, now: float) -> str:
        """The Retry-After line of one refusal, which is counted."""
        full = self._full
        if full is not None:
            self._counters.refused[full.cause] += 1
            full.refused(now)
        return self._draw()

    def _draw(self) -> str:
        least, most = self.retry_after_s
        return f"Retry-After: {self._random.randint(least, most)}"

    def spares(self, flow: "Flow", request: "Request", uri: "Uri") -> bool:
        """Whether a call is never refused for want of room."""
        return is_to(self.emergency, uri) or (says_so(request) and self._trusts(flow))

    def _trusts(self, flow: "Flow") -> bool:
        return self._trust.trusts(flow, "INVITE")
