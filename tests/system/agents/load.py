"""Calls at a steady rate, each between agents in a thread that drives both of them."""

import contextlib
import threading
import time
from collections.abc import Callable

from system.agents.agent import PATIENCE_S, Agent
from system.agents.call import establish, hang_up

#: Makes the registered caller and callee of one line.
Pair = Callable[[], tuple[Agent, Agent]]


class Line(threading.Thread):
    """Places `rate` calls a second, one after another, until told to stop.

    fresh: new agents for every call, else the same ones for all of them. What went wrong is
    in `faults`, the number of calls that went well in `done`.
    """

    def __init__(self, pair: Pair, rate: float, *, fresh: bool = False) -> None:
        super().__init__(daemon=True)
        self._pair = pair
        self._every_s = 1 / rate
        self._fresh = fresh
        self._stopping = threading.Event()
        self.done = 0
        self.faults: list[BaseException] = []

    def run(self) -> None:
        """The thread's work."""
        try:
            with contextlib.ExitStack() as agents:
                kept = None if self._fresh else self._make(agents)
                due = time.monotonic()
                while not self._stopping.wait(max(0.0, due - time.monotonic())):
                    due += self._every_s
                    self._place(kept)
        except BaseException as fault:
            self.faults.append(fault)

    def _make(self, agents: contextlib.ExitStack) -> tuple[Agent, Agent]:
        caller, callee = self._pair()
        agents.callback(caller.close)
        agents.callback(callee.close)
        return caller, callee

    def _place(self, kept: tuple[Agent, Agent] | None) -> None:
        with contextlib.ExitStack() as agents:
            caller, callee = kept or self._make(agents)
            call = establish(caller, callee)
            if self.done % 2:
                hang_up(call.caller, call.callee)
            else:
                hang_up(call.callee, call.caller)
        self.done += 1

    def stop(self) -> None:
        """End after the present call, and wait for that."""
        self._stopping.set()
        self.join(PATIENCE_S)
