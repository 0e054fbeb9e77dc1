"""Limits of every kind against a model that remembers every call, in the whole policy of a node: never one
call too many in any window or at once, none refused below that, and nothing left when all have ended."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from random import Random
from typing import Any, Final, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from call_limits import FAR_CALLER, OTHER_CALLER, PHONE, LimitedCalls, limited
from oneproxy.congestion.count import CODES
from oneproxy.site.model import Limit, Site
from routed import CALLER
from world import request, response

#: Who calls, from where, and whom. `nobody` is 404, 800 leads to bob@example.org.
_CALLERS: Final = ("alice@example.com", "bob@example.com", "alice@example.org", "x@elsewhere.net")
_HOSTS: Final = (CALLER, OTHER_CALLER, FAR_CALLER)
_CALLED: Final = (
    "bob@example.com",
    "alice@example.org",
    "800@example.com",
    "nobody@example.com",
    "+351912@example.com",
    "+44207@example.com",
    "112@example.org",
)
_PROVIDERS: Final = {"+3": ("p", "q"), "+4": ("alone",)}
_GATEWAYS: Final = {"p": "192.0.2.20", "q": "192.0.2.21", "alone": "192.0.2.22"}
_PERIOD_S: Final = 2.0

_bounds = st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(any)
_limits = st.fixed_dictionaries(
    {},
    optional={
        ("domain", "example.com"): _bounds,
        ("domain", "*"): _bounds,
        ("source", "192.0.2.0/24"): _bounds,
        ("source", "*"): _bounds,
        ("provider", "p"): _bounds,
        ("provider", "*"): _bounds,
        ("caller", "alice@example.com"): _bounds,
        ("caller", "*"): _bounds,
    },
)
_call = st.tuples(st.sampled_from(_CALLERS), st.sampled_from(_HOSTS), st.sampled_from(_CALLED))
_steps = st.lists(
    st.one_of(
        _call,
        _call,
        _call,
        st.integers(1, 96),  # time that passes, in 64ths of a second
        st.tuples(st.sampled_from(("refused", "cancelled")), st.integers(0, 5)),
        st.just("more"),  # the limits of the site for calls at once are one higher
    ),
    max_size=60,
)
Limits = dict[tuple[str, str], tuple[int, int]]


class On(NamedTuple):
    """A call that went on. keys: what it counts in; lasting: where for as long as it is on."""

    name: str
    caller: str
    at: str
    keys: tuple[tuple[str, str], ...]
    lasting: tuple[tuple[str, str], ...]


class Model:
    """Every call by what it counts in: the key of the limit, and of whom it is."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.began: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.on: list[On] = []

    def keys(self, kind: str, whom: str) -> list[tuple[str, str]]:
        """What a call of `whom` counts in: the limits of this kind that are for him."""
        mine = whom
        if kind == "source":
            mine = "192.0.2.0/24" if whom.startswith("192.0.2.") else ""
        found = [(f"{kind} {mine}", "")] if (kind, mine) in self.limits else []
        return found + ([(f"{kind} *", whom)] if (kind, "*") in self.limits else [])

    def bounds(self, key: tuple[str, str]) -> tuple[int, int]:
        """Calls in a period, and at once."""
        kind, _, whom = key[0].partition(" ")
        return self.limits[kind, whom]

    def is_full(self, key: tuple[str, str], now: float) -> bool:
        calls, max_calls = self.bounds(key)
        within = sum(now < at + _PERIOD_S for at in self.began[key])
        on = sum(key in one.lasting for one in self.on)
        return bool((calls and within >= calls) or (max_calls and on >= max_calls))

    def full(self, keys: Iterable[tuple[str, str]], now: float) -> list[str]:
        """The kinds of those that have no room."""
        return [key[0].partition(" ")[0] for key in keys if self.is_full(key, now)]


def site_of(limits: Limits) -> Site:
    made: list[Limit] = []
    for (kind, whom), (calls, max_calls) in limits.items():
        keys: dict[str, Any] = {kind: whom}
        made.append(Limit(**keys, calls=calls, period_s=_PERIOD_S, max_calls=max_calls))
    return limited(*made, emergency=("112",))


