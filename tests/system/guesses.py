"""Password guesses from many addresses of this host, as somebody sends them who has a botnet.

Every address asks for a challenge, as a phone does, and meets it again and again with proofs that
are wrong.
"""

import contextlib
import secrets
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from system.server import DOMAIN
from system.wire import read_answer
from waiting import PATIENCE_S

_URI: Final = f"sip:{DOMAIN}"
#: How long answers are waited for that need not come.
_LAST_S: Final = 1.0


def addresses(count: int) -> Iterator[str]:
    """Of 127.0.0.0/8, none of which anybody else here uses."""
    for number in range(count):
        yield f"127.1.{number >> 8}.{number & 255}"


class Guesser:
    """Guesses the passwords of `users` at one server from each of `sources`.

    statuses: how often each was answered; sent: how many guesses there were. open: how many
    sources still get answers, as far as is known.
    """

    def __init__(self, server: tuple[str, int], users: Sequence[str], sources: Sequence[str]) -> None:
        self._users = users
        self._sockets: list[socket.socket] = []
        self._nonces: list[str] = []
        self._count = 0
        self.statuses: Counter[int] = Counter()
        self.sent = 0
        for source in sources:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._sockets.append(made)
            made.bind((source, 0))
            made.connect(server)
            made.settimeout(PATIENCE_S)
        self._nonces = [self._ask_for_challenge(one) for one in self._sockets]

    def guess(self, each: int, rate: int, answered: int | None = None) -> None:
        """Guess `each` times from every source, `rate` a second in all, as fast as that goes.

        answered: so many answers are waited for; None: those that come in a second.
        """
        began = time.monotonic()
        for number in range(each):
            for at, made in enumerate(self._sockets):
                # Another user every time: no source stays with one account.
                user = self._users[(at + number) % len(self._users)]
                made.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    made.send(self._request(made, user, self._proof(user, self._nonces[at])))
                    self.sent += 1
                self._take(made)
                ahead = began + self.sent / rate - time.monotonic()
                if ahead > 0.002:
                    time.sleep(ahead)
        give_up_at = time.monotonic() + (_LAST_S if answered is None else PATIENCE_S)
        while (answered is None or self.statuses.total() < answered) and time.monotonic() < give_up_at:
            for made in self._sockets:
                self._take(made)

    def hears(self) -> int:
        """How many sources a request without credentials is still answered to."""
        for made in self._sockets:
            made.send(self._request(made, self._users[0]))
        heard: set[int] = set()
        until = time.monotonic() + _LAST_S
        while time.monotonic() < until and len(heard) < len(self._sockets):
            for at, made in enumerate(self._sockets):
                with contextlib.suppress(BlockingIOError):
                    made.setblocking(False)
                    made.recv(4096)
                    heard.add(at)
        return len(heard)

    def _take(self, made: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                answer = read_answer(made.recv(4096))
                if answer is not None:
                    self.statuses[answer.status] += 1

    def _ask_for_challenge(self, made: socket.socket) -> str:
        made.send(self._request(made, self._users[0]))
        answer = read_answer(made.recv(4096))
        assert answer is not None
        assert answer.status == 401
        return answer.headers["www-authenticate"][0].partition('nonce="')[2].partition('"')[0]

    def _proof(self, user: str, nonce: str) -> str:
        return (
            f'Authorization: Digest username="{user}", realm="{DOMAIN}", nonce="{nonce}", uri="{_URI}", '
            f'response="{secrets.token_hex(16)}", algorithm=MD5, cnonce="guess", qop=auth, nc=00000001'
        )

    def _request(self, made: socket.socket, user: str, *headers: str) -> bytes:
        host, port = made.getsockname()
        self._count += 1
        lines = [
            f"REGISTER {_URI} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKg{self._count}",
            "Max-Forwards: 70",
            f"From: <sip:{user}@{DOMAIN}>;tag=g",
            f"To: <sip:{user}@{DOMAIN}>",
            f"Call-ID: g{self._count}@{host}",
            "CSeq: 1 REGISTER",
            f"Contact: <sip:{user}@{host}:{port}>",
            *headers,
            "Content-Length: 0",
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for made in self._sockets:
            made.close()
