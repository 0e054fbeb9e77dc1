"""The step that routes calls: by the number that is dialled to a provider, a target, a user, or nowhere.

Passed on to the steps behind it is what no route is for, and what is for a user who is known here,
unless a route is for users too. Where a route leads to a user here, the next steps find him.

Only who has proved to be a subscriber, who is trusted, and gateways by routes that are made for
their calls, get out to providers and targets: anybody else would talk on our account.
"""

from collections.abc import Callable, Mapping, Set
from operator import is_
from random import Random
from typing import Final, Protocol

from oneproxy.engine.call import Session
from oneproxy.engine.decisions import BY_SITE, Ask, Best, Decision, Forward, Reply, Target
from oneproxy.engine.flow import Flow
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.read import address_uri
from oneproxy.sip.uri import Uri, escape_user, parse_uri
from oneproxy.site.model import Domain, Provider, Route, Site
from oneproxy.trunks.answer import REASONS, UNHEALTHY, UNHEALTHY_S, Answer
from oneproxy.trunks.call import Call
from oneproxy.trunks.conditions import OnWire
from oneproxy.trunks.explaining import Explained, explain_call
from oneproxy.trunks.gateway import GatewayState
from oneproxy.trunks.identity import Identity, find_identity
from oneproxy.trunks.inbound import Arrival, Peers, may_go_out
from oneproxy.trunks.limits import ProviderLimits
from oneproxy.trunks.numbers import dialled_number, number_or_user
from oneproxy.trunks.outgoing import Side, make_outgoing
from oneproxy.trunks.rewriting import Form
from oneproxy.trunks.routed import NO_NUMBER, RoutedCall, reply_of
from oneproxy.trunks.routes import ALL, Plan, Routes
from oneproxy.trunks.sides import Sides, peers_of
from oneproxy.trunks.trunks import Trunks

NOT_OUT: Final = Reply(403, "Not Allowed", cause="not-allowed-out")
_NO_SITE: Final = Site({}, {})
#: As of `Outcome.error`: a gateway that has not got the request, so that another one may.
_NOT_TAKEN: Final = frozenset(("transport", "name", "timeout", "oc", "retry-after"))


class Domains(Protocol):
    """Whose a URI is: `policy.domains.Domains`."""

    def find(self, uri: Uri) -> tuple[Domain, str] | None:
        """The served domain of a URI, and the AoR there."""
        ...

    def find_number(self, uri: Uri, caller: Uri | None) -> tuple[Domain, str] | None:
        """The same of a tel URI, by who calls."""
        ...

    def is_here(self, uri: Uri) -> bool:
        """Whether a request for this URI is at its destination here."""
        ...


