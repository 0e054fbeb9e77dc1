"""The walk of one call over gateways: the next one where one fails, then the fallback providers.

Each gateway is tried once. Nobody is tried any more after the callee was reached, or after an
answer that is the callee's.

When all that are believed to work have failed, those that were ejected are tried, as long as the
caller has waited no longer than one gateway may be silent: where all fail some calls, some are
ejected by bad luck, and what would lose the call can't make it worse. Where not one gateway is
believed to work, and none is only full, one is tried all the same, even if it is silent to
OPTIONS: it may be we who are wrong.
"""

from typing import TYPE_CHECKING, Final

from oneproxy.engine.decisions import Hold
from oneproxy.trunks import answer
from oneproxy.trunks.answer import Answer, End, answer_of
from oneproxy.trunks.attempt import Attempt
from oneproxy.trunks.candidate import Candidate, Why
from oneproxy.trunks.codes import Verdict
from oneproxy.trunks.gateway import GatewayState
from oneproxy.trunks.health import State
from oneproxy.trunks.provider import ProviderState

if TYPE_CHECKING:
    from oneproxy.trunks.trunks import Trunks

_EJECTED: Final = frozenset((State.EJECTED, State.CANARY))
_ALL: Final = frozenset(State)


class Walk:
    """One call. Its present attempt is told what becomes of it by whoever follows the call."""

    __slots__ = (
        "_began_at",
        "_ends",
        "_is_full",
        "_let_in",
        "_limited",
        "_limits",
        "_provider",
        "_spared",
        "_tried",
        "_trunks",
        "_visited",
        "attempt",
        "holds",
    )

    def __init__(self, trunks: "Trunks", provider: str, spared: bool = False) -> None:
        """provider: the name of the first one. spared: it is let in where `Trunks.limits` are full."""
        self._trunks = trunks
        self._limits = trunks.limits
        self._spared = spared
        #: The providers that have counted it, and what had no room for it in one that was passed over.
        self._let_in: list[ProviderState] = []
        self._limited: Hold | None = None
        #: What counts it at its first provider, once it goes on. At later ones it does by then.
        self.holds: list[Hold] = []
        self._provider = trunks.find(provider)
        self._visited: list[ProviderState] = []
        self._tried: list[GatewayState] = []
        self._ends: list[End] = []
        self._is_full = False
        self._began_at = 0.0
        #: The gateway that has the call; None before `begin`, and at the end.
        self.attempt: Attempt | None = None

    def begin(self, now: float, told: list[Candidate] | None = None) -> Attempt | Answer:
        """The first gateway, or why there is none. told: as for `ProviderState.choose`."""
        self._began_at = now
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
        if attempt.is_reached or attempt.is_answered or verdict is Verdict.FINAL or verdict is Verdict.OURS:
            return answer_of(self._ends)
        return self._next(now, told)

    def won(self, attempt: Attempt, now: float) -> None:
        """A 2xx has come of `attempt`; where that was given up before, it has the call all the same."""
        present = self.attempt
        if present is None or present is attempt or present.is_answered:
            return
        present.end(now)
        self.attempt = attempt.again()

    def end(self, now: float) -> None:
        """The call is over, or its caller gave up."""
        attempt = self.attempt
        if attempt is not None:
            self.attempt = None
            attempt.end(now)

    def _next(self, now: float, told: list[Candidate] | None) -> Attempt | Answer:
        provider = self._provider
        while provider is not None:
            if self._has_room(now, provider):
                chosen = provider.choose(now, self._tried, told)
                if isinstance(chosen, GatewayState):
                    return self._try(now, provider, chosen)
                self._count(provider, chosen)
            provider = self._provider = self._fallback(provider)
        return self._resort(now, told)

    def _try(self, now: float, provider: ProviderState, gateway: GatewayState) -> Attempt:
        if self._limits is not None and provider not in self._let_in:
            self._let_in.append(provider)
            holds = self._limits.holds(provider.site.name)
            if self._tried:
                for hold in holds:
                    hold.begun(now)
            else:
                self.holds = holds
        self._tried.append(gateway)
        self.attempt = provider.begin(now, gateway)
        return self.attempt

    def _has_room(self, now: float, provider: ProviderState) -> bool:
        """Whether the limits of a provider let the call in, be one of its gateways free or not."""
        if self._limits is None or self._spared or provider in self._let_in:
            return True
        full = self._limits.full(provider.site.name, len(provider.held), now)
        if full is None:
            return True
        full.refused(now)
        self._limited = full
        self._count(provider, Why.FULL)
        return False

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

    def _resort(self, now: float, told: list[Candidate] | None) -> Attempt | Answer:
        """Those who are not believed to work, in the order of the providers."""
        also = _EJECTED if self._ends else _ALL
        is_full = self._is_full and not self._ends
        for provider in self._visited if not is_full else ():
            waited_s = now - self._began_at
            if self._ends and waited_s * 1000.0 >= provider.site.try_for_ms:
                break
            if not self._has_room(now, provider):
                continue
            chosen = provider.choose(now, self._tried, told, also)
            if isinstance(chosen, GatewayState):
                provider.panics += 1
                return self._try(now, provider, chosen)
        if self._ends:
            return answer_of(self._ends)
        if is_full and self._limited is not None and self._limits is not None:
            return Answer(503, cause=self._limited.cause, retry_after_s=self._limits.retry_after_s())
        if is_full:
            return Answer(503, cause=answer.FULL, retry_after_s=answer.FULL_S)
        cause = answer.UNHEALTHY if self._visited else answer.UNKNOWN
        return Answer(503, cause=cause, retry_after_s=answer.UNHEALTHY_S)
