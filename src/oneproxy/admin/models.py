"""What is answered, as OpenAPI describes it; and the bodies that are taken, as the file's tables are."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from oneproxy.site import schema

TABLES: Final[dict[str, type[schema.Table]]] = {
    "subscriber": schema.Subscriber,
    "domain": schema.Domain,
    "access": schema.Access,
}


class Entry(BaseModel):
    """One entry of the site. value: its table, without secrets."""

    key: str
    value: dict[str, Any]


class EntryPage(BaseModel):
    """Entries in the order of their keys. next: what `after` says to have the next page; null: no more."""

    items: list[Entry]
    next: str | None


class ChangeMade(BaseModel):
    """The version that the site has now, how many entries differ, and lines that tell what differs."""

    version: int
    differing: int
    changed: list[str] = Field(description="the first 100 of them, without secrets")


class VersionInfo(BaseModel):
    """A version. The counts are of entries that differ from the one before; null: not counted."""

    version: int
    at: str = Field(description="ISO 8601, UTC")
    who: str
    comment: str
    added: int | None = None
    changed: int | None = None
    removed: int | None = None


class VersionPage(BaseModel):
    """Versions, newest first."""

    items: list[VersionInfo]


class DifferenceInfo(BaseModel):
    """One entry that differs. kind: "added", "changed" or "removed"; text: a line without secrets."""

    section: str
    key: str
    kind: str
    text: str


class DifferencePage(BaseModel):
    """What makes one version of another."""

    of: int
    to: int
    items: list[DifferenceInfo]
    next: str | None


class BindingInfo(BaseModel):
    """A binding. static: it was added by hand, and does not expire."""

    aor: str
    contact: str
    q: float
    static: bool
    expires_at: str | None
    since: str
    source: str
    path: list[str]
    user_agent: str
    instance: str
    reg_id: int


class BindingPage(BaseModel):
    """Bindings in the order of their AoRs."""

    items: list[BindingInfo]
    next: str | None


class BindingList(BaseModel):
    """The bindings of one AoR."""

    aor: str
    items: list[BindingInfo]


class NewBinding(BaseModel):
    """A binding to add. contact: a SIP URI; q: which contacts ring first."""

    contact: str = Field(max_length=2048)
    q: float = Field(1.0, ge=0.0, le=1.0)


class BindingMade(BaseModel):
    """A binding that was added."""

    aor: str
    contact: str
    q: float


class Removed(BaseModel):
    """How many bindings were removed."""

    removed: int


class BanInfo(BaseModel):
    """Who is shut out. kind: "source" or "account"; why: the code of what he did."""

    name: str
    kind: str
    since: str
    until: str
    why: str


class BanPage(BaseModel):
    """Bans in the order of their names. silent: nodes that did not answer in time."""

    items: list[BanInfo]
    next: str | None
    silent: list[str]


class Lifted(BaseModel):
    """At how many nodes the ban was lifted. silent: nodes that did not answer in time."""

    nodes: int
    silent: list[str]


class StandingInfo(BaseModel):
    """How OneProxy is registered at a gateway. status, reason: the last answer; error: what stood for one."""

    state: str
    aor: str
    status: int
    reason: str
    error: str
    next_at: str | None
    expires_at: str | None


class GatewayInfo(BaseModel):
    """A gateway as one node knows it. max_calls: null for no limit; success: 0 to 1."""

    name: str
    uri: str
    state: str = Field(description="up, ejected, canary or down")
    since: str | None
    until: str | None = Field(description="when it is no longer ejected")
    calls: int
    max_calls: int | None
    waiting: int = Field(description="calls that wait for a first response")
    response_time_ms: float
    success: float
    ends: dict[str, int]
    drained: bool
    rest_until: str | None = Field(description="no calls before, as a Retry-After said")
    registration: StandingInfo | None


class ProviderInfo(BaseModel):
    """A provider as one node knows it. full, unhealthy: calls that it had no gateway for."""

    node: str
    name: str
    calls: int
    max_calls: int | None
    full: int
    unhealthy: int
    panics: int = Field(description="calls sent to a gateway that was believed not to work")
    gateways: list[GatewayInfo]


class ProviderList(BaseModel):
    """Providers, node by node. left_out: gateways that there is no room for."""

    items: list[ProviderInfo]
    left_out: int
    silent: list[str]


class CallInfo(BaseModel):
    """A call that is on. domain, source, provider, gateway: null where that is not known, or nobody's."""

    node: str
    id: str = Field(description="of its record, where one is made")
    state: str = Field(description="calling, ringing or answered")
    caller: str
    callee: str
    domain: str | None
    source: str | None
    provider: str | None
    gateway: str | None
    since: str
    answered_at: str | None
    seconds: float = Field(description="since the answer; before, since it began")


class CallList(BaseModel):
    """Calls of all nodes, those that began first. silent: nodes that did not answer in time."""

    items: list[CallInfo]
    total: int = Field(description="how many are on")
    matching: int = Field(description="how many of them are as asked for")
    unseen: int = Field(description="how many were not looked at, since there are too many")
    silent: list[str]


class CallGone(BaseModel):
    """A call that was ended, and the node that had it. silent: nodes that did not answer in time."""

    id: str
    node: str
    silent: list[str]


class ShareInfo(BaseModel):
    """One of those that have a limit each for himself."""

    of: str
    within: int
    calls_on: int
    refused: int


