"""Servers that want to be sent less: what is held back from them, and how all comes back."""

import pytest

from neighbourly import ASKING, Neighbourly, answer, to
from oneproxy.engine.decisions import Forward, Target
from oneproxy.engine.neighbours import BACK_S
from world import request, response

REST = "Retry-After: 10"


def refuse(world: Neighbourly, *headers: str) -> None:
    """One call that the callee answers 503."""
    world.call()
    world.bob.send(response(world.bob.take_request("INVITE"), 503, *headers))
    world.bob.inbox.clear()
    world.alice.inbox.clear()


def test_after_a_503_with_retry_after_nothing_new_is_sent_there_until_then() -> None:
    world = Neighbourly()
    refuse(world, REST)
    world.wait(9.99)
    world.alice.inbox.clear()  # what it was answered is repeated until an ACK comes
    for method in ("INVITE", "MESSAGE", "SUBSCRIBE"):
        world.call(method=method)
        assert world.bob.has_nothing
        assert world.alice.take_response(503).get("retry-after") is None
    assert world.kept == [("192.0.2.20", "retry-after")] * 3
    assert world.engine.counters.slowed == {"retry-after": 3}


def test_then_it_comes_back_by_and_by() -> None:
    world = Neighbourly()
    refuse(world, REST)
    world.wait(10.0)
    came = []
    for _ in range(5):
        came.append(world.offer(200))
        world.wait(BACK_S / 5)
    # Of 200 in each fifth of the time: none, 40, 80, 120, 160.
    assert came[0] == 0
    assert came == sorted(came)
    assert all(abs(number - 40 * place) < 30 for place, number in enumerate(came))
    assert world.offer(200) == 200


@pytest.mark.parametrize("headers", [(), ("Retry-After: 0",), ("Retry-After: soon",)])
def test_a_503_that_does_not_say_when_is_of_that_call_alone(headers: tuple[str, ...]) -> None:
    world = Neighbourly()
    refuse(world, *headers)
    assert world.offer(3) == 3


def test_what_stands_behind_the_seconds_does_not_matter() -> None:
    world = Neighbourly()
    refuse(world, "Retry-After: 10 (too many calls);duration=60")
    world.wait(9.99)
    assert world.offer(3) == 0


def test_no_retry_after_is_kept_to_for_longer_than_the_site_says() -> None:
    world = Neighbourly()
    refuse(world, "Retry-After: 86400")
    world.wait(59.99)
    assert world.offer(3) == 0
    world.wait(0.01 + BACK_S)
    assert world.offer(3) == 3


def test_none_is_kept_to_where_the_site_says_so() -> None:
    world = Neighbourly()
    world.engine.neighbours.max_retry_after_s = 0
    refuse(world, REST)
    assert world.offer(3) == 3


def test_a_shorter_one_does_not_end_a_longer_one() -> None:
    world = Neighbourly()
    world.call()
    waiting = world.bob.inbox.popleft()
    refuse(world, REST)
    world.bob.inbox.append(waiting)
    world.bob.send(response(world.bob.take_request("INVITE"), 503, "Retry-After: 1"))
    world.bob.inbox.clear()
    world.wait(9.9)
    assert world.offer(3) == 0


@pytest.mark.parametrize(
    "decision",
    [
        # A phone speaks for itself, and the next call may be for another one behind the same address.
        to(source="udp:192.0.2.20:5060"),
        # A gateway has health of its own.
        to(heard=lambda _: None),
    ],
)
def test_phones_and_gateways_are_called_again_whatever_their_503_says(decision: Forward) -> None:
    world = Neighbourly(decision)
    refuse(world, REST)
    assert world.offer(3) == 3


def test_a_contact_that_is_reached_over_its_flow_is_a_phone() -> None:
    world = Neighbourly()
    world.decisions = (Forward([Target("sip:bob@192.0.2.99", flow=world.flow("192.0.2.20", 5060))]),)
    world.call()
    came = world.bob.take_request("INVITE")
    assert ASKING not in (came.get("via") or "")
    world.bob.send(response(came, 503, REST))
    world.bob.inbox.clear()
    world.call()
    world.bob.take_request("INVITE")


