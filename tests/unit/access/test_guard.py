"""Floods and guesses: who is banned, which account is closed, and who is let in all the same."""

import statistics
import time

import pytest
from msgspec.structs import replace

from asking import NOW, ask_of, credentials, request_of, subscriber
from oneproxy.access.bans import CAPACITY, Bans
from oneproxy.access.good import Good
from oneproxy.access.guard import NARROWED
from oneproxy.access.nonces import Nonces
from oneproxy.access.step import Access
from oneproxy.engine.decisions import Ask, Reply
from oneproxy.engine.flow import Flow, Listener
from oneproxy.policy.domains import Domains
from oneproxy.sip import digest
from oneproxy.site.model import Domain, Flood, Rule, Site
from oneproxy.transport.banned import is_shut

LISTENER = Listener("UDP", "192.0.2.1", 5060)
DOMAIN = Domain("example.com", ("REGISTER", "INVITE"), ("MD5",))
ALICE = "alice@example.com"
USERS = {f"{name}@example.com": subscriber(f"{name}@example.com") for name in ("alice", "bob")}


class World:
    """An access step, and who asks it."""

    def __init__(
        self, flood: Flood, rules: tuple[Rule, ...] = (), gateways: frozenset[str] = frozenset()
    ) -> None:
        self.site = Site({"example.com": DOMAIN}, USERS, access=rules, flood=flood)
        self.bans = Bans()
        self.nonces = Nonces(b"farm")
        self.access = Access(
            self.site,
            USERS,
            Domains(self.site.domains, {"192.0.2.1"}),
            self.nonces,
            bans=self.bans,
            gateways=gateways,
        )

    def ask(self, host: str, header: str = "", method: str = "REGISTER", now: float = NOW) -> Ask:
        uri = "sip:example.com" if method == "REGISTER" else "sip:bob@example.com"
        request = request_of(method, uri, *([header] if header else []), to=f"<sip:{ALICE}>")
        return ask_of(request, now, Flow(LISTENER, host, 5062, f"udp/{host}"))

    def cause(self, ask: Ask) -> str:
        decision = self.access.decide(ask)
        assert decision is None or isinstance(decision, Reply)
        return "" if decision is None else decision.cause

    def request(self, host: str, now: float = NOW) -> str:
        return self.cause(self.ask(host, method="INVITE", now=now))

    def prove(
        self,
        host: str,
        password: str = "secret",
        user: str = "alice",
        now: float = NOW,
        nonce: str | None = None,
    ) -> str:
        """Register with this password on a nonce of one's own; the cause, "" where it was taken."""
        source = digest_source(host)
        value = credentials(
            self.nonces.make(now, source) if nonce is None else nonce,
            "REGISTER",
            "sip:example.com",
            user=user,
            password=password,
            algorithm="MD5",
        )
        return self.cause(self.ask(host, f"Authorization: {value}", now=now))

    def banned(self, now: float = NOW) -> list[tuple[str, str, str]]:
        return [(ban.kind, ban.name, ban.why) for ban in self.access.bans(now)]


def digest_source(host: str) -> str:
    return "2001:db8:0:1::/64" if host.startswith("2001:db8:0:1:") else host


# Requests.


def test_a_source_that_asks_more_than_it_may_is_banned_for_a_time() -> None:
    world = World(Flood(window_s=60, requests=5, ban_s=600))
    causes = [world.request("192.0.2.7") for _ in range(7)]
    assert causes == ["no-credentials"] * 5 + ["flood", "banned"]
    assert world.banned() == [("source", "192.0.2.7", "requests")]
    assert is_shut(world.bans.shut, "192.0.2.7", NOW + 599)
    assert world.request("192.0.2.8") == "no-credentials"
    assert world.request("192.0.2.7", NOW + 599) == "banned"
    assert world.request("192.0.2.7", NOW + 600) == "no-credentials"
    assert world.banned(NOW + 600) == []


def test_requests_are_counted_in_a_window_that_slides() -> None:
    world = World(Flood(window_s=80, requests=5))
    assert [world.request("192.0.2.7", NOW + number * 20) for number in range(20)] == ["no-credentials"] * 20


