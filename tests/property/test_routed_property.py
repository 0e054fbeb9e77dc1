"""Whatever becomes of calls on their way, of gateways, of the site and of the engine: no gateway is given
more calls than it may have, and when all calls are over none is counted anywhere."""

from random import Random
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from oneproxy.engine.flow import Listener
from oneproxy.sip.message import Request, Response, split
from oneproxy.site.model import Gateway, Provider, Registration, Route, Site
from oneproxy.trunks.gateway import GatewayState
from oneproxy.trunks.provider import ProviderState
from routed import CALLER, Routed, site
from world import PROXY, Peer, request, response

#: g0 and g1 have addresses, g2 a name, g3 is over TCP.
URIS: Final = {
    "g0": "sip:192.0.2.20",
    "g1": "sip:192.0.2.21",
    "g2": "sip:gw.example",
    "g3": "sip:192.0.2.23;transport=tcp",
}
HOSTS: Final = ("192.0.2.20", "192.0.2.21", "192.0.2.22", "192.0.2.23")
STREAM: Final = ("192.0.2.23", 5060, "TCP")
NAME: Final = "gw.example"
ACCOUNT: Final = Registration("sip:me@carrier", "me", "secret")
ROUTES: Final = (Route("+1", provider="p"), Route("+2", provider="q"), Route("+3", target="sip:192.0.2.30"))
#: What gateways answer, each as often as it stands here.
STATUSES: Final = (100, 180, 183, 183, 200, 200, 200, 302, 404, 407, 407, 401, 422, 486, 500, 503, 603)
#: What happens, likewise.
EVENTS: Final = (
    *("dial", "respond") * 6,
    *("talk", "wait") * 3,
    *("cancel", "unreachable", "change", "break_connection", "name", "resolve", "lose_way", "end_one"),
)


