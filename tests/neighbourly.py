"""Servers around an engine that ask, tell and are told how much less is wanted."""

from collections.abc import Callable
from random import Random
from typing import Any

from oneproxy.engine.decisions import BY_SITE, Ask, Decision, Forward, Target
from oneproxy.sip.message import Request
from world import Peer, World, request, response

#: What a neighbour writes into its Via who asks.
ASKING = ';oc;oc-algo="loss"'


def to(host: str = "192.0.2.20", **keys: Any) -> Forward:
    """To a server that the site names."""
    return Forward([Target(f"sip:bob@{host}", source=keys.pop("source", BY_SITE), **keys)])


class Neighbourly(World):
    """A world whose neighbours may say how much less they want, as with the defaults of a site."""

    def __init__(self, *decisions: Decision | Callable[[Ask], Decision], **keys: Any) -> None:
        super().__init__(*(decisions or (to(),)), **{"transactions": 10_000} | keys)
        self.engine.neighbours.asks = self.engine.telling.is_on = True
        self.engine.neighbours.max_retry_after_s = 60
        # Each run draws the same.
        self.engine.neighbours._random = Random(1)
        #: What was not sent, in order: to which host and why.
        self.kept: list[tuple[str, str]] = []
        self.engine.neighbours.on_slowed = lambda _, flow, cause: self.kept.append((flow.host, cause))
        self.alice = self.peer("192.0.2.10")
        self.bob = self.peer("192.0.2.20")
        self._calls = 0

    def call(self, *headers: str, uri: str = "sip:bob@example.com", method: str = "INVITE") -> None:
        """Another request of the caller's, outside of every dialog."""
        self._calls += 1
        self.alice.send(
            request(method, uri, *headers, branch=f"z9hG4bKc{self._calls}", call_id=f"call-{self._calls}")
        )

    def overload(self, percent: int) -> None:
        """There is room for so much less than what comes."""
        shedding = self.engine.gate.shedding
        shedding.loss_percent, shedding.until = percent, self.now + 3600.0

    def offer(self, calls: int) -> int:
        """So many calls, each refused by the callee or here; how many have got to the callee."""
        came = 0
        for _ in range(calls):
            self.call()
            if not self.bob.has_nothing:
                came += 1
                self.bob.send(response(self.bob.take_request("INVITE"), 486))
                self.bob.take_request("ACK")
            self.alice.inbox.clear()
        return came

    def slow(self, params: str, status: int = 486) -> None:
        """One call that the callee answers with these parameters in our Via."""
        self.call()
        answer(self.bob, status, params)
        self.bob.inbox.clear()
        self.alice.inbox.clear()


def answer(peer: Peer, status: int, params: str, *headers: str) -> Request:
    """The request that has come to `peer` is answered, with these parameters in place of what asks."""
    came = peer.take()
    assert isinstance(came, Request)
    data = response(came, status, *headers).decode("latin-1")
    assert data.count(ASKING) == 1
    peer.send(data.replace(ASKING, params).encode("latin-1"))
    return came