def test_an_ipv6_machine_is_counted_and_banned_by_its_network() -> None:
    world = World(Flood(requests=5))
    causes = [world.request(f"2001:db8:0:1::{number:x}") for number in range(1, 8)]
    assert causes == ["no-credentials"] * 5 + ["flood", "banned"]
    assert world.banned() == [("source", "2001:db8:0:1::/64", "requests")]
    assert is_shut(world.bans.shut, "2001:db8:0:1:5:6:7:8", NOW)
    assert world.request("2001:db8:0:2::1") == "no-credentials"


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8:0:1::7"])
def test_a_trusted_address_is_never_banned(host: str) -> None:
    world = World(Flood(requests=5), (Rule(host, "", "trust"),))
    assert [world.request(host) for _ in range(50)] == [""] * 50
    assert world.banned() == []


def test_beside_a_trusted_address_others_of_its_network_are_refused_and_it_is_heard() -> None:
    world = World(Flood(requests=5), (Rule("2001:db8:0:1::7", "", "trust"),))
    assert [world.request("2001:db8:0:1::9") for _ in range(7)][5:] == ["flood", "banned"]
    assert world.request("2001:db8:0:1::7") == ""
    # Or transport would take nothing from it.
    assert world.bans.shut == {}


def test_a_gateway_is_never_banned() -> None:
    gateways = frozenset({"192.0.2.7"})
    world = World(Flood(requests=5, wrong_passwords=5), gateways=gateways)
    assert [world.request("192.0.2.7") for _ in range(50)] == ["no-credentials"] * 50
    assert {world.prove("192.0.2.7", "guess") for _ in range(10)} == {"wrong-password"}
    assert world.banned() == []


def test_an_account_that_asks_more_than_it_may_is_refused_for_a_time() -> None:
    world = World(Flood(account_requests=3, ban_s=600))
    assert [world.prove("192.0.2.7") for _ in range(5)] == ["", "", "", "flood", "banned"]
    # From elsewhere too, but nobody else.
    assert world.prove("192.0.2.8") == "account-closed"
    assert world.prove("192.0.2.7", user="bob") == "other-user"
    assert world.banned() == [("account", ALICE, "requests")]
    assert world.prove("192.0.2.7", now=NOW + 600) == ""


# Passwords.


def test_a_source_that_guesses_is_banned() -> None:
    world = World(Flood(wrong_passwords=5, account_wrong_passwords=0))
    assert [world.prove("192.0.2.7", "guess") for _ in range(6)] == ["wrong-password"] * 5 + ["banned"]
    assert world.banned() == [("source", "192.0.2.7", "wrong passwords")]
    assert world.prove("192.0.2.8") == ""


def test_guesses_at_users_that_are_not_there_are_guesses() -> None:
    world = World(Flood(wrong_passwords=5))
    causes = [world.prove("192.0.2.7", "guess", user=f"user{number}") for number in range(6)]
    assert causes == ["unknown-user"] * 5 + ["banned"]


def test_several_guesses_in_one_request_count_each() -> None:
    world = World(Flood(wrong_passwords=4))
    value = credentials(
        world.nonces.make(NOW, "192.0.2.7"),
        "REGISTER",
        "sip:example.com",
        algorithm="MD5",
        password="x",
    )
    headers = "\r\nAuthorization: ".join([value] * 4)
    assert world.cause(world.ask("192.0.2.7", f"Authorization: {headers}")) == "wrong-password"
    assert world.banned() == [("source", "192.0.2.7", "wrong passwords")]


def test_an_honest_challenge_is_no_wrong_password_and_neither_is_an_old_nonce() -> None:
    world = World(Flood(wrong_passwords=3, account_wrong_passwords=3))
    old = world.nonces.make(NOW - 1000, "192.0.2.7")
    for _ in range(20):
        assert world.request("192.0.2.7") == "no-credentials"
        assert world.prove("192.0.2.7", nonce=old) == "stale"
    assert world.banned() == []


