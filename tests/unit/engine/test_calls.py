"""Followed calls and requests of our own through the whole engine."""

from oneproxy.engine.call import Call, CallEvent, Session
from oneproxy.engine.decisions import Forward, Result, Target
from oneproxy.engine.origin import originated
from oneproxy.sip.message import Request
from world import PROXY, START, Peer, World, request, response

FIRST, RINGING, ANSWERED, ENDED, GIVEN_UP = CallEvent
ALICE = "Contact: <sip:alice@192.0.2.10>"
BOB = "Contact: <sip:bob@192.0.2.20>"


class Watched(World):
    """A world in which calls to bob are followed."""

    def __init__(self, session: Session | None = None) -> None:
        super().__init__(lambda _: Forward([Target("sip:bob@192.0.2.20")], watch=self, session=session))
        self.events: list[tuple[float, CallEvent]] = []
        self.call = Call("", "", 0.0, self)
        self.caller = self.peer("192.0.2.10")
        self.callee = self.peer("192.0.2.20")

    def note(self, now: float, call: Call, event: CallEvent) -> None:
        """The watch."""
        self.events.append((now - START, event))
        self.call = call

    def invite(self, *headers: str) -> Request:
        """The INVITE as it comes to the callee."""
        self.caller.send(request("INVITE", "sip:bob@example.com", ALICE, *headers))
        return self.callee.take_request("INVITE")

    def answer(self, *headers: str) -> Request:
        """A call that was answered, as it came to the callee."""
        invite = self.invite(*headers)
        self.callee.send(response(invite, 200, BOB, to_tag="b"))
        self.caller.take_response(200)
        self.send(self.caller, invite, "ACK", 1)
        self.callee.take_request("ACK")
        return invite

    def send(self, sender: Peer, invite: Request, method: str, cseq: int, *headers: str) -> None:
        """A request of the dialog that this INVITE has made."""
        is_caller = sender is self.caller
        sender.send(
            request(
                method,
                "sip:bob@192.0.2.20" if is_caller else "sip:alice@192.0.2.10",
                f"Route: {invite.get('record-route')}",
                *headers,
                branch=f"z9hG4bK{method}{cseq}",
                via=sender.flow.host,
                cseq=cseq,
                from_tag="a" if is_caller else "b",
                to_tag="b" if is_caller else "a",
            )
        )

    def end(self, reason: str = "") -> None:
        """End the call from the side."""
        self.engine.end(self.now, self.call, reason)
        self.deliver()


def test_a_call_is_followed_from_its_invite_to_its_bye() -> None:
    world = Watched()
    invite = world.invite()
    world.wait(1)
    world.callee.send(response(invite, 180, to_tag="b"))
    world.wait(1)
    world.callee.send(response(invite, 200, BOB, to_tag="b"))
    world.wait(1)
    world.caller.take_all()
    world.send(world.callee, invite, "BYE", 1, "Reason: Q.850;cause=16")
    bye = world.caller.take_request("BYE")
    world.wait(1)
    world.caller.send(response(bye, 200))
    assert world.events == [(1, FIRST), (1, RINGING), (2, ANSWERED), (4, ENDED)]
    assert (world.call.ended_by, world.call.ended_at, world.call.reason) == (
        "callee",
        START + 3,
        "Q.850;cause=16",
    )
    assert world.engine.calls() == 0


def test_a_bye_that_nobody_answers_ends_the_call_too() -> None:
    world = Watched()
    world.send(world.caller, world.answer(), "BYE", 2)
    world.wait(40)
    assert world.events[2:] == [(32, ENDED)]
    assert (world.call.ended_by, world.call.ended_at) == ("caller", START)


def test_a_call_that_is_refused_is_given_up() -> None:
    world = Watched()
    world.callee.send(response(world.invite(), 486, to_tag="b"))
    assert world.events == [(0, GIVEN_UP)]
    assert (world.call.status, world.engine.calls()) == (486, 0)


