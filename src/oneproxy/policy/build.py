"""The steps of a node, made from its site and put in their order."""

from oneproxy.access.nonces import Nonces
from oneproxy.access.step import Access
from oneproxy.policy.domains import Domains
from oneproxy.policy.location import LocationStep
from oneproxy.policy.numbers import plain_number
from oneproxy.policy.order import Order
from oneproxy.policy.sanity import Sanity
from oneproxy.registrar.departures import Save
from oneproxy.registrar.gruu import Gruus
from oneproxy.registrar.location import Location
from oneproxy.registrar.reach import FlowOf
from oneproxy.registrar.step import SUPPORTED, Answer, Registrar
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
) -> Order:
    """The policy of a node.

    secret: the farm's. own_hosts: "host:port" and "host" of every listener. save, answer:
    as the registrar takes them. flow_of: `Flows.named`; without it no flow is open.
    """
    subscribers = {on_wire(aor): subscriber for aor, subscriber in site.subscribers.items()}
    aliases = aliases_of(site)
    domains = Domains(site.domains, own_hosts, aliases, subscribers)
    gruus = Gruus(secret)
    return Order(
        [
            Sanity(domains.is_here, domains.is_node, SUPPORTED),
            Access(site.domains, subscribers, domains, Nonces(secret)),
            Registrar(location, domains.find, subscribers, save, answer, flow_of, gruus),
            LocationStep(location, domains, subscribers, flow_of, gruus),
        ]
    )


def aliases_of(site: Site) -> dict[str, str]:
    """From every alias of a user to the user's AoR, both as requests name them."""
    return {
        on_wire(f"{alias}@{aor.rpartition('@')[2]}"): on_wire(aor)
        for aor, subscriber in site.subscribers.items()
        for alias in subscriber.aliases
    }


def on_wire(aor: str) -> str:
    """The form in which requests name `aor`, that people wrote into the configuration.

    The user part escaped as far as a URI needs it, a global number without what stands in it
    to please the eye, the host in lower case.
    """
    user, at, host = aor.rpartition("@")
    if user[:1] == "+":
        user = plain_number(user)
    octets = user.encode("utf-8").decode("latin-1")
    return f"{escape_user(unescape(octets))}{at}{host.lower()}"
