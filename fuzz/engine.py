"""What has to hold for the engine under the policy of a real node, whoever sends what and when.

An input is a script: the transport that peers use and what policy wants of calls, then
commands, each behind "@" at the start of a line.

    udp watch session recurse
    @from 0             peer 0 sends what follows, up to the next command
    INVITE sip:bob@open.org SIP/2.0 ...
    @answer 1 180       peer 1 answers the oldest request that it has not answered
    Contact: <sip:b@h>      with these lines added
    @wait 500           milliseconds
    @lose 1             the last request that went to peer 1 could not be delivered
    @saved 1            the oldest REGISTER that waits is committed; 0: it is not
    @close 1            the connection of peer 1 is gone
    @resolve 2          the oldest question for a name has this many addresses
    @drain              the node is about to stop

In what is sent, {route} stands for the last Record-Route that went out, {tag} for the last
tag of a callee, {proof} for the credentials that the last challenge asks for.

What is no command or out of range is passed over, or taken to mean something near it.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from asking import credentials, subscriber
from oneproxy.engine.call import Call, CallEvent, Session
from oneproxy.engine.decisions import Ask, Decision, Forward
from oneproxy.engine.flow import BRANCH_COOKIE
from oneproxy.policy.build import build
from oneproxy.registrar.bindings import Binding, Change, Fate
from oneproxy.registrar.location import Location
from oneproxy.sip import read
from oneproxy.sip.check import check
from oneproxy.sip.fields import split_list
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request, Response, split
from oneproxy.sip.via import parse_via
from oneproxy.site.model import Domain, Site
from world import PROXY, START, Peer, World, response

#: The largest input that the fuzzer makes.
MAX_INPUT: Final = 8192
_MOST_COMMANDS: Final = 40
_LONGEST_WAIT_S: Final = 300.0
#: Small, so that a script can fill the tables.
_TRANSACTIONS: Final = 6
_BINDINGS: Final = 12
_CALLS: Final = 8
#: RFC 4028 4: no session timer is shorter.
_SESSION_S: Final = 90
#: Contacts of the user who has most of them.
_CONTACTS: Final = 4
#: Longer than all timers of a call one after the other.
_QUIET_S: Final = 640.0

#: Address, port and transport; "" for the one that the script says.
_PEERS: Final = (
    ("192.0.2.10", 5060, ""),
    ("192.0.2.20", 5060, ""),
    ("192.0.2.30", 5070, ""),
    ("192.0.2.40", 5060, ""),
    ("2001:db8::5", 5060, ""),
    ("192.0.2.40", 5060, "TCP"),
)
#: A name whose addresses have to be asked for, and what may be found.
_NAME: Final = "phone.example.net"
_ADDRESSES: Final = (("UDP", "192.0.2.20", 5060), ("TCP", "192.0.2.40", 5060), ("UDP", "192.0.2.30", 5070))
_SITE: Final = Site(
    {
        "open.org": Domain("open.org", authenticate=()),
        "example.com": Domain("example.com", algorithms=("SHA-256", "MD5")),
        "moved.org": Domain("moved.org", authenticate=(), redirect=True),
    },
    {aor: subscriber(aor) for aor in ("alice@example.com", "bob@example.com")},
)
_CONTACTS_OF: Final = {
    "bob@open.org": ("sip:bob@192.0.2.20", "sip:bob@192.0.2.30:5070"),
    "carol@open.org": ("sip:carol@192.0.2.40;transport=tcp", "sips:carol@192.0.2.40"),
    "loop@open.org": ("sip:loop@192.0.2.1", "sip:loop@open.org", "sip:loop@[2001:db8::5]:5060"),
    "erin@open.org": (f"sip:erin@{_NAME}",),
    "bob@moved.org": ("sip:bob@192.0.2.20",),
    "alice@example.com": ("sip:alice@192.0.2.10",),
}
_Key = tuple[str, str, int, str]


class Node(World):
    """An engine with a node's policy, whose every word is looked at."""

    def __init__(self, transport: str, wanted: list[str]) -> None:
        others = tuple(name for name in ("UDP", "TCP") if name != transport)
        super().__init__(
            transactions=_TRANSACTIONS,
            domains=frozenset(_SITE.domains),
            transport=transport,
            also=others,
            calls=_CALLS,
        )
        self.extras = wanted
        self.over: set[Call] = set()
        self.names = {_NAME: None}
        self.location = Location(_BINDINGS)
        self.location.load(
            (aor, Binding(contact, START + 3600, 1000, "c", 1, "udp:192.0.2.20:5060", START))
            for aor, contacts in _CONTACTS_OF.items()
            for contact in contacts
        )
        own_hosts = {PROXY, f"{PROXY}:5060"}
        self.policy = build(_SITE, b"farm", own_hosts, self.location, self.save, self.answer)
        self.saving: deque[Callable[[Fate], None]] = deque()
        self.requests = 0
        self.responses = 0
        #: Well-formed requests that came, those that were answered finally, and the Call-IDs
        #: and methods of those that were sent on.
        self.wanted: dict[_Key, str] = {}
        self.answered: set[_Key] = set()
        self.sent: set[tuple[str, str]] = set()
        #: What a script can speak of.
        self.words = {b"{route}": b"", b"{tag}": b"", b"{proof}": b""}
        self.nonce = ""

    def decide(self, ask: Ask) -> Decision:
        """As the node's policy has it, and what the script wants of calls besides."""
        decision = self.policy.decide(ask)
        if isinstance(decision, Forward):
            decision.watch = self if "watch" in self.extras else None
            decision.session = (
                Session(_SESSION_S, _SESSION_S, longest_s=_SESSION_S) if "session" in self.extras else None
            )
            decision.recurse = 2 if "recurse" in self.extras else 0
        return decision

    def note(self, _now: float, call: Call, event: CallEvent) -> None:
        """A call that is followed comes to its end once, and to nothing after it."""
        assert call not in self.over
        if event in (CallEvent.ENDED, CallEvent.GIVEN_UP):
            self.over.add(call)

    def save(self, _change: Change, done: Callable[[Fate], None]) -> bool:
        """Take a change as the recorder does: it is done when the script says so."""
        self.saving.append(done)
        return True

    def answer(self, ask: Ask, decision: Decision) -> None:
        """Hand in what the registrar has decided."""
        self.engine.answer(self.now, ask, decision)

    def saved(self, well: bool) -> None:
        """The recorder answers."""
        if self.saving:
            self.saving.popleft()(Fate.STORED if well else Fate.REFUSED)
            self.deliver()

    def come(self, peer: Peer, data: bytes) -> None:
        """A peer sends `data`."""
        message = split(data)
        if isinstance(message, Request):
            self.requests += 1
            key = _key(message)
            if key is not None and message.method != "ACK" and check(message) is None:
                self.wanted.setdefault(key, message.call_id)
        self.responses += isinstance(message, Response)
        peer.send(data)

    def deliver(self) -> None:
        """Look at everything that is sent, then hand it over."""
        # One datagram in; its answer, a request for each contact and their CANCELs out.
        assert len(self.engine.out) <= 2 * _CONTACTS * _TRANSACTIONS
        for flow, data in self.engine.out:
            assert (flow.host, flow.port) != (PROXY, 5060)
            message = split(data)
            if isinstance(message, Request):
                self._look_at_request(message)
            else:
                assert isinstance(message, Response), message
                self._look_at_response(message)
        super().deliver()

    def _look_at_request(self, request: Request) -> None:
        """It is well-formed and says where its answer goes: here."""
        assert check(request) is None
        assert (request.get("via") or "").startswith(tuple(one.via for one in self.listeners.values()))
        assert (request.max_forwards or 0) <= 254 if request.method != "ACK" else True
        self.sent.add((request.call_id, request.method))
        route = request.get("record-route")
        if route is not None:
            self.words[b"{route}"] = route.encode("latin-1")

    def _look_at_response(self, response: Response) -> None:
        key = _key(response)
        if key is not None and response.status >= 200:
            self.answered.add(key)
        to = read.to_address(response)
        if to is not None and not isinstance(to, Malformed):
            self.words[b"{tag}"] = (to.tag or "").encode("latin-1")
        if response.status in (401, 407):
            name = "www-authenticate" if response.status == 401 else "proxy-authenticate"
            self.nonce = (response.get(name) or "").partition('nonce="')[2].partition('"')[0]

    def filled(self, data: bytes) -> bytes:
        """A datagram of a script, with what it only speaks of."""
        if b"{" not in data:
            return data
        line = data.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if b"{proof}" in data and len(line) == 3:
            proof = credentials(self.nonce, line[0], line[1])
            self.words[b"{proof}"] = proof.encode("latin-1")
        for word, meant in self.words.items():
            data = data.replace(word, meant)
        return data[:MAX_INPUT]

    def check_tables(self) -> None:
        """Nothing grows beyond its bound, and what is counted fits."""
        sizes = self.engine.sizes()
        assert sizes["servers"] <= 4 * _TRANSACTIONS
        assert sizes["clients"] <= 8 * _CONTACTS * _TRANSACTIONS
        assert 0 <= self.engine.unanswered() <= sizes["servers"]
        held = sum(map(len, self.location._bindings.values()))
        assert held == self.location.count <= _BINDINGS
        assert self.engine.calls() <= _CALLS
        counters = self.engine.counters
        assert (counters.requests, counters.responses) == (self.requests, self.responses)
        assert counters.retransmissions + counters.calls <= counters.requests
        assert counters.stray_responses <= counters.responses

    def check_end(self) -> None:
        """After a long silence nothing is left, and nobody was left without an answer."""
        while self.saving:
            self.saved(False)
        while self.asked_names:
            self.resolve()
        self.wait(_QUIET_S)
        assert self.engine.unanswered() == 0
        assert set(self.engine.sizes().values()) == {0}
        assert self.engine.deadline() is None
        assert not any(flow.pending for flow in [*self.flows.values(), *self.closed_flows])
        for key, call_id in self.wanted.items():
            # RFC 4320 4.2: to what is no INVITE nothing is said after a time-out.
            silent = key[3] != "INVITE" and (call_id, key[3]) in self.sent
            assert silent or key in self.answered, key


