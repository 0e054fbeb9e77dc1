"""REGISTER from the question to the answer, with the database played by the test."""

from collections.abc import Callable

import pytest

from asking import NOW, invite, register, shown
from oneproxy.engine.decisions import PENDING, Ask, Decision
from oneproxy.engine.flow import Flow, Listener
from oneproxy.policy.domains import Domains
from oneproxy.registrar.bindings import Binding, Change, Fate, static_binding
from oneproxy.registrar.location import Location
from oneproxy.registrar.mirror import Mirror
from oneproxy.registrar.step import MAX_WAITING, RESENT, TOGETHER, Registrar
from oneproxy.site.model import Domain, Site

DESK = "Contact: <sip:alice@192.0.2.4>"
MOBILE = "Contact: <sip:alice@192.0.2.5>"
SERVED = {
    "example.com": Domain("example.com"),
    "open.org": Domain("open.org", authenticate=()),
    "ajar.org": Domain("ajar.org", authenticate=("INVITE",)),
}


class Played:
    """A registrar whose writes wait until the test lets them be done."""

    def __init__(self, capacity: int = 100) -> None:
        self.location = Location(capacity)
        self.writes: list[tuple[Change, Callable[[Fate], None]]] = []
        self.answers: list[tuple[Ask, Decision]] = []
        self.has_room = True
        #: Open flows, by name.
        self.flows: dict[str, Flow] = {}
        domains = Domains(SERVED, {"192.0.2.1:5060", "192.0.2.1"})
        known = frozenset({"alice@example.com", "bob@example.com"})
        self.step = Registrar(
            self.location, domains.find, known, self.save, self.answer, self.flows.get, draw=lambda: 0.0
        )

    def save(self, change: Change, done: Callable[[Fate], None]) -> bool:
        if self.has_room:
            self.writes.append((change, done))
        return self.has_room

    def answer(self, ask: Ask, decision: Decision) -> None:
        self.answers.append((ask, decision))

    def commit(self, saved: bool = True) -> None:
        self.writes.pop(0)[1](Fate.STORED if saved else Fate.REFUSED)

    def contacts(self, aor: str = "alice@example.com") -> list[str]:
        return [binding.contact for binding in self.location.lookup(aor, NOW)]

    def registered(self, *headers: str, **how: object) -> Decision:
        """Decide on a REGISTER and commit its write at once; the final decision."""
        decision = self.step.decide(register(*headers, **how))  # type: ignore[arg-type]
        assert decision is not None
        if decision is PENDING:
            self.commit()
            return self.answers.pop()[1]
        return decision


def test_the_200_goes_out_and_calls_see_the_contact_only_when_it_is_committed() -> None:
    played = Played()
    ask = register(DESK)
    assert played.step.decide(ask) is PENDING
    assert (played.answers, played.contacts()) == ([], [])
    played.commit()
    assert played.contacts() == ["sip:alice@192.0.2.4"]
    assert [one for one, _ in played.answers] == [ask]
    status, _, headers = shown(played.answers[0][1])
    assert (status, headers[0]) == (200, "Contact: <sip:alice@192.0.2.4>;expires=3600")


def test_a_write_that_fails_is_answered_500_and_changes_nothing() -> None:
    played = Played()
    played.registered(DESK)
    assert played.step.decide(register(MOBILE, cseq=2)) is PENDING
    played.commit(saved=False)
    assert shown(played.answers[0][1]) == (500, "Server Internal Error", ("Retry-After: 5",))
    assert played.contacts() == ["sip:alice@192.0.2.4"]


def test_after_a_failed_write_the_same_request_may_come_again() -> None:
    played = Played()
    assert played.step.decide(register(DESK)) is PENDING
    played.commit(saved=False)
    assert shown(played.registered(DESK, cseq=2))[0] == 200


