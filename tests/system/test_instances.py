"""Phones that say which instance they are: their GRUUs, their flows, and pages that are loaded again."""

import contextlib
import itertools
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from certificates import Authority
from system.agents.agent import Agent
from system.agents.call import complete, exchange, hang_up
from system.agents.channel import connect
from system.agents.dialog import SDP, invite
from system.agents.message import Headers, parameter
from system.agents.trust import issue, trusting
from system.server import DOMAIN, Credentials, Server
from system.transports import TRANSPORTS

PASSWORD: Final = "secret"
USERS = [f"agent{number}" for number in range(100)]
NUMBERS = itertools.count()
PATIENCE_S: Final = 10.0


class Phone(Agent):
    """An agent that registers an instance, and calls itself by a GRUU where it is told to."""

    instance = "<urn:uuid:00000000-0000-1000-8000-000000000000>"

    def __init__(
        self, server: Server, authority: Authority, transport: str, user: str, reg_id: int = 0
    ) -> None:
        channel = connect(server.places[transport], trusting(authority))
        super().__init__(channel, user, DOMAIN, PASSWORD)
        self.address = self.contact
        self.reg_id = reg_id
        self._count = 0
        self._call_id = secrets.token_hex(8)

    def bind(self, expires_s: int = 600) -> list[str]:
        """Register; the Contacts of the 200."""
        contact = f'<{self.address}>;+sip.instance="{self.instance}";expires={expires_s}'
        if self.reg_id:
            contact += f";reg-id={self.reg_id}"
        return self._ask([("Contact", contact)])

    def query(self) -> list[str]:
        """The Contacts that are bound."""
        return self._ask([])

    def _ask(self, contacts: Headers) -> list[str]:
        identity: Headers = [
            ("From", f"<{self.aor}>;tag={secrets.token_hex(4)}"),
            ("To", f"<{self.aor}>"),
            ("Call-ID", self._call_id),
        ]
        supported: Headers = [("Supported", "gruu, outbound, path")]
        asked, self._count = self.with_credentials(
            lambda cseq, more: self.request(
                "REGISTER", f"sip:{DOMAIN}", identity, cseq, [*contacts, *supported, *more]
            ),
            self._count + 1,
        )
        answer = self.final(asked)
        assert answer.status == 200, answer
        return answer.all("Contact")


def gruu(contacts: list[str], kind: str, instance: str) -> str:
    """The GRUU of an instance in the Contacts of a 200."""
    [contact] = [one for one in contacts if f'+sip.instance="{instance}"' in one][:1]
    return contact.partition(f'{kind}="')[2].partition('"')[0]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp("server"),
        subscribers=dict.fromkeys(USERS, PASSWORD),
        authenticate=["REGISTER"],
        transports=TRANSPORTS[1:],
        credentials=Credentials(*issue(authority, "server"), authority.path),
    ) as running:
        yield running


NewPhone = Callable[..., Phone]


@pytest.fixture
def phone(server: Server, authority: Authority) -> Iterator[NewPhone]:
    """Make phones, of a user of their own if none is said; all of them end with the test."""
    with contextlib.ExitStack() as phones:

        def make(transport: str, user: str = "", instance: str = "", reg_id: int = 0) -> Phone:
            made = Phone(server, authority, transport, user or USERS[next(NUMBERS)], reg_id)
            made.instance = instance or f"<urn:uuid:{secrets.token_hex(16)}>"
            phones.callback(made.close)
            return made

        yield make


@pytest.mark.parametrize("kind", ["pub-gruu", "temp-gruu"])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_call_between_gruus(phone: NewPhone, transport: str, kind: str) -> None:
    """Each side gives its GRUU as its Contact, so every request of the dialog is for one."""
    alice, bob = phone("UDP"), phone(transport)
    other = phone("TCP", bob.user)
    other.bind()
    for one in (alice, bob):
        one.contact = gruu(one.bind(), kind, one.instance)
        assert ";gr" in one.contact
    if kind == "temp-gruu":
        assert alice.user not in alice.contact.partition("@")[0]
    asked = invite(alice, bob.contact)
    call = complete(alice, asked, bob)
    exchange(call.caller, call.callee, "INVITE", SDP)
    exchange(call.callee, call.caller, "INVITE", SDP)
    exchange(call.callee, call.caller, "INFO", "Signal=1\r\n")
    hang_up(call.caller, call.callee)
    # The other phone of the user heard nothing of it.
    with pytest.raises(TimeoutError):
        other.expect("INVITE", within_s=0.1)


def ask_options(asking: Agent, uri: str) -> Callable[[], int]:
    """Send OPTIONS; what waits for the status of the answer."""
    identity: Headers = [
        ("From", f"<{asking.aor}>;tag={secrets.token_hex(4)}"),
        ("To", f"<{uri}>"),
        ("Call-ID", secrets.token_hex(8)),
    ]
    asked = asking.send(asking.request("OPTIONS", uri, identity, 1))
    return lambda: asking.final(asked).status


