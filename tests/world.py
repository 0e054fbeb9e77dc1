"""An engine in memory with scripted peers: no sockets, and time that the test moves.

world = World(Forward([Target("sip:bob@192.0.2.20")]))
caller, callee = world.peer("192.0.2.10"), world.peer("192.0.2.20")
caller.send(request("INVITE"))
invite = callee.take()
callee.send(response(invite, 200, to_tag="b"))
assert caller.take().status == 200
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from oneproxy.engine.core import Engine
from oneproxy.engine.decisions import BEST, Ask, Decision, Reply, Target
from oneproxy.engine.dialog import DialogMark
from oneproxy.engine.flow import Flow, Found, Hop, Listener
from oneproxy.engine.routing import Own, is_numeric
from oneproxy.sip.message import Request, Response, split

PROXY: Final = "192.0.2.1"
START: Final = 1_000_000.0
PORTS: Final = {"UDP": 5060, "TCP": 5060, "TLS": 5061, "WS": 80, "WSS": 443}
NOT_FOUND: Final = Reply(404, "Not Found")


class Peer:
    """One address: what the engine sent to it, in order, and a way to send."""

    def __init__(self, world: "World", flow: Flow) -> None:
        self.world = world
        self.flow = flow
        self.inbox: deque[bytes] = deque()

    def send(self, data: bytes) -> None:
        """Send octets to the engine, now."""
        self.world.engine.receive(self.world.now, self.flow, data)
        self.world.deliver()

    def take(self) -> Request | Response:
        """The oldest message that was sent here and not taken yet."""
        message = split(self.inbox.popleft())
        assert isinstance(message, Request | Response)
        return message

    def take_request(self, method: str) -> Request:
        """The oldest message, which has to be this request."""
        message = self.take()
        assert isinstance(message, Request)
        assert message.method == method
        return message

    def take_response(self, status: int) -> Response:
        """The oldest message, which has to be this response."""
        message = self.take()
        assert isinstance(message, Response)
        assert message.status == status, f"{message.status} {message.reason}"
        return message

    def take_all(self) -> list[str]:
        """The start lines of everything that was not taken yet."""
        lines = [data.split(b"\r\n", 1)[0].decode("latin-1") for data in self.inbox]
        self.inbox.clear()
        return lines

    @property
    def has_nothing(self) -> bool:
        """Whether all that was sent here was taken."""
        return not self.inbox


class World:
    """An engine, its peers, and the policy that the test scripts.

    decisions: one for each ask. Beyond them the last one holds for new requests, and the
    best response goes back when branches have failed. One that can be called is called
    with the ask. `asked` keeps every ask. transport: of the listener; also: of others. host: its address.
    """

    def __init__(
        self,
        *decisions: Decision | Callable[[Ask], Decision],
        transactions: int = 1000,
        domains: frozenset[str] = frozenset({"example.com"}),
        transport: str = "UDP",
        also: tuple[str, ...] = (),
        calls: int = 0,
        host: str = PROXY,
    ) -> None:
        self.now = START
        self.decisions = decisions or (NOT_FOUND,)
        self.asked: list[Ask] = []
        self.listener = Listener(transport, host, 5060)
        #: The one of each transport; a test adds more before it sends.
        self.listeners = {transport: self.listener}
        for other in also:
            self.listeners[other] = Listener(other, host, PORTS[other])
        self.flows: dict[tuple[str, str, int], Flow] = {}
        self.peers: dict[tuple[str, str, int], Peer] = {}
        #: Hosts that there is no way to.
        self.unroutable: set[str] = set()
        #: Addresses of names (RFC 3263); None for a name whose answer waits for `resolve`.
        self.names: dict[str, list[Hop] | None] = {}
        self.asked_names: list[tuple[Hop, Found]] = []
        #: Addresses that the engine found nobody at.
        self.failed_hops: list[Hop] = []
        #: Targets for the URIs of a 3xx.
        self.redirects: Callable[[list[str]], list[Target]] = lambda uris: [Target(uri) for uri in uris]
        #: Where a GRUU leads that a request inside of a dialog is for.
        self.place: Callable[[Ask], Decision] = lambda _: NOT_FOUND
        self.closed_flows: list[Flow] = []
        self.mark = DialogMark(b"k" * 32)
        listeners = list(self.listeners.values())
        own = Own(listeners, domains)
        self.engine = Engine(START, "n1", listeners, self, self, self.mark, own, transactions, calls)

    def decide(self, ask: Ask) -> Decision:
        """The scripted policy."""
        self.asked.append(ask)
        turn = len(self.asked) - 1
        if turn < len(self.decisions):
            decision = self.decisions[turn]
        else:
            decision = BEST if ask.outcomes else self.decisions[-1]
        return decision(ask) if callable(decision) else decision

    def redirected(self, _ask: Ask, contacts: list[str]) -> list[Target]:
        """The scripted policy on a 3xx."""
        return self.redirects(contacts)

    def placed(self, ask: Ask) -> Decision:
        """The scripted policy on a GRUU inside of a dialog."""
        return self.place(ask)

    def closed(self, _now: float, flow: Flow) -> None:
        """The policy is told of a connection that is gone."""
        self.closed_flows.append(flow)

    def towards(self, hop: Hop, name: str = "") -> Flow | None:
        """The engine's way to an address."""
        transport, host, port = hop
        if transport not in self.listeners or host in self.unroutable or not is_numeric(host):
            return None
        return self.flow(host, port, transport)

    def find(self, _now: float, hop: Hop, found: Found) -> list[Hop] | None:
        """The addresses of a name, at once or by `resolve`."""
        addresses = self.names.get(hop[1], [])
        if addresses is None:
            self.asked_names.append((hop, found))
        return addresses

    def resolve(self, *addresses: Hop) -> None:
        """Answer the oldest question for a name."""
        self.asked_names.pop(0)[1](self.now, list(addresses))
        self.deliver()

    def failed(self, _now: float, hop: Hop) -> None:
        """The engine found nobody there."""
        self.failed_hops.append(hop)

    def named(self, name: str) -> Flow | None:
        """The flow of this name that was not closed."""
        return next((flow for flow in self.flows.values() if flow.name == name), None)

    def close(self, peer: "Peer") -> None:
        """The connection to `peer` breaks."""
        self.flows = {key: flow for key, flow in self.flows.items() if flow is not peer.flow}
        self.engine.closed(self.now, peer.flow)
        self.deliver()

    def beside(self, flow: Flow, port: int) -> Flow:
        """The same host at another port."""
        return self.flow(flow.host, port, flow.listener.transport)

    def flow(self, host: str, port: int, transport: str = "") -> Flow:
        """The flow of an address, the same one every time."""
        transport = transport or self.listener.transport
        key = (transport, host, port)
        if key not in self.flows:
            name = f"{transport.lower()}/{PROXY}:{PORTS[transport]}/{host}:{port}"
            self.flows[key] = Flow(self.listeners[transport], host, port, name)
        return self.flows[key]

    def peer(self, host: str, port: int = 5060, transport: str = "") -> Peer:
        """The peer at an address, by the transport of the first listener if none is said."""
        transport = transport or self.listener.transport
        key = (transport, host, port)
        if key not in self.peers:
            self.peers[key] = Peer(self, self.flow(host, port, transport))
        return self.peers[key]

    def deliver(self) -> None:
        """Put what the engine sends into the inboxes."""
        if self.engine.telling.is_due(self.now):
            self.engine.telling.tell(self.now, self.engine.out)
        for flow, data in self.engine.out:
            self.peer(flow.host, flow.port, flow.listener.transport).inbox.append(data)
        self.engine.out.clear()

    def wait(self, seconds: float) -> None:
        """Let time pass, every timer at its own instant."""
        until = self.now + seconds
        while (deadline := self.engine.deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.engine.expire(self.now)
            self.deliver()
        self.now = until
        self.engine.expire(self.now)
        self.deliver()


def request(
    method: str,
    uri: str = "sip:bob@example.com",
    *headers: str,
    branch: str = "z9hG4bK1",
    via: str = "192.0.2.10",
    call_id: str = "call-1",
    cseq: int = 1,
    from_tag: str = "a",
    to_tag: str = "",
    hops: int | None = 70,
    body: str = "",
) -> bytes:
    """A request as a caller at `via` sends it; headers: further whole lines."""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {via};branch={branch}",
        *headers,
        f"From: <sip:alice@example.com>;tag={from_tag}",
        "To: <sip:bob@example.com>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        *([] if hops is None else [f"Max-Forwards: {hops}"]),
        f"Content-Length: {len(body)}",
        "",
        body,
    ]
    return "\r\n".join(lines).encode("latin-1")


def response(to: Request, status: int, *headers: str, reason: str = "Because", to_tag: str = "") -> bytes:
    """The response of a callee to a request that came to it; headers: further whole lines."""
    names = ("via", "record-route", "from", "to", "call-id", "cseq")
    lines = [f"SIP/2.0 {status} {reason}"]
    for name in names:
        for at in to.positions(name):
            tagged = name == "to" and to_tag and "tag=" not in to.lines[at]
            lines.append(f"{to.lines[at]};tag={to_tag}" if tagged else to.lines[at])
    return "\r\n".join([*lines, *headers, "Content-Length: 0", "", ""]).encode("latin-1")