def test_an_account_that_is_guessed_at_is_closed_to_strangers_and_not_to_its_owner() -> None:
    world = World(Flood(account_wrong_passwords=20, wrong_passwords=0, ban_s=600))
    assert world.prove("198.51.100.1") == ""
    for number in range(20):
        assert world.prove(f"203.0.113.{number}", "guess") == "wrong-password"
    assert world.banned() == [("account", ALICE, "wrong passwords")]
    # The right password from an unknown place, the wrong one: the guesser cannot tell.
    assert world.prove("203.0.113.1") == "account-closed"
    assert world.prove("203.0.113.1", "guess") == "wrong-password"
    assert world.prove("198.51.100.1") == ""
    assert world.prove("198.51.100.1", now=NOW + 599) == ""
    assert world.prove("203.0.113.1", now=NOW + 700) == ""


def test_the_answer_of_a_closed_account_is_that_to_a_wrong_password() -> None:
    world = World(Flood(account_wrong_passwords=1))

    def answer(password: str) -> tuple[int, str, str]:
        nonce = world.nonces.make(NOW, "203.0.113.1")
        value = credentials(nonce, "REGISTER", "sip:example.com", password=password, algorithm="MD5")
        decision = world.access.decide(world.ask("203.0.113.1", f"Authorization: {value}"))
        assert isinstance(decision, Reply)
        line = decision.headers[0]
        return decision.status, decision.reason, line.partition("nonce=")[0] + line.partition("alg")[2]

    before = answer("guess")
    assert world.banned() == [("account", ALICE, "wrong passwords")]
    assert answer("secret") == answer("guess") == before


def test_the_last_good_sources_of_an_account_are_remembered_and_no_more() -> None:
    world = World(Flood(account_wrong_passwords=1, wrong_passwords=0))
    for number in range(1, 7):
        assert world.prove(f"198.51.100.{number}") == ""
    assert world.prove("203.0.113.1", "guess") == "wrong-password"
    causes = [world.prove(f"198.51.100.{number}") for number in range(1, 7)]
    assert causes == ["account-closed"] * 2 + [""] * 4


@pytest.mark.parametrize(
    ("authenticate", "cause"), [(("REGISTER", "INVITE"), ""), (("INVITE",), "account-closed")]
)
def test_where_the_phones_of_an_account_registered_it_is_not_closed(
    authenticate: tuple[str, ...], cause: str
) -> None:
    domains = {"example.com": Domain("example.com", authenticate, ("MD5",))}
    nonces = Nonces(b"farm")
    # A node that has just started: it knows bindings, and nobody's password was proved yet.
    step = Access(
        Site(domains, USERS, flood=Flood()),
        USERS,
        Domains(domains, {"192.0.2.1"}),
        nonces,
        registered=lambda aor, now: (
            ["udp:198.51.100.1:5060", "tls:[2001:db8:0:1::7]:5061"] if (aor, now) == (ALICE, NOW) else []
        ),
    )
    step.ban(ALICE, NOW, NOW + 600, "wrong passwords")

    def proved(host: str) -> str:
        value = credentials(
            nonces.make(NOW, digest_source(host)), "INVITE", "sip:bob@example.com", algorithm="MD5"
        )
        request = request_of("INVITE", "sip:bob@example.com", f"Proxy-Authorization: {value}")
        decision = step.decide(ask_of(request, NOW, Flow(LISTENER, host, 5062, f"udp/{host}")))
        assert decision is None or isinstance(decision, Reply)
        return "" if decision is None else decision.cause

    # Where the domain takes registrations without a password they prove nothing.
    assert [proved("198.51.100.1"), proved("2001:db8:0:1::9")] == [cause, cause]
    assert proved("203.0.113.1") == "account-closed"


def test_nobody_gets_an_office_banned_by_datagrams_in_its_name() -> None:
    world = World(Flood(wrong_passwords=5, account_wrong_passwords=0))
    assert world.prove("198.51.100.1") == ""
    # The forger sees no nonce that was made for the office, but has some of his own.
    forged = [world.nonces.make(NOW, "203.0.113.1"), Nonces(b"other").make(NOW), "made-up"]
    for nonce in forged * 10:
        assert world.prove("198.51.100.1", "guess", nonce=nonce) == "stale"
        # Nor does he learn anything by the right password.
        assert world.prove("198.51.100.1", "secret", nonce=nonce) == "stale"
    assert world.banned() == []
    # Who guesses from the office itself is found out.
    for _ in range(5):
        assert world.prove("198.51.100.1", "guess") == "wrong-password"
    assert world.banned() == [("source", "198.51.100.1", "wrong passwords")]


