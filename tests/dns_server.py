"""A DNS server of the tests' own, on loopback over UDP and TCP, that also misbehaves as told.

    with DnsServer() as server:
        server.add("_sip._udp.example.test", "SRV", "10 5 5060 a.example.test.")
        server.add("a.example.test", "A", "192.0.2.1", ttl=60)
        server.misbehave("slow.test", "hang")
        server.address    # ("127.0.0.1", 40053), for Names
        server.text       # "127.0.0.1:40053", for [dns] servers

It runs in a thread, so it serves another process too. Names with neither records nor
names below them do not exist (NXDOMAIN); CNAMEs are followed.
"""

import selectors
import socket
import threading
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

#: hang: no answer. garbage: octets that are none, then answers to another question, and
#: from another port, then silence. lie: the same, and the true answer after it. truncate:
#: over UDP, "ask over TCP". broken: truncate, and no way over TCP. The others are codes.
Fault = Literal["hang", "garbage", "lie", "truncate", "broken", "servfail", "refused", "formerr", "notimp"]

_CODES = {
    "servfail": dns.rcode.SERVFAIL,
    "refused": dns.rcode.REFUSED,
    "formerr": dns.rcode.FORMERR,
    "notimp": dns.rcode.NOTIMP,
}
_UDP_SIZE = 512


class DnsServer:
    """Serves what was added, from when it is entered until it is left."""

    def __init__(self, negative_ttl: int | None = 30) -> None:
        """negative_ttl: minimum of the SOA that comes with "no such records"; None for no SOA."""
        self.negative_ttl = negative_ttl
        #: How often each (name, type) was asked for, over UDP and over TCP.
        self.asked: Counter[tuple[str, str]] = Counter()
        self.over_tcp = 0
        self._records: dict[tuple[str, str], tuple[int, list[str]]] = {}
        self._faults: dict[str, Fault] = {}
        self._late: list[tuple[bytes, tuple[str, int]]] = []
        self._lock = threading.Lock()
        self._udp, self._tcp = _bind()
        self.address: tuple[str, int] = ("127.0.0.1", self._udp.getsockname()[1])
        self.text = f"127.0.0.1:{self.address[1]}"
        self._waker, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._waker.send(b".")
        self._thread.join()
        for one in (self._udp, self._tcp, self._waker, self._woken):
            one.close()

    def add(self, name: str, kind: str, *records: str, ttl: int = 300) -> None:
        """Add records, as a zone file has them: "10 5 5060 a.example.test."."""
        with self._lock:
            _, there = self._records.get((name, kind), (ttl, []))
            self._records[name, kind] = (ttl, [*there, *records])

    def remove(self, name: str, kind: str) -> None:
        """Remove all records of a type."""
        with self._lock:
            self._records.pop((name, kind), None)

    def misbehave(self, name: str, fault: Fault | None) -> None:
        """From now on, for this name or for all ("*"); None to behave again.

        A query that was left hanging is answered when its name behaves again.
        """
        with self._lock:
            if fault is None:
                self._faults.pop(name, None)
            else:
                self._faults[name] = fault
            late, self._late = self._late, []
        for wire, peer in late:
            self._serve(wire, peer)

    def count(self, name: str, kind: str = "") -> int:
        """How often a name was asked for, as one type or as any."""
        with self._lock:
            return sum(n for (asked, of), n in self.asked.items() if asked == name and kind in ("", of))

    def total(self) -> int:
        """All questions so far."""
        with self._lock:
            return self.asked.total()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for one in (self._udp, self._tcp, self._woken):
                selector.register(one, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._udp:
                        self._serve(*self._udp.recvfrom(65_535))
                    elif key.fileobj is self._tcp:
                        with suppress(OSError, EOFError):
                            self._accept()
                    else:
                        return

    def _serve(self, wire: bytes, peer: tuple[str, int]) -> None:
        query = dns.message.from_wire(wire)
        fault = self._count(query)
        if fault == "hang":
            with self._lock:
                self._late.append((wire, peer))
            return
        if fault in ("garbage", "lie"):
            self._mislead(query, peer)
            if fault == "garbage":
                return
        answer = self._answer(query, fault)
        octets = answer.to_wire()
        if fault in ("truncate", "broken") or len(octets) > _UDP_SIZE:
            answer.answer.clear()
            answer.authority.clear()
            answer.flags |= dns.flags.TC
            octets = answer.to_wire()
        self._udp.sendto(octets, peer)

    def _mislead(self, query: dns.message.Message, peer: tuple[str, int]) -> None:
        """What anybody could send who does not see the query."""
        self._udp.sendto(b"\x00", peer)
        self._udp.sendto(query.to_wire()[:2] + b"\xff" * 40, peer)
        false = dns.message.make_response(query)
        false.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "203.0.113.66"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(false.to_wire(), peer)
        false.id ^= 1
        self._udp.sendto(false.to_wire(), peer)

    def _accept(self) -> None:
        connection, _ = self._tcp.accept()
        with connection:
            connection.settimeout(2)
            size = int.from_bytes(_exactly(connection, 2), "big")
            query = dns.message.from_wire(_exactly(connection, size))
            self.over_tcp += 1
            fault = self._count(query)
            if fault != "broken":
                octets = self._answer(query, fault).to_wire()
                connection.sendall(len(octets).to_bytes(2, "big") + octets)

    def _count(self, query: dns.message.Message) -> Fault | None:
        question = query.question[0]
        name = _text(question.name)
        with self._lock:
            self.asked[name, dns.rdatatype.to_text(question.rdtype)] += 1
            return self._faults.get(name) or self._faults.get("*")

    def _answer(self, query: dns.message.Message, fault: Fault | None) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if fault in _CODES:
            answer.set_rcode(_CODES[fault])
            return answer
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        name = _text(query.question[0].name)
        with self._lock:
            for _ in range(8):
                if self._put(answer, name, kind):
                    return answer
                if not self._put(answer, name, "CNAME"):
                    break
                name = self._records[name, "CNAME"][1][0].rstrip(".")
            exists = any(one == name or one.endswith(f".{name}") for one, _ in self._records)
        if not exists:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        if self.negative_ttl is not None:
            soa = f"ns. hostmaster. 1 3600 600 86400 {self.negative_ttl}"
            answer.authority.append(dns.rrset.from_text(".", 86_400, "IN", "SOA", soa))
        return answer

    def _put(self, answer: dns.message.Message, name: str, kind: str) -> bool:
        ttl, records = self._records.get((name, kind), (0, []))
        if records:
            answer.answer.append(dns.rrset.from_text(f"{name}.", ttl, "IN", kind, *records))
        return bool(records)


def _bind() -> tuple[socket.socket, socket.socket]:
    """One port for both, which the system chooses for TCP and which is mostly free for UDP."""
    while True:
        tcp = socket.create_server(("127.0.0.1", 0), backlog=64)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
            continue
        return udp, tcp


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
