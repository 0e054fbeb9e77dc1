"""The steps that hold the limits of domains, sources and callers: the first behind access control, which
says who calls, the second behind routing, which may lead to a user of another domain.

A call that there is room for is given what it is counted by (`Ask.holds`): it counts when it goes on to
somebody, and the engine tells the end of it. One that there is none for is answered 503 statelessly.
"""

from collections.abc import Iterable
from typing import Protocol

from oneproxy.congestion.count import Count
from oneproxy.congestion.limits import Limits
from oneproxy.congestion.table import Share
from oneproxy.engine.decisions import Ask, Decision, Hold
from oneproxy.sip.uri import Uri
from oneproxy.site.model import Site

#: Each limit with what was found there, and the code of the one that refuses the call, "" for none.
Explained = tuple[list[tuple[str, str]], str]


class Parties(Protocol):
    """Who calls whom: `policy.parties.Parties`."""

    def caller(self, ask: Ask) -> tuple[str, str]:
        """The AoR of the caller who is believed to be that, and the served domain he is of; "" for none."""
        ...

    def called(self, ask: Ask) -> str:
        """The served domain of whom a call is for; "" for none."""
        ...


class LimitStep:
    """Refuses calls for which there is no room by who makes them, or for which domain."""

    __slots__ = ("limits", "parties", "seen")

    def __init__(self, limits: Limits, parties: Parties) -> None:
        self.limits = limits
        self.parties = parties
        #: Whom the last call was for that was looked at: no other one comes between two steps.
        self.seen: Uri | None = None

    def take(self, site: Site) -> None:
        """The site has changed: decide by this one from now on. Calls that have begun count."""
        self.limits.take(site.congestion)

    def decide(self, ask: Ask) -> Decision | None:
        """Refuse, or pass with what the call is counted by."""
        limits = self.limits
        if not limits.any or ask.inside or ask.request.method != "INVITE":
            return None
        ask.holds = holds = self.holds(ask)
        ask.lasts = limits.lasts
        return self.refuse(ask, holds)

    def holds(self, ask: Ask) -> list[Hold]:
        """What a call is counted by, as far as is known before it is routed."""
        limits = self.limits
        holds: list[Hold] = []
        self.seen = ask.uri
        if limits.needs_caller:
            caller, domain = self.parties.caller(ask)
            if caller and limits.callers.any:
                limits.callers.add(caller, holds)
            domains = limits.domains
            if domains.any:
                called = self.parties.called(ask)
                if domain:
                    domains.add(domain, holds)
                if called and called != domain:
                    domains.add(called, holds)
        if limits.sources.any:
            # The gate has let it in by these already. They are looked at once more when it goes on.
            limits.sources.add(ask.flow.host, holds)
        return holds

    def led(self, ask: Ask, holds: Iterable[Hold]) -> list[Hold]:
        """What a call is counted by besides, that a route leads to somebody else."""
        domains = self.limits.domains
        more: list[Hold] = []
        if domains.any and ask.uri is not self.seen:
            called = self.parties.called(ask)
            if called:
                domains.add(called, more)
        known = {_identity(hold) for hold in holds} if more else ()
        return [hold for hold in more if _identity(hold) not in known]

    def explain(self, ask: Ask) -> Explained:
        """What `decide` would say, and how full each limit is. ask: made to be explained; nothing counts."""
        if not self.limits.any or ask.request.method != "INVITE":
            return [], ""
        ask.holds = holds = self.holds(ask)
        return _explain(self.limits, ask, holds)

    def explain_led(self, ask: Ask) -> Explained:
        """The same of the domain that a route has led to."""
        if ask.request.method != "INVITE":
            return [], ""
        return _explain(self.limits, ask, self.led(ask, ask.holds))

    def refuse(self, ask: Ask, holds: Iterable[Hold]) -> Decision | None:
        """The refusal where one of them has no room for it."""
        now = ask.now
        for hold in holds:
            if now < hold.full_until(now):
                return None if self.limits.spares(ask) else self.limits.reply(now, hold)
        return None


class LedStep:
    """The same for the domain of the user that a route has led to."""

    __slots__ = ("_first",)

    def __init__(self, first: LimitStep) -> None:
        self._first = first

    def decide(self, ask: Ask) -> Decision | None:
        """Refuse, or pass with what the call is counted by."""
        first = self._first
        if not first.limits.domains.any or ask.uri is first.seen or ask.inside:
            return None
        if ask.request.method != "INVITE":
            return None
        more = first.led(ask, ask.holds)
        ask.holds = [*ask.holds, *more]
        return first.refuse(ask, more)


def _explain(limits: Limits, ask: Ask, holds: list[Hold]) -> Explained:
    steps = [_describe(hold, ask.now) for hold in holds]
    full = next((hold.cause for hold in holds if ask.now < hold.full_until(ask.now)), "")
    if full and limits.spares(ask):
        return [*steps, ("limits", f"it is urgent, and so not refused for {full}")], ""
    return steps, full


def _describe(hold: Hold, now: float) -> tuple[str, str]:
    """One limit that a call is under: which, and how full it is."""
    found: Count | None
    if isinstance(hold, Share):
        bound, found = hold.table.bound, hold.table.counts.get(hold.of)
        whose = f" of {hold.of}"
    else:
        assert isinstance(hold, Count)
        bound, found, whose = hold.bound, hold, ""
    said = []
    if bound.calls:
        within = 0 if found is None else found.within(now)
        said.append(f"{within} of {bound.calls} calls in {bound.period_s:g} s")
    if bound.max_calls:
        calls_on = 0 if found is None else found.calls_on
        said.append(f"{calls_on} of {bound.max_calls} calls at once")
    return f"limit {bound.name}", f"{', '.join(said)}{whose}"


def _identity(hold: Hold) -> tuple[int, str]:
    """What two holds of one count have in common."""
    if isinstance(hold, Share):
        return id(hold.table), hold.of
    return id(hold), ""
