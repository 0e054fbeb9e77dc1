"""Limits of the site in the whole policy of a node: whose calls count where, and what becomes of others."""

import pytest

from call_limits import FAR_CALLER, OTHER_CALLER, PHONE, LimitedCalls, limited
from oneproxy.congestion.count import Count
from oneproxy.engine.decisions import Ask
from oneproxy.site.model import Limit
from routed import CALLER, STRANGER
from world import request, response


def test_a_caller_has_so_many_calls_whomever_he_calls_and_others_have_theirs() -> None:
    world = LimitedCalls(limited(Limit(caller="*", calls=2)))
    assert [world.call(to) for to in ("bob", "bob@example.org", "bob")] == [
        "",
        "",
        "caller-calls-per-period",
    ]
    assert world.call(by="bob@example.com") == ""
    world.wait(1)
    assert world.call() == ""


def test_one_caller_may_have_another_limit_besides() -> None:
    world = LimitedCalls(limited(Limit(caller="*", calls=2), Limit(caller="alice@example.com", calls=1)))
    assert [world.call() for _ in range(2)] == ["", "caller-calls-per-period"]
    assert [world.call(by="bob@example.com") for _ in range(3)] == ["", "", "caller-calls-per-period"]


def test_a_domain_counts_calls_of_its_callers_and_for_its_users_each_call_once() -> None:
    world = LimitedCalls(limited(Limit(domain="example.com", calls=2)))
    assert world.call("bob@example.com", "alice@example.com") == ""
    assert world.call("bob@example.com", "alice@example.org") == ""
    assert world.call("bob@example.org", "alice@example.com") == "domain-calls-per-period"
    assert world.call("bob@example.com", "carol@elsewhere.net") == "domain-calls-per-period"
    assert world.call("bob@example.org", "alice@example.org") == ""


def test_a_call_between_two_domains_counts_in_both_and_in_none_where_one_is_full() -> None:
    world = LimitedCalls(limited(Limit(domain="*", calls=1), Limit(caller="*", calls=2)))
    assert world.call("bob@example.org", "alice@example.org") == ""
    # Refused for example.org: nothing of example.com, nor of the caller, is used up.
    assert world.call("bob@example.org", "alice@example.com") == "domain-calls-per-period"
    assert world.call("bob@example.com", "alice@example.com") == ""
    world.wait(1)
    assert [world.call("bob@example.com"), world.call("bob@example.org", "alice@example.org")] == ["", ""]


def test_a_call_that_a_route_leads_to_a_user_counts_for_his_domain() -> None:
    world = LimitedCalls(limited(Limit(domain="example.org", calls=1)))
    assert [world.call("800") for _ in range(2)] == ["", "domain-calls-per-period"]
    assert world.call("bob@example.org", "alice@example.org") == "domain-calls-per-period"
    assert world.call() == ""


def test_a_call_that_is_led_to_a_user_of_the_same_domain_counts_once() -> None:
    world = LimitedCalls(limited(Limit(domain="example.org", calls=2), Limit(domain="*", calls=2)))
    assert [world.call("800@example.org", "alice@example.org") for _ in range(3)] == [
        "",
        "",
        "domain-calls-per-period",
    ]


def test_calls_at_once_of_a_domain_have_room_when_one_has_failed() -> None:
    world = LimitedCalls(limited(Limit(domain="example.com", max_calls=2)))
    assert [world.call() for _ in range(3)] == ["", "", "domain-max-calls"]
    world.refuse()
    assert [world.call() for _ in range(2)] == ["", "domain-max-calls"]
    assert world.left() == {"domain example.com": 2}


def test_a_source_is_refused_by_the_gate_before_it_is_read() -> None:
    world = LimitedCalls(limited(Limit(source="192.0.2.0/24", calls=2), Limit(source="*", calls=1)))
    assert world.call() == ""
    read = world.engine.counters.requests
    assert world.call() == "source-calls-per-period"
    assert world.engine.counters.requests == read
    assert world.call(host=OTHER_CALLER) == ""
    assert world.call(host="192.0.2.12") == "source-calls-per-period"
    # Of another network, and not let in for want of a password: nothing of it counts.
    world.peer(STRANGER).send(request("INVITE", call_id="s", branch="z9hG4bKs", via=STRANGER))
    assert world.peer(STRANGER).take().status == 407  # type: ignore[union-attr]


