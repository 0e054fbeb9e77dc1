"""The timers of RFC 3261 17 at their exact instants, and who hears of what."""

from oneproxy.engine.decisions import PENDING, Forward, Reply, Target
from oneproxy.sip.message import Request
from world import START, World, request, response

BOB = Forward([Target("sip:bob@192.0.2.20")])


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


# The upstream side.


def test_a_100_goes_back_150_ms_after_an_invite_that_nobody_answered() -> None:
    world = World(BOB)
    world.peer("192.0.2.10").send(request("INVITE"))
    assert instants(world, "192.0.2.10", 1) == [(20 / 128, "SIP/2.0 100 Trying")]


def test_no_100_goes_back_when_the_callee_was_faster() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 180, to_tag="b"))
    world.wait(10)
    assert caller.take_all() == ["SIP/2.0 180 Because"]


def test_a_repeated_invite_gets_the_last_provisional_again_and_goes_nowhere() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    caller.send(request("INVITE"))
    assert caller.has_nothing
    callee.send(response(invite, 180, to_tag="b"))
    callee.send(response(invite, 183, to_tag="b"))
    caller.take_all()
    caller.send(request("INVITE"))
    assert caller.take_all() == ["SIP/2.0 183 Because"]
    assert callee.has_nothing
    assert len(world.asked) == 1


def test_a_failure_is_sent_again_by_timer_g_until_timer_h() -> None:
    world = World(Reply(404, "Not Found"))
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    assert caller.take_all() == ["SIP/2.0 404 Not Found"]
    again = [when for when, _ in instants(world, "192.0.2.10", 40)]
    assert again == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert world.engine.sizes() == {"servers": 0, "clients": 0}


def test_an_acknowledged_failure_is_kept_for_timer_i_and_sent_no_more() -> None:
    world = World(Reply(404, "Not Found"))
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    tag = caller.take_response(404).get("to")
    assert tag is not None
    caller.send(request("ACK", to_tag=tag.partition("tag=")[2]))
    world.wait(5 - 1 / 128)
    assert world.engine.sizes()["servers"] == 1
    world.wait(1 / 128)
    assert world.engine.sizes()["servers"] == 0
    assert caller.has_nothing


def test_a_repeated_invite_gets_its_failure_again() -> None:
    world = World(Reply(404, "Not Found"))
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    caller.send(request("INVITE"))
    assert caller.take_all() == ["SIP/2.0 404 Not Found"] * 2
    assert len(world.asked) == 1


def test_an_answered_invite_is_absorbed_until_timer_l() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 200, to_tag="b"))
    caller.take_response(200)
    world.wait(32 - 1 / 128)
    caller.send(request("INVITE"))
    assert (caller.has_nothing, callee.has_nothing, len(world.asked)) == (True, True, 1)
    world.wait(1 / 128)
    assert world.engine.sizes() == {"servers": 0, "clients": 0}


def test_a_repeated_request_gets_its_answer_again_until_timer_j() -> None:
    world = World(Reply(200, "OK"))
    caller = world.peer("192.0.2.10")
    caller.send(request("MESSAGE"))
    world.wait(32 - 1 / 128)
    caller.send(request("MESSAGE"))
    assert caller.take_all() == ["SIP/2.0 200 OK"] * 2
    assert len(world.asked) == 1
    world.wait(1 / 128)
    assert world.engine.sizes()["servers"] == 0


def test_what_is_no_invite_gets_its_100_late_and_never_a_408() -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("MESSAGE"))
    assert instants(world, "192.0.2.10", 100) == [(4.0, "SIP/2.0 100 Trying")]
    assert world.engine.sizes() == {"servers": 0, "clients": 0}


def test_a_decision_that_does_not_come_is_a_503_after_10_s() -> None:
    world = World(PENDING)
    world.peer("192.0.2.10").send(request("REGISTER", "sip:example.com"))
    assert instants(world, "192.0.2.10", 20) == [
        (4.0, "SIP/2.0 100 Trying"),
        (10.0, "SIP/2.0 503 Service Unavailable"),
    ]
    world.engine.answer(world.now, world.asked[0], Reply(200, "OK"))
    world.deliver()
    assert world.peer("192.0.2.10").has_nothing


def test_a_decision_that_comes_later_is_carried_out_then() -> None:
    world = World(PENDING)
    caller = world.peer("192.0.2.10")
    caller.send(request("REGISTER", "sip:example.com"))
    assert caller.has_nothing
    world.engine.answer(world.now + 1, world.asked[0], Reply(200, "OK", ("Contact: <sip:a@b>",)))
    world.deliver()
    answer = caller.take_response(200)
    assert answer.get("contact") == "<sip:a@b>"
    caller.send(request("REGISTER", "sip:example.com"))
    caller.take_response(200)


# The downstream side.


def test_an_unanswered_invite_is_sent_again_by_timer_a_and_given_up_by_timer_b() -> None:
    world = World(BOB)
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    again = instants(world, "192.0.2.20", 40)
    assert [when for when, _ in again] == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert caller.take_all()[:2] == ["SIP/2.0 100 Trying", "SIP/2.0 408 Request Timeout"]
    assert [(one.status, one.error) for one in world.asked[1].outcomes] == [(408, "timeout")]
    assert world.asked[1].now == START + 32


