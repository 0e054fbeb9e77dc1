"""A call that is followed again by another engine is there what it would have been in the first one."""

import re
from collections.abc import Callable
from operator import methodcaller
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import msgpack

from oneproxy.engine.call import Call, CallEvent, Session
from oneproxy.engine.core import Engine
from oneproxy.engine.decisions import Forward, Target
from oneproxy.engine.following import Following
from oneproxy.engine.standing import UNSEEN, Standing
from oneproxy.sip.message import Request
from world import Peer, World, request, response

INTERVALS = ["", "Session-Expires: 60", "Session-Expires: 100;refresher=uac", "Session-Expires: 9999"]
METHODS = ["INVITE", "UPDATE", "INFO", "BYE", "PRACK", "SUBSCRIBE"]
STATUSES = [200, 202, 401, 407, 408, 422, 481, 487, 503]

sessions = st.sampled_from(
    [None, Session(600), Session(600, bye=True), Session(300, 200, longest_s=5000), Session(longest_s=0)]
)
intervals = st.sampled_from(INTERVALS)
ports = st.sampled_from([5060, 5062, 0])
steps = st.one_of(
    st.tuples(
        st.just("within"),
        st.sampled_from(METHODS),
        st.booleans(),
        intervals,
        ports,
        st.sampled_from([*STATUSES, 0]),
        intervals,
    ),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 33.0, 99.0, 2000.0, 50_000.0])),
    st.tuples(st.just("end")),
)


def table(engine: Engine) -> Following:
    return engine.following


def contact(user: str, host: str, port: int) -> tuple[str, ...]:
    return (f"Contact: <sip:{user}@{host}:{port}>",) if port else ()


def timers(interval: str) -> tuple[str, ...]:
    return ("Supported: timer", interval) if interval else ()


class Side:
    """An engine in its world, with a call between two peers, and all that is told and sent."""

    def __init__(self) -> None:
        self.told: list[tuple[float, CallEvent, str, str]] = []
        self.world = World(self.decide)
        self.session: Session | None = None
        self.call: Call | None = None
        self.peers = [self.world.peer("192.0.2.10"), self.world.peer("192.0.2.20")]

    def decide(self, _ask: object) -> Forward:
        return Forward([Target("sip:bob@192.0.2.20")], watch=self, session=self.session)

    def note(self, now: float, call: Call, event: CallEvent) -> None:
        """The watch."""
        self.call = call
        self.told.append((now, event, call.ended_by, call.reason))

    def take(self) -> list[list[str]]:
        """What came to each peer, but for what is random."""
        taken = []
        for peer in self.peers:
            taken.append([plain(data) for data in peer.inbox])
            peer.inbox.clear()
        return taken

    def begin(self, session: Session | None, *headers: str) -> list[str]:
        """The call, answered after a second; the Routes that each side sends in it."""
        self.session = session
        caller, callee = self.peers
        caller.send(request("INVITE", "sip:bob@example.com", *contact("alice", "192.0.2.10", 5060), *headers))
        invite = callee.take_request("INVITE")
        callee.send(response(invite, 180, to_tag="b"))
        self.world.wait(1)
        callee.send(response(invite, 200, *contact("bob", "192.0.2.20", 5060), *headers, to_tag="b"))
        caller.take_response(180)
        ok = caller.take_response(200)
        ack = request("ACK", "sip:bob@192.0.2.20", f"Route: {ok.get('record-route')}", to_tag="b")
        caller.send(ack)
        callee.take_request("ACK")
        return [f"Route: {ok.get('record-route')}", f"Route: {invite.get('record-route')}"]

    def within(self, made: bytes, is_callee: bool, status: int, headers: tuple[str, ...]) -> None:
        """A request of the call, and its answer; status 0: there is none."""
        sender, receiver = reversed(self.peers) if is_callee else self.peers
        sender.send(made)
        if status and receiver.inbox:
            came = receiver.take()
            if isinstance(came, Request):
                receiver.send(response(came, status, *headers))
        self.world.wait(0 if status else 40)

    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    def end(self) -> None:
        assert self.call is not None
        self.world.engine.end(self.world.now, self.call, "SIP;cause=480")
        self.world.deliver()


