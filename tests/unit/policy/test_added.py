"""Steps that operators add by entry point."""

import sys
from importlib.metadata import EntryPoint

import pytest

from asking import invite
from oneproxy.engine.decisions import Ask, Decision, Reply
from oneproxy.policy.added import ACCESS, GROUP, ROUTES, StepError, added_steps
from oneproxy.policy.build import build
from oneproxy.policy.live import Live
from oneproxy.registrar.location import Location
from oneproxy.site.model import Domain, Site

GONE = Reply(410, "Gone")


class Closing:
    """Answers what is for a domain that the site has."""

    def __init__(self, live: Live) -> None:
        self.domains = live.domains
        self.took: list[Site] = []

    def decide(self, ask: Ask) -> Decision | None:
        return GONE if ask.uri.host in self.domains else None

    def take(self, site: Site) -> None:
        self.took.append(site)


class First(Closing):
    place = ACCESS


class Nowhere(Closing):
    place = "nowhere"


class NoStep:
    def __init__(self, _live: Live) -> None:
        pass


def broken(_live: Live) -> Closing:
    raise LookupError("no licence")


def points(*names: str) -> list[EntryPoint]:
    return [EntryPoint(name, f"{__name__}:{name}", GROUP) for name in names]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point is imported by name, which a test file otherwise is not."""

    module = type(sys)(__name__)
    module.__dict__.update(
        {one: globals()[one] for one in ("Closing", "First", "Nowhere", "NoStep", "broken")}
    )
    monkeypatch.setitem(sys.modules, __name__, module)


def test_steps_come_in_the_order_of_their_names_and_say_where_they_are_asked() -> None:
    found = added_steps(Live(), points("First", "Closing"))
    assert [(one.name, one.place) for one in found] == [("Closing", ROUTES), ("First", ACCESS)]


def test_nothing_is_added_where_nothing_is_installed() -> None:
    assert added_steps(Live()) == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("broken", "LookupError: no licence"),
        ("Missing", "AttributeError"),
        ("Nowhere", 'place: found \'nowhere\'; allowed "access" or "routes"'),
        ("NoStep", "what it makes has no `decide`"),
    ],
)
def test_a_step_that_cannot_be_used_is_named(name: str, why: str) -> None:
    with pytest.raises(StepError) as raised:
        added_steps(Live(), points(name))
    assert f"step {name} (" in str(raised.value)
    assert why in str(raised.value)


def test_an_added_step_is_asked_after_access_and_before_routes_and_bindings() -> None:
    site = Site({"example.com": Domain("example.com", authenticate=())}, {})
    live = Live(site)
    added = added_steps(live, points("First", "Closing"))
    policy = build(live, b"farm", {"192.0.2.1"}, Location(10), lambda *_: True, lambda *_: None, added=added)
    kinds = [type(step).__name__ for step in policy.steps]
    assert kinds == [
        "Screen",
        "Sanity",
        "Access",
        "First",
        "LimitStep",
        "Registrar",
        "Records",
        "Closing",
        "TrunkStep",
        "LedStep",
        "LocationStep",
    ]
    assert policy.decide(invite()) is GONE
    policy.take(site)
    assert [step.took for step in policy.steps if isinstance(step, Closing)] == [[site], [site]]
    live.domains.clear()
    decided = policy.decide(invite())
    assert isinstance(decided, Reply)
    assert decided.status != 410
