"""Followed calls: what is told of them, how they end, and how they are ended from the side."""

from collections.abc import Iterator
from tracemalloc import get_traced_memory, start, stop

import pytest

from oneproxy.engine.call import Call, CallEvent, Session
from oneproxy.engine.decisions import Reply
from oneproxy.engine.flow import Flow, Listener
from oneproxy.engine.following import Followed, Following
from oneproxy.engine.origin import OwnRequest
from oneproxy.engine.sessions import Asked
from oneproxy.engine.tables import Tables
from oneproxy.sip.check import check
from oneproxy.sip.message import Request, Response, split
from oneproxy.sip.uri import Uri
from world import request, response

START = 1000.0
OURS = "<sip:192.0.2.1:5060;lr;mark=5f2c90a1b3d4e687>"
OURS_TCP = "<sip:192.0.2.1:5060;transport=tcp;lr;mark=5f2c90a1b3d4e687>"
FIRST, RINGING, ANSWERED, ENDED, GIVEN_UP = CallEvent


class Office:
    """A table of followed calls, and the one who watches them."""

    def __init__(self, capacity: int = 10) -> None:
        self.tables = Tables(START)
        self.following = Following(self.tables, capacity, self.is_own_route, self.send)
        self.events: list[tuple[float, CallEvent]] = []
        self.calls: list[Call] = []
        self.sent: list[tuple[float, OwnRequest]] = []

    def is_own_route(self, uri: Uri) -> bool:
        """Whether a Record-Route is ours."""
        return uri.host == "192.0.2.1"

    def send(self, now: float, own: OwnRequest) -> None:
        """A request of our own leaves."""
        self.sent.append((now, own))

    def note(self, now: float, call: Call, event: CallEvent) -> None:
        """The watch."""
        self.events.append((now, event))
        self.calls.append(call)

    def begin(self, *headers: str, session: Session | None = None, flow: Flow | None = None) -> Followed:
        """A call that starts, of which a Contact is known."""
        followed = self.following.begin(START, invite(*headers), self, session, flow)
        assert followed is not None
        return followed

    def answered(self, *headers: str, session: Session | None = None) -> Followed:
        """A call that was answered a second later, both through us alone."""
        followed = self.begin("Contact: <sip:alice@192.0.2.10>", *headers, session=session)
        followed.responded(START + 1, reply(200, "Contact: <sip:bob@192.0.2.20>", f"Record-Route: {OURS}"))
        self.events.clear()
        return followed

    def wait(self, until: float) -> None:
        """Let time pass."""
        wheel = self.tables.wheel
        while (deadline := wheel.deadline()) is not None and deadline <= until:
            wheel.expire(deadline)
        wheel.expire(until)

    def byes(self) -> list[tuple[str, list[str], str | None, str | None, str | None]]:
        """Of each BYE: Request-URI, Routes, From, To and CSeq."""
        told = []
        for _, own in self.sent:
            message = split(own.render("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKown"))
            assert isinstance(message, Request)
            assert check(message) is None
            assert (message.method, message.call_id) == ("BYE", "call-1")
            told.append(
                (
                    message.uri,
                    message.all("route"),
                    message.get("from"),
                    message.get("to"),
                    message.get("cseq"),
                )
            )
        return told


def invite(*headers: str, from_tag: str = "a", call_id: str = "call-1") -> Request:
    """The INVITE as it came from upstream."""
    return read(request("INVITE", "sip:bob@example.com", *headers, from_tag=from_tag, call_id=call_id))


def within(
    method: str,
    cseq: int,
    *headers: str,
    callee: bool = False,
    callee_tag: str = "b",
    call_id: str = "call-1",
) -> Request:
    """A request of the dialog, of the caller or the callee."""
    tags = (callee_tag, "a") if callee else ("a", callee_tag)
    return read(
        request(
            method,
            "sip:there",
            *headers,
            branch=f"z9hG4bK{cseq}",
            call_id=call_id,
            cseq=cseq,
            from_tag=tags[0],
            to_tag=tags[1],
        )
    )


def read(data: bytes) -> Request:
    """A request as the engine hands it over."""
    message = split(data)
    assert isinstance(message, Request)
    assert check(message) is None
    return message