def test_a_full_queue_to_the_database_is_answered_503() -> None:
    played = Played()
    played.has_room = False
    assert shown(played.registered(DESK)) == (503, "Service Unavailable", ("Retry-After: 5",))
    played.has_room = True
    assert shown(played.registered(DESK))[0] == 200


def test_a_query_is_answered_at_once() -> None:
    played = Played()
    played.registered(DESK, "Expires: 120")
    status, _, headers = shown(played.step.decide(register(cseq=2, now=NOW + 20)))
    assert (status, headers[0]) == (200, "Contact: <sip:alice@192.0.2.4>;expires=100")
    assert played.writes == []


def test_removing_what_is_not_there_is_answered_at_once() -> None:
    played = Played()
    assert shown(played.step.decide(register(DESK, "Expires: 0")))[0] == 200
    assert played.writes == []


def test_removal_waits_for_its_commit_too() -> None:
    played = Played()
    played.registered(DESK)
    assert played.step.decide(register(DESK, "Expires: 0", cseq=2)) is PENDING
    assert played.contacts() == ["sip:alice@192.0.2.4"]
    played.commit()
    assert played.contacts() == []


def test_a_star_removes_every_contact() -> None:
    played = Played()
    played.registered(DESK, MOBILE)
    assert shown(played.registered("Contact: *", "Expires: 0", cseq=2))[0] == 200
    assert played.contacts() == []


def test_registers_of_one_address_take_their_turn() -> None:
    played = Played()
    first, second, third = register(DESK), register(MOBILE, cseq=2), register(cseq=3)
    assert [played.step.decide(ask) for ask in (first, second, third)] == [PENDING] * 3
    assert len(played.writes) == 1
    played.commit()
    assert [ask for ask, _ in played.answers] == [first]
    assert [change.stored[0].contact for change, _ in played.writes] == ["sip:alice@192.0.2.5"]
    played.commit()
    assert [ask for ask, _ in played.answers] == [first, second, third]
    assert len([line for line in shown(played.answers[2][1])[2] if line.startswith("Contact")]) == 2


def test_what_waited_is_judged_by_what_came_before_it() -> None:
    played = Played()
    played.step.decide(register(DESK, cseq=5))
    played.step.decide(register(DESK, "Expires: 0", cseq=4))
    played.commit()
    assert [shown(decision)[0] for _, decision in played.answers] == [200, 500]
    assert played.contacts() == ["sip:alice@192.0.2.4"]


def test_what_waited_behind_a_failed_write_still_gets_its_chance() -> None:
    played = Played()
    played.step.decide(register(DESK, cseq=1))
    played.step.decide(register(MOBILE, cseq=2))
    played.commit(saved=False)
    played.commit()
    assert [shown(decision)[0] for _, decision in played.answers] == [500, 200]
    assert played.contacts() == ["sip:alice@192.0.2.5"]


def test_what_waited_while_the_queue_filled_up_is_answered_503_one_by_one() -> None:
    played = Played()
    for cseq in (1, 2, 3):
        played.step.decide(register(DESK, cseq=cseq))
    played.has_room = False
    played.commit()
    assert [shown(decision)[0] for _, decision in played.answers] == [200, 503, 503]


def test_registers_of_different_addresses_do_not_wait_for_each_other() -> None:
    played = Played()
    played.step.decide(register(DESK))
    played.step.decide(register("Contact: <sip:bob@192.0.2.9>", to="<sip:bob@example.com>"))
    assert len(played.writes) == 2


def test_no_more_than_a_bounded_number_waits_for_one_address() -> None:
    played = Played()
    decisions = [played.step.decide(register(DESK, cseq=cseq)) for cseq in range(1, MAX_WAITING + 3)]
    assert decisions[:-1] == [PENDING] * (MAX_WAITING + 1)
    assert shown(decisions[-1])[0] == 503


