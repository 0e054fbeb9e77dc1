"""The site as entries: what the system database keeps, one row for each table of the file.

An entry has a section, a key that is unique in it, and a value: the table as it stands in
the file, what has its default left out, as JSON with its keys in order. So two sites are
the same where their entries are, and what differs is found without knowing what it means.

    [[domain]]      its name                  [[provider]]  its name
    [[subscriber]]  its AoR                   [[route]]     its prefix, and a number for the
    [[access]]      "source 10.0.0.0/8",                    second of a prefix and on, in the
                    "client gw.example.com",                order in which they are asked
                    and the methods           [flood], [registrar], [congestion], [cdr]
                                                            the empty text
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any, Final

import msgspec

from oneproxy.site.model import (
    Cdr,
    Congestion,
    Domain,
    Entries,
    Flood,
    Provider,
    Route,
    Rule,
    Site,
    Subscriber,
)

#: Sections that are lists of tables, in the order in which a file is written.
LISTS: Final = ("domain", "subscriber", "access", "provider", "route")
#: Sections that are one table.
SINGLES: Final = ("flood", "registrar", "congestion", "cdr")
SECTIONS: Final = ("flood", "registrar", "domain", "subscriber", "access", "provider", "route", *SINGLES[2:])
#: The key in a table that its entry is named by, where that is one key.
NAMED_BY: Final = {"domain": "name", "subscriber": "aor", "provider": "name"}


class Registrar(msgspec.Struct, frozen=True):
    """[registrar]."""

    without_database: str = "refuse"


Part = Domain | Subscriber | Rule | Flood | Registrar | Provider | Route | Congestion | Cdr
_PARTS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "domain": msgspec.json.Decoder(Domain),
    "subscriber": msgspec.json.Decoder(Subscriber),
    "access": msgspec.json.Decoder(Rule),
    "route": msgspec.json.Decoder(Route),
    "flood": msgspec.json.Decoder(Flood),
    "registrar": msgspec.json.Decoder(Registrar),
    "provider": msgspec.json.Decoder(Provider),
    "congestion": msgspec.json.Decoder(Congestion),
    "cdr": msgspec.json.Decoder(Cdr),
}
_table: Final = msgspec.json.Decoder(dict[str, Any])
_encoder: Final = msgspec.json.Encoder(order="sorted")


def encode_value(table: Mapping[str, Any]) -> str:
    """The value of an entry: JSON with its keys in order."""
    return _encoder.encode(table).decode()


def decode_value(value: str) -> dict[str, Any]:
    """The table in the value of an entry."""
    return _table.decode(value)


def part(section: str, value: str) -> Part | None:
    """What a node makes of an entry; None for a section that nodes do not act on.

    Raises msgspec.MsgspecError for a value that somebody else wrote.
    """
    decoder = _PARTS.get(section)
    found: Part | None = None if decoder is None else decoder.decode(value)
    return found


def key_of(section: str, table: Mapping[str, Any]) -> str:
    """The key of a table; that of a [[route]] is its prefix, which others may share."""
    if section in NAMED_BY:
        return str(table[NAMED_BY[section]])
    if section == "route":
        return str(table["prefix"])
    if section != "access":
        return ""
    if table.get("source") is not None:
        whom = f"source {ip_network(table['source']).compressed}"
    else:
        whom = f"client {table['client']}"
    return " ".join([whom, *sorted(set(table.get("methods") or ()))])


def make_entries(tables: Iterable[tuple[str, Mapping[str, Any]]]) -> Entries:
    """Entries of tables by section, which are checked and hold no password; routes in their order."""
    entries: Entries = {}
    routes: dict[str, list[Mapping[str, Any]]] = {}
    for section, table in tables:
        key = key_of(section, table)
        if section == "route":
            routes.setdefault(key, []).append(table)
        elif section in LISTS or table:
            entries[section, key] = encode_value(table)
    for prefix, chain in routes.items():
        if len(chain) > 1:
            chain.sort(key=_order)
        for place, table in enumerate(chain, 1):
            entries["route", route_key(prefix, place)] = encode_value(table)
    return entries


def route_key(prefix: str, place: int) -> str:
    """The key of a route: of those with its prefix it is the one in this place, from 1 on."""
    return prefix if place == 1 else f"{prefix} {place}"


def _order(route: Mapping[str, Any]) -> int:
    return int(route.get("order", 0))


def ordered(entries: Entries) -> list[tuple[str, str, str]]:
    """Section, key and value in the order of a file."""
    places = {section: place for place, section in enumerate(SECTIONS)}
    rows = [(section, key, value) for (section, key), value in entries.items()]
    return sorted(rows, key=lambda row: (places.get(row[0], len(places)), _in_order(row[0], row[1])))


def _in_order(section: str, key: str) -> tuple[str, int]:
    """Routes of one prefix keep their order, the tenth behind the second."""
    if section != "route":
        return key, 0
    prefix, _, number = key.partition(" ")
    # What somebody made up for a key is no number, or one that takes long to read.
    return prefix, int(number) if number.isdecimal() and len(number) < 10 else 1


def to_document(entries: Entries) -> dict[str, Any]:
    """The document that these entries are of, as `tomllib` would read it."""
    document: dict[str, Any] = {}
    for section, _, value in ordered(entries):
        table = decode_value(value)
        if section in SINGLES:
            document[section] = table
        else:
            document.setdefault(section, []).append(table)
    return document


def to_site(entries: Entries, idle_sections: tuple[str, ...] = ()) -> Site:
    """The site that these entries are."""
    domains: dict[str, Domain] = {}
    subscribers: dict[str, Subscriber] = {}
    rules: list[Rule] = []
    routes: dict[str, Route] = {}
    providers: dict[str, Provider] = {}
    flood, registrar, congestion, cdr = Flood(), Registrar(), Congestion(), Cdr()
    for key, found in _parts(entries):
        match found:
            case Domain():
                domains[found.name] = found
            case Subscriber():
                subscribers[found.aor] = found
            case Rule():
                rules.append(found)
            case Route():
                routes[key] = found
            case Flood():
                flood = found
            case Registrar():
                registrar = found
            case Provider():
                providers[found.name] = found
            case Congestion():
                congestion = found
            case Cdr():
                cdr = found
    return Site(
        domains,
        subscribers,
        tuple(rules),
        flood,
        registrar.without_database,
        idle_sections,
        providers,
        routes,
        congestion,
        cdr,
    )


def _parts(entries: Entries) -> Iterator[tuple[str, Part]]:
    for (section, key), value in entries.items():
        found = part(section, value)
        if found is not None:
            yield key, found


def digest(entries: Entries) -> str:
    """A hash of all of a site, the same whatever the order of its entries."""
    hashed = hashlib.sha256()
    for key in sorted(entries):
        hashed.update(encode_value({"at": key, "is": entries[key]}).encode())
    return hashed.hexdigest()
