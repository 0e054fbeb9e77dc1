"""The tables of the configuration file: their keys, defaults and what each key allows.

A field's description is the sentence that an operator reads after "allowed" when the
value is wrong. Unknown keys are mistakes, and values are not converted: `"5060"` is no
number and `1` is not true. What several tables must agree on is in `checks`.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from oneproxy.site import texts

MAX_SECONDS: Final = 2**32 - 1  # RFC 3261 20.19: delta-seconds up to 2**32 - 1


def _whole(least: int, most: int, what: str = "a whole number") -> Any:
    return Field(ge=least, le=most, description=f"{what} from {least} to {most}")


Name = Annotated[
    str, AfterValidator(texts.name), Field(description='letters, digits, ".", "_" and "-", at most 63')
]
Address = Annotated[
    str,
    AfterValidator(texts.address),
    Field(description='an IP address and a port, such as "192.0.2.1:5060" or "[2001:db8::1]:5060"'),
]
Advertise = Annotated[
    str,
    AfterValidator(texts.advertise),
    Field(description='a host name or an IP address, with ":port" where it differs'),
]
NameServer = Annotated[
    str,
    AfterValidator(texts.name_server),
    Field(description='an IP address, with ":port" where it is not 53, such as "192.0.2.53"'),
]
File = Annotated[str, AfterValidator(texts.not_empty), Field(description="the name of a file in PEM format")]
DatabaseUrl = Annotated[
    str,
    AfterValidator(texts.database_url),
    Field(description='"sqlite:///" and a file, or "postgresql://user:password@host/database"'),
]
Host = Annotated[
    str,
    AfterValidator(texts.host),
    Field(description='a host name such as "example.com", or an IP address'),
]
Aor = Annotated[
    str,
    AfterValidator(texts.aor),
    Field(description='a user and a served domain, such as "alice@example.com"'),
]
Network = Annotated[
    str,
    AfterValidator(texts.network),
    Field(description='an IP network such as "10.0.0.0/8", without host bits, or one IP address'),
]
SipUri = Annotated[
    str,
    AfterValidator(texts.sip_uri),
    Field(description='a SIP URI such as "sip:198.51.100.10:5060"'),
]
Prefix = Annotated[
    str,
    AfterValidator(texts.prefix),
    Field(description='the beginning of a number or user, without spaces, such as "+351"'),
]
NotEmpty = Annotated[str, AfterValidator(texts.not_empty), Field(description="a text that is not empty")]
FarmKey = Annotated[
    str,
    AfterValidator(texts.farm_key),
    Field(description="a secret of 8 characters or more, the same on every machine of the farm"),
]
Method = Annotated[
    str, AfterValidator(texts.method), Field(description='a SIP method in capitals, such as "INVITE"')
]
Algorithm = Annotated[
    Literal["SHA-256", "SHA-512-256", "MD5"], Field(description='"SHA-256", "SHA-512-256" or "MD5"')
]
Ha1 = Annotated[str, AfterValidator(texts.ha1), Field(description="32 or 64 hexadecimal digits")]
Alias = Annotated[
    str,
    AfterValidator(texts.alias),
    Field(description='a user such as "info" or "+351211234567", without a domain'),
]
Usable = Annotated[
    str,
    AfterValidator(texts.usable),
    Field(description='a user and a domain, such as "sales@example.com", or "*@example.com" for all of it'),
]
RouteUri = Annotated[
    str,
    AfterValidator(texts.sip_uri),
    Field(description='a SIP URI of a proxy, such as "sip:edge.example.com;lr"'),
]
ClientName = Annotated[
    str,
    AfterValidator(texts.client),
    Field(description='a name in a TLS client certificate, such as "gw.example.com"'),
]
Codes = Annotated[
    list[Annotated[int, _whole(300, 699)]],
    Field(description="a list of statuses from 300 to 699, such as [403, 503]"),
]
Flag = Annotated[bool, Field(description="true or false")]
Methods = Annotated[
    list[Method], Field(description='a list of SIP methods, such as ["REGISTER", "INVITE"], or [] for none')
]


class Table(BaseModel):
    """What all tables have in common."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Node(Table):
    """[node]: this machine."""

    name: Name = "oneproxy"
    processes: Annotated[int, _whole(0, 1024)] = 1


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
    keep_versions: Annotated[int, _whole(0, 1_000_000_000)] = 1_000


