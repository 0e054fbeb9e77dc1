"""The walk of one call over gateways: the next one where one fails, then the fallback providers.

Each gateway is tried once. Nobody is tried any more after the callee was reached, or after an
answer that is the callee's. Where not one gateway of the whole chain may be tried, for health and
not for want of room, one of those that are believed not to work is: nothing is lost by it, and
it may be we who are wrong.
"""

from typing import TYPE_CHECKING

from oneproxy.trunks import answer
from oneproxy.trunks.answer import Answer, End, answer_of
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.candidate import Candidate, Why
from oneproxy.trunks.codes import Verdict
from oneproxy.trunks.gateway import GatewayState
from oneproxy.trunks.provider import ProviderState

if TYPE_CHECKING:
    from oneproxy.trunks.trunks import Trunks


class Walk:
    """One call. Its present attempt is told what becomes of it by whoever follows the call."""

    __slots__ = ("_ends", "_is_full", "_key", "_provider", "_tried", "_trunks", "_visited", "attempt")

    def __init__(self, trunks: "Trunks", provider: str, key: str = "") -> None:
        """provider: the name of the first one. key: as for `Attempt`."""
        self._trunks = trunks
        self._provider = trunks.find(provider)
        self._visited: list[ProviderState] = []
        self._tried: list[GatewayState] = []
        self._ends: list[End] = []
        self._is_full = False
        self._key = key
        #: The gateway that has the call; None before `begin`, and at the end.
        self.attempt: Attempt | None = None

    def begin(self, now: float, told: list[Candidate] | None = None) -> Attempt | Answer:
        """The first gateway, or why there is none. told: as for `ProviderState.choose`."""
        return self._next(now, told)

    def failed(
        self,
        now: float,
        status: int,
        error: str | None = None,
        retry_after_s: int = 0,
        responded_at: float = 0.0,
        told: list[Candidate] | None = None,
    ) -> Attempt | Answer:
        """The present attempt has failed: the next one, or the final answer.

        The arguments are those of `Attempt.failed`. 487 where the call was ended before.
        """
        attempt = self.attempt
        if attempt is None:
            return Answer(487)
        self.attempt = None
        verdict = attempt.failed(now, status, error, retry_after_s, responded_at)
        self._ends.append(End(status, error, verdict))
        is_last = attempt.is_reached or attempt.is_answered or attempt.is_panic
        if is_last or verdict is Verdict.FINAL or verdict is Verdict.OURS:
            return answer_of(self._ends)
        return self._next(now, told)

    def end(self, now: float) -> None:
        """The call is over, or its caller gave up."""
        attempt = self.attempt
        if attempt is not None:
            self.attempt = None
            attempt.end(now)

    def _next(self, now: float, told: list[Candidate] | None) -> Attempt | Answer:
        provider = self._provider
        while provider is not None:
            chosen = provider.choose(now, self._tried, told)
            if isinstance(chosen, GatewayState):
                return self._try(now, provider, chosen)
            self._count(provider, chosen)
            provider = self._provider = self._fallback(provider)
        if self._ends:
            return answer_of(self._ends)
        if self._is_full:
            return Answer(503, cause=answer.FULL, retry_after_s=answer.FULL_S)
        return self._panic(now, told)

    def _try(self, now: float, provider: ProviderState, gateway: GatewayState) -> Attempt:
        self._tried.append(gateway)
        self.attempt = provider.begin(now, gateway, self._key)
        return self.attempt

    def _count(self, provider: ProviderState, why: Why) -> None:
        if why is Why.FULL:
            provider.full += 1
            self._is_full = True
        elif why is Why.DOWN:
            provider.unhealthy += 1

    def _fallback(self, provider: ProviderState) -> ProviderState | None:
        """The provider after this one; None at the end.

        No circle is in a site that was checked; one that somebody wrote into the database by
        hand must not keep a node here for ever.
        """
        self._visited.append(provider)
        name = provider.site.fallback
        following = self._trunks.find(name) if name else None
        return None if following in self._visited else following

    def _panic(self, now: float, told: list[Candidate] | None) -> Attempt | Answer:
        for provider in self._visited:
            chosen = provider.choose(now, (), told, is_panic=True)
            if isinstance(chosen, GatewayState):
                provider.panics += 1
                attempt = self._try(now, provider, chosen)
                attempt.is_panic = True
                return attempt
        if not self._visited:
            return Answer(503, cause=answer.UNKNOWN, retry_after_s=answer.UNHEALTHY_S)
        return Answer(503, cause=answer.UNHEALTHY, retry_after_s=answer.UNHEALTHY_S)