def test_whoever_saves_may_call_back_at_once() -> None:
    played = Played()
    answers: list[Decision] = []

    def save(change: Change, done: Callable[[Fate], None]) -> bool:
        done(Fate.STORED)
        return True

    step = Registrar(
        played.location,
        Domains(SERVED, set()).find,
        frozenset({"alice@example.com"}),
        save,
        lambda _, one: answers.append(one),
        lambda name: None,
        draw=lambda: 0.0,
    )
    assert step.decide(register(DESK)) is PENDING
    assert [shown(answer)[0] for answer in answers] == [200]


def test_a_full_location_is_answered_503_but_takes_refreshes() -> None:
    played = Played(capacity=1)
    played.registered(DESK)
    assert shown(played.registered(MOBILE, cseq=2)) == (503, "Service Unavailable", ("Retry-After: 5",))
    assert shown(played.registered(DESK, cseq=3))[0] == 200


def test_writes_on_their_way_count_against_the_capacity() -> None:
    played = Played(capacity=1)
    bob = register("Contact: <sip:bob@192.0.2.9>", to="<sip:bob@example.com>")
    assert played.step.decide(register(DESK)) is PENDING
    assert shown(played.step.decide(bob))[0] == 503
    played.commit(saved=False)
    assert played.step.decide(bob) is PENDING


def test_expired_bindings_make_room_as_registers_come() -> None:
    played = Played(capacity=1)
    played.registered(DESK, "Expires: 60")
    later = register("Contact: <sip:bob@192.0.2.9>", to="<sip:bob@example.com>", now=NOW + 60)
    assert played.step.decide(later) is PENDING


@pytest.mark.parametrize(
    "to",
    [
        "<sip:carol@example.com>",
        "<sip:alice@elsewhere.org>",
        "<sip:zoe@open.org>",
        "<sip:example.com>",
    ],
)
def test_an_address_that_is_not_of_the_domain_is_not_found(to: str) -> None:
    assert shown(Played().step.decide(register(DESK, to=to))) == (404, "Not Found", ())


@pytest.mark.parametrize("to", ["<sip:alice@example.com:x>", "<tel:+12025550123>", "<isbn:2983792873>"])
def test_a_to_that_is_no_sip_uri_is_answered_400(to: str) -> None:
    assert shown(Played().step.decide(register(DESK, to=to))) == (400, "Bad To", ())


@pytest.mark.parametrize("domain", ["open.org", "ajar.org"])
def test_a_domain_where_nobody_proves_anything_to_register_takes_every_user(domain: str) -> None:
    played = Played()
    assert shown(played.registered(DESK, uri=f"sip:{domain}", to=f"<sip:zoe@{domain}>"))[0] == 200
    assert played.contacts(f"zoe@{domain}") == ["sip:alice@192.0.2.4"]


@pytest.mark.parametrize(
    "to", ["<sip:%61lice@EXAMPLE.com>", "<sips:alice@example.com>", '"A" <sip:alice@example.com;x=1>']
)
def test_spellings_of_one_address_share_its_bindings(to: str) -> None:
    played = Played()
    played.registered(DESK)
    assert shown(played.registered(MOBILE, to=to, cseq=2))[0] == 200
    assert len(played.contacts()) == 2


def test_a_user_part_in_the_request_uri_does_not_hurt() -> None:
    assert shown(Played().registered(DESK, uri="sip:alice@example.com"))[0] == 200


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (("Contact: <mailto:alice@example.com>",), "Bad Contact"),
        (("Contact: *",), "Bad Expires"),
        (("Contact: *", "Contact: <sip:a@b>", "Expires: 0"), "Bad Contact"),
    ],
)
def test_a_malformed_register_is_answered_400_with_what_is_bad(headers: tuple[str, ...], reason: str) -> None:
    assert shown(Played().step.decide(register(*headers))) == (400, reason, ())


def test_a_refusal_of_the_rules_is_the_answer() -> None:
    assert shown(Played().step.decide(register(DESK, "Expires: 5"))) == (
        423,
        "Interval Too Brief",
        ("Min-Expires: 60",),
    )


