"""Both ends of many calls through a server, with sockets of their own, and what became of each call.

async with TwoEnds(host, port) as ends:
    await ends.register("bob@oneproxy.test")
    await ends.call(rate=300, seconds=10)
    await ends.settle()
"""

import asyncio
import socket
import time
from functools import partial
from random import Random
from types import TracebackType
from typing import Final, Self

from system.wire import answer_to

HOST: Final = "127.0.0.1"
_ROOM: Final = 8 * 2**20
_AGAIN_S: Final = 0.5
#: How long a BYE is repeated (RFC 3261 17.1.2: 64 T1, and longer for a server that starts again).
PATIENCE_S: Final = 60.0


class Told:
    """One call, as its caller knows it. Instants are seconds since the epoch, 0 for never.

    answered_at: the 200 came. hung_up_at: the BYE was first sent. ended_at: its 200 came.
    """

    __slots__ = ("answered_at", "bye", "ended_at", "hung_up_at", "status")

    def __init__(self) -> None:
        self.answered_at = 0.0
        self.hung_up_at = 0.0
        self.ended_at = 0.0
        self.status = 0
        self.bye = b""


class _End(asyncio.DatagramProtocol):
    def __init__(self, ends: "TwoEnds", is_caller: bool) -> None:
        self._receive = ends.to_caller if is_caller else ends.to_callee

    def datagram_received(self, data: bytes, _address: object) -> None:
        """A datagram came."""
        self._receive(data)


class TwoEnds:
    """A caller and a callee. talk_s: how long calls last, drawn between."""

    def __init__(
        self, host: str, port: int, aor: str, talk_s: tuple[float, float] = (0.5, 8.0), seed: int = 1
    ) -> None:
        self._server = host, port
        self._aor = aor
        self._talk_s = talk_s
        self._random = Random(seed)
        self._made = 0
        self.calls: dict[str, Told] = {}
        self._registered: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._registered = loop.create_future()
        transports = []
        for is_caller in (True, False):
            end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
            end.bind((HOST, 0))
            made = partial(_End, self, is_caller)
            transport, _ = await loop.create_datagram_endpoint(made, sock=end)
            transports.append((transport, end.getsockname()[1]))
        (self._caller, self._caller_port), (self._callee, self._callee_port) = transports
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._caller.close()
        self._callee.close()

    async def register(self) -> None:
        """Have the callee registered."""
        lines = [
            f"REGISTER sip:{self._aor.partition('@')[2]} SIP/2.0",
            f"Via: SIP/2.0/UDP {HOST}:{self._callee_port};branch=z9hG4bKreg",
            f"From: <sip:{self._aor}>;tag=r",
            f"To: <sip:{self._aor}>",
            "Call-ID: registered",
            "CSeq: 1 REGISTER",
            f"Contact: <sip:callee@{HOST}:{self._callee_port}>;expires=3600",
        ]
        assert self._registered is not None
        self._callee.sendto(_message(lines), self._server)
        await asyncio.wait_for(self._registered, 10)

    async def call(self, rate: int, seconds: float) -> None:
        """Place `rate` calls a second."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        until = self._made + int(rate * seconds)
        first = self._made
        while self._made < until:
            due = began + (self._made - first) / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            while self._made < until and began + (self._made - first) / rate <= loop.time():
                self._invite()

    async def settle(self) -> int:
        """Wait until every call that was answered is over, or given up; how many are left."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S + self._talk_s[1]
        while (left := sum(1 for told in self.calls.values() if told.answered_at and not told.ended_at)) and (
            loop.time() < until
        ):
            await asyncio.sleep(0.2)
        return left

    def _invite(self) -> None:
        self._made += 1
        call_id = f"call-{self._made}"
        self.calls[call_id] = Told()
        lines = [
            f"INVITE sip:{self._aor} SIP/2.0",
            f"Via: SIP/2.0/UDP {HOST}:{self._caller_port};branch=z9hG4bKi{self._made}",
            f"From: <sip:caller@{self._aor.partition('@')[2]}>;tag=c{self._made}",
            f"To: <sip:{self._aor}>",
            f"Call-ID: {call_id}",
            "CSeq: 1 INVITE",
            f"Contact: <sip:caller@{HOST}:{self._caller_port}>",
        ]
        self._caller.sendto(_message(lines), self._server)

    def to_caller(self, data: bytes) -> None:
        """A datagram for the caller: he takes answers to INVITE and BYE."""
        text = data.decode("latin-1")
        status = int(text[8:11]) if text.startswith("SIP/2.0 ") else 0
        if status < 200:
            return
        headers = _headers(text)
        told = self.calls.get(headers.get("call-id", ""))
        if told is None:
            return
        if headers["cseq"].endswith("BYE"):
            told.ended_at = told.ended_at or time.time()
            told.bye = b""
        elif not told.status:
            told.status = status
            if status < 300:
                told.answered_at = time.time()
                self._acknowledge(headers)
                self._hang_up_later(told, headers)

    def to_callee(self, data: bytes) -> None:
        """A datagram for the callee: it answers all that is asked."""
        text = data.decode("latin-1")
        if text.startswith("SIP/2.0 200") and self._registered is not None and not self._registered.done():
            self._registered.set_result(None)
        if text.startswith(("INVITE ", "BYE ")):
            answer = answer_to(data, 200, "OK").decode("latin-1")
            contact = f"Contact: <sip:callee@{HOST}:{self._callee_port}>\r\nContent-Length"
            self._callee.sendto(answer.replace("Content-Length", contact).encode("latin-1"), self._server)

    def _within(self, method: str, headers: dict[str, str], number: int) -> bytes:
        lines = [
            f"{method} sip:callee@{HOST}:{self._callee_port} SIP/2.0",
            f"Via: SIP/2.0/UDP {HOST}:{self._caller_port};branch=z9hG4bK{method}{headers['call-id']}",
            f"Route: {headers['record-route']}",
            f"From: {headers['from']}",
            f"To: {headers['to']}",
            f"Call-ID: {headers['call-id']}",
            f"CSeq: {number} {method}",
        ]
        return _message(lines)

    def _acknowledge(self, headers: dict[str, str]) -> None:
        self._caller.sendto(self._within("ACK", headers, 1), self._server)

    def _hang_up_later(self, told: Told, headers: dict[str, str]) -> None:
        told.bye = self._within("BYE", headers, 2)
        asyncio.get_running_loop().call_later(self._random.uniform(*self._talk_s), self._hang_up, told)

    def _hang_up(self, told: Told) -> None:
        now = time.time()
        told.hung_up_at = told.hung_up_at or now
        if told.bye and now < told.hung_up_at + PATIENCE_S and not self._caller.is_closing():
            self._caller.sendto(told.bye, self._server)
            asyncio.get_running_loop().call_later(_AGAIN_S, self._hang_up, told)


