"""An engine in memory with the whole policy of a node, a site of providers and routes, and peers.

world = Routed(site(providers=..., routes=...))
caller, gateway = world.peer("192.0.2.10"), world.peer("192.0.2.20")
caller.send(dial("+351912345678"))
"""

from typing import Any, Final

from oneproxy.engine.decisions import Ask, Decision
from oneproxy.policy.build import build
from oneproxy.policy.order import Order
from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.location import Location
from oneproxy.site.entries import route_key
from oneproxy.site.model import Domain, Gateway, Provider, Route, Rule, Site, Subscriber
from oneproxy.trunks.gateway import GatewayState
from oneproxy.trunks.step import TrunkStep
from world import PROXY, World, request

SECRET: Final = bytes(range(32))
#: Trusted; everybody else has to prove a password, or is a gateway.
CALLER: Final = "192.0.2.10"
STRANGER: Final = "198.51.100.66"


def gateway(name: str, host: str = "", **keys: Any) -> Gateway:
    """A gateway "g0" at 192.0.2.20, "g1" at 192.0.2.21."""
    return Gateway(name, f"sip:{host or '192.0.2.2' + name[-1]}", **keys)


def provider(name: str, *gateways: Gateway, **keys: Any) -> Provider:
    """A provider whose gateways are tried in order."""
    return Provider(name, gateway=gateways, **{"choice": "order", **keys})


def site(providers: tuple[Provider, ...] = (), routes: tuple[Route, ...] = (), **domain: Any) -> Site:
    """A site of example.com with the subscriber alice."""
    keyed: dict[str, Route] = {}
    for route in routes:
        place = 1
        while route_key(route.prefix, place) in keyed:
            place += 1
        keyed[route_key(route.prefix, place)] = route
    return Site(
        {"example.com": Domain("example.com", **domain)},
        {"alice@example.com": Subscriber("alice@example.com", {}, ("+351211234567",))},
        (Rule(f"{CALLER}/32", action="trust"),),
        providers={one.name: one for one in providers},
        routes=keyed,
    )


def dial(number: str, *headers: str, method: str = "INVITE", **changed: Any) -> bytes:
    """A request for a number of example.com."""
    return request(method, f"sip:{number}@example.com", *headers, **changed)


class Routed(World):
    """The engine with the policy of a node over it, which has this site."""

    def __init__(self, of: Site, calls: int = 0, transactions: int = 1000) -> None:
        super().__init__(calls=calls, transactions=transactions)
        self.location = Location(1000)
        self.policy: Order = build(
            of, SECRET, {PROXY, f"{PROXY}:5060"}, self.location, self._save, self._answer
        )
        self.step = next(one for one in self.policy.steps if isinstance(one, TrunkStep))
        trust = self.engine.trust
        trust.keeps = self.step.keeps
        trust.on_refused = lambda _ask, cause: self.refused.append(cause)
        self.refused: list[str] = []

    def decide(self, ask: Ask) -> Decision:
        """The policy of a node."""
        return self.policy.decide(ask)

    def bind(self, aor: str, contact: str, source: str = "udp:192.0.2.99:5060", **more: Any) -> None:
        """A contact has been registered."""
        binding = Binding(contact, self.now + 3600, 1000, "r", 1, source, self.now, **more)
        self.location.apply(Change(aor, (), (binding,)))

    def calls(self, provider: str, name: str) -> int:
        """How many calls a gateway has."""
        return self.state(provider, name).calls

    def state(self, provider: str, name: str) -> GatewayState:
        """What is known of a gateway."""
        found = self.step.trunks.find(provider)
        assert found is not None
        state = found.find(name)
        assert state is not None
        return state

    def _save(self, *_: Any) -> bool:
        raise AssertionError("nothing registers here")

    def _answer(self, ask: Ask, decision: Decision) -> None:
        self.engine.answer(self.now, ask, decision)