def test_a_source_that_has_room_again_is_let_in_at_once() -> None:
    world = LimitedCalls(limited(Limit(source=CALLER, max_calls=1), calls=100))
    assert [world.call(), world.call()] == ["", "source-max-calls"]
    assert world.call(host=OTHER_CALLER) == ""
    world.refuse()
    assert [world.call(), world.call()] == ["", "source-max-calls"]


def test_while_a_source_is_full_the_limit_of_the_node_holds_for_all() -> None:
    world = LimitedCalls(limited(Limit(source=CALLER, max_calls=1), calls=2))
    assert [world.call(), world.call()] == ["", "source-max-calls"]
    assert [world.call(host=OTHER_CALLER) for _ in range(2)] == ["", "calls-per-period"]
    assert world.call() == "calls-per-period"
    world.wait(1)
    assert [world.call(), world.call(host=OTHER_CALLER)] == ["source-max-calls", ""]


def test_the_ack_of_a_refusal_is_dropped() -> None:
    world = LimitedCalls(limited(Limit(caller="*", calls=1), Limit(source="192.0.2.0/24", calls=2)))
    caller = world.peer(CALLER)
    for _ in range(3):
        name, _ = world.invite()
        if caller.has_nothing:
            continue
        tag = caller.take_response(503).get("to")
        assert tag is not None
        caller.send(
            request("ACK", call_id=name, branch=f"z9hG4bK{name}", via=CALLER, to_tag=tag.partition("tag=")[2])
        )
    assert caller.has_nothing
    # Nothing is remembered of the two that were refused.
    assert world.engine.sizes()["servers"] == 1


def test_emergency_calls_and_the_urgent_ones_of_who_is_trusted_are_spared_and_count() -> None:
    limits = (
        Limit(caller="*", calls=1),
        Limit(domain="*", calls=1),
        Limit(source="*", calls=1),
        Limit(provider="*", calls=1),
    )
    world = LimitedCalls(limited(*limits, emergency=("112", "+351112")))
    for _ in range(3):
        assert world.call("112") == ""
        assert world.call("+351112") == ""
        assert world.call("+351999", "alice@example.com", "Priority: emergency") == ""
        assert world.call("bob", "alice@example.com", "Resource-Priority: esnet.1") == ""
    assert world.call() == "source-calls-per-period"
    assert world.call(host=OTHER_CALLER) == "caller-calls-per-period"
    assert world.call(by="x@elsewhere.net", host="192.0.2.11") == "domain-calls-per-period"


def test_calls_of_a_provider_go_to_its_fallback_where_there_is_no_room_and_then_are_refused() -> None:
    world = LimitedCalls(limited(Limit(provider="p", calls=1), Limit(provider="q", max_calls=1)))
    assert [world.call("+351912345678") for _ in range(3)] == ["", "", "provider-max-calls"]
    assert [len(world.peer(f"192.0.2.2{one}").inbox) for one in (0, 1)] == [1, 1]
    world.refuse("192.0.2.21")
    assert [world.call("+351912345678") for _ in range(2)] == ["", "provider-max-calls"]
    world.wait(1)
    # What nobody has answered at all has gone on from there: 3 s have not passed.
    world.peer("192.0.2.20").take_all()
    assert world.call("+351912345678") == ""
    assert world.peer("192.0.2.20").take_all() == ["INVITE sip:+351912345678@192.0.2.20 SIP/2.0"]


def test_a_call_whose_gateway_fails_counts_at_the_fallback_too() -> None:
    world = LimitedCalls(limited(Limit(provider="*", calls=1)))
    assert world.call("+351912345678") == ""
    g0, g1 = world.peer("192.0.2.20"), world.peer("192.0.2.21")
    g0.send(response(g0.take_request("INVITE"), 503, to_tag="b"))
    g1.take_request("INVITE")
    assert world.call("+351912345678") == "provider-calls-per-period"
    world.wait(1)
    assert world.call("+44207") == ""


