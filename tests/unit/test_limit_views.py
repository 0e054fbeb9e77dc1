"""What people are shown of limits: how full each is, and who is nearest to his."""

import asyncio

import pytest

from call_limits import LimitedCalls, limited
from oneproxy import limit_views
from oneproxy.ipc.limits import LimitFound, LimitsFound, ShareFound
from oneproxy.site.model import Limit


def found(world: LimitedCalls) -> LimitsFound:
    def calls_of(provider: str) -> int:
        state = world.step.trunks.find(provider)
        return 0 if state is None else len(state.held)

    return asyncio.run(world.work.found(calls_of, world.now))


def test_each_limit_is_shown_with_how_full_it_is_and_what_it_has_refused() -> None:
    world = LimitedCalls(
        limited(
            Limit(domain="example.com", calls=5, max_calls=2, name="tenant"),
            Limit(caller="*", calls=9, period_s=60.0),
            Limit(provider="alone", max_calls=7),
            calls=50,
        )
    )
    assert [world.call() for _ in range(3)] == ["", "", "domain-max-calls"]
    assert world.call("+44207@example.org", "alice@example.org") == ""
    world.wait(0.5)
    busiest = [ShareFound("alice@example.com", 2, 0, 0), ShareFound("alice@example.org", 1, 0, 0)]
    assert found(world) == LimitsFound(
        [
            LimitFound("node", "node", "", 50, 1.0, 0, 3, 3, 0),
            LimitFound("tenant", "domain", "example.com", 5, 1.0, 2, 2, 2, 1),
            LimitFound("provider alone", "provider", "alone", 0, 1.0, 7, 0, 1, 0),
            LimitFound("caller *", "caller", "*", 9, 60.0, 0, 0, 0, 0, 2, 0, busiest),
        ]
    )


def test_of_those_that_each_has_the_ones_nearest_to_it_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit_views, "_AT_A_TIME", 3)
    monkeypatch.setattr(limit_views, "BUSIEST", 2)
    world = LimitedCalls(limited(Limit(caller="*", calls=5, period_s=60.0, max_calls=3)))
    for name, calls in (("a", 1), ("b", 3), ("c", 2), ("d", 3), ("e", 1)):
        for _ in range(calls):
            world.call(by=f"{name}@elsewhere.net")
    assert world.call(by="d@elsewhere.net") == "caller-max-calls"
    (shown,) = found(world).limits
    assert (shown.counted, shown.refused) == (5, 1)
    assert shown.busiest == [
        ShareFound("b@elsewhere.net", 3, 3, 0),
        ShareFound("d@elsewhere.net", 3, 3, 1),
    ]


def test_more_limits_than_an_answer_holds_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit_views, "MAX_LIMITS", 2)
    world = LimitedCalls(limited(*[Limit(source=f"10.0.0.{one}", calls=1) for one in range(1, 6)]))
    shown = found(world)
    assert ([one.whom for one in shown.limits], shown.left_out) == (["10.0.0.1", "10.0.0.2"], 3)


def test_a_site_without_limits_shows_none() -> None:
    assert found(LimitedCalls(limited())) == LimitsFound([])
