"""What client and server transactions share: a state in one of the four machines."""

from typing import TYPE_CHECKING

from oneproxy.engine.machines import TERMINATED, Table
from oneproxy.engine.timers import Timed

if TYPE_CHECKING:
    from oneproxy.engine.flow import Flow
    from oneproxy.engine.tables import Tables


class Transaction(Timed):
    """A state that the inputs of `machine` move. invite: whether it is one of an INVITE."""

    __slots__ = ("flow", "interval", "invite", "machine", "state", "tables", "until")

    tables: "Tables"
    flow: "Flow"
    machine: Table
    invite: bool
    state: int
    #: Between this resending and the next, seconds.
    interval: float
    #: When what is waited for is waited for no longer.
    until: float

    def terminate(self) -> None:
        """Forget this transaction."""
        raise NotImplementedError

    def step(self, given: int) -> int:
        """Take the step for the input `given`; what to do, as the flags of `machines`."""
        step = self.machine.get((self.state, given))
        if step is None:
            return 0
        if step[0] == TERMINATED:
            self.terminate()
        else:
            self.state = step[0]
        return step[1]
