"""Refusing without remembering anything: the same request gets the same answer (RFC 3261 8.2.7)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from oneproxy.engine.server import to_tag
from oneproxy.sip.malformed import REASONS, Malformed
from oneproxy.sip.response import respond

if TYPE_CHECKING:
    from oneproxy.engine.decisions import Reply
    from oneproxy.engine.flow import Flow
    from oneproxy.engine.tables import Tables
    from oneproxy.sip.message import Request


class Refusals:
    """What the engine answers or drops by itself, counted by its code."""

    __slots__ = ("_dropped", "_out", "on_malformed")

    def __init__(self, tables: "Tables") -> None:
        self._out = tables.out
        self._dropped = tables.counters.dropped
        #: Told of every malformed message: when, from where, and its code.
        self.on_malformed: Callable[[float, Flow, Malformed], None] = _ignore

    def refuse(self, key: str, back: "Flow", request: "Request", reply: "Reply", code: str = "") -> None:
        """Answer a request with this. code: what it is counted by; its status if none."""
        self._dropped[code or str(reply.status)] += 1
        if request.method != "ACK":
            self.answer(key, back, request, reply)

    def answer(self, key: str, back: "Flow", request: "Request", reply: "Reply") -> None:
        """Answer a request with this, which is counted elsewhere."""
        self._out.append((back, respond(request, reply.status, reply.reason, to_tag(key), reply.headers)))

    def malformed(self, now: float, key: str, back: "Flow", request: "Request", fault: Malformed) -> None:
        """Answer a request that has this fault."""
        self.on_malformed(now, back, fault)
        self._dropped[fault] += 1
        if request.method != "ACK":
            status = 505 if fault is Malformed.VERSION else 400
            self._out.append((back, respond(request, status, REASONS[fault], to_tag(key))))

    def via(self, now: float, flow: "Flow", request: "Request") -> None:
        """Without a Via that can be read, an answer can only go where the request came from."""
        via = request.get("via")
        if via is None:
            self.drop(now, flow, Malformed.VIA)
        else:
            self.malformed(now, via, flow, request, Malformed.VIA)

    def drop(self, now: float, flow: "Flow", fault: Malformed) -> None:
        """Say nothing to this."""
        self._dropped[fault] += 1
        self.on_malformed(now, flow, fault)


def _ignore(_now: float, _flow: "Flow", _fault: Malformed) -> None:
    """Nobody wants to know."""