def test_browsers_that_are_gone_make_room_for_new_ones() -> None:
    played = Played()
    for number in range(10):
        name = f"wss/0a1b2c3d.{number}"
        flow = played.flows[name] = Flow(Listener("WSS", "192.0.2.1", 443), "192.0.2.7", 40_000, name)
        ask = register(f"Contact: <sip:alice@{number}.invalid;transport=ws>", call_id=str(number))
        ask.flow = flow
        assert played.step.decide(ask) is PENDING
        played.commit()
    assert shown(played.registered(DESK))[0] == 403
    del played.flows["wss/0a1b2c3d.3"], played.flows["wss/0a1b2c3d.7"]
    assert shown(played.registered(DESK))[0] == 200
    assert len(played.contacts()) == 9
    assert "sip:alice@3.invalid;transport=ws" not in played.contacts()


def test_a_phone_gets_its_flow_bound_and_is_told_so() -> None:
    played = Played()
    decision = played.registered(f'{DESK};+sip.instance="<urn:uuid:1>";reg-id=1', "Supported: outbound")
    assert "Require: outbound" in shown(decision)[2]
    [binding] = played.location.lookup("alice@example.com", NOW)
    assert binding.flow == "udp/192.0.2.1:5060/192.0.2.7:5062"


def test_other_methods_and_other_domains_pass() -> None:
    played = Played()
    assert played.step.decide(invite()) is None
    assert played.step.decide(register(DESK, uri="sip:elsewhere.org")) is None


def test_what_was_refused_while_it_waited_does_not_come_true() -> None:
    played = Played()
    assert played.step.decide(register(DESK, call_id="one")) is PENDING
    late = register("Contact: <sip:alice@192.0.2.77>", call_id="two")
    assert played.step.decide(late) is PENDING
    late.answered = True
    played.commit()
    assert (len(played.answers), played.writes, len(played.contacts())) == (1, [], 1)


class Away(Played):
    """A registrar whose database is away, and whose bindings are not all loaded."""

    def __init__(self, from_memory: bool, known: bool = True) -> None:
        super().__init__()
        self.location = Location(100, known)
        self.location.begin()
        if known:
            self.location.load([])
        self.asked: list[str] = []
        self.can_fetch = True
        self.mirror = Mirror(self.location, self.fetch, self.answer)
        self.domains = Domains(SERVED, {"192.0.2.1:5060", "192.0.2.1"})
        known_users = frozenset({"alice@example.com", "bob@example.com"})
        self.step = Registrar(
            self.location,
            self.domains.find,
            known_users,
            self.save,
            self.answer,
            self.flows.get,
            self.mirror,
            from_memory,
        )

    def fetch(self, aor: str) -> bool:
        if self.can_fetch:
            self.asked.append(aor)
        return self.can_fetch

    def end(self, fate: Fate) -> Change:
        """What was written last has this fate."""
        change, done = self.writes.pop(0)
        done(fate)
        return change


ALICE = "alice@example.com"


def test_without_a_database_a_register_that_changes_something_is_refused_and_a_query_is_not() -> None:
    played = Away(from_memory=False)
    played.registered(DESK)
    assert played.step.decide(register(MOBILE, cseq=2)) is PENDING
    change = played.end(Fate.UNKNOWN)
    assert shown(played.answers.pop()[1]) == (503, "Service Unavailable", ("Retry-After: 5",))
    played.has_room = False
    assert shown(played.registered(MOBILE, cseq=3))[0] == 503
    assert shown(played.registered(cseq=4))[0] == 200
    assert played.contacts() == ["sip:alice@192.0.2.4"]
    # It may have been stored: when that is possible again, it is taken back.
    played.has_room = True
    played.mirror.room()
    assert played.end(Fate.STORED) == Change(ALICE, (change.stored[0].contact,), (), (("reg-1", 2),))
    assert (played.location.unsaved, played.writes) == ({}, [])