def reply(status: int, *headers: str, tag: str = "b") -> Response:
    """A response to the INVITE as it comes from downstream."""
    message = split(response(invite(), status, *headers, to_tag=tag))
    assert isinstance(message, Response)
    return message


def pass_through(
    office: Office, now: float, sent: Request, status: int, *headers: str, answered_at: float = 0.0
) -> Asked | Reply | None:
    """A request of the dialog and its final answer."""
    followed = office.following.of(sent)
    assert followed is not None
    asked = followed.requested(now, sent)
    given = split(response(sent, status, *headers))
    assert isinstance(given, Response)
    followed.answered(
        answered_at or now, sent.method, sent.cseq, followed.is_from_caller(sent), given, status
    )
    return asked


# Which there are.


def test_all_calls_are_told_every_pass_of_one_too() -> None:
    office = Office()
    first = office.begin()
    other = office.following.begin(START, invite(call_id="call-2"), office, None)
    assert office.following.all() == [first, other]
    again = office.begin()
    third = office.begin()
    assert office.following.all() == [first, again, third, other]
    first.failed(START + 1, 486)
    assert office.following.all() == [again, third, other]


# From the INVITE to the answer.


def test_a_call_is_told_from_its_first_response_to_its_end() -> None:
    office = Office()
    followed = office.begin()
    call = followed.call
    followed.responded(START + 0.1, reply(100))
    followed.responded(START + 1, reply(183))
    followed.responded(START + 2, reply(180))
    followed.responded(START + 3, reply(180))
    followed.responded(START + 4, reply(200))
    pass_through(office, START + 60, within("BYE", 2, "Reason: Q.850;cause=16"), 200, answered_at=START + 61)
    assert office.events == [
        (START + 1, FIRST),
        (START + 2, RINGING),
        (START + 4, ANSWERED),
        (START + 61, ENDED),
    ]
    assert office.calls == [call] * 4
    assert (call.call_id, call.caller_tag, call.callee_tag, call.status) == ("call-1", "a", "b", 200)
    assert (call.started_at, call.first_response_at, call.ringing_at) == (START, START + 1, START + 2)
    assert (call.answered_at, call.ended_at) == (START + 4, START + 60)
    assert (call.ended_by, call.reason) == ("caller", "Q.850;cause=16")
    assert len(office.following) == 0


def test_a_200_straight_away_is_a_first_response_and_an_answer() -> None:
    office = Office()
    followed = office.begin()
    followed.responded(START + 1, reply(200))
    assert office.events == [(START + 1, FIRST), (START + 1, ANSWERED)]
    assert followed.call.ringing_at == 0.0


def test_a_180_straight_away_is_a_first_response_and_ringing() -> None:
    office = Office()
    office.begin().responded(START + 1, reply(180))
    assert office.events == [(START + 1, FIRST), (START + 1, RINGING)]


def test_repeated_answers_are_told_once() -> None:
    office = Office()
    followed = office.begin()
    for second in (1, 2, 3):
        followed.responded(START + second, reply(200))
    followed.responded(START + 4, reply(180))
    assert office.events == [(START + 1, FIRST), (START + 1, ANSWERED)]


def test_the_callee_who_answers_first_counts_whoever_rang_before() -> None:
    office = Office()
    followed = office.begin()
    followed.responded(START + 1, reply(180, tag="early"))
    followed.responded(START + 2, reply(200, tag="first"))
    followed.responded(START + 3, reply(200, tag="second"))
    assert followed.call.callee_tag == "first"
    assert followed.call.answered_at == START + 2
    assert office.following.of(within("BYE", 2, callee_tag="first")) is followed
    assert office.following.of(within("BYE", 2, callee_tag="second")) is None
    assert office.following.of(within("BYE", 2, callee_tag="early")) is None
    assert office.following.of(within("BYE", 2, callee_tag="second", callee=True)) is None


def test_before_the_answer_every_early_dialog_belongs_to_the_call() -> None:
    office = Office()
    followed = office.begin()
    for tag in ("b", "c"):
        assert office.following.of(within("PRACK", 2, callee_tag=tag)) is followed
        assert office.following.of(within("UPDATE", 2, callee_tag=tag, callee=True)) is followed
    assert office.following.of(within("PRACK", 2, call_id="call-2")) is None


