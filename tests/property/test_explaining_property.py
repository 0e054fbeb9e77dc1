"""What is explained of trunks is what a call then does, and explaining changes nothing."""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from oneproxy.site.model import Gateway, Provider, Site
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.candidate import Why
from oneproxy.trunks.explaining import explain_walk
from oneproxy.trunks.gateway import GatewayState
from oneproxy.trunks.trunks import Trunks
from oneproxy.trunks.walk import Walk
from trunking import NOW

NAMES = ("a", "b", "c", "d")

gateways = st.lists(
    st.builds(
        Gateway,
        st.sampled_from(NAMES),
        st.just("sip:x"),
        max_calls=st.sampled_from([0, 0, 1, 2]),
        max_calls_per_s=st.sampled_from([0, 0, 1, 3]),
        weight=st.sampled_from([0, 1, 1, 3]),
        drain=st.sampled_from([False, False, False, True]),
        probe_every_s=st.sampled_from([0, 10]),
    ),
    max_size=4,
    unique_by=lambda one: one.name,
)


def providers(name: str, fallback: st.SearchStrategy[str]) -> st.SearchStrategy[Provider]:
    return st.builds(
        Provider,
        st.just(name),
        fallback,
        gateways.map(tuple),
        choice=st.sampled_from(["latency", "order", "weight", "load"]),
        max_calls=st.sampled_from([0, 0, 0, 3]),
        eject_after=st.integers(1, 2),
        eject_s=st.integers(1, 4),
        panic_percent=st.sampled_from([0, 30]),
        canary_calls=st.integers(1, 2),
        probes_down=st.just(1),
        probes_up=st.just(1),
    )


sites = st.tuples(
    providers("p", st.sampled_from(["", "q", "q", "nobody"])), providers("q", st.sampled_from(["", "p"]))
).map(lambda made: Site({}, {}, providers={one.name: one for one in made}))

#: Something that happens: how much later, what, which one of those that it may happen to.
events = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.2, 1.0, 3.0]),
        st.sampled_from(["call", "call", "fail", "fail", "busy", "answer", "end", "probe", "silent"]),
        st.integers(0, 20),
    ),
    max_size=40,
)


def dump(what: Any) -> Any:
    """All that an object of the trunks holds."""
    if isinstance(what, Random):
        return what.getstate()
    if isinstance(what, Attempt):
        return id(what)
    if isinstance(what, set):
        return {id(one) for one in what}
    if isinstance(what, dict):
        return {key: dump(one) for key, one in what.items()}
    if isinstance(what, list):
        return [dump(one) for one in what]
    slots = getattr(type(what), "__slots__", ())
    if not slots or type(what).__module__.startswith("oneproxy.site"):
        return what
    return {name: dump(getattr(what, name)) for name in slots}


#: How long after the last of them somebody asks.
later = st.sampled_from([0.0, 0.5, 2.0, 5.0])


class Scene:
    """Calls at the gateways of a site, and what becomes of them."""

    def __init__(self, site: Site, seed: int) -> None:
        self.now = NOW
        self.trunks = Trunks(site, Random(seed))
        self.walks: list[Walk] = []

    def happen(self, what: str, which: int) -> None:
        """One event."""
        if what == "call":
            walk = self.trunks.walk("pq"[which % 2])
            if isinstance(walk.begin(self.now), Attempt):
                self.walks.append(walk)
        elif what in ("probe", "silent"):
            provider = self.trunks.find("pq"[which % 2])
            assert provider is not None
            provider.probed(self.now, NAMES[which // 2 % 4], 200 if what == "probe" else 408, None)
        elif self.walks:
            self._go_on(self.walks[which % len(self.walks)], what, which)

    def _go_on(self, walk: Walk, what: str, which: int) -> None:
        attempt = walk.attempt
        if attempt is None:
            return
        if what == "end":
            walk.end(self.now)
        elif what == "answer":
            attempt.answered(self.now)
        elif not attempt.is_answered:
            walk.failed(self.now, 486 if what == "busy" else 503, None, which % 3)


@given(sites, events, later, st.integers(0, 1000), st.sampled_from(["p", "p", "q", "nobody"]))
@settings(max_examples=1000)
def test_a_call_goes_where_it_was_explained_to_go(
    site: Site, happened: list[tuple[float, str, int]], then_s: float, seed: int, name: str
) -> None:
    scene = Scene(site, seed)
    for later_s, what, which in happened:
        scene.now += later_s
        scene.happen(what, which)
    scene.now += then_s
    before = dump(scene.trunks)
    walked = explain_walk(scene.trunks, name, scene.now)
    assert dump(scene.trunks) == before
    assert explain_walk(scene.trunks, name, scene.now)[1:] == walked[1:]
    begun = scene.trunks.walk(name).begin(scene.now)
    if isinstance(begun, Attempt):
        found = (begun.provider.site.name, begun.gateway.site.name, "")
    else:
        found = ("", "", begun.cause)
    assert (walked.provider, walked.gateway, walked.cause) == found
    for choice in walked.choices:
        provider = site.providers[choice.provider]
        assert sorted(one.name for one in choice.candidates) == sorted(one.name for one in provider.gateway)
        chosen = [one.name for one in choice.candidates if one.why is Why.CHOSEN]
        assert chosen == ([choice.chosen] if choice.chosen else [])
        assert all(one.why is not None for one in choice.candidates)


@given(sites, events, later, st.integers(0, 1000), st.sets(st.sampled_from(NAMES)))
@settings(max_examples=300)
def test_a_provider_chooses_what_it_explained(
    site: Site, happened: list[tuple[float, str, int]], then_s: float, seed: int, names: set[str]
) -> None:
    scene = Scene(site, seed)
    for later_s, what, which in happened:
        scene.now += later_s
        scene.happen(what, which)
    scene.now += then_s
    provider = scene.trunks.find("p")
    assert provider is not None
    tried = [state for state in map(provider.find, sorted(names)) if state is not None]
    before = dump(provider)
    explained, _ = provider.explain(scene.now, tried)
    assert dump(provider) == before
    chosen = provider.choose(scene.now, tried)
    assert chosen is explained
    assert isinstance(chosen, GatewayState | Why)
