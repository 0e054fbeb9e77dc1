"""Overload: what the gate refuses, in which order, and what it never does."""

import pytest

from oneproxy.engine.decisions import Forward, Target
from oneproxy.engine.shedding import Shedding
from oneproxy.sip.message import Request, split
from world import START, World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])


def overloaded(calls: float = 1.0, registers: float = 0.0, refreshes: float = 0.0) -> World:
    """A world that has heard of its caller, and has no time."""
    world = World(BOB)
    world.peer("192.0.2.10").send(request("MESSAGE"))
    world.peer("192.0.2.20").take_request("MESSAGE")
    world.engine.gate.shedding.set(START, calls, registers, refreshes)
    return world


def refused(world: World) -> dict[str, int]:
    return dict(world.engine.counters.refused)


@pytest.mark.parametrize("via", ["192.0.2.10", "192.0.2.10;rport"])
def test_a_new_call_is_refused_with_a_time_to_wait(via: str) -> None:
    world = overloaded()
    told: list[tuple[float, str]] = []
    world.engine.gate.shedding.on_refused = lambda now, code: told.append((now, code))
    world.engine.gate.retry_after_s = (7, 7)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE", branch="z9hG4bK2", via=via))
    assert caller.take_response(503).get("retry-after") == "7"
    assert (refused(world), told) == ({"overload-call": 1}, [(START, "overload-call")])
    assert world.peer("192.0.2.20").has_nothing
    assert world.engine.sizes()["servers"] == 1


def test_the_ack_of_a_refusal_is_taken_silently() -> None:
    world = overloaded()
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE", branch="z9hG4bK2"))
    tag = (caller.take_response(503).get("to") or "").partition("tag=")[2]
    world.wait(0.9)
    caller.send(request("ACK", branch="z9hG4bK2", to_tag=tag))
    assert (world.engine.counters.dropped, caller.has_nothing) == ({}, True)


def test_so_many_are_refused_as_was_said() -> None:
    world = overloaded(0.25)
    caller = world.peer("192.0.2.10")
    for at in range(2000):
        caller.send(request("INVITE", branch=f"z9hG4bKn{at}", call_id=f"c{at}"))
    assert 400 < refused(world)["overload-call"] < 600


def test_a_repetition_of_a_refused_call_is_refused_though_there_is_time_again() -> None:
    world = overloaded()
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE", branch="z9hG4bK2"))
    first = caller.take_response(503)
    world.engine.gate.shedding.set(world.now, 0.0, 0.0, 0.0)
    world.wait(0.5)
    caller.send(request("INVITE", branch="z9hG4bK2"))
    assert caller.take_response(503).get("to") == first.get("to")
    caller.send(request("INVITE", branch="z9hG4bK3", call_id="c3"))
    assert "INVITE sip:bob@192.0.2.20 SIP/2.0" in world.peer("192.0.2.20").take_all()


def test_what_was_measured_holds_for_a_quarter_of_a_second() -> None:
    world = overloaded(1.0, 1.0, 1.0)
    caller = world.peer("192.0.2.10")
    world.wait(0.25)
    caller.send(request("INVITE", branch="z9hG4bK2"))
    world.peer("192.0.2.20").take_request("INVITE")
    caller.send(request("REGISTER", branch="z9hG4bK3"))
    world.peer("192.0.2.20").take_request("REGISTER")
    assert refused(world) == {}


def test_what_goes_on_is_never_refused() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 200, to_tag="b"))
    route = f"Route: {caller.take_response(200).get('record-route')}"
    caller.send(request("INVITE", branch="z9hG4bK8", call_id="c8"))
    ringing = callee.take_request("INVITE")
    callee.send(response(ringing, 180, to_tag="b"))
    caller.take_response(180)
    world.engine.gate.shedding.set(world.now, 1.0, 1.0, 1.0)
    target = "sip:bob@192.0.2.20"
    caller.send(request("ACK", target, route, branch="z9hG4bK2", to_tag="b"))
    callee.take_request("ACK")
    for at, method in enumerate(("INVITE", "INFO", "OPTIONS", "UPDATE", "BYE")):
        caller.send(request(method, target, route, branch=f"z9hG4bKi{at}", to_tag="b", cseq=2 + at))
        callee.take_request(method)
    caller.send(request("CANCEL", branch="z9hG4bK8", call_id="c8"))
    caller.take_response(200)
    callee.take_request("CANCEL")
    # It was let in, so is its repetition.
    caller.send(request("INVITE", branch="z9hG4bK8", call_id="c8"))
    assert refused(world) == {}


