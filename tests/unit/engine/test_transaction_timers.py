"""The timers of RFC 3261 table 4 and of RFC 6026 at their exact instants, by their letters, over
transports that lose messages and over those that do not; and who hears of what."""

import pytest

from oneproxy.engine.decisions import PENDING, Forward, Reply, Target
from oneproxy.sip.message import Request
from world import START, World, request, response

TICK = 1 / 128
CALLER, CALLEE = "192.0.2.10", "192.0.2.20"
BOB = Forward([Target(f"sip:bob@{CALLEE}")])
BOB_BY = {"UDP": BOB, "TCP": Forward([Target(f"sip:bob@{CALLEE};transport=tcp")])}
NOT_FOUND = Reply(404, "Not Found")
NOTHING_LEFT = {"servers": 0, "clients": 0}

over_both = pytest.mark.parametrize("transport", ["UDP", "TCP"])


def instants(world: World, host: str, seconds: float) -> list[tuple[float, str]]:
    """What a peer gets in the time to come, and when; what it has got already is left out."""
    peer = world.peer(host)
    peer.inbox.clear()
    began = world.now
    seen: list[tuple[float, str]] = []
    while (deadline := world.engine.deadline()) is not None and deadline <= began + seconds:
        world.wait(max(0.0, deadline - world.now))
        seen += [(world.now - began, line) for line in peer.take_all()]
    world.wait(began + seconds - world.now)
    return seen


def ends_after(world: World, table: str, seconds: float) -> bool:
    """Whether the one transaction of `table` is there until this instant and gone with it."""
    world.wait(seconds - TICK)
    before = world.engine.sizes()[table]
    world.wait(TICK)
    return (before, world.engine.sizes()[table]) == (1, 0)


def forwarded(world: World, method: str = "INVITE") -> Request:
    """The request as it came to the callee, who has not answered yet."""
    world.peer(CALLER).send(request(method))
    return world.peer(CALLEE).take_request(method)


def acknowledged(world: World) -> None:
    """A call that policy refuses; the caller has acknowledged that."""
    caller = world.peer(CALLER)
    caller.send(request("INVITE"))
    tag = (caller.take_response(404).get("to") or "").partition("tag=")[2]
    caller.send(request("ACK", to_tag=tag))


# Client transactions of an INVITE: A, B, C, D, and M with the Accepted state.


def test_timer_a_sends_an_unanswered_invite_again_until_timer_b_gives_it_up() -> None:
    world = World(BOB)
    caller = world.peer(CALLER)
    caller.send(request("INVITE"))
    (first,) = world.peer(CALLEE).inbox
    again = instants(world, CALLEE, 40)
    assert [when for when, _ in again] == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert {line for _, line in again} == {first.split(b"\r\n")[0].decode()}
    assert caller.take_all()[:2] == ["SIP/2.0 100 Trying", "SIP/2.0 408 Request Timeout"]
    assert [(one.status, one.error) for one in world.asked[1].outcomes] == [(408, "timeout")]
    assert world.asked[1].now == START + 32


def test_timer_a_repeats_the_same_octets() -> None:
    world = World(BOB)
    world.peer(CALLER).send(request("INVITE"))
    world.wait(31.5)
    assert len(world.peer(CALLEE).inbox) == 7
    assert len(set(world.peer(CALLEE).inbox)) == 1


@pytest.mark.parametrize("status", [100, 180])
def test_timer_a_is_stopped_by_any_provisional_response(status: int) -> None:
    world = World(BOB)
    world.peer(CALLEE).send(response(forwarded(world), status))
    assert instants(world, CALLEE, 170) == []


def test_timer_a_does_not_run_over_a_reliable_transport() -> None:
    world = World(BOB_BY["TCP"], transport="TCP")
    forwarded(world)
    assert instants(world, CALLEE, 100) == []


@over_both
def test_timer_b_gives_an_unanswered_invite_up_after_32_s(transport: str) -> None:
    world = World(BOB_BY[transport], transport=transport)
    forwarded(world)
    assert instants(world, CALLER, 32 - TICK) == [(20 / 128, "SIP/2.0 100 Trying")]
    assert world.engine.sizes()["clients"] == 1
    assert instants(world, CALLER, TICK) == [(TICK, "SIP/2.0 408 Request Timeout")]
    assert world.engine.sizes()["clients"] == 0


