"""A call that a limit would refuse is explained: each limit that it is under, and how full it is."""

from call_limits import LimitedCalls, limited
from oneproxy.policy.explaining import Explainer, Question, Told, make_ask
from oneproxy.site.model import Limit
from routed import CALLER

LIMITS = (
    Limit(caller="*", calls=2, period_s=60.0),
    Limit(domain="*", calls=9, max_calls=2, name="tenants"),
    Limit(source=CALLER, calls=3),
    Limit(provider="alone", calls=1),
)


def explained(world: LimitedCalls, to: str, source: str = CALLER, from_: str = "alice@example.com") -> Told:
    ask = make_ask(Question(from_, to, source), [world.listener], world.now)
    assert not isinstance(ask, str), ask
    return Explainer(world.policy).explain(ask)


def limits_of(told: Told) -> list[tuple[str, str]]:
    return [step for step in told.steps if step[0].startswith("limit")]


def test_each_limit_is_named_with_how_full_it_is_and_nothing_counts_for_it() -> None:
    world = LimitedCalls(limited(*LIMITS))
    world.call()
    for _ in range(5):
        told = explained(world, "bob@example.org")
    assert limits_of(told) == [
        ("limit caller *", "1 of 2 calls in 60 s of alice@example.com"),
        ("limit tenants", "1 of 9 calls in 1 s, 1 of 2 calls at once of example.com"),
        ("limit tenants", "0 of 9 calls in 1 s, 0 of 2 calls at once of example.org"),
        (f"limit source {CALLER}", "1 of 3 calls in 1 s"),
    ]
    assert told.verdict == "to sip:bob@192.0.2.99"


def test_the_limit_that_would_refuse_a_call_is_the_verdict() -> None:
    world = LimitedCalls(limited(*LIMITS))
    world.call("bob@example.org")
    world.call("bob@example.org", "bob@example.org", host="192.0.2.11")
    told = explained(world, "bob@example.org")
    assert (told.verdict, told.status) == ("answered 503 Service Unavailable (domain-max-calls)", 503)
    # A route leads there.
    assert explained(world, "800@example.com", source="192.0.2.11").verdict == told.verdict
    assert world.call("800", host="192.0.2.11") == "domain-max-calls"
    assert world.counted() == {"domain-max-calls": 1}


def test_an_urgent_call_is_said_to_be_spared() -> None:
    world = LimitedCalls(limited(*LIMITS))
    for _ in range(2):
        world.call()
    told = explained(world, "112@example.com")
    assert ("limits", "it is urgent, and so not refused for caller-calls-per-period") in told.steps
    assert told.status == 0


def test_a_provider_that_is_passed_over_is_named() -> None:
    world = LimitedCalls(limited(*LIMITS))
    world.call("+44207")
    told = explained(world, "+44207")
    assert ("provider alone", "passed over: provider-calls-per-period") in told.steps
    assert told.verdict == "answered 503 (provider-calls-per-period)"


def test_requests_that_are_no_calls_are_under_none() -> None:
    world = LimitedCalls(limited(*LIMITS))
    ask = make_ask(
        Question("alice@example.com", "bob", CALLER, "udp", "MESSAGE"), [world.listener], world.now
    )
    assert not isinstance(ask, str)
    assert limits_of(Explainer(world.policy).explain(ask)) == []
