"""Calls that policy has followed, through the engine; what a call makes of it stands in
test_following."""

from oneproxy.engine.call import Call, CallEvent, Session
from oneproxy.engine.decisions import Forward, Target
from world import Peer, World, request, response


class Watcher:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[float, CallEvent]] = []
        self.call: Call | None = None

    def note(self, now: float, call: Call, event: CallEvent) -> None:
        self.events.append((now, event))
        self.call = call

    @property
    def names(self) -> list[str]:
        return [event.value for _, event in self.events]


def followed(session: Session | None = None, **kinds: int) -> tuple[World, Watcher]:
    watcher = Watcher()
    targets = [Target("sip:bob@192.0.2.20")]
    return World(Forward(targets, watch=watcher, session=session), **kinds), watcher  # type: ignore[arg-type]


CONTACT_A, CONTACT_B = "Contact: <sip:alice@192.0.2.10>", "Contact: <sip:bob@192.0.2.20>"


def answered(world: World, *headers: str) -> tuple[Peer, Peer, str]:
    """A call that is answered after a second of ringing; its route."""
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE", "sip:bob@example.com", CONTACT_A, *headers))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 180, to_tag="b"))
    world.wait(1)
    callee.send(response(invite, 200, CONTACT_B, to_tag="b"))
    caller.take_response(180)
    return caller, callee, f"Route: {caller.take_response(200).get('record-route')}"


def test_a_call_is_told_of_from_ringing_to_its_end() -> None:
    world, watcher = followed()
    start = world.now
    caller, callee, route = answered(world)
    assert watcher.names == ["first-response", "ringing", "answered"]
    world.wait(60)
    reason = "Reason: Q.850;cause=16"
    caller.send(request("BYE", "sip:bob@192.0.2.20", route, reason, branch="z9hG4bK2", cseq=2, to_tag="b"))
    world.wait(1)
    callee.send(response(callee.take_request("BYE"), 200))
    assert watcher.names[3:] == ["ended"]
    call = watcher.call
    assert call is not None
    assert (call.ended_by, call.reason, call.status) == ("caller", "Q.850;cause=16", 200)
    assert (call.answered_at, call.ended_at) == (start + 1, start + 61)
    assert world.engine.calls() == 0


def test_a_call_that_nobody_answers_is_given_up() -> None:
    world, watcher = followed()
    world.peer("192.0.2.10").send(request("INVITE"))
    world.wait(40)
    assert watcher.names == ["given-up"]
    assert watcher.call is not None
    assert watcher.call.status == 408


def test_a_cancelled_call_is_given_up_by_the_caller() -> None:
    world, watcher = followed()
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 180, to_tag="b"))
    caller.send(request("CANCEL", "sip:bob@example.com", "Reason: SIP;cause=200"))
    callee.send(response(invite, 487, to_tag="b"))
    assert watcher.names[-1] == "given-up"
    assert watcher.call is not None
    assert (watcher.call.ended_by, watcher.call.reason, watcher.call.status) == (
        "caller",
        "SIP;cause=200",
        487,
    )


def test_a_call_is_ended_from_the_side_by_a_bye_to_both() -> None:
    world, watcher = followed()
    caller, callee, _ = answered(world)
    assert watcher.call is not None
    world.engine.end(world.now, watcher.call, 'SIP;cause=503;text="over"')
    world.deliver()
    to_callee, to_caller = callee.take_request("BYE"), caller.take_request("BYE")
    assert (to_callee.uri, to_caller.uri) == ("sip:bob@192.0.2.20", "sip:alice@192.0.2.10")
    assert to_callee.get("from") == to_caller.get("to") == "<sip:alice@example.com>;tag=a"
    assert watcher.names[-1] == "ended"
    assert watcher.call.ended_by == "proxy"
    callee.send(response(to_callee, 200))
    caller.send(response(to_caller, 481))
    world.wait(300)
    assert world.engine.sizes() == {"servers": 0, "clients": 0}


def test_a_ringing_call_is_ended_from_the_side_by_giving_it_up() -> None:
    world, watcher = followed()
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE"))
    invite = callee.take_request("INVITE")
    callee.send(response(invite, 180, to_tag="b"))
    assert watcher.call is not None
    world.engine.end(world.now, watcher.call, "SIP;cause=503")
    world.deliver()
    callee.take_request("CANCEL")
    callee.send(response(invite, 487, to_tag="b"))
    assert caller.take_all() == ["SIP/2.0 180 Because", "SIP/2.0 487 Because"]
    assert watcher.names[-1] == "given-up"
    assert watcher.call.ended_by == "proxy"


def test_a_call_without_a_refresh_ends_by_its_session_timer() -> None:
    world, watcher = followed(Session(expires_s=120))
    caller, callee, route = answered(world, "Supported: timer")
    world.wait(100)
    caller.send(
        request(
            "UPDATE", "sip:bob@192.0.2.20", route, "Supported: timer", branch="z9hG4bK2", cseq=2, to_tag="b"
        )
    )
    callee.send(response(callee.take_request("UPDATE"), 200))
    world.wait(119)
    assert watcher.names[-1] == "answered"
    world.wait(2)
    assert watcher.names[-1] == "ended"
    assert watcher.call is not None
    assert watcher.call.ended_by == "timer"


def test_a_session_is_asked_for_in_the_invite_and_written_into_its_2xx() -> None:
    world, _ = followed(Session(expires_s=600))
    caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
    caller.send(request("INVITE", "sip:bob@example.com", "Supported: timer"))
    invite = callee.take_request("INVITE")
    assert invite.get("session-expires") == "600"
    for _ in range(2):  # a repeated 2xx is changed as the first one was
        callee.send(response(invite, 200, CONTACT_B, to_tag="b"))
        ok = caller.take_response(200)
        assert (ok.get("session-expires"), ok.get("require")) == ("600;refresher=uac", "timer")


def test_an_interval_that_is_too_small_is_refused() -> None:
    world, watcher = followed(Session(expires_s=600, min_s=300))
    caller = world.peer("192.0.2.10")
    caller.send(request("INVITE", "sip:bob@example.com", "Supported: timer", "Session-Expires: 100"))
    assert caller.take_response(422).get("min-se") == "300"
    assert watcher.names == ["given-up"]


def test_more_calls_than_there_is_room_for_are_refused() -> None:
    watcher = Watcher()
    world = World(Forward([Target("sip:bob@192.0.2.20")], watch=watcher), calls=1)
    for at in range(2):
        world.peer("192.0.2.10").send(request("INVITE", branch=f"z9hG4bK{at}", call_id=f"c{at}"))
    assert world.peer("192.0.2.20").take_all() == ["INVITE sip:bob@192.0.2.20 SIP/2.0"]
    assert world.peer("192.0.2.10").take_response(503).get("retry-after") == "10"
    assert world.engine.counters.dropped["calls-full"] == 1


def test_a_call_tried_at_several_places_is_one_call() -> None:
    watcher = Watcher()
    first = Forward([Target("sip:bob@192.0.2.20")], watch=watcher)
    world = World(first, Forward([Target("sip:bob@192.0.2.21")], watch=watcher))
    world.peer("192.0.2.10").send(request("INVITE"))
    one, two = world.peer("192.0.2.20"), world.peer("192.0.2.21")
    one.send(response(one.take_request("INVITE"), 503, to_tag="x"))
    assert watcher.names == []
    two.send(response(two.take_request("INVITE"), 200, CONTACT_B, to_tag="b"))
    assert watcher.names == ["first-response", "answered"]
    assert world.engine.calls() == 1
