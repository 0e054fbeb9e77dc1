"""RFC 7339: overload control between neighbours, on both sides."""

from neighbourly import ASKING, Neighbourly, answer, to
from oneproxy.engine.telling import VALID_MS
from oneproxy.sip.oc import read_feedback
from world import PROXY, World, request, response

# The client's side: who has sent a request.


def test_4_1_a_request_to_a_server_asks_and_has_no_value() -> None:
    world = Neighbourly()
    world.call()
    via = world.bob.take_request("INVITE").get("via") or ""
    assert via.startswith(f"SIP/2.0/UDP {PROXY}:5060{ASKING};branch=z9hG4bKn1.")


def test_4_1_nobody_is_asked_where_the_site_says_so() -> None:
    world = Neighbourly()
    world.engine.neighbours.asks = False
    world.call()
    assert "oc" not in (world.bob.take_request("INVITE").get("via") or "")


def test_5_4_a_value_takes_its_share_of_new_calls() -> None:
    world = Neighbourly()
    world.slow(';oc=30;oc-algo="loss";oc-validity=60000;oc-seq=1.0')
    came = world.offer(1000)
    assert 660 <= came <= 740
    assert world.kept == [("192.0.2.20", "oc")] * (1000 - came)
    assert world.engine.counters.slowed == {"oc": 1000 - came}


def test_4_3_a_value_holds_for_500_ms_where_it_does_not_say_how_long() -> None:
    world = Neighbourly()
    world.slow(";oc=100;oc-seq=1.0")
    world.wait(0.49)
    assert world.offer(3) == 0
    world.wait(0.01)
    assert world.offer(3) == 3


def test_4_3_a_value_holds_for_as_long_as_it_says() -> None:
    world = Neighbourly()
    world.slow(";oc=100;oc-validity=3000;oc-seq=1.0")
    world.wait(2.99)
    assert world.offer(3) == 0
    world.wait(0.01)
    assert world.offer(3) == 3


def test_no_value_holds_for_longer_than_a_minute() -> None:
    world = Neighbourly()
    world.slow(";oc=100;oc-validity=999999999;oc-seq=1.0")
    world.wait(60.0)
    assert world.offer(3) == 3


def test_4_4_a_value_that_was_overtaken_is_ignored() -> None:
    world = Neighbourly()
    # Two calls go out; the answer to the first comes after that to the second.
    world.call()
    world.call()
    first, second = world.bob.inbox.popleft(), world.bob.inbox.popleft()
    world.bob.inbox.append(second)
    answer(world.bob, 486, ";oc=0;oc-validity=60000;oc-seq=2.50000")
    world.bob.inbox.clear()
    world.bob.inbox.append(first)
    answer(world.bob, 486, ";oc=100;oc-validity=60000;oc-seq=2.49999")
    world.bob.inbox.clear()
    assert world.offer(3) == 3


def test_4_4_after_the_end_too_a_value_that_was_overtaken_is_ignored() -> None:
    world = Neighbourly()
    world.call()
    late = world.bob.inbox.popleft()
    world.slow(";oc=100;oc-validity=60000;oc-seq=5.0", 180)
    world.call(method="MESSAGE")
    assert world.bob.has_nothing
    world.bob.inbox.append(late)
    answer(world.bob, 180, ";oc=0;oc-validity=0;oc-seq=6.0")
    world.wait(5.0)
    world.call()
    answer(world.bob, 486, ";oc=100;oc-validity=60000;oc-seq=5.5")
    world.bob.inbox.clear()
    assert world.offer(3) == 3


def test_5_7_a_validity_of_0_ends_it_whatever_the_value() -> None:
    world = Neighbourly()
    world.call()
    waiting = world.bob.inbox.popleft()
    world.slow(";oc=100;oc-validity=60000;oc-seq=1.0")
    assert world.offer(3) == 0
    world.bob.inbox.append(waiting)
    answer(world.bob, 486, ";oc=70;oc-validity=0;oc-seq=2.0")
    world.bob.inbox.clear()
    assert world.offer(3) == 3