def _headers(text: str) -> dict[str, str]:
    """The headers of a message, those that stand several times joined, as the callee copied them."""
    found: dict[str, str] = {}
    for line in text.partition("\r\n\r\n")[0].split("\r\n")[1:]:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        found[name] = f"{found[name]}, {value.strip()}" if name in found else value.strip()
    return found


def _message(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "Max-Forwards: 70", "Content-Length: 0", "", ""]).encode("latin-1")


def judge(calls: dict[str, Told], rows: list[tuple[str, float, int]], within_s: float = 1.0) -> list[str]:
    """What is wrong with records of calls. rows: Call-ID, start and duration (ms) of each record.

    The end of a call lies between the first time that its BYE was sent and the answer to it: of a
    BYE that came while nobody was there only a repetition was heard.
    """
    wrong: list[str] = []
    seen: dict[str, int] = {}
    for call_id, _, duration_ms in rows:
        seen[call_id] = seen.get(call_id, 0) + 1
        told = calls.get(call_id)
        if told is None or not told.ended_at:
            continue
        least = told.hung_up_at - told.answered_at - within_s
        most = told.ended_at - told.answered_at + within_s
        if not least <= duration_ms / 1000.0 <= most:
            wrong.append(f"{call_id}: {duration_ms} ms, not {least:.1f} to {most:.1f} s")
    wrong += [f"{call_id}: {count} records" for call_id, count in seen.items() if count > 1]
    wrong += [
        f"{call_id}: no record" for call_id, told in calls.items() if told.ended_at and call_id not in seen
    ]
    return wrong
