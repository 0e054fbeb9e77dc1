"""What the admin process asks of the recorder, and the recorder of its nodes.

A `Query` carries one question and a number, its `Answer` the same number. Each question is
of bounded size and work, so long lists are asked for page by page: what is read of one
version of the site is the same whatever was changed between two pages.

    admin process -- Query ---> recorder -- Inquiry --> nodes
                  <-- Answer --          <-- Report ---
"""

from typing import Final

from msgspec import Struct

from oneproxy.ipc.call_records import FindRecords, RecordsFound, RecordsHealth
from oneproxy.ipc.calls import AskCalls, CallEnded, CallsFound, EndCall, NodeEnded
from oneproxy.ipc.limits import AskLimits, LimitsFound
from oneproxy.registrar.bindings import Binding
from oneproxy.site.difference import Difference
from oneproxy.site.model import Key, Row, Version

#: Entries, bindings or bans in an answer; fewer of them: these are the last.
PAGE: Final = 500
#: Gateways of one node in an answer.
MAX_GATEWAYS: Final = 5_000
#: Entries that may differ in one version that is written from here.
MAX_DIFFERING: Final = 100_000


class Look(Struct, tag=True, frozen=True):
    """Which version is the newest? version, at: the one that the asker has; 0 for none."""

    version: int = 0
    at: float = 0.0


class Looked(Struct, tag=True, frozen=True):
    """The newest version; number 0 where there is none.

    known: the asker's is one of the same history, so the rows between the two make it this one.
    """

    latest: Version
    known: bool


class Rows(Struct, tag=True, frozen=True):
    """The entries behind key `after` that make `version` of `base`; base 0: all entries."""

    base: int
    version: int
    after: Key


class RowsFound(Struct, tag=True, frozen=True):
    """Entries in the order of their keys."""

    rows: list[Row]


class Differences(Struct, tag=True, frozen=True):
    """What makes the version `to` of the version `of`, behind key `after`; either may be the older."""

    of: int
    to: int
    after: Key


class DifferencesFound(Struct, tag=True, frozen=True):
    """Entries that differ, in the order of their keys."""

    differing: list[Difference]


class Versions(Struct, tag=True, frozen=True):
    """The newest versions, at most `most` and PAGE of them; version: this one alone."""

    most: int = PAGE
    version: int = 0


class VersionsFound(Struct, tag=True, frozen=True):
    """Newest first."""

    versions: list[Version]


class Stage(Struct, tag=True, frozen=True):
    """Some of what the next `Write` is to write, at most PAGE entries; first: what came before is dropped."""

    differing: list[Difference]
    first: bool


class Staged(Struct, tag=True, frozen=True):
    """It is kept until then."""


class Write(Struct, tag=True, frozen=True):
    """Have the newest version, which has to be `base`, differ by what was staged.

    count: how many entries that are. Nothing differs: there is no new version.
    """

    base: int
    count: int
    who: str
    comment: str


class Written(Struct, tag=True, frozen=True):
    """The version that the site has now."""

    version: Version


class Stale(Struct, tag=True, frozen=True):
    """Nothing was written: the newest version is this one by now."""

    version: int


class Bindings(Struct, tag=True, frozen=True):
    """Bindings behind `after` (AoR and `Binding.key`), of AoRs that begin with `prefix`; that live now."""

    prefix: str
    after: Key
    most: int = PAGE


class LookUp(Struct, tag=True, frozen=True):
    """Bindings of one AoR, that live now."""

    aor: str


class BindingsFound(Struct, tag=True, frozen=True):
    """By AoR, in key order."""

    bindings: list[tuple[str, Binding]]


class Bind(Struct, tag=True, frozen=True):
    """Add a binding that no REGISTER takes away and that does not expire. q: 0 to 1000."""

    aor: str
    contact: str
    q: int


class Unbind(Struct, tag=True, frozen=True):
    """Remove the bindings of `contact` over any flow, or all of the AoR where it is empty."""

    aor: str
    contact: str = ""


class Unbound(Struct, tag=True, frozen=True):
    """How many bindings went."""

    removed: int


class ListBans(Struct, tag=True, frozen=True):
    """Who is shut out, by what name: behind `after`."""

    after: str = ""


class BanFound(Struct, frozen=True, array_like=True):
    """One of them. kind: "source" or "account". since, until: seconds since the epoch."""

    name: str
    kind: str
    since: float
    until: float
    why: str


class BansFound(Struct, tag=True, frozen=True):
    """Of one node, or of all that answered; in the order of their names. silent: nodes that did not."""

    bans: list[BanFound]
    silent: tuple[str, ...] = ()


class LiftBan(Struct, tag=True, frozen=True):
    """Let this source or account in again."""

    name: str


class BanLifted(Struct, tag=True, frozen=True):
    """Of how many nodes."""

    nodes: int
    silent: tuple[str, ...] = ()


class AskHealth(Struct, tag=True, frozen=True):
    """How are you?"""


