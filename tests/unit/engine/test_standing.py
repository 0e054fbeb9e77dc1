"""Calls that are followed again by a process that did not see them begin."""

import pytest
from msgspec import msgpack

from oneproxy.engine.call import Call, CallEvent, Session
from oneproxy.engine.flow import Flow, Listener
from oneproxy.engine.following import Followed, Following
from oneproxy.engine.origin import OwnRequest
from oneproxy.engine.standing import Standing
from oneproxy.engine.tables import Tables
from oneproxy.sip.check import check
from oneproxy.sip.message import Request, Response, split
from world import request, response

START = 1000.0
ENDED = CallEvent.ENDED


class Changes:
    """Notes what has changed of calls that stand."""

    def __init__(self, office: "Office") -> None:
        self.office = office

    def answered(self, now: float, call: Call) -> None:
        """It begins to stand."""

    def changed(self, now: float, call: Call) -> None:
        """It stands otherwise."""
        self.office.changed.append((now, call))

    def ended(self, now: float, call: Call) -> None:
        """It stands no more."""


class Office:
    """A table of followed calls, and the one who watches them."""

    def __init__(self, now: float = START, capacity: int = 10) -> None:
        self.tables = Tables(now)
        self.following = Following(self.tables, capacity, lambda _: False, self.send)
        self.following.keeper = Changes(self)
        self.events: list[tuple[float, Call, CallEvent]] = []
        self.changed: list[tuple[float, Call]] = []
        self.sent: list[OwnRequest] = []

    def send(self, _now: float, own: OwnRequest) -> None:
        """A request of our own leaves."""
        self.sent.append(own)

    def note(self, now: float, call: Call, event: CallEvent) -> None:
        """The watch."""
        self.events.append((now, call, event))

    def begin(self, session: Session | None = None, now: float = START, call_id: str = "call-1") -> Followed:
        """A call that starts."""
        made = invite(call_id)
        followed = self.following.begin(now, made, self, session)
        assert followed is not None
        return followed

    def answered(
        self, session: Session | None = None, now: float = START, call_id: str = "call-1"
    ) -> Followed:
        """A call that was answered a second later."""
        followed = self.begin(session, now, call_id)
        followed.responded(now + 1, ok(call_id))
        return followed

    def standing(self, followed: Followed) -> Standing:
        """What the call is followed again from, as it comes out of a file."""
        standing = self.following.standing(followed.call)
        assert standing is not None
        return msgpack.decode(msgpack.encode(standing), type=Standing)

    def adopt(self, standing: Standing, now: float = START + 10) -> Call:
        """Follow it again."""
        call = self.following.adopt(now, standing, self)
        assert call is not None
        return call

    def pass_through(self, now: float, sent: Request, status: int, *headers: str) -> None:
        """A request of the dialog and its answer."""
        followed = self.following.of(sent)
        assert followed is not None
        followed.requested(now, sent)
        given = split(response(sent, status, *headers))
        assert isinstance(given, Response)
        followed.answered(now, sent.method, sent.cseq, followed.is_from_caller(sent), given, status)


def read(data: bytes) -> Request:
    """A request as the engine hands it over."""
    message = split(data)
    assert isinstance(message, Request)
    assert check(message) is None
    return message


def invite(call_id: str = "call-1") -> Request:
    """The INVITE as it came from upstream."""
    lines = ("Supported: timer", "Contact: <sip:alice@192.0.2.10>")
    return read(request("INVITE", "sip:bob@example.com", *lines, call_id=call_id))


def ok(call_id: str = "call-1") -> Response:
    """Its 200."""
    message = split(response(invite(call_id), 200, "Contact: <sip:bob@192.0.2.20>", to_tag="b"))
    assert isinstance(message, Response)
    return message


def within(method: str, cseq: int, *headers: str, call_id: str = "call-1") -> Request:
    """A request of the dialog, of the caller."""
    return read(request(method, "sip:b", *headers, call_id=call_id, cseq=cseq, to_tag="b"))