def test_a_call_that_nobody_answers_is_given_up() -> None:
    world = Watched()
    world.invite()
    world.wait(33)
    assert world.events == [(32, GIVEN_UP)]
    assert (world.call.status, world.engine.calls()) == (408, 0)


def test_a_call_that_is_cancelled_is_given_up_with_the_487() -> None:
    world = Watched()
    invite = world.invite()
    world.callee.send(response(invite, 180, to_tag="b"))
    world.caller.send(request("CANCEL", "sip:bob@example.com", "Reason: SIP;cause=200"))
    world.callee.take_request("CANCEL")
    world.wait(1)
    world.callee.send(response(invite, 487, to_tag="b"))
    assert world.events == [(0, FIRST), (0, RINGING), (1, GIVEN_UP)]
    assert (world.call.ended_by, world.call.status, world.call.reason) == ("caller", 487, "SIP;cause=200")


def test_a_full_table_refuses_the_call() -> None:
    world = Watched()
    world.answer()
    world.engine.following._capacity = 1  # what [capacity] says
    world.caller.send(request("INVITE", "sip:bob@example.com", call_id="call-2", branch="z9hG4bKb"))
    assert world.caller.take_response(503).get("retry-after") == "10"
    assert world.callee.has_nothing


def test_an_answered_call_is_ended_from_the_side() -> None:
    world = Watched()
    world.answer()
    world.wait(5)
    world.end("SIP;cause=480")
    for peer, uri, tags in (
        (world.callee, "sip:bob@192.0.2.20", ("a", "b")),
        (world.caller, "sip:alice@192.0.2.10", ("b", "a")),
    ):
        bye = peer.take_request("BYE")
        assert bye.uri == uri
        assert (bye.get("from") or "").endswith(f";tag={tags[0]}")
        assert (bye.get("to") or "").endswith(f";tag={tags[1]}")
        assert (bye.get("call-id"), bye.get("reason")) == ("call-1", "SIP;cause=480")
        assert (bye.get("via") or "").startswith(f"SIP/2.0/UDP {PROXY}:5060;branch=z9hG4bK")
        peer.send(response(bye, 200))
    assert world.events[2:] == [(5, ENDED)]
    assert (world.call.ended_by, world.engine.calls()) == ("proxy", 0)
    world.end()
    world.wait(60)
    assert world.engine.sizes() == {"servers": 0, "clients": 0}


def test_a_call_that_rings_is_cancelled_when_it_is_ended_from_the_side() -> None:
    world = Watched()
    invite = world.invite()
    world.callee.send(response(invite, 180, to_tag="b"))
    world.end("SIP;cause=480")
    world.callee.take_request("CANCEL")
    world.callee.send(response(invite, 487, to_tag="b"))
    assert world.caller.take_all()[-1] == "SIP/2.0 487 Because"
    assert world.events[2:] == [(0, GIVEN_UP)]
    assert (world.call.ended_by, world.call.reason) == ("proxy", "SIP;cause=480")


def test_a_call_answered_while_it_is_being_ended_from_the_side_gets_its_byes() -> None:
    world = Watched()
    invite = world.invite()
    world.callee.send(response(invite, 180, to_tag="b"))
    world.end()
    world.callee.send(response(invite, 200, BOB, to_tag="b"))
    world.wait(0.5)
    assert world.caller.take_all()[-2:] == ["SIP/2.0 200 Because", "BYE sip:alice@192.0.2.10 SIP/2.0"]
    assert world.callee.take_all()[-1].startswith("BYE ")
    assert world.events[2:] == [(0, ANSWERED), (0.5, ENDED)]