@pytest.mark.parametrize("status", [302, 408, 486, 487, 503, 603])
def test_a_call_that_fails_is_given_up(status: int) -> None:
    office = Office()
    followed = office.begin()
    followed.responded(START + 1, reply(183))
    followed.failed(START + 2, status, "Q.850;cause=17")
    followed.failed(START + 3, 500, "")
    followed.responded(START + 4, reply(200))
    call = followed.call
    assert office.events == [(START + 1, FIRST), (START + 2, GIVEN_UP)]
    assert (call.status, call.ended_at, call.ended_by) == (status, START + 2, "")
    assert (call.reason, call.answered_at) == ("Q.850;cause=17", 0.0)
    assert len(office.following) == 0


def test_a_caller_who_hangs_up_gives_the_call_up() -> None:
    office = Office()
    followed = office.begin()
    followed.cancelled(
        START + 1, read(request("CANCEL", "sip:bob", "Reason: SIP;cause=200", "Reason: Q.850;cause=31"))
    )
    assert office.events == []
    followed.failed(START + 2, 487, "")
    call = followed.call
    assert office.events == [(START + 2, GIVEN_UP)]
    assert (call.status, call.ended_by) == (487, "caller")
    assert call.reason == "SIP;cause=200, Q.850;cause=31"


def test_a_cancel_without_a_reason_leaves_that_of_the_failure() -> None:
    office = Office()
    followed = office.begin()
    followed.cancelled(START + 1, read(request("CANCEL")))
    followed.failed(START + 2, 487, "SIP;cause=487")
    assert (followed.call.ended_by, followed.call.reason) == ("caller", "SIP;cause=487")


def test_a_200_that_crosses_the_cancel_answers_the_call_and_a_bye_ends_it() -> None:
    office = Office()
    followed = office.begin()
    followed.cancelled(START + 1, read(request("CANCEL", "sip:bob", "Reason: SIP;cause=1")))
    followed.responded(START + 2, reply(200))
    assert office.events == [(START + 2, FIRST), (START + 2, ANSWERED)]
    assert (followed.call.ended_by, followed.call.reason) == ("", "")
    pass_through(office, START + 3, within("BYE", 2), 200)
    assert office.events[2:] == [(START + 3, ENDED)]
    assert (followed.call.ended_by, followed.call.reason) == ("caller", "")


def test_a_bye_before_the_answer_is_the_caller_giving_up() -> None:
    office = Office()
    followed = office.begin()
    followed.responded(START + 1, reply(180))
    pass_through(office, START + 2, within("BYE", 2, "Reason: SIP;cause=9"), 200)
    assert followed.call.ended_at == 0.0
    followed.failed(START + 3, 487, "")
    assert (followed.call.ended_by, followed.call.reason) == ("caller", "SIP;cause=9")


def test_a_bye_to_one_of_several_who_rang_does_not_end_the_call_of_another() -> None:
    office = Office()
    followed = office.begin()
    bye = within("BYE", 2, callee_tag="c")
    followed.requested(START + 1, bye)
    followed.responded(START + 2, reply(200, tag="b"))
    followed.answered(START + 3, "BYE", 2, True, None, 200)
    assert office.events == [(START + 2, FIRST), (START + 2, ANSWERED)]
    assert office.following.of(within("INFO", 3)) is followed


# The end of an answered call.


@pytest.mark.parametrize("status", [200, 404, 408, 481, 500, 503])
def test_a_bye_ends_the_call_whatever_its_answer_is(status: int) -> None:
    office = Office()
    followed = office.answered()
    bye = within("BYE", 1, "Reason: SIP;cause=2", callee=True)
    followed.requested(START + 5, bye)
    assert office.events == []
    followed.answered(START + 37, "BYE", 1, False, None, status)
    assert office.events == [(START + 37, ENDED)]
    call = followed.call
    assert (call.ended_by, call.ended_at, call.reason) == ("callee", START + 5, "SIP;cause=2")
    assert (call.status, len(office.following)) == (200, 0)


@pytest.mark.parametrize("status", [401, 407])
def test_a_bye_that_is_challenged_ends_nothing_yet(status: int) -> None:
    office = Office()
    followed = office.answered()
    pass_through(office, START + 5, within("BYE", 2), status)
    assert office.events == []
    pass_through(office, START + 6, within("BYE", 3), 200)
    assert office.events == [(START + 6, ENDED)]
    assert followed.call.ended_at == START + 6


