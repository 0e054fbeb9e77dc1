"""From the checked tables of a file to the configuration that the processes are given."""

from collections.abc import Iterator
from pathlib import Path

from oneproxy.site import schema, texts
from oneproxy.site.certificates import place
from oneproxy.site.model import (
    Admin,
    Configuration,
    Domain,
    Flood,
    Listen,
    Machine,
    Rule,
    Site,
    Subscriber,
    Token,
)
from oneproxy.site.password import HASHES, hash_password
from oneproxy.site.tables import Tables


def build(tables: Tables, folder: Path) -> Configuration:
    """The configuration; of passwords only the HA1s are left.

    folder: where relative names of files begin.
    """
    domains = {domain.name: _domain(domain) for domain in tables.domain.values()}
    subscribers = (_subscriber(one) for one in tables.subscriber.values())
    site = Site(
        domains=domains,
        subscribers={subscriber.aor: subscriber for subscriber in subscribers},
        access=tuple(_rule(one) for one in tables.access.values()),
        flood=Flood(**tables.flood.model_dump()),
        without_database=tables.registrar.without_database,
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
        last_site=tables.database.last_site,
        admin=_admin(tables.admin) if "admin" in tables.sections else None,
    )


def _admin(table: schema.Admin) -> Admin:
    host, port = texts.split_port(table.address)
    return Admin(host, port or 0, tuple(Token(one.name, one.sha256, one.role) for one in table.token))


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
        aliases=tuple(table.aliases),
        default_expires_s=table.default_expires_s or 0,
        spread_percent=table.spread_percent,
        when_full=table.when_full,
        gruu=table.gruu,
        service_route=tuple(table.service_route),
        redirect_status=table.redirect_status,
        follow_redirects=table.follow_redirects,
    )


def _subscriber(table: schema.Subscriber) -> Subscriber:
    # By every algorithm, whatever the domain offers: it may offer another one tomorrow.
    password = table.password
    ha1: dict[str, str] = {str(name): value for name, value in (table.ha1 or {}).items()}
    if password is not None:
        ha1 = hash_password(table.aor, password, HASHES)
    return Subscriber(table.aor, ha1, tuple(table.aliases), tuple(table.may_use))


def _rule(table: schema.Access) -> Rule:
    return Rule(table.source or "", table.client or "", table.action, tuple(table.methods or ()))


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
    for section in ("provider", "route", "congestion"):
        if section in tables.sections:
            yield section
    if tables.cdr.enabled:
        yield "cdr"
