"""However writes succeed, fail and find no room, every REGISTER is answered once, and truly."""

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from asking import NOW, register
from oneproxy.engine.decisions import PENDING, Ask, Decision, Reply
from oneproxy.policy.domains import Domains
from oneproxy.registrar.bindings import Binding, Change, Fate
from oneproxy.registrar.location import Location
from oneproxy.registrar.rules import apply_change
from oneproxy.registrar.step import Registrar
from oneproxy.site.model import Domain

USERS = ("alice", "bob")


class Registering(RuleBasedStateMachine):
    """A registrar between phones and a database that the machine plays."""

    def __init__(self) -> None:
        super().__init__()
        self.location = Location(6)
        self.database: dict[str, list[Binding]] = {}
        self.writes: list[tuple[Change, Callable[[Fate], None]]] = []
        self.pending: set[int] = set()
        self.kept: list[Ask] = []
        self.has_room = True
        self.cseq = 0
        served = {"open.org": Domain("open.org", authenticate=())}
        self.step = Registrar(
            self.location,
            Domains(served, set()).find,
            frozenset(),
            self.save,
            self.answer,
            lambda name: None,
        )

    def save(self, change: Change, done: Callable[[Fate], None]) -> bool:
        assert change.aor not in [other.aor for other, _ in self.writes], "two writes of one address at once"
        if self.has_room:
            self.writes.append((change, done))
        return self.has_room

    def answer(self, ask: Ask, decision: Decision) -> None:
        self.pending.remove(id(ask))
        self.judge(ask, decision)

    def judge(self, ask: Ask, decision: Decision) -> None:
        assert isinstance(decision, Reply)
        if decision.status == 200:
            aor = (ask.request.get("to") or "")[5:-1]
            shown = sorted(line.partition("<")[2].partition(">")[0] for line in decision.headers[:-1])
            assert shown == sorted(one.contact for one in self.database.get(aor, []))

    @rule(
        user=st.sampled_from(USERS),
        contacts=st.lists(st.sampled_from(["sip:1@h", "sip:2@h", "sip:3@h"]), max_size=2, unique=True),
        expires_s=st.sampled_from([0, 60, 600]),
    )
    def a_phone_registers(self, user: str, contacts: list[str], expires_s: int) -> None:
        self.cseq += 1
        headers = [f"Contact: <{contact}>" for contact in contacts]
        ask = register(
            *headers,
            f"Expires: {expires_s}",
            uri="sip:open.org",
            to=f"<sip:{user}@open.org>",
            cseq=self.cseq,
        )
        self.kept.append(ask)
        decision = self.step.decide(ask)
        assert decision is not None
        if decision is PENDING:
            self.pending.add(id(ask))
        else:
            self.judge(ask, decision)

    @precondition(lambda self: self.writes)
    @rule(saved=st.booleans(), which=st.integers(0, 9))
    def a_write_is_done(self, saved: bool, which: int) -> None:
        change, done = self.writes.pop(which % len(self.writes))
        if saved:
            self.database[change.aor] = apply_change(self.database.get(change.aor, []), change)
        done(Fate.STORED if saved else Fate.REFUSED)

    @rule(has_room=st.booleans())
    def the_queue_fills_or_empties(self, has_room: bool) -> None:
        self.has_room = has_room

    @invariant()
    def memory_is_what_is_committed(self) -> None:
        for user in USERS:
            aor = f"{user}@open.org"
            assert set(self.location.lookup(aor, NOW)) == set(self.database.get(aor, []))
        assert self.location.count <= self.location.capacity

    @invariant()
    def somebody_waits_only_for_a_write(self) -> None:
        assert bool(self.pending) == bool(self.writes)


Registering.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_every_register_is_answered_by_what_is_committed = Registering.TestCase