def test_a_503_inside_of_a_dialog_is_of_that_dialog_alone() -> None:
    world = Neighbourly()
    world.call()
    invite = world.bob.take_request("INVITE")
    world.bob.send(response(invite, 200, "Contact: <sip:bob@192.0.2.20>", to_tag="b"))
    route = world.alice.take_response(200).get("record-route") or ""
    # Something is known of the neighbour, so that it is listened to in dialogs as well.
    world.slow(";oc=1;oc-validity=60000;oc-seq=1.0")
    headers = f"Route: {route}"
    info = request(
        "INFO", "sip:bob@192.0.2.20", headers, call_id="call-1", cseq=2, to_tag="b", branch="z9hG4bKi"
    )
    world.alice.send(info)
    world.bob.send(response(world.bob.take_request("INFO"), 503, REST))
    world.alice.inbox.clear()
    assert world.offer(20) >= 18


def test_who_says_how_much_less_he_wants_does_not_want_nothing() -> None:
    world = Neighbourly()
    world.call()
    answer(world.bob, 503, ";oc=10;oc-validity=60000;oc-seq=1.0", REST)
    world.bob.inbox.clear()
    world.alice.inbox.clear()
    assert 60 <= world.offer(100) < 100


def test_another_port_or_transport_of_the_same_host_is_another_neighbour() -> None:
    world = Neighbourly(to(), to("192.0.2.20:5070"), to("192.0.2.20;transport=tcp"), also=("TCP",))
    refuse(world, REST)
    world.call()
    world.peer("192.0.2.20", 5070).take_request("INVITE")
    world.call()
    world.peer("192.0.2.20", 5060, "TCP").take_request("INVITE")


def test_another_address_of_the_same_name_may_take_what_is_not_sent() -> None:
    world = Neighbourly(to("pbx.example.net"))
    world.names["pbx.example.net"] = [("UDP", "192.0.2.20", 5060), ("UDP", "192.0.2.30", 5060)]
    other = world.peer("192.0.2.30")
    refuse(world, REST)
    other.inbox.clear()  # it had that call then (RFC 3263 4.3)
    world.call()
    assert world.bob.has_nothing
    other.take_request("INVITE")
    assert world.kept == [("192.0.2.20", "retry-after")]


def test_a_better_answer_of_another_branch_goes_back() -> None:
    world = Neighbourly(to(), Forward([*to().targets, *to("192.0.2.30").targets]))
    refuse(world, REST)
    world.decisions = (Forward([*to().targets, *to("192.0.2.30").targets]),)
    world.asked.clear()
    world.call()
    other = world.peer("192.0.2.30")
    other.send(response(other.take_request("INVITE"), 404))
    world.alice.take_response(404)


def test_what_nobody_has_said_for_long_is_forgotten() -> None:
    world = Neighbourly()
    refuse(world, REST)
    assert len(world.engine.neighbours) == 1
    world.wait(10.0 + BACK_S + 32.0)
    assert world.offer(1) == 1
    assert len(world.engine.neighbours) == 0


def test_no_more_than_a_bounded_number_is_remembered() -> None:
    world = Neighbourly()
    world.decisions = (lambda ask: to(ask.uri.host),)
    for number in range(1100):
        host = f"198.51.{100 + number // 250}.{number % 250 + 1}"
        world.call(uri=f"sip:bob@{host}")
        peer = world.peer(host)
        peer.send(response(peer.take_request("INVITE"), 503, REST))
    assert len(world.engine.neighbours) == 1024
    # Those are remembered that are still kept to; when they are over there is room again.
    world.wait(10.0 + BACK_S + 32.0)
    world.call(uri="sip:bob@203.0.113.1")
    peer = world.peer("203.0.113.1")
    peer.send(response(peer.take_request("INVITE"), 503, REST))
    assert len(world.engine.neighbours) == 1
