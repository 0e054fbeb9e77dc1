"""What the parts of a message's way cost, in memory: no socket, no other process.

    python bench/parts.py --fast

A pyperf script: `--help` tells what it can do; `-o FILE` keeps the figures, and
`python -m pyperf compare_to` compares them with those of another version.
"""

import sys
import time
from collections.abc import Callable
from hashlib import md5

import pyperf  # type: ignore[import-untyped]

from oneproxy.congestion.step import LimitStep
from oneproxy.congestionwork import CongestionWork
from oneproxy.engine.core import Engine
from oneproxy.engine.decisions import Ask, Decision, Policy
from oneproxy.engine.dialog import DialogMark
from oneproxy.engine.flow import Flow, Found, Hop, Listener
from oneproxy.engine.forwarding import forwarded
from oneproxy.engine.routing import Own
from oneproxy.policy.build import build
from oneproxy.policy.order import Order
from oneproxy.registrar.bindings import Change, Fate
from oneproxy.registrar.location import Location
from oneproxy.sip import read
from oneproxy.sip.check import check
from oneproxy.sip.message import Request, split
from oneproxy.sip.uri import parse_uri
from oneproxy.site.model import Congestion, Domain, Site, Subscriber
from oneproxy.transport.udp import BATCH, UdpListener

DOMAIN = "example.com"
NO_LIMITS = Congestion()
CALLED = "sip:bob@192.0.2.20:5060"
#: Calls come 10 ms apart, so that transactions of 32 s are in the tables as in real life.
STEP_S = 0.01

INVITE = """\
INVITE sip:bob@example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{n}i
Max-Forwards: 70
From: "Alice" <sip:alice@example.com>;tag=a{n}
To: <sip:bob@example.com>
Call-ID: {n}@192.0.2.10
CSeq: 1 INVITE
Contact: <sip:alice@192.0.2.10:5060>
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS
Supported: timer, replaces
User-Agent: bench
Accept: application/sdp
Content-Type: application/sdp
Content-Length: 129

v=0
o=alice 2890844526 2890844526 IN IP4 192.0.2.10
s=call
c=IN IP4 192.0.2.10
t=0 0
m=audio 49170 RTP/AVP 8
a=rtpmap:8 PCMA/8000
"""

IN_DIALOG = """\
{method} sip:bob@192.0.2.20:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{n}{method}
Route: {route}
Max-Forwards: 70
From: "Alice" <sip:alice@example.com>;tag=a{n}
To: <sip:bob@example.com>;tag=b
Call-ID: {n}@192.0.2.10
CSeq: {cseq} {method}
Content-Length: 0

"""

REGISTER = """\
REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK{n}r{cseq}
Max-Forwards: 70
From: <sip:{user}@example.com>;tag=r{n}
To: <sip:{user}@example.com>
Call-ID: r{n}@192.0.2.20
CSeq: {cseq} REGISTER
Contact: <sip:{user}@192.0.2.20:5060>
Expires: 3600
{credentials}Content-Length: 0

"""


def wire(text: str, **values: object) -> bytes:
    """A template as it goes over the network."""
    return text.format(**values).replace("\n", "\r\n").encode("latin-1")


