"""A bare SIP client over UDP, for what no phone and no SIPp scenario sends."""

import itertools
import select
import socket
import time
from dataclasses import dataclass
from typing import Final

from ports import free_port
from waiting import PATIENCE_S

_NUMBERS: Final = itertools.count(1)
__all__ = ["Answer", "Client", "answer_to", "free_port", "read_answer"]

#: So that nothing is lost while a test has no turn for a while.
_WAITING_OCTETS: Final = 4 * 2**20


@dataclass(frozen=True)
class Answer:
    """A response, read just far enough to be compared. headers: lower-case name to values."""

    status: int
    reason: str
    headers: dict[str, list[str]]

    @property
    def call_id(self) -> str:
        """The Call-ID, empty where there is none."""
        return (self.headers.get("call-id") or self.headers.get("i") or [""])[0]


def read_answer(data: bytes) -> Answer | None:
    """The response in a datagram; None for a request or for what is no SIP message."""
    start, *lines = data.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
    version, _, rest = start.partition(" ")
    if version != "SIP/2.0":
        return None
    status, _, reason = rest.partition(" ")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    return Answer(int(status), reason, headers)


def answer_to(request: bytes, status: int, reason: str) -> bytes:
    """A response without a body to `request`, as a called party makes it."""
    kept = {"via", "v", "record-route", "from", "f", "to", "t", "call-id", "i", "cseq"}
    lines = [f"SIP/2.0 {status} {reason}"]
    for line in request.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")[1:]:
        name = line.partition(":")[0].strip().lower()
        if name in kept:
            tagged = name in ("to", "t") and status > 100 and ";tag=" not in line
            lines.append(f"{line};tag=answered" if tagged else line)
    return "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode("latin-1")


class Client:
    """Sends datagrams to one server and reads what comes back."""

    def __init__(self, host: str, port: int, sock: socket.socket | None = None) -> None:
        self._socket = sock or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING_OCTETS)
        self._server = (host, port)
        if self._socket.getsockname()[1] == 0:
            self._socket.bind((host, 0))

    @property
    def local(self) -> str:
        """Our own "host:port"."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def send(self, data: bytes | str) -> None:
        """One datagram; text goes in Latin-1."""
        self._socket.sendto(data.encode("latin-1") if isinstance(data, str) else data, self._server)

    def receive(self, within_s: float) -> bytes | None:
        """The next datagram, or None where none comes in time."""
        if not select.select([self._socket], [], [], max(within_s, 0))[0]:
            return None
        try:
            return self._socket.recv(65536)
        except ConnectionRefusedError:
            # An ICMP error of an earlier datagram, while the server is not there.
            return None

    def answers(self, within_s: float) -> list[Answer]:
        """All responses that come within the time, in order."""
        give_up = time.monotonic() + within_s
        found: list[Answer] = []
        while (data := self.receive(give_up - time.monotonic())) is not None:
            if answer := read_answer(data):
                found.append(answer)
        return found

    def final(self, call_id: str, within_s: float) -> Answer | None:
        """The first final response of this Call-ID, or None where none comes in time."""
        give_up = time.monotonic() + within_s
        while (left := give_up - time.monotonic()) > 0:
            data = self.receive(left)
            answer = read_answer(data) if data else None
            if answer and answer.call_id == call_id and answer.status >= 200:
                return answer
        return None

    def request(
        self, method: str, uri: str, aor: str, *, call_id: str, cseq: int = 1, contact: str | None = None
    ) -> str:
        """A request without a body, from and to `aor`; its contact is for 3000 seconds."""
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.local};rport;branch=z9hG4bK-{call_id}-{cseq}",
            "Max-Forwards: 70",
            f"From: <sip:{aor}>;tag=asking",
            f"To: <sip:{aor}>",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            *([f"Contact: <{contact}>", "Expires: 3000"] if contact else []),
            "Content-Length: 0",
        ]
        return "\r\n".join([*lines, "", ""])

    def ask(
        self, method: str, uri: str, aor: str, *, contact: str | None = None, within_s: float = PATIENCE_S
    ) -> Answer | None:
        """Send a new request, again every half second (RFC 3261 17.1.2.2), until its final answer."""
        call_id = f"asked-{next(_NUMBERS)}@{self.local}"
        text = self.request(method, uri, aor, call_id=call_id, contact=contact)
        give_up = time.monotonic() + within_s
        while (left := give_up - time.monotonic()) > 0:
            self.send(text)
            if answer := self.final(call_id, min(left, 0.5)):
                return answer
        return None

    def alive(self, within_s: float) -> bool:
        """Whether the server answers OPTIONS to itself with 200."""
        host, port = self._server
        answer = self.ask("OPTIONS", f"sip:{host}:{port}", f"probe@{self.local}", within_s=within_s)
        return answer is not None and answer.status == 200

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
