"""An engine with the whole policy of a node whose site has limits, and the node's part that keeps them.

world = LimitedCalls(limited(Limit(caller="*", calls=2)))
assert world.call("bob") == "" and world.call("bob") == ""
assert world.call("bob") == "caller-calls-per-period"
"""

from typing import Any, Final

from msgspec.structs import replace

from oneproxy.congestion.limits import Limits
from oneproxy.congestion.step import LimitStep
from oneproxy.congestionwork import CongestionWork
from oneproxy.engine.decisions import Ask, Decision
from oneproxy.site.model import Congestion, Domain, Limit, Route, Rule, Site, Subscriber
from routed import CALLER, Routed, gateway, provider, site
from world import Peer, request, response

PHONE: Final = "192.0.2.99"
#: Trusted like `CALLER`.
OTHER_CALLER: Final = "192.0.2.11"
#: Of another network, and trusted too.
FAR_CALLER: Final = "198.51.100.1"
TRUSTED: Final = (CALLER, OTHER_CALLER, FAR_CALLER)
USERS: Final = ("alice", "bob")
DOMAINS: Final = ("example.com", "example.org")


def limited(*limits: Limit, **congestion: Any) -> Site:
    """Two domains with phones, a number range that goes to the provider p and then to q, and these limits."""
    made = site(
        (
            provider("p", gateway("g0"), fallback="q"),
            provider("q", gateway("g1")),
            provider("alone", gateway("g2")),
        ),
        (
            Route("+351", provider="p"),
            Route("+44", provider="alone"),
            Route("800", aor="bob@example.org"),
            Route("112", aor="bob@example.org"),
        ),
    )
    users = {f"{user}@{domain}": Subscriber(f"{user}@{domain}", {}) for user in USERS for domain in DOMAINS}
    return replace(
        made,
        domains={name: Domain(name) for name in DOMAINS},
        subscribers=users,
        access=tuple([Rule(host, action="trust") for host in TRUSTED]),
        congestion=Congestion(limit=limits, **{"retry_after_s": (7, 7), **congestion}),
    )


class LimitedCalls(Routed):
    """Callers at trusted addresses; a phone at `PHONE` that everybody here has."""

    def __init__(self, of: Site, calls: int = 0) -> None:
        super().__init__(of, calls=calls)
        self.limit_step = next(one for one in self.policy.steps if isinstance(one, LimitStep))
        self.limits: Limits = self.limit_step.limits
        self.asks: list[Ask] = []
        self.work = CongestionWork(self.engine, of, self.limits)
        trust = self.engine.trust
        trust.trusts = lambda flow, _method: flow.host in TRUSTED
        self.sent = 0
        for user in USERS:
            for domain in DOMAINS:
                self.bind(f"{user}@{domain}", f"sip:{user}@{PHONE}")

    def decide(self, ask: Ask) -> Decision:
        """The policy of a node; what it is asked is kept."""
        self.asks.append(ask)
        return super().decide(ask)

    def change(self, of: Site) -> None:
        """The site is this one from now on."""
        self.policy.take(of)
        self.work.take(of)

    def invite(
        self, to: str = "bob", by: str = "alice@example.com", *headers: str, host: str = CALLER
    ) -> tuple[str, Peer]:
        """Send an INVITE; its Call-ID, and who has sent it."""
        self.sent += 1
        name = f"c{self.sent}"
        uri = f"sip:{to}" if "@" in to else f"sip:{to}@example.com"
        data = request("INVITE", uri, *headers, branch=f"z9hG4bK{name}", call_id=name, via=host)
        caller = self.peer(host)
        caller.send(data.replace(b"sip:alice@example.com", f"sip:{by}".encode()))
        return name, caller

    def call(self, to: str = "bob", by: str = "alice@example.com", *headers: str, host: str = CALLER) -> str:
        """Place a call: "" where it goes on, else why it is refused."""
        before = self.counted()
        self.peer(host).take_all()
        _, caller = self.invite(to, by, *headers, host=host)
        if caller.has_nothing:
            return ""
        found = caller.take_response(503)
        assert found.get("retry-after") == "7"
        (cause,) = [code for code, count in self.counted().items() if count != before.get(code)]
        return cause

    def counted(self) -> dict[str, int]:
        """What was refused, by code."""
        return dict(self.engine.counters.refused)

    def refuse(self, host: str = PHONE) -> None:
        """Whoever is there refuses the oldest call."""
        callee = self.peer(host)
        callee.send(response(callee.take_request("INVITE"), 603, to_tag="b"))
        assert callee.inbox.pop().startswith(b"ACK ")
        self.peer(CALLER).take_all()

    def left(self) -> dict[str, int]:
        """The counts that have calls on, by key."""
        found = {}
        for _, what in self.limits.bounds():
            for count in getattr(what, "counts", {"": what}).values():
                if count.calls_on:
                    found[count.key] = count.calls_on
        return found
