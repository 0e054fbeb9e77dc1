"""The order of the steps: each decides or passes, and the first decision holds."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from oneproxy.engine.decisions import BEST, Ask, Decision, Reply, Target
from oneproxy.engine.flow import Flow
from oneproxy.site.model import Site

NOT_FOUND: Final = Reply(404, "Not Found")


class Step(Protocol):
    """One rule or a set of rules that belong together.

    A step that wants to be asked again when all targets of its decision have failed puts
    a step into `ask.step`: itself, or one that remembers what is left to try. It may have
    any of the methods of `Attentive`, `Redirecting`, `Placing` and `Changing` too.
    """

    def decide(self, ask: Ask) -> Decision | None:
        """The decision on `ask`, or None to leave it to the next step."""
        ...


class Attentive(Protocol):
    """A step that wants to know of connections that are gone."""

    def closed(self, now: float, flow: Flow) -> None:
        """The connection `flow` is closed."""
        ...


class Redirecting(Protocol):
    """A step that knows where the URIs of a 3xx lead."""

    def redirected(self, ask: Ask, contacts: list[str]) -> list[Target]:
        """As `Policy.redirected`; [] leaves it to the next step."""
        ...


class Placing(Protocol):
    """A step that knows where the GRUUs of served domains lead."""

    def placed(self, ask: Ask) -> Decision:
        """As `Policy.placed`."""
        ...


class Changing(Protocol):
    """A step, or what steps share, that makes something of its own of the site."""

    def take(self, site: Site) -> None:
        """The site has changed: decide by this one from now on."""
        ...


class Order:
    """Asks the steps in turn; what none of them decides is 404."""

    __slots__ = ("_closed", "_decisions", "_placed", "_redirected", "_takes", "steps")

    def __init__(self, steps: Sequence[Step], shared: Sequence[Changing] = ()) -> None:
        """shared: what steps share and is told of a changed site before them."""
        self.steps = tuple(steps)
        # Bound once: every call comes through here.
        self._decisions = tuple([step.decide for step in steps])
        self._takes = _methods((*shared, *steps), "take")
        self._closed = _methods(steps, "closed")
        self._redirected = _methods(steps, "redirected")
        self._placed = _methods(steps, "placed")

    def decide(self, ask: Ask) -> Decision:
        """Decide on `ask`; where nobody knows of further targets, the best response goes back."""
        if ask.outcomes:
            decide_again = getattr(ask.step, "decide", None)
            again: Decision | None = None if decide_again is None else decide_again(ask)
            return BEST if again is None else again
        for decide in self._decisions:
            decision = decide(ask)
            if decision is not None:
                return decision
        return NOT_FOUND

    def redirected(self, ask: Ask, contacts: list[str]) -> list[Target]:
        """Where a 3xx leads, by the first step that knows."""
        for redirected in self._redirected:
            targets: list[Target] = redirected(ask, contacts)
            if targets:
                return targets
        return []

    def placed(self, ask: Ask) -> Decision:
        """Where a GRUU leads, for a request inside of a dialog."""
        decision: Decision = self._placed[0](ask) if self._placed else NOT_FOUND
        return decision

    def take(self, site: Site) -> None:
        """The site has changed: every step decides by this one from now on.

        What is under way (asks, writes, nonces, bans) goes on.
        """
        for take in self._takes:
            take(site)

    def closed(self, now: float, flow: Flow) -> None:
        """Tell the steps that want to know: a connection is closed."""
        for closed in self._closed:
            closed(now, flow)


def _methods(steps: Sequence[object], name: str) -> tuple[Callable[..., Any], ...]:
    """The methods of this name of those that have one."""
    return tuple([getattr(step, name) for step in steps if hasattr(step, name)])