def test_where_the_site_says_so_a_register_is_served_from_memory_and_stored_later() -> None:
    played = Away(from_memory=True)
    assert played.step.decide(register(DESK)) is PENDING
    played.end(Fate.UNKNOWN)
    assert shown(played.answers.pop()[1])[0] == 200
    played.has_room = False
    assert shown(played.registered(MOBILE, cseq=2))[0] == 200
    assert shown(played.registered(DESK, "Expires: 0", cseq=3))[0] == 200
    assert played.contacts() == ["sip:alice@192.0.2.5"]
    played.has_room = True
    played.mirror.room()
    [binding] = played.location.stored(ALICE)
    assert played.end(Fate.STORED) == Change(ALICE, ("sip:alice@192.0.2.4",), (binding,), (("reg-1", 3),))
    assert played.location.unsaved == {}


def test_the_site_may_say_otherwise_at_any_time() -> None:
    played = Away(from_memory=False)
    played.has_room = False
    played.step.take(Site({}, {}, without_database="memory"))
    assert shown(played.registered(DESK))[0] == 200
    played.step.take(Site({}, {}))
    assert shown(played.registered(DESK, cseq=2))[0] == 503


def test_what_of_an_address_was_not_stored_follows_a_register_that_is() -> None:
    played = Away(from_memory=True)
    played.has_room = False
    played.registered(DESK)
    played.has_room = True
    assert played.step.decide(register(MOBILE, cseq=2)) is PENDING
    played.mirror.room()
    # One change of an address at a time.
    assert [one.contact for one in played.writes[0][0].stored] == ["sip:alice@192.0.2.5"]
    assert len(played.writes) == 1
    played.end(Fate.STORED)
    assert shown(played.answers.pop()[1])[0] == 200
    assert [one.contact for one in played.end(Fate.STORED).stored] == ["sip:alice@192.0.2.4"]
    assert (played.location.unsaved, played.writes, len(played.contacts())) == ({}, [], 2)


def test_a_register_for_what_was_not_stored_puts_that_right_too() -> None:
    played = Away(from_memory=False)
    played.registered(DESK, call_id="one")
    assert played.step.decide(register(DESK, call_id="two", cseq=7)) is PENDING
    played.end(Fate.UNKNOWN)
    assert shown(played.answers.pop()[1])[0] == 503
    assert played.step.decide(register(DESK, call_id="two", cseq=6)) is PENDING
    change = played.end(Fate.STORED)
    # The one that may be stored would not give way to it.
    assert (change.removed, change.meant) == (("sip:alice@192.0.2.4",), (("two", 7),))
    assert (played.location.unsaved, played.writes) == ({}, [])


@pytest.mark.parametrize("fate", [Fate.REFUSED, Fate.UNFIT])
def test_what_was_not_stored_is_stored_also_after_a_register_that_is_refused(fate: Fate) -> None:
    played = Away(from_memory=True)
    played.has_room = False
    assert shown(played.step.decide(register(DESK)))[0] == 200
    played.has_room = True
    assert played.step.decide(register(MOBILE, call_id="other")) is PENDING
    played.end(fate)
    assert shown(played.answers.pop()[1])[0] == 500
    assert [one.contact for one in played.end(Fate.STORED).stored] == ["sip:alice@192.0.2.4"]
    assert (played.location.unsaved, played.location.unsaved_count) == ({}, 0)


def test_what_no_database_takes_is_dropped_alone_counted_and_told() -> None:
    played = Away(from_memory=True)
    told: list[str] = []
    played.step.on_dropped = told.append
    played.has_room = False
    assert shown(played.registered(DESK, MOBILE))[0] == 200
    assert shown(played.registered("Contact: <sip:bob@192.0.2.9>", to="<sip:bob@example.com>"))[0] == 200
    played.has_room = True
    played.mirror.room()
    for _ in range(10):
        if played.writes:
            change, done = played.writes.pop(0)
            odd = any(one.contact == "sip:alice@192.0.2.5" for one in change.stored)
            done(Fate.UNFIT if odd else Fate.STORED)
    assert (played.writes, played.location.unsaved, played.step._apart) == ([], {}, set())
    assert (told, played.step.dropped) == ([ALICE], 1)
    # It is there for as long as it was granted, or until the node ends.
    assert len(played.contacts()) == 2


