"""What the processes say to each other, as msgpack structures.

Node and recorder speak over a stream; supervisor and child over the child's standard
input and output. A batch is sent again until it is acknowledged, and storing one
twice has no further effect, so a recorder may die between commit and answer.
"""

from msgspec import Raw, Struct

from oneproxy.ipc.desk import Answer, Inquiry, Query, Report
from oneproxy.registrar.bindings import Binding, Change
from oneproxy.site.model import Machine, Row


class Wanted(Struct):
    """The site that a file has, for the recorder to apply.

    path: where its entries are, as `site.last` writes them. file: the machine's name and the
    file's, of which digest is the hash of the site in it.
    """

    path: str
    file: str
    digest: str
    who: str
    #: It is for who has none at all: a database that has a site keeps it.
    first_only: bool = False


class Start(Struct, tag=True):
    """Supervisor to child: what to do. endpoint: where the recorder listens."""

    machine: Machine
    endpoint: str
    token: str
    #: Which of this machine's nodes this is, from 0 on.
    index: int = 0
    #: For the recorder, until it has said that it is settled.
    site: Wanted | None = None


class Stop(Struct, tag=True):
    """Supervisor to child: answer what is in flight, refuse what is new, then end."""

    drain_s: float


class Ready(Struct, tag=True, omit_defaults=True):
    """Child to supervisor: it serves. detail: what a person is told ("udp 127.0.0.1:5060")."""

    detail: str
    #: Of the recorder: the site that Start brought is applied, or found to be applied before.
    settled: bool = True
    #: And it is the one that runs.
    asked: bool = False


class Failed(Struct, tag=True):
    """Child to supervisor: it cannot start; one line for people."""

    reason: str


class Hello(Struct, tag=True):
    """Node or admin process to recorder, first on every connection."""

    node: str
    token: str
    #: Whether it is the admin process, which asks and is told nothing unasked.
    asks: bool = False


class Welcome(Struct, tag=True):
    """Recorder to node: the farm's secret, from which every key is derived; empty for who only asks."""

    secret: bytes


class Follow(Struct, tag=True):
    """Node to recorder: send the site, now and whenever it changes.

    version, at: the one that the node has, and when it was made; 0: none.
    """

    version: int = 0
    at: float = 0.0


class SitePart(Struct, tag=True):
    """Recorder to node: some entries of the site that differ from what the node has.

    first: what came of a change before is of one that will not be finished.
    """

    entries: list[Row]
    first: bool


class SiteVersion(Struct, tag=True):
    """Recorder to node: with the parts that came, this is the site from now on.

    whole: the parts were all of it, and what they did not name is gone.
    """

    version: int
    at: float
    whole: bool


class Load(Struct, tag=True):
    """Node to recorder: send every binding that has not expired at `now`."""

    now: float


class Page(Struct, tag=True):
    """Recorder to node: all bindings of some AoRs, in key order; `last` on the page that ends them."""

    bindings: list[tuple[str, Binding]]
    last: bool


class Fetch(Struct, tag=True):
    """Node to recorder: send all bindings of these AoRs, before further pages."""

    aors: list[str]
    now: float


class Fetched(Struct, tag=True):
    """Recorder to node: all bindings of `aors`; failed: they cannot be read."""

    aors: list[str]
    bindings: list[tuple[str, Binding]]
    failed: bool = False


class Changed(Struct, tag=True):
    """Recorder to node: somebody else's changes, committed in this order."""

    changes: list[Change]


class Save(Struct, tag=True):
    """Node to recorder: a batch of changes, in order."""

    batch: int
    changes: list[Change]


class EncodedSave(Struct, tag="Save"):
    """`Save` as a node sends it: its changes are encoded already, so that they can be counted."""

    batch: int
    changes: list[Raw]


class Saved(Struct, tag=True):
    """Recorder to node: the batch is committed, but for the `refused` changes.

    refused: positions in the batch of changes that no attempt can store (a text too long
    for a key, say), so that one phone's oddity does not undo everyone's in the batch.
    """

    batch: int
    refused: tuple[int, ...] = ()
    #: Positions of changes that may be stored another time: somebody has locked their rows.
    later: tuple[int, ...] = ()


class NotSaved(Struct, tag=True):
    """Recorder to node: the batch was not stored; reason for the log.

    away: nothing can be stored now. The batch may be in the database all the same, where
    the connection broke during its commit.
    """

    batch: int
    reason: str
    away: bool = False


class Standing(Struct, tag=True):
    """Recorder to node: whether the database can be used, when that changes."""

    away: bool


ToChild = Start | Stop
FromChild = Ready | Failed
ToRecorder = Hello | Follow | Load | Fetch | Save | Query | Report
FromRecorder = (
    Welcome
    | SitePart
    | SiteVersion
    | Page
    | Fetched
    | Changed
    | Saved
    | NotSaved
    | Standing
    | Answer
    | Inquiry
)
