"""The torture messages of RFC 4475 and RFC 5118, sent to the running server over TCP.

Each on a connection of its own, in a network of its own (see system/test_torture.py). What
a stream adds: a message ends where its Content-Length says, so one whose length cannot be
told costs the connection, and after any other the connection goes on serving.
"""

import array
import contextlib
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final

import pytest

from rfc.torture import Row, allows, message, messages, wait_s
from system.agents.channel import ClosedError, Stream
from system.agents.place import Place
from system.network import Network
from system.server import Server
from system.test_torture import in_its_own_transaction
from system.wire import Answer, Client, answer_to, read_answer
from waiting import PATIENCE_S

HOST: Final = "127.0.0.1"
DOMAIN: Final = "example.com"
USERS: Final = ["user", "j.user", "watson", "joe", "UserB"]
MESSAGES: Final = list(messages())

#: The length of these is said twice, as a negative number, or not at all, so nothing says where
#: the next message begins: the connection is closed (RFC 4475 3.1.2.3, 3.3.9, RFC 3261 18.3).
#: The one of RFC 2543 is an error on a stream, whatever it is in a datagram (RFC 3261 20.14).
#: After the two messages of dblreq come seven octets that begin no message.
LOST: Final = {"rfc4475/ncl", "rfc4475/mcl01", "rfc4475/inv2543", "rfc4475/dblreq"}
#: These go on, by their Content-Length or for want of an empty line: the server waits for the rest
#: and closes with the client (RFC 4475 3.1.2.2). For baddn that is what its 400 cannot come before.
UNFINISHED: Final = {"rfc4475/clerr", "rfc4475/baddn"}

#: Where something else than the tables say is right on a stream: what, and why.
EXCEPTIONS: Final = {
    "rfc4475/dblreq": (
        "200|drop",
        "What follows its messages costs the connection, maybe before the binding is stored and with it "
        "the way of the answer; the last test here shows both messages without what follows them.",
    ),
}

_MAKE_SOCKETS: Final = """
import array, socket, sys
out = socket.socket(fileno=int(sys.argv[1]))
made = [socket.socket() for _ in range(int(sys.argv[2]))]
descriptors = array.array("i", [one.fileno() for one in made])
out.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
"""


def sockets(network: Network, count: int) -> list[socket.socket]:
    """TCP sockets of ours in this network, made by one process."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        subprocess.run(
            [*network.prefix(), sys.executable, "-c", _MAKE_SOCKETS, str(theirs.fileno()), str(count)],
            pass_fds=[theirs.fileno()],
            check=True,
            timeout=PATIENCE_S,
        )
        _, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4 * count))
    return [socket.socket(fileno=descriptor) for descriptor in array.array("i", ancillary[0][2])]


class Caller:
    """One connection to the server, and the answers that came on it."""

    def __init__(self, connected: socket.socket, server: Place) -> None:
        connected.settimeout(PATIENCE_S)
        connected.connect(server[1:])
        self._socket = connected
        self._stream = Stream(server, made=connected)
        self.answers: list[Answer] = []
        self.closed = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, wire: bytes) -> None:
        with contextlib.suppress(ClosedError):
            self._stream.send(wire)

    def end(self) -> None:
        """Say that nothing more comes."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def take(self) -> None:
        try:
            while (data := self._stream.receive(0)) is not None:
                answer = read_answer(data)
                assert answer is not None, data
                if answer.status >= 200:
                    self.answers.append(answer)
        except ClosedError:
            self.closed = True

    def close(self) -> None:
        self._stream.close()


