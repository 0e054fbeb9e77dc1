"""The order of the steps: each decides or passes, and the first decision holds."""

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from oneproxy.engine.decisions import BEST, Ask, Decision, Reply, Target
from oneproxy.engine.flow import Flow
from oneproxy.site.model import Site

NOT_FOUND: Final = Reply(404, "Not Found")


@runtime_checkable
class Step(Protocol):
    """One rule or a set of rules that belong together.

    A step that wants to be asked again when all targets of its decision have failed puts
    a step into `ask.step`: itself, or one that remembers what is left to try.
    """

    def decide(self, ask: Ask) -> Decision | None:
        """The decision on `ask`, or None to leave it to the next step."""
        ...


@runtime_checkable
class Attentive(Protocol):
    """A step that wants to know of connections that are gone."""

    def closed(self, now: float, flow: Flow) -> None:
        """The connection `flow` is closed."""
        ...


@runtime_checkable
class Redirecting(Protocol):
    """A step that knows where the URIs of a 3xx lead."""

    def redirected(self, ask: Ask, contacts: list[str]) -> list[Target]:
        """As `Policy.redirected`; [] leaves it to the next step."""
        ...


@runtime_checkable
class Placing(Protocol):
    """A step that knows where the GRUUs of served domains lead."""

    def placed(self, ask: Ask) -> Decision:
        """As `Policy.placed`."""
        ...


@runtime_checkable
class Changing(Protocol):
    """A step, or what steps share, that makes something of its own of the site."""

    def take(self, site: Site) -> None:
        """The site has changed: decide by this one from now on."""
        ...


class Order:
    """Asks the steps in turn; what none of them decides is 404."""

    __slots__ = ("_attentive", "_changing", "_decisions", "_placing", "_redirecting", "steps")

    def __init__(self, steps: Sequence[Step], shared: Sequence[Changing] = ()) -> None:
        """shared: what steps share and is told of a changed site before them."""
        self.steps = tuple(steps)
        self._changing = (*shared, *[step for step in steps if isinstance(step, Changing)])
        # Bound once: every call comes through here.
        self._decisions = tuple([step.decide for step in steps])
        self._attentive = tuple([step for step in steps if isinstance(step, Attentive)])
        self._redirecting = tuple([step for step in steps if isinstance(step, Redirecting)])
        self._placing = next((step for step in steps if isinstance(step, Placing)), None)

    def decide(self, ask: Ask) -> Decision:
        """Decide on `ask`; where nobody knows of further targets, the best response goes back."""
        if ask.outcomes:
            step = ask.step
            again = step.decide(ask) if isinstance(step, Step) else None
            return BEST if again is None else again
        for decide in self._decisions:
            decision = decide(ask)
            if decision is not None:
                return decision
        return NOT_FOUND

    def redirected(self, ask: Ask, contacts: list[str]) -> list[Target]:
        """Where a 3xx leads, by the first step that knows."""
        for step in self._redirecting:
            targets = step.redirected(ask, contacts)
            if targets:
                return targets
        return []

    def placed(self, ask: Ask) -> Decision:
        """Where a GRUU leads, for a request inside of a dialog."""
        return NOT_FOUND if self._placing is None else self._placing.placed(ask)

    def take(self, site: Site) -> None:
        """The site has changed: every step decides by this one from now on.

        What is under way (asks, writes, nonces, bans) goes on.
        """
        for one in self._changing:
            one.take(site)

    def closed(self, now: float, flow: Flow) -> None:
        """Tell the steps that want to know: a connection is closed."""
        for step in self._attentive:
            step.closed(now, flow)