class Judge:
    """The node and the model, side by side."""

    def __init__(self, limits: Limits) -> None:
        self.world = LimitedCalls(site_of(limits))
        self.model = Model(limits)

    def call(self, by: str, host: str, to: str) -> None:
        """Place one."""
        world, model, now = self.world, self.model, self.world.now
        keys = model.keys("caller", by) + model.keys("source", host)
        user, _, called = to.partition("@")
        # Where a domain counts a call: of the caller, of who is called, of whom a route leads to.
        domains = {called, by.partition("@")[2], "example.org" if user in ("800", "112") else called}
        for domain in domains & {"example.com", "example.org"}:
            keys += model.keys("domain", domain)
        is_spared = user == "112"
        provider = self._provider(user, now)
        before = world.counted()
        world.peer(host).take_all()
        name, caller = world.invite(to, by, host=host)
        new = [code for code, count in world.counted().items() if count != before.get(code, 0)]
        full = [] if is_spared else model.full(keys, now)
        if full or (user[:2] in _PROVIDERS and not provider):
            caller.take_response(503)
            assert {code.partition("-")[0] for code in new} <= set(full or ["provider"])
            assert len(new) == 1
            return
        assert new == []
        if user == "nobody":
            caller.take_response(404)
            return
        assert caller.has_nothing
        counted = keys + (model.keys("provider", provider) if provider else [])
        for key in counted:
            model.began[key].append(now)
        lasting = tuple(key for key in counted if model.bounds(key)[1] or key[0].startswith("provider"))
        model.on.append(On(name, host, _GATEWAYS.get(provider, PHONE), tuple(counted), lasting))
        assert f"Call-ID: {name}".encode() in world.peer(model.on[-1].at).inbox[-1]

    def end(self, how: str, which: int) -> None:
        """One of the calls ends."""
        if not self.model.on:
            return
        one = self.model.on.pop(which % len(self.model.on))
        peer = self.world.peer(one.at)
        invite = next(data for data in peer.inbox if data.startswith(b"INVITE") and _is_of(data, one.name))
        while invite in peer.inbox:
            peer.inbox.remove(invite)
        peer.inbox.appendleft(invite)
        message = peer.take_request("INVITE")
        if how == "cancelled":
            peer.send(response(message, 180, to_tag="b"))
            self.world.peer(one.caller).send(
                request("CANCEL", message.uri, branch=f"z9hG4bK{one.name}", call_id=one.name, via=one.caller)
            )
        peer.send(response(message, 487 if how == "cancelled" else 603, to_tag="b"))

    def end_all(self) -> None:
        """All calls end, and nothing counts as on."""
        while self.model.on:
            self.end("refused", 0)
        trunks = self.world.step.trunks.providers()
        assert [len(one.held) for one in trunks] == [0, 0, 0]
        assert [key for key in self.world.left() if not key.startswith("provider")] == []
        assert self.world.engine.calls() == 0

    def more(self) -> None:
        """The site changes: what counts stays."""
        self.model.limits = {
            key: (calls, max_calls + 1 if max_calls else 0)
            for key, (calls, max_calls) in self.model.limits.items()
        }
        self.world.change(site_of(self.model.limits))

    def _provider(self, user: str, now: float) -> str:
        """Which provider has room for the call; "" for none."""
        for name in _PROVIDERS.get(user[:2], ()):
            if not self.model.full(self.model.keys("provider", name), now):
                return name
        return ""


def _is_of(data: bytes, name: str) -> bool:
    return f"Call-ID: {name}\r\n".encode() in data


@settings(max_examples=150, deadline=None)
@given(_limits, _steps)
def test_calls_are_let_in_exactly_as_far_as_their_limits_have_room(limits: Limits, steps: list[Any]) -> None:
    judge = Judge(limits)
    passed = 0
    for step in steps:
        if step == "more":
            judge.more()
        elif isinstance(step, int):
            # What rings is not given up in so short a time.
            passed += step
            if passed < 64 * 2.5:
                judge.world.wait(step / 64)
        elif len(step) == 3:
            judge.call(*step)
        else:
            judge.end(*step)
    judge.end_all()


def test_a_long_run_is_refused_for_every_reason_and_leaves_nothing() -> None:
    random = Random(7)
    whom = [("domain", "*"), ("source", "*"), ("source", "192.0.2.0/24"), ("provider", "*"), ("caller", "*")]
    refused: Counter[str] = Counter()
    for _ in range(20):
        judge = Judge({one: (random.randint(0, 6), random.randint(1, 3)) for one in random.sample(whom, 2)})
        for _ in range(20):
            for _ in range(16):
                judge.call(random.choice(_CALLERS), random.choice(_HOSTS), random.choice(_CALLED))
                if random.random() < 0.4:
                    judge.end(random.choice(("refused", "cancelled")), random.randrange(9))
                judge.world.wait(random.randint(0, 8) / 64)
            judge.end_all()
            judge.world.wait(random.random())
        refused.update(judge.world.counted())
    assert refused.keys() == CODES
    assert min(refused.values()) > 5