def test_an_adopted_call_is_told_of_at_its_end_alone() -> None:
    first, second = Office(), Office(START + 10)
    call = second.adopt(first.standing(first.answered()))
    assert (len(second.following), second.events) == (1, [])
    assert (call.started_at, call.answered_at, call.status, call.callee_tag) == (START, START + 1, 200, "b")
    second.pass_through(START + 60, within("BYE", 2), 200)
    assert second.events == [(START + 60, call, ENDED)]
    assert (call.ended_by, call.ended_at, len(second.following)) == ("caller", START + 60, 0)


def test_a_call_is_not_standing_before_its_answer_nor_after_its_end() -> None:
    office = Office()
    followed = office.begin()
    assert office.following.standing(followed.call) is None
    followed.responded(START + 1, ok())
    assert office.following.standing(followed.call) is not None
    office.following.end(START + 2, followed, "")
    assert office.following.standing(followed.call) is None


def test_a_call_whose_session_expired_meanwhile_ends_by_the_wheel_and_not_at_once() -> None:
    first, second = Office(), Office(START + 7000)
    standing = first.standing(first.answered(Session(600)))
    assert standing.expires_at == START + 601
    call = second.adopt(standing, START + 7000)
    assert second.events == []
    second.tables.wheel.expire(START + 7000.1)
    assert second.events == [(START + 7000.1, call, ENDED)]
    assert (call.ended_by, len(second.following)) == ("timer", 0)


def test_a_refresh_moves_the_expiry_of_an_adopted_call() -> None:
    first, second = Office(), Office(START + 10)
    call = second.adopt(first.standing(first.answered(Session(600))))
    second.pass_through(START + 500, within("UPDATE", 2, "Supported: timer"), 200)
    second.tables.wheel.expire(START + 1099)
    assert second.events == []
    second.tables.wheel.expire(START + 1101)
    assert second.events == [(START + 1101, call, ENDED)]


def test_one_more_than_there_is_room_for_is_not_adopted() -> None:
    first, second = Office(), Office(START + 10, capacity=1)
    one, two = (first.standing(first.answered(call_id=name)) for name in ("one", "two"))
    second.adopt(one)
    assert second.following.adopt(START + 10, two, second) is None
    assert (len(second.following), second.tables.counters.dropped["calls-full"]) == (1, 1)


def test_one_call_is_not_adopted_for_ever() -> None:
    first, second = Office(), Office(START + 10, capacity=20)
    standing = first.standing(first.answered())
    adopted = [second.following.adopt(START + 10, standing, second) for _ in range(9)]
    assert [call is None for call in adopted] == [False] * 8 + [True]
    assert (len(second.following), second.tables.counters.dropped["call-repeated"]) == (8, 1)


@pytest.mark.parametrize("apart_s", [0.0, 0.25])
def test_passes_of_one_call_are_in_the_order_of_their_invites(apart_s: float) -> None:
    first, second = Office(), Office(START + 10)
    passes = [first.begin(None, START + apart_s * number) for number in range(3)]
    kept = []
    for followed in reversed(passes):
        followed.responded(START + 1, ok())
        kept.append(first.standing(followed))
    calls = [second.adopt(standing) for standing in kept]
    second.pass_through(START + 60, within("BYE", 2), 200)
    assert [call for _, call, _ in second.events] == list(reversed(calls))
    assert len(second.following) == 0


def test_a_call_ended_from_the_side_while_it_rang_is_hung_up_by_who_adopts_it() -> None:
    first, second = Office(), Office(START + 10)
    followed = first.begin()
    assert not first.following.end(START, followed, "SIP;cause=480")
    followed.responded(START + 1, ok())
    call = second.adopt(first.standing(followed))
    second.tables.wheel.expire(START + 10.1)
    assert [own.method for own in second.sent] == ["BYE", "BYE"]
    assert (call.ended_by, call.reason) == ("proxy", "SIP;cause=480")


