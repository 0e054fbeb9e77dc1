"""The tables of the configuration file: their keys, defaults and what each key allows.

A field's description is the sentence that an operator reads after "allowed" when the
value is wrong. Unknown keys are mistakes, and values are not converted: `"5060"` is no
number and `1` is not true. What several tables must agree on is in `checks`.
"""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from oneproxy.site import texts
from oneproxy.site.values import (
    MAX_SECONDS,
    Address,
    Advertise,
    Algorithm,
    Alias,
    Aor,
    Caller,
    ClientName,
    Codes,
    CountryName,
    DatabaseUrl,
    Dialled,
    Digits,
    EachAor,
    EachHost,
    EachName,
    EachNetwork,
    FarmKey,
    File,
    Flag,
    Ha1,
    HeaderLine,
    HeaderName,
    Host,
    Methods,
    Name,
    NameServer,
    Namespace,
    Network,
    NotEmpty,
    Pattern,
    Prefix,
    Replacement,
    RouteUri,
    SessionExpires,
    Side,
    SipUri,
    Time,
    TimeZone,
    Usable,
    Username,
    whole,
)


class Table(BaseModel):
    """What all tables have in common."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Node(Table):
    """[node]: this machine."""

    name: Name = "oneproxy"
    processes: Annotated[int, whole(0, 1024)] = 1


class Listen(Table):
    """[[listen]]: an address that phones and gateways send to."""

    transport: Annotated[
        Literal["udp", "tcp", "tls", "ws", "wss"], Field(description='"udp", "tcp", "tls", "ws" or "wss"')
    ]
    address: Address
    advertise: Advertise | None = None
    certificate: File | None = None
    key: File | None = None
    client_ca: File | None = None


class Database(Table):
    """[database]: where bindings and call records, and where the site is kept."""

    proxy: DatabaseUrl = "sqlite:///oneproxy.db"
    system: DatabaseUrl | None = None
    last_site: Annotated[
        str, AfterValidator(texts.not_empty), Field(description="the name of a file that may be written")
    ] = "oneproxy-site.last"
    keep_versions: Annotated[int, whole(0, 1_000_000_000)] = 1_000


class Capacity(Table):
    """[capacity]: what the tables of a node have room for."""

    calls: Annotated[int, whole(1, 10_000_000)] = 20_000
    registrations: Annotated[int, whole(1, 100_000_000)] = 200_000
    connections: Annotated[int, whole(1, 10_000_000)] = 20_000
    connections_per_source: Annotated[int, whole(0, 10_000_000)] = 1_000


class Dns(Table):
    """[dns]: who is asked for names."""

    servers: Annotated[
        list[NameServer],
        Field(
            max_length=8,
            description='a list of up to 8 name servers, such as ["192.0.2.53", "127.0.0.1:5353"]',
        ),
    ] = []


class Token(Table):
    """[[admin.token]]: who may use the HTTP API."""

    name: Name
    sha256: Annotated[
        str, AfterValidator(texts.sha256), Field(description="64 hexadecimal digits: SHA-256 of the token")
    ]
    role: Annotated[Literal["read", "write"], Field(description='"read" or "write"')] = "read"


class Admin(Table):
    """[admin]: where the HTTP API and the console are served."""

    address: Address = "127.0.0.1:8080"
    certificate: File | None = None
    key: File | None = None
    token: Annotated[list[Token], Field(description="tables begun by [[admin.token]]")] = []


class Farm(Table):
    """[farm]: this machine among others."""

    address: Address | None = None
    key: FarmKey | None = None
    peers: Annotated[list[Address], Field(description='a list of addresses, such as ["10.0.0.2:5070"]')] = []


class Domain(Table):
    """[[domain]]: a domain that is served here."""

    name: Host
    aliases: Annotated[
        list[Host], Field(description='other names of the domain: a list such as ["example.org"]')
    ] = []
    authenticate: Methods = ["REGISTER", "INVITE"]
    algorithms: Annotated[
        list[Algorithm],
        Field(
            min_length=1,
            description='digest algorithms in the order they are offered: ["SHA-256", "MD5"]',
        ),
    ] = ["MD5"]
    min_expires_s: Annotated[int, whole(0, MAX_SECONDS, "seconds")] = 60
    max_expires_s: Annotated[int, whole(1, MAX_SECONDS, "seconds")] = 3600
    default_expires_s: Annotated[int | None, whole(1, MAX_SECONDS, "seconds")] = None
    spread_percent: Annotated[int, whole(0, 50)] = 10
    max_contacts: Annotated[int, whole(1, 1000)] = 10
    when_full: Annotated[Literal["refuse", "replace"], Field(description='"refuse" or "replace"')] = "refuse"
    gruu: Flag = True
    service_route: Annotated[
        list[RouteUri],
        Field(max_length=8, description='a list of SIP URIs, such as ["sip:edge.example.com;lr"]'),
    ] = []
    redirect: Flag = False
    redirect_status: Annotated[Literal[300, 301, 302], Field(description="300, 301 or 302")] = 302
    follow_redirects: Annotated[int, whole(0, 10)] = 0
    country: CountryName | None = None


class Subscriber(Table):
    """[[subscriber]]: who may register and call."""

    aor: Aor
    password: NotEmpty | None = None
    ha1: Annotated[
        dict[Algorithm, Ha1] | None,
        Field(
            description='a table of algorithms and HA1s, such as { MD5 = "0123..." }, as `export` writes it',
        ),
    ] = None
    aliases: Annotated[
        list[Alias], Field(description='other users of the domain: ["info", "+351211234567"]')
    ] = []
    may_use: Annotated[
        list[Usable], Field(description='a list such as ["sales@example.com", "*@example.org"]')
    ] = []


class Access(Table):
    """[[access]]: what a source address, or the owner of a TLS client certificate, may do."""

    source: Network | None = None
    client: ClientName | None = None
    action: Annotated[Literal["trust", "allow", "deny"], Field(description='"trust", "allow" or "deny"')]
    methods: Methods | None = None


class Flood(Table):
    """[flood]: when a source address or an account is shut out, and for how long."""

    window_s: Annotated[int, whole(1, 3600, "seconds")] = 60
    requests: Annotated[int, whole(0, 100_000_000)] = 0
    wrong_passwords: Annotated[int, whole(0, 1_000_000)] = 50
    account_wrong_passwords: Annotated[int, whole(0, 1_000_000)] = 20
    account_requests: Annotated[int, whole(0, 100_000_000)] = 0
    ban_s: Annotated[int, whole(1, 31_536_000, "seconds")] = 600


class Registrar(Table):
    """[registrar]: what becomes of a REGISTER that cannot be stored."""

    without_database: Annotated[Literal["refuse", "memory"], Field(description='"refuse" or "memory"')] = (
        "refuse"
    )


class Registration(Table):
    """register = {...}: how OneProxy registers at a gateway."""

    aor: SipUri
    username: Username
    password: NotEmpty
    expires_s: Annotated[int, whole(1, MAX_SECONDS, "seconds")] = 600
    required: Flag = False


class Rewrite(Table):
    """called = {...}, calling = {...}: what is done to a number."""

    strip: Annotated[int, whole(0, 64)] = 0
    prepend: Digits = ""
    pattern: Pattern | None = None
    replace: Replacement | None = None


HeaderLines = Annotated[list[HeaderLine], Field(max_length=32, description="a list of up to 32 header lines")]
HeaderNames = Annotated[
    list[HeaderName], Field(max_length=32, description="a list of up to 32 names of header fields")
]


class Format(Table):
    """format = {...}: how a gateway wants its calls, and how it writes those that it sends."""

    form: Annotated[
        Literal["e164", "digits", "national", "international"] | None,
        Field(description='"e164", "digits", "national" or "international"'),
    ] = None
    country: CountryName | None = None
    called: Rewrite | None = None
    calling: Rewrite | None = None
    identity: Annotated[
        Literal["none", "asserted", "remote-party-id"],
        Field(description='"none", "asserted" or "remote-party-id"'),
    ] = "none"
    domain: Host | None = None
    trusted: Flag = False
    add: HeaderLines = []
    remove: HeaderNames = []
    called_in: Annotated[
        Literal["uri", "to", "p-called-party-id"], Field(description='"uri", "to" or "p-called-party-id"')
    ] = "uri"


class Gateway(Table):
    """[[provider.gateway]]: one peer of a provider."""

    name: Name
    uri: SipUri
    sources: Annotated[
        list[Network],
        Field(max_length=64, description='a list of up to 64 networks, such as ["198.51.100.0/24"]'),
    ] = []
    format: Format | None = None
    max_calls: Annotated[int | None, whole(1, 10_000_000)] = None
    max_calls_per_s: Annotated[int | None, whole(1, 100_000)] = None
    weight: Annotated[int, whole(0, 65_535)] = 1
    drain: Flag = False
    probe_every_s: Annotated[int, whole(0, 86_400, "seconds")] = 0
    register_: Annotated[Registration | None, Field(alias="register")] = None


class Provider(Table):
    """[[provider]]: a set of gateways with an optional fallback provider."""

    name: Name
    fallback: Name | None = None
    choice: Annotated[
        Literal["latency", "order", "weight", "load"],
        Field(description='"latency", "order", "weight" or "load"'),
    ] = "latency"
    max_calls: Annotated[int | None, whole(1, 10_000_000)] = None
    try_for_ms: Annotated[int, whole(100, 32_000, "milliseconds")] = 3000
    failed_codes: Codes = []
    next_codes: Codes = []
    final_codes: Codes = []
    eject_after: Annotated[int, whole(1, 1000)] = 5
    eject_below_percent: Annotated[int, whole(1, 100)] = 30
    eject_s: Annotated[int, whole(1, 86_400, "seconds")] = 30
    max_eject_s: Annotated[int, whole(1, 86_400, "seconds")] = 600
    panic_percent: Annotated[int, whole(0, 100)] = 30
    canary_calls: Annotated[int, whole(1, 1000)] = 5
    canary_every_s: Annotated[int, whole(0, 3600, "seconds")] = 1
    probes_down: Annotated[int, whole(1, 100)] = 3
    probes_up: Annotated[int, whole(1, 100)] = 2
    max_retry_after_s: Annotated[int, whole(0, 3600, "seconds")] = 60
    session_expires_s: SessionExpires = 1800
    max_call_s: Annotated[int, whole(1, 604_800, "seconds")] = 43_200
    gateway: Annotated[list[Gateway], Field(description="tables begun by [[provider.gateway]]")] = []


class Route(Table):
    """[[route]]: where a number goes; the longest prefix wins, then order.

    There may be a hundred thousand: each list that is not written is made, and not copied, which
    takes three times as long.
    """

    prefix: Prefix
    order: Annotated[int, whole(0, 65_535)] = 0
    users: Flag = False
    inbound: Annotated[
        list[Side], Field(max_length=64, description='a list such as ["carrier-a", "carrier-b/b1"]')
    ] = Field(default_factory=list)
    domains: Annotated[list[Host], Field(max_length=64, description="a list of served domains")] = Field(
        default_factory=list
    )
    callers: Annotated[
        list[Caller],
        Field(max_length=64, description='a list such as ["alice@example.com", "*@example.com", "+3512*"]'),
    ] = Field(default_factory=list)
    sources: Annotated[
        list[Network], Field(max_length=64, description='a list of networks, such as ["10.0.0.0/8"]')
    ] = Field(default_factory=list)
    times: Annotated[
        list[Time], Field(max_length=64, description='a list such as ["Mon-Fri 08:00-18:00", "Sat"]')
    ] = Field(default_factory=list)
    time_zone: TimeZone | None = None
    provider: Name | None = None
    target: SipUri | None = None
    redirect: SipUri | None = None
    aor: Aor | None = None
    domain: Host | None = None
    refuse: Annotated[int | None, whole(400, 699, "a status")] = None
    strip: Annotated[int, whole(0, 64)] = 0
    prepend: Digits = ""
    pattern: Pattern | None = None
    replace: Replacement | None = None
    calling: Rewrite | None = None
    withhold: Flag = False
    add: HeaderLines = Field(default_factory=list)
    remove: HeaderNames = Field(default_factory=list)


class Limit(Table):
    """[[congestion.limit]]: how many calls a domain, a source, a provider or a caller may have."""

    domain: EachHost | None = None
    source: EachNetwork | None = None
    provider: EachName | None = None
    caller: EachAor | None = None
    calls: Annotated[int | None, whole(1, 10_000_000)] = None
    period_s: Annotated[float, Field(gt=0, le=3600, description="seconds, more than 0 and at most 3600")] = (
        1.0
    )
    max_calls: Annotated[int | None, whole(1, 10_000_000)] = None
    name: Name | None = None


class Congestion(Table):
    """[congestion]: how many new calls are taken on."""

    calls: Annotated[int | None, whole(1, 10_000_000)] = None
    period_s: Annotated[float, Field(gt=0, le=3600, description="seconds, more than 0 and at most 3600")] = (
        1.0
    )
    max_calls: Annotated[int | None, whole(1, 10_000_000)] = None
    retry_after_s: Annotated[
        list[Annotated[int, whole(0, 86_400, "seconds")]],
        Field(min_length=2, max_length=2, description="two numbers of seconds, the lower first: [5, 15]"),
    ] = [5, 15]
    emergency: Annotated[
        list[Dialled], Field(description='a list of numbers such as ["112", "911"], or [] for none')
    ] = ["112", "911"]
    oc: Flag = True
    max_retry_after_s: Annotated[int, whole(0, 86_400, "seconds")] = 60
    limit: Annotated[
        list[Limit], Field(max_length=10_000, description="up to 10000 tables begun by [[congestion.limit]]")
    ] = []
    priority: Annotated[
        list[Namespace], Field(description='a list of namespaces such as ["ets", "wps"], or [] for none')
    ] = ["ets", "wps", "esnet"]
    max_wait_ms: Annotated[int, whole(0, 10_000, "milliseconds")] = 50


class Cdr(Table):
    """[cdr]: call records."""

    enabled: Flag = False
    keep_days: Annotated[int, whole(0, 36_500, "days")] = 0
    journal_mb: Annotated[int, whole(16, 1_000_000, "MB")] = 1024
    when_full: Annotated[
        Literal["drop-oldest", "refuse-calls"], Field(description='"drop-oldest" or "refuse-calls"')
    ] = "drop-oldest"


#: The sections of the site, which is kept in the system database; the others are this machine's.
SITE_SECTIONS: Final = frozenset(
    ("domain", "subscriber", "access", "flood", "registrar", "provider", "route", "congestion", "cdr")
)

#: Every section, in the order in which an operator is told of them.
SECTIONS: Final[dict[str, type[Table]]] = {
    "node": Node,
    "listen": Listen,
    "database": Database,
    "capacity": Capacity,
    "dns": Dns,
    "admin": Admin,
    "farm": Farm,
    "domain": Domain,
    "subscriber": Subscriber,
    "access": Access,
    "flood": Flood,
    "registrar": Registrar,
    "provider": Provider,
    "route": Route,
    "congestion": Congestion,
    "cdr": Cdr,
}