class TrunkStep:
    """Routes calls, and knows the gateways that they come from and go to."""

    __slots__ = (
        "_domains",
        "_for_users",
        "_forms",
        "_is_user",
        "_on_wire",
        "_providers",
        "_routes",
        "_sessions",
        "_sides",
        "peers",
        "routes",
        "trunks",
    )

    def __init__(
        self,
        site: Site,
        domains: Domains,
        is_user: Callable[[str, float], bool],
        on_wire: OnWire,
        random: Random,
        lengths: Set[int] = ALL,
        for_users: Set[str] | None = None,
        limits: ProviderLimits | None = None,
    ) -> None:
        """is_user: whether somebody is known here by an AoR, at an instant. on_wire, lengths: as `Routes`.

        for_users: the keys of routes that are for users too, looked at anew each time; None: those
        of `site`. limits: those of providers that are kept elsewhere.
        """
        self._domains = domains
        self._is_user = is_user
        self._on_wire = on_wire
        self._routes: Mapping[str, Route] = site.routes
        self.routes = Routes(site.routes, on_wire, lengths)
        self.trunks = Trunks(_NO_SITE, random)
        self.trunks.limits = limits
        self.peers = Peers()
        #: The providers that tables were made of last.
        self._providers: list[Provider] = []
        self._sides = Sides(random)
        #: By country: how numbers are dialled there. By provider: what keeps its calls alive.
        self._forms: dict[str, Form] = {}
        if for_users is None:
            for_users = {key for key, route in site.routes.items() if route.users}
        self._for_users = for_users
        self._sessions: dict[str, tuple[Provider, Session]] = {}
        self.take(site)

    def take(self, site: Site) -> None:
        """The site has changed: decide by this one from now on. Calls go on, and count."""
        self._routes = site.routes
        self.routes.take(site)
        self.trunks.take(site)
        providers = list(site.providers.values())
        if len(providers) != len(self._providers) or not all(map(is_, providers, self._providers)):
            # Most changes of a site are of other entries, and a thousand gateways take 15 ms.
            self._providers = providers
            self.peers.take(peers_of(site))
            self._sides.take(site)
            self._sessions = {name: kept for name, kept in self._sessions.items() if name in site.providers}

    def arrival(self, flow: Flow) -> Arrival | None:
        """The gateways that send from where a flow leads; None for anybody else."""
        names = flow.client_names
        name = next((one for one in names if self.peers.is_client(one)), "") if names else ""
        return self.peers.find(flow.host, flow.port, name)

    def keeps(self, host: str) -> bool:
        """Whether a gateway is at this IP address: calls get there by routes alone.

        A gateway takes calls from us because it knows our address. Whoever registers a contact there,
        or dials its address, would have them without the routes, their conditions and limits.
        """
        return host in self.peers

    def decide(self, ask: Ask) -> Decision | None:
        """Route, refuse, or pass."""
        if not self._routes or ask.inside or ask.request.method == "REGISTER":
            return None
        found = self.find(ask)
        if found is None:
            return None
        call, identity, plan = found
        match plan.kind:
            case "refuse":
                status = int(plan.value)
                return Reply(status, REASONS.get(status, "Refused"), cause="route")
            case "redirect":
                uri = self.target(plan).uri_of(plan.called_number(call.number))
                return Reply(302, "Moved Temporarily", (f"Contact: <{uri}>",)) if uri else NO_NUMBER
            case "aor" | "domain":
                self.lead(ask, call, plan)
                return None
            case _:
                return self._out(ask, call, identity, plan)

    def explain(self, ask: Ask) -> Explained:
        """What `decide` would say, and why; nothing is changed but `ask`, made to be explained.

        Passed to the next steps is what has neither a `status` nor a `uri`.
        """
        if not self._routes:
            return Explained([("route", "none: there are no routes")])
        made = None if ask.request.method == "REGISTER" else self._call_of(ask)
        if made is None:
            return Explained([("route", "none is asked for: this is for a user here, or no number")])
        call, identity = made
        return explain_call(self, ask, call, identity)

    def _out(self, ask: Ask, call: Call, identity: Identity | None, plan: Plan) -> Decision:
        """To a provider or a target, for those who may."""
        if not may_go_out(ask):
            return NOT_OUT
        if plan.kind == "target":
            return self._to_target(ask, call, plan, identity)
        if ask.request.method != "INVITE":
            return Message(self, call, plan, identity).decide(ask)
        limits = self.trunks.limits
        walk = self.trunks.walk(plan.value, limits is not None and limits.spares(ask))
        session = self._session(plan.value)
        return RoutedCall(walk, self._sides, plan, call, identity, session).begin(ask)

    def find(self, ask: Ask) -> tuple[Call, Identity | None, Plan] | None:
        """The call that a request makes, who makes it, and its route; None where no route is for it."""
        made = self._call_of(ask)
        plan = None if made is None else self.routes.find(made[0])
        return None if made is None or plan is None else (*made, plan)

    def _call_of(self, ask: Ask) -> tuple[Call, Identity | None] | None:
        """The call that a request makes, and who makes it; None for one that routes are not for."""
        uri = ask.uri
        if (uri.user is None and uri.scheme != "tel") or "gr" in uri.params:
            return None
        peer = ask.peer
        arrival = peer if isinstance(peer, Arrival) else None
        served = self._served(ask)
        is_user = False
        if served is None:
            if uri.scheme != "tel" and (arrival is None or not self._domains.is_here(uri)):
                return None
            domain, country = "", ""
        else:
            is_user = self._is_user(served[1], ask.now)
            if is_user and not self._for_users:
                return None
            domain, country = served[0].name, served[0].country
        request = ask.request
        believed = ask.trusted or arrival is not None
        identity = find_identity(request, believed, ask.subscriber or "")
        calling = "" if identity is None else identity.user
        sides: frozenset[str] = frozenset()
        if arrival is not None:
            number, sides = arrival.number(request, uri), arrival.sides
        else:
            number = number_or_user(uri) if is_user else dialled_number(uri)
            if country:
                number = self._form(country).read(number)
        caller = ask.subscriber or ""
        ask.number, ask.calling = number, calling
        call = Call(number, ask.now, domain, caller, calling, ask.flow.host, sides, is_user)
        return call, identity

    def _served(self, ask: Ask) -> tuple[Domain, str] | None:
        if ask.uri.host:
            return self._domains.find(ask.uri)
        if ask.subscriber is not None:
            caller = parse_uri(f"sip:{ask.subscriber}")
            return self._domains.find_number(ask.uri, None if isinstance(caller, Malformed) else caller)
        return self._domains.find_number(ask.uri, address_uri(ask.request, "from"))

    def _form(self, country: str) -> Form:
        form = self._forms.get(country)
        if form is None:
            form = self._forms[country] = Form("", country)
        return form

    def _session(self, name: str) -> Session | None:
        """What keeps the calls of a provider alive, or ends them."""
        state = self.trunks.find(name)
        if state is None:
            return None
        known = self._sessions.get(name)
        if known is None or known[0] is not state.site:
            site = state.site
            made = Session(site.session_expires_s, bye=True, longest_s=site.max_call_s)
            known = self._sessions[name] = site, made
        return known[1]

    def lead(self, ask: Ask, call: Call, plan: Plan) -> None:
        """To a user here: whom the next steps are asked for."""
        if plan.kind == "aor":
            aor = self._on_wire(plan.value)
        else:
            aor = f"{escape_user(plan.called_number(call.number))}@{plan.value}"
        scheme = "sips" if ask.uri.scheme == "sips" else "sip"
        uri = parse_uri(f"{scheme}:{aor}")
        if not isinstance(uri, Malformed):
            ask.uri = uri

    def _to_target(self, ask: Ask, call: Call, plan: Plan, identity: Identity | None) -> Decision:
        out = make_outgoing(ask.request, call, plan, self.target(plan), identity)
        if out is None:
            return NO_NUMBER
        return Forward([Target(out.uri, headers=out.headers, dropped=out.dropped, source=BY_SITE)])

    def side_of(self, provider: str, gateway: GatewayState) -> Side:
        """How a gateway wants its calls."""
        return self._sides.of(provider, gateway.site)

    def target(self, plan: Plan) -> Side:
        """How the target of a route wants its calls."""
        return self._sides.of_target(plan.value)


