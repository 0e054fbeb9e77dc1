"""However pages, fetches, changes, breaks and outages follow each other: memory equals the database.

So it does with phones whose connections close, several flows of one contact, phones that go to
another machine and are overtaken by themselves, bindings added by hand, changes that no database
can store, and a domain that goes and comes back meanwhile.

A node's registrar and mirror, and a database with a recorder that the machine plays. What the
recorder says travels in a queue, in the order of what it did; the machine decides when
the database does something and when the node hears of it.
"""

from collections import deque
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from asking import FLOW, NOW, register
from oneproxy.engine.decisions import PENDING, Ask, Decision, Reply
from oneproxy.engine.flow import Flow, Listener
from oneproxy.policy.domains import Domains
from oneproxy.registrar.bindings import Binding, Change, Fate, meaning, static_binding
from oneproxy.registrar.location import Location
from oneproxy.registrar.mirror import Mirror
from oneproxy.registrar.rules import apply_change
from oneproxy.registrar.step import Registrar
from oneproxy.site.model import Domain, Site

USERS = ("a", "b", "c", "d")
CONTACTS = ("sip:1@h", "sip:2@h", "sip:3@h")
AORS = tuple(f"{user}@open.org" for user in USERS)
SERVED = {"open.org": Domain("open.org", authenticate=())}
#: Of the phones that register here.
CALL_ID = "reg-1"
#: No database can store it.
UNFIT = "sip:long@h"
WS = Listener("WS", "192.0.2.1", 80)