def test_5_7_a_value_of_0_ends_it() -> None:
    world = Neighbourly()
    world.call()
    waiting = world.bob.inbox.popleft()
    world.slow(";oc=100;oc-validity=60000;oc-seq=1.0")
    world.bob.inbox.append(waiting)
    answer(world.bob, 486, ";oc=0;oc-seq=2.0")
    world.bob.inbox.clear()
    assert world.offer(3) == 3


def test_a_100_tells_it_as_well() -> None:
    world = Neighbourly()
    world.slow(";oc=100;oc-seq=1.0", 100)
    assert world.offer(3) == 0


def test_who_was_not_asked_tells_nothing() -> None:
    world = Neighbourly(to(source="udp:192.0.2.20:5060"))
    world.call()
    came = world.bob.take_request("INVITE")
    assert "oc" not in (came.get("via") or "")
    told = response(came, 486).replace(b";branch=", b";oc=100;oc-seq=1.0;branch=", 1)
    world.bob.send(told)
    world.bob.inbox.clear()
    assert world.offer(3) == 3


def test_10_what_does_not_come_from_where_the_request_went_tells_nothing() -> None:
    world = Neighbourly()
    world.call()
    came = world.bob.inbox.popleft()
    stranger = world.peer("192.0.2.66")
    stranger.inbox.append(came)
    answer(stranger, 486, ";oc=100;oc-validity=60000;oc-seq=1.0", "Retry-After: 60")
    world.bob.inbox.clear()
    assert world.offer(3) == 3


def test_5_10_what_is_not_sent_is_answered_503_without_retry_after() -> None:
    world = Neighbourly()
    world.slow(";oc=100;oc-validity=60000;oc-seq=1.0")
    world.call()
    assert world.bob.has_nothing
    assert world.alice.take_response(503).get("retry-after") is None


def test_5_10_another_target_may_take_what_is_not_sent() -> None:
    world = Neighbourly(to(), to(), to("192.0.2.30"))
    world.slow(";oc=100;oc-validity=60000;oc-seq=1.0", 180)
    world.call()
    world.peer("192.0.2.30").take_request("INVITE")
    error = world.asked[2].outcomes[0]
    assert (error.status, error.error) == (503, "oc")


def test_5_10_1_what_is_urgent_goes_on() -> None:
    world = Neighbourly()
    world.engine.gate.emergency = frozenset(("112",))
    world.slow(";oc=100;oc-validity=60000;oc-seq=1.0")
    world.call(uri="sip:112@example.com")
    world.bob.take_request("INVITE")
    world.call("Resource-Priority: esnet.1")
    world.bob.take_request("INVITE")
    world.call("Resource-Priority: dsn.flash")
    assert world.bob.has_nothing


def test_5_10_1_what_is_inside_of_a_dialog_goes_on_and_asks_too() -> None:
    world = Neighbourly()
    world.call()
    invite = world.bob.take_request("INVITE")
    contact = "Contact: <sip:bob@192.0.2.20>"
    world.bob.send(response(invite, 200, contact, to_tag="b"))
    ok = world.alice.take_response(200)
    route = (ok.get("record-route") or "").replace("Record-Route", "Route")
    world.slow(";oc=100;oc-validity=60000;oc-seq=1.0")
    assert world.offer(3) == 0
    for number, method in enumerate(("ACK", "INFO", "BYE"), 2):
        world.alice.send(
            request(
                method,
                "sip:bob@192.0.2.20",
                f"Route: {route}",
                branch=f"z9hG4bKd{number}",
                call_id="call-1",
                cseq=1 if method == "ACK" else number,
                to_tag="b",
            )
        )
        came = world.bob.take_request(method)
        assert (ASKING in (came.get("via") or "")) is (method != "ACK")


def test_5_10_1_a_cancel_goes_on() -> None:
    world = Neighbourly()
    world.call()
    invite = world.bob.take_request("INVITE")
    world.bob.send(response(invite, 180))
    world.slow(";oc=100;oc-validity=60000;oc-seq=1.0")
    world.alice.send(request("CANCEL", branch="z9hG4bKc1", call_id="call-1"))
    assert ASKING in (world.bob.take_request("CANCEL").get("via") or "")


