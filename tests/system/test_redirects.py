"""Redirecting, and following redirects, of SIPp and of agents, over a running server."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from system.agents.agent import Agent
from system.agents.call import complete, hang_up
from system.agents.channel import connect
from system.agents.dialog import invite
from system.server import Server
from system.sipp import Sipp, write_users

PASSWORD = "secret"
MOVED, FOLLOWED = "moved.test", "followed.test"
USERS = [f"user{number}" for number in range(60)]
NUMBERS = itertools.count()
#: How many 3xx one after the other are followed for who calls at FOLLOWED.
ROUNDS = 3

DOMAINS = f"""
[[domain]]
name = "{MOVED}"
authenticate = []
redirect = true
redirect_status = 301
[[domain]]
name = "{FOLLOWED}"
follow_redirects = {ROUNDS}
""" + "".join(
    f'[[subscriber]]\naor = "{user}@{domain}"\npassword = "{PASSWORD}"\n'
    for domain in (MOVED, FOLLOWED)
    for user in USERS
)

NewAgent = Callable[..., Agent]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), subscribers={}, more=DOMAINS) as running:
        yield running


@pytest.fixture
def agent(server: Server) -> Iterator[NewAgent]:
    """Make registered agents, each a user of its own; all of them end with the test."""
    with contextlib.ExitStack() as agents:

        def make(domain: str = FOLLOWED, contact: str = "") -> Agent:
            channel = connect(server.places["UDP"])
            user = USERS[next(NUMBERS)]
            made = Agent(channel, user, domain, PASSWORD, contact, ("REGISTER", "INVITE"))
            agents.callback(made.close)
            assert made.register().status == 200
            return made

        yield make


@pytest.fixture
def redirector(agent: NewAgent, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Make users whose phone, SIPp, answers each call with a 302 to a URI; their URIs."""
    with contextlib.ExitStack() as phones:

        def make(to: str) -> str:
            user, _, place = to.removeprefix("sip:").partition("@")
            keys = ["-key", "to_user", user, "-key", "to_place", place]
            phone = phones.enter_context(Sipp("redirect", tmp_path, options=keys))
            return agent(contact=f"127.0.0.1:{phone.port}").aor

        yield make


def call_stranger(server: Server) -> Agent:
    """Somebody of a domain that is not served, who is not asked for a password."""
    return Agent(connect(server.places["UDP"]), "carol", "elsewhere.test")


def test_sipp_is_told_where_a_user_is_and_calls_there(
    server: Server, agent: NewAgent, tmp_path: Path
) -> None:
    with Sipp("answer", tmp_path) as called:
        bob = agent(MOVED, f"127.0.0.1:{called.port}")
        with Sipp(
            "redirected",
            tmp_path,
            server=server.address,
            users=write_users(tmp_path / "dialled", [bob.user]),
            calls=50,
            rate=50,
            options=["-key", "dom", MOVED],
        ) as calling:
            result = calling.result()
    assert (result.done, result.failed) == (50, 0), result.errors


def test_a_302_of_sipp_is_followed_and_the_caller_hears_nothing_of_it(
    agent: NewAgent, redirector: Callable[[str], str]
) -> None:
    alice, bob = agent(), agent()
    asked = invite(alice, redirector(bob.aor))
    call = complete(alice, asked, bob)
    assert 302 not in asked.statuses
    hang_up(call.caller, call.callee)


def test_a_chain_of_3xx_is_followed_up_to_its_limit(
    agent: NewAgent, redirector: Callable[[str], str]
) -> None:
    alice, bob = agent(), agent()
    uri = bob.aor
    for _ in range(ROUNDS):
        uri = redirector(uri)
    asked = invite(alice, uri)
    call = complete(alice, asked, bob)
    hang_up(call.caller, call.callee)
    # One more is one too many: the last 302 goes back as it came.
    refused = invite(alice, redirector(uri))
    answer = alice.final(refused)
    assert (answer.status, answer.one("Contact")) == (302, f"<{bob.aor}>;q=0.7")
    with pytest.raises(TimeoutError):
        bob.expect("INVITE", within_s=0.3)


def test_two_phones_that_name_each_other_are_no_endless_loop(
    server: Server, agent: NewAgent, tmp_path: Path
) -> None:
    alice, one, two = agent(), agent(), agent()
    asked = invite(alice, one.aor)
    one.respond(one.expect("INVITE"), 302, [("Contact", f"<{two.aor}>")], tag="one")
    two.respond(two.expect("INVITE"), 302, [("Contact", f"<{one.aor}>")], tag="two")
    assert alice.final(asked).status == 302
    one.expect_acknowledgement()
    with pytest.raises(TimeoutError):
        one.expect("INVITE", within_s=0.3)


def test_only_who_proved_a_password_is_sent_elsewhere_by_a_phone(server: Server, agent: NewAgent) -> None:
    alice, bob = agent(), agent()
    place = connect(server.places["UDP"])
    elsewhere = Agent(place, "dave", "elsewhere.test")
    with contextlib.closing(elsewhere), contextlib.closing(call_stranger(server)) as stranger:
        asked = invite(stranger, bob.aor)
        bob.respond(bob.expect("INVITE"), 302, [("Contact", f"<{elsewhere.contact}>")], tag="a")
        assert stranger.final(asked).status == 302
        bob.expect_acknowledgement()
        asked = invite(alice, bob.aor)
        bob.respond(bob.expect("INVITE"), 302, [("Contact", f"<{elsewhere.contact}>")], tag="b")
        call = complete(alice, asked, elsewhere)
        hang_up(call.caller, call.callee)


@pytest.mark.parametrize("to", ["here", "advertised"])
def test_a_302_to_ourselves_leads_nowhere(server: Server, agent: NewAgent, to: str) -> None:
    alice, bob = agent(), agent()
    contact = f"sip:nobody@{server.address}" if to == "here" else f"sip:{server.address};transport=udp"
    asked = invite(alice, bob.aor)
    bob.respond(bob.expect("INVITE"), 302, [("Contact", f"<{contact}>")], tag="a")
    assert alice.final(asked).status == 302
