"""The configuration as the running processes see it: checked, typed, without secrets.

`site.file` reads and checks the TOML file and makes these. They travel between the
processes as msgpack. `Machine` needs a restart to change; `Site` is the live part.
"""

from msgspec import Struct


class Listen(Struct, frozen=True):
    """An address to listen on. host: an IP address; port: 1 to 65535."""

    transport: str
    host: str
    port: int
    #: What Via and Record-Route say instead of `host`; empty: the address itself.
    advertise: str = ""
    advertise_port: int = 0
    #: Absolute paths of PEM files, for TLS and WSS; empty where there is none.
    certificate: str = ""
    key: str = ""
    #: The authorities that certificates of clients may come from; empty: none is asked for.
    client_ca: str = ""


class Machine(Struct, frozen=True):
    """The part of the configuration that belongs to this machine."""

    name: str
    listen: tuple[Listen, ...]
    #: SQLAlchemy URLs; they may hold a password and are never logged whole.
    proxy_database: str
    system_database: str
    processes: int = 1
    #: Calls at once and bindings that the tables of a node have room for.
    calls: int = 20_000
    registrations: int = 200_000
    #: [farm] key; empty: made at first start and kept in the system database.
    farm_key: str = ""
    #: Connections at once in all, and from one source address; 0 for the latter: no limit.
    connections: int = 20_000
    connections_per_source: int = 1_000
    #: "address:port" of the name servers; empty: those of the system.
    dns_servers: tuple[str, ...] = ()


class Domain(Struct, frozen=True):
    """A domain that is served here."""

    name: str
    authenticate: tuple[str, ...] = ("REGISTER", "INVITE")
    #: Digest algorithms in the order they are offered. MD5 alone unless the site says more:
    #: SIPp 3.6 and baresip 1.0, and phones of their age, give up when they see another one.
    algorithms: tuple[str, ...] = ("MD5",)
    min_expires_s: int = 60
    max_expires_s: int = 3600
    max_contacts: int = 10
    redirect: bool = False


class Subscriber(Struct, frozen=True):
    """Who may register and call. ha1: algorithm to lower-case hex H(user:realm:password)."""

    aor: str
    ha1: dict[str, str]


class Site(Struct, frozen=True):
    """The live part of the configuration."""

    domains: dict[str, Domain]
    #: By AoR.
    subscribers: dict[str, Subscriber]
    #: Configuration sections that were read but that this version does not act on.
    idle_sections: tuple[str, ...] = ()


class Configuration(Struct, frozen=True):
    """All of it."""

    machine: Machine
    site: Site