def _key(message: Request | Response) -> _Key | None:
    """What a transaction is known by (RFC 3261 17.2.3); None for an RFC 2543 peer's."""
    values = split_list(message.get("via") or "")
    via = parse_via(values[0]) if values else Malformed.VIA
    if isinstance(via, Malformed) or len(via.branch or "") <= len(BRANCH_COOKIE):
        return None
    if not (via.branch or "").startswith(BRANCH_COOKIE):
        return None
    method = message.method if isinstance(message, Request) else message.cseq_method()
    return via.branch or "", via.host, via.port or 5060, method


def run(data: bytes) -> None:
    """Play the script in `data`."""
    transport, *commands = data.split(b"\n@", _MOST_COMMANDS)
    words = transport.decode("latin-1").split()
    node = Node("TCP" if words[:1] == ["tcp"] else "UDP", words)
    peers = [node.peer(*address) for address in _PEERS]
    for command in commands:
        line, _, rest = command.partition(b"\n")
        words = line.decode("latin-1").split()
        numbers = [
            int(word) if word.isascii() and word.isdigit() and len(word) < 7 else 0 for word in words[1:]
        ]
        _play(node, peers, words[0] if words else "", [*numbers, 0, 0], rest)
        node.check_tables()
    node.check_end()


def _play(node: Node, peers: list[Peer], command: str, numbers: list[int], rest: bytes) -> None:
    """One command of a script."""
    peer = peers[numbers[0] % len(peers)]
    match command:
        case "from":
            node.come(peer, node.filled(rest))
        case "answer":
            _answer(node, peer, numbers[1], rest)
        case "wait":
            node.wait(min(numbers[0] / 1000, _LONGEST_WAIT_S))
        case "lose":
            if peer.inbox:
                node.engine.unreachable(node.now, peer.inbox[-1])
                node.deliver()
        case "saved":
            node.saved(numbers[0] == 1)
        case "close":
            if peer.flow.reliable and peer.flow in node.flows.values():
                node.close(peer)
                # What comes from there next comes over a new connection.
                old = peer.flow
                peer.flow = node.flow(old.host, old.port, old.listener.transport)
        case "resolve":
            if node.asked_names:
                node.resolve(*_ADDRESSES[: numbers[0] % 4])
        case "drain":
            node.engine.drain()
        case _:
            pass


def _answer(node: Node, peer: Peer, status: int, rest: bytes) -> None:
    """The peer answers the oldest request that it has not answered finally."""
    while peer.inbox:
        request = split(peer.inbox[0])
        if isinstance(request, Request) and request.method != "ACK":
            break
        peer.inbox.popleft()
    else:
        return
    status = 100 + status % 600 if not 100 <= status <= 699 else status
    if status >= 200:
        peer.inbox.popleft()
    lines = [line for line in rest.decode("latin-1").split("\r\n") if line]
    node.come(peer, response(request, status, *lines, to_tag=f"t{peer.flow.port}"))