@over_both
def test_timer_b_is_over_with_the_first_provisional_response(transport: str) -> None:
    world = World(BOB_BY[transport], transport=transport)
    invite = forwarded(world)
    world.wait(32 - TICK)
    world.peer(CALLEE).send(response(invite, 100))
    world.peer(CALLER).inbox.clear()
    world.wait(100)
    assert (world.peer(CALLER).has_nothing, world.engine.unanswered()) == (True, 1)


@over_both
def test_timer_c_cancels_a_callee_that_rings_for_ever(transport: str) -> None:
    world = World(BOB_BY[transport], transport=transport)
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    invite = forwarded(world)
    world.wait(1)
    callee.send(response(invite, 180, to_tag="b"))
    assert instants(world, CALLEE, 180.5) == [(180.5, f"CANCEL {invite.uri} SIP/2.0")]
    callee.send(response(invite, 487, to_tag="b"))
    assert callee.take_request("ACK").get("cseq") == "1 ACK"
    assert caller.take_all()[-1] == "SIP/2.0 487 Because"


def test_timer_c_starts_anew_with_every_response_that_tells_of_progress() -> None:
    world = World(BOB)
    invite = forwarded(world)
    for status in (180, 180, 183, 199):
        world.peer(CALLEE).send(response(invite, status, to_tag="b"))
        assert instants(world, CALLEE, 180.5 - TICK) == []
    assert instants(world, CALLEE, TICK) == [(TICK, f"CANCEL {invite.uri} SIP/2.0")]


def test_timer_c_does_not_start_anew_with_a_100() -> None:
    world = World(BOB)
    invite = forwarded(world)
    world.peer(CALLEE).send(response(invite, 100))
    world.wait(100)
    world.peer(CALLEE).send(response(invite, 100))
    assert instants(world, CALLEE, 80.5) == [(80.5, f"CANCEL {invite.uri} SIP/2.0")]


def test_timer_c_is_followed_by_a_408_when_the_cancel_moves_nobody() -> None:
    world = World(BOB)
    world.peer(CALLEE).send(response(forwarded(world), 180, to_tag="b"))
    world.wait(180.5)
    # RFC 3261 9.1: 64 T1 after its CANCEL the INVITE is taken for given up.
    assert instants(world, CALLER, 32) == [(32.0, "SIP/2.0 408 Request Timeout")]
    assert world.engine.unanswered() == 0


def test_timer_d_keeps_an_acknowledged_failure_for_32_s() -> None:
    world = World(BOB)
    callee = world.peer(CALLEE)
    invite = forwarded(world)
    callee.send(response(invite, 486, to_tag="b"))
    first = callee.take_request("ACK")
    world.wait(32 - TICK)
    callee.send(response(invite, 486, to_tag="b"))
    assert callee.take_request("ACK").lines == first.lines
    world.wait(TICK)
    callee.send(response(invite, 486, to_tag="b"))
    assert (callee.has_nothing, world.engine.sizes()["clients"]) == (True, 0)
    assert world.engine.counters.stray_responses == 1


def test_timer_d_is_zero_over_a_reliable_transport() -> None:
    world = World(BOB_BY["TCP"], transport="TCP")
    callee = world.peer(CALLEE)
    callee.send(response(forwarded(world), 486, to_tag="b"))
    assert (callee.take_all(), world.engine.sizes()["clients"]) == (
        [f"ACK sip:bob@{CALLEE};transport=tcp SIP/2.0"],
        0,
    )
    assert world.peer(CALLER).take_all() == ["SIP/2.0 486 Because"]