class NodeHealth(Struct, tag=True, frozen=True):
    """Of one node. version: of the site that it decides by; loaded: whether all bindings have come.

    longest_wait_ms, mean_wait_ms: how long what came waited to be handled, in the last minute or two.
    dropped: datagrams for which the kernel had no more room. loss_percent: the share of new calls
    that is refused since the node is overloaded.
    """

    version: int
    bindings: int
    loaded: bool
    bans: int = 0
    name: str = ""
    longest_wait_ms: float = 0.0
    mean_wait_ms: float = 0.0
    dropped: int = 0
    loss_percent: int = 0


class HealthFound(Struct, tag=True, frozen=True):
    """Of a machine. proxy, system: why the database cannot be used; "" where it can."""

    proxy: str
    system: str
    version: int
    nodes: list[NodeHealth]
    silent: tuple[str, ...] = ()
    records: RecordsHealth | None = None


class AskGateways(Struct, tag=True, frozen=True):
    """How do the gateways fare?"""


class StandingFound(Struct, frozen=True):
    """How a registration at a gateway stands; as `trunks.registration.Standing`."""

    state: str
    aor: str
    status: int
    reason: str
    error: str
    next_at: float
    expires_at: float


class GatewayFound(Struct, frozen=True):
    """One gateway, as one node knows it. Instants are seconds since the epoch, 0 for none.

    uri: without a password. state: "up", "ejected", "canary" or "down", since `since`; until: when an
    ejection ends. max_calls: 0 for no limit. waiting: calls that wait for a first response, which is
    expected within response_time_ms. success: the share of calls that it takes, 0 to 1. ends: how
    often each kind of end came. rest_until: no calls before, as a Retry-After said. standing: None
    where it is not registered at.
    """

    name: str
    uri: str
    state: str
    since: float
    until: float
    calls: int
    max_calls: int
    waiting: int
    response_time_ms: float
    success: float
    ends: dict[str, int]
    drained: bool
    rest_until: float
    standing: StandingFound | None = None


class ProviderFound(Struct, frozen=True):
    """One provider, as one node knows it. node: its name, filled in by the recorder.

    full, unhealthy: calls that found no room in it, and nobody who works; panics: calls that were
    sent to a gateway that was believed not to work, since nothing else was left.
    """

    name: str
    calls: int
    max_calls: int
    full: int
    unhealthy: int
    panics: int
    gateways: list[GatewayFound]
    node: str = ""


class GatewaysFound(Struct, tag=True, frozen=True):
    """Of one node, or of all that answered, by node and name. left_out: gateways beyond MAX_GATEWAYS."""

    providers: list[ProviderFound]
    left_out: int = 0
    silent: tuple[str, ...] = ()


class AskExplain(Struct, tag=True, frozen=True):
    """What would become of this request? As `policy.explaining.Question`."""

    from_: str
    to: str
    source: str = ""
    transport: str = "udp"
    method: str = "INVITE"


class NodeExplained(Struct, tag=True, frozen=True):
    """What one node says: what it looked at and found, and in one line what becomes of the request.

    fault: what is wrong with the question, "" where nothing is.
    """

    steps: list[tuple[str, str]]
    verdict: str
    gateway: str = ""
    targets: tuple[str, ...] = ()
    status: int = 0
    fault: str = ""
    node: str = ""


class Explained(Struct, tag=True, frozen=True):
    """What the nodes say, each by what it knows: they need not choose the same gateway."""

    nodes: list[NodeExplained]
    silent: tuple[str, ...] = ()


class Refused(Struct, tag=True, frozen=True):
    """No answer, for this reason. code: "database", "busy", "unfit", "slow"."""

    code: str
    reason: str


Question = (
    Look
    | Rows
    | Differences
    | Versions
    | Stage
    | Write
    | Bindings
    | LookUp
    | Bind
    | Unbind
    | ListBans
    | LiftBan
    | AskHealth
    | AskGateways
    | AskLimits
    | AskExplain
    | AskCalls
    | EndCall
    | FindRecords
)
Found = (
    Looked
    | RowsFound
    | DifferencesFound
    | VersionsFound
    | Staged
    | Written
    | Stale
    | BindingsFound
    | Unbound
    | BansFound
    | BanLifted
    | HealthFound
    | GatewaysFound
    | LimitsFound
    | Explained
    | CallsFound
    | CallEnded
    | RecordsFound
    | Refused
)
NodeQuestion = ListBans | LiftBan | AskHealth | AskGateways | AskLimits | AskExplain | AskCalls | EndCall
NodeFound = (
    BansFound | BanLifted | NodeHealth | GatewaysFound | LimitsFound | NodeExplained | CallsFound | NodeEnded
)


class Query(Struct, tag=True):
    """Admin process to recorder."""

    number: int
    question: Question


class Answer(Struct, tag=True):
    """Recorder to admin process."""

    number: int
    found: Found


class Inquiry(Struct, tag=True):
    """Recorder to node."""

    number: int
    question: NodeQuestion


class Report(Struct, tag=True):
    """Node to recorder."""

    number: int
    found: NodeFound