def plain(data: bytes) -> str:
    """A message without what is drawn at random; a BYE of our own without its number."""
    text = re.sub(r"branch=z9hG4bK[^;\r]+", "branch=", data.decode("latin-1"))
    if text.count("\r\nVia") == 1 and text.startswith("BYE "):
        text = re.sub(r"CSeq: \d+", "CSeq: n", text)
    return text


def again(first: Side) -> Side:
    """The same call in an engine that never saw it."""
    assert first.call is not None
    standing = table(first.world.engine).standing(first.call)
    assert standing is not None
    kept = msgpack.decode(msgpack.encode(standing), type=Standing)
    assert kept == standing
    second = Side()
    second.world.now = first.world.now
    second.told = list(first.told)
    second.call = table(second.world.engine).adopt(second.world.now, kept, second)
    second.world.engine.expire(second.world.now)
    return second


def script(taken: list[tuple[Any, ...]], routes: list[str], first: int) -> list[Callable[[Side], None]]:
    """What each step does to a side. first: the number of the first request."""
    made: list[Callable[[Side], None]] = []
    for at, (name, *arguments) in enumerate(taken, first):
        if name != "within":
            made.append(methodcaller(name, *arguments))
            continue
        method, is_callee, interval, port, status, given = arguments
        if port == 0 and method in ("INVITE", "UPDATE"):
            port = 5060
        hosts = ("192.0.2.20", "192.0.2.10") if is_callee else ("192.0.2.10", "192.0.2.20")
        lines = (*contact("moved", hosts[0], port), *timers(interval), routes[is_callee])
        octets = request(
            method,
            f"sip:there@{hosts[1]}",
            *lines,
            via=hosts[0],
            branch=f"z9hG4bKr{at}",
            cseq=at + 2,
            from_tag="b" if is_callee else "a",
            to_tag="a" if is_callee else "b",
        )
        headers = (*timers(given), *contact("there", hosts[1], port))
        made.append(methodcaller("within", octets, is_callee, status, headers))
    return made


@settings(max_examples=150, deadline=None)
@given(sessions, st.sampled_from(INTERVALS[:1] + INTERVALS[2:]), st.lists(steps, max_size=5), st.lists(steps))
def test_an_adopted_call_is_what_it_would_have_been(
    session: Session | None, interval: str, before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]
) -> None:
    first = Side()
    is_short = session is not None and session.min_s > 100
    routes = first.begin(session, *timers("" if is_short else interval))
    for step in script(before, routes, 0):
        if first.world.engine.calls():
            step(first)
    first.world.wait(40)
    if not first.world.engine.calls():
        return
    first.take()
    second = again(first)
    for at, step in enumerate(script(after, routes, len(before))):
        step(first)
        step(second)
        assert first.take() == second.take(), at
        assert first.told == second.told, at
        assert first.world.engine.calls() == second.world.engine.calls()
    for side in (first, second):
        side.wait(100_000)
    assert first.told == second.told
    assert first.call is not None
    assert second.call is not None
    # What became of targets is of who saw it: its record is what lasts of that.
    fields = [name for name in Call.__slots__ if name not in ("watch", "attempts")]
    assert [getattr(first.call, name) for name in fields] == [getattr(second.call, name) for name in fields]


def test_the_bye_for_a_side_is_above_what_it_sent_since_it_was_kept() -> None:
    first = Side()
    routes = first.begin(Session(600, bye=True))
    second = again(first)
    peers: list[Peer] = second.peers
    peers[0].send(request("INFO", "sip:bob@192.0.2.20", routes[0], branch="z9hG4bK9", cseq=77, to_tag="b"))
    peers[1].send(response(peers[1].take_request("INFO"), 200))
    peers[0].inbox.clear()
    second.end()
    byes = [peer.take_request("BYE").get("cseq") for peer in reversed(peers)]
    assert byes == [f"{UNSEEN + 2} BYE", f"{UNSEEN + 1} BYE"]