def test_a_provisional_response_stops_timer_a() -> None:
    world = World(BOB)
    callee = world.peer("192.0.2.20")
    world.peer("192.0.2.10").send(request("INVITE"))
    callee.send(response(callee.take_request("INVITE"), 100))
    assert instants(world, "192.0.2.20", 170) == []


def test_a_callee_that_rings_for_ever_is_cancelled_by_timer_c() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    world.wait(1)
    callee.send(response(invite, 180, to_tag="b"))
    gone = instants(world, "192.0.2.20", 180.75)
    assert gone == [(180.5, "CANCEL sip:bob@192.0.2.20 SIP/2.0")]
    callee.send(response(invite, 487, to_tag="b"))
    assert callee.take_request("ACK").get("cseq") == "1 ACK"
    assert caller.take_all()[-1] == "SIP/2.0 487 Because"


def test_a_failure_is_acknowledged_again_whenever_it_comes_until_timer_d() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 486, to_tag="b"))
    first = callee.take_request("ACK")
    world.wait(32 - 1 / 128)
    callee.send(response(invite, 486, to_tag="b"))
    assert callee.take_request("ACK").lines == first.lines
    world.wait(1 / 128)
    callee.send(response(invite, 486, to_tag="b"))
    assert callee.has_nothing
    assert world.engine.counters.stray_responses == 1


def test_the_ack_for_a_failure_takes_the_way_of_its_invite() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20", ("<sip:192.0.2.30;lr>",))]))
    world.peer("192.0.2.10").send(request("INVITE"))
    edge = world.peer("192.0.2.30")
    invite = edge.take_request("INVITE")
    edge.send(response(invite, 404, to_tag="b"))
    ack = edge.take_request("ACK")
    assert ack.uri == invite.uri == "sip:bob@192.0.2.20"
    assert ack.all("via") == invite.all("via")[:1]
    assert ack.get("route") == "<sip:192.0.2.30;lr>"
    assert ack.get("to") == "<sip:bob@example.com>;tag=b"
    assert (ack.get("from"), ack.get("call-id")) == (invite.get("from"), invite.get("call-id"))


def test_other_requests_are_sent_again_by_timer_e_and_given_up_by_timer_f() -> None:
    world = World(BOB)
    world.peer("192.0.2.10").send(request("MESSAGE"))
    again = [when for when, _ in instants(world, "192.0.2.20", 40)]
    assert again == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert [(one.status, one.error) for one in world.asked[1].outcomes] == [(408, "timeout")]


def test_an_answered_request_absorbs_repeated_answers_until_timer_k() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("MESSAGE"))
    message = callee.take_request("MESSAGE")
    callee.send(response(message, 200, to_tag="b"))
    callee.send(response(message, 200, to_tag="b"))
    assert caller.take_all() == ["SIP/2.0 200 Because"]
    world.wait(5 - 1 / 128)
    assert world.engine.sizes()["clients"] == 1
    world.wait(1 / 128)
    assert world.engine.sizes()["clients"] == 0


def test_nothing_is_repeated_over_a_reliable_transport() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20;transport=tcp")]), transport="TCP")
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    assert instants(world, "192.0.2.20", 31) == []
    callee.send(response(invite, 486, to_tag="b"))
    callee.take_request("ACK")
    assert world.engine.sizes()["clients"] == 0
    assert caller.take_all()[-1] == "SIP/2.0 486 Because"
    assert instants(world, "192.0.2.10", 31) == []


def test_a_peer_that_cannot_be_reached_is_a_503_that_policy_hears_of() -> None:
    world = World(BOB)
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    world.engine.unreachable(world.now, callee.inbox.popleft())
    world.deliver()
    assert caller.take_all() == ["SIP/2.0 500 Server Internal Error"]
    assert [(one.status, one.error) for one in world.asked[1].outcomes] == [(503, "transport")]


def test_a_target_without_a_way_to_it_is_a_503_that_policy_hears_of() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20"), Target("tel:+1202"), Target("sips:bob@192.0.2.20")]))
    world.unroutable.add("192.0.2.20")
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    assert caller.take_all() == ["SIP/2.0 500 Server Internal Error"]
    assert [one.target.uri for one in world.asked[1].outcomes] == [
        "sip:bob@192.0.2.20",
        "tel:+1202",
        "sips:bob@192.0.2.20",
    ]


def test_our_answers_to_one_request_all_have_one_tag() -> None:
    world = World(Reply(401, "Unauthorized", stateless=True))
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    caller.send(request("INVITE"))
    first, second = caller.take_response(401), caller.take_response(401)
    assert first.get("to") == second.get("to")
    assert "tag=" in (first.get("to") or "")
    assert world.engine.sizes()["servers"] == 0
    caller.send(request("ACK", to_tag="x"))
    assert caller.has_nothing
    assert isinstance(world.asked[0].request, Request)


def test_a_100_that_comes_again_does_not_start_timer_c_anew() -> None:
    world = World(BOB)
    callee = world.peer("192.0.2.20")
    world.peer("192.0.2.10").send(request("INVITE"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 100))
    world.wait(100)
    callee.send(response(invite, 100))
    assert instants(world, "192.0.2.20", 80.75) == [(80.5, "CANCEL sip:bob@192.0.2.20 SIP/2.0")]


def test_policy_can_tell_that_the_engine_has_answered_in_its_stead() -> None:
    world = World(PENDING)
    world.peer("192.0.2.10").send(request("REGISTER", "sip:example.com"))
    assert not world.asked[0].answered
    world.wait(10)
    assert world.asked[0].answered
