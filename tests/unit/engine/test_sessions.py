"""Session timers as a proxy asks for them (RFC 4028 8)."""

import pytest

from oneproxy.engine.call import Session
from oneproxy.engine.decisions import Reply
from oneproxy.engine.sessions import Asked, ask, interval, on_success
from oneproxy.sip.check import check
from oneproxy.sip.message import Request, Response, split
from world import request, response

HALF_AN_HOUR = Session(1800, 90)


def invite(*headers: str, method: str = "INVITE") -> Request:
    """The request that a caller has sent, with further header lines."""
    message = split(request(method, "sip:bob@example.com", *headers))
    assert isinstance(message, Request)
    assert check(message) is None
    return message


def answer(*headers: str) -> Response:
    """A 200 as it comes from downstream."""
    message = split(
        response(invite("Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKfar"), 200, *headers, to_tag="b")
    )
    assert isinstance(message, Response)
    return message


def asked(message: Request, session: Session = HALF_AN_HOUR) -> tuple[tuple[str, ...], list[str], int, bool]:
    """Lines added, lines dropped, the interval and whether the sender supports timers."""
    given = ask(message, session)
    assert isinstance(given, Asked)
    return given.lines, [message.lines[at] for at in given.dropped], given.expires_s, given.supported


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize(
    ("headers", "supported"),
    [
        ((), False),
        (("Supported: timer",), True),
        (("k: path, Timer",), True),
        (("Supported: 100rel", "Supported: timer"), True),
        (("Supported: timers",), False),
    ],
)
def test_a_request_without_an_interval_gets_one(
    method: str, headers: tuple[str, ...], supported: bool
) -> None:
    message = invite(*headers, method=method)
    assert asked(message) == (("Session-Expires: 1800",), [], 1800, supported)


def test_the_interval_that_is_put_in_is_not_below_min_se() -> None:
    assert asked(invite("Min-SE: 3600")) == (("Session-Expires: 3600",), [], 3600, False)


def test_the_interval_that_is_put_in_is_not_below_our_own_minimum() -> None:
    assert asked(invite(), Session(60, 30)) == (("Session-Expires: 90",), [], 90, False)


@pytest.mark.parametrize("expires_s", [90, 600, 1800])
def test_a_shorter_interval_of_the_caller_is_accepted_as_it_is(expires_s: int) -> None:
    message = invite("Supported: timer", f"Session-Expires: {expires_s};refresher=uas")
    assert asked(message) == ((), [], expires_s, True)


def test_a_longer_interval_is_reduced_and_keeps_its_refresher() -> None:
    assert asked(invite("Supported: timer", "x: 7200;refresher=uac")) == (
        ("Session-Expires: 1800;refresher=uac",),
        ["x: 7200;refresher=uac"],
        1800,
        True,
    )


def test_a_longer_interval_is_not_reduced_below_min_se() -> None:
    assert asked(invite("Supported: timer", "Session-Expires: 7200", "Min-SE: 3600")) == (
        ("Session-Expires: 3600",),
        ["Session-Expires: 7200"],
        3600,
        True,
    )


def test_an_interval_below_min_se_is_raised_to_it() -> None:
    # A proxy before us has raised Min-SE for a caller who knows no timers.
    assert asked(invite("Session-Expires: 600", "Min-SE: 1200")) == (
        ("Session-Expires: 1200",),
        ["Session-Expires: 600"],
        1200,
        False,
    )


@pytest.mark.parametrize(("least_s", "told"), [(90, 90), (300, 300), (10, 90)])
def test_an_interval_too_small_is_refused_with_422_and_our_minimum(least_s: int, told: int) -> None:
    refusal = ask(invite("Supported: timer", "Session-Expires: 60"), Session(1800, least_s))
    assert isinstance(refusal, Reply)
    assert (refusal.status, refusal.reason) == (422, "Session Interval Too Small")
    assert refusal.headers == (f"Min-SE: {told}",)


def test_an_interval_of_nothing_is_too_small() -> None:
    assert isinstance(ask(invite("Supported: timer", "Session-Expires: 0"), HALF_AN_HOUR), Reply)


