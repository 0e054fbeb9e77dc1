"""What the processes say to each other, as msgpack structures.

Node and recorder speak over a stream; supervisor and child over the child's standard
input and output. A batch is sent again until it is acknowledged, and storing one
twice has no further effect, so a recorder may die between commit and answer.
"""

from msgspec import Struct

from oneproxy.registrar.bindings import Binding, Change
from oneproxy.site.model import Configuration


class Start(Struct, tag=True):
    """Supervisor to child: what to do. endpoint: where the recorder listens."""

    configuration: Configuration
    endpoint: str
    token: str
    #: Which of this machine's nodes this is, from 0 on.
    index: int = 0


class Stop(Struct, tag=True):
    """Supervisor to child: answer what is in flight, refuse what is new, then end."""

    drain_s: float


class Ready(Struct, tag=True):
    """Child to supervisor: it serves. detail: what a person is told ("udp 127.0.0.1:5060")."""

    detail: str


class Failed(Struct, tag=True):
    """Child to supervisor: it cannot start; one line for people."""

    reason: str


class Hello(Struct, tag=True):
    """Node to recorder, first on every connection."""

    node: str
    token: str


class Welcome(Struct, tag=True):
    """Recorder to node: the farm's secret, from which every key is derived."""

    secret: bytes


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


class Saved(Struct, tag=True):
    """Recorder to node: the batch is committed, but for the `refused` changes.

    refused: positions in the batch of changes that no attempt can store (a text too long
    for a key, say), so that one phone's oddity does not undo everyone's in the batch.
    """

    batch: int
    refused: tuple[int, ...] = ()


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
ToRecorder = Hello | Load | Fetch | Save
FromRecorder = Welcome | Page | Fetched | Changed | Saved | NotSaved | Standing