def test_session_timers_are_asked_for_and_the_caller_is_told_to_refresh() -> None:
    world = Watched(Session(600))
    invite = world.invite("Supported: timer")
    assert invite.all("session-expires") == ["600"]
    for _ in range(2):
        world.callee.send(response(invite, 200, BOB, to_tag="b"))
        answer = world.caller.take_response(200)
        assert answer.all("session-expires") == ["600;refresher=uac"]
        assert answer.all("require") == ["timer"]
        assert len(answer.all("via")) == 1
    world.wait(601)
    assert world.events[2:] == [(600, ENDED)]
    assert world.call.ended_by == "timer"


def test_a_refresh_keeps_the_call() -> None:
    world = Watched(Session(600))
    invite = world.answer("Supported: timer")
    world.wait(300)
    world.callee.inbox.clear()
    world.send(world.caller, invite, "UPDATE", 2, "Supported: timer", "Session-Expires: 900;refresher=uac")
    update = world.callee.take_request("UPDATE")
    assert update.all("session-expires") == ["600;refresher=uac"]
    world.callee.send(response(update, 200, "Session-Expires: 600;refresher=uac"))
    world.wait(599)
    assert world.events[2:] == []
    world.wait(2)
    assert world.events[2:] == [(900, ENDED)]


def test_an_interval_too_small_is_refused() -> None:
    world = Watched(Session(600))
    world.caller.send(request("INVITE", "sip:bob@example.com", "Supported: timer", "Session-Expires: 30"))
    assert world.caller.take_response(422).all("min-se") == ["90"]
    assert world.callee.has_nothing
    assert world.events == [(0, GIVEN_UP)]
    assert world.call.status == 422


def test_the_answer_to_a_request_of_our_own_comes_back_with_its_time() -> None:
    world = World()
    results: list[tuple[float, Result]] = []
    probe = originated(
        "OPTIONS",
        "sip:192.0.2.30",
        from_="<sip:p@example.com>;tag=p",
        to="<sip:192.0.2.30>",
        call_id="p",
        cseq=1,
    )
    world.engine.originate(world.now, probe, lambda now, result: results.append((now, result)))
    world.deliver()
    world.wait(0.25)
    gateway = world.peer("192.0.2.30")
    gateway.send(response(gateway.take_request("OPTIONS"), 200, to_tag="g"))
    (now, result) = results[0]
    assert (now, len(results)) == (START + 0.25, 1)
    assert (result.status, result.error, result.response_time_s) == (200, None, 0.25)
    assert result.response is not None


def test_a_followed_call_hears_of_what_policy_is_asked_about_and_begins_no_other() -> None:
    world = Watched()
    invite = world.answer()
    elsewhere = world.peer("192.0.2.30")
    for cseq, method in ((2, "INVITE"), (3, "BYE")):
        route = f"Route: {invite.get('record-route')}"
        branch = f"z9hG4bKe{method}"
        uri = "sip:bob@192.0.2.30"
        world.caller.send(request(method, uri, route, ALICE, branch=branch, cseq=cseq, to_tag="b"))
        elsewhere.send(response(elsewhere.take_request(method), 200, "Contact: <sip:bob@192.0.2.30>"))
        world.caller.take_response(200)
        assert world.engine.calls() == (1 if method == "INVITE" else 0)
    assert world.engine.counters.calls == 1
    assert [event for _, event in world.events] == [FIRST, ANSWERED, ENDED]
    assert (world.call.ended_by, len(world.asked)) == ("caller", 2)


def test_a_session_timer_refuses_what_policy_is_asked_about_too() -> None:
    world = Watched(Session(expires_s=1800, min_s=900))
    invite = world.answer("Supported: timer")
    lines = (f"Route: {invite.get('record-route')}", "Supported: timer", "Session-Expires: 100")
    uri = "sip:bob@192.0.2.30"
    world.caller.send(request("UPDATE", uri, *lines, branch="z9hG4bKu", cseq=2, to_tag="b"))
    assert world.caller.take_response(422).get("min-se") == "900"
    assert (world.peer("192.0.2.30").has_nothing, world.engine.calls()) == (True, 1)
