"""A node's policy over a real database: what it registers is committed, and can be read again."""

from collections.abc import Callable

from asking import FLOW, NOW, request_of, uri_of
from oneproxy.engine.decisions import PENDING, Ask, Decision, Forward, Reply
from oneproxy.engine.flow import Flow, Listener
from oneproxy.policy.build import build
from oneproxy.registrar.bindings import Binding, Change, Fate
from oneproxy.registrar.location import Location
from oneproxy.site.model import Domain, Site, Subscriber
from oneproxy.store.work import Work

OWN = {"192.0.2.1:5060", "192.0.2.1"}
ALICE = "alice@example.com"


def a_site(**domain: object) -> Site:
    """example.com, where alice and bob need no password and times are granted as they are asked for."""
    fields: dict[str, object] = {"authenticate": (), "spread_percent": 0} | domain
    served = {"example.com": Domain("example.com", **fields)}  # type: ignore[arg-type]
    people = {aor: Subscriber(aor, {}) for aor in (ALICE, "bob@example.com")}
    return Site(served, people)


class Registering:
    """The policy of `site` on the database at `url`."""

    def __init__(self, url: str, site: Site | None = None) -> None:
        self.work = Work(url, "")
        self.work.open("farm")
        #: Open connections, by name; datagrams need none.
        self.flows: dict[str, Flow] = {}
        self.now = NOW
        self.commits = 0
        self.start(site or a_site())

    def start(self, site: Site) -> None:
        """Begin with what the database has, as a node does."""
        self.site = site
        self.location = Location(1000)
        self.location.load(self.rows())
        self._answers: list[Decision] = []
        self.policy = build(site, b"farm", OWN, self.location, self._save, self._answer, self._flow_of)

    def rows(self) -> list[tuple[str, Binding]]:
        """What the database has of bindings that are not over."""
        found = self.work.page(self.now, "")
        assert not isinstance(found, str), found
        bindings, last = found
        assert last
        return bindings

    def connect(self, transport: str, number: int = 1, host: str = "203.0.113.9") -> Flow:
        """A connection of a phone."""
        name = f"{transport.lower()}/0a.{number}"
        self.flows[name] = Flow(Listener(transport, "192.0.2.1", 5061), host, 40_000 + number, name)
        return self.flows[name]

    def close(self, flow: Flow) -> None:
        """It closes."""
        del self.flows[flow.name]
        self.policy.closed(self.now, flow)

    def register(
        self,
        *headers: str,
        uri: str = "sip:example.com",
        to: str = "<sip:alice@example.com>",
        sender: str = "",
        call_id: str = "reg-1",
        cseq: int = 1,
        flow: Flow = FLOW,
        compared: bool = True,
    ) -> Reply:
        """Send a REGISTER; its final answer, when memory and database have been found to be equal."""
        ask = Ask(
            request_of("REGISTER", uri, *headers, sender=sender or to, to=to, call_id=call_id, cseq=cseq),
            uri_of(uri),
            flow,
            self.now,
        )
        decision = self.policy.decide(ask)
        if decision is PENDING:
            decision = self._answers.pop()
        assert isinstance(decision, Reply), decision
        if compared:
            self.compare()
        return decision

    def call(self, uri: str = "sip:alice@example.com") -> list[str] | int:
        """The Request-URIs that an INVITE goes to, or the status that it is refused with."""
        ask = Ask(request_of("INVITE", uri, sender="<sip:carol@elsewhere.org>"), uri_of(uri), FLOW, self.now)
        decision = self.policy.decide(ask)
        if isinstance(decision, Forward):
            return [target.uri for target in decision.targets]
        assert isinstance(decision, Reply), decision
        return decision.status

    def compare(self) -> None:
        """A node that started now would know what this one knows."""
        again = Location(1000)
        again.load(self.rows())
        for aor in {aor for aor, _ in self.rows()} | {ALICE}:
            assert set(again.lookup(aor, self.now)) == set(self.location.lookup(aor, self.now))

    def contacts(self, aor: str = ALICE) -> list[str]:
        """What is bound."""
        return [binding.contact for binding in self.location.lookup(aor, self.now)]

    def end(self) -> None:
        """Close the database."""
        self.work.close()

    def _flow_of(self, name: str) -> Flow | None:
        return self.flows.get(name) or (FLOW if name == FLOW.name else None)

    def _save(self, change: Change, done: Callable[[Fate], None]) -> bool:
        self.commits += 1
        done(Fate.STORED if self.work.commit([[change]]) == [()] else Fate.REFUSED)
        return True

    def _answer(self, _ask: Ask, decision: Decision) -> None:
        self._answers.append(decision)


def values(reply: Reply, name: str) -> list[str]:
    """The values of a header of an answer."""
    return [line.partition(": ")[2] for line in reply.headers if line.startswith(f"{name}: ")]


def parameter(contact: str, name: str) -> str:
    """The quoted value of a parameter."""
    return contact.partition(f';{name}="')[2].partition('"')[0]
