"""The addresses of a target: looked up, tried one after the other, given up (RFC 3263 4.3,
RFC 3261 18.1.1)."""

import pytest

from oneproxy.engine.decisions import Ask, Decision, Forward, Reply, Target
from oneproxy.engine.flow import Hop
from world import World, request, response

NAMED = Forward([Target("sip:bob@gateway.test")])
FIRST: Hop = ("UDP", "192.0.2.21", 5060)
SECOND: Hop = ("UDP", "192.0.2.22", 5060)
NOTHING_LEFT = {"servers": 0, "clients": 0}


def calling(*addresses: Hop, decision: Decision = NAMED) -> World:
    """A world in which a call for a gateway with these addresses has come."""
    world = World(decision, transport="UDP", also=("TCP",))
    world.names["gateway.test"] = list(addresses)
    world.peer("192.0.2.10").send(request("INVITE"))
    return world


def test_a_target_is_sent_to_at_the_first_of_its_addresses() -> None:
    world = calling(FIRST, SECOND)
    invite = world.peer("192.0.2.21").take_request("INVITE")
    assert invite.uri == "sip:bob@gateway.test"
    assert world.peer("192.0.2.22").has_nothing


def test_a_dead_first_address_is_left_after_four_seconds() -> None:
    world = calling(FIRST, SECOND)
    world.wait(3.9)
    assert world.peer("192.0.2.22").has_nothing
    world.wait(0.1)
    invite = world.peer("192.0.2.22").take_request("INVITE")
    world.peer("192.0.2.22").send(response(invite, 200, to_tag="b"))
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 100 Trying", "SIP/2.0 200 Because"]
    assert world.failed_hops == [FIRST]
    # Each address has a transaction of its own (RFC 3263 4.3).
    first = world.peer("192.0.2.21").take_request("INVITE")
    assert first.get("via") != invite.get("via")


def test_an_unreachable_first_address_is_left_at_once() -> None:
    world = calling(FIRST, SECOND)
    data = world.peer("192.0.2.21").inbox[0]
    world.engine.unreachable(world.now, data[:300])
    world.deliver()
    world.peer("192.0.2.22").take_request("INVITE")
    assert world.failed_hops == [FIRST]


def test_a_503_leads_to_the_next_address_and_is_acknowledged() -> None:
    world = calling(FIRST, SECOND)
    first = world.peer("192.0.2.21")
    first.send(response(first.take_request("INVITE"), 503, to_tag="x"))
    first.take_request("ACK")
    second = world.peer("192.0.2.22")
    second.send(response(second.take_request("INVITE"), 200, to_tag="b"))
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 200 Because"]


@pytest.mark.parametrize("status", [404, 486, 500, 504, 603])
def test_another_failure_is_the_targets_answer(status: int) -> None:
    world = calling(FIRST, SECOND)
    first = world.peer("192.0.2.21")
    first.send(response(first.take_request("INVITE"), status, to_tag="x"))
    assert world.peer("192.0.2.22").has_nothing
    world.peer("192.0.2.10").take_response(status)


def test_an_address_that_rings_is_not_left() -> None:
    world = calling(FIRST, SECOND)
    first = world.peer("192.0.2.21")
    first.send(response(first.take_request("INVITE"), 180, to_tag="b"))
    world.wait(100)
    assert world.peer("192.0.2.22").has_nothing


def test_when_the_last_address_has_failed_policy_hears_of_one_outcome() -> None:
    told: list[tuple[int, str | None, float, float]] = []

    def decide(ask: Ask) -> Decision:
        told.extend((one.status, one.error, one.started_at, one.ended_at) for one in ask.outcomes)
        return Reply(480, "Nobody") if ask.outcomes else NAMED

    world = World(decide, decide)
    world.names["gateway.test"] = [FIRST, SECOND]
    start = world.now
    world.peer("192.0.2.10").send(request("INVITE"))
    world.wait(4 + 32)
    # The last address has the whole of Timer B.
    assert told == [(408, "timeout", start, start + 36)]
    assert world.peer("192.0.2.10").take_all()[-1] == "SIP/2.0 480 Nobody"