@over_both
def test_timer_m_keeps_an_answered_invite_for_32_s_in_which_every_2xx_passes(transport: str) -> None:
    world = World(BOB_BY[transport], transport=transport)
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    invite = forwarded(world)
    callee.send(response(invite, 200, to_tag="b"))
    world.wait(16)
    # RFC 6026 8.7: none of them starts the timer anew.
    callee.send(response(invite, 200, to_tag="b"))
    world.wait(16 - TICK)
    callee.send(response(invite, 200, to_tag="b"))
    callee.send(response(invite, 200, to_tag="another"))
    assert caller.take_all() == ["SIP/2.0 200 Because"] * 4
    world.wait(TICK)
    callee.send(response(invite, 200, to_tag="b"))
    assert (caller.has_nothing, world.engine.sizes()) == (True, NOTHING_LEFT)
    assert world.engine.counters.stray_responses == 1


def test_the_accepted_client_hears_of_nothing_but_2xx() -> None:
    world = World(BOB)
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    invite = forwarded(world)
    callee.send(response(invite, 200, to_tag="b"))
    caller.take_response(200)
    for status in (180, 302, 486, 603):
        callee.send(response(invite, status, to_tag="b"))
    assert (caller.has_nothing, callee.has_nothing) == (True, True)
    assert ends_after(world, "clients", 32)


# Other client transactions: E, F, K.


def test_timer_e_sends_other_requests_again_at_most_t2_apart_until_timer_f() -> None:
    world = World(BOB)
    world.peer(CALLER).send(request("MESSAGE"))
    again = [when for when, _ in instants(world, CALLEE, 40)]
    assert again == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert [(one.status, one.error) for one in world.asked[1].outcomes] == [(408, "timeout")]


def test_timer_e_goes_on_every_t2_after_a_provisional_response() -> None:
    world = World(BOB)
    message = forwarded(world, "MESSAGE")
    world.peer(CALLEE).send(response(message, 100))
    again = [when for when, _ in instants(world, CALLEE, 40)]
    assert again == [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]


def test_timer_e_does_not_run_over_a_reliable_transport() -> None:
    world = World(BOB_BY["TCP"], transport="TCP")
    forwarded(world, "MESSAGE")
    assert instants(world, CALLEE, 100) == []


@over_both
@pytest.mark.parametrize("provisional", [False, True])
def test_timer_f_gives_other_requests_up_after_32_s(provisional: bool, transport: str) -> None:
    world = World(BOB_BY[transport], transport=transport)
    message = forwarded(world, "MESSAGE")
    if provisional:
        world.wait(31)
        world.peer(CALLEE).send(response(message, 183))
    assert ends_after(world, "clients", 1 if provisional else 32)
    assert [one.status for one in world.asked[1].outcomes] == [408]
    assert world.asked[1].now == START + 32


def test_timer_k_absorbs_repeated_answers_for_5_s() -> None:
    world = World(BOB)
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    message = forwarded(world, "MESSAGE")
    for _ in range(2):
        callee.send(response(message, 200, to_tag="b"))
    assert caller.take_all() == ["SIP/2.0 200 Because"]
    assert ends_after(world, "clients", 5)
    assert world.engine.counters.stray_responses == 0
    callee.send(response(message, 200, to_tag="b"))
    assert (caller.has_nothing, world.engine.counters.stray_responses) == (True, 1)


def test_timer_k_is_zero_over_a_reliable_transport() -> None:
    world = World(BOB_BY["TCP"], transport="TCP")
    message = forwarded(world, "MESSAGE")
    world.peer(CALLEE).send(response(message, 200, to_tag="b"))
    assert (world.peer(CALLER).take_all(), world.engine.sizes()["clients"]) == (["SIP/2.0 200 Because"], 0)


# Server transactions of an INVITE: G, H, I, and L with the Accepted state.


def test_timer_g_sends_a_failure_again_at_most_t2_apart() -> None:
    world = World(NOT_FOUND)
    caller = world.peer(CALLER)
    caller.send(request("INVITE"))
    first = caller.inbox[0]
    world.wait(40)
    assert set(caller.inbox) == {first}
    caller.send(request("INVITE", branch="z9hG4bK2"))
    again = instants(world, CALLER, 40)
    assert [when for when, _ in again] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def test_timer_g_does_not_run_over_a_reliable_transport() -> None:
    world = World(NOT_FOUND, transport="TCP")
    world.peer(CALLER).send(request("INVITE"))
    assert instants(world, CALLER, 40) == []


