"""What becomes of bindings when the connections close that they came over."""

from collections.abc import Callable

import pytest

from asking import NOW, register, shown
from oneproxy.engine.decisions import PENDING, Ask, Decision
from oneproxy.engine.flow import Flow, Listener
from oneproxy.policy.domains import Domains
from oneproxy.registrar.bindings import Binding, Change, Fate, meaning
from oneproxy.registrar.departures import AT_ONCE
from oneproxy.registrar.location import Location
from oneproxy.registrar.step import Registrar
from oneproxy.site.model import Domain, Site

AOR = "zoe@open.org"
PAGE = "<sip:zoe@x.invalid;transport=ws>"
BEHIND_NAT = "<sip:zoe@192.168.1.5:5062;transport=tcp>"
PUBLIC = "<sip:zoe@203.0.113.9:5062;transport=tcp>"
OUTBOUND = ';+sip.instance="<urn:uuid:1>";reg-id=1'


class Played:
    """A registrar, its connections, and a database that the test has commit."""

    def __init__(self) -> None:
        self.location = Location(100_000)
        self.flows: dict[str, Flow] = {}
        self.writes: list[tuple[Change, Callable[[Fate], None]]] = []
        self.answers: list[tuple[Ask, Decision]] = []
        self.has_room = True
        self.most = 0
        domains = Domains({"open.org": Domain("open.org", authenticate=())}, set())
        self.step = Registrar(
            self.location, domains.find, (), self.save, self.answer, self.flows.get, draw=lambda: 0.0
        )

    def save(self, change: Change, done: Callable[[Fate], None]) -> bool:
        assert change.aor not in [other.aor for other, _ in self.writes], "two writes of one address at once"
        if self.has_room:
            self.writes.append((change, done))
            self.most = max(self.most, len(self.writes))
        return self.has_room

    def answer(self, ask: Ask, decision: Decision) -> None:
        self.answers.append((ask, decision))

    def open(self, transport: str = "WSS", number: int = 1) -> Flow:
        name = f"{transport.lower()}/0a.{number}"
        flow = self.flows[name] = Flow(Listener(transport, "192.0.2.1", 443), "203.0.113.9", 40_000, name)
        return flow

    def close(self, flow: Flow) -> None:
        del self.flows[flow.name]
        self.step.closed(NOW, flow)

    def ask(self, flow: Flow, contact: str, *headers: str, user: str = "zoe", cseq: int = 1) -> Ask:
        ask = register(
            f"Contact: {contact}", *headers, uri="sip:open.org", to=f"<sip:{user}@open.org>", cseq=cseq
        )
        ask.flow = flow
        return ask

    def register(self, flow: Flow, contact: str, *headers: str, user: str = "zoe", cseq: int = 1) -> None:
        assert self.step.decide(self.ask(flow, contact, *headers, user=user, cseq=cseq)) is PENDING
        self.commit()
        assert shown(self.answers.pop()[1])[0] == 200

    def commit(self, fate: Fate = Fate.STORED) -> Change:
        change, done = self.writes.pop(0)
        done(fate)
        return change

    def contacts(self, aor: str = AOR) -> list[str]:
        return [binding.contact for binding in self.location.lookup(aor, NOW)]


@pytest.mark.parametrize(
    ("transport", "contact", "headers", "goes"),
    [
        ("WSS", PAGE, (), True),
        ("WS", PAGE, (), True),
        ("TCP", PUBLIC + OUTBOUND, ("Supported: outbound",), True),
        ("TLS", PUBLIC + OUTBOUND, ("Supported: outbound",), True),
        ("TCP", PUBLIC + OUTBOUND, (), False),
        ("TCP", PUBLIC, (), False),
        ("TLS", PUBLIC, (), False),
        ("TCP", BEHIND_NAT, (), True),
    ],
)
def test_a_binding_goes_with_its_connection_where_that_alone_led_to_it(
    transport: str, contact: str, headers: tuple[str, ...], goes: bool
) -> None:
    played = Played()
    flow = played.open(transport)
    played.register(flow, contact, *headers)
    played.close(flow)
    if goes:
        [binding] = played.location.lookup(AOR, NOW)
        assert played.commit() == Change(AOR, (binding.key,), (), (meaning(binding),))
    assert (played.writes, len(played.contacts())) == ([], 0 if goes else 1)


def test_other_contacts_of_the_user_stay() -> None:
    played = Played()
    first, second = played.open(number=1), played.open(number=2)
    played.register(first, PAGE)
    played.register(second, "<sip:zoe@y.invalid;transport=ws>", cseq=2)
    played.register(played.open("TCP", 3), PUBLIC, cseq=3)
    played.close(first)
    played.commit()
    assert played.contacts() == ["sip:zoe@y.invalid;transport=ws", "sip:zoe@203.0.113.9:5062;transport=tcp"]


def test_a_page_that_is_loaded_again_before_its_old_connection_is_seen_to_close_stays() -> None:
    played = Played()
    first, second = played.open(number=1), played.open(number=2)
    played.register(first, PAGE)
    played.register(second, PAGE, cseq=2)
    played.close(first)
    assert (played.writes, len(played.contacts())) == ([], 1)


