"""From the values of a TOML document to the tables of `schema`, each read by itself.

A mistake does not hide others. A single table with a mistake stands in with its
defaults. One of a list stands in with what is well formed of it, and the keys that are
not are its *holes*: a check asks for `sound` keys before it says anything about them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from oneproxy.site import schema
from oneproxy.site.lines import Path
from oneproxy.site.mistake import allowed_names, found_text, key_text, kind_text


class Fault(NamedTuple):
    """A mistake before its line is known."""

    path: Path
    found: str
    allowed: str


class Tables(NamedTuple):
    """The tables of a file, those of a list by their place in it."""

    node: schema.Node
    listen: dict[int, schema.Listen]
    database: schema.Database
    capacity: schema.Capacity
    dns: schema.Dns
    farm: schema.Farm
    admin: schema.Admin
    domain: dict[int, schema.Domain]
    subscriber: dict[int, schema.Subscriber]
    access: dict[int, schema.Access]
    flood: schema.Flood
    registrar: schema.Registrar
    provider: dict[int, schema.Provider]
    route: dict[int, schema.Route]
    congestion: schema.Congestion
    cdr: schema.Cdr
    #: The sections that stand in the file.
    sections: frozenset[str]
    #: Keys of tables in lists whose values are wrong or missing.
    holes: frozenset[Path]
    #: The keys of entries that the tables of a list are of; empty where they are of a file.
    keys: Mapping[str, Sequence[str]] = {}

    def place(self, section: str, index: int) -> str:
        """A table of a list as people find it: `domain[2]` in a file, else `domain.example.com`."""
        return f"{section}.{self.keys[section][index]}" if self.keys else key_text((section, index))

    def sound(self, section: str, index: int, *keys: str) -> bool:
        """Whether these keys of a table in a list are well formed."""
        return not self.holes or all((section, index, key) not in self.holes for key in keys)


_Table = TypeVar("_Table", bound=schema.Table)
_WRONG_KIND = frozenset({"model_type", "model_attributes_type", "list_type", "dict_type"})


def read_tables(
    document: dict[str, Any], machine: bool = True, keys: Mapping[str, Sequence[str]] | None = None
) -> tuple[Tables, list[Fault]]:
    """The tables of a document, and what is wrong with those that are not well formed.

    machine: whether it has to say where to listen. What says anything of the site has to say
    which domains it serves. keys: where it is made of entries, theirs.
    """
    reader = _Reader(document)
    reader.unknown_sections()
    has_site = not schema.SITE_SECTIONS.isdisjoint(document)
    return Tables(
        node=reader.single(schema.Node, "node"),
        listen=reader.many(schema.Listen, "listen", least=int(machine)),
        database=reader.single(schema.Database, "database"),
        capacity=reader.single(schema.Capacity, "capacity"),
        dns=reader.single(schema.Dns, "dns"),
        farm=reader.single(schema.Farm, "farm"),
        admin=reader.single(schema.Admin, "admin"),
        domain=reader.many(schema.Domain, "domain", least=int(has_site)),
        subscriber=reader.many(schema.Subscriber, "subscriber"),
        access=reader.many(schema.Access, "access"),
        flood=reader.single(schema.Flood, "flood"),
        registrar=reader.single(schema.Registrar, "registrar"),
        provider=reader.many(schema.Provider, "provider"),
        route=reader.many(schema.Route, "route"),
        congestion=reader.single(schema.Congestion, "congestion"),
        cdr=reader.single(schema.Cdr, "cdr"),
        sections=frozenset(document),
        holes=frozenset(reader.holes),
        keys=keys or {},
    ), reader.faults


class _Reader:
    """Reads one section after the other and gathers the faults."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.faults: list[Fault] = []
        self.holes: set[Path] = set()

    def unknown_sections(self) -> None:
        for name in self.document.keys() - schema.SECTIONS.keys():
            self.faults.append(Fault((name,), "an unknown section", allowed_names([*schema.SECTIONS], name)))

    def single(self, model: type[_Table], name: str) -> _Table:
        written = self.document.get(name, {})
        faults = len(self.faults)
        table = self._read(model, written, (name,))
        return table if len(self.faults) == faults else model()

    def many(self, model: type[_Table], name: str, least: int = 0) -> dict[int, _Table]:
        written = self.document.get(name, [])
        if not isinstance(written, list):
            self.faults.append(Fault((name,), kind_text(written), f"tables that each begin with [[{name}]]"))
            return {}
        if len(written) < least:
            self.faults.append(Fault((name,), f"no [[{name}]]", f"at least one [[{name}]] table"))
        return {index: self._read(model, one, (name, index)) for index, one in enumerate(written)}

    def _read(self, model: type[_Table], written: object, path: Path) -> _Table:
        """The table that stands at `path`; one with mistakes has holes."""
        try:
            return model.model_validate(written)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False)
        outline = model.model_json_schema()
        for detail in details:
            within = detail["loc"]
            words = _words(outline, (*path, *within), within, detail["type"], detail["input"])
            # What pydantic adds where it is the key itself that is not allowed is no key of ours.
            self.faults.append(Fault((*path, *(part for part in within if part != "[key]")), *words))
        return self._with_holes(
            model, written, path, {detail["loc"][0] for detail in details if detail["loc"]}
        )

    def _with_holes(self, model: type[_Table], written: object, path: Path, bad: set[str | int]) -> _Table:
        if not isinstance(written, dict):
            self.holes.update((*path, key) for key in model.model_fields)
            return model.model_construct()
        # Values that hold others have not been made into what the model says: holes too.
        good = {
            key: value
            for key, value in written.items()
            if key not in bad and not isinstance(value, list | dict)
        }
        self.holes.update((*path, key) for key in bad | (written.keys() - good.keys()))
        return model.model_construct(**good)


def _words(outline: dict[str, Any], path: Path, within: Path, kind: str, value: object) -> tuple[str, str]:
    """What was found at `path`, and what is allowed there. within: the same path inside its table."""
    if kind == "extra_forbidden":
        return "an unknown key", allowed_names(
            list(_part(outline, within[:-1])["properties"]), str(within[-1])
        )
    part = _part(outline, within)
    # The description of a table is our own word on it, not what is allowed.
    allowed = "a table" if part.get("type") == "object" else str(part["description"])
    if kind == "missing":
        return "nothing", allowed
    return (kind_text(value) if kind in _WRONG_KIND else found_text(path, value)), allowed


def _part(outline: dict[str, Any], within: Path) -> dict[str, Any]:
    """The part of a table's JSON schema that describes the key at `within`."""
    here, names = outline, outline
    for part in within:
        if isinstance(part, int):
            here = here["items"]
        elif part == "[key]":
            # Of a table whose keys are free, that the key itself is not allowed.
            here = names
        elif "properties" in here:
            here = here["properties"][part]
        else:
            here, names = here["additionalProperties"], here["propertyNames"]
        here = _plain(outline, here)
    return here


def _plain(outline: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    """Past "this or null" and past a reference, to what the value itself may be."""
    arm: dict[str, Any] = next((arm for arm in here.get("anyOf", ()) if arm.get("type") != "null"), here)
    if "$ref" in arm:
        arm = outline["$defs"][arm["$ref"].rpartition("/")[2]]
    return {"description": here["description"], **arm} if "description" in here else arm