class LimitInfo(BaseModel):
    """A limit as one node knows it. calls, max_calls: null for no limit; whom: "*" for each by himself."""

    node: str
    name: str
    kind: str = Field(description="node, domain, source, provider or caller")
    whom: str | None
    calls: int | None
    period_s: float
    max_calls: int | None
    within: int = Field(description="calls that have begun in the period that ends now")
    calls_on: int = Field(description="calls at once, as far as they are counted")
    refused: int
    counted: int = Field(description="how many there are that have calls at present")
    uncounted: int = Field(description="calls that there was no room to count")
    busiest: list[ShareInfo]


class LimitList(BaseModel):
    """Limits, node by node. left_out: limits that there is no room for."""

    items: list[LimitInfo]
    left_out: int
    silent: list[str]


class Explain(BaseModel):
    """A request to explain. from, to: URIs, user@domain, or numbers; source: the IP address it comes from."""

    model_config = ConfigDict(extra="forbid")

    from_: str = Field(alias="from", max_length=1024)
    to: str = Field(max_length=1024)
    source: str = Field("", max_length=64)
    transport: str = Field("udp", max_length=8)
    method: str = Field("INVITE", max_length=32)


class StepInfo(BaseModel):
    """What was looked at, and what was found there."""

    heading: str
    text: str


class ExplainedInfo(BaseModel):
    """What one node would do. gateway: "provider/gateway"; targets: Request-URIs; status: of an answer."""

    node: str
    verdict: str
    steps: list[StepInfo]
    gateway: str | None
    targets: list[str]
    status: int | None


class ExplainedList(BaseModel):
    """What each node would do. silent: nodes that did not answer in time."""

    items: list[ExplainedInfo]
    silent: list[str]


class AttemptInfo(BaseModel):
    """One target of a call. to: the Request-URI; error: what stood for an answer."""

    to: str
    status: int
    error: str | None
    provider: str | None
    gateway: str | None
    started_at: str
    first_response_at: str | None
    ended_at: str | None


class RecordInfo(BaseModel):
    """A call record: the columns of table `cdr`. Instants are ISO 8601, UTC; null: there was none."""

    id: str
    started_at: str
    first_response_at: str | None
    ringing_at: str | None
    answered_at: str | None
    ended_at: str | None
    post_dial_delay_ms: int | None
    duration_ms: int | None
    status: int | None
    cause: str | None
    reason: str | None
    q850: int | None
    ended_by: str | None
    call_id: str | None
    from_tag: str | None
    to_tag: str | None
    caller_uri: str | None
    callee_uri: str | None
    caller: str | None
    callee: str | None
    routed_caller: str | None
    routed_callee: str | None
    domain: str | None
    subscriber: str | None
    source: str | None
    transport: str | None
    provider: str | None
    gateway: str | None
    attempts: list[AttemptInfo]
    node: str | None
    caller_agent: str | None
    callee_agent: str | None


class RecordPage(BaseModel):
    """Call records, newest first."""

    items: list[RecordInfo]
    next: str | None


class RecordsInfo(BaseModel):
    """How call records come into the table. lost: parts of journals; waiting: octets, at most."""

    stored: int = Field(description="since the recorder began")
    refused: int
    lost: int
    waiting: int
    oldest_at: str | None = Field(description="when the oldest call ended that cannot be stored")
    reason: str | None


class NodeInfo(BaseModel):
    """A node. site_version: the one that it decides by; loaded: whether all bindings have come.

    longest_wait_ms, mean_wait_ms: how long what came waited to be handled, in the last minute or two;
    dropped: datagrams that the system had no room for; loss_percent: the share of new calls that is
    refused since the node is overloaded.
    """

    name: str
    site_version: int
    bindings: int
    loaded: bool
    bans: int
    longest_wait_ms: float
    mean_wait_ms: float
    dropped: int
    loss_percent: int


class DatabaseInfo(BaseModel):
    """A database. reason: why it cannot be used."""

    reachable: bool
    reason: str | None


class Health(BaseModel):
    """How this machine fares. status: "ok" or "degraded"; silent: nodes that did not answer in time."""

    status: str
    recorder: bool
    reason: str | None
    proxy_database: DatabaseInfo | None
    system_database: DatabaseInfo | None
    site_version: int | None
    nodes: list[NodeInfo]
    silent: list[str]
    call_records: RecordsInfo | None


class EditInfo(BaseModel):
    """One table put in place of the entry of this key, or added; null: the entry is removed."""

    section: str
    key: str
    table: dict[str, Any] | None


class Edits(BaseModel):
    """Edits that become one version."""

    edits: list[EditInfo] = Field(max_length=100_000)


class Problem(BaseModel):
    """RFC 9457. code: stable, for programs; mistakes: of the code "mistakes"."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    mistakes: list[dict[str, str]] | None = None


def bodies(section: str, one: bool = True, many: bool = False) -> dict[str, Any]:
    """The request body of a route in OpenAPI: a table of the file, a list of them, or either."""
    table = {"$ref": f"#/components/schemas/{TABLES[section].__name__}"}
    tables = {"type": "array", "items": table}
    kinds = [table] * one + [tables] * many
    schema_of = kinds[0] if len(kinds) == 1 else {"oneOf": kinds}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema_of}}}}