def test_a_cancelled_call_tries_no_further_address() -> None:
    world = calling(FIRST, SECOND)
    world.peer("192.0.2.10").send(request("CANCEL"))
    world.wait(300)
    assert world.peer("192.0.2.22").has_nothing
    assert world.engine.sizes() == NOTHING_LEFT


def test_a_call_waits_for_its_name_and_others_do_not() -> None:
    world = World(NAMED, Forward([Target("sip:carol@192.0.2.30")]))
    world.names["gateway.test"] = None
    world.peer("192.0.2.10").send(request("INVITE"))
    world.peer("192.0.2.11").send(request("INVITE", via="192.0.2.11", call_id="c2", branch="z9hG4bK2"))
    world.peer("192.0.2.30").take_request("INVITE")
    assert world.peer("192.0.2.21").has_nothing
    world.resolve(FIRST)
    world.peer("192.0.2.21").take_request("INVITE")


def test_a_name_without_addresses_is_an_outcome() -> None:
    world = World(NAMED)
    world.names["gateway.test"] = None
    world.peer("192.0.2.10").send(request("INVITE"))
    world.resolve()
    world.peer("192.0.2.10").take_response(500)
    assert [(one.status, one.error) for one in world.asked[-1].outcomes] == [(503, "name")]


def test_a_call_that_is_given_up_while_its_name_is_asked_for_ends_at_once() -> None:
    world = World(NAMED)
    world.names["gateway.test"] = None
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE"))
    caller.send(request("CANCEL"))
    assert caller.take_all() == ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]
    world.resolve(FIRST)
    assert world.peer("192.0.2.21").has_nothing
    world.wait(300)
    assert world.engine.sizes() == NOTHING_LEFT


def test_an_answer_elsewhere_gives_the_lookup_up() -> None:
    world = World(Forward([Target("sip:bob@gateway.test"), Target("sip:bob@192.0.2.20")]))
    world.names["gateway.test"] = None
    world.peer("192.0.2.10").send(request("INVITE"))
    bob = world.peer("192.0.2.20")
    bob.send(response(bob.take_request("INVITE"), 200, to_tag="b"))
    world.resolve(FIRST)
    assert world.peer("192.0.2.21").has_nothing


def test_a_name_that_leads_back_to_us_is_a_loop() -> None:
    world = calling(("UDP", "192.0.2.1", 5060))
    world.peer("192.0.2.10").take_response(482)


def test_an_ack_goes_to_a_name_too() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    contact = "Contact: <sip:bob@gateway.test>"
    callee.send(response(callee.take_request("INVITE"), 200, contact, to_tag="b"))
    route = f"Route: {caller.take_response(200).get('record-route')}"
    world.names["gateway.test"] = None
    caller.send(request("ACK", "sip:bob@gateway.test", route, branch="z9hG4bK2", to_tag="b"))
    world.resolve(FIRST)
    assert world.peer("192.0.2.21").take_request("ACK").uri == "sip:bob@gateway.test"
    caller.send(request("ACK", "sip:bob@gateway.test", route, branch="z9hG4bK3", to_tag="b"))
    world.resolve()
    assert world.engine.counters.dropped["unroutable-ack"] == 1


LARGE = "x" * 1200


def test_what_is_too_large_for_a_datagram_goes_over_tcp() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]), also=("TCP",))
    world.peer("192.0.2.10").send(request("INVITE", body=LARGE))
    invite = world.peer("192.0.2.20", transport="TCP").take_request("INVITE")
    assert (invite.get("via") or "").startswith("SIP/2.0/TCP 192.0.2.1:5060;")
    assert world.peer("192.0.2.20").has_nothing


def test_where_tcp_is_refused_it_goes_in_a_datagram_and_the_next_one_at_once() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]), also=("TCP",))
    world.peer("192.0.2.10").send(request("INVITE", body=LARGE))
    world.close(world.peer("192.0.2.20", transport="TCP"))
    invite = world.peer("192.0.2.20").take_request("INVITE")
    assert (invite.get("via") or "").startswith("SIP/2.0/UDP 192.0.2.1:5060;")
    world.peer("192.0.2.10").send(request("INVITE", body=LARGE, branch="z9hG4bK2", call_id="c2"))
    world.peer("192.0.2.20").take_request("INVITE")
    world.wait(301)
    world.peer("192.0.2.20").take_all()
    world.peer("192.0.2.10").send(request("INVITE", body=LARGE, branch="z9hG4bK3", call_id="c3"))
    assert world.peer("192.0.2.20").has_nothing


