"""What people are shown of the calls that are on, and how they end one."""

import asyncio
from collections.abc import Callable, Container
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from oneproxy import call_views
from oneproxy.call_views import LiveCalls
from oneproxy.engine.call import Call
from oneproxy.ipc.calls import AskCalls, CallFound, CallsFound, EndCall, NodeEnded
from oneproxy.records.identifier import instant_of
from oneproxy.records.record import Record, decode_record, encode_record
from oneproxy.records.recording import Recording
from oneproxy.records.step import Records
from oneproxy.sip.message import Request
from oneproxy.site.model import Cdr, Route, Site
from routed import CALLER, Routed, dial, gateway, provider, site
from world import START, Peer, request, response

ALICE = "Contact: <sip:alice@192.0.2.10>"
NUMBER = "+351912345678"
#: How much later than the engine's the time of day is.
SHIFT_S = 3.0


class Stage(Routed):
    """A node in memory whose calls people look at. records: whether it makes some."""

    def __init__(self, of: Site, records: bool = True) -> None:
        super().__init__(replace(of, cdr=Cdr(enabled=records)), calls=10)
        self.node = "edge-0"
        self.served: Container[str] = of.domains
        self.shift_s = SHIFT_S
        self.records: list[Record] = []
        self.parties: dict[str, tuple[str, str]] = {}
        next(one for one in self.policy.steps if isinstance(one, Records)).writer = self
        self.live = LiveCalls(
            self.engine.following,
            self._end,
            lambda call: self.parties.get(call.call_id, ("", "")),
            of.domains,
            lambda: self.now,
            lambda: SHIFT_S,
        )

    def over(self, recording: Recording, call: Call) -> None:
        """A record is complete."""
        self.records.append(decode_record(encode_record(recording.complete(call))))

    def listed(self, **question: Any) -> CallsFound:
        """What is answered."""
        found = asyncio.run(self.live.answer(AskCalls(**question)))
        assert isinstance(found, CallsFound)
        return found

    def only(self, **question: Any) -> CallFound:
        """The one call that there is."""
        (one,) = self.listed(**question).calls
        return one

    def ends(self, name: str, reason: str = "") -> bool:
        """Whether a call was there to be ended."""
        found = asyncio.run(self.live.answer(EndCall(name, reason)))
        assert isinstance(found, NodeEnded)
        return found.had

    def _end(self, call: Call, reason: str) -> None:
        self.engine.end(self.now, call, reason)
        self.deliver()


def stage(records: bool = True) -> Stage:
    """A provider of two gateways that numbers go to."""
    carrier = provider("carrier", gateway("g0"), gateway("g1"))
    made = Stage(site((carrier,), (Route("+351", provider="carrier"),), authenticate=("INVITE",)), records)
    made.bind("bob@example.com", "sip:bob@192.0.2.30")
    return made


def invited(on: Stage, number: int = 1) -> tuple[Peer, Peer, Request]:
    """A call by the first gateway: the caller, the gateway, and what came there."""
    caller, callee = on.peer(CALLER), on.peer("192.0.2.20")
    caller.send(dial(NUMBER, ALICE, branch=f"z9hG4bK{number}", call_id=f"call-{number}"))
    return caller, callee, callee.take_request("INVITE")


def answered(on: Stage) -> tuple[Peer, Peer]:
    """A call that has been answered after two seconds."""
    caller, callee, invite = invited(on)
    on.wait(2)
    callee.send(response(invite, 200, "Contact: <sip:gate@192.0.2.20>", to_tag="b"))
    caller.inbox.clear()
    return caller, callee


def test_a_call_is_shown_from_its_invite_to_its_end_by_the_name_of_its_record() -> None:
    on = stage()
    caller, callee, invite = invited(on)
    on.wait(1)
    one = on.only()
    assert one == CallFound(
        one.id,
        "calling",
        "alice@example.com",
        NUMBER,
        "example.com",
        f"{CALLER}:5060",
        "carrier",
        "g0",
        START + SHIFT_S,
        0.0,
        1.0,
    )
    assert instant_of(one.id) == round((START + SHIFT_S) * 1000)
    callee.send(response(invite, 180, to_tag="b"))
    assert on.only() == replace(one, state="ringing")
    on.wait(2)
    callee.send(response(invite, 200, "Contact: <sip:gate@192.0.2.20>", to_tag="b"))
    on.wait(4)
    assert on.only() == replace(one, state="answered", answered_at=START + SHIFT_S + 3, seconds=4.0)
    assert on.ends(one.id)
    assert on.listed() == CallsFound([], 0, 0)
    (record,) = on.records
    assert (record.id, record.ended_by, record.reason) == (one.id, "proxy", "SIP;cause=480")
    assert (record.provider, record.gateway, record.status, record.duration_ms) == (
        "carrier",
        "g0",
        200,
        4000,
    )
    assert caller.inbox


