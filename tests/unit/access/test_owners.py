"""Whose names a subscriber may use: its own, its aliases, and what the site gives it."""

from collections.abc import Callable

import pytest

from asking import FLOW, NOW, ask_of, credentials, request_of, subscriber
from oneproxy.access.nonces import Nonces
from oneproxy.access.step import Access
from oneproxy.engine.decisions import Ask, Reply
from oneproxy.policy.build import on_wire
from oneproxy.policy.domains import Domains
from oneproxy.site.model import Domain, Site, Subscriber

DOMAINS = {name: Domain(name, algorithms=("MD5",)) for name in ("example.com", "example.org")}


class World:
    def __init__(self, *subscribers: Subscriber) -> None:
        self.subscribers = {on_wire(one.aor): one for one in subscribers}
        self.aliases: dict[str, str] = {}
        self.site = Site(DOMAINS, {one.aor: one for one in subscribers})
        self.nonces = Nonces(b"farm")
        self.access = Access(
            self.site,
            self.subscribers,
            Domains(DOMAINS, {"192.0.2.1"}),
            self.nonces,
            aliases=self.aliases,
            on_wire=on_wire,
        )

    def cause(
        self, method: str, uri: str, sender: str, to: str, user: str = "alice", realm: str = "example.com"
    ) -> str:
        """What is said to a request that proves the password of `user`."""
        value = credentials(
            self.nonces.make(NOW, FLOW.host), method, uri, user=user, realm=realm, algorithm="MD5"
        )
        name = "Authorization" if method == "REGISTER" else "Proxy-Authorization"
        request = request_of(method, uri, f"{name}: {value}", sender=f"<sip:{sender}>", to=f"<sip:{to}>")
        self.asked: Ask = ask_of(request)
        decision = self.access.decide(self.asked)
        assert decision is None or isinstance(decision, Reply)
        return "" if decision is None else decision.cause

    def call(self, sender: str) -> str:
        return self.cause("INVITE", "sip:bob@example.com", sender, "bob@example.com")

    def register(self, to: str, sender: str | None = None) -> str:
        domain = to.rpartition("@")[2]
        return self.cause("REGISTER", f"sip:{domain}", sender or to, to)


def alice(*may_use: str) -> Subscriber:
    return subscriber("alice@example.com", may_use=may_use)


@pytest.mark.parametrize("how", [World.call, World.register])
def test_nobody_may_be_somebody_else(how: Callable[[World, str], str]) -> None:
    world = World(alice(), subscriber("bob@example.com"))
    assert how(world, "alice@example.com") == ""
    assert how(world, "bob@example.com") == "other-user"
    assert world.asked.subscriber is None


@pytest.mark.parametrize("how", [World.call, World.register])
@pytest.mark.parametrize(
    ("may_use", "claimed", "cause"),
    [
        (("sales@example.com",), "sales@example.com", ""),
        (("sales@example.com",), "sale@example.com", "other-user"),
        (("*@example.com",), "anybody@example.com", ""),
        (("*@example.org",), "anybody@example.com", "other-user"),
        (("j\xf6rg@example.com",), "j%C3%B6rg@example.com", ""),
    ],
)
def test_may_use_lets_a_subscriber_be_another(
    how: Callable[[World, str], str], may_use: tuple[str, ...], claimed: str, cause: str
) -> None:
    world = World(alice(*may_use))
    assert how(world, claimed) == cause
    assert world.asked.subscriber == (None if cause else "alice@example.com")


def test_a_subscriber_may_call_as_somebody_of_another_domain_that_it_may_use() -> None:
    world = World(alice("*@example.org"))
    invite = ("INVITE", "sip:bob@example.com", "zoe@example.org", "bob@example.com")
    # It is that domain that asks, and whose password is proved.
    assert world.cause(*invite) == "other-realm"


def test_a_third_party_registers_only_for_whom_it_may_use() -> None:
    world = World(alice("sales@example.com"))
    assert world.register("sales@example.com", sender="alice@example.com") == ""
    assert world.register("alice@example.com", sender="sales@example.com") == ""
    assert world.register("bob@example.com", sender="alice@example.com") == "other-user"
    # Somebody else is said to have registered alice.
    assert world.register("alice@example.com", sender="bob@example.com") == "other-user"
    assert world.register("alice@example.com", sender="carol@elsewhere.net") == "other-user"


def test_an_alias_of_the_subscriber_is_his_own_and_so_are_those_of_whom_he_may_use() -> None:
    world = World(alice("sales@example.com"))
    assert world.call("info@example.com") == "other-user"
    world.aliases["info@example.com"] = "alice@example.com"
    world.aliases["+351@example.com"] = "sales@example.com"
    assert [world.call("info@example.com"), world.call("+351@example.com")] == ["", ""]
    assert world.asked.subscriber == "alice@example.com"
    world.aliases["info@example.com"] = "bob@example.com"
    assert world.call("info@example.com") == "other-user"


def test_who_may_use_an_alias_may_use_its_owner() -> None:
    world = World(alice("info@example.com"), subscriber("sales@example.com"))
    world.aliases["info@example.com"] = "sales@example.com"
    assert (world.call("info@example.com"), world.call("sales@example.com")) == ("", "")
    assert world.register("sales@example.com") == ""


def test_who_may_use_what_changes_with_the_site() -> None:
    world = World(alice("sales@example.com"))
    assert world.call("sales@example.com") == ""
    world.subscribers["alice@example.com"] = alice("support@example.com")
    world.access.take(world.site)
    assert [world.call("sales@example.com"), world.call("support@example.com")] == ["other-user", ""]


def test_subscribers_that_come_and_go_are_known_at_once() -> None:
    world = World(alice())
    assert (
        world.cause("INVITE", "sip:x@example.com", "zoe@example.com", "x@example.com", "zoe")
        == "unknown-user"
    )
    world.subscribers["zoe@example.com"] = subscriber("zoe@example.com")
    assert world.cause("INVITE", "sip:x@example.com", "zoe@example.com", "x@example.com", "zoe") == ""
    del world.subscribers["zoe@example.com"]
    assert (
        world.cause("INVITE", "sip:x@example.com", "zoe@example.com", "x@example.com", "zoe")
        == "unknown-user"
    )


def test_a_domain_that_comes_asks_for_passwords_and_one_that_goes_does_not() -> None:
    world = World(alice())
    world.access.take(Site({"example.com": Domain("example.com", authenticate=())}, {}))
    plain = request_of("INVITE", "sip:bob@example.com")
    assert world.access.decide(ask_of(plain)) is None
    world.access.take(world.site)
    decision = world.access.decide(ask_of(plain))
    assert isinstance(decision, Reply)
    assert decision.status == 407
