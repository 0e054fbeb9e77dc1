"""From the checked tables of a file to the configuration that the processes are given."""

from collections.abc import Iterator
from pathlib import Path

from oneproxy.site import schema, texts
from oneproxy.site.certificates import place
from oneproxy.site.model import Configuration, Domain, Listen, Machine, Site, Subscriber
from oneproxy.site.password import hash_password
from oneproxy.site.tables import Tables


def build(tables: Tables, folder: Path) -> Configuration:
    """The configuration; of passwords only the HA1s of the domain's algorithms are left.

    folder: where relative names of files begin.
    """
    domains = {domain.name: _domain(domain) for domain in tables.domain.values()}
    subscribers = (_subscriber(one, domains) for one in tables.subscriber.values())
    site = Site(
        domains=domains,
        subscribers={subscriber.aor: subscriber for subscriber in subscribers},
        idle_sections=tuple(_idle_sections(tables)),
    )
    return Configuration(machine=_machine(tables, folder), site=site)


def _machine(tables: Tables, folder: Path) -> Machine:
    return Machine(
        name=tables.node.name,
        listen=tuple(_listen(listen, folder) for listen in tables.listen.values()),
        proxy_database=tables.database.proxy,
        system_database=tables.database.system or tables.database.proxy,
        calls=tables.capacity.calls,
        registrations=tables.capacity.registrations,
        farm_key=tables.farm.key or "",
        connections=tables.capacity.connections,
        connections_per_source=tables.capacity.connections_per_source,
        dns_servers=tuple(tables.dns.servers),
    )


def _listen(table: schema.Listen, folder: Path) -> Listen:
    host, port = texts.split_port(table.address)
    advertise, advertise_port = texts.split_port(table.advertise or "")
    return Listen(
        transport=table.transport,
        host=host,
        port=port or 0,
        advertise=advertise,
        advertise_port=advertise_port or 0,
        certificate=place(folder, table.certificate),
        key=place(folder, table.key),
        client_ca=place(folder, table.client_ca),
    )


def _domain(table: schema.Domain) -> Domain:
    return Domain(
        name=table.name,
        authenticate=tuple(table.authenticate),
        algorithms=tuple(table.algorithms),
        min_expires_s=table.min_expires_s,
        max_expires_s=table.max_expires_s,
        max_contacts=table.max_contacts,
        redirect=table.redirect,
    )


def _subscriber(table: schema.Subscriber, domains: dict[str, Domain]) -> Subscriber:
    domain = domains[table.aor.rpartition("@")[2]]
    return Subscriber(aor=table.aor, ha1=hash_password(table.aor, table.password, domain.algorithms))


def _idle_sections(tables: Tables) -> Iterator[str]:
    """Sections of the file that this version reads but does not act on."""
    if tables.node.processes != 1:
        yield "node.processes"
    if "admin" in tables.sections:
        yield "admin"
    if tables.farm.address is not None:
        yield "farm.address"
    if tables.farm.peers:
        yield "farm.peers"
    for section in ("access", "provider", "route", "congestion"):
        if section in tables.sections:
            yield section
    if tables.cdr.enabled:
        yield "cdr"
