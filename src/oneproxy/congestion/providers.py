"""The limits of providers, as routing asks for them.

How many calls a provider has at once is for trunk management to know, which counts them over gateways
that fail, and over restarts. So these are counts of what begins, and bounds for what is on.
"""

from oneproxy.congestion.count import Count
from oneproxy.congestion.limits import Limits
from oneproxy.engine.decisions import Ask, Hold


class ProviderLimits:
    """The providers' part of `limits`."""

    __slots__ = ("_limits",)

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def spares(self, ask: Ask) -> bool:
        """Whether a call is never refused for want of room."""
        return self._limits.providers.any and self._limits.spares(ask)

    def full(self, provider: str, calls_on: int, now: float) -> Hold | None:
        """What has no room for another call of a provider that has so many; None where there is room."""
        for count in self._counts(provider):
            count.calls_on = calls_on
            if now < count.full_until(now):
                return count
        return None

    def holds(self, provider: str) -> list[Hold]:
        """What is told that a call of a provider has begun."""
        return [Begun(count) for count in self._counts(provider)]

    def retry_after_s(self) -> int:
        """How long somebody is told to wait for whom no provider has room."""
        return self._limits.retry_after_s()

    def _counts(self, provider: str) -> list[Count]:
        group = self._limits.providers
        if not group.any:
            return []
        count = group.counts.get(provider)
        counts = [] if count is None else [count]
        if group.each is not None:
            # There are as many as the site has providers.
            of_each = group.each.counts.get(provider)
            if of_each is None:
                of_each = group.each.counts[provider] = Count(group.each.bound, provider)
            counts.append(of_each)
        return counts


class Begun:
    """What one call holds of a provider's count: that it began. There was room when it was chosen."""

    __slots__ = ("_count",)

    lasts = False

    def __init__(self, count: Count) -> None:
        self._count = count

    @property
    def key(self) -> str:
        """As of `Count`."""
        return self._count.key

    @property
    def cause(self) -> str:
        """As of `Count`."""
        return self._count.cause

    def full_until(self, _now: float) -> float:
        """It was asked when the provider was chosen, and nothing comes between."""
        return 0.0

    def begun(self, now: float) -> None:
        """A call has begun."""
        self._count.note(now)

    def ended(self, _now: float) -> None:
        """Nobody has to say so."""

    def refused(self, now: float) -> None:
        """As of `Count`."""
        self._count.refused(now)
