"""Whatever the network loses, repeats and reorders: the engine keeps its promises."""

import gc
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from oneproxy.engine.client import ClientTransaction
from oneproxy.engine.context import Context
from oneproxy.engine.decisions import Forward, Target
from oneproxy.engine.server import ServerTransaction
from oneproxy.sip.message import Request, Response, split
from world import World, request, response

PHONES = ("192.0.2.20", "192.0.2.30")
TWO = Forward([Target(f"sip:bob@{host}") for host in PHONES])

#: Statuses that a phone may answer an INVITE with, in whatever order.
STATUSES = st.sampled_from([100, 180, 183, 200, 302, 404, 486, 487, 500, 503, 603])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("invite"), st.just(0)),
        st.tuples(st.just("cancel"), st.just(0)),
        st.tuples(st.just("ack"), st.just(0)),
        st.tuples(st.just("first"), STATUSES),
        st.tuples(st.just("second"), STATUSES),
        st.tuples(st.just("cancelled"), st.integers(0, 1)),
        st.tuples(st.just("wait"), st.sampled_from([1, 60, 500, 4000, 33_000])),
        st.tuples(st.just("unreachable"), st.integers(0, 1)),
    ),
    max_size=25,
)


class Played:
    """One caller, two phones, and everything that was sent between them."""

    def __init__(self) -> None:
        self.world = World(TWO)
        self.caller = self.world.peer("192.0.2.10")
        self.phones = [self.world.peer(host) for host in PHONES]
        self.finals: list[int] = []
        self.invites: list[Request | None] = [None, None]
        self.cancels: list[Request | None] = [None, None]

    def look(self) -> None:
        """Take what has come."""
        while self.caller.inbox:
            message = self.caller.take()
            if isinstance(message, Response) and message.cseq_method() == "INVITE" and message.status >= 200:
                self.finals.append(message.status)
        for number, phone in enumerate(self.phones):
            while phone.inbox:
                got = phone.take()
                assert isinstance(got, Request)
                if got.method == "INVITE":
                    self.invites[number] = got
                elif got.method == "CANCEL":
                    self.cancels[number] = got

    def answer(self, number: int, status: int) -> None:
        invite = self.invites[number]
        if invite is not None:
            self.phones[number].send(response(invite, status, to_tag=f"t{number}"))

    def confirm(self, number: int) -> None:
        cancel = self.cancels[number]
        if cancel is not None:
            self.phones[number].send(response(cancel, 200))

    def lose(self, number: int) -> None:
        invite = self.invites[number]
        if invite is not None:
            self.world.engine.unreachable(self.world.now, invite.bytes())
            self.world.deliver()

    def step(self, what: str, value: int) -> None:
        steps: dict[str, Callable[[], None]] = {
            "invite": lambda: self.caller.send(request("INVITE")),
            "cancel": lambda: self.caller.send(request("CANCEL")),
            "ack": lambda: self.caller.send(request("ACK", to_tag="x")),
            "first": lambda: self.answer(0, value),
            "second": lambda: self.answer(1, value),
            "cancelled": lambda: self.confirm(value),
            "wait": lambda: self.world.wait(value / 1000),
            "unreachable": lambda: self.lose(value),
        }
        steps[what]()
        self.look()


@settings(deadline=None, max_examples=80)
@given(STEPS)
def test_an_invite_has_one_kind_of_end_and_leaves_nothing_behind(steps: list[tuple[str, int]]) -> None:
    gc.collect()
    gc.disable()
    try:
        played = Played()
        for what, value in [("invite", 0), *steps]:
            played.step(what, value)
        # Timer C, the CANCEL that follows it, and what is remembered of both.
        for _ in range(10):
            played.step("wait", 33_000)
        assert played.finals
        failures = {status for status in played.finals if status >= 300}
        assert len(failures) <= 1 or played.world.engine.counters.calls > 1
        assert played.world.engine.sizes() == {"servers": 0, "clients": 0}
        assert played.world.engine.unanswered() == 0
        played.world.asked.clear()
        kinds = (ServerTransaction, ClientTransaction, Context)
        assert [one for one in gc.get_objects() if isinstance(one, kinds)] == []
    finally:
        gc.enable()


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_no_octets_whatever_raise_or_go_to_a_third_party(data: st.DataObject) -> None:
    world = World(TWO)
    sender = world.peer("192.0.2.10")
    template = bytearray(data.draw(st.sampled_from([request("INVITE"), request("ACK"), request("CANCEL")])))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(template) - 1))
        piece = data.draw(
            st.sampled_from([b"\0", b"\r\n", b"\n", b" ", b",", b";", b'"', b"<", b">", b":", b"\xff"])
        )
        template[at : at + data.draw(st.integers(0, 3))] = piece
    sender.send(bytes(template))
    message = split(bytes(template))
    if isinstance(message, Request):
        sender.send(response(message, 200)) if message.first.get("via") else None
    assert {host for host, _ in world.peers} <= {"192.0.2.10", *PHONES}