def test_5_4_what_is_told_to_us_goes_no_further_up() -> None:
    world = Neighbourly()
    world.engine.telling.is_on = False
    world.alice.send(request("INVITE", via=f"192.0.2.10{ASKING}"))
    invite = world.bob.take_request("INVITE")
    # What asks of the neighbour above goes down as it came.
    assert [ASKING in one for one in invite.all("via")] == [True, True]
    lie = b';oc=90;oc-algo="loss";oc-validity=9000;oc-seq=1.0'
    world.bob.send(response(invite, 486).replace(ASKING.encode(), lie))
    via = world.alice.take_response(486).get("via")
    assert via == f"SIP/2.0/UDP 192.0.2.10{ASKING};branch=z9hG4bK1"


# The server's side: who is sent requests.


def told_of(world: World, method: str = "OPTIONS", **keys: str) -> str:
    """The Via of what a neighbour is answered who asks; keys: of its request."""
    peer = world.peer("192.0.2.10")
    asking = keys.pop("asking", ASKING)
    peer.send(request(method, via=f"192.0.2.10{asking}", **keys))  # type: ignore[arg-type]
    data = peer.inbox.pop().decode("latin-1")
    return data.partition("Via: ")[2].partition("\r\n")[0]


def test_5_1_the_first_answer_says_that_we_would_and_nothing_more_comes_while_there_is_room() -> None:
    world = Neighbourly()
    uri = "sip:example.com"
    feedback = read_feedback(told_of(world, uri=uri))
    assert feedback is not None
    assert (feedback.loss_percent, feedback.valid_s) == (0, 0.0)
    assert told_of(world, uri=uri, branch="z9hG4bK2").count("oc=") == 1
    world.wait(1.0)
    via = told_of(world, uri=uri, branch="z9hG4bK3")
    assert via == f"SIP/2.0/UDP 192.0.2.10{ASKING};branch=z9hG4bK3"


def test_4_1_to_4_4_in_overload_every_answer_says_how_much_for_how_long_and_when() -> None:
    world = Neighbourly()
    world.overload(40)
    via = told_of(world, uri="sip:example.com")
    assert via == (
        f'SIP/2.0/UDP 192.0.2.10;oc=40;oc-algo="loss";oc-validity={VALID_MS};'
        f"oc-seq={world.now:.5f};branch=z9hG4bK1"
    )


def test_4_1_who_does_not_ask_is_told_nothing() -> None:
    world = Neighbourly()
    world.overload(40)
    assert "oc" not in told_of(world, uri="sip:example.com", asking="")
    assert "oc=" not in told_of(world, uri="sip:example.com", asking=';oc;oc-algo="rate"', branch="z9hG4bK2")


def test_nobody_is_told_anything_where_the_site_says_so() -> None:
    world = Neighbourly()
    world.engine.telling.is_on = False
    world.overload(40)
    assert "oc=" not in told_of(world, uri="sip:example.com")


def test_4_1_a_100_and_what_is_passed_on_say_it_too() -> None:
    world = Neighbourly()
    world.overload(40)
    world.alice.send(request("INVITE", via=f"192.0.2.10;rport{ASKING}"))
    world.wait(0.2)
    for status in (100, 180, 200):
        if status > 100:
            world.bob.inbox.append(world.bob.inbox[0])
            world.bob.send(response(world.bob.take_request("INVITE"), status, to_tag="b"))
        feedback = read_feedback(world.alice.take_response(status).get("via") or "")
        assert feedback is not None
        assert feedback.loss_percent == 40


def test_5_7_the_end_is_told_for_a_minute_with_a_higher_number() -> None:
    world = Neighbourly()
    world.overload(40)
    before = read_feedback(told_of(world, uri="sip:example.com"))
    world.overload(0)
    world.wait(0.001)
    after = read_feedback(told_of(world, uri="sip:example.com", branch="z9hG4bK2"))
    assert before is not None
    assert after is not None
    assert (after.loss_percent, after.valid_s) == (0, 0.0)
    assert after.seq > before.seq
    world.wait(60.0)
    assert "oc=" not in told_of(world, uri="sip:example.com", branch="z9hG4bK3")


