"""Registering at a registrar: what is sent, when, and what follows from each answer."""

from itertools import pairwise
from random import Random

import pytest

from asking import NOW
from oneproxy.engine.decisions import Result
from oneproxy.sip.message import Response, split
from oneproxy.trunks.registration import Account, Register, Registration
from oneproxy.trunks.registration_states import TRANSITIONS, Action, Input, State

ACCOUNT = Account(
    "sip:me@carrier.example", "sip:198.51.100.10:5060", "sip:me@192.0.2.1:5060", "me", "secret", 600
)
CHALLENGE = 'WWW-Authenticate: Digest realm="carrier", nonce="{}", qop="auth"'


def answer(status: int, *headers: str) -> Result:
    response = split("\r\n".join([f"SIP/2.0 {status} Said", *headers, "", ""]).encode("latin-1"))
    assert isinstance(response, Response)
    return Result(status, None, response, 0.1)


TIMEOUT = Result(408, "timeout", None, 32.0)
OK = answer(200, "Expires: 600")


def registration(account: Account = ACCOUNT, seed: int = 1) -> Registration:
    return Registration(account, "call-1@here", Random(seed))


def begun(account: Account = ACCOUNT) -> tuple[Registration, Register]:
    """One whose first request is under way."""
    one = registration(account)
    one.start(NOW)
    request = one.expire(NOW)
    assert request is not None
    return one, request


def registered(now: float = NOW) -> Registration:
    one, _ = begun()
    assert one.answered(now, OK) is None
    return one


def header(request: Register | None, name: str) -> str:
    assert request is not None
    return next((line.partition(": ")[2] for line in request.headers if line.startswith(name)), "")


def test_the_first_request_is_what_rfc_3261_has() -> None:
    one, request = begun()
    assert request.from_.startswith("<sip:me@carrier.example>;tag=")
    assert request == Register(
        "sip:carrier.example",
        "sip:198.51.100.10:5060",
        request.from_,
        "<sip:me@carrier.example>",
        "call-1@here",
        int(NOW) - 1_600_000_000,
        ("Contact: <sip:me@192.0.2.1:5060>", "Expires: 600"),
    )
    assert (one.state, one.deadline(), one.is_registered(NOW)) == (State.REGISTERING, None, False)


def test_those_that_start_together_come_one_after_the_other() -> None:
    deadlines = []
    for seed in range(100):
        one = registration(seed=seed)
        one.start(NOW, spread_s=30.0)
        at = one.deadline()
        assert at is not None
        assert NOW <= at <= NOW + 30.0
        assert one.expire(at - 0.001) is None
        deadlines.append(at)
    assert max(after - before for before, after in pairwise(sorted(deadlines))) < 3.0


def test_it_is_refreshed_before_its_time_is_over() -> None:
    one = registered()
    assert one.standing()[:4] == (State.REGISTERED, 200, "Said", "")
    assert (one.is_registered(NOW + 599.9), one.is_registered(NOW + 600.0)) == (True, False)
    at = one.deadline()
    assert at is not None
    assert NOW + 360 <= at <= NOW + 480
    refresh = one.expire(at)
    assert refresh is not None
    assert (one.state, refresh.call_id) == (State.REFRESHING, "call-1@here")
    assert refresh.cseq > int(NOW) - 1_600_000_000
    assert one.is_registered(at)
    one.answered(at, OK)
    assert one.standing().expires_at == at + 600.0


def test_what_is_granted_counts_and_not_what_was_asked_for() -> None:
    one, _ = begun()
    one.answered(NOW, answer(200, "Contact: <sip:me@192.0.2.1:5060>;expires=60"))
    at = one.deadline()
    assert at is not None
    assert NOW + 36 <= at <= NOW + 48
    assert not one.is_registered(NOW + 60)


def test_a_time_of_a_second_is_no_reason_to_hurry() -> None:
    one, _ = begun()
    one.answered(NOW, answer(200, "Expires: 1"))
    assert one.deadline() == NOW + 5.0


def test_a_200_that_binds_others_binds_nothing() -> None:
    one, _ = begun()
    one.answered(NOW, answer(200, "Contact: <sip:a@h>, <sip:b@h>"))
    assert (one.state, one.standing().error, one.is_registered(NOW)) == (State.WAITING, "not-bound", False)


def test_a_challenge_is_answered_at_once_and_the_refresh_without_being_asked() -> None:
    one, first = begun()
    second = one.answered(NOW, answer(401, CHALLENGE.format("n1")))
    assert second is not None
    assert (second.call_id, second.cseq, second.from_) == (first.call_id, first.cseq + 1, first.from_)
    assert 'nonce="n1"' in header(second, "Authorization")
    assert one.answered(NOW, OK) is None
    at = one.deadline()
    assert at is not None
    assert "nc=00000002" in header(one.expire(at), "Authorization")