@pytest.mark.parametrize("first_answered", ["caller", "callee"])
def test_of_two_byes_that_cross_the_earlier_one_ends_the_call_once(first_answered: str) -> None:
    office = Office()
    followed = office.answered()
    followed.requested(START + 5, within("BYE", 1, "Reason: SIP;cause=3", callee=True))
    followed.requested(START + 6, within("BYE", 2))
    for is_from_caller in (first_answered == "caller", first_answered != "caller"):
        followed.answered(START + 7, "BYE", 2 if is_from_caller else 1, is_from_caller, None, 200)
    assert office.events == [(START + 7, ENDED)]
    call = followed.call
    assert (call.ended_by, call.ended_at, call.reason) == ("callee", START + 5, "SIP;cause=3")


@pytest.mark.parametrize("status", [408, 481])
@pytest.mark.parametrize(("is_callee", "gone"), [(False, "callee"), (True, "caller")])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "INFO", "OPTIONS"])
def test_a_side_that_knows_nothing_of_the_call_any_more_has_ended_it(
    status: int, is_callee: bool, gone: str, method: str
) -> None:
    office = Office()
    followed = office.answered()
    pass_through(office, START + 9, within(method, 2, callee=is_callee), status)
    assert office.events == [(START + 9, ENDED)]
    assert (followed.call.ended_by, followed.call.ended_at) == (gone, START + 9)


@pytest.mark.parametrize("method", ["PRACK", "SUBSCRIBE", "NOTIFY"])
def test_a_481_about_something_else_than_the_call_leaves_it(method: str) -> None:
    office = Office()
    office.answered()
    pass_through(office, START + 9, within(method, 2), 481)
    assert office.events == []
    assert len(office.following) == 1


@pytest.mark.parametrize("status", [200, 403, 488, 491, 500, 503])
def test_no_other_answer_to_a_request_of_the_dialog_ends_the_call(status: int) -> None:
    office = Office()
    office.answered()
    pass_through(office, START + 9, within("INFO", 2), status)
    assert office.events == []


def test_a_481_from_one_who_rang_does_not_end_the_call_of_who_answered() -> None:
    office = Office()
    followed = office.begin()
    followed.requested(START + 1, within("UPDATE", 2, callee_tag="c"))
    followed.responded(START + 2, reply(200, tag="b"))
    followed.answered(START + 3, "UPDATE", 2, True, None, 481)
    assert office.events == [(START + 2, FIRST), (START + 2, ANSWERED)]


def test_what_comes_after_the_end_is_not_heard_of() -> None:
    office = Office()
    followed = office.answered(session=Session())
    pass_through(office, START + 5, within("BYE", 2), 200)
    followed.requested(START + 6, within("BYE", 1, callee=True))
    followed.answered(START + 6, "BYE", 1, False, None, 200)
    followed.answered(START + 6, "INFO", 9, False, None, 481)
    followed.cancelled(START + 6, read(request("CANCEL")))
    followed.failed(START + 6, 487, "")
    followed.responded(START + 6, reply(200))
    assert office.following.end(START + 6, followed, "") is True
    office.wait(START + 4000)
    assert office.events == [(START + 5, ENDED)]
    assert office.sent == []
    assert office.following.of_call(followed.call) is None


# Ending from the side.


def test_an_answered_call_is_ended_by_a_bye_to_each_side_in_the_name_of_the_other() -> None:
    office = Office()
    followed = office.answered()
    followed.requested(START + 2, within("INFO", 7))
    followed.requested(START + 3, within("INFO", 41, callee=True))
    assert office.following.end(START + 5, followed, 'SIP;cause=480;text="closed"') is True
    assert office.byes() == [
        (
            "sip:bob@192.0.2.20",
            [],
            "<sip:alice@example.com>;tag=a",
            "<sip:bob@example.com>;tag=b",
            "8 BYE",
        ),
        (
            "sip:alice@192.0.2.10",
            [],
            "<sip:bob@example.com>;tag=b",
            "<sip:alice@example.com>;tag=a",
            "42 BYE",
        ),
    ]
    assert [(now, own.headers) for now, own in office.sent] == [
        (START + 5, ('Reason: SIP;cause=480;text="closed"',)),
        (START + 5, ('Reason: SIP;cause=480;text="closed"',)),
    ]
    call = followed.call
    assert office.events == [(START + 5, ENDED)]
    assert (call.ended_by, call.ended_at, call.reason) == ("proxy", START + 5, 'SIP;cause=480;text="closed"')
    assert len(office.following) == 0