class Setting:
    """The server, and someone who is registered for all users and answers 200 to everything."""

    def __init__(self, network: Network, server: Server) -> None:
        self.server = server
        self.callers = [Caller(one, server.places["TCP"]) for one in sockets(network, len(MESSAGES) + 1)]
        self._called = network.socket(socket.SOCK_DGRAM)
        self._called.bind((HOST, 0))
        #: What was forwarded to the called party.
        self.forwarded: list[bytes] = []
        self.prober = Client(HOST, server.port, network.socket(socket.SOCK_DGRAM))
        for user in USERS:
            contact = f"sip:{user}@{HOST}:{self._called.getsockname()[1]}"
            answer = self.prober.ask("REGISTER", f"sip:{DOMAIN}", f"{user}@{DOMAIN}", contact=contact)
            assert answer is not None
            assert answer.status == 200

    def run(self, caller: Caller, within_s: float, answers: int = 1) -> None:
        """Let things happen until so many final answers have come, or the connection is closed."""
        until = time.monotonic() + within_s
        while len(caller.answers) < answers and not caller.closed and (left := until - time.monotonic()) > 0:
            watched: list[socket.socket | Caller] = [self._called, caller]
            ready, _, _ = select.select(watched, [], [], left)
            if self._called in ready:
                request, hop = self._called.recvfrom(65536)
                self.forwarded.append(request)
                if not request.startswith((b"ACK", b"SIP/2.0")):
                    self._called.sendto(answer_to(request, 200, "OK"), hop)
            if caller in ready:
                caller.take()

    def close(self) -> None:
        for caller in self.callers:
            caller.close()
        self._called.close()
        self.prober.close()


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    with (
        Network() as network,
        Server(
            tmp_path_factory.mktemp("server"),
            subscribers=dict.fromkeys(USERS, "secret"),
            domain=DOMAIN,
            host=HOST,
            port=5060,
            prefix=network.prefix(),
            probe=network.socket(socket.SOCK_DGRAM),
            listen=[Place("TCP", HOST, 5060)],
        ) as server,
        contextlib.closing(Setting(network, server)) as made,
    ):
        yield made


def options(number: int) -> bytes:
    """What the server itself answers with 200."""
    lines = [
        f"OPTIONS sip:{HOST}:5060 SIP/2.0",
        f"Via: SIP/2.0/TCP {HOST}:5099;branch=z9hG4bK-after-{number}",
        "Max-Forwards: 70",
        f"From: <sip:prober@{DOMAIN}>;tag=after",
        f"To: <sip:{HOST}>",
        f"Call-ID: after-{number}",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("number", "name", "wire", "row"),
    [(number, *message) for number, message in enumerate(MESSAGES)],
    ids=[name for name, _, _ in MESSAGES],
)
def test_a_torture_message_on_a_stream_is_treated_as_its_table_says(
    setting: Setting, number: int, name: str, wire: bytes, row: Row
) -> None:
    expected = row.registrar if wire.startswith(b"REGISTER ") else row.proxy
    if name in EXCEPTIONS:
        expected = EXCEPTIONS[name][0]
    caller = setting.callers[number]
    caller.send(in_its_own_transaction(wire, number))
    setting.run(caller, 0.1 if name in UNFINISHED else wait_s(expected))
    status = caller.answers[0].status if caller.answers else None
    assert allows(expected, status), f"{row.title}: {status} where {expected} is allowed; {row.note}"
    answered = len(caller.answers)
    if name in UNFINISHED:
        assert (answered, caller.closed) == (0, False)
        caller.end()
    if name in UNFINISHED | LOST:
        # Nothing is read any more of a stream that is lost.
        setting.run(caller, PATIENCE_S, answers=99)
        assert caller.closed
    else:
        caller.send(options(number))
        setting.run(caller, PATIENCE_S, answered + 1)
        assert [answer.status for answer in caller.answers if answer.call_id == f"after-{number}"] == [200]
        assert not caller.closed


def test_octets_after_the_message_are_the_next_message_on_a_stream(setting: Setting) -> None:
    """RFC 4475 3.1.1.8 speaks of a datagram; on a stream the INVITE that follows is one."""
    wire = message("rfc4475/dblreq")
    # Its body is longer than its Content-Length says; the rest would be no message.
    wire = wire[: wire.index(b"v=0") + 150]
    caller = setting.callers[-1]
    before = len(setting.forwarded)
    caller.send(wire.replace(b"branch=z9hG4bK", b"branch=z9hG4bK-again").replace(b"dblreq.", b"again."))
    setting.run(caller, PATIENCE_S, answers=2)
    assert [answer.status for answer in caller.answers] == [200, 200]
    assert any(request.startswith(b"INVITE ") for request in setting.forwarded[before:])
    assert not caller.closed
