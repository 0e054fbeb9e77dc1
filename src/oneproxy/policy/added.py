"""Steps that operators add to policy: entry points of the group `oneproxy.steps` of what is installed.

Each is a factory. It is given the site as the node keeps it (`policy.live.Live`), whose mappings change in
place, and gives a step (`policy.order.Step`). Its attribute `place`, if it has one, says where the step
is asked: "access", right after address rules and passwords, or "routes", which is also where it is
without, after REGISTERs were answered and before routes and bindings are looked at.
"""

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final, NamedTuple

from oneproxy.policy.live import Live
from oneproxy.policy.order import Step

GROUP: Final = "oneproxy.steps"
ACCESS: Final = "access"
ROUTES: Final = "routes"


class AddedStep(NamedTuple):
    """A step that somebody added: the name of its entry point, where it is asked, and the step."""

    name: str
    place: str
    step: Step


class StepError(Exception):
    """A step that was installed cannot be used, which the text explains; OneProxy does not run without."""


def added_steps(live: Live, points: Iterable[EntryPoint] | None = None) -> list[AddedStep]:
    """The steps of all that is installed, in the order of their names. Raises StepError."""
    found = entry_points(group=GROUP) if points is None else points
    return [_make(point, live) for point in sorted(found, key=lambda point: (point.name, point.value))]


def _make(point: EntryPoint, live: Live) -> AddedStep:
    try:
        factory: Callable[[Live], Step] = point.load()
        step = factory(live)
    except Exception as error:
        # Whatever it was: calls that a step was to judge are not served without it.
        raise StepError(f"step {point.name} ({point.value}): {type(error).__name__}: {error}") from error
    place = getattr(factory, "place", ROUTES)
    if place not in (ACCESS, ROUTES):
        raise StepError(
            f'step {point.name} ({point.value}): place: found {place!r}; allowed "{ACCESS}" or "{ROUTES}"'
        )
    if not callable(getattr(step, "decide", None)):
        raise StepError(f"step {point.name} ({point.value}): what it makes has no `decide`")
    return AddedStep(point.name, place, step)
