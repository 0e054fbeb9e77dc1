"""A step that spends CPU on each call that is let in, so that SIPp can offer ten times as many.

It is found by its entry point, as any step that an operator adds: this folder is in PYTHONPATH.
"""

import os
import time
from collections.abc import Callable

from oneproxy.engine.decisions import Ask, Decision
from oneproxy.policy.live import Live


class Spending:
    """Decides nothing. Spends milliseconds, by the CPU time of the thread; SPENDING_MS says how many."""

    def __init__(self, _live: Live, clock: Callable[[], float] = time.thread_time) -> None:
        self._spends_s = float(os.environ.get("SPENDING_MS", "2")) / 1000
        self._clock = clock

    def decide(self, ask: Ask) -> Decision | None:
        """Leave it to the next step, later."""
        if ask.request.method == "INVITE":
            until = self._clock() + self._spends_s
            while self._clock() < until:
                pass
        return None