def test_timer_g_ends_with_the_ack() -> None:
    world = World(NOT_FOUND)
    acknowledged(world)
    assert instants(world, CALLER, 40) == []


@over_both
def test_timer_h_waits_for_the_ack_of_a_failure_for_32_s(transport: str) -> None:
    world = World(NOT_FOUND, transport=transport)
    world.peer(CALLER).send(request("INVITE"))
    assert ends_after(world, "servers", 32)


def test_timer_i_absorbs_repeated_acks_for_5_s() -> None:
    world = World(NOT_FOUND)
    acknowledged(world)
    world.peer(CALLER).send(request("ACK"))
    world.peer(CALLER).send(request("INVITE"))
    assert (world.peer(CALLER).has_nothing, len(world.asked)) == (True, 1)
    assert ends_after(world, "servers", 5)
    assert world.engine.counters.dropped == {}


def test_timer_i_does_not_start_anew_with_a_repeated_ack() -> None:
    world = World(NOT_FOUND)
    acknowledged(world)
    world.wait(1)
    world.peer(CALLER).send(request("ACK"))
    assert ends_after(world, "servers", 4)


def test_timer_i_is_zero_over_a_reliable_transport() -> None:
    world = World(NOT_FOUND, transport="TCP")
    acknowledged(world)
    assert world.engine.sizes() == NOTHING_LEFT


@over_both
def test_timer_l_absorbs_an_answered_invite_for_32_s(transport: str) -> None:
    world = World(BOB_BY[transport], transport=transport)
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    callee.send(response(forwarded(world), 200, to_tag="b"))
    caller.take_response(200)
    world.wait(32 - TICK)
    caller.send(request("INVITE"))
    # RFC 6026 7.1: the 2xx is the callee's to repeat, so the INVITE gets none from here.
    assert (caller.has_nothing, callee.has_nothing, len(world.asked)) == (True, True, 1)
    world.wait(TICK)
    assert world.engine.sizes() == NOTHING_LEFT
    caller.send(request("INVITE"))
    assert len(world.asked) == 2


def test_the_accepted_server_repeats_and_changes_nothing() -> None:
    world = World(BOB)
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    callee.send(response(forwarded(world), 200, to_tag="b"))
    caller.take_response(200)
    caller.send(request("ACK", to_tag="b"))
    caller.send(request("CANCEL"))
    assert caller.take_all() == ["SIP/2.0 200 OK"]
    assert instants(world, CALLER, 40) == []
    assert callee.has_nothing


def test_a_2xx_of_another_branch_passes_even_after_timer_l() -> None:
    other = "192.0.2.30"
    world = World(Forward([*BOB.targets, Target(f"sip:bob@{other}")]))
    invite = forwarded(world)
    second = world.peer(other).take_request("INVITE")
    world.peer(other).send(response(second, 180, to_tag="c"))
    world.peer(CALLEE).send(response(invite, 200, to_tag="b"))
    # RFC 6026 7.1: its transaction downstream is still there, in the 64 T1 after the CANCEL.
    assert instants(world, CALLER, 32 - TICK) == []
    world.peer(other).send(response(second, 200, to_tag="c"))
    world.peer(CALLER).take_response(200)
    world.wait(TICK)
    assert world.engine.sizes() == {"servers": 0, "clients": 1}
    world.peer(other).send(response(second, 200, to_tag="c"))
    world.peer(CALLER).take_response(200)


# Other server transactions: J.


def test_timer_j_answers_a_repeated_request_for_32_s() -> None:
    world = World(Reply(200, "OK"))
    caller = world.peer(CALLER)
    caller.send(request("MESSAGE"))
    world.wait(32 - TICK)
    caller.send(request("MESSAGE"))
    first, again = caller.inbox
    assert (first, len(world.asked), world.engine.sizes()["servers"]) == (again, 1, 1)
    world.wait(TICK)
    assert world.engine.sizes()["servers"] == 0


def test_timer_j_is_zero_over_a_reliable_transport() -> None:
    world = World(Reply(200, "OK"), transport="TCP")
    world.peer(CALLER).send(request("MESSAGE"))
    assert (world.peer(CALLER).take_all(), world.engine.sizes()) == (["SIP/2.0 200 OK"], NOTHING_LEFT)