class MemoryFlows:
    """Flows that lead nowhere."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._flows: dict[Hop, Flow] = {}

    def towards(self, hop: Hop, name: str = "") -> Flow | None:
        return self._flows.get(hop) or self.flow(*hop)

    def find(self, now: float, hop: Hop, found: Found) -> list[Hop] | None:
        return []

    def failed(self, now: float, hop: Hop) -> None:
        pass

    def named(self, name: str) -> Flow | None:
        return None

    def beside(self, flow: Flow, port: int) -> Flow:
        return self.flow("UDP", flow.host, port)

    def flow(self, transport: str, host: str, port: int) -> Flow:
        hop = (transport, host, port)
        return self._flows.setdefault(hop, Flow(self._listener, host, port, f"udp/{host}:{port}"))


class Node:
    """Engine and policy as a node has them, with a database that commits at once.

    `spent_s` is the time inside of them alone, without that for making the messages.
    """

    def __init__(
        self,
        authenticate: tuple[str, ...] = (),
        policy: Policy | None = None,
        congestion: Congestion = NO_LIMITS,
    ) -> None:
        """policy: instead of that of a node whose domain asks `authenticate` for a password."""
        self.now = 1_800_000_000.0
        self.spent_s = 0.0
        self.count = 0
        self._saving: list[Callable[[Fate], None]] = []
        ha1 = md5(b"bob:example.com:secret", usedforsecurity=False).hexdigest()
        site = Site(
            {DOMAIN: Domain(DOMAIN, authenticate, ("MD5",))},
            {f"bob@{DOMAIN}": Subscriber(f"bob@{DOMAIN}", {"MD5": ha1})},
            congestion=congestion,
        )
        listener = Listener("UDP", "192.0.2.1", 5060)
        flows = MemoryFlows(listener)
        caller, called = flows.flow("UDP", "192.0.2.10", 5060), flows.flow("UDP", "192.0.2.20", 5060)
        self.caller, self.called = caller, called
        if policy is None:
            location = Location(100_000)
            policy = build(site, b"k" * 32, {"192.0.2.1"}, location, self._save, self._answer, flows.named)
        mark, own = DialogMark(b"k" * 32), Own([listener], frozenset({DOMAIN}))
        self._engine = Engine(self.now, "bench", [listener], flows, policy, mark, own, 1_000_000)
        if isinstance(policy, Order):
            self.limit_step = next(step for step in policy.steps if isinstance(step, LimitStep))
            CongestionWork(self._engine, site, self.limit_step.limits)

    def _save(self, change: Change, done: Callable[[Fate], None]) -> bool:
        self._saving.append(done)
        return True

    def _answer(self, ask: Ask, decision: Decision) -> None:
        self._engine.answer(self.now, ask, decision)

    def receive(self, flow: Flow, data: bytes) -> list[bytes]:
        """One message in; what goes out."""
        began = time.perf_counter()
        self._engine.receive(self.now, flow, data)
        while self._saving:
            self._saving.pop()(Fate.STORED)
        self.spent_s += time.perf_counter() - began
        sent = [message for _, message in self._engine.out]
        self._engine.out.clear()
        return sent

    def step(self) -> int:
        """Let time go on to the next call; its number."""
        self.now += STEP_S
        self.count += 1
        began = time.perf_counter()
        self._engine.expire(self.now)
        self.spent_s += time.perf_counter() - began
        # Repetitions of what nobody answered; no benchmark here leaves any.
        self._engine.out.clear()
        return self.count

    def register(self, credentials: str = "", cseq: int = 1) -> bytes:
        """Register bob; the answer."""
        data = wire(REGISTER, n=self.count, cseq=cseq, user="bob", credentials=credentials)
        return self.receive(self.called, data)[-1]


def answer(request: bytes, status: str, contact: str = "") -> bytes:
    """The called party's response."""
    lines = request.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
    kept = [line for line in lines if line.startswith(("Via", "Record-Route", "From", "Call-ID", "CSeq"))]
    to = next(line for line in lines if line.startswith("To"))
    to = to if ";tag=" in to else f"{to};tag=b"
    return "\r\n".join([f"SIP/2.0 {status}", *kept, to, *([contact] if contact else []), "", ""]).encode()


def expect(data: bytes, start: bytes) -> bytes:
    """`data`, which has to begin so: a benchmark of errors would be a fast one."""
    if not data.startswith(start):
        sys.exit(f"bench: {start!r} expected, got {data!r}")
    return data


def invite(node: Node) -> bytes:
    """An INVITE up to its 200; the 200 as the caller gets it."""
    data = wire(INVITE, n=node.step())
    forward = expect(node.receive(node.caller, data)[-1], b"INVITE ")
    expect(node.receive(node.called, answer(forward, "180 Ringing"))[-1], b"SIP/2.0 180")
    ok = answer(forward, "200 OK", f"Contact: <{CALLED}>")
    return expect(node.receive(node.called, ok)[-1], b"SIP/2.0 200")


def call(node: Node) -> None:
    """A whole call: INVITE 100 180 200 ACK BYE 200."""
    ok = invite(node).decode("latin-1")
    route = ok.partition("Record-Route: ")[2].partition("\r\n")[0]
    ack = wire(IN_DIALOG, n=node.count, method="ACK", cseq=1, route=route)
    expect(node.receive(node.caller, ack)[-1], b"ACK ")
    bye = wire(IN_DIALOG, n=node.count, method="BYE", cseq=2, route=route)
    forward = expect(node.receive(node.caller, bye)[-1], b"BYE ")
    expect(node.receive(node.called, answer(forward, "200 OK"))[-1], b"SIP/2.0 200")