def test_a_wrong_password_is_tried_again_after_a_minute_at_the_earliest_half() -> None:
    one, _ = begun()
    one.answered(NOW, answer(401, CHALLENGE.format("n1")))
    assert one.answered(NOW, answer(401, CHALLENGE.format("n2"))) is None
    standing = one.standing()
    assert (standing.state, standing.error, standing.failures) == (State.WAITING, "wrong-password", 1)
    assert NOW + 30 <= standing.next_at <= NOW + 60


def test_nobody_grants_more_than_was_asked_for() -> None:
    """A registrar that says a hundred years would never hear of us again, though it starts anew."""
    one, _ = begun()
    one.answered(NOW, answer(200, "Expires: 4294967295"))
    assert one.expires_at == NOW + 600
    deadline = one.deadline()
    assert deadline is not None
    assert NOW + 300 < deadline < NOW + 600


def test_a_longer_time_is_asked_for_where_that_is_wanted() -> None:
    one, _ = begun()
    assert header(one.answered(NOW, answer(423, "Min-Expires: 1800")), "Expires") == "1800"
    one.answered(NOW, answer(200))
    assert one.standing().expires_at == NOW + 1800


@pytest.mark.parametrize(
    "headers", [(), ("Min-Expires: 600",), ("Min-Expires: 60",), ("Min-Expires: 9999999",)]
)
def test_a_423_that_wants_nothing_longer_is_a_failure(headers: tuple[str, ...]) -> None:
    one, _ = begun()
    assert one.answered(NOW, answer(423, *headers)) is None
    assert (one.state, one.standing().error) == (State.WAITING, "brief")


def test_another_place_is_asked_for_this_time() -> None:
    one, _ = begun()
    moved = one.answered(NOW, answer(302, "Contact: <sip:198.51.100.11>"))
    assert moved is not None
    assert (moved.uri, moved.towards) == ("sip:198.51.100.11", "sip:198.51.100.11")
    one.answered(NOW, OK)
    at = one.deadline()
    assert at is not None
    again = one.expire(at)
    assert again is not None
    assert again.towards == ACCOUNT.gateway


def test_after_a_301_it_is_the_place_to_be_until_it_fails() -> None:
    one, _ = begun()
    one.answered(NOW, answer(301, "Contact: <sip:198.51.100.11>"))
    one.answered(NOW, OK)
    places = []
    for came in (OK, TIMEOUT, OK):
        at = one.deadline()
        assert at is not None
        request = one.expire(at)
        assert request is not None
        places.append(request.towards)
        one.answered(at, came)
    assert places == ["sip:198.51.100.11", "sip:198.51.100.11", ACCOUNT.gateway]


def test_no_place_is_asked_twice_and_not_many_are_asked() -> None:
    one, _ = begun()
    assert one.answered(NOW, answer(302, f"Contact: <{ACCOUNT.gateway}>")) is None
    assert (one.state, one.standing().error) == (State.WAITING, "moved")
    one, _ = begun()
    asked = 0
    while one.answered(NOW, answer(302, f"Contact: <sip:198.51.100.{asked}>")) is not None:
        asked += 1
    assert asked == 5


def test_where_everything_is_secure_it_stays_so() -> None:
    one, _ = begun(ACCOUNT._replace(gateway="sips:gw.carrier.example"))
    assert one.answered(NOW, answer(302, "Contact: <sip:198.51.100.11>")) is None
    assert one.standing().error == "moved"


def test_what_goes_round_in_circles_is_given_up_for_now() -> None:
    one, _ = begun()
    steps = 0
    while one.answered(NOW, answer(401, CHALLENGE.format(f"n{steps}") + ", stale=true")) is not None:
        steps += 1
    assert (steps, one.state, one.standing().error) == (8, State.WAITING, "steps")


@pytest.mark.parametrize("came", [TIMEOUT, answer(503), answer(500), Result(503, "transport", None, 0.0)])
def test_failures_are_tried_again_twice_as_late_each_time_and_never_given_up(came: Result) -> None:
    one, _ = begun()
    now, waits = NOW, []
    for _ in range(50):
        one.answered(now, came)
        at = one.deadline()
        assert at is not None
        waits.append(at - now)
        now = at
        assert one.expire(now) is not None
    for number, wait_s in enumerate(waits):
        longest = min(5.0 * 2.0**number, 600.0)
        assert longest / 2 - 0.001 <= wait_s <= longest + 0.001
    one.answered(now, OK)
    assert (one.state, one.standing().failures) == (State.REGISTERED, 0)


@pytest.mark.parametrize(("status", "least"), [(403, 30.0), (404, 30.0), (603, 30.0), (480, 2.5)])
def test_who_is_refused_waits_longer(status: int, least: float) -> None:
    one, _ = begun()
    one.answered(NOW, answer(status))
    assert least <= one.standing().next_at - NOW <= 2 * least


@pytest.mark.parametrize(("written", "wait_s"), [("120", 120.0), ("5000", 600.0)])
def test_who_is_asked_to_wait_does(written: str, wait_s: float) -> None:
    one, _ = begun()
    one.answered(NOW, answer(503, f"Retry-After: {written}"))
    assert one.deadline() == pytest.approx(NOW + wait_s)


