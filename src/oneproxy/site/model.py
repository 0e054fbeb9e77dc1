"""The configuration as the running processes see it: checked, typed, without secrets.

`site.file` reads and checks the TOML file and makes these. `Machine` travels to the
processes as msgpack and needs a restart to change; `Site` is the live part, which lives in
the system database and comes to the nodes from there, entry by entry (`site.entries`).
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
    #: The file that keeps the last site known; relative to the directory we were started in.
    last_site: str = "oneproxy-site.last"
    #: Versions of the site; 0: all.
    keep_versions: int = 1000
    #: Where the HTTP API is served; None: nowhere.
    admin: "Admin | None" = None


class Token(Struct, frozen=True):
    """Who may use the HTTP API. sha256: of the bearer token, hex. role: "read" or "write"."""

    name: str
    sha256: str
    role: str


class Admin(Struct, frozen=True):
    """The HTTP API. host: an IP address; port: 1 to 65535.

    certificate, key: files as those of `Listen`; where they stand it speaks TLS.
    """

    host: str
    port: int
    tokens: tuple[Token, ...] = ()
    certificate: str = ""
    key: str = ""


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
    #: Other names of the domain, in lower case; its AoRs and its realm have `name`.
    aliases: tuple[str, ...] = ()
    #: What a REGISTER that says no time gets; 0: max_expires_s.
    default_expires_s: int = 0
    #: By how much, in percent, the time that is granted may be shorter than what was asked
    #: for, at random: phones that registered together then do not all come back together.
    spread_percent: int = 10
    #: Beyond max_contacts: "refuse" the new contact, or let it "replace" the oldest.
    when_full: str = "refuse"
    #: Whether GRUUs are made for phones that ask for them (RFC 5627).
    gruu: bool = True
    #: URIs of the Service-Route that a REGISTER is answered with (RFC 3608).
    service_route: tuple[str, ...] = ()
    #: Of a redirecting domain: 300, 301 or 302.
    redirect_status: int = 302
    #: How many rounds of 3xx from a callee are followed; 0: they go to the caller.
    follow_redirects: int = 0
    #: Where its callers dial from ("PT"): their numbers are read so before a route is looked for.
    country: str = ""

    @property
    def is_open(self) -> bool:
        """Whether REGISTER needs no password: then anybody is a user here, whether or not a subscriber."""
        return "REGISTER" not in self.authenticate


class Subscriber(Struct, frozen=True, gc=False):
    """Who may register and call. ha1: algorithm to lower-case hex H(user:realm:password).

    gc=False: it holds only what cannot refer back to it, and thousands that come at once
    then give the garbage collector of a node nothing to visit.
    """

    aor: str
    ha1: dict[str, str]
    #: Other users of the domain that mean this one: "info", "+351211234567".
    aliases: tuple[str, ...] = ()
    #: AoRs besides its own that it may call and register as; "*@domain": all of a domain.
    may_use: tuple[str, ...] = ()


class Rule(Struct, frozen=True):
    """What a source may do: [[access]]. Either `source` or `client` is set.

    source: an IP network. client: a name in a verified TLS client certificate. action:
    "trust", "allow" or "deny". methods: those that it is for; empty: all.
    """

    source: str = ""
    client: str = ""
    action: str = "deny"
    methods: tuple[str, ...] = ()


class Rewrite(Struct, frozen=True, gc=False):
    """What is done to a number: first the pattern, then `strip`, then `prepend`.

    pattern: a regular expression (`site.patterns`); what it matches at the beginning of the number
    becomes `replace`, and where it does not match nothing is done. strip: characters that are taken
    off in front. Empty and 0: nothing.
    """

    strip: int = 0
    prepend: str = ""
    pattern: str = ""
    replace: str = ""


class Format(Struct, frozen=True):
    """How a gateway wants its calls, and how it writes those that it sends."""

    #: How it writes numbers: "e164" (+351...), "digits" (351...), "national" and "international"
    #: as they are dialled in `country`; "": as they come.
    form: str = ""
    country: str = ""
    #: What is done to numbers after the route's rewriting and before `form`.
    called: Rewrite = Rewrite()
    calling: Rewrite = Rewrite()
    #: How it is told who calls: "asserted" (P-Asserted-Identity), "remote-party-id"; "none": by
    #: From alone.
    identity: str = "none"
    #: The host of the caller's identity; "": the one that it has.
    domain: str = ""
    #: It keeps to itself who does not want to be known, and so is told (RFC 3325 5).
    trusted: bool = False
    #: Header lines that are added, and names of those that are left out.
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    #: Where the number stands that it calls: "uri", "to" or "p-called-party-id".
    called_in: str = "uri"


class Route(Struct, frozen=True, gc=False):
    """Where the calls for a number go. One of the destinations is set.

    gc=False: as of Subscriber; there may be a hundred thousand of them.
    """

    prefix: str
    #: Of routes of one prefix the lowest is asked first, then the one that stood first.
    order: int = 0

    #: Conditions; each that is not empty has to hold. inbound: "provider" or "provider/gateway"
    #: that the call comes from; without it the route is for calls that come from no gateway.
    inbound: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    #: AoRs, "*@domain" for all of one, or "+3512*" for numbers that begin so.
    callers: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    #: As `site.times` reads them, in the time zone.
    times: tuple[str, ...] = ()
    time_zone: str = ""

    #: Destinations. target and redirect: URIs; one without a user is given the number. aor: a user
    #: here. domain: the number is a user of this domain. refuse: a status.
    provider: str = ""
    target: str = ""
    redirect: str = ""
    aor: str = ""
    domain: str = ""
    refuse: int = 0

    #: What is done to the called number, as in Rewrite, and to the calling one.
    strip: int = 0
    prepend: str = ""
    pattern: str = ""
    replace: str = ""
    calling: Rewrite = Rewrite()
    #: The caller is not to be known, whatever the phone says (RFC 3325: Privacy: id).
    withhold: bool = False
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    #: Also for users who are known here; other routes are for the numbers of others.
    users: bool = False


class Flood(Struct, frozen=True):
    """When a source or an account is shut out. Numbers are for one window; 0: no limit."""

    window_s: int = 60
    #: Requests outside of dialogs, from one source address and of one account.
    requests: int = 0
    account_requests: int = 0
    #: Wrong passwords, from one source address and for one account.
    wrong_passwords: int = 50
    account_wrong_passwords: int = 20
    ban_s: int = 600


class Registration(Struct, frozen=True):
    """How OneProxy registers at a gateway: register = {...}. The password is never logged."""

    aor: str
    username: str
    password: str
    expires_s: int = 600
    #: Calls go there only while it is registered at.
    required: bool = False

    def __repr__(self) -> str:
        return f"Registration({self.aor!r}, {self.username!r}, ***, {self.expires_s}, {self.required})"


class Gateway(Struct, frozen=True):
    """One peer of a provider: [[provider.gateway]]."""

    name: str
    uri: str
    #: Networks that its calls come from, besides the address of its URI.
    sources: tuple[str, ...] = ()
    #: How it wants its calls; None: as they come.
    format: Format | None = None
    #: Calls at once, and new calls in any one second; 0: no limit.
    max_calls: int = 0
    max_calls_per_s: int = 0
    #: Its share among its siblings; 0: only where no other may take the call.
    weight: int = 1
    #: By hand: no new calls, those that are on go on.
    drain: bool = False
    #: How often it is sent OPTIONS; 0: never.
    probe_every_s: int = 0
    register: Registration | None = None


class Provider(Struct, frozen=True):
    """A set of gateways, and how one of them is chosen: [[provider]]."""

    name: str
    #: The provider whose gateways are tried when none of these takes the call; empty: none.
    fallback: str = ""
    gateway: tuple[Gateway, ...] = ()
    #: "latency", "order", "weight" or "load".
    choice: str = "latency"
    #: Calls at once over all of its gateways; 0: no limit.
    max_calls: int = 0
    #: How long a gateway has for any response before the next one is tried.
    try_for_ms: int = 3000
    #: Statuses that are judged otherwise than by default: as the gateway's failure; as a reason
    #: to try the next one that is no failure; as the answer to the call.
    failed_codes: tuple[int, ...] = ()
    next_codes: tuple[int, ...] = ()
    final_codes: tuple[int, ...] = ()
    #: Ejected after so many failures in a row, or when its success rate is so far below that
    #: of its siblings; for a time that doubles up to a bound.
    eject_after: int = 5
    eject_below_percent: int = 30
    eject_s: int = 30
    max_eject_s: int = 600
    #: The share of gateways that ejection leaves in, at least one.
    panic_percent: int = 30
    #: A gateway comes back by so many calls that it takes, one at a time and not more often.
    canary_calls: int = 5
    canary_every_s: int = 1
    #: OPTIONS in a row without an answer, and with one, that mark it down, and up again.
    probes_down: int = 3
    probes_up: int = 2
    #: The longest Retry-After of a 503 that is kept to; 0: none is.
    max_retry_after_s: int = 60
    #: Session timers that its calls get (RFC 4028), 90 or more; 0: none.
    session_expires_s: int = 1800
    #: The longest that a call lasts without any of these, after which both sides are sent BYE.
    max_call_s: int = 43_200


class Limit(Struct, frozen=True):
    """How many calls some may have: [[congestion.limit]]. One of the first four is set; "*": each for itself.

    domain: the name of a served one. source: an IP network. provider: its name. caller: an AoR.
    """

    domain: str = ""
    source: str = ""
    provider: str = ""
    caller: str = ""
    #: New calls in any `period_s` seconds, and calls at once; 0: no limit.
    calls: int = 0
    period_s: float = 1.0
    max_calls: int = 0
    #: What logs and people call it; empty: by whom it is for.
    name: str = ""


class Congestion(Struct, frozen=True):
    """How many new calls are taken on, and how many are sent to those who want less: [congestion]."""

    #: New calls in any `period_s` seconds, and calls at once; 0: no limit.
    calls: int = 0
    period_s: float = 1.0
    max_calls: int = 0
    #: What those beyond are told, drawn at random between the two.
    retry_after_s: tuple[int, int] = (5, 15)
    #: Numbers that are never refused, as Request-URIs have them.
    emergency: tuple[str, ...] = ("112", "911")
    #: Whether neighbours are asked by RFC 7339 how much less they want, and told how much less we do.
    oc: bool = True
    #: The longest time that a Retry-After of one of them is kept to; 0: none is.
    max_retry_after_s: int = 60
    #: Those of domains, sources, providers and callers.
    limit: tuple[Limit, ...] = ()
    #: Namespaces of Resource-Priority (RFC 4412) that are not refused from who is trusted.
    priority: tuple[str, ...] = ("ets", "wps", "esnet")
    #: How long a message may wait before it is handled, until new ones are refused; 0: for ever.
    max_wait_ms: int = 50


class Cdr(Struct, frozen=True):
    """Call records: [cdr]."""

    enabled: bool = False
    #: How long rows of the table stay; 0: for ever.
    keep_days: int = 0
    #: The most that one node's journal may take, of 1,048,576 octets each.
    journal_mb: int = 1024
    #: What becomes of new calls then: "drop-oldest" loses the oldest records, "refuse-calls" none.
    when_full: str = "drop-oldest"


class Site(Struct, frozen=True):
    """The live part of the configuration."""

    domains: dict[str, Domain]
    #: By AoR; in a node by the AoR as requests name it (`policy.live.on_wire`).
    subscribers: dict[str, Subscriber]
    access: tuple[Rule, ...] = ()
    flood: Flood = Flood()
    #: What becomes of a REGISTER that cannot be stored: "refuse" it, or serve it from "memory".
    without_database: str = "refuse"
    #: Configuration sections that were read but that this version does not act on.
    idle_sections: tuple[str, ...] = ()
    #: By name.
    providers: dict[str, Provider] = {}
    #: By the key of the entry: the prefix, and " 2", " 3" behind it for others of that prefix, in
    #: the order in which they are asked.
    routes: dict[str, Route] = {}
    congestion: Congestion = Congestion()
    cdr: Cdr = Cdr()


#: The section and the key of an entry of the site, such as ("subscriber", "alice@example.com").
Key = tuple[str, str]
#: A site as the system database keeps it: by key, each a table of the file as JSON text.
Entries = dict[Key, str]


#: One entry on its way: section, key and value; the value is "" for one that is gone.
Row = tuple[str, str, str]


class Version(Struct, frozen=True):
    """One version of the site. at: seconds since the epoch.

    The counts are of entries that differ from the version before, where somebody counted.
    """

    version: int
    at: float
    who: str = ""
    comment: str = ""
    added: int = 0
    changed: int = 0
    removed: int = 0


class Configuration(Struct, frozen=True):
    """All of it. entries: the site once more, as the system database keeps it."""

    machine: Machine
    site: Site
    entries: Entries = {}
