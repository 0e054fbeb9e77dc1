"""The admission gate: new calls that there is no room for are refused before they cost anything.

A limit says until when no call may begin; before that a new INVITE is answered 503 with
Retry-After, statelessly, and nobody is asked. One that is spelled as usual is refused from
its octets, for a third of what reading it would cost. Emergency calls, and what somebody who is
trusted marks as urgent, are let through (`engine.urgent`). While OneProxy itself is overloaded, a share
of them is refused in the same way, and then of other new requests (`engine.shedding`).
"""

from collections.abc import Container
from math import inf
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

from oneproxy.engine.decisions import Hold, Reply
from oneproxy.engine.inbound import usual_key
from oneproxy.engine.repeated import Repeated
from oneproxy.engine.server import to_tag
from oneproxy.engine.shedding import CALL, CODES, Shedding
from oneproxy.engine.urgent import NAMESPACES, is_to, may_be_to, says_so
from oneproxy.sip.check import tag_of

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
#: How many neighbours are remembered that were told to send less.
_MOST_TOLD: Final = 4096


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
    priority: namespaces of Resource-Priority, in lower case, that are not refused either from who is
    trusted. shedding: what is refused since OneProxy is overloaded; neighbours who ask are told how much
    that is (`engine.telling`).
    """

    __slots__ = (
        "_counters",
        "_full",
        "_random",
        "_told",
        "_trust",
        "emergency",
        "limit",
        "priority",
        "repeated",
        "retry_after_s",
        "shedding",
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
        self.priority: frozenset[str] = NAMESPACES
        self.shedding = Shedding()
        #: Neighbours that were told the loss, and until when that holds.
        self._told: dict[tuple[str, int], float] = {}

    def loss(self, now: float) -> int:
        """The share of new calls that is refused now since OneProxy is overloaded, 0 to 100."""
        return self.shedding.loss_percent if now < self.shedding.until else 0

    def note_told(self, flow: "Flow", until: float) -> None:
        """Who is on `flow` was told the loss, which holds until then."""
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told[flow.host, flow.port] = until

    def heeds(self, now: float, flow: "Flow") -> bool:
        """Whether what comes on `flow` is less already, by the loss that its sender was told.

        He is believed if he is trusted: else asking to be told would be a way around refusals.
        """
        until = self._told.get((flow.host, flow.port)) if self._told else None
        return until is not None and now < until and self._trusts(flow)

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

    @property
    def cause(self) -> str:
        """Why a call was refused last."""
        return "" if self._full is None else self._full.cause

    def refuses(self, now: float, flow: "Flow", request: "Request", uri: "Uri") -> bool:
        """Whether there is no room for this INVITE. uri: where it is for."""
        return self.is_shut(now, flow) and not self.spares(flow, request, uri)

    def reply(self, now: float, hold: Hold | None = None, code: str = "") -> Reply:
        """The refusal of one request, which is counted.

        hold: what has no room, if not what `is_shut` found. code: of `shedding`; else it is of what is full.
        """
        if hold is not None:
            self._full = hold
        return Reply(503, "Service Unavailable", (self._retry_after(now, code),))

    def turn_away(self, now: float, key: str, flow: "Flow", request: "Request", uri: "Uri") -> Reply | None:
        """The refusal of a request that was read and starts something; None: it is let in.

        Asked where `shut_until` or that of `shedding` is not over. key: of its transaction.
        """
        is_call = request.method == "INVITE"
        if is_call and now < self.shut_until and self.refuses(now, flow, request, uri):
            self.repeated.note(now, key)
            return self.reply(now)
        shedding = self.shedding
        # What says that it is of a dialog is never refused for want of time.
        if now >= shedding.until or tag_of(request.get("to") or "") or self.heeds(now, flow):
            return None
        if is_call:
            code = CALL if shedding.refuses_call(now, key) else ""
        else:
            code = shedding.refusal_of(now, key, request)
        if not code or self.spares(flow, request, uri):
            return None
        if is_call:
            self.repeated.note(now, key)
        return self.reply(now, code=code)

    def reply_again(self) -> Reply:
        """The refusal of one that is repeated."""
        return Reply(503, "Service Unavailable", (self._draw(),))

    def refuse(self, now: float, data: bytes, flow: "Flow", known: Container[str]) -> bytes | None:
        """The 503 for the octets of a new INVITE; None where it is let in or has to be read as a message.

        known: keys of transactions. The refusal goes back on `flow`: what asks for another
        way, or repeats an INVITE that was let in, or goes on with a dialog, or may be urgent, is read.
        """
        is_shut = now < self.shut_until and self.is_shut(now, flow)
        if not is_shut and now >= self.shedding.until:
            return None
        head, blank, _ = data.partition(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
            return None
        if not blank or not start.endswith(" SIP/2.0") or not lines[:1] or not lines[0].startswith("Via: "):
            return None
        key = usual_key(lines[0][4:], "INVITE", flow)
        if key is None or key in known or may_be_to(self.emergency, start):
            return None
        code = ""
        if not is_shut:
            if self.heeds(now, flow) or not self.shedding.refuses_call(now, key):
                return None
            code = CALL
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
            [
                "SIP/2.0 503 Service Unavailable",
                *copied,
                self._retry_after(now, code),
                "Content-Length: 0\r\n\r\n",
            ]
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

    def _retry_after(self, now: float, code: str) -> str:
        """The Retry-After line of one refusal, which is counted."""
        full = self._full
        if code in CODES:
            self._counters.refused[code] += 1
            self.shedding.on_refused(now, code)
        elif full is not None:
            self._counters.refused[full.cause] += 1
            full.refused(now)
        return self._draw()

    def _draw(self) -> str:
        least, most = self.retry_after_s
        return f"Retry-After: {self._random.randint(least, most)}"

    def spares(self, flow: "Flow", request: "Request", uri: "Uri") -> bool:
        """Whether a request on `flow` is never refused for want of room. uri: where it is for."""
        return is_to(self.emergency, uri) or (says_so(request, self.priority) and self._trusts(flow))

    def _trusts(self, flow: "Flow") -> bool:
        return self._trust.trusts(flow, "INVITE")
