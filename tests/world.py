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
from oneproxy.engine.decisions import BEST, Ask, Decision, Reply
from oneproxy.engine.dialog import DialogMark
from oneproxy.engine.flow import Flow, Listener
from oneproxy.engine.routing import Own
from oneproxy.sip.message import Request, Response, split

PROXY: Final = "192.0.2.1"
START: Final = 1_000_000.0
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
    with the ask. `asked` keeps every ask.
    """

    def __init__(
        self,
        *decisions: Decision | Callable[[Ask], Decision],
        transactions: int = 1000,
        domains: frozenset[str] = frozenset({"example.com"}),
        transport: str = "UDP",
    ) -> None:
        self.now = START
        self.decisions = decisions or (NOT_FOUND,)
        self.asked: list[Ask] = []
        self.listener = Listener(transport, PROXY, 5060)
        self.flows: dict[tuple[str, int], Flow] = {}
        self.peers: dict[tuple[str, int], Peer] = {}
        #: Hosts that there is no way to.
        self.unroutable: set[str] = set()
        self.mark = DialogMark(b"k" * 32)
        own = Own([self.listener], domains)
        self.engine = Engine(START, "n1", [self.listener], self, self, self.mark, own, transactions)

    def decide(self, ask: Ask) -> Decision:
        """The scripted policy."""
        self.asked.append(ask)
        turn = len(self.asked) - 1
        if turn < len(self.decisions):
            decision = self.decisions[turn]
        else:
            decision = BEST if ask.outcomes else self.decisions[-1]
        return decision(ask) if callable(decision) else decision

    def towards(self, transport: str, host: str, port: int) -> Flow | None:
        """The engine's way to an address."""
        return (
            None if transport != self.listener.transport or host in self.unroutable else self.flow(host, port)
        )

    def beside(self, flow: Flow, port: int) -> Flow:
        """The same host at another port."""
        return self.flow(flow.host, port)

    def flow(self, host: str, port: int) -> Flow:
        """The flow of an address, the same one every time."""
        return self.flows.setdefault((host, port), Flow(self.listener, host, port, (host, port)))

    def peer(self, host: str, port: int = 5060) -> Peer:
        """The peer at an address."""
        if (host, port) not in self.peers:
            self.peers[host, port] = Peer(self, self.flow(host, port))
        return self.peers[host, port]

    def deliver(self) -> None:
        """Put what the engine sends into the inboxes."""
        for flow, data in self.engine.out:
            self.peer(flow.host, flow.port).inbox.append(data)
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