def test_a_request_that_says_it_is_of_a_dialog_is_asked_about() -> None:
    world = overloaded(1.0, 1.0, 1.0)
    for at, method in enumerate(("INVITE", "MESSAGE")):
        world.peer("192.0.2.10").send(request(method, branch=f"z9hG4bKt{at}", to_tag="b"))
        world.peer("192.0.2.20").take_request(method)


@pytest.mark.parametrize("uri", ["sip:112@example.com", "tel:112", "sip:1%312@example.com"])
def test_an_emergency_call_is_never_refused(uri: str) -> None:
    world = overloaded(1.0, 1.0, 1.0)
    world.engine.gate.emergency = frozenset(("112",))
    world.peer("192.0.2.10").send(request("INVITE", uri, branch="z9hG4bK2"))
    world.peer("192.0.2.20").take_request("INVITE")


@pytest.mark.parametrize(
    ("namespaces", "is_let_in"), [(("ets", "wps"), False), (("ets", "dsn"), True), ((), False)]
)
def test_namespaces_of_priority_are_the_sites(namespaces: tuple[str, ...], is_let_in: bool) -> None:
    world = overloaded()
    world.engine.gate.priority = frozenset(namespaces)
    world.peer("192.0.2.10").send(request("INVITE", "sip:bob@example.com", "Resource-Priority: DSN.flash"))
    assert world.peer("192.0.2.20").has_nothing is not is_let_in


def test_priority_is_refused_from_who_is_not_trusted() -> None:
    world = overloaded()
    world.engine.trust.trusts = lambda _flow, _method: False
    world.peer("192.0.2.10").send(request("INVITE", "sip:bob@example.com", "Resource-Priority: ets.0"))
    world.peer("192.0.2.10").take_response(503)


def test_registrations_that_are_new_are_refused_before_those_that_are_kept_up() -> None:
    world = overloaded(1.0, 1.0, 0.0)
    world.engine.gate.shedding.knows = lambda register, _now: register.get("call-id") == "known"
    caller = world.peer("192.0.2.10")
    caller.send(request("REGISTER", branch="z9hG4bK2", call_id="new"))
    assert "retry-after" in caller.take_response(503).first
    caller.send(request("REGISTER", branch="z9hG4bK3", call_id="known"))
    world.peer("192.0.2.20").take_request("REGISTER")
    world.engine.gate.shedding.set(world.now, 1.0, 1.0, 1.0)
    caller.send(request("REGISTER", branch="z9hG4bK4", call_id="known"))
    caller.take_response(503)
    caller.send(request("MESSAGE", branch="z9hG4bK5", call_id="m"))
    caller.take_response(503)
    assert refused(world) == {"overload-register": 1, "overload-refresh": 1, "overload-request": 1}


def test_who_asks_how_it_fares_is_answered() -> None:
    world = overloaded(1.0, 1.0, 1.0)
    world.peer("192.0.2.10").send(request("OPTIONS", "sip:192.0.2.1", branch="z9hG4bK2"))
    world.peer("192.0.2.10").take_response(200)


def test_a_phone_that_was_let_in_is_let_in_with_its_password_and_draws_anew_later() -> None:
    shedding = Shedding()
    found = set()
    for start in range(0, 64 * 16, 16):
        now = float(start)
        shedding.set(now, 1.0, 0.5, 0.0)
        codes = set()
        for cseq in (1, 2):
            register = split(request("REGISTER", branch=f"z9hG4bK{cseq}", cseq=cseq))
            assert isinstance(register, Request)
            codes.add(shedding.refusal_of(now, f"{cseq}", register))
        assert len(codes) == 1
        found |= codes
    assert found == {"", "overload-register"}


def test_what_is_remembered_of_refusals_is_bounded() -> None:
    shedding = Shedding()
    shedding.set(START, 1.0, 0.0, 0.0)
    for at in range(50_000):
        assert shedding.refuses_call(START, f"{at}")
    assert shedding.refuses_call(START, "49999")
    shedding.set(START + 0.1, 0.0, 0.0, 0.0)
    assert not shedding.refuses_call(START + 0.1, "0")