def test_a_bye_without_a_reason_has_no_such_header() -> None:
    office = Office()
    office.following.end(START + 5, office.answered(), "")
    assert [own.headers for _, own in office.sent] == [(), ()]


def test_the_byes_follow_the_routes_beyond_us_in_their_order() -> None:
    office = Office()
    followed = office.begin(
        "Record-Route: <sip:192.0.2.12;lr>, <sip:192.0.2.11;lr>", "Contact: <sip:alice@192.0.2.10>"
    )
    followed.responded(
        START + 1,
        reply(
            200,
            "Record-Route: <sip:192.0.2.22;lr>",
            f"Record-Route: <sip:192.0.2.21;lr>, {OURS_TCP}, {OURS}",
            "Record-Route: <sip:192.0.2.12;lr>, <sip:192.0.2.11;lr>",
            'Contact: "Bob, at his desk" <sip:bob@192.0.2.20;transport=tcp>;expires=60',
        ),
    )
    office.following.end(START + 5, followed, "")
    assert [(uri, routes) for uri, routes, *_ in office.byes()] == [
        ("sip:bob@192.0.2.20;transport=tcp", ["<sip:192.0.2.21;lr>, <sip:192.0.2.22;lr>"]),
        ("sip:alice@192.0.2.10", ["<sip:192.0.2.12;lr>, <sip:192.0.2.11;lr>"]),
    ]
    assert [own.towards for _, own in office.sent] == ["sip:192.0.2.21;lr", "sip:192.0.2.12;lr"]


def test_a_strict_router_beyond_us_gets_the_bye_as_it_needs_it() -> None:
    office = Office()
    followed = office.begin("Contact: <sip:alice@192.0.2.10>")
    followed.responded(
        START + 1,
        reply(200, f"Record-Route: <sip:192.0.2.21>, {OURS}", "Contact: <sip:bob@192.0.2.20>"),
    )
    office.following.end(START + 5, followed, "")
    assert office.byes()[0][:2] == ("sip:192.0.2.21", ["<sip:bob@192.0.2.20>"])
    assert office.sent[0][1].towards == "sip:192.0.2.21"


def test_a_side_behind_nat_is_sent_its_bye_over_its_flow() -> None:
    office = Office()
    listener = Listener("TCP", "192.0.2.1", 5060)
    caller, callee = (Flow(listener, "198.51.100.7", 40000, f"tcp/0badcafe.{number}") for number in (1, 2))
    followed = office.begin("Contact: <sip:alice@10.0.0.1>", flow=caller)
    followed.responded(START + 1, reply(200, "Contact: <sip:bob@10.0.0.2>", f"Record-Route: {OURS}"), callee)
    again = Flow(listener, "198.51.100.7", 40001, "tcp/0badcafe.3")
    followed.requested(START + 2, within("INFO", 2), again)
    office.following.end(START + 5, followed, "")
    assert [own.flow for _, own in office.sent] == ["tcp/0badcafe.2", "tcp/0badcafe.3"]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_new_target_is_where_the_bye_goes(method: str) -> None:
    office = Office()
    followed = office.answered()
    moved = within(method, 1, "Contact: <sip:bob@192.0.2.99>", callee=True)
    pass_through(office, START + 2, moved, 200, "Contact: <sip:alice@192.0.2.98>")
    office.following.end(START + 5, followed, "")
    assert [uri for uri, *_ in office.byes()] == ["sip:bob@192.0.2.99", "sip:alice@192.0.2.98"]


@pytest.mark.parametrize("status", [401, 488, 491])
def test_a_target_that_was_refused_is_not_taken(status: int) -> None:
    office = Office()
    followed = office.answered()
    pass_through(office, START + 2, within("INVITE", 2, "Contact: <sip:alice@192.0.2.99>"), status)
    office.following.end(START + 5, followed, "")
    assert [uri for uri, *_ in office.byes()] == ["sip:bob@192.0.2.20", "sip:alice@192.0.2.10"]