class Message:
    """A request that is no call, and goes through a gateway: it counts nowhere, and says nothing of it."""

    __slots__ = ("_call", "_identity", "_plan", "_step", "_tried")

    def __init__(self, step: TrunkStep, call: Call, plan: Plan, identity: Identity | None) -> None:
        self._step = step
        self._call = call
        self._plan = plan
        self._identity = identity
        self._tried: list[GatewayState] = []

    def decide(self, ask: Ask) -> Decision:
        """To the first gateway, or to the next one where one can't be reached."""
        if ask.outcomes and ask.outcomes[-1].error not in _NOT_TAKEN:
            return Best(ask.outcomes[-1])
        name: str | None = self._plan.value
        seen: set[str] = set()
        while name and name not in seen:
            seen.add(name)
            provider = self._step.trunks.find(name)
            if provider is None:
                break
            chosen = provider.choose(ask.now, self._tried)
            if isinstance(chosen, GatewayState):
                return self._send(ask, name, chosen)
            name = provider.site.fallback
        return reply_of(Answer(503, cause=UNHEALTHY, retry_after_s=UNHEALTHY_S))

    def _send(self, ask: Ask, provider: str, gateway: GatewayState) -> Decision:
        self._tried.append(gateway)
        side = self._step.side_of(provider, gateway)
        out = make_outgoing(ask.request, self._call, self._plan, side, self._identity)
        if out is None:
            return NO_NUMBER
        ask.step = self
        state = self._step.trunks.find(provider)
        wait_s = 0.0 if state is None else state.site.try_for_ms / 1000.0
        target = Target(
            out.uri, first_response_s=wait_s, headers=out.headers, dropped=out.dropped, source=BY_SITE
        )
        return Forward([target])