def test_guesses_on_made_up_nonces_get_a_stranger_banned() -> None:
    world = World(Flood(wrong_passwords=5, account_wrong_passwords=0))
    causes = [world.prove("192.0.2.7", "guess", nonce="made-up") for _ in range(6)]
    assert causes == ["wrong-password"] * 5 + ["banned"]


def test_a_phone_whose_address_changed_is_taken_on_the_nonce_that_it_has() -> None:
    world = World(Flood())
    assert world.prove("192.0.2.9", nonce=world.nonces.make(NOW, "192.0.2.7")) == ""


# By hand, and live.


def test_bans_are_made_and_lifted_by_hand() -> None:
    world = World(Flood())
    world.access.ban("192.0.2.7", NOW, NOW + 60, "by hand")
    world.access.ban(ALICE, NOW, NOW + 60, "by hand")
    assert world.request("192.0.2.7") == "banned"
    assert world.prove("192.0.2.8") == "account-closed"
    assert is_shut(world.bans.shut, "192.0.2.7", NOW)
    assert [world.access.lift(name) for name in ("192.0.2.7", ALICE, "nobody")] == [True, True, False]
    assert world.request("192.0.2.7") == "no-credentials"
    assert world.prove("192.0.2.8") == ""
    assert world.bans.shut == {}


def test_an_account_shut_by_hand_is_shut_to_its_owner_too() -> None:
    world = World(Flood())
    assert world.prove("192.0.2.8") == ""
    world.access.ban(ALICE, NOW, NOW + 60, "by hand")
    assert world.prove("192.0.2.8") == "banned"


def test_a_site_that_trusts_a_banned_source_lets_it_in() -> None:
    world = World(Flood(requests=1))
    assert [world.request("192.0.2.7") for _ in range(3)][1:] == ["flood", "banned"]
    rules = (Rule("192.0.2.0/24", "", "trust"),)
    world.access.take(Site(world.site.domains, USERS, access=rules, flood=Flood(requests=1)))
    assert world.bans.shut == {}
    assert world.request("192.0.2.7") == ""


def test_bans_nonces_and_good_sources_survive_a_change_of_the_site() -> None:
    world = World(Flood(wrong_passwords=5, account_wrong_passwords=1))
    nonce = world.nonces.make(NOW, "198.51.100.1")
    assert world.prove("198.51.100.1", nonce=nonce) == ""
    for _ in range(5):
        world.prove("192.0.2.7", "guess")
    world.access.take(Site(world.site.domains, USERS, flood=Flood(wrong_passwords=9, window_s=10)))
    assert world.request("192.0.2.7") == "banned"
    assert world.prove("198.51.100.1", nonce=nonce) == "replayed"
    assert world.prove("198.51.100.1") == ""
    assert world.prove("198.51.100.2") == "account-closed"


def test_a_node_that_starts_believes_no_forger_about_where_phones_are_registered() -> None:
    """Nobody has proved anything to it yet."""
    for place, cause in [
        ("udp:198.51.100.1:5062", "stale"),
        ("static", "wrong-password"),
        ("udp:198.51.100.2:5062", "wrong-password"),
    ]:
        world = World(Flood(wrong_passwords=10))
        world.access.recall([(ALICE, place), ("zoe@open.org", "udp:198.51.100.1:5062")])
        nonce = world.nonces.make(NOW, "203.0.113.1")
        assert world.prove("198.51.100.1", "guess", nonce=nonce) == cause
    world.access.recall([(ALICE, "tls:[2001:db8::7]:5061")])
    assert world.prove("2001:db8::9", "guess", nonce=nonce) == "stale"


def test_where_nobody_proves_anything_to_register_no_source_is_good_for_it() -> None:
    world = World(Flood(wrong_passwords=10))
    world.access.take(replace(world.site, domains={"example.com": Domain("example.com", ("INVITE",))}))
    world.access.recall([(ALICE, "udp:198.51.100.1:5062")])
    assert world.access._guard.believes("198.51.100.1")


