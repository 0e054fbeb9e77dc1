"""What routing asks about the limits of providers, whose calls it chooses the gateways for.

Who keeps the limits is another room: `congestion.providers.ProviderLimits`.
"""

from typing import Protocol

from oneproxy.engine.decisions import Ask, Hold


class ProviderLimits(Protocol):
    """The limits of the providers of a node."""

    def spares(self, ask: Ask) -> bool:
        """Whether a call is never refused for want of room."""
        ...

    def full(self, provider: str, calls_on: int, now: float) -> Hold | None:
        """What has no room for another call of a provider that has so many; None where there is room."""
        ...

    def holds(self, provider: str) -> list[Hold]:
        """What is told that a call of a provider has begun."""
        ...

    def retry_after_s(self) -> int:
        """How long somebody is told to wait for whom no provider has room."""
        ...