def registration(node: Node) -> None:
    """A REGISTER of a domain that asks nobody for a password."""
    node.step()
    expect(node.register(), b"SIP/2.0 200")


def authenticated_registration(node: Node) -> None:
    """A REGISTER, its challenge, and the REGISTER with the digest (RFC 7616, MD5)."""
    node.step()
    challenge = expect(node.register(), b"SIP/2.0 401").decode("latin-1")
    nonce = challenge.partition('nonce="')[2].partition('"')[0]

    def hashed(text: str) -> str:
        return md5(text.encode(), usedforsecurity=False).hexdigest()

    middle = f"{nonce}:00000001:bench:auth"
    proof = hashed(f"{hashed('bob:example.com:secret')}:{middle}:{hashed('REGISTER:sip:example.com')}")
    credentials = (
        f'Authorization: Digest username="bob", realm="example.com", nonce="{nonce}", '
        f'uri="sip:example.com", response="{proof}", algorithm=MD5, cnonce="bench", qop=auth, nc=00000001\n'
    )
    expect(node.register(credentials, cseq=2), b"SIP/2.0 200")


class Datagrams:
    """A socket that always has one more, from one of a thousand addresses in turn."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.addresses = [(f"127.1.{number >> 8}.{number & 255}", 5060) for number in range(1000)]
        self._number = 0

    def recvfrom_into(self, buffer: bytearray) -> tuple[int, tuple[str, int]]:
        buffer[: len(self._data)] = self._data
        self._number = (self._number + 1) % 1000
        return len(self._data), self.addresses[self._number]


def drained(banned: int) -> Callable[[int], float]:
    """What a batch costs without the system's part. banned: how many of the sources, of none -1.

    Handing a datagram on costs what it does in every case, and is left out.
    """

    def run(loops: int) -> float:
        listener = UdpListener("127.0.0.1", 0, "", 0)
        source = Datagrams(wire(INVITE, n=1))
        # Their flows are there already, as those of phones are.
        for host, port in source.addresses:
            listener.flow(host, port)
        listener.close()
        listener.socket = source  # type: ignore[assignment]
        if banned >= 0:
            listener.shut = {f"10.0.{number >> 8}.{number & 255}": 2e9 for number in range(50_000)}
            listener.shut |= {host: 2e9 for host, _ in source.addresses[:banned]}
        began = time.perf_counter()
        for _ in range(loops):
            listener.drain(nothing, 1.8e9)
        return (time.perf_counter() - began) / BATCH

    def nothing(_flow: Flow, _data: bytes) -> None:
        pass

    return run


def timed(work: Callable[[Node], object], authenticate: tuple[str, ...] = ()) -> Callable[[int], float]:
    """`work` as pyperf wants it: so many times, the seconds that they took inside of the node."""

    def run(loops: int) -> float:
        node = Node(authenticate)
        node.register()
        node.spent_s = 0.0
        for _ in range(loops):
            work(node)
        return node.spent_s

    return run


def main() -> None:
    """Measure all parts."""
    runner = pyperf.Runner()
    data = wire(INVITE, n=1)
    request = split(data)
    assert isinstance(request, Request)

    def checked() -> None:
        assert check(request) is None
        parse_uri(request.uri)

    def read_all() -> None:
        for header in (read.from_address, read.to_address, read.contacts, read.vias, read.cseq):
            header(request)
        read.max_forwards(request)
        read.content_length(request)

    via = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKbench1"
    checked()
    runner.bench_func("split an INVITE of 13 headers", split, data)
    runner.bench_func("check it and read its URI", checked)
    runner.bench_func("read From, To, Contact, Via, CSeq and the numbers", read_all)
    runner.bench_func(
        "edit and join it to forward it",
        forwarded,
        request,
        CALLED,
        via,
        0,
        (),
        (f"Record-Route: <{CALLED}>",),
    )
    runner.bench_time_func("INVITE transactions, server and client: INVITE 100 180 200", timed(invite))
    runner.bench_time_func("a call: INVITE 100 180 200 ACK BYE 200", timed(call))
    runner.bench_time_func("a registration without a password", timed(registration))
    runner.bench_time_func(
        "a registration with challenge and MD5 digest", timed(authenticated_registration, ("REGISTER",))
    )
    runner.bench_time_func("take in a datagram, nobody is banned", drained(-1))
    runner.bench_time_func("take in a datagram, 50,000 others are banned", drained(0))
    runner.bench_time_func("drop the datagram of a banned source", drained(1000))


if __name__ == "__main__":
    main()
