"""All registrations of a site: who is begun and kept up, and what gateways and people learn."""

from collections.abc import Iterable

from accounts import CHALLENGE, SECRET, TIMEOUT, Made, account, gateway
from oneproxy.engine.decisions import Answered, Result
from oneproxy.engine.origin import OwnRequest
from oneproxy.site import model
from oneproxy.site.model import Gateway
from oneproxy.trunks.candidate import Why
from oneproxy.trunks.registration import Standing
from oneproxy.trunks.registration_states import State
from trunking import NOW, state_of

# Begun.


def test_a_single_account_is_registered_at_once() -> None:
    made = Made(gateway())
    assert made.all.deadline() == NOW
    first = made.next()
    request = first.request
    assert (first.at, request.method, request.uri) == (NOW, "REGISTER", "sip:carrier.example")
    assert (request.towards, request.to) == ("sip:a.example.net", "<sip:a@carrier.example>")
    assert request.from_.startswith("<sip:a@carrier.example>;tag=")
    assert (request.headers, request.max_forwards, request.flow) == (
        ("Contact: <sip:a@192.0.2.1:5060>", "Expires: 600"),
        70,
        "",
    )
    assert not made.all.is_registered(NOW, "p", "a")
    first.grant()
    assert made.all.is_registered(NOW + 599.0, "p", "a")
    assert made.sent == []


def test_a_challenge_is_answered_at_once() -> None:
    made = Made(gateway())
    first = made.next()
    first.answer(401, CHALLENGE.format("n1"))
    second = made.next()
    assert 'nonce="n1"' in second.header("Authorization")
    assert (second.at, second.request.call_id) == (NOW, first.request.call_id)
    assert second.request.cseq == first.request.cseq + 1
    second.grant()
    assert made.standing()[:4] == (State.REGISTERED, 200, "Said", "")


def test_a_hundred_accounts_are_spread_over_five_seconds() -> None:
    made = Made(*[gateway(f"g{number}") for number in range(100)])
    made.wait(30.0)
    began = [sent.at - NOW for sent in made.sent]
    assert len(began) == 100
    assert max(began) <= 5.0
    assert max(sum(second <= at < second + 1 for at in began) for second in range(5)) < 35
    for sent in made.sent:
        sent.grant()
    assert all(one.standing.state is State.REGISTERED for one in made.all.standings())


def test_a_thousand_begin_within_twenty_seconds() -> None:
    made = Made(*[gateway(f"g{number}") for number in range(1000)])
    made.wait(20.0)
    assert len(made.sent) == 1000


def test_one_that_is_added_to_others_begins_at_once() -> None:
    made = Made(gateway()).registered()
    made.wait(10.0)
    made.take(gateway(), gateway("b"))
    assert made.next().user == "b"


def test_a_gateway_without_an_account_is_not_registered_at() -> None:
    made = Made(Gateway("a", "sip:a.example.net"))
    made.wait(100.0)
    assert (made.sent, made.all.standings(), made.all.deadline()) == ([], [], None)
    assert not made.all.is_registered(NOW, "p", "a")
    assert not made.all.is_registered(NOW, "q", "a")


def test_the_contact_is_where_we_listen_for_what_leads_to_the_gateway() -> None:
    made = Made(gateway(uri="sip:a.example.net;transport=tcp"))
    assert made.next().header("Contact") == "<sip:a@192.0.2.1:5060;transport=tcp>"


def test_an_aor_without_a_user_has_a_contact_without_one() -> None:
    made = Made(gateway(register=model.Registration("sip:carrier.example", "me", "x")))
    first = made.next()
    assert first.header("Contact") == "<sip:192.0.2.1:5060>"
    assert first.request.to == "<sip:carrier.example>"


def test_what_may_not_stand_in_a_uri_is_escaped() -> None:
    made = Made(gateway(register=model.Registration("sip:maça@carrier.example", "maça", "x")))
    first = made.next()
    assert first.request.to == "<sip:ma%C3%A7a@carrier.example>"
    assert first.header("Contact") == "<sip:ma%C3%A7a@192.0.2.1:5060>"
    first.answer(401, CHALLENGE.format("n1"))
    made.next().request.render("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1")


# Call-ID.


def call_id(node: str = "n1", secret: bytes = SECRET, name: str = "a", user: str = "me") -> str:
    made = Made(gateway(name, account(user)), node=node, secret=secret)
    return made.next().request.call_id


def test_the_call_id_is_the_same_at_each_start_and_another_one_for_all_else() -> None:
    assert call_id() == call_id()
    others = {call_id(), call_id("n2"), call_id(secret=b"other"), call_id(name="b"), call_id(user="you")}
    assert len(others) == 5
    assert all(len(one) == 32 and one.isalnum() for one in others)


def test_the_cseq_goes_on_after_a_restart() -> None:
    made = Made(gateway())
    before = made.next().request
    again = Made(gateway())
    again.now = NOW + 2.0
    after = again.next().request
    assert (after.call_id, after.cseq > before.cseq) == (before.call_id, True)


def test_the_same_account_at_two_gateways_has_two_call_ids() -> None:
    made = Made(gateway("a", account()), gateway("b", account()))
    made.wait(1.0)
    assert len({sent.request.call_id for sent in made.sent}) == 2


# Kept up.


def test_it_is_refreshed_in_time() -> None:
    made = Made(gateway()).registered()
    made.wait(359.0)
    assert made.sent == []
    made.wait(121.0)
    made.next().grant()
    assert made.all.is_registered(NOW + 600.0, "p", "a")