def test_what_registers_while_a_binding_leaves_waits_its_turn_and_stays() -> None:
    played = Played()
    first = played.open()
    played.register(first, PAGE)
    played.close(first)
    again = played.ask(played.open(number=2), PAGE, cseq=2)
    assert played.step.decide(again) is PENDING
    assert len(played.writes) == 1
    played.commit()
    played.commit()
    assert [one for one, _ in played.answers] == [again]
    assert len(played.contacts()) == 1


def test_a_connection_that_closes_while_its_register_is_saved_takes_the_binding_with_it() -> None:
    played = Played()
    flow = played.open()
    assert played.step.decide(played.ask(flow, PAGE)) is PENDING
    waiting = played.ask(played.open(number=2), "<sip:zoe@y.invalid;transport=ws>", cseq=2)
    assert played.step.decide(waiting) is PENDING
    played.close(flow)
    for _ in range(3):
        played.commit()
    assert [shown(decision)[0] for _, decision in played.answers] == [200, 200]
    assert (played.writes, played.contacts()) == ([], ["sip:zoe@y.invalid;transport=ws"])


def test_all_who_registered_over_a_connection_leave_with_it() -> None:
    played = Played()
    flow = played.open()
    for number in range(3000):
        played.register(flow, PAGE, user=f"user{number}")
    played.close(flow)
    while played.writes:
        played.commit()
    assert played.location.count == 0


def test_who_has_left_a_connection_long_ago_is_not_remembered_with_it() -> None:
    played = Played()
    flow = played.open()
    for number in range(5000):
        played.register(flow, PAGE, user=f"user{number}")
        played.register(flow, PAGE, "Expires: 0", user=f"user{number}", cseq=2)
    assert len(played.step._departures._aors[flow.name]) < 1024
    played.close(flow)
    assert played.writes == []
    assert len(played.step._departures) == 0


def test_ten_thousand_connections_that_close_at_once_make_no_storm() -> None:
    played = Played()
    flows = [played.open(number=number) for number in range(10_000)]
    for number, flow in enumerate(flows):
        played.register(flow, PAGE, user=f"user{number}")
    played.most = 0
    for flow in flows:
        played.close(flow)
    assert len(played.writes) == AT_ONCE
    while played.writes:
        played.commit()
    assert (played.most, played.location.count) == (AT_ONCE, 0)


def test_while_there_is_no_room_for_the_change_it_waits() -> None:
    played = Played()
    flow, other = played.open(number=1), played.open(number=2)
    played.register(flow, PAGE)
    played.has_room = False
    played.close(flow)
    assert (played.writes, len(played.contacts())) == ([], 1)
    played.has_room = True
    played.register(other, "<sip:bob@x.invalid;transport=ws>", user="bob")
    played.commit()
    assert played.contacts() == []


def test_what_the_database_refuses_is_not_tried_without_end() -> None:
    played = Played()
    flow = played.open()
    played.register(flow, PAGE)
    played.close(flow)
    played.commit(Fate.REFUSED)
    assert (played.writes, len(played.contacts())) == ([], 1)


def test_whoever_saves_may_call_back_at_once() -> None:
    played = Played()
    flows = [played.open(number=number) for number in range(2000)]
    for number, flow in enumerate(flows):
        played.register(flow, PAGE, user=f"user{number}")

    def save(change: Change, done: Callable[[Fate], None]) -> bool:
        done(Fate.STORED)
        return True

    played.step._departures._save = save
    for flow in flows:
        played.close(flow)
    assert played.location.count == 0


def test_what_is_bound_over_the_connections_of_another_node_stays() -> None:
    played = Played()
    flow = played.open()
    played.register(flow, PAGE)
    elsewhere = Binding(
        "sip:zoe@y.invalid;transport=ws", NOW + 60, 0, "c", 1, "wss:192.0.2.9:1", NOW, flow="wss/0b.1"
    )
    played.location.changed(Change(AOR, (), (elsewhere,)))
    played.close(flow)
    assert played.commit().removed == ("sip:zoe@x.invalid;transport=ws",)
    assert played.location.stored(AOR) == [elsewhere]


def test_who_could_not_leave_does_so_when_there_is_room_again() -> None:
    played = Played()
    flow = played.open()
    played.register(flow, PAGE)
    played.has_room = False
    played.close(flow)
    assert (played.writes, len(played.contacts())) == ([], 1)
    played.has_room = True
    played.step.resend()
    played.commit()
    assert played.location.stored(AOR) == []


def test_who_comes_and_goes_while_nothing_can_be_saved_takes_no_more_room_each_time() -> None:
    played = Played()
    played.step.take(Site({}, {}, without_database="memory"))
    played.has_room = False
    for number in range(1, 50):
        flow = played.open(number=number)
        decision = played.step.decide(played.ask(flow, PAGE, cseq=number))
        assert shown(decision)[0] == 200
        played.close(flow)
    assert max(map(len, played.step._departures._leaving.values())) <= 2


def test_those_who_leave_while_their_registers_are_saved_are_looked_at_once_each() -> None:
    played = Played()
    flow = played.open()
    for cseq in (1, 2):
        for number in range(1000):
            ask = played.ask(flow, PAGE, user=f"user{number}", cseq=cseq)
            assert played.step.decide(ask) is PENDING
        while cseq == 1 and played.writes:
            played.commit()
    played.close(flow)
    departures = played.step._departures
    assert (len(departures), len(departures._leaving)) == (1000, 0)
    while played.writes:
        played.commit()
    assert (played.location.count, len(departures)) == (0, 0)
