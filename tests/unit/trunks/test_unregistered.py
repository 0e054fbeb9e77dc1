"""Gateways that take calls of who is registered there, and the choice while we are not."""

from oneproxy.site.model import Gateway, Registration
from oneproxy.trunks.answer import UNHEALTHY, Answer
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.candidate import Candidate, Why
from oneproxy.trunks.health import State
from oneproxy.trunks.trunks import Trunks
from trunking import (
    NOW,
    at,
    begun,
    fail,
    gateway,
    name_of,
    provider,
    provider_of,
    site,
    state_of,
    states,
    trunks,
)

ACCOUNT = Registration("sip:me@carrier.example", "me", "secret", required=True)


def needed(name: str, **keys: object) -> Gateway:
    return gateway(name, register=ACCOUNT, **keys)


def register(made: Trunks, name: str, until: float = NOW + 600) -> None:
    state_of(made, name).registered(until)


def told(made: Trunks, now: float = NOW) -> dict[str, Why | None]:
    found: list[Candidate] = []
    provider_of(made).choose(now, (), found)
    return {one.name: one.why for one in found}


def test_others_have_the_calls_until_it_is_registered_at() -> None:
    made = trunks(provider(needed("a"), "b", choice="order"))
    assert told(made) == {"a": Why.UNREGISTERED, "b": Why.CHOSEN}
    register(made, "a")
    assert told(made) == {"a": Why.CHOSEN, "b": Why.COSTS_MORE}
    assert told(made, NOW + 600) == {"a": Why.UNREGISTERED, "b": Why.CHOSEN}


def test_where_there_is_no_other_the_fallback_has_the_call() -> None:
    made = trunks(provider(needed("a"), fallback="q"), provider("z", name="q"))
    walk = made.walk("p")
    assert name_of(walk.begin(NOW)) == "z"
    assert provider_of(made).unhealthy == 1


def test_nobody_is_no_gateway_that_works_and_not_a_full_one() -> None:
    made = trunks(provider(needed("a", max_calls=1)))
    register(made, "a")
    begun(made)
    register(made, "a", 0.0)
    answer = made.walk("p").begin(NOW)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.cause) == (503, UNHEALTHY)
    assert (provider_of(made).unhealthy, provider_of(made).full, provider_of(made).panics) == (1, 0, 0)


def test_where_all_others_fail_it_is_left_out_all_the_same() -> None:
    made = trunks(provider("a", needed("b"), choice="order"))
    walk = made.walk("p")
    first = walk.begin(NOW)
    assert name_of(first) == "a"
    found: list[Candidate] = []
    assert name_of(walk.failed(NOW + 0.1, 500, told=found)) == "500"
    assert Why.UNREGISTERED in {one.why for one in found if one.name == "b"}


def test_an_ejected_one_has_the_call_before_it() -> None:
    made = trunks(provider("a", "b", needed("c"), choice="order"))
    fail(made, "a", 5)
    assert states(made)["a"] is State.EJECTED
    fail(made, "b", 5)
    # It is the last one that may have calls.
    assert states(made)["b"] is State.UP
    walk = made.walk("p")
    assert name_of(walk.begin(NOW)) == "b"
    assert name_of(walk.failed(NOW, 500)) == "a"
    assert name_of(walk.failed(NOW, 500)) == "500"


def test_it_is_no_reason_to_eject_the_last_one_that_may_have_calls() -> None:
    made = trunks(provider("a", needed("b")))
    fail(made, "a", 50)
    assert states(made) == {"a": State.UP, "b": State.UP}
    register(made, "b")
    fail(made, "a", 1)
    assert states(made) == {"a": State.EJECTED, "b": State.UP}


def test_calls_that_it_has_go_on() -> None:
    made = trunks(provider(needed("a")))
    register(made, "a")
    walk, attempt = begun(made)
    attempt.answered(NOW + 1)
    register(made, "a", 0.0)
    assert state_of(made, "a").calls == 1
    walk.end(NOW + 2)
    assert state_of(made, "a").calls == 0


def test_being_registered_is_kept_when_the_site_changes_and_not_for_another_peer() -> None:
    made = trunks(provider(needed("a")))
    register(made, "a")
    made.take(site(provider(needed("a", weight=2))))
    assert isinstance(made.walk("p").begin(NOW), Attempt)
    other = Gateway("a", "sip:other.example.net", register=ACCOUNT)
    made.take(site(provider(other)))
    assert told(made) == {"a": Why.UNREGISTERED}


def test_one_that_needs_no_registration_is_not_asked_for_one() -> None:
    optional = Registration("sip:me@carrier.example", "me", "secret")
    made = trunks(provider(gateway("a", register=optional), "b", choice="order"))
    register(made, "a", 0.0)
    register(made, "b", 0.0)
    assert told(made) == {"a": Why.CHOSEN, "b": Why.COSTS_MORE}
    at(made, "a").end(NOW)
