"""All providers of the site, and the calls that they have."""

from collections.abc import Callable, Iterable
from random import Random
from typing import NamedTuple

from oneproxy.site.model import Site
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.provider import ProviderState
from oneproxy.trunks.walk import Walk


class Held(NamedTuple):
    """A call of a gateway, as it is kept for the next start. started_at: seconds since the epoch."""

    provider: str
    gateway: str
    key: str
    started_at: float


class Trunks:
    """The providers by name. Whoever routes a call begins a walk at one of them."""

    __slots__ = ("_adopted", "_all", "_providers", "_random")

    def __init__(self, site: Site, random: Random) -> None:
        self._random = random
        #: Those of the site; and, besides, those that are gone from it but have calls.
        self._providers: dict[str, ProviderState] = {}
        self._all: dict[str, ProviderState] = {}
        #: By key, calls that were on before this process began.
        self._adopted: dict[str, Attempt] = {}
        self.take(site)

    def take(self, site: Site) -> None:
        """The site has changed: choose by this one from now on. Calls count on."""
        known, self._all = self._all, {}
        for name, provider in site.providers.items():
            state = known.pop(name, None)
            if state is None:
                state = ProviderState(provider, self._random)
            elif name not in self._providers or state.site != provider:
                state.take(provider)
            self._all[name] = state
        self._providers = dict(self._all)
        for name, state in known.items():
            state.leave()
            if state.held:
                self._all[name] = state

    def find(self, name: str) -> ProviderState | None:
        """The provider of this name in the site."""
        return self._providers.get(name)

    def providers(self) -> Iterable[ProviderState]:
        """All of the site, for whoever shows them."""
        return self._providers.values()

    def walk(self, provider: str, key: str = "") -> Walk:
        """A call that this provider shall take, or its fallback. key: to find it after a restart."""
        return Walk(self, provider, key)

    # Calls whose end nobody reports.

    def sweep(self, now: float, is_over: Callable[[Attempt], bool]) -> int:
        """End the calls of which whoever follows them knows nothing any more; how many."""
        gone = [one for state in self._all.values() for one in state.held if is_over(one)]
        for attempt in gone:
            attempt.end(now)
            self._adopted.pop(attempt.key, None)
        return len(gone)

    # Calls that outlive the process.

    def held(self) -> list[Held]:
        """Answered calls with a key, to be kept for the next start."""
        return [
            Held(state.site.name, one.gateway.site.name, one.key, one.started_at)
            for state in self._all.values()
            for one in state.held
            if one.is_answered and one.key
        ]

    def adopt(self, calls: Iterable[Held]) -> None:
        """Count these calls again: they went on while this process was away."""
        for call in calls:
            state = self._all.get(call.provider)
            if state is None or call.key in self._adopted:
                continue
            self._adopted[call.key] = state.adopt(call.gateway, call.started_at, call.key)

    def end_adopted(self, now: float, key: str) -> bool:
        """One of them is over; whether there was one."""
        attempt = self._adopted.pop(key, None)
        if attempt is None:
            return False
        attempt.end(now)
        return True