def test_what_was_only_rolled_back_is_stored_again() -> None:
    played = Away(from_memory=True)
    played.has_room = False
    assert shown(played.registered(DESK))[0] == 200
    played.has_room = True
    played.mirror.room()
    played.end(Fate.REFUSED)
    played.end(Fate.STORED)
    assert (played.location.unsaved, played.writes, played.step.dropped) == ({}, [], 0)


def test_any_number_of_contacts_of_one_address_is_put_right_in_changes_of_bounded_size() -> None:
    """Where nobody knows what became of them: each may be in the database."""
    played = Away(from_memory=False)
    played.location.capacity = 1000
    domain = Domain("open.org", authenticate=(), max_contacts=200)
    played.domains.take(Site({"open.org": domain}, {}))
    contacts = [f"Contact: <sip:zoe@192.0.2.4:{number}>" for number in range(6001, 6201)]
    asked = register(*contacts, uri="sip:open.org", to="<sip:zoe@open.org>")
    assert played.step.decide(asked) is PENDING
    written = played.end(Fate.UNKNOWN)
    assert shown(played.answers.pop()[1])[0] == 503
    assert (len(written.stored), played.location.unsaved_count) == (200, 200)
    played.mirror.room()
    gone: list[str] = []
    while played.writes:
        change = played.end(Fate.STORED)
        assert len(change.removed) <= TOGETHER
        gone += change.removed
    assert gone == [binding.key for binding in written.stored]
    assert (played.location.unsaved, played.location.unsaved_count) == ({}, 0)


def test_while_too_much_may_be_otherwise_in_the_database_nothing_more_is_sent() -> None:
    played = Away(from_memory=False)
    played.location.capacity = 2
    assert played.step.decide(register(DESK, MOBILE)) is PENDING
    played.end(Fate.UNKNOWN)
    bob = register("Contact: <sip:bob@192.0.2.9>", to="<sip:bob@example.com>")
    assert shown(played.step.decide(bob))[0] == 503
    assert (played.writes, played.location.unsaved_count) == ([], 2)
    played.mirror.room()
    played.end(Fate.STORED)
    assert played.step.decide(bob) is PENDING


def test_no_more_is_stored_again_at_once_than_is_bounded_and_the_rest_follows() -> None:
    played = Away(from_memory=True)
    played.location.capacity = 2 * RESENT
    for number in range(RESENT + 10):
        one = Change(f"{number:04}@x", ("sip:gone",), ())
        assert played.location.keep_unsaved(one)
    played.mirror.room()
    assert len(played.writes) == RESENT
    while played.writes:
        played.end(Fate.STORED)
    assert played.location.unsaved == {}


def test_what_could_not_be_stored_again_waits_for_the_next_time() -> None:
    played = Away(from_memory=True)
    assert played.location.keep_unsaved(Change(ALICE, ("sip:gone",), ()))
    played.mirror.room()
    played.end(Fate.UNKNOWN)
    assert (list(played.location.unsaved), played.writes) == ([ALICE], [])
    played.has_room = False
    played.mirror.room()
    assert played.writes == []
    played.has_room = True
    played.mirror.room()
    played.end(Fate.STORED)
    assert played.location.unsaved == {}


