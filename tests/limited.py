"""A gateway with `max_calls`, offered far more calls than that, by an engine with a node's whole policy.

All in memory and by a seed: restless callers, an unsteady gateway that counts, and a network that takes
a while. What is judged is what the gateway counts, and that the proxy never counts less than that.
"""

from collections import Counter
from functools import partial
from random import Random
from typing import Final, NamedTuple

from agenda import Agenda
from counting_gateway import CountingGateway
from oneproxy.site.model import Route
from restless_callers import RestlessCallers
from routed import CALLER, Routed, gateway, provider, site
from world import START

MAX_CALLS: Final = 30
#: What ends a call whose BYE was lost.
MAX_CALL_S: Final = 20
_GATEWAY: Final = "192.0.2.20"
_NETWORK_S: Final = 0.005
#: How long a gateway is away that starts again.
_AWAY_S: Final = (0.1, 6.0)
#: In which the last call has ended for the proxy too, be it one that nobody tells anything of: Timer C
#: (RFC 3261 16.6) and what follows it.
_DRAIN_S: Final = 300.0


class Found(NamedTuple):
    """most: calls at once, by the gateway's count. beyond: how often it got one beyond the limit.
    uncounted: how often the proxy counted fewer than were up. left: calls after the drain, at the
    gateway and by the proxy's count."""

    most: int
    beyond: int
    uncounted: int
    left: tuple[int, int]
    calls: int
    invites: int
    answered: int
    restarts: int
    ends: Counter[int]
    causes: Counter[str]


class Limited(Routed):
    """The proxy between callers and gateway, with a network in which everything takes 5 ms."""

    def __init__(self, seed: int) -> None:
        made = provider("p", gateway("g0", max_calls=MAX_CALLS), session_expires_s=0, max_call_s=MAX_CALL_S)
        super().__init__(site((made,), (Route("+351", provider="p"),)), transactions=100_000)
        random = Random(seed)
        self._random = random
        self._agenda = Agenda()
        self._away_until = 0.0
        self._uncounted = 0
        self._fewer_since = 0.0
        self._causes: Counter[str] = Counter()
        self.engine.trust.on_refused = lambda _ask, cause: self._causes.update((cause,))
        self.gateway = CountingGateway(
            self._agenda, random, partial(self._send, _GATEWAY), _GATEWAY, MAX_CALLS
        )
        self.callers = RestlessCallers(
            self._agenda, random, partial(self._send, CALLER), CALLER, "sip:+351912345678@example.com"
        )

    def run(self, lasts_s: float, per_s: float, restart_every_s: float) -> Found:
        """Calls for so long, then none until all must have ended."""
        until = START + lasts_s
        self.callers.call_from(self.now, until, per_s)
        self._restart_later(self.now, until, restart_every_s)
        self._go_on(until + _DRAIN_S)
        gateway, callers = self.gateway, self.callers
        left = gateway.up, self.calls("p", "g0")
        return Found(
            gateway.most,
            gateway.beyond,
            self._uncounted,
            left,
            callers.calls,
            gateway.invites,
            gateway.answered,
            gateway.restarts,
            callers.ends,
            self._causes,
        )

    def _go_on(self, until: float) -> None:
        """Let time pass, in the order of all that is due."""
        while True:
            due = [at for at in (self._agenda.deadline(), self.engine.deadline()) if at is not None]
            if not due or min(due) > until:
                break
            self.now = max(self.now, min(due))
            self.engine.expire(self.now)
            self.deliver()
            self._agenda.run(self.now)
            self._compare()
        self.now = until

    def _compare(self) -> None:
        """Whether the proxy has counted fewer than are up for longer than its BYE is on its way."""
        if self.gateway.up <= self.calls("p", "g0"):
            self._fewer_since = 0.0
        elif not self._fewer_since:
            self._fewer_since = self.now
        elif self.now > self._fewer_since + 2 * _NETWORK_S:
            self._uncounted += 1

    def _restart_later(self, now: float, until: float, every_s: float) -> None:
        when = now + self._random.expovariate(1.0 / every_s)
        if when < until:
            self._agenda.at(when, partial(self._restart, until, every_s))

    def _restart(self, until: float, every_s: float, now: float) -> None:
        self.gateway.restart()
        self._away_until = now + self._random.uniform(*_AWAY_S)
        self._restart_later(self._away_until, until, every_s)

    # The network.

    def deliver(self) -> None:
        """What the engine sends is on its way."""
        for flow, data in self.engine.out:
            self._agenda.at(self.now + _NETWORK_S, partial(self._arrive, flow.host, data))
        self.engine.out.clear()

    def _send(self, host: str, data: bytes) -> None:
        self._agenda.at(self.now + _NETWORK_S, partial(self._come, host, data))

    def _come(self, host: str, data: bytes, now: float) -> None:
        self.engine.receive(now, self.flow(host, 5060), data)
        self.deliver()

    def _arrive(self, host: str, data: bytes, now: float) -> None:
        if host == CALLER:
            self.callers.receive(now, data)
        elif now >= self._away_until:
            self.gateway.receive(now, data)