class Mirroring(RuleBasedStateMachine):
    """Time stands still, so nothing expires."""

    def __init__(self) -> None:
        super().__init__()
        self.location = Location(100, known=False)
        self.mirror = Mirror(self.location, self.fetch, self.answer)
        self.domains = Domains(SERVED, set())
        #: Open connections, by number; each is another one once it was closed.
        self.flows: dict[int, Flow] = {}
        self.opened = 0
        self.step = Registrar(
            self.location,
            self.domains.find,
            frozenset(),
            self.save,
            self.answer,
            lambda name: next((flow for flow in self.flows.values() if flow.name == name), None),
            self.mirror,
        )
        #: AoRs that were served from memory with what no database takes.
        self.odd: set[str] = set()
        #: Whether it was ever unknown what became of a change.
        self.lost = False
        self.database: dict[str, list[Binding]] = {}
        #: On their way to the recorder, and what it said, on its way to the node.
        self.changes: deque[tuple[Change, Callable[[Fate], None]]] = deque()
        self.fetches: list[str] = []
        #: What the recorder has done of it, and the node has not heard.
        self.unanswered: deque[tuple[Change, Callable[[Fate], None]]] = deque()
        self.asked: list[str] = []
        self.said: deque[Callable[[], object]] = deque()
        self.away = False
        self.available = True
        self.loading_after: str | None = None
        self.pending: set[int] = set()
        self.kept: list[Ask] = []
        self.cseq = 0

    # What the node asks of its link.

    def save(self, change: Change, done: Callable[[Fate], None]) -> bool:
        if self.available:
            self.changes.append((change, done))
        return self.available

    def fetch(self, aor: str) -> bool:
        if self.available:
            self.fetches.append(aor)
        return self.available

    def answer(self, ask: Ask, decision: Decision) -> None:
        self.pending.remove(id(ask))
        assert isinstance(decision, Reply)

    def apply(self, change: Change) -> None:
        self.database[change.aor] = apply_change(self.database.get(change.aor, []), change)

    def rows(self, aor: str) -> list[tuple[str, Binding]]:
        return [(aor, binding) for binding in self.database.get(aor, [])]

    @initialize(
        there=st.sets(st.sampled_from([(aor, contact) for aor in AORS for contact in CONTACTS])),
        mode=st.sampled_from(["refuse", "memory"]),
        loaded=st.booleans(),
    )
    def the_database_has_something(self, there: set[tuple[str, str]], mode: str, loaded: bool) -> None:
        self.the_site_says(mode)
        for aor, contact in sorted(there):
            self.apply(Change(aor, (), (self.made(contact, 0),)))
        self.begin()
        if loaded:
            self.the_recorder_reads_a_page(len(AORS))
            self.said.popleft()()

    def made(self, contact: str, cseq: int) -> Binding:
        return Binding(contact, NOW + 60, 1000, "other", cseq, "udp:192.0.2.9:5060", NOW)

    def begin(self) -> None:
        self.mirror.begin()
        self.loading_after = ""

    @rule(
        user=st.sampled_from(USERS),
        contacts=st.lists(st.sampled_from((*CONTACTS, UNFIT)), max_size=2, unique=True),
        expires_s=st.sampled_from([0, 600]),
        number=st.integers(0, 3),
    )
    def a_phone_registers(self, user: str, contacts: list[str], expires_s: int, number: int) -> None:
        """number: of its connection; 0: it sends a datagram."""
        self.cseq += 1
        headers = [f"Contact: <{contact}>" for contact in contacts] or (
            ["Contact: *"] if expires_s == 0 else []
        )
        if len(contacts) == 1 and number > 1:
            # Several flows with one contact.
            headers = [f'{headers[0]};+sip.instance="<urn:a>";reg-id={number}', "Supported: outbound"]
        ask = register(
            *headers,
            f"Expires: {expires_s}",
            uri="sip:open.org",
            to=f"<sip:{user}@open.org>",
            call_id=CALL_ID,
            cseq=self.cseq,
        )
        if number:
            ask.flow = self.connected(number)
        self.kept.append(ask)
        if self.step.decide(ask) is PENDING:
            self.pending.add(id(ask))

    def connected(self, number: int) -> Flow:
        """The connection of this number, opened where it is not."""
        if number not in self.flows:
            self.opened += 1
            self.flows[number] = Flow(WS, FLOW.host, 40_000 + self.opened, f"ws/a.{self.opened}")
        return self.flows[number]

    @precondition(lambda self: self.flows)
    @rule(number=st.integers(0, 2))
    def a_connection_closes(self, number: int) -> None:
        flow = self.flows.pop(sorted(self.flows)[number % len(self.flows)])
        self.step.closed(NOW, flow)

    @rule(there=st.booleans())
    def the_domain_goes_or_comes_back(self, there: bool) -> None:
        self.domains.take(Site(SERVED if there else {}, {}))

    @precondition(lambda self: self.changes or self.away)
    @rule(number=st.integers(1, 4), stored=st.booleans())
    def the_recorder_commits(self, number: int, stored: bool) -> None:
        taken = [self.changes.popleft() for _ in range(min(number, len(self.changes)))]
        if not self.away:
            for change, done in taken:
                self.unanswered.append((change, done))
                if any(binding.contact == UNFIT for binding in change.stored):
                    self.said.append(self.is_refused)
                    self.odd.update(self.location.unsaved.keys() & {change.aor})
                    continue
                self.apply(change)
                self.said.append(self.is_stored)
        elif taken:
            self.unanswered += taken
            if stored:
                # The connection broke during the commit: nobody knows.
                for change, _ in taken:
                    if all(binding.contact != UNFIT for binding in change.stored):
                        self.apply(change)
            self.said.append(self.is_gone)

    @precondition(lambda self: self.fetches and not self.away)
    @rule()
    def the_recorder_fetches(self) -> None:
        aors, self.fetches = list(dict.fromkeys(self.fetches)), []
        rows = [row for aor in aors for row in self.rows(aor)]
        self.asked += aors
        self.said.append(lambda: self.found(aors, rows))

    @precondition(lambda self: self.loading_after is not None and not self.away)
    @rule(size=st.integers(1, 3))
    def the_recorder_reads_a_page(self, size: int) -> None:
        assert self.loading_after is not None
        left = [aor for aor in AORS if aor > (self.loading_after or "") and self.database.get(aor)]
        aors, last = left[:size], len(left) <= size
        rows = [row for aor in aors for row in self.rows(aor)]
        self.loading_after = None if last else aors[-1]
        self.said.append(lambda: self.mirror.page(rows, last))

    @precondition(lambda self: not self.away)
    @rule(
        aor=st.sampled_from(AORS),
        contact=st.sampled_from(CONTACTS),
        removed=st.booleans(),
        call_id=st.sampled_from(["other", CALL_ID]),
        late=st.integers(-1, 3),
    )
    def somebody_else_changes_something(
        self, aor: str, contact: str, removed: bool, call_id: str, late: int
    ) -> None:
        """At another machine: by a phone of theirs, or one of ours. late: by how much it was overtaken."""
        self.cseq += 1
        made = structs.replace(self.made(contact, max(self.cseq - late, 0)), call_id=call_id)
        change = Change(aor, (contact,), (), (meaning(made),)) if removed else Change(aor, (), (made,))
        self.apply(change)
        self.said.append(lambda: self.mirror.changed([change]))

    @precondition(lambda self: not self.away)
    @rule(aor=st.sampled_from(AORS), contact=st.sampled_from(CONTACTS), all_of_it=st.booleans())
    def a_binding_is_added_or_all_are_removed_by_hand(self, aor: str, contact: str, all_of_it: bool) -> None:
        keys = tuple(binding.key for binding in self.database.get(aor, []))
        change = Change(aor, keys, ()) if all_of_it else Change(aor, (), (static_binding(contact, 1, NOW),))
        self.apply(change)
        self.said.append(lambda: self.mirror.changed([change]))

    @precondition(lambda self: self.said)
    @rule(number=st.integers(1, 4))
    def the_node_hears(self, number: int) -> None:
        for _ in range(number):
            if self.said:
                self.said.popleft()()

    @rule(really=st.sampled_from([False, False, False, False, True]))
    def the_recorder_dies_and_comes_back(self, really: bool) -> None:
        """What it said and was not heard is lost; what was not answered is sent again, in order."""
        if not really:
            return
        self.said.clear()
        self.changes = deque([*self.unanswered, *self.changes])
        self.unanswered.clear()
        self.fetches = [*self.asked, *self.fetches]
        self.asked = []
        self.begin()
        if not self.away:
            self.is_back()

    @precondition(lambda self: not self.away)
    @rule(stored=st.booleans())
    def the_database_goes(self, stored: bool) -> None:
        self.away = True
        self.the_recorder_commits(4, stored)

    @precondition(lambda self: self.away)
    @rule()
    def the_database_comes_back(self) -> None:
        self.away = False
        self.said.append(self.is_back)

    @rule(mode=st.sampled_from(["refuse", "memory"]))
    def the_site_says(self, mode: str) -> None:
        self.step.take(Site({}, {}, without_database=mode))

    def is_stored(self) -> None:
        self.unanswered.popleft()[1](Fate.STORED)

    def is_refused(self) -> None:
        self.unanswered.popleft()[1](Fate.UNFIT)

    def found(self, aors: list[str], rows: list[tuple[str, Binding]]) -> None:
        """As the link: what was given up is not handed on."""
        wanted = [aor for aor in aors if aor in self.asked]
        self.asked = [aor for aor in self.asked if aor not in wanted]
        self.mirror.fetched(wanted, [row for row in rows if row[0] in wanted])

    def is_gone(self) -> None:
        """As the link: whoever waits is told that nobody knows; nothing is taken."""
        self.lost = True
        self.available = False
        changes = [*self.unanswered, *self.changes]
        self.said = deque(one for one in self.said if one not in (self.is_stored, self.is_refused))
        self.unanswered.clear()
        # What is on its way is committed all the same, and nobody waits for its answer.
        self.changes = deque((change, lambda _: None) for change, _ in self.changes)
        aors = list(dict.fromkeys([*self.asked, *self.fetches]))
        self.asked, self.fetches = [], []
        for _, done in changes:
            done(Fate.UNKNOWN)
        self.mirror.not_fetched(aors)

    def is_back(self) -> None:
        self.available = True
        self.mirror.room()

    @invariant()
    def bindings_are_counted(self) -> None:
        tables: list[dict[str, list[Binding]]] = [self.location._bindings, self.location._before or {}]
        assert self.location.count == sum(len(bindings) for table in tables for bindings in table.values())
        assert self.location.unsaved_count == sum(map(len, self.location.unsaved.values()))

    def teardown(self) -> None:
        """Everything comes to its end: everybody is answered, and memory is the database."""
        if self.away:
            self.the_database_comes_back()
        if self.loading_after is None and self.fetches:
            self.the_recorder_fetches()
        for _ in range(1000):
            if self.changes:
                self.the_recorder_commits(4, True)
            elif self.fetches:
                self.the_recorder_fetches()
            elif self.loading_after is not None:
                self.the_recorder_reads_a_page(2)
            elif self.said:
                self.the_node_hears(4)
            elif not self.available:
                self.is_back()
            else:
                break
        else:
            raise AssertionError("it never ends")
        assert self.pending == set()
        assert self.location.unsaved == {}
        assert self.step._writes == {}
        assert len(self.step._departures) == 0
        open_flows = {flow.name for flow in self.flows.values()}
        for aor in AORS:
            assert self.location.knows(aor)
            bindings = set(self.location.lookup(aor, NOW))
            if aor in self.odd:
                # What cannot be stored was accepted while nobody could say so; the rest is stored.
                bindings = {one for one in bindings if one.contact != UNFIT}
            bound = [binding.flow for binding in self.location.lookup(aor, NOW)]
            # What was refused and may be stored all the same comes with a load, and its time ends.
            assert self.lost or {flow for flow in bound if flow.startswith("ws/")} <= open_flows
            assert bindings == set(self.database.get(aor, []))


Mirroring.TestCase.settings = settings(max_examples=600, stateful_step_count=40, deadline=None)
test_in_the_end_memory_is_the_database = Mirroring.TestCase
