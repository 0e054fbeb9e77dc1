"""What all transactions of one engine share: the tables they stand in, the wheel, the way out."""

from typing import TYPE_CHECKING

from oneproxy.engine.counters import Counters
from oneproxy.engine.flow import Flow
from oneproxy.engine.timers import Wheel

if TYPE_CHECKING:
    from oneproxy.engine.client import ClientTransaction
    from oneproxy.engine.server import ServerTransaction


class Tables:
    """The memory of one engine."""

    __slots__ = ("clients", "counters", "out", "servers", "unanswered", "wheel")

    def __init__(self, now: float) -> None:
        self.wheel = Wheel(now)
        #: Datagrams to send, in order; the driver empties it.
        self.out: list[tuple[Flow, bytes]] = []
        #: By RFC 3261 17.2.3.
        self.servers: dict[str, ServerTransaction] = {}
        #: By RFC 3261 17.1.3: our branch, and for a CANCEL the branch and its method.
        self.clients: dict[str, ClientTransaction] = {}
        self.counters = Counters()
        #: Server transactions that have not sent a final response; a drain waits for these.
        self.unanswered = 0
