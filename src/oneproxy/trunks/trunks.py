"""All providers of the site, and the calls that they have."""

from collections.abc import Iterable
from random import Random

from oneproxy.site import model
from oneproxy.site.model import Site
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.limits import ProviderLimits
from oneproxy.trunks.provider import ProviderState
from oneproxy.trunks.walk import Walk


class Trunks:
    """The providers by name. Whoever routes a call begins a walk at one of them."""

    __slots__ = ("_all", "_providers", "_random", "limits")

    def __init__(self, site: Site, random: Random) -> None:
        self._random = random
        #: The limits that providers have besides their own; None where nobody keeps any.
        self.limits: ProviderLimits | None = None
        #: Those of the site; and, besides, those that are gone from it but have calls.
        self._providers: dict[str, ProviderState] = {}
        self._all: dict[str, ProviderState] = {}
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

    def walk(self, provider: str, spared: bool = False) -> Walk:
        """A call that this provider shall take, or its fallback. spared: whatever the `limits`."""
        return Walk(self, provider, spared)

    def adopt(self, provider: str, gateway: str, started_at: float) -> Attempt:
        """Count a call again that was answered before this process began.

        It ends by `Attempt.end` like any other. Either of the two may be gone from the site: nobody
        chooses them then, and the call counts should they come back before its end.
        """
        state = self._all.get(provider)
        if state is None:
            state = self._all[provider] = ProviderState(model.Provider(provider), self._random)
            state.leave()
        return state.adopt(gateway, started_at)
