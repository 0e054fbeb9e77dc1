"""From the checked tables of a file to the configuration that the processes are given."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oneproxy.site import schema, texts
from oneproxy.site.certificates import place
from oneproxy.site.entries import make_entries, to_site
from oneproxy.site.model import Admin, Configuration, Entries, Listen, Machine, Token
from oneproxy.site.password import HASHES, hash_password
from oneproxy.site.tables import Tables


def build(tables: Tables, folder: Path) -> Configuration:
    """The configuration. folder: where relative names of files begin."""
    entries = table_entries(tables)
    site = to_site(entries, tuple(_idle_sections(tables)))
    return Configuration(_machine(tables, folder), site, entries)


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
        keep_versions=tables.database.keep_versions,
        admin=_admin(tables.admin, folder) if "admin" in tables.sections else None,
    )


def _admin(table: schema.Admin, folder: Path) -> Admin:
    host, port = texts.split_port(table.address)
    return Admin(
        host,
        port or 0,
        tuple(Token(one.name, one.sha256, one.role) for one in table.token),
        place(folder, table.certificate),
        place(folder, table.key),
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


def table_entries(tables: Tables) -> Entries:
    """The entries of the site in checked tables; of passwords only the HA1s are left."""
    singles = ("flood", "registrar", "congestion", "cdr")
    return make_entries(
        [
            *(("domain", _plain(one)) for one in tables.domain.values()),
            *(("subscriber", _subscriber(one)) for one in tables.subscriber.values()),
            *(("access", _rule(one)) for one in tables.access.values()),
            *(("provider", _plain(one)) for one in tables.provider.values()),
            *(("route", _plain(one)) for one in tables.route.values()),
            *((name, _plain(getattr(tables, name))) for name in singles),
        ]
    )


def _plain(table: schema.Table) -> dict[str, Any]:
    """A table as it would be written: what has its default is left out."""
    return table.model_dump(by_alias=True, exclude_defaults=True)


def _subscriber(table: schema.Subscriber) -> dict[str, Any]:
    plain = _plain(table)
    password = plain.pop("password", None)
    if password is not None:
        # By every algorithm, whatever the domain offers: it may offer another one tomorrow.
        plain["ha1"] = hash_password(table.aor, password, HASHES)
    return plain


def _rule(table: schema.Access) -> dict[str, Any]:
    plain = _plain(table)
    methods = sorted(set(plain.pop("methods", ())))
    return plain | ({"methods": methods} if methods else {})


def _idle_sections(tables: Tables) -> Iterator[str]:
    """Sections of the file that this version reads but does not act on."""
    if tables.node.processes != 1:
        yield "node.processes"
    if tables.farm.address is not None:
        yield "farm.address"
    if tables.farm.peers:
        yield "farm.peers"