def test_an_interval_too_small_is_raised_for_a_caller_who_could_not_mend_it() -> None:
    message = invite("Session-Expires: 100;refresher=uas")
    assert asked(message, Session(1800, 300)) == (
        ("Session-Expires: 300;refresher=uas", "Min-SE: 300"),
        ["Session-Expires: 100;refresher=uas"],
        300,
        False,
    )


@pytest.mark.parametrize(("given", "raised"), [(200, 300), (400, 400)])
def test_a_min_se_that_is_there_is_raised_and_never_lowered(given: int, raised: int) -> None:
    message = invite("Session-Expires: 100", f"Min-SE: {given}")
    assert asked(message, Session(1800, 300)) == (
        (f"Session-Expires: {raised}", f"Min-SE: {raised}"),
        ["Session-Expires: 100", f"Min-SE: {given}"],
        raised,
        False,
    )


def test_min_se_is_left_alone_where_the_caller_supports_timers() -> None:
    message = invite("Supported: timer", "Session-Expires: 600", "Min-SE: 120")
    assert asked(message, Session(1800, 300)) == ((), [], 600, True)


@pytest.mark.parametrize(
    "headers",
    [
        ("Session-Expires: soon",),
        ("Session-Expires: -1",),
        ("Session-Expires: 600", "Session-Expires: 900"),
        ("Session-Expires: 600", "Min-SE: x"),
    ],
)
def test_what_cannot_be_read_is_passed_on_and_nothing_is_asked_for(headers: tuple[str, ...]) -> None:
    message = invite("Supported: timer", *headers)
    assert asked(message) == ((), [], 0, True)
    assert on_success(Asked((), (), 0, True), answer()) is None
    assert interval(Asked((), (), 0, True), answer()) == 0


def test_the_caller_refreshes_where_the_callee_knows_no_timers() -> None:
    given = answer("Contact: <sip:bob@192.0.2.20>")
    expected = b"\r\n".join(
        [
            b"SIP/2.0 200 Because",
            b"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKfar",
            b"From: <sip:alice@example.com>;tag=a",
            b"To: <sip:bob@example.com>;tag=b",
            b"Call-ID: call-1",
            b"CSeq: 1 INVITE",
            b"Contact: <sip:bob@192.0.2.20>",
            b"Content-Length: 0",
            b"Session-Expires: 600;refresher=uac",
            b"Require: timer",
            b"",
            b"",
        ]
    )
    assert on_success(Asked((), (), 600, True), given) == expected
    assert interval(Asked((), (), 600, True), given) == 600


@pytest.mark.parametrize(
    ("present", "changed"),
    [("Require: 100rel", "Require: 100rel, timer"), ("Require: TIMER", "Require: TIMER")],
)
def test_timer_is_added_to_a_require_that_is_there(present: str, changed: str) -> None:
    data = on_success(Asked((), (), 600, True), answer(present))
    assert data is not None
    message = split(data)
    assert isinstance(message, Response)
    assert [message.lines[at] for at in message.positions("require")] == [changed]
    assert message.all("session-expires") == ["600;refresher=uac"]


def test_nothing_is_added_where_neither_side_knows_timers() -> None:
    assert on_success(Asked((), (), 600, False), answer()) is None
    assert interval(Asked((), (), 600, False), answer()) == 0


@pytest.mark.parametrize("supported", [True, False])
def test_what_the_callee_has_chosen_stands(supported: bool) -> None:
    given = answer("Session-Expires: 400;refresher=uas", "Require: timer")
    assert on_success(Asked((), (), 600, supported), given) is None
    assert interval(Asked((), (), 600, supported), given) == 400


@pytest.mark.parametrize(("said", "seconds"), [("1", 90), ("0", 90), ("90", 90), ("soon", 0)])
def test_no_callee_makes_a_session_shorter_than_rfc_4028_allows(said: str, seconds: int) -> None:
    assert interval(Asked((), (), 600, True), answer(f"Session-Expires: {said};refresher=uas")) == seconds