# What goes back before the final response, and the decision that it waits for.


def test_a_100_goes_back_150_ms_after_an_invite_that_nobody_answered() -> None:
    world = World(BOB)
    world.peer(CALLER).send(request("INVITE"))
    assert instants(world, CALLER, 1) == [(20 / 128, "SIP/2.0 100 Trying")]


def test_no_100_goes_back_when_the_callee_was_faster() -> None:
    world = World(BOB)
    world.peer(CALLEE).send(response(forwarded(world), 180, to_tag="b"))
    world.wait(10)
    assert world.peer(CALLER).take_all() == ["SIP/2.0 180 Because"]


def test_a_repeated_invite_gets_the_last_provisional_again_and_goes_nowhere() -> None:
    world = World(BOB)
    caller, callee = world.peer(CALLER), world.peer(CALLEE)
    invite = forwarded(world)
    caller.send(request("INVITE"))
    assert caller.has_nothing
    callee.send(response(invite, 180, to_tag="b"))
    callee.send(response(invite, 183, to_tag="b"))
    caller.take_all()
    caller.send(request("INVITE"))
    assert (caller.take_all(), callee.has_nothing, len(world.asked)) == (["SIP/2.0 183 Because"], True, 1)


def test_a_repeated_invite_gets_its_failure_again() -> None:
    world = World(NOT_FOUND)
    caller = world.peer(CALLER)
    caller.send(request("INVITE"))
    caller.send(request("INVITE"))
    assert caller.take_all() == ["SIP/2.0 404 Not Found"] * 2
    assert len(world.asked) == 1


def test_the_ack_for_a_failure_takes_the_way_of_its_invite() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20", ("<sip:192.0.2.30;lr>",))]))
    world.peer(CALLER).send(request("INVITE"))
    edge = world.peer("192.0.2.30")
    invite = edge.take_request("INVITE")
    edge.send(response(invite, 404, to_tag="b"))
    ack = edge.take_request("ACK")
    assert ack.uri == invite.uri == "sip:bob@192.0.2.20"
    assert ack.all("via") == invite.all("via")[:1]
    assert ack.get("route") == "<sip:192.0.2.30;lr>"
    assert ack.get("to") == "<sip:bob@example.com>;tag=b"
    assert (ack.get("from"), ack.get("call-id")) == (invite.get("from"), invite.get("call-id"))


def test_what_is_no_invite_gets_its_100_late_and_never_a_408() -> None:
    world = World(BOB)
    world.peer(CALLER).send(request("MESSAGE"))
    assert instants(world, CALLER, 100) == [(4.0, "SIP/2.0 100 Trying")]
    assert world.engine.sizes() == NOTHING_LEFT


def test_a_decision_that_does_not_come_is_a_503_after_10_s() -> None:
    world = World(PENDING)
    world.peer(CALLER).send(request("REGISTER", "sip:example.com"))
    assert instants(world, CALLER, 20) == [
        (4.0, "SIP/2.0 100 Trying"),
        (10.0, "SIP/2.0 503 Service Unavailable"),
    ]
    world.engine.answer(world.now, world.asked[0], Reply(200, "OK"))
    world.deliver()
    assert world.peer(CALLER).has_nothing


def test_policy_can_tell_that_the_engine_has_answered_in_its_stead() -> None:
    world = World(PENDING)
    world.peer(CALLER).send(request("REGISTER", "sip:example.com"))
    assert not world.asked[0].answered
    world.wait(10)
    assert world.asked[0].answered


def test_a_decision_that_comes_later_is_carried_out_then() -> None:
    world = World(PENDING)
    caller = world.peer(CALLER)
    caller.send(request("REGISTER", "sip:example.com"))
    assert caller.has_nothing
    world.engine.answer(world.now + 1, world.asked[0], Reply(200, "OK", ("Contact: <sip:a@b>",)))
    world.deliver()
    answer = caller.take_response(200)
    assert answer.get("contact") == "<sip:a@b>"
    caller.send(request("REGISTER", "sip:example.com"))
    caller.take_response(200)
