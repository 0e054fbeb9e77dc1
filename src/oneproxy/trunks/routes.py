"""From a number to a route: the longest prefix whose conditions hold, then order.

The site has routes by the key of their entries: "+351", and "+351 2", "+351 3" for others of that
prefix (`site.entries`). So the beginnings of a number are looked up themselves, the longest first:
no more steps than the number has digits, be there ten routes or a hundred thousand, and nothing has
to be made of all of them when the site changes. What a route's texts mean is made out when a call
first gets to it.
"""

from collections.abc import Iterator, Mapping, Set
from typing import Final

from oneproxy.site.entries import route_key
from oneproxy.site.model import Route, Site
from oneproxy.site.routing_texts import LONGEST_PREFIX
from oneproxy.trunks.call import Call
from oneproxy.trunks.conditions import Condition, OnWire, conditions_of
from oneproxy.trunks.header_rules import make_rules
from oneproxy.trunks.minutes import Minutes
from oneproxy.trunks.rewriting import make_rewriter

#: Every length that a prefix may have.
ALL: Final = frozenset(range(LONGEST_PREFIX + 1))
#: Plans of routes that are gone are kept until there are so many more than routes.
_SPARE: Final = 1_000


class Plan:
    """A route made ready.

    key: of its entry, by which people know it. kind: which destination it has ("provider",
    "target", "redirect", "aor", "domain" or "refuse"), value: that, a status in digits.
    """

    __slots__ = ("called", "calling", "conditions", "key", "kind", "route", "rules", "value")

    def __init__(self, key: str, route: Route, conditions: tuple[Condition, ...]) -> None:
        self.key = key
        self.route = route
        self.conditions = conditions
        self.kind, self.value = _destination(route)
        self.called = make_rewriter(route)
        self.calling = make_rewriter(route.calling)
        self.rules = make_rules(route.add, route.remove)

    def fits(self, call: Call) -> bool:
        """Whether it is for this call, whose number has its prefix."""
        # all() would make a generator for each call, which costs more than what most routes ask.
        for condition in self.conditions:  # noqa: SIM110
            if not condition.holds(call):
                return False
        return True

    def called_number(self, number: str) -> str:
        """The number called, after the route's rewriting."""
        return number if self.called is None else self.called.apply(number)

    def calling_number(self, number: str) -> str:
        """The caller's, likewise."""
        return number if self.calling is None else self.calling.apply(number)


class Considered:
    """One route that was looked at for a call. why: "" for the one that counts."""

    __slots__ = ("key", "plan", "why")

    def __init__(self, plan: Plan, why: str) -> None:
        self.key = plan.key
        self.plan = plan
        self.why = why


class Routes:
    """The routes of a node."""

    __slots__ = ("_lengths", "_minutes", "_on_wire", "_plans", "_routes")

    def __init__(self, routes: Mapping[str, Route], on_wire: OnWire = str, lengths: Set[int] = ALL) -> None:
        """routes: by key. lengths: no prefix has another one, which saves half of the steps. Both are
        looked at anew each time. on_wire: gives an AoR of the site the form in which requests name it.
        """
        self._routes = routes
        self._lengths = lengths
        self._on_wire = on_wire
        self._minutes = Minutes()
        self._plans: dict[str, Plan] = {}

    def take(self, site: Site) -> None:
        """The site has changed: decide by this one from now on."""
        if site.routes is not self._routes:
            # Another mapping than the one that is changed in place: nobody tells its lengths.
            self._routes, self._lengths = site.routes, ALL
        if len(self._plans) > len(site.routes) + _SPARE:
            self._plans = {}

    def find(self, call: Call) -> Plan | None:
        """The route of a call, or None."""
        routes, lengths = self._routes, self._lengths
        number = _looked_up(call.number)
        for length in range(len(number), -1, -1):
            if length not in lengths:
                continue
            prefix = number[:length]
            route = routes.get(prefix)
            if route is None:
                continue
            plan = self._plan(prefix, route)
            if plan.fits(call):
                return plan
            for plan in self._others(prefix):
                if plan.fits(call):
                    return plan
        return None

    def explain(self, call: Call) -> list[Considered]:
        """Every route that `find` looks at, in its order, the last one being the one found, if any is."""
        considered: list[Considered] = []
        number = _looked_up(call.number)
        for length in range(len(number), -1, -1):
            prefix = number[:length]
            route = self._routes.get(prefix)
            for plan in [] if route is None else [self._plan(prefix, route), *self._others(prefix)]:
                failed = next((one for one in plan.conditions if not one.holds(call)), None)
                considered.append(Considered(plan, "" if failed is None else _why(failed, call)))
                if failed is None:
                    return considered
        return considered

    def _others(self, prefix: str) -> Iterator[Plan]:
        """The routes of a prefix from the second one on."""
        place = 2
        while True:
            key = route_key(prefix, place)
            route = self._routes.get(key)
            if route is None:
                return
            yield self._plan(key, route)
            place += 1

    def _plan(self, key: str, route: Route) -> Plan:
        plan = self._plans.get(key)
        if plan is None or plan.route is not route:
            plan = self._plans[key] = Plan(key, route, conditions_of(route, self._minutes, self._on_wire))
        return plan


def _looked_up(number: str) -> str:
    """What of a number prefixes are looked for in.

    A space would make it the key of a second route; no prefix has one (`site.routing_texts`).
    """
    if " " in number:
        number = number.partition(" ")[0]
    return number[:LONGEST_PREFIX]


def _why(condition: Condition, call: Call) -> str:
    return f"{condition.name}: {condition.found(call)}"


def _destination(route: Route) -> tuple[str, str]:
    if route.provider:
        return "provider", route.provider
    if route.target:
        return "target", route.target
    if route.redirect:
        return "redirect", route.redirect
    if route.aor:
        return "aor", route.aor
    if route.domain:
        return "domain", route.domain
    return "refuse", str(route.refuse)
