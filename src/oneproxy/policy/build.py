"""The steps of a node, made from its site and put in their order."""

from collections.abc import Container

from oneproxy.access.bans import Bans, Shut
from oneproxy.access.nonces import Nonces
from oneproxy.access.replays import Replays
from oneproxy.access.step import Access, Screen
from oneproxy.policy.domains import Domains
from oneproxy.policy.location import LocationStep
from oneproxy.policy.order import Order
from oneproxy.policy.sanity import Sanity
from oneproxy.registrar.location import Location
from oneproxy.registrar.reach import FlowOf
from oneproxy.registrar.step import SUPPORTED, Answer, Registrar, Save
from oneproxy.sip.uri import escape_user, unescape
from oneproxy.site.model import Site


def build(
    site: Site,
    secret: bytes,
    own_hosts: set[str],
    location: Location,
    save: Save,
    answer: Answer,
    flow_of: FlowOf = lambda _: None,
    shut: Shut | None = None,
    gateways: Container[str] = (),
    since: float = 0.0,
) -> Order:
    """The policy of a node.

    secret: the farm's. own_hosts: "host:port" and "host" of every listener. save, answer:
    as the registrar takes them. flow_of: `Flows.named`; without it no flow is open. shut:
    the table of banned sources that transport looks into. gateways: addresses that are never
    banned. since: when the node began, seconds since the epoch; 0 for any time.
    """
    domains = Domains(site.domains, own_hosts)
    subscribers = {on_wire(aor): subscriber for aor, subscriber in site.subscribers.items()}
    aliases = {
        on_wire(f"{alias}@{aor.rpartition('@')[2]}"): on_wire(aor)
        for aor, subscriber in site.subscribers.items()
        for alias in subscriber.aliases
    }
    known = frozenset(subscribers)
    access = Access(
        site,
        subscribers,
        domains,
        Nonces(secret),
        Replays(since),
        Bans(shut),
        aliases,
        gateways,
        on_wire,
        lambda aor, now: [binding.source for binding in location.lookup(aor, now)],
    )
    return Order(
        [
            Screen(access),
            Sanity(domains.is_here, domains.is_node, SUPPORTED),
            access,
            Registrar(location, domains.find, known, save, answer, flow_of),
            LocationStep(location, domains.find, known, flow_of),
        ]
    )


def on_wire(aor: str) -> str:
    """The form in which requests name `aor`, that people wrote into the configuration.

    The user part escaped as far as a URI needs it, the host in lower case.
    """
    user, at, host = aor.rpartition("@")
    octets = user.encode("utf-8").decode("latin-1")
    return f"{escape_user(unescape(octets))}{at}{host.lower()}"
