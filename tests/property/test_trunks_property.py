"""Whatever happens to calls, gateways and the site in whatever order: counts are exact, bounds hold,
and not all gateways of a provider are ejected."""

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from oneproxy.site.model import Gateway, Provider, Site
from oneproxy.trunks.answer import Answer
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.candidate import Candidate, Why
from oneproxy.trunks.gateway import GatewayState
from oneproxy.trunks.health import State
from oneproxy.trunks.trunks import Trunks
from oneproxy.trunks.walk import Walk
from trunking import NOW

NAMES = ("a", "b", "c", "d")

gateways = st.lists(
    st.builds(
        Gateway,
        st.sampled_from(NAMES),
        st.sampled_from(["sip:x", "sip:y"]),
        max_calls=st.integers(0, 3),
        max_calls_per_s=st.integers(0, 2),
        weight=st.integers(0, 3),
        drain=st.sampled_from([False, False, True]),
        probe_every_s=st.sampled_from([0, 10]),
    ),
    max_size=4,
    unique_by=lambda one: one.name,
)


def providers(name: str) -> st.SearchStrategy[Provider]:
    return st.builds(
        Provider,
        st.just(name),
        st.sampled_from(["", "p", "q"]),
        gateways.map(tuple),
        choice=st.sampled_from(["latency", "order", "weight", "load"]),
        max_calls=st.integers(0, 5),
        next_codes=st.sampled_from([(), (404,)]),
        eject_after=st.integers(1, 3),
        eject_s=st.integers(1, 5),
        max_eject_s=st.integers(1, 20),
        panic_percent=st.sampled_from([0, 30, 100]),
        canary_calls=st.integers(1, 2),
        probes_down=st.integers(1, 2),
        probes_up=st.integers(1, 2),
        max_retry_after_s=st.sampled_from([0, 3]),
    )


sites = st.tuples(providers("p"), providers("q"), st.sampled_from(["pq", "pq", "p", ""])).map(
    lambda made: Site({}, {}, providers={one.name: one for one in made[:2] if one.name in made[2]})
)