def test_a_side_without_a_contact_gets_no_bye_but_the_other_does() -> None:
    office = Office()
    followed = office.begin()
    followed.responded(START + 1, reply(200, "Contact: <sip:bob@192.0.2.20>", f"Record-Route: {OURS}"))
    assert office.following.end(START + 5, followed, "") is True
    assert [uri for uri, *_ in office.byes()] == ["sip:bob@192.0.2.20"]


def test_the_highest_cseq_there_is_is_not_exceeded() -> None:
    office = Office()
    followed = office.answered()
    followed.requested(START + 2, within("INFO", 2**31 - 1))
    office.following.end(START + 5, followed, "")
    assert office.byes()[0][4] == "2147483647 BYE"


def test_a_call_that_rings_is_given_up_when_it_is_ended_from_the_side() -> None:
    office = Office()
    followed = office.begin("Contact: <sip:alice@192.0.2.10>")
    followed.responded(START + 1, reply(180))
    assert office.following.end(START + 2, followed, "SIP;cause=480") is False
    followed.failed(START + 3, 487, "SIP;cause=1")
    call = followed.call
    assert office.events == [(START + 1, FIRST), (START + 1, RINGING), (START + 3, GIVEN_UP)]
    assert (call.ended_by, call.reason, call.status) == ("proxy", "SIP;cause=480", 487)
    assert office.sent == []


def test_a_200_that_crosses_the_end_from_the_side_is_followed_by_the_byes() -> None:
    office = Office()
    followed = office.begin("Contact: <sip:alice@192.0.2.10>", session=Session())
    office.following.end(START + 1, followed, "SIP;cause=480")
    followed.responded(START + 2, reply(200, "Contact: <sip:bob@192.0.2.20>", f"Record-Route: {OURS}"))
    pass_through(office, START + 2.2, within("UPDATE", 2, "Supported: timer"), 200)
    office.wait(START + 2.4)
    assert office.events == [(START + 2, FIRST), (START + 2, ANSWERED)]
    assert office.sent == []
    office.wait(START + 2.5)
    assert office.events[2:] == [(START + 2.5, ENDED)]
    assert [uri for uri, *_ in office.byes()] == ["sip:bob@192.0.2.20", "sip:alice@192.0.2.10"]
    assert (followed.call.ended_by, followed.call.reason) == ("proxy", "SIP;cause=480")


def test_a_call_may_be_ended_from_within_the_news_of_it() -> None:
    office = Office()

    class Impatient:
        """Ends the call when it is told of this event."""

        def __init__(self, event: CallEvent) -> None:
            self.event = event

        def note(self, now: float, call: Call, event: CallEvent) -> None:
            """The watch."""
            office.note(now, call, event)
            if event is self.event:
                followed = office.following.of_call(call)
                assert followed is not None
                office.following.end(now, followed, "")

    for event in (FIRST, ANSWERED):
        office.events.clear()
        followed = office.following.begin(START, invite(), Impatient(event), None)
        assert followed is not None
        followed.responded(START + 1, reply(200, "Contact: <sip:bob@192.0.2.20>"))
        office.wait(START + 2)
        assert [one for _, one in office.events] == [FIRST, ANSWERED, ENDED]
    assert len(office.following) == 0


# Session timers.


def test_a_call_whose_bye_was_lost_ends_when_its_session_expires() -> None:
    office = Office()
    followed = office.answered("Supported: timer", session=Session(600))
    office.wait(START + 600.9)
    assert office.events == []
    office.wait(START + 601)
    assert office.events == [(START + 601, ENDED)]
    assert (followed.call.ended_by, followed.call.ended_at) == ("timer", START + 601)
    assert len(office.following) == 0


def test_no_bye_is_sent_when_a_session_expires_unless_policy_wants_it() -> None:
    office = Office()
    office.answered("Supported: timer", session=Session(600))
    office.wait(START + 601)
    assert office.sent == []
    office.answered("Supported: timer", session=Session(600, bye=True))
    office.wait(START + 1300)
    assert [uri for uri, *_ in office.byes()] == ["sip:bob@192.0.2.20", "sip:alice@192.0.2.10"]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("is_callee", [False, True])
