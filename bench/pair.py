"""A caller and a callee in one process, which know of each message when it left one and came to the other.

When a message leaves is read just before it is sent; when it came is the kernel's stamp. So what
the server adds to it is known however late this process gets to it.
"""

import heapq
import random
import selectors
import socket
import struct
import time
from collections import Counter

_STAMP = 35  # SO_TIMESTAMPNS of Linux
_COPIED = ("via:", "record-route:", "from:", "to:", "call-id:", "cseq:")


class Call:
    """One call of the caller. asks: requests that are sent inside of it, one every `every_s`."""

    def __init__(self, number: int, callee: str, asks: list[str], every_s: float) -> None:
        self.id = f"pair-{number}-{random.getrandbits(32):x}"
        self.callee = callee
        self.asks = asks
        self.every_s = every_s
        self.cseq = 1
        self.to = self.target = ""
        self.routes: list[str] = []


class Pair:
    """Both of them, towards one server. added_s: of every message that came through it."""

    def __init__(self, server: tuple[str, int], domain: str) -> None:
        self.server, self.domain = server, domain
        self.caller, self.callee = self._socket(), self._socket()
        self.callee_port: int = self.callee.getsockname()[1]
        self.added_s: list[float] = []
        #: What became of requests: by method and status, and what has no answer yet.
        self.answers: Counter[tuple[str, int]] = Counter()
        self.asked: dict[tuple[str, str], str] = {}
        self.completed = 0
        self._calls: dict[str, Call] = {}
        self._sent: dict[tuple[str, str, str], float] = {}
        self._due: list[tuple[float, int, Call]] = []
        self._number = 0

    def run(self, seconds: float, rate: float, callee: str, asks: list[str], every_s: float) -> None:
        """Place calls at random instants, `rate` a second, and wait for their ends, or for 10 s more."""
        patience_s = seconds + every_s * (len(asks) + 1) + 10
        selector = selectors.DefaultSelector()
        for one in (self.caller, self.callee):
            selector.register(one, selectors.EVENT_READ)
        start = time.monotonic()
        next_call = start
        while (now := time.monotonic()) < start + seconds or (self._calls and now < start + patience_s):
            if next_call <= now < start + seconds:
                self._number += 1
                self._invite(Call(self._number, callee, list(asks), every_s))
                next_call += random.expovariate(rate)
                continue
            while self._due and self._due[0][0] <= now:
                self._ask(heapq.heappop(self._due)[2])
            until = min(
                [next_call if now < start + seconds else now + 0.05, *(one[0] for one in self._due[:1])]
            )
            for key, _ in selector.select(max(0.0, until - now)):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                self._read(sock)

    def _socket(self) -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
        one.setsockopt(socket.SOL_SOCKET, _STAMP, 1)
        one.setblocking(False)
        one.bind(("127.0.0.1", 0))
        return one

    def _read(self, sock: socket.socket) -> None:
        for _ in range(64):
            try:
                data, ancillary, _, _ = sock.recvmsg(65_535, 64)
            except BlockingIOError:
                return
            seconds, nanoseconds = struct.unpack("@ll", ancillary[0][2])
            lines = data.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
            key = _key(lines)
            sent = self._sent.pop(key, None)
            if sent is not None:
                self.added_s.append(seconds + nanoseconds / 1e9 - sent)
            if sock is self.callee:
                self._answer(lines)
            elif lines[0].startswith("SIP/2.0 "):
                self._heard(lines)

    def _send(self, sock: socket.socket, lines: list[str]) -> None:
        data = "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode("latin-1")
        self._sent[_key(lines)] = time.time()
        sock.sendto(data, self.server)

    def _answer(self, lines: list[str]) -> None:
        method = lines[0].partition(" ")[0]
        if method in ("ACK", "SIP/2.0"):
            return
        kept = [line for line in lines if line.lower().startswith(_COPIED)]
        kept = [
            f"{line};tag=b" if line.lower().startswith("to:") and "tag=" not in line else line
            for line in kept
        ]
        contact = f"Contact: <sip:callee@127.0.0.1:{self.callee_port}>"
        if method == "INVITE":
            self._send(self.callee, ["SIP/2.0 180 Ringing", *kept, contact])
        self._send(self.callee, ["SIP/2.0 200 OK", *kept, contact])

    def _request(self, call: Call, method: str) -> None:
        port = self.caller.getsockname()[1]
        uri = call.target or f"sip:{call.callee}@{self.domain}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{random.getrandbits(64):x}",
            *(f"Route: {route}" for route in call.routes),
            "Max-Forwards: 70",
            f"From: <sip:pair@{self.domain}>;tag=a",
            f"To: {call.to or f'<sip:{call.callee}@{self.domain}>'}",
            f"Call-ID: {call.id}",
            f"CSeq: {call.cseq} {method}",
            f"Contact: <sip:pair@127.0.0.1:{port}>",
        ]
        if method != "ACK":
            self.asked[(call.id, f"{call.cseq} {method}")] = method
        self._send(self.caller, lines)

    def _invite(self, call: Call) -> None:
        self._calls[call.id] = call
        self._request(call, "INVITE")

    def _ask(self, call: Call) -> None:
        call.cseq += 1
        self._request(call, call.asks.pop(0) if call.asks else "BYE")

    def _heard(self, lines: list[str]) -> None:
        status = int(lines[0].split(" ")[1])
        _, call_id, cseq = _key(lines)
        method = cseq.partition(" ")[2]
        call = self._calls.get(call_id)
        if status < 200 or call is None or self.asked.pop((call_id, cseq), None) is None:
            return
        self.answers[(method, status)] += 1
        if status >= 300:
            del self._calls[call_id]
            return
        if method == "INVITE":
            call.to = _values(lines, "to")[0]
            call.routes = call.routes or _values(lines, "record-route")[::-1]
            call.target = _values(lines, "contact")[0].strip("<>")
            self._request(call, "ACK")
        if method == "BYE":
            del self._calls[call_id]
            self.completed += 1
        else:
            heapq.heappush(self._due, (time.monotonic() + call.every_s, random.getrandbits(48), call))


def _values(lines: list[str], name: str) -> list[str]:
    return [line.partition(":")[2].strip() for line in lines if line.lower().startswith(f"{name}:")]


def _key(lines: list[str]) -> tuple[str, str, str]:
    first = lines[0].split(" ")
    kind = first[1] if first[0] == "SIP/2.0" else first[0]
    return kind, _values(lines, "call-id")[0], _values(lines, "cseq")[0]