class Calls(RuleBasedStateMachine):
    """Calls that begin and end as hypothesis likes, beside a model of who has which."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.site = Site({}, {}, providers={"p": Provider("p", gateway=(Gateway("a", "sip:x"),))})
        self.trunks = Trunks(self.site, Random(7))
        self.walks: list[Walk] = []
        #: The model: attempts that are calls, in the order in which they began, and all ever made.
        self.on: dict[Attempt, None] = {}
        self.ever: list[Attempt] = []
        #: When calls began at each gateway, since it has a bound on them.
        self.paced: dict[GatewayState, list[float]] = {}

    def taken(self, found: Attempt | Answer, before: Attempt | None = None) -> None:
        """What a walk gave. `before` has failed."""
        if before is not None:
            self.on.pop(before, None)
        if isinstance(found, Answer):
            assert 300 <= found.status <= 699
            assert found.status != 503 or found.cause or not self.on or found.retry_after_s
            return
        bounds = found.gateway.site
        # It was let in by the bounds of now, which those before it need not have been.
        mine = [one for one in self.on if one.gateway is found.gateway]
        assert not bounds.max_calls or len(mine) < bounds.max_calls
        of_provider = [one for one in self.on if one.provider is found.provider]
        assert not found.provider.site.max_calls or len(of_provider) < found.provider.site.max_calls
        if bounds.max_calls_per_s:
            begun = self.paced.setdefault(found.gateway, [])
            assert len([at for at in begun if self.now - at < 1.0]) < bounds.max_calls_per_s
            begun.append(self.now)
        assert not bounds.drain
        assert found.gateway.health.rest_until <= self.now
        self.on[found] = None
        self.ever.append(found)

    @rule(provider=st.sampled_from("pqr"))
    def call(self, provider: str) -> None:
        walk = self.trunks.walk(provider)
        told: list[Candidate] = []
        found = walk.begin(self.now, told)
        self.taken(found)
        if isinstance(found, Attempt):
            assert [one.name for one in told if one.why is Why.CHOSEN] == [found.gateway.site.name]
            self.walks.append(walk)
        else:
            assert all(one.why not in (None, Why.CHOSEN) for one in told)

    @precondition(lambda self: self.walks)
    @rule(
        at=st.integers(0, 30),
        end=st.sampled_from(
            [
                (408, "timeout"),
                (503, "transport"),
                (503, "name"),
                (503, "full"),
                (408, "no-answer"),
                (503, None),
                (500, None),
                (404, None),
                (486, None),
                (603, None),
            ]
        ),
        retry_after_s=st.integers(0, 9),
    )
    def fail(self, at: int, end: tuple[int, str | None], retry_after_s: int) -> None:
        walk = self.walks[at % len(self.walks)]
        before = walk.attempt
        if before is None or before.is_answered:
            return
        self.taken(walk.failed(self.now, *end, retry_after_s), before)

    @precondition(lambda self: self.ever)
    @rule(at=st.integers(0, 99), how=st.sampled_from(["responded", "reached", "answered", "failed"]))
    def event(self, at: int, how: str) -> None:
        """Late, twice, out of order: of any attempt that there ever was."""
        attempt = self.ever[at % len(self.ever)]
        if how == "failed":
            attempt.failed(self.now, 486)
            if not attempt.is_answered:
                self.on.pop(attempt, None)
        else:
            getattr(attempt, how)(self.now)

    @precondition(lambda self: self.ever)
    @rule(at=st.integers(0, 99))
    def end(self, at: int) -> None:
        attempt = self.ever[at % len(self.ever)]
        attempt.end(self.now)
        attempt.end(self.now)
        self.on.pop(attempt, None)

    @precondition(lambda self: self.walks)
    @rule(at=st.integers(0, 30))
    def hang_up(self, at: int) -> None:
        walk = self.walks.pop(at % len(self.walks))
        if walk.attempt is not None:
            self.on.pop(walk.attempt, None)
        walk.end(self.now)
        walk.end(self.now)

    @rule(seconds=st.sampled_from([0.3, 1.0, 7.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=st.sampled_from(NAMES), provider=st.sampled_from("pq"), answered=st.booleans())
    def probe(self, name: str, provider: str, answered: bool) -> None:
        found = self.trunks.find(provider)
        if found is not None:
            found.probed(self.now, name, *((200, None) if answered else (408, "timeout")))

    @rule(changed=sites)
    def change(self, changed: Site) -> None:
        self.site = changed
        self.trunks.take(changed)
        for gateway in [one for one in self.paced if one.pace is None]:
            del self.paced[gateway]

    @rule()
    def restart(self) -> None:
        """Answered calls go on, and those that ring are lost with the process."""
        kept = [one for one in self.on if one.is_answered]
        self.trunks = Trunks(self.site, Random(8))
        self.walks.clear()
        self.paced.clear()
        self.ever = [
            self.trunks.adopt(one.provider.site.name, one.gateway.site.name, one.started_at) for one in kept
        ]
        self.on = dict.fromkeys(self.ever)

    @invariant()
    def counts_are_those_of_the_model(self) -> None:
        for attempt in self.on:
            gateway, provider = attempt.gateway, attempt.provider
            assert gateway.held == {one for one in self.on if one.gateway is gateway}
            assert provider.held == {one for one in self.on if one.provider is provider}
        for gateway in {one.gateway for one in self.ever}:
            mine = {one for one in self.on if one.gateway is gateway}
            assert gateway.calls == len(mine)
            waiting = [one for one in mine if one.is_waiting]
            assert gateway.waiting == len(waiting)
            sent = sum(one.started_at for one in waiting)
            assert abs(gateway.waiting_since - sent) < 1e-3 * (len(waiting) + 1)

    @invariant()
    def never_all_are_ejected(self) -> None:
        for name in "pq":
            provider = self.trunks.find(name)
            states = [] if provider is None else [one.health.state for one in provider.gateways]
            assert State.EJECTED not in states or State.UP in states or State.CANARY in states

    def teardown(self) -> None:
        """When all calls are over and all gateways work, all come back."""
        for attempt in list(self.on):
            attempt.end(self.now)
        self.now += 1000.0
        for name in "pq":
            provider = self.trunks.find(name)
            if provider is None:
                continue
            for gateway in provider.gateways:
                provider.probed(self.now, gateway.site.name, 200)
                provider.probed(self.now, gateway.site.name, 200)
            for _ in range(60):
                self.now += 2.0
                chosen = provider.choose(self.now)
                if isinstance(chosen, GatewayState):
                    attempt = provider.begin(self.now, chosen)
                    attempt.answered(self.now)
                    attempt.end(self.now + 1.0)
            assert {one.health.state for one in provider.gateways} <= {State.UP}
            assert [len(one.held) for one in provider.gateways] == [0] * len(provider.gateways)


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