def test_a_provider_without_fallback_at_its_limit_is_503() -> None:
    world = LimitedCalls(limited(Limit(provider="alone", calls=1)))
    assert [world.call("+44207") for _ in range(2)] == ["", "provider-calls-per-period"]


def test_what_is_asked_for_a_password_or_not_found_counts_nowhere() -> None:
    world = LimitedCalls(limited(Limit(caller="*", calls=1), Limit(domain="*", calls=1)))
    stranger = world.peer(STRANGER)
    stranger.send(request("INVITE", via=STRANGER))
    assert stranger.take().status == 407  # type: ignore[union-attr]
    world.invite("nobody@example.com")
    world.peer(CALLER).take_response(404)
    assert [world.call() for _ in range(2)] == ["", "caller-calls-per-period"]


def test_requests_that_are_no_calls_are_under_no_limit() -> None:
    world = LimitedCalls(limited(Limit(caller="*", calls=1), Limit(domain="*", calls=1)))
    assert world.call() == ""
    world.peer(PHONE).take_all()
    for number in range(3):
        world.peer(CALLER).send(request("MESSAGE", call_id=f"m{number}", branch=f"z9hG4bKm{number}"))
    assert world.peer(PHONE).take_all() == ["MESSAGE sip:bob@192.0.2.99 SIP/2.0"] * 3


def test_a_changed_site_holds_for_the_next_call_and_those_that_began_count() -> None:
    world = LimitedCalls(limited(Limit(caller="*", calls=3, period_s=9.0)))
    assert [world.call() for _ in range(2)] == ["", ""]
    world.change(limited(Limit(caller="*", calls=2, period_s=9.0), Limit(source="*", calls=9)))
    assert world.call() == "caller-calls-per-period"
    world.change(limited())
    assert [world.call() for _ in range(5)] == [""] * 5
    assert world.engine.gate.sources is None


@pytest.mark.parametrize("key", ["caller *", "caller * ", "domain example.net", "node", "", "provider p"])
def test_a_key_of_no_limit_counts_nothing_again(key: str) -> None:
    world = LimitedCalls(limited(Limit(caller="*", max_calls=2), Limit(domain="*", calls=2)))
    assert world.limits.hold_again(key, world.now) is None


def test_a_call_is_counted_again_by_the_keys_of_what_it_held() -> None:
    limits = (
        Limit(caller="*", max_calls=1),
        Limit(caller="alice@example.com", max_calls=1),
        Limit(domain="example.com", max_calls=2),
        Limit(source="192.0.2.0/24", max_calls=1),
        Limit(source="*", max_calls=1),
        Limit(domain="*", calls=5),
    )
    first = LimitedCalls(limited(*limits))
    first.call()
    keys = list(first.left())
    assert keys == [
        "domain example.com",
        "source 192.0.2.0/24",
        "source * 192.0.2.10",
        "caller alice@example.com",
        "caller * alice@example.com",
    ]
    after = LimitedCalls(limited(*limits))
    holds = [after.limits.hold_again(key, after.now) for key in keys]
    assert after.left() == first.left()
    assert after.call("bob@example.org") == "source-max-calls"
    assert after.call("bob@example.org", host=FAR_CALLER) == "caller-max-calls"
    for hold in holds:
        assert hold is not None
        hold.ended(after.now)
    assert after.left() == {}


def test_who_has_proved_a_password_is_the_caller_whoever_from_says() -> None:
    world = LimitedCalls(
        limited(Limit(caller="alice@example.com", calls=1), Limit(domain="example.com", calls=9))
    )
    world.invite(by="bob@example.com")
    ask: Ask = world.asks[-1]
    ask.subscriber, ask.trusted = "alice@example.com", False
    step = world.limit_step
    assert [hold.key for hold in step.holds(ask)] == ["caller alice@example.com", "domain example.com"]
    assert all(isinstance(hold, Count) for hold in step.holds(ask))