def test_a_refresh_by_either_side_keeps_the_call(method: str, is_callee: bool) -> None:
    office = Office()
    office.answered("Supported: timer", session=Session(600))
    sent = within(method, 2, "Supported: timer", "Session-Expires: 600;refresher=uac", callee=is_callee)
    pass_through(office, START + 300, sent, 200, "Session-Expires: 500;refresher=uac")
    office.wait(START + 799)
    assert office.events == []
    office.wait(START + 800)
    assert office.events == [(START + 800, ENDED)]


def test_a_refresh_that_is_refused_keeps_nothing() -> None:
    office = Office()
    office.answered("Supported: timer", session=Session(600))
    pass_through(office, START + 300, within("UPDATE", 2, "Supported: timer"), 500)
    office.wait(START + 601)
    assert office.events == [(START + 601, ENDED)]


def test_a_refresh_without_an_interval_is_asked_for_one() -> None:
    office = Office()
    office.answered("Supported: timer", session=Session(600))
    asked = pass_through(office, START + 300, within("UPDATE", 2, "Supported: timer"), 200)
    assert isinstance(asked, Asked)
    assert asked.lines == ("Session-Expires: 600",)
    office.wait(START + 899)
    assert office.events == []
    office.wait(START + 900)
    assert office.events == [(START + 900, ENDED)]


def test_a_refresh_between_sides_that_know_no_timers_leaves_the_longest_time() -> None:
    office = Office()
    office.answered("Supported: timer", session=Session(600, longest_s=5000))
    pass_through(office, START + 300, within("INVITE", 2), 200)
    office.wait(START + 5299)
    assert office.events == []
    office.wait(START + 5300)
    assert office.events == [(START + 5300, ENDED)]
    assert len(office.following) == 0


def test_a_refresh_with_an_interval_too_small_is_refused() -> None:
    office = Office()
    followed = office.answered("Supported: timer", session=Session(600))
    sent = within("UPDATE", 2, "Supported: timer", "Session-Expires: 30", "Contact: <sip:alice@192.0.2.99>")
    refusal = followed.requested(START + 5, sent)
    assert isinstance(refusal, Reply)
    assert refusal.status == 422
    followed.answered(START + 5, "UPDATE", 2, True, None, 422)
    office.wait(START + 601)
    assert office.events == [(START + 601, ENDED)]


def test_an_invite_with_an_interval_too_small_is_refused_and_the_call_given_up() -> None:
    office = Office()
    followed = office.begin("Supported: timer", "Session-Expires: 30", session=Session(600))
    assert isinstance(followed.asked, Reply)
    followed.failed(START, 422, "")
    assert office.events == [(START, GIVEN_UP)]


def test_a_call_between_sides_that_know_no_timers_ends_after_the_longest_time() -> None:
    office = Office()
    followed = office.answered(session=Session(600, longest_s=5000))
    office.wait(START + 5000)
    assert office.events == []
    office.wait(START + 5001)
    assert office.events == [(START + 5001, ENDED)]
    assert followed.call.ended_by == "timer"


def test_half_a_day_is_the_longest_time_where_nobody_said_another() -> None:
    office = Office()
    office.answered(session=Session(600))
    office.wait(START + 43_200)
    assert len(office.following) == 1
    office.wait(START + 43_201)
    assert len(office.following) == 0


def test_a_call_may_last_for_ever_where_policy_says_so() -> None:
    office = Office()
    office.answered(session=Session(600, longest_s=0))
    assert office.tables.wheel.deadline() is None


def test_a_call_without_a_session_is_not_supervised() -> None:
    office = Office()
    followed = office.answered("Supported: timer", "Session-Expires: 600")
    assert followed.asked is None
    assert followed.requested(START + 5, within("UPDATE", 2, "Supported: timer")) is None
    assert office.tables.wheel.deadline() is None


# Bounds.


def test_a_full_table_follows_no_further_call_and_counts_it() -> None:
    office = Office(capacity=2)
    first = office.following.begin(START, invite(call_id="1"), office, None)
    assert first is not None
    assert office.following.begin(START, invite(call_id="2"), office, None) is not None
    assert office.following.begin(START, invite(call_id="3"), office, None) is None
    assert (len(office.following), office.tables.counters.dropped["calls-full"]) == (2, 1)
    first.failed(START + 1, 486, "")
    assert office.following.begin(START, invite(call_id="3"), office, None) is not None