def test_a_call_that_was_looked_at_leaves_the_record_that_it_leaves_else() -> None:
    records = []
    for looks in (False, True):
        on = stage()
        _, first, invite = invited(on)
        look: Callable[[], object] = on.listed if looks else lambda: None
        look()
        first.send(response(invite, 503))
        look()
        second = on.peer("192.0.2.21")
        invite = second.take_request("INVITE")
        on.wait(1)
        second.send(response(invite, 180, "User-Agent: G", to_tag="b"))
        look()
        on.wait(1)
        second.send(response(invite, 200, "Contact: <sip:gate@192.0.2.21>", to_tag="b"))
        look()
        (followed,) = on.engine.following.all()
        on.engine.end(on.now, followed.call)
        records += [replace(one, id="") for one in on.records]
    assert records[0] == records[1]
    assert (len(records[0].attempts), records[0].gateway, records[0].ringing_ms > 0) == (2, "g1", True)


def test_the_gateway_is_the_one_that_has_the_call_now() -> None:
    on = stage()
    _, first, invite = invited(on)
    assert on.only().gateway == "g0"
    first.send(response(invite, 503))
    one = on.only()
    assert (one.provider, one.gateway, one.state) == ("carrier", "g1", "calling")


def test_a_call_that_is_followed_again_by_another_process_keeps_the_name_of_its_record() -> None:
    before, after = stage(), stage()
    answered(before)
    shown = before.only()
    (followed,) = before.engine.following.all()
    watch = followed.call.watch
    assert isinstance(watch, Recording)
    draft = decode_record(encode_record(watch.stand(followed.call)))
    after.wait(10)
    after.engine.following.adopt(after.now, followed.standing(), Recording(after, None, draft))
    assert after.only() == replace(shown, seconds=8.0)
    assert after.ends(shown.id)
    (record,) = after.records
    assert (record.id, record.ended_by, record.answered_ms) == (shown.id, "proxy", draft.answered_ms)


def test_a_call_without_a_record_is_shown_by_its_from_and_to_and_keeps_its_name() -> None:
    on = stage(records=False)
    caller, callee = answered(on)
    on.parties["call-1"] = ("carrier", "g0")
    on.wait(5)
    one = on.only()
    assert one == CallFound(
        one.id,
        "answered",
        "alice@example.com",
        "bob@example.com",
        "example.com",
        "",
        "carrier",
        "g0",
        START + SHIFT_S,
        START + SHIFT_S + 2,
        5.0,
    )
    assert instant_of(one.id) == round((START + SHIFT_S) * 1000)
    assert on.only().id == one.id
    assert on.ends(f" {one.id.upper()} ", "Closing time")
    for peer in (caller, callee):
        byes = [one for one in peer.take_all() if one.startswith("BYE ")]
        assert len(byes) == 1
    assert on.listed().total == 0


def test_a_call_without_a_record_that_rings_is_shown_by_whom_it_is_for() -> None:
    on = stage(records=False)
    invited(on)
    one = on.only()
    assert (one.state, one.caller, one.callee) == ("calling", "alice@example.com", NUMBER)
    assert (one.provider, one.gateway) == ("carrier", "g0")


def test_a_call_that_nobody_was_shown_is_not_ended_by_an_empty_name() -> None:
    for records in (True, False):
        on = stage(records)
        answered(on)
        assert not on.ends("")
        assert not on.ends(" ")
        assert on.listed().total == 1


def test_an_answered_call_is_ended_by_a_bye_to_each_side_with_the_reason() -> None:
    on = stage()
    caller, callee = answered(on)
    callee.inbox.clear()
    name = on.only().id
    with capture_logs() as logged:
        assert on.ends(name, 'Fecho "às" 18')
    assert [(one["event"], one["call"], one["state"], one["reason"]) for one in logged] == [
        ("call ended by hand", name, "answered", 'Fecho "às" 18')
    ]
    for peer in (caller, callee):
        bye = peer.take_request("BYE")
        value = (bye.get("reason") or "").encode("latin-1").decode()
        assert value == r'SIP;cause=480;text="Fecho \"às\" 18"'
    assert on.records[0].reason == r'SIP;cause=480;text="Fecho \"às\" 18"'