def test_sources_that_are_remembered_of_bindings_are_bounded() -> None:
    good = Good(2)
    good.recall(["192.0.2.1", "192.0.2.2", "192.0.2.3"])
    assert [good.proved_any(f"192.0.2.{number}") for number in (1, 2, 3)] == [True, True, False]
    good.note("192.0.2.9", ALICE, NOW)
    assert [good.proved_any(f"192.0.2.{number}") for number in (1, 2, 9)] == [True, True, True]


def test_of_thousands_of_banned_sources_those_that_are_trusted_by_now_are_found_step_by_step() -> None:
    world = World(Flood())
    for number in range(4 * NARROWED):
        world.access.ban(f"10.0.{number >> 8}.{number & 255}", NOW, NOW + 600, "requests")
    world.access.take(replace(world.site, access=(Rule("10.0.0.0/16", action="trust"),)))
    assert len(world.bans.shut) == 3 * NARROWED
    assert [world.access.narrow() for _ in range(4)] == [True, True, True, False]
    assert (world.bans.shut, len(world.bans)) == ({}, 4 * NARROWED)


# What it costs.


def test_hundreds_of_thousands_of_sources_fill_no_memory() -> None:
    world = World(Flood(requests=1, wrong_passwords=1, ban_s=100_000))
    guard = world.access._guard
    for number in range(2 * CAPACITY + 1000):
        host = f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        guard.admit(host, NOW)
        guard.note_wrong(host, host, "", NOW)
    assert len(world.bans) == len(world.bans.shut) == CAPACITY
    assert len(world.bans._ends) <= 2 * CAPACITY + 1
    assert len(guard._requests) <= CAPACITY
    assert len(guard._wrong) <= CAPACITY
    # And who comes then is counted as before.
    assert [guard.admit("203.0.113.7", NOW) for _ in range(3)] == ["", "flood", "banned"]


@pytest.mark.parametrize("algorithm", digest.ALGORITHMS)
def test_known_and_unknown_users_take_the_same_hashes(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []
    real = digest._HASHES[algorithm]

    def counted(octets: bytes) -> object:
        hashed.append(len(octets))
        return real(octets)

    monkeypatch.setitem(digest._HASHES, algorithm, counted)
    work = {}
    for user in ("alice", "nobody"):
        domain = Domain("example.com", algorithms=(algorithm,))
        site = Site({"example.com": domain}, USERS, flood=Flood())
        step = Access(site, USERS, Domains(site.domains, set()), Nonces(b"farm"))
        value = credentials(
            step._nonces.make(NOW, "192.0.2.7"),
            "REGISTER",
            "sip:example.com",
            user=user,
            password="guess",
            algorithm=algorithm,
        )
        request = request_of("REGISTER", "sip:example.com", f"Authorization: {value}", to=f"<sip:{ALICE}>")
        hashed.clear()
        step.decide(ask_of(request))
        work[user] = list(hashed)
    assert work["alice"] == work["nobody"]
    assert len(work["alice"]) == 2


def test_known_and_unknown_users_take_the_same_time() -> None:
    world = World(Flood(wrong_passwords=0, account_wrong_passwords=1_000_000))

    def asks(user: str) -> list[Ask]:
        made = []
        for _ in range(400):
            nonce = world.nonces.make(NOW, "192.0.2.7")
            value = credentials(
                nonce,
                "REGISTER",
                "sip:example.com",
                user=user,
                password="guess",
                algorithm="MD5",
            )
            made.append(world.ask("192.0.2.7", f"Authorization: {value}"))
        return made

    def cost_s(ask: Ask) -> float:
        began = time.thread_time()
        world.access.decide(ask)
        return time.thread_time() - began

    # In turn, so that whatever else the machine does meets both.
    pairs = [
        (cost_s(known), cost_s(unknown)) for known, unknown in zip(asks("alice"), asks("nobod"), strict=True)
    ]
    known_s, unknown_s = (statistics.median(costs) for costs in zip(*pairs, strict=True))
    assert abs(known_s - unknown_s) < 0.15 * known_s, (known_s, unknown_s)