def test_who_keeps_calls_is_told_of_refreshes_and_of_other_flows() -> None:
    office = Office()
    call = office.answered(Session(600)).call
    assert office.changed == []
    office.pass_through(START + 5, within("INFO", 2), 200)
    office.pass_through(START + 6, within("UPDATE", 3, "Supported: timer"), 503)
    assert office.changed == []
    office.pass_through(START + 7, within("INVITE", 4, "Contact: <sip:alice@192.0.2.11>"), 200)
    assert office.changed == [(START + 7, call)]
    followed = office.following.of_call(call)
    assert followed is not None
    assert office.standing(followed).caller.contact == "<sip:alice@192.0.2.11>"


def test_another_flow_of_a_side_is_told_of_once() -> None:
    office = Office()
    listener = Listener("TCP", "192.0.2.1", 5060)
    flows = [Flow(listener, "192.0.2.10", port, f"tcp/192.0.2.1:5060/192.0.2.10:{port}") for port in (1, 2)]
    followed = office.following.begin(START, invite(), office, None, flows[0])
    assert followed is not None
    followed.responded(START + 1, ok())
    for cseq, flow in enumerate((flows[0], flows[1], flows[1]), 2):
        followed.requested(START + cseq, within("INFO", cseq), flow)
    assert office.changed == [(START + 3, followed.call)]
    assert office.standing(followed).caller.flow == flows[1].name


def test_a_call_id_that_is_too_long_to_be_kept_is_found_and_not_hung_up() -> None:
    first, second = Office(), Office(START + 10)
    name = "x" * 600
    call = second.adopt(first.standing(first.answered(call_id=name)))
    followed = second.following.of_call(call)
    assert followed is not None
    assert second.following.of(within("BYE", 2, call_id=name)) is followed
    assert second.following.end(START + 20, followed, "")
    assert second.sent == []


def test_what_a_side_sent_before_the_answer_ends_no_adopted_call() -> None:
    first, second = Office(), Office(START + 10)
    followed = first.begin()
    followed.requested(START, within("UPDATE", 5))
    followed.responded(START + 1, ok())
    second.adopt(first.standing(followed))
    # Sent again, since the process that had it is gone: it was for another callee, who had rung.
    second.pass_through(START + 11, within("UPDATE", 5), 481)
    assert second.events == []
    second.pass_through(START + 12, within("UPDATE", 6), 481)
    assert [event for _, _, event in second.events] == [ENDED]


def test_the_bye_to_a_side_of_an_adopted_call_leaves_over_its_flow() -> None:
    first, second = Office(), Office(START + 10)
    flow = Flow(Listener("UDP", "192.0.2.1", 5060), "192.0.2.10", 9, "udp/192.0.2.1:5060/192.0.2.10:9")
    followed = first.following.begin(START, invite(), first, None, flow)
    assert followed is not None
    followed.responded(START + 1, ok())
    again = second.following.of_call(second.adopt(first.standing(followed)))
    assert again is not None
    second.following.end(START + 20, again, "")
    assert sorted((own.uri, own.flow) for own in second.sent) == [
        ("sip:alice@192.0.2.10", flow.name),
        ("sip:bob@192.0.2.20", ""),
    ]


class Counted:
    """What counts calls by a key, and those that it has."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.cause = "full"
        self.lasts = True
        self.on = 1

    def full_until(self, _now: float) -> float:
        """There is room at any time."""
        return 0.0

    def begun(self, _now: float) -> None:
        """A call goes on."""
        self.on += 1

    def ended(self, _now: float) -> None:
        """A call is over."""
        self.on -= 1

    def refused(self, _now: float) -> None:
        """None is refused."""


def test_what_counts_a_call_counts_it_again_until_it_ends() -> None:
    first, second = Office(), Office(START + 5)
    followed = first.answered()
    followed.holds = [Counted("domain example.com"), Counted("gone")]
    found = {"domain example.com": Counted("domain example.com")}
    asked: list[tuple[str, float]] = []

    def hold_again(key: str, now: float) -> Counted | None:
        asked.append((key, now))
        return found.get(key)

    second.following.hold_again = hold_again
    call = second.adopt(first.standing(followed))
    assert asked == [("domain example.com", START + 10), ("gone", START + 10)]
    again = second.following.of_call(call)
    assert again is not None
    again.end("caller", START + 20, "")
    assert [one.on for one in found.values()] == [0]