def test_one_call_is_followed_a_few_times_only() -> None:
    office = Office(capacity=100)
    begun = [office.following.begin(START, invite(), office, None) for _ in range(20)]
    assert [one is not None for one in begun] == [True] * 8 + [False] * 12
    assert (len(office.following), office.tables.counters.dropped["call-repeated"]) == (8, 12)
    for one in begun[3:8] + begun[:3]:
        assert one is not None
        one.failed(START + 1, 486, "")
    assert len(office.following) == 0


def test_a_call_that_passes_here_twice_is_told_of_twice() -> None:
    # An application server sends the INVITE back: each pass has its own decision and watch.
    office = Office()
    outer, inner = office.begin(session=Session(600)), office.begin(session=Session(600))
    for followed in (inner, outer):
        followed.responded(START + 1, reply(200, "Session-Expires: 600;refresher=uas"))
    update = within("UPDATE", 2, "Supported: timer")
    pass_through(office, START + 300, update, 200, "Session-Expires: 600;refresher=uac")
    office.wait(START + 700)
    office.events.clear()
    pass_through(office, START + 800, within("BYE", 3), 200)
    assert office.events == [(START + 800, ENDED), (START + 800, ENDED)]
    assert office.calls[-2:] == [outer.call, inner.call]
    assert len(office.following) == 0


def test_a_call_and_what_it_is_told_of_are_told_apart_by_both_tags() -> None:
    office = Office()
    mine = office.answered()
    other = office.following.begin(START, invite(from_tag="z"), office, None)
    assert office.following.of(within("INFO", 2)) is mine
    assert other is not None
    assert office.following.of_call(other.call) is other
    assert office.following.of_call(mine.call) is mine
    assert office.following.of(read(request("INFO", from_tag="z", to_tag="q"))) is other


def test_texts_of_any_length_cost_no_more_than_is_kept() -> None:
    office = Office()
    long = "x" * 8000
    sent = read(
        request(
            "INVITE",
            "sip:bob",
            f"Record-Route: <sip:{long};lr>",
            f"Contact: <sip:{long}@192.0.2.10>",
            call_id=long,
            from_tag=long,
        )
    )
    followed = office.following.begin(START, sent, office, None)
    assert followed is not None
    followed.responded(START + 1, reply(200, f"Contact: <sip:{long}@192.0.2.20>", tag=long))
    call = followed.call
    assert max(map(len, (call.call_id, call.caller_tag, call.callee_tag))) == 256
    for side in (followed.caller, followed.callee):
        assert (side.address, side.contact) == (None, None)
    assert (followed.call_id, followed.caller.routes) == (None, None)
    bye = read(request("BYE", "sip:bob", call_id=long, from_tag=long, to_tag=long))
    assert office.following.of(bye) is followed
    assert office.following.end(START + 2, followed, "") is True
    assert office.sent == []
    assert office.events[-1] == (START + 2, ENDED)


@pytest.fixture
def _traced() -> Iterator[None]:
    """Memory is measured."""
    start()
    yield
    stop()


@pytest.mark.usefixtures("_traced")
def test_a_followed_call_costs_two_kib_at_most() -> None:
    count = 2000
    office = Office(capacity=count)
    before = get_traced_memory()[0]
    for number in range(count):
        sent = read(
            request(
                "INVITE",
                "sip:bob@example.com",
                "Supported: timer",
                "Contact: <sip:alice@192.0.2.10:5060;transport=udp>",
                call_id=f"{number:032x}@192.0.2.10",
                from_tag=f"{number:032x}",
            )
        )
        followed = office.following.begin(START, sent, office, Session())
        assert followed is not None
        followed.responded(
            START + 1,
            reply(
                200,
                "Contact: <sip:bob@192.0.2.20:5060;transport=udp>",
                f"Record-Route: {OURS}",
                tag=f"{number:032x}",
            ),
        )
        office.events.clear()
        office.calls.clear()
    taken = get_traced_memory()[0] - before
    assert len(office.following) == count
    assert taken / count < 2048