def test_nothing_is_done_while_nothing_is_due() -> None:
    made = Made(*[gateway(f"g{number}") for number in range(1000)])
    made.wait(20.0)
    for sent in made.sent:
        sent.grant()
    made.sent = []
    at = made.all.deadline()
    assert at is not None
    assert at > made.now + 300.0
    made.all.expire(at - 0.001)
    assert made.sent == []


def test_whoever_owns_the_clock_hears_of_a_deadline_that_is_sooner() -> None:
    made = Made(gateway())
    told: list[float | None] = []
    made.all.on_sooner = lambda: told.append(made.all.deadline())
    first = made.next()
    told.clear()
    first.come_to(TIMEOUT)
    assert told == [made.standing().next_at]


def test_a_failure_is_tried_again_and_again() -> None:
    made = Made(gateway())
    for _ in range(20):
        made.next().come_to(TIMEOUT)
        made.wait(600.0)
    made.next().grant()
    assert made.all.is_registered(made.now, "p", "a")


def test_a_fault_at_the_first_step_is_tried_again_too() -> None:
    made = Made(gateway())

    def refuse(now: float, request: OwnRequest, answered: Answered) -> None:
        answered(now, Result(503, "name", None, 0.0))

    made.all._originate = refuse
    made.wait(0.0)
    assert made.standing()[:4] == (State.WAITING, 503, "", "name")
    assert NOW < made.standing().next_at <= NOW + 5.0


# What gateways learn: `required = true`.


def needed(name: str = "a", user: str = "me") -> Gateway:
    return gateway(name, account(user, required=True))


def test_a_gateway_that_needs_it_has_calls_while_it_is_registered_at() -> None:
    made = Made(needed())
    first = made.next()
    assert made.why() == {"a": Why.UNREGISTERED}
    first.grant()
    assert made.why() == {"a": Why.CHOSEN}
    made.now += 599.9
    assert made.why() == {"a": Why.CHOSEN}
    made.now += 0.1
    assert made.why() == {"a": Why.UNREGISTERED}


def test_a_refresh_that_fails_takes_nothing_away_before_its_time() -> None:
    made = Made(needed()).registered()
    made.wait(480.0)
    made.next().come_to(TIMEOUT)
    assert made.why() == {"a": Why.CHOSEN}
    made.wait(119.0)
    assert made.why() == {"a": Why.CHOSEN}
    made.wait(1.0)
    assert made.why() == {"a": Why.UNREGISTERED}
    made.sent[-1].grant()
    assert made.why() == {"a": Why.CHOSEN}


def test_a_registrar_that_says_that_nothing_is_bound_is_believed() -> None:
    made = Made(needed()).registered()
    made.wait(480.0)
    made.next().answer(200, "Contact: <sip:x@192.0.2.9>, <sip:y@192.0.2.9>")
    assert made.why() == {"a": Why.UNREGISTERED}


def test_one_that_needs_none_has_calls_in_any_case() -> None:
    made = Made(gateway())
    made.next().answer(403)
    assert made.why() == {"a": Why.CHOSEN}


def test_whether_it_is_needed_is_changed_at_once() -> None:
    made = Made(gateway(register=account())).registered()
    made.take(needed())
    assert (made.why(), made.sent) == ({"a": Why.CHOSEN}, [])
    state_of(made.trunks, "a").registered(0.0)
    assert made.why() == {"a": Why.UNREGISTERED}
    made.take(gateway(register=account()))
    assert made.why() == {"a": Why.CHOSEN}


def test_another_account_has_to_be_registered_first() -> None:
    made = Made(needed(user="old")).registered()
    made.take(needed(user="new"))
    assert made.why() == {"a": Why.UNREGISTERED}
    made.next().answer(200)
    assert made.why() == {"a": Why.UNREGISTERED}
    made.next().grant()
    assert made.why() == {"a": Why.CHOSEN}


def test_a_gateway_that_comes_back_with_its_account_is_usable_again() -> None:
    made = Made(needed()).registered()
    made.take()
    made.take(needed())
    assert made.why() == {"a": Why.CHOSEN}


# What people see.


def test_standings_are_in_order() -> None:
    made = Made(gateway("b"), gateway("a"), gateway("c"))
    listed = made.all.standings()
    assert [(one.provider, one.gateway, one.aor) for one in listed] == [
        ("p", name, f"sip:{name}@carrier.example") for name in "abc"
    ]
    assert {one.standing.state for one in listed} == {State.STOPPED}


def states(told: Iterable[tuple[str, str, Standing]]) -> list[tuple[str, State, int, str]]:
    return [(name, standing.state, standing.status, standing.error) for _, name, standing in told]


def test_it_is_told_what_becomes_of_a_registration_and_not_each_refresh() -> None:
    made = Made(gateway())
    made.next().answer(401, CHALLENGE.format("n1"))
    assert made.told == []
    made.next().grant()
    for _ in range(3):
        made.wait(480.0)
        made.next().grant()
    assert states(made.told) == [("a", State.REGISTERED, 200, "")]
    made.told.clear()
    for _ in range(3):
        made.wait(600.0)
        made.next().come_to(TIMEOUT)
    made.wait(600.0)
    made.next().answer(403)
    made.wait(600.0)
    made.next().grant()
    assert states(made.told) == [
        ("a", State.WAITING, 408, "timeout"),
        ("a", State.WAITING, 403, ""),
        ("a", State.REGISTERED, 200, ""),
    ]
    assert "secret" not in repr(made.told)


def test_one_that_is_taken_back_is_not_told_of() -> None:
    made = Made(gateway()).registered()
    made.told.clear()
    made.take()
    made.next().come_to(TIMEOUT)
    assert made.told == []
