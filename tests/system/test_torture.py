"""The torture messages of RFC 4475 and RFC 5118, sent to the running server over UDP.

A network of its own: some of the messages name foreign addresses, which must not be
reached, and RFC 3261 18.2.2 sends answers to the port that the message's Via names.
"""

import re
import socket
import time
from collections.abc import Iterator

import pytest

from rfc.torture import Row, allows, messages, wait_s
from system.network import Network
from system.server import Server
from system.wire import Answer, Client, answer_to, read_answer
from waiting import PATIENCE_S

HOST = "127.0.0.1"
DOMAIN = "example.com"
USERS = ["user", "j.user", "watson", "joe", "UserB"]

#: Where the server does otherwise than the tables say: what it does instead, and why.
EXCEPTIONS: dict[str, tuple[str, str]] = {}

MESSAGES = list(messages())


class Place:
    """The server, and someone who is registered as `user` and answers 200 to everything."""

    def __init__(self, network: Network, server: Server) -> None:
        self.network = network
        self.server = server
        self.prober = Client(HOST, server.port, network.socket(socket.SOCK_DGRAM))
        self.called = network.socket(socket.SOCK_DGRAM)
        self.called.bind((HOST, 0))
        #: What was forwarded to the called party.
        self.forwarded: list[bytes] = []

    def register(self, user: str) -> None:
        contact = f"sip:{user}@{HOST}:{self.called.getsockname()[1]}"
        answer = self.prober.ask("REGISTER", f"sip:{DOMAIN}", f"{user}@{DOMAIN}", contact=contact)
        assert answer is not None
        assert answer.status == 200

    def send(self, source: socket.socket, wire: bytes, within_s: float) -> Answer | None:
        """Send from `source`; the final answer, or None where none comes."""
        source.sendto(wire, (HOST, self.server.port))
        source.settimeout(0.01)
        self.called.settimeout(0.01)
        give_up = time.monotonic() + within_s
        while time.monotonic() < give_up:
            try:
                request, hop = self.called.recvfrom(65536)
            except TimeoutError:
                pass
            else:
                self.forwarded.append(request)
                if not request.startswith((b"ACK", b"SIP/2.0")):
                    self.called.sendto(answer_to(request, 200, "OK"), hop)
            try:
                answer = read_answer(source.recv(65536))
            except TimeoutError:
                continue
            if answer and answer.status >= 200:
                return answer
        return None


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
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
        ) as server,
    ):
        made = Place(network, server)
        for user in USERS:
            made.register(user)
        yield made
        made.prober.close()
        made.called.close()


def answer_port(wire: bytes) -> int:
    """The port that answers to this message go to by its topmost Via (RFC 3261 18.2.2)."""
    text = re.sub(r"\r\n[ \t]+", " ", wire.decode("latin-1"))
    via = re.search(
        r"(?im)^(?:via|v)\s*:\s*SIP\s*/\s*[\d.]+\s*/\s*(\S+)\s+(?:\[.*?\]|[^\s:;,]+)(?:\s*:\s*(\d+))?", text
    )
    if via and via[2]:
        return int(via[2])
    return 5061 if via and via[1] == "TLS" else 5060


def in_its_own_transaction(wire: bytes, number: int) -> bytes:
    """The message with a branch that no other has: many of them share one, and a Call-ID."""
    cookie = b"branch=z9hG4bK"
    before, found, after = wire.partition(cookie)
    # A branch that is the bare cookie is what one of them is about.
    return wire if after[:1] in b"\r;" else before + found + b"%d" % number + after


def from_address(place: Place, number: int, wire: bytes) -> socket.socket:
    """A socket with an address of its own, so that late answers to one message meet no other."""
    source = place.network.socket(socket.SOCK_DGRAM)
    source.bind((f"127.0.1.{number}", answer_port(wire)))
    return source


@pytest.mark.parametrize(
    ("number", "name", "wire", "row"),
    [(number, *message) for number, message in enumerate(MESSAGES, 1)],
    ids=[name for name, _, _ in MESSAGES],
)
def test_a_torture_message_is_treated_as_its_table_says(
    place: Place, number: int, name: str, wire: bytes, row: Row
) -> None:
    expected = row.registrar if wire.startswith(b"REGISTER ") else row.proxy
    if name in EXCEPTIONS:
        expected = EXCEPTIONS[name][0]
    sent = in_its_own_transaction(wire, number)
    with from_address(place, number, sent) as source:
        answer = place.send(source, sent, wait_s(expected))
    assert place.prober.alive(PATIENCE_S), place.server.log()
    status = answer.status if answer else None
    assert allows(expected, status), f"{row.title}: {answer} where {expected} is allowed; {row.note}"


def again(name: str, number: int) -> bytes:
    """A torture message as if it had not been sent before."""
    wire = next(wire for found, wire, _ in MESSAGES if found == name)
    call_id = rb"(?mi)^(?:call-id|i)[ \t]*: *"
    return re.sub(call_id, rb"\g<0>%d-" % number, in_its_own_transaction(wire, number))


def test_octets_after_the_message_in_a_datagram_are_not_forwarded(place: Place) -> None:
    before = len(place.forwarded)
    wire = again("rfc4475/dblreq", 201)
    with from_address(place, 201, wire) as source:
        answer = place.send(source, wire, PATIENCE_S)
        assert answer is not None
        assert answer.status == 200
        assert place.send(source, b"\r\n\r\n", 0.2) is None
    assert place.forwarded[before:] == []


@pytest.mark.parametrize(
    ("name", "number", "contact"),
    [
        ("rfc4475/cparam01", 202, "<sip:+19725552222@gw1.example.net>"),
        ("rfc4475/cparam02", 203, "<sip:+19725552222@gw1.example.net;unknownparam>"),
    ],
)
def test_a_parameter_is_the_contacts_or_its_uris_as_the_brackets_say(
    place: Place, name: str, number: int, contact: str
) -> None:
    wire = again(name, number)
    with from_address(place, number, wire) as source:
        answer = place.send(source, wire, PATIENCE_S)
    assert answer is not None
    assert answer.status == 200
    assert any(value.partition(">")[0] + ">" == contact for value in answer.headers["contact"])


def test_extensions_that_no_proxy_supports_are_named_in_the_refusal(place: Place) -> None:
    wire = again("rfc4475/bext01", 204)
    with from_address(place, 204, wire) as source:
        answer = place.send(source, wire, PATIENCE_S)
    assert answer is not None
    assert answer.status == 420
    assert answer.headers["unsupported"] == ["noProxiesSupportThis, norDoAnyProxiesSupportThis"]


def test_no_exception_is_kept_that_is_not_needed() -> None:
    assert {name for name, _, _ in MESSAGES} >= EXCEPTIONS.keys()
    assert all(reason for _, reason in EXCEPTIONS.values())