class Capacity(Table):
    """[capacity]: what the tables of a node have room for."""

    calls: Annotated[int, _whole(1, 10_000_000)] = 20_000
    registrations: Annotated[int, _whole(1, 100_000_000)] = 200_000
    connections: Annotated[int, _whole(1, 10_000_000)] = 20_000
    connections_per_source: Annotated[int, _whole(0, 10_000_000)] = 1_000


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
    min_expires_s: Annotated[int, _whole(0, MAX_SECONDS, "seconds")] = 60
    max_expires_s: Annotated[int, _whole(1, MAX_SECONDS, "seconds")] = 3600
    default_expires_s: Annotated[int | None, _whole(1, MAX_SECONDS, "seconds")] = None
    spread_percent: Annotated[int, _whole(0, 50)] = 10
    max_contacts: Annotated[int, _whole(1, 1000)] = 10
    when_full: Annotated[Literal["refuse", "replace"], Field(description='"refuse" or "replace"')] = "refuse"
    gruu: Flag = True
    service_route: Annotated[
        list[RouteUri],
        Field(max_length=8, description='a list of SIP URIs, such as ["sip:edge.example.com;lr"]'),
    ] = []
    redirect: Flag = False
    redirect_status: Annotated[Literal[300, 301, 302], Field(description="300, 301 or 302")] = 302
    follow_redirects: Annotated[int, _whole(0, 10)] = 0


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

    window_s: Annotated[int, _whole(1, 3600, "seconds")] = 60
    requests: Annotated[int, _whole(0, 100_000_000)] = 0
    wrong_passwords: Annotated[int, _whole(0, 1_000_000)] = 50
    account_wrong_passwords: Annotated[int, _whole(0, 1_000_000)] = 20
    account_requests: Annotated[int, _whole(0, 100_000_000)] = 0
    ban_s: Annotated[int, _whole(1, 31_536_000, "seconds")] = 600


class Registrar(Table):
    """[registrar]: what becomes of a REGISTER that cannot be stored."""

    without_database: Annotated[Literal["refuse", "memory"], Field(description='"refuse" or "memory"')] = (
        "refuse"
    )


class Registration(Table):
    """register = {...}: how OneProxy registers at a gateway."""

    aor: SipUri
    username: NotEmpty
    password: NotEmpty
    expires_s: Annotated[int, _whole(1, MAX_SECONDS, "seconds")] = 600


class Gateway(Table):
    """[[provider.gateway]]: one peer of a provider."""

    name: Name
    uri: SipUri
    max_calls: Annotated[int | None, _whole(1, 10_000_000)] = None
    max_calls_per_s: Annotated[int | None, _whole(1, 100_000)] = None
    weight: Annotated[int, _whole(0, 65_535)] = 1
    drain: Flag = False
    probe_every_s: Annotated[int, _whole(0, 86_400, "seconds")] = 0
    register_: Annotated[Registration | None, Field(alias="register")] = None


class Provider(Table):
    """[[provider]]: a set of gateways with an optional fallback provider."""

    name: Name
    fallback: Name | None = None
    choice: Annotated[
        Literal["latency", "order", "weight", "load"],
        Field(description='"latency", "order", "weight" or "load"'),
    ] = "latency"
    max_calls: Annotated[int | None, _whole(1, 10_000_000)] = None
    try_for_ms: Annotated[int, _whole(100, 32_000, "milliseconds")] = 3000
    failed_codes: Codes = []
    next_codes: Codes = []
    final_codes: Codes = []
    eject_after: Annotated[int, _whole(1, 1000)] = 5
    eject_below_percent: Annotated[int, _whole(1, 100)] = 30
    eject_s: Annotated[int, _whole(1, 86_400, "seconds")] = 30
    max_eject_s: Annotated[int, _whole(1, 86_400, "seconds")] = 600
    panic_percent: Annotated[int, _whole(0, 100)] = 30
    canary_calls: Annotated[int, _whole(1, 1000)] = 5
    canary_every_s: Annotated[int, _whole(0, 3600, "seconds")] = 1
    probes_down: Annotated[int, _whole(1, 100)] = 3
    probes_up: Annotated[int, _whole(1, 100)] = 2
    max_retry_after_s: Annotated[int, _whole(0, 3600, "seconds")] = 60
    gateway: Annotated[list[Gateway], Field(description="tables begun by [[provider.gateway]]")] = []


class Route(Table):
    """[[route]]: where a number goes; the longest prefix wins, then order."""

    prefix: Prefix
    provider: Name | None = None
    target: SipUri | None = None
    redirect: SipUri | None = None
    strip: Annotated[int, _whole(0, 64)] = 0
    prepend: Prefix = ""


class Congestion(Table):
    """[congestion]: how many new calls are taken on."""

    calls: Annotated[int | None, _whole(1, 10_000_000)] = None
    period_s: Annotated[float, Field(gt=0, le=3600, description="seconds, more than 0 and at most 3600")] = (
        1.0
    )
    max_calls: Annotated[int | None, _whole(1, 10_000_000)] = None
    retry_after_s: Annotated[
        list[Annotated[int, _whole(0, 86_400, "seconds")]],
        Field(min_length=2, max_length=2, description="two numbers of seconds, the lower first: [5, 15]"),
    ] = [5, 15]


class Cdr(Table):
    """[cdr]: call records."""

    enabled: Flag = False


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