class Shut:
    """A limit that is reached for ever."""

    cause = "calls-per-period"
    follows = False

    def full_until(self, now: float) -> float:
        return now + 1.0

    def begun(self, now: float) -> None:
        raise AssertionError

    def refused(self, now: float) -> None:
        pass


def test_5_10_2_a_refusal_from_its_octets_says_it_and_has_no_retry_after() -> None:
    world = Neighbourly()
    world.engine.gate.limit = Shut()
    told_of(world, uri="sip:example.com")  # its Via is known from now on
    world.overload(40)
    world.engine.gate.look_again()
    requests = world.engine.counters.requests
    world.alice.send(request("INVITE", via=f"192.0.2.10{ASKING}", branch="z9hG4bK2"))
    refusal = world.alice.take_response(503)
    assert world.engine.counters.requests == requests
    assert ";oc=40;" in (refusal.get("via") or "")
    assert refusal.get("retry-after") is None
    world.alice.send(request("INVITE", branch="z9hG4bK3"))
    assert world.alice.take_response(503).get("retry-after") is not None


def test_who_was_told_and_is_trusted_is_known_to_send_less_for_as_long_as_that_holds() -> None:
    world = Neighbourly()
    gate = world.engine.gate
    told_of(world, uri="sip:example.com")
    assert not gate.heeds(world.now, world.alice.flow)
    world.overload(40)
    told_of(world, uri="sip:example.com", branch="z9hG4bK2")
    assert gate.heeds(world.now, world.alice.flow)
    assert not gate.heeds(world.now, world.bob.flow)
    assert not gate.heeds(world.now + VALID_MS / 1000.0, world.alice.flow)
    world.engine.trust.trusts = lambda _flow, _method: False
    assert not gate.heeds(world.now, world.alice.flow)


# Both: one OneProxy before another.


def test_half_of_the_new_calls_and_none_in_a_dialog_are_held_back_for_a_node_that_is_overloaded() -> None:
    first = Neighbourly(to("192.0.2.2"))
    second = Neighbourly(to("192.0.2.30"), host="192.0.2.2")
    down, up, callee = first.peer("192.0.2.2"), second.peer(PROXY), second.peer("192.0.2.30")

    def carry() -> None:
        while down.inbox or up.inbox or callee.inbox:
            if down.inbox:
                up.send(down.inbox.popleft())
            elif up.inbox:
                down.send(up.inbox.popleft())
            else:
                came = callee.take()
                if came.method != "ACK":  # type: ignore[union-attr]
                    contact = "Contact: <sip:bob@192.0.2.30>"
                    callee.send(response(came, 200, contact, to_tag="b"))  # type: ignore[arg-type]

    second.overload(50)
    calls, refused, ended = 1000, 0, 0
    for number in range(calls):
        call_id = f"call-{number}"
        first.alice.send(request("INVITE", branch=f"z9hG4bKi{number}", call_id=call_id))
        carry()
        answered = first.alice.take()
        if answered.status == 503:  # type: ignore[union-attr]
            refused += 1
            first.alice.send(request("ACK", branch=f"z9hG4bKi{number}", call_id=call_id))
            continue
        route = ", ".join(reversed(answered.all("record-route")))
        for cseq, method in ((1, "ACK"), (2, "BYE")):
            first.alice.send(
                request(
                    method,
                    "sip:bob@192.0.2.30",
                    f"Route: {route}",
                    branch=f"z9hG4bK{method}{number}",
                    call_id=call_id,
                    cseq=cseq,
                    to_tag="b",
                )
            )
            carry()
        first.alice.take_response(200)
        ended += 1
        first.wait(0.001)
        second.wait(0.001)
    assert ended + refused == calls
    assert 450 <= refused <= 550
    # Each that was sent was taken: what had been held back was not refused once more.
    assert second.engine.counters.calls == ended
    assert first.engine.counters.slowed == {"oc": refused}
    # The last word holds for its time, then everything goes out again.
    second.overload(0)
    first.wait(VALID_MS / 1000.0)
    first.alice.send(request("INVITE", branch="z9hG4bKlast", call_id="last"))
    carry()
    first.alice.take_response(200)