@pytest.mark.parametrize("kind", ["pub-gruu", "temp-gruu"])
def test_options_to_a_gruu_reach_the_phone(phone: NewPhone, kind: str) -> None:
    alice, bob = phone("UDP"), phone("TLS")
    status = ask_options(alice, gruu(bob.bind(), kind, bob.instance))
    bob.respond(bob.expect("OPTIONS"), 200, tag="b")
    assert status() == 200


def test_a_gruu_outlives_its_registration_or_ends_with_it(phone: NewPhone) -> None:
    alice, bob = phone("UDP"), phone("TCP")
    contacts = bob.bind()
    public, temporary = (gruu(contacts, kind, bob.instance) for kind in ("pub-gruu", "temp-gruu"))
    bob.bind(0)
    assert [ask_options(alice, uri)() for uri in (public, temporary)] == [480, 404]
    bob.bind()
    assert ask_options(alice, temporary)() == 404
    status = ask_options(alice, public)
    bob.respond(bob.expect("OPTIONS"), 200, tag="b")
    assert status() == 200


@pytest.mark.parametrize("transport", ["TCP", "TLS", "WSS"])
def test_two_flows_of_one_phone_are_one_phone(phone: NewPhone, transport: str) -> None:
    """RFC 5626: it is called over the flow that it made last, and over the other when that closes."""
    alice = phone("UDP")
    first = phone(transport, reg_id=1)
    second = phone(transport, first.user, first.instance, reg_id=2)
    # One contact for both, as of a phone with one socket.
    second.address = second.contact = first.address
    first.bind()
    assert len(second.bind()) == 2
    second.reached_by = first.reached_by
    asked = invite(alice, first.aor)
    call = complete(alice, asked, second)
    hang_up(call.callee, call.caller)
    with pytest.raises(TimeoutError):
        first.expect("INVITE", within_s=0.1)
    second.close()
    # By the time that this is answered the server has seen it close.
    first.bind()
    call = complete(alice, invite(alice, first.aor), first)
    hang_up(call.caller, call.callee)


def test_a_flow_that_fails_is_replaced_while_the_phone_is_called(phone: NewPhone) -> None:
    """RFC 5626 5.3: an edge proxy says 430 of the one flow."""
    alice = phone("UDP")
    first = phone("TCP", reg_id=1)
    second = phone("TCP", first.user, first.instance, reg_id=2)
    first.bind()
    second.bind()
    asked = invite(alice, first.aor)
    second.respond(second.expect("INVITE"), 430, tag="edge")
    call = complete(alice, asked, first)
    assert 430 not in asked.statuses
    hang_up(call.caller, call.callee)


def test_a_phone_that_comes_back_takes_the_place_of_its_old_flow(phone: NewPhone) -> None:
    before = phone("TCP", reg_id=1)
    before.bind()
    after = phone("TCP", before.user, before.instance, reg_id=1)
    contacts = after.bind()
    assert [contact.partition(">")[0] for contact in contacts] == [f"<{after.address}"]
    alice = phone("UDP")
    call = complete(alice, invite(alice, after.aor), after)
    hang_up(call.caller, call.callee)


@pytest.mark.parametrize("transport", ["WS", "WSS"])
def test_a_page_that_is_loaded_again_leaves_nothing_behind(
    phone: NewPhone, server: Server, transport: str
) -> None:
    """Its binding goes with its connection, in memory and in the database, not an hour later."""
    user = USERS[next(NUMBERS)]
    for _ in range(12):
        # More often than a user may have contacts.
        page = phone(transport, user)
        contacts = page.bind()
        assert any(f"<{page.address}>" in contact for contact in contacts)
        page.close()
    page = phone(transport, user)
    page.bind()
    until = time.monotonic() + PATIENCE_S
    while len(contacts := page.query()) > 1:
        assert time.monotonic() < until, contacts
    alice = phone("UDP")
    call = complete(alice, invite(alice, page.aor), page)
    hang_up(call.caller, call.callee)
    with contextlib.closing(sqlite3.connect(server.folder / "oneproxy.db")) as database:
        rows = database.execute("SELECT contact FROM location WHERE aor = ?", (f"{user}@{DOMAIN}",))
        assert [contact for (contact,) in rows] == [page.address]


def test_the_lifetime_that_is_granted_is_that_of_the_contact(phone: NewPhone) -> None:
    """Shortened a little, never below the shortest, and the same the next time that it is asked for."""
    one = phone("UDP")
    granted = int(parameter(one.bind(3600)[0].partition(">")[2], "expires"))
    assert 3240 <= granted <= 3600
    assert granted - int(parameter(one.query()[0].partition(">")[2], "expires")) in (0, 1)
    assert int(parameter(one.bind(60)[0].partition(">")[2], "expires")) == 60
