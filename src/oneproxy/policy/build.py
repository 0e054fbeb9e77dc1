"""The steps of a node, made from its site and put in their order."""

from collections.abc import Sequence
from random import Random

from oneproxy.access.bans import Bans
from oneproxy.access.nonces import Nonces
from oneproxy.access.replays import Replays
from oneproxy.access.sources import source_of
from oneproxy.access.step import Access, Screen
from oneproxy.congestion.limits import Limits
from oneproxy.congestion.providers import ProviderLimits
from oneproxy.congestion.step import LedStep, LimitStep
from oneproxy.policy.added import ACCESS, ROUTES, AddedStep
from oneproxy.policy.domains import Domains
from oneproxy.policy.live import Live, on_wire
from oneproxy.policy.location import LocationStep
from oneproxy.policy.order import Order, Step
from oneproxy.policy.parties import Parties
from oneproxy.policy.sanity import Sanity
from oneproxy.records.step import Records
from oneproxy.registrar.departures import Save
from oneproxy.registrar.gruu import Gruus
from oneproxy.registrar.location import Location
from oneproxy.registrar.mirror import Mirror
from oneproxy.registrar.reach import FlowOf
from oneproxy.registrar.step import SUPPORTED, Answer, Registrar
from oneproxy.site.model import Site
from oneproxy.trunks.step import TrunkStep

__all__ = ["build", "on_wire"]


def build(
    site: Live | Site,
    secret: bytes,
    own_hosts: set[str],
    location: Location,
    save: Save,
    answer: Answer,
    flow_of: FlowOf = lambda _: None,
    mirror: Mirror | None = None,
    bans: Bans | None = None,
    since: float = 0.0,
    added: Sequence[AddedStep] = (),
) -> Order:
    """The policy of a node.

    site: what the node keeps of it, which changes in place; or one that stays as it is.
    secret: the farm's. own_hosts: "host:port" and "host" of every listener. save, answer:
    as the registrar takes them. flow_of: `Flows.named`; without it no flow is open. mirror: of
    the location; without it all is loaded. bans: with the table that transport looks into.
    since: when the node began, seconds since the epoch; 0 for any time. added: steps of operators.
    """
    live = site if isinstance(site, Live) else Live(site)
    domains = Domains(live.domains, own_hosts, live.aliases, live.subscribers)
    gruus = Gruus(secret)
    limits = Limits(on_wire, source_of)
    limits.take(live.congestion)
    limited = LimitStep(limits, Parties(domains))
    from_memory = live.without_database == "memory"
    trunks = TrunkStep(
        live.site,
        domains,
        lambda aor, now: aor in live.subscribers or bool(location.lookup(aor, now)),
        on_wire,
        Random(),
        live.route_lengths,
        live.user_routes,
        ProviderLimits(limits),
    )
    access = Access(
        live.site,
        live.subscribers,
        domains,
        Nonces(secret),
        Replays(since),
        bans,
        live.aliases,
        trunks.peers,
        trunks.arrival,
        on_wire,
        lambda aor, now: [binding.source for binding in location.lookup(aor, now)],
    )
    if mirror is not None:
        mirror.on_told = lambda bindings: access.recall((aor, one.source) for aor, one in bindings)
    registrar = Registrar(
        location, domains.find, live.subscribers, save, answer, flow_of, mirror, from_memory, gruus
    )
    steps: list[Step] = [Screen(access), Sanity(domains.is_here, domains.is_node, SUPPORTED), access]
    steps += [one.step for one in added if one.place == ACCESS]
    steps += [limited, registrar, Records(live.site)]
    steps += [one.step for one in added if one.place == ROUTES]
    steps += [trunks, LedStep(limited)]
    steps.append(LocationStep(location, domains, live.subscribers, flow_of, gruus, mirror))
    return Order(steps, [domains])
