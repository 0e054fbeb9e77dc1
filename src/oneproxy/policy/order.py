"""The order of the steps: each decides or passes, and the first decision holds."""

from collections.abc import Sequence
from typing import Final, Protocol

from oneproxy.engine.decisions import BEST, Ask, Decision, Reply

NOT_FOUND: Final = Reply(404, "Not Found")


class Step(Protocol):
    """One rule or a set of rules that belong together."""

    def decide(self, ask: Ask) -> Decision | None:
        """The decision on `ask`, or None to leave it to the next step."""
        ...


class Order:
    """Asks the steps in turn; what none of them decides is 404."""

    __slots__ = ("_decisions", "steps")

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        # Bound once: every call comes through here.
        self._decisions = tuple([step.decide for step in steps])

    def decide(self, ask: Ask) -> Decision:
        """Decide on `ask`; when its targets have all failed, the best response goes back."""
        if ask.outcomes:
            return BEST
        for decide in self._decisions:
            decision = decide(ask)
            if decision is not None:
                return decision
        return NOT_FOUND
