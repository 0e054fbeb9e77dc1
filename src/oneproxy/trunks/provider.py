"""A provider: the gateways that may take a call, which of them does, and who is left out.

Ejection never takes the last one, nor more than the site says (the panic threshold): where all
fail, it is more likely what lies behind them, or we, and some calls may pass yet. So, among
gateways that are not drained and not silent to OPTIONS, there always is one that is up, or a
canary; and where none is up, canaries take all that comes.
"""

from collections.abc import Sequence
from random import Random

from oneproxy.site import model
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.candidate import ROOM, Candidate, Why
from oneproxy.trunks.choice import WAYS
from oneproxy.trunks.codes import Verdict, code_table, judge
from oneproxy.trunks.gateway import ENOUGH, UNLIMITED, GatewayState
from oneproxy.trunks.health import Input, State
from oneproxy.trunks.latency import Traffic


class ProviderState:
    """One provider, for as long as its name stands in the site or it has calls."""

    __slots__ = (
        "_all",
        "_choose",
        "_random",
        "_traffic",
        "codes",
        "full",
        "gateways",
        "held",
        "max_calls",
        "panics",
        "site",
        "unhealthy",
    )

    def __init__(self, site: model.Provider, random: Random) -> None:
        self._random = random
        self._traffic = Traffic()
        self.site = site
        #: By name: those of the site, and those that are gone from it but have calls.
        self._all: dict[str, GatewayState] = {}
        #: The attempts that count as its calls.
        self.held: set[Attempt] = set()
        #: Calls that found nobody here: since all were full, or for any other reason; and those
        #: that were sent to one that was believed not to work, since nothing else was left.
        self.full = 0
        self.unhealthy = 0
        self.panics = 0
        self.take(site)

    def take(self, site: model.Provider) -> None:
        """The site has changed. Calls count on, also at gateways that are gone from it."""
        is_other_way = site.choice != self.site.choice
        self.site = site
        self.max_calls = site.max_calls or UNLIMITED
        self.codes = code_table(site)
        self._choose = WAYS[site.choice]
        known, self._all = self._all, {}
        if is_other_way:
            for one in known.values():
                one.turn = 0.0
        for place, gateway in enumerate(site.gateway):
            state = known.pop(gateway.name, None)
            if state is None:
                state = GatewayState(gateway, self._traffic)
            else:
                state.take(gateway, site)
            state.place = place
            self._all[gateway.name] = state
        #: Those of the site that are not drained, in its order.
        self.gateways = [state for state in self._all.values() if not state.site.drain]
        self._all.update((name, state) for name, state in known.items() if state.held)
        self._keep_one()

    def leave(self) -> None:
        """It is gone from the site: nobody is chosen any more."""
        self.gateways = []

    def find(self, name: str) -> GatewayState | None:
        """The gateway of this name."""
        return self._all.get(name)

    def known(self) -> list[GatewayState]:
        """All of the site, drained ones too, and those that are gone from it but have calls."""
        return list(self._all.values())

    def adopt(self, name: str, started_at: float, is_answered: bool = True) -> Attempt:
        """A call that was on before, in another process maybe; its gateway may be gone from the site."""
        gateway = self._all.get(name)
        if gateway is None:
            gateway = self._all[name] = GatewayState(model.Gateway(name, ""), self._traffic)
        attempt = Attempt(self, gateway, started_at, False)
        if is_answered:
            attempt.adopted()
        return attempt

    # The choice.

    def choose(
        self,
        now: float,
        tried: Sequence[GatewayState] = (),
        told: list[Candidate] | None = None,
        also: frozenset[State] = frozenset(),
    ) -> GatewayState | Why:
        """Who takes the call, or why nobody does: FULL, TRIED (all that are well), or DOWN.

        tried: who had this call before. also: the states besides UP that may take it, where
        nothing is left to lose. told: filled with what became of each, if somebody asks;
        nothing is done for it otherwise.
        """
        left_out: Why | None = None
        if len(self.held) >= self.max_calls:
            left_out = Why.PROVIDER_FULL
        may: list[GatewayState] = []
        spare: list[GatewayState] = []
        canaries: list[GatewayState] = []
        seen: list[Candidate] | None = None if told is None else []
        is_full = is_up = False
        for gateway in self.gateways:
            why = left_out or _left_out(gateway, now, tried, also, self.site)
            if why is None:
                (may if gateway.site.weight else spare).append(gateway)
            elif why is Why.CANARY:
                canaries.append(gateway)
            elif why in ROOM:
                is_full = True
                is_up = is_up or gateway.health.state is State.UP
            if seen is not None:
                seen.append(self._candidate(gateway, now, why))
        chosen, compared = self._pick(now, may or spare, canaries, bool(tried), is_up)
        if told is not None and seen is not None:
            told += _told(seen, chosen, compared, spare if may else [])
            told += [
                Candidate(one.name, 0.0, 0, 0, 1.0, Why.DRAINED) for one in self.site.gateway if one.drain
            ]
        if chosen is not None:
            return chosen
        if is_full:
            return Why.FULL
        return Why.TRIED if tried and any(one in tried for one in self.gateways) else Why.DOWN

    def explain(
        self, now: float, tried: Sequence[GatewayState] = (), also: frozenset[State] = frozenset()
    ) -> tuple[GatewayState | Why, list[Candidate]]:
        """What `choose` would say now, and what would become of each gateway.

        Nothing is changed by it: a choice made at the same time is this one. For people, not for
        calls: it costs some ten times what a choice does.
        """
        told: list[Candidate] = []
        drawing, self._random = self._random, Random()
        self._random.setstate(drawing.getstate())
        kept = [(gateway, gateway.health, gateway.turn) for gateway in self.gateways]
        for gateway, health, _ in kept:
            gateway.health = health.copy()
        try:
            return self.choose(now, tried, told, also), told
        finally:
            self._random = drawing
            for gateway, health, turn in kept:
                gateway.health, gateway.turn = health, turn

    def _pick(
        self,
        now: float,
        may: list[GatewayState],
        canaries: list[GatewayState],
        is_again: bool,
        is_up: bool,
    ) -> tuple[GatewayState | None, list[GatewayState]]:
        """The one of those that may, and those that it was compared with.

        is_again: the call was tried before. is_up: some would take calls, but are full.
        """
        if canaries and (may or is_up) and not is_again:
            # A trickle, of calls that can still go elsewhere.
            for gateway in canaries:
                if gateway.health.is_due(now):
                    return gateway, canaries
        if not may and not is_up:
            may = canaries
        if len(may) > 1:
            return self._choose(may, now, self._random)
        return (may[0] if may else None), may

    def begin(self, now: float, gateway: GatewayState) -> Attempt:
        """The call goes to `gateway`, which was chosen."""
        health = gateway.health
        is_canary = health.state is State.CANARY
        if is_canary:
            health.canary_at = now + self.site.canary_every_s
            if not health.proved:
                gateway.unlearn()
        attempt = Attempt(self, gateway, now, is_canary)
        attempt.sent()
        return attempt

    def _candidate(self, gateway: GatewayState, now: float, why: Why | None) -> Candidate:
        score = {
            "latency": gateway.cost(now),
            "order": float(gateway.place),
            "weight": -gateway.turn - (gateway.site.weight or 1),
            "load": gateway.load(),
        }[self.site.choice]
        return Candidate(gateway.site.name, score, len(gateway.held), gateway.waiting, gateway.rate(), why)

    # What became of calls, and of OPTIONS.

    def taken(self, now: float, attempt: Attempt) -> None:
        """The gateway has done its part: the callee is called, or has answered in some way."""
        gateway = attempt.gateway
        health = gateway.health
        if not attempt.is_of_now:
            return
        gateway.rated(True)
        if attempt.started_at < health.since:
            return
        health.run = 0
        if attempt.is_canary and health.state is State.CANARY:
            health.told(attempt)
            health.proved += 1
            if health.proved >= self.site.canary_calls and health.on(now, Input.PROVED, self.site):
                gateway.brought_back()

    def failed(self, now: float, attempt: Attempt) -> None:
        """The gateway has failed this call."""
        gateway = attempt.gateway
        health = gateway.health
        if not attempt.is_of_now:
            return
        gateway.rated(False)
        # What was sent before the state began, such as calls to a dead gateway that time out
        # after its ejection, says nothing of it.
        if attempt.started_at < health.since:
            return
        health.run += 1
        if health.state is State.CANARY:
            is_bad = attempt.is_canary
        else:
            is_bad = health.run >= self.site.eject_after or self._is_far_below(gateway)
        if is_bad and self._may_lose(gateway, now):
            health.on(now, Input.EJECT, self.site)

    def probed(self, now: float, name: str, status: int, error: str | None = None) -> None:
        """OPTIONS to this gateway came to `status`: any response will do that is no failure."""
        gateway = self._all.get(name)
        if gateway is None:
            return
        is_answered = judge(self.codes, status, error, False) not in (Verdict.FAILED, Verdict.OURS)
        if gateway.health.probed(now, is_answered, self.site):
            self._keep_one()

    def _is_far_below(self, gateway: GatewayState) -> bool:
        """Whether it fails much more often than those beside it."""
        if gateway.judged < ENOUGH:
            return False
        rates = [
            one.rate()
            for one in self.gateways
            if one is not gateway and one.judged >= ENOUGH and one.health.state is State.UP
        ]
        if not rates:
            return False
        return gateway.rate() < sum(rates) / len(rates) - self.site.eject_below_percent / 100.0

    def _may_lose(self, gateway: GatewayState, now: float) -> bool:
        """Whether enough are left without it."""
        others = [
            one.health.state for one in self.gateways if one is not gateway and now < one.registered_until
        ]
        if gateway.health.state is State.CANARY:
            return State.UP in others or State.CANARY in others
        least = -(-len(self.gateways) * self.site.panic_percent // 100)
        return others.count(State.UP) >= (least if least > 1 else 1)

    def _keep_one(self) -> None:
        """Where nobody is left but ejected ones, bring back the one whose time is over first."""
        states = {gateway.health.state for gateway in self.gateways}
        if State.UP in states or State.CANARY in states:
            return
        ejected = [one.health for one in self.gateways if one.health.state is State.EJECTED]
        if ejected:
            first = min(ejected, key=lambda health: health.until)
            first.on(first.since, Input.RETURN, self.site)


def _left_out(
    gateway: GatewayState,
    now: float,
    tried: Sequence[GatewayState],
    also: frozenset[State],
    rules: model.Provider,
) -> Why | None:
    """Why this gateway may not take the call; CANARY for one that may take some."""
    if tried and gateway in tried:
        return Why.TRIED
    if now >= gateway.registered_until:
        return Why.UNREGISTERED
    health = gateway.health
    if health.rest_until > now:
        return Why.RESTING
    state = health.state
    is_let_in = state is State.UP or state in also
    if not is_let_in:
        if state is State.DOWN:
            return Why.DOWN
        if state is State.EJECTED:
            if now < health.until:
                return Why.EJECTED
            health.on(now, Input.RETURN, rules)
    if len(gateway.held) >= gateway.max_calls:
        return Why.FULL
    pace = gateway.pace
    if pace is not None and not pace.admits(now):
        return Why.PACE
    return None if is_let_in else Why.CANARY


def _told(
    seen: list[Candidate],
    chosen: GatewayState | None,
    compared: list[GatewayState],
    spare: list[GatewayState],
) -> list[Candidate]:
    """With what became of those that might have been chosen."""
    names = {gateway.site.name for gateway in compared}
    spares = {gateway.site.name for gateway in spare}
    for one in seen:
        if chosen is not None and one.name == chosen.site.name:
            one.why = Why.CHOSEN
        elif one.why is None and one.name in spares:
            one.why = Why.SPARE
        elif one.why is None:
            one.why = Why.COSTS_MORE if one.name in names else Why.NOT_DRAWN
    return seen
