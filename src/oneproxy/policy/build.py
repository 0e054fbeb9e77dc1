"""The steps of a node, made from its site and put in their order."""

from oneproxy.access.nonces import Nonces
from oneproxy.access.step import Access
from oneproxy.policy.domains import Domains
from oneproxy.policy.location import LocationStep
from oneproxy.policy.order import Order
from oneproxy.policy.sanity import Sanity
from oneproxy.registrar.location import Location
from oneproxy.registrar.mirror import Mirror
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
    mirror: Mirror | None = None,
) -> Order:
    """The policy of a node.

    secret: the farm's. own_hosts: "host:port" and "host" of every listener. save, answer:
    as the registrar takes them. flow_of: `Flows.named`; without it no flow is open. mirror: of the
    location; without it all is loaded.
    """
    domains = Domains(site.domains, own_hosts)
    subscribers = {on_wire(aor): subscriber for aor, subscriber in site.subscribers.items()}
    known = frozenset(subscribers)
    from_memory = site.without_database == "memory"
    return Order(
        [
            Sanity(domains.is_here, domains.is_node, SUPPORTED),
            Access(site.domains, subscribers, domains, Nonces(secret)),
            Registrar(location, domains.find, known, save, answer, flow_of, mirror, from_memory),
            LocationStep(location, domains.find, known, flow_of, mirror),
        ]
    )


def on_wire(aor: str) -> str:
    """The form in which requests name `aor`, that people wrote into the configuration.

    The user part escaped as far as a URI needs it, the host in lower case.
    """
    user, at, host = aor.rpartition("@")
    octets = user.encode("utf-8").decode("latin-1")
    return f"{escape_user(unescape(octets))}{at}{host.lower()}"