def test_a_refresh_that_fails_takes_nothing_away_before_its_time() -> None:
    one = registered()
    at = one.deadline()
    assert at is not None
    one.expire(at)
    one.answered(at, TIMEOUT)
    assert one.state is State.WAITING
    assert one.is_registered(NOW + 599)
    again = one.deadline()
    assert again is not None
    assert again < NOW + 599


def test_what_is_bound_is_taken_back_at_the_end() -> None:
    one = registered()
    request = one.stop(NOW + 1)
    assert header(request, "Expires") == "0"
    assert (one.state, one.deadline()) == (State.WITHDRAWING, None)
    again = one.answered(NOW + 1, answer(401, CHALLENGE.format("n1")))
    assert header(again, "Expires") == "0"
    assert one.answered(NOW + 1, answer(200)) is None
    assert (one.state, one.is_registered(NOW + 2), one.deadline()) == (State.STOPPED, False, None)


def test_where_nothing_is_bound_nothing_is_taken_back() -> None:
    one = registration()
    assert one.stop(NOW) is None
    one.start(NOW)
    assert (one.stop(NOW), one.state, one.deadline()) == (None, State.STOPPED, None)
    one, _ = begun()
    assert one.stop(NOW) is None
    assert (one.answered(NOW, TIMEOUT), one.state) == (None, State.STOPPED)


def test_what_comes_to_be_bound_after_the_end_is_taken_back() -> None:
    one, _ = begun()
    assert one.stop(NOW) is None
    assert one.state is State.ENDING
    assert header(one.answered(NOW, OK), "Expires") == "0"


def test_who_starts_again_before_the_end_was_reached_goes_on() -> None:
    one, _ = begun()
    one.stop(NOW)
    one.start(NOW)
    assert one.answered(NOW, OK) is None
    assert one.is_registered(NOW)
    one.stop(NOW)
    one.start(NOW)
    assert one.state is State.RETURNING
    assert header(one.answered(NOW, answer(401, CHALLENGE.format("n1"))), "Expires") == "0"
    one.answered(NOW, answer(200))
    assert (one.state, one.is_registered(NOW), one.deadline()) == (State.WAITING, False, NOW)
    assert header(one.expire(NOW), "Expires") == "600"


def test_a_registrar_that_is_gone_does_not_hold_up_the_end() -> None:
    one = registered()
    one.stop(NOW)
    assert one.answered(NOW + 32, TIMEOUT) is None
    assert one.state is State.STOPPED


def test_a_changed_password_is_tried_at_once() -> None:
    one, _ = begun()
    one.answered(NOW, answer(401, CHALLENGE.format("n1")))
    one.answered(NOW, answer(401, CHALLENGE.format("n2")))
    assert one.take(NOW + 1, ACCOUNT)
    assert one.deadline() != NOW + 1
    assert one.take(NOW + 1, ACCOUNT._replace(password="other", expires_s=900))
    assert one.deadline() == NOW + 1
    request = one.expire(NOW + 1)
    assert request is not None
    assert (request.call_id, header(request, "Expires")) == ("call-1@here", "900")


OTHER = "sip:other@192.0.2.9"


@pytest.mark.parametrize(
    "other",
    [ACCOUNT._replace(aor=OTHER), ACCOUNT._replace(gateway=OTHER), ACCOUNT._replace(contact=OTHER)],
)
def test_another_place_or_name_is_another_registration(other: Account) -> None:
    one = registered()
    assert not one.take(NOW, other)
    assert one.state is State.REGISTERED


def test_cseq_goes_on_after_a_restart() -> None:
    one = registered()
    at = one.deadline()
    assert at is not None
    refresh = one.expire(at)
    later = registration(seed=2)
    later.start(at + 2)
    request = later.expire(at + 2)
    assert refresh is not None
    assert request is not None
    assert request.cseq > refresh.cseq


def test_every_state_but_the_last_has_a_way_on() -> None:
    """Whatever is under way is answered; whatever waits comes to its time; everything may be stopped."""
    under_way = {State.REGISTERING, State.REFRESHING, State.ENDING, State.WITHDRAWING, State.RETURNING}
    for state in under_way:
        for came in (Input.OK, Input.AGAIN, Input.FAILED):
            assert (state, came) in TRANSITIONS
    assert {state for state, came in TRANSITIONS if came is Input.DUE} == {State.WAITING, State.REGISTERED}
    stopped = {state for state, came in TRANSITIONS if came is Input.STOP}
    assert stopped == set(State) - {State.STOPPED, State.ENDING, State.WITHDRAWING}
    started = {state for state, came in TRANSITIONS if came is Input.START}
    assert started == {State.STOPPED, State.ENDING, State.WITHDRAWING}
    assert {action for _, action in TRANSITIONS.values()} == set(Action)