def test_a_register_for_what_is_not_loaded_waits_until_it_has_been_fetched() -> None:
    played = Away(from_memory=False, known=False)
    ask = register(cseq=2)
    assert played.step.decide(ask) is PENDING
    late = register(cseq=3)
    assert played.step.decide(late) is PENDING
    late.answered = True
    assert (played.asked, played.writes) == ([ALICE], [])
    there = Binding("sip:alice@192.0.2.4", NOW + 9, 1000, "c", 1, "udp:192.0.2.7:5060", NOW)
    played.mirror.fetched([ALICE], [(ALICE, there)])
    assert [one for one, _ in played.answers] == [ask]
    assert shown(played.answers[0][1])[2][0] == "Contact: <sip:alice@192.0.2.4>;expires=9"


@pytest.mark.parametrize("can_fetch", [True, False])
def test_what_can_not_be_fetched_is_refused_or_taken_as_the_first_of_its_address(can_fetch: bool) -> None:
    for from_memory, headers, status in [
        (False, (DESK,), 503),
        (False, (), 503),
        (True, (DESK,), 200),
        (True, (), 503),
        (True, ("Contact: *", "Expires: 0"), 503),
    ]:
        played = Away(from_memory, known=False)
        played.can_fetch = can_fetch
        decision = played.step.decide(register(*headers))
        if can_fetch:
            assert decision is PENDING
            played.mirror.not_fetched([ALICE])
            decision = played.answers.pop()[1]
        assert shown(decision)[0] == status
        assert (played.writes, len(played.contacts())) == ([], int(status == 200))
        # When the rest is known it is put together with that, and stored.
        there = Binding("sip:alice@192.0.2.9", NOW + 9, 1000, "c", 1, "udp:192.0.2.7:5060", NOW)
        played.mirror.page([(ALICE, there)], True)
        assert len(played.contacts()) == 1 + int(status == 200)
        assert [change.aor for change, _ in played.writes] == [ALICE] * int(status == 200)


def test_a_binding_that_people_added_is_neither_replaced_nor_removed_nor_counted() -> None:
    played = Played()
    static = static_binding("sip:alice@192.0.2.4", 1000, NOW)
    played.location.apply(Change(ALICE, (), (static,)))
    assert shown(played.registered(MOBILE))[0] == 200
    # A phone at the very place adds nothing to it.
    status, _, headers = shown(played.registered(DESK, cseq=2))
    assert (status, len(headers)) == (200, 3)
    assert all(int(line.rpartition("=")[2]) < 2**32 for line in headers[:2])
    assert shown(played.registered("Contact: *", "Expires: 0", cseq=3))[0] == 200
    assert played.location.stored(ALICE) == [static]
    assert played.location.lookup(ALICE, NOW + 1e8) == [static]


def test_what_people_add_while_a_register_for_its_place_is_saved_stays() -> None:
    """The recorder stores one after the other, and tells of them in that order."""
    static = static_binding("sip:alice@192.0.2.4", 1000, NOW)
    played = Played()
    assert played.step.decide(register(DESK)) is PENDING
    played.location.changed(Change(ALICE, (), (static,)))
    played.commit()
    assert shown(played.answers.pop()[1])[0] == 200
    assert played.location.stored(ALICE) == [static]
    played = Played()
    assert played.step.decide(register(DESK)) is PENDING
    played.commit()
    played.location.changed(Change(ALICE, (), (static,)))
    assert played.location.stored(ALICE) == [static]


def test_what_people_add_is_true_though_a_register_for_its_place_was_not_stored() -> None:
    static = static_binding("sip:alice@192.0.2.4", 1000, NOW)
    for loaded in (True, False):
        played = Away(from_memory=True)
        played.has_room = False
        assert shown(played.registered(DESK, MOBILE))[0] == 200
        if loaded:
            played.mirror.fetched([ALICE], [(ALICE, static)])
        else:
            played.mirror.changed([Change(ALICE, (), (static,))])
        played.has_room = True
        played.mirror.room()
        assert [one.contact for one in played.end(Fate.STORED).stored] == ["sip:alice@192.0.2.5"]
        assert static in played.location.stored(ALICE)
        assert len(played.contacts()) == 2
        assert played.location.unsaved == {}