def test_a_call_that_rings_is_ended_by_a_cancel_once() -> None:
    on = stage()
    caller, callee, invite = invited(on)
    callee.send(response(invite, 180, to_tag="b"))
    caller.inbox.clear()
    name = on.only().id
    assert on.ends(name, "Closing time")
    cancel = callee.take_request("CANCEL")
    assert cancel.get("reason") == 'SIP;cause=480;text="Closing time"'
    assert on.ends(name)  # its end is on the way
    assert callee.has_nothing
    callee.send(response(invite, 487, to_tag="b"))
    caller.take_response(487)
    assert not on.ends(name)
    (record,) = on.records
    assert (record.id, record.ended_by, record.status) == (name, "proxy", 487)
    assert record.reason == 'SIP;cause=480;text="Closing time"'


def test_calls_are_found_by_number_state_provider_and_gateway() -> None:
    on = stage()
    invited(on)
    caller, bob = on.peer(CALLER), on.peer("192.0.2.30")
    caller.send(request("INVITE", "sip:bob@example.com", ALICE, branch="z9hG4bKb", call_id="call-b"))
    bob.send(response(bob.take_request("INVITE"), 200, "Contact: <sip:bob@192.0.2.30>", to_tag="b"))

    def callees(**question: Any) -> list[str]:
        found = on.listed(**question)
        assert (found.total, found.matching, found.unseen) == (2, len(found.calls), 0)
        return [one.callee for one in found.calls]

    both = [NUMBER, "bob@example.com"]
    assert callees() == callees(number="alice") == both
    assert callees(number="9123") == callees(state="calling") == callees(provider="carrier") == both[:1]
    assert callees(gateway="g0") == callees(gateway="g0", provider="carrier", number="+351") == both[:1]
    assert callees(number="bob") == callees(state="answered") == both[1:]
    assert callees(state="ringing") == callees(gateway="g1") == callees(number="zoe", state="calling") == []


def test_more_calls_than_were_asked_for_are_counted() -> None:
    on = stage()
    for number in range(1, 6):
        invited(on, number)
        on.wait(0.125)
    found = on.listed(most=2)
    assert ([one.since for one in found.calls], found.total, found.matching, found.unseen) == (
        [START + SHIFT_S, START + SHIFT_S + 0.125],
        5,
        5,
        0,
    )
    found = on.listed(most=2, number=NUMBER)
    assert (len(found.calls), found.total, found.matching) == (2, 5, 5)


def test_no_answer_has_more_than_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_views, "MOST_CALLS", 1)
    on = stage()
    for number in (1, 2):
        invited(on, number)
    found = on.listed(most=9)
    assert (len(found.calls), found.matching) == (1, 2)


def test_messages_have_their_turn_while_many_calls_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_views, "AT_ONCE", 2)
    monkeypatch.setattr(call_views, "PASSED_AT_ONCE", 2)
    on = stage()
    for number in range(1, 8):
        invited(on, number)
    names = [one.id for one in on.listed().calls]

    async def turns(question: AskCalls | EndCall) -> int:
        task = asyncio.ensure_future(on.live.answer(question))
        count = 0
        while not task.done():
            count += 1
            await asyncio.sleep(0)
        return count

    assert asyncio.run(turns(AskCalls(state="ringing"))) >= 4
    assert asyncio.run(turns(EndCall(names[-1]))) >= 4
    assert asyncio.run(turns(AskCalls(most=2))) < 4


def test_calls_that_were_not_looked_at_in_time_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_views, "AT_ONCE", 2)
    monkeypatch.setattr(call_views, "LOOK_S", 0.0)
    on = stage()
    for number in range(1, 6):
        invited(on, number)
    found = on.listed(number=NUMBER)
    assert (len(found.calls), found.total, found.matching, found.unseen) == (2, 5, 2, 3)


def test_a_call_that_ends_while_others_are_looked_at_is_neither_shown_nor_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_views, "AT_ONCE", 1)
    monkeypatch.setattr(call_views, "PASSED_AT_ONCE", 1)

    async def asked(question: Callable[[str], AskCalls | EndCall]) -> CallsFound | NodeEnded:
        on = stage()
        invited(on, 1)
        on.wait(0.25)
        _, callee, invite = invited(on, 2)
        callee.send(response(invite, 200, "Contact: <sip:gate@192.0.2.20>", to_tag="b"))
        found = await on.live.answer(AskCalls())
        assert isinstance(found, CallsFound)
        task = asyncio.ensure_future(on.live.answer(question(found.calls[1].id)))
        await asyncio.sleep(0)
        (_, second) = on.engine.following.all()
        on.engine.end(on.now, second.call)
        return await task

    found = asyncio.run(asked(lambda _: AskCalls()))
    assert isinstance(found, CallsFound)
    assert [one.state for one in found.calls] == ["calling"]
    assert asyncio.run(asked(EndCall)) == NodeEnded(False)