def test_a_large_request_to_a_phone_stays_on_the_phones_flow() -> None:
    world = World(
        lambda _: Forward([Target("sip:bob@10.0.0.5", flow=world.flow("192.0.2.20", 4000))]), also=("TCP",)
    )
    world.peer("192.0.2.10").send(request("INVITE", body=LARGE))
    world.peer("192.0.2.20", 4000).take_request("INVITE")


def test_without_tcp_a_large_request_goes_in_a_datagram() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]))
    world.peer("192.0.2.10").send(request("INVITE", body=LARGE))
    world.peer("192.0.2.20").take_request("INVITE")


def test_a_slow_first_address_is_told_to_stop_once_it_answers() -> None:
    world = calling(FIRST, SECOND)
    first, second = world.peer("192.0.2.21"), world.peer("192.0.2.22")
    invite = first.take_request("INVITE")
    world.wait(5)
    first.take_all()
    first.send(response(invite, 180, to_tag="b"))
    first.take_request("CANCEL")
    first.send(response(invite, 487, to_tag="b"))
    first.take_request("ACK")
    second.send(response(second.take_request("INVITE"), 200, to_tag="c"))
    assert world.peer("192.0.2.10").take_all() == ["SIP/2.0 100 Trying", "SIP/2.0 200 Because"]


def test_a_2xx_of_a_slow_first_address_is_the_answer() -> None:
    world = calling(FIRST, SECOND)
    first, second = world.peer("192.0.2.21"), world.peer("192.0.2.22")
    invite = first.take_request("INVITE")
    world.wait(5)
    second.send(response(second.take_request("INVITE"), 180, to_tag="c"))
    first.send(response(invite, 200, to_tag="b"))
    second.take_request("INVITE")  # repeated half a second after it was sent
    second.take_request("CANCEL")
    assert world.peer("192.0.2.10").take_all()[-1] == "SIP/2.0 200 Because"


def test_no_answer_after_ringing_tries_no_other_address() -> None:
    world = calling(FIRST, SECOND, decision=Forward([Target("sip:bob@gateway.test", no_answer_s=10)]))
    first = world.peer("192.0.2.21")
    first.send(response(first.take_request("INVITE"), 180, to_tag="b"))
    world.wait(11)
    first.take_request("CANCEL")
    assert world.peer("192.0.2.22").has_nothing
    assert world.failed_hops == []


def test_the_time_to_answer_is_that_of_all_addresses_together() -> None:
    world = calling(FIRST, SECOND, decision=Forward([Target("sip:bob@gateway.test", no_answer_s=5)]))
    world.wait(5.1)
    assert [one.error for one in world.asked[1].outcomes] == ["timeout"]


def test_a_503_over_tcp_is_not_asked_for_again_over_udp() -> None:
    world = World(Forward([Target("sip:bob@192.0.2.20")]), also=("TCP",))
    world.peer("192.0.2.10").send(request("INVITE", body=LARGE))
    stream = world.peer("192.0.2.20", transport="TCP")
    stream.send(response(stream.take_request("INVITE"), 503, to_tag="x"))
    assert world.peer("192.0.2.20").has_nothing
    world.peer("192.0.2.10").take_response(500)


def test_a_large_request_to_a_name_goes_over_tcp_to_each_of_its_addresses() -> None:
    world = World(NAMED, also=("TCP",))
    world.names["gateway.test"] = [FIRST, SECOND]
    world.peer("192.0.2.10").send(request("INVITE", body=LARGE))
    first = world.peer("192.0.2.21", transport="TCP")
    first.send(response(first.take_request("INVITE"), 503, to_tag="x"))
    world.peer("192.0.2.22", transport="TCP").take_request("INVITE")