class Calls:
    """A caller who dials, gateways that say what they like, and people who change the site."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.site = self.any_site()
        self.world = Routed(self.site, calls=6)
        self.world.listeners["TCP"] = Listener("TCP", PROXY, 5060)
        self.world.names[NAME] = [("UDP", "192.0.2.22", 5060)]
        self.caller = self.world.peer(CALLER)
        self.dialled = 0
        #: INVITEs of the caller; INVITEs as gateways have got them; dialogs as the
        #: caller knows them.
        self.invites: list[bytes] = []
        self.got: list[tuple[Peer, Request]] = []
        self.dialogs: list[Response] = []
        self.states: set[GatewayState] = set()
        self.providers: set[ProviderState] = set()

    # What there is.

    def any_site(self) -> Site:
        made = [self.any_provider("p", "q"), self.any_provider("q", "")]
        return site(tuple(one for one in made if self.random.random() < 0.9), ROUTES)

    def any_provider(self, name: str, fallback: str) -> Provider:
        random = self.random
        gateways = [
            Gateway(
                one,
                URIS[one],
                max_calls=random.choice((0, 1, 1, 2, 3)),
                register=random.choice((None, ACCOUNT)),
                drain=random.random() < 0.1,
                weight=random.choice((0, 1, 2)),
            )
            for one in random.sample(sorted(URIS), random.randint(1, 4))
        ]
        return Provider(
            name,
            random.choice(("", fallback)),
            tuple(gateways),
            choice=random.choice(("latency", "order", "load", "weight")),
            max_calls=random.choice((0, 2, 4)),
            next_codes=random.choice(((), (404, 603))),
            try_for_ms=random.choice((500, 3000)),
            session_expires_s=random.choice((0, 90, 1800)),
            max_call_s=7200,
            eject_after=random.randint(1, 3),
        )

    def peers(self) -> list[Peer]:
        return [*(self.world.peer(host) for host in HOSTS), self.world.peer(*STREAM)]

    def look(self) -> None:
        """What has come to the gateways and to the caller."""
        for name in "pq":
            provider = self.world.step.trunks.find(name)
            if provider is not None:
                self.providers.add(provider)
                self.states.update(provider.gateways)
        for provider in self.providers:
            # One that answers late may be gone from the site.
            self.states.update(one.gateway for one in provider.held)
        for peer in [*self.peers(), self.world.peer("192.0.2.30")]:
            while peer.inbox:
                message = split(peer.inbox.popleft())
                if isinstance(message, Request) and message.method == "INVITE":
                    self.got.append((peer, message))
        while self.caller.inbox:
            message = split(self.caller.inbox.popleft())
            if isinstance(message, Response) and message.status == 200 and message.cseq_method() == "INVITE":
                self.dialogs.append(message)

    def any_of(self, things: list[Any]) -> Any:
        """One of them, a late one mostly."""
        return self.random.choice(things[-3:] if self.random.random() < 0.7 else things)

    # What happens.

    def dial(self) -> None:
        random = self.random
        self.dialled += 1
        before = {one: len(one.held) for one in self.states}
        made = request(
            "INVITE",
            f"sip:{random.choice(('+1', '+1', '+2', '+3'))}123456@example.com",
            "Contact: <sip:alice@192.0.2.10>",
            *random.choice(((), (), ("Supported: timer", "Session-Expires: 60"), ("Max-Breadth: 1",))),
            branch=f"z9hG4bK{self.dialled}",
            call_id=f"call-{self.dialled}",
            hops=random.choice((70, 70, 70, 70, 1, 0)),
            cseq=random.choice((1, 1, 2**31 - 2)),
        )
        self.invites.append(made)
        self.caller.send(made)
        self.look()
        for one in self.states:
            bound = one.site.max_calls
            assert not bound or len(one.held) <= max(bound, before.get(one, 0))

    def respond(self) -> None:
        """To any INVITE that there ever was, so also late and twice."""
        if not self.got:
            return
        random = self.random
        peer, invite = self.any_of(self.got)
        status = random.choice(STATUSES)
        lines = [f"Contact: <sip:b@{peer.flow.host}>"]
        if status in (401, 407):
            kind = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
            stale = random.choice(("", ", stale=true"))
            realm = random.choice(("carrier", "other"))
            nonce = f"n{random.randint(1, 999)}"
            lines.append(f'{kind}: Digest realm="{realm}", nonce="{nonce}", qop="auth"{stale}')
        if status == 503:
            lines.append(f"Retry-After: {random.choice(('5', '99999999999999', '-1', 'soon'))}")
        peer.send(response(invite, status, *lines, to_tag=random.choice("bc")))

    def cancel(self) -> None:
        """Or the INVITE once more."""
        if self.invites:
            invite = self.any_of(self.invites)
            self.caller.send(invite if self.random.random() < 0.3 else invite.replace(b"INVITE", b"CANCEL"))

    def talk(self) -> None:
        """A request of the caller in a call, and what it is answered."""
        if not self.dialogs:
            return
        ok = self.any_of(self.dialogs)
        method = self.random.choice(("BYE", "BYE", "INVITE", "UPDATE", "ACK"))
        self.dialled += 1
        host = (ok.get("contact") or "").partition("@")[2].rstrip(">")
        made = request(
            method,
            f"sip:b@{host}",
            *[f"Route: {one}" for one in reversed(ok.all("record-route"))],
            "Contact: <sip:alice@192.0.2.10>",
            branch=f"z9hG4bK{self.dialled}",
            call_id=ok.get("call-id") or "",
            cseq=1 + self.dialled,
            to_tag=(ok.get("to") or "").rpartition("tag=")[2],
        )
        self.caller.send(made)
        status = self.random.choice((0, 200, 200, 481, 500, 408))
        for peer in self.peers():
            while peer.inbox:
                message = split(peer.inbox.popleft())
                if isinstance(message, Request) and message.method == method != "ACK" and status:
                    peer.send(response(message, status, f"Contact: <sip:b@{host}>"))

    def wait(self) -> None:
        self.world.wait(self.random.choice((0.1, 0.6, 0.6, 3.1, 3.1, 40.0, 200.0)))

    def change(self) -> None:
        """A provider or a gateway may be gone, have other bounds, or be there again."""
        self.site = self.any_site()
        self.world.policy.take(self.site)

    def unreachable(self) -> None:
        """The system says so of what was sent."""
        if self.got:
            self.world.engine.unreachable(self.world.now, self.any_of(self.got)[1].bytes())
            self.world.deliver()

    def break_connection(self) -> None:
        self.world.close(self.world.peer(*STREAM))
        del self.world.peers["TCP", "192.0.2.23", 5060]

    def name(self) -> None:
        """Name servers answer at once, late, or that there is nothing."""
        self.world.names[NAME] = self.random.choice((None, None, [], [("UDP", "192.0.2.22", 5060)]))

    def resolve(self) -> None:
        if self.world.asked_names:
            self.world.resolve(*self.random.choice(((), (("UDP", "192.0.2.22", 5060),))))

    def lose_way(self) -> None:
        if self.world.unroutable:
            self.world.unroutable.clear()
        else:
            self.world.unroutable.add(self.random.choice(HOSTS))

    def end_one(self) -> None:
        """Somebody ends a call from the side."""
        held = [one for state in self.states for one in state.held]
        if held:
            call = self.call_of(self.random.randrange(len(held)))
            self.world.engine.end(self.world.now, call, "Q.850;cause=16")
            self.world.deliver()

    def call_of(self, at: int) -> Any:
        calls = list(self.world.engine.following._calls.values())
        return calls[at % len(calls)].call

    # What holds.

    def judge(self) -> None:
        held = [one for state in self.states for one in state.held]
        assert len(held) <= self.world.engine.calls()
        assert not any(one.is_over for one in held)
        for state in self.states:
            assert state.waiting == sum(one.is_waiting for one in state.held)
        for provider in self.providers:
            assert {one for one in held if one.provider is provider} == provider.held

    def end(self) -> None:
        """All end in time, whatever is not answered any more."""
        self.world.names[NAME] = []
        while self.world.asked_names:
            self.world.resolve()
        self.world.wait(20_000.0)
        self.look()
        assert self.world.engine.calls() == 0
        assert self.world.engine.sizes() == {"servers": 0, "clients": 0}
        for state in self.states:
            assert (len(state.held), state.waiting) == (0, 0)
        for provider in self.providers:
            assert not provider.held


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_no_call_is_counted_where_it_may_not_be_nor_longer_than_it_lasts(seed: int) -> None:
    calls = Calls(Random(seed))
    for _ in range(80):
        getattr(calls, calls.random.choice(EVENTS))()
        calls.look()
        calls.judge()
    calls.end()
