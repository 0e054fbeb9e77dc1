"""A call explained to people: which route it takes and why, how it is rewritten, which gateway has it.

Nothing is changed and no call is placed: no gateway has a turn less for it, no random number is
drawn. What is said here is what a call does that is placed at the same time with nothing between.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from oneproxy.engine.decisions import Ask
from oneproxy.sip.message import Request
from oneproxy.site.mistake import without_uri_password
from oneproxy.trunks import answer
from oneproxy.trunks.call import Call
from oneproxy.trunks.candidate import Candidate, Why
from oneproxy.trunks.gateway import GatewayState
from oneproxy.trunks.health import State
from oneproxy.trunks.identity import Identity
from oneproxy.trunks.inbound import may_go_out
from oneproxy.trunks.outgoing import Side, explain_outgoing, make_outgoing
from oneproxy.trunks.provider import ProviderState
from oneproxy.trunks.routes import Plan, Routes
from oneproxy.trunks.trunks import Trunks

#: What was looked at, and what was found there.
Step = tuple[str, str]

_ANY: Final = frozenset(State)

_WHYS: Final[Mapping[Why | None, str]] = {
    Why.CHOSEN: "chosen",
    Why.COSTS_MORE: "another one costs less, or has the turn",
    Why.NOT_DRAWN: "not one of those that were compared",
    Why.TRIED: "had this call already",
    Why.DRAINED: "left out: drained by hand",
    Why.SPARE: "left out: weight 0, and others may take the call",
    Why.FULL: "left out: has all calls of its max_calls",
    Why.PACE: "left out: max_calls_per_s have begun in this second",
    Why.PROVIDER_FULL: "left out: its provider has all calls of its max_calls",
    Why.RESTING: "left out: rests, as the Retry-After of a 503 said",
    Why.EJECTED: "left out: ejected",
    Why.DOWN: "left out: answers no OPTIONS",
    Why.UNREGISTERED: "left out: takes calls of who is registered there, and we are not",
    Why.CANARY: "left out: comes back by single calls, and the next one is not due",
}


class Choice(NamedTuple):
    """What one provider was asked for. is_last_resort: gateways that are believed not to work too.

    chosen: the name of its gateway, "" where it has none for the call. limit: why it was not asked for one.
    """

    provider: str
    is_last_resort: bool
    candidates: list[Candidate]
    chosen: str
    limit: str = ""


class Walked(NamedTuple):
    """The beginning of a call's walk: the providers in the order in which they are asked.

    provider, gateway: who has the call, "" for nobody; then `cause` says why, as `answer.Answer` does.
    """

    choices: list[Choice]
    provider: str
    gateway: str
    cause: str


class Explained(NamedTuple):
    """What becomes of a request at routes and trunks.

    plan: the route that counts, None for none. gateway: "provider/gateway", "" where it goes to none.
    uri: the Request-URI that goes there or to the target, "" for none. status: what the caller is
    answered, 0 where it goes out or on to the next steps. cause: as `Reply.cause`.
    """

    steps: list[Step]
    plan: Plan | None = None
    gateway: str = ""
    uri: str = ""
    status: int = 0
    cause: str = ""


class Router(Protocol):
    """Who routes: `step.TrunkStep`."""

    routes: Routes
    trunks: Trunks

    def side_of(self, provider: str, gateway: GatewayState) -> Side:
        """How a gateway wants its calls."""
        ...

    def target(self, plan: Plan) -> Side:
        """How the target of a route wants its calls."""
        ...

    def lead(self, ask: Ask, call: Call, plan: Plan) -> None:
        """Have the next steps asked for the user that a route is for."""
        ...


def explain_walk(
    trunks: Trunks, provider: str, now: float, is_call: bool = True, spared: bool = False
) -> Walked:
    """What `Trunks.walk(provider, spared).begin(now)` gives, and why.

    is_call: else it is a request for which nobody is tried that is believed not to work, and that is
    under no limit.
    """
    choices: list[Choice] = []
    chain = _chain(trunks, provider)
    is_full = False
    limited = ""
    for state in chain:
        limit = "" if spared or not is_call else _limit_of(trunks, state, now)
        if limit:
            is_full, limited = True, limit
            choices.append(Choice(state.site.name, False, [], "", limit))
            continue
        chosen, candidates = state.explain(now)
        if isinstance(chosen, GatewayState):
            return _taken(choices, state, Choice(state.site.name, False, candidates, chosen.site.name))
        is_full = is_full or chosen is Why.FULL
        choices.append(Choice(state.site.name, False, candidates, ""))
    if not is_call:
        return Walked(choices, "", "", answer.UNHEALTHY)
    if is_full:
        return Walked(choices, "", "", limited or answer.FULL)
    for state in chain:
        chosen, candidates = state.explain(now, (), _ANY)
        if isinstance(chosen, GatewayState):
            return _taken(choices, state, Choice(state.site.name, True, candidates, chosen.site.name))
        choices.append(Choice(state.site.name, True, candidates, ""))
    return Walked(choices, "", "", answer.UNHEALTHY if chain else answer.UNKNOWN)


def explain_call(by: Router, ask: Ask, call: Call, identity: Identity | None) -> Explained:
    """What becomes of `call`, step by step. ask: as the steps before let it pass; identity: who calls."""
    steps = _explain_arrival(call)
    considered = by.routes.explain(call)
    steps += [(f"route {_quoted(one.key)}", f"not this one: {one.why}") for one in considered if one.why]
    if not considered or considered[-1].why:
        return Explained([*steps, ("route", "none is for this number and this call")])
    plan = considered[-1].plan
    steps.append((f"route {_quoted(plan.key)}", f"counts: {_destination(plan)}"))
    match plan.kind:
        case "refuse":
            return Explained(steps, plan, status=int(plan.value), cause="route")
        case "redirect":
            return _explain_redirect(by, call, plan, steps)
        case "aor" | "domain":
            by.lead(ask, call, plan)
            return Explained([*steps, ("looked for", ask.uri.text)], plan)
        case _:
            return _explain_way_out(by, ask, call, identity, plan, steps)


def _explain_way_out(
    by: Router, ask: Ask, call: Call, identity: Identity | None, plan: Plan, steps: list[Step]
) -> Explained:
    """To a provider or a target, for those who may."""
    if not may_go_out(ask):
        out = "not allowed: no password is proved, the source is not trusted and no gateway"
        return Explained([*steps, ("way out", out)], plan, status=403, cause="not-allowed-out")
    if plan.kind == "provider":
        return _explain_trunks(by, ask, call, identity, plan, steps)
    return _explain_out(ask.request, call, plan, by.target(plan), identity, steps)


def describe(candidate: Candidate, choice: str) -> str:
    """One gateway as it stood at a choice. choice: the way, as in the site."""
    said = [_WHYS[candidate.why]]
    if candidate.why is not Why.DRAINED:
        said += [
            f"{_SCORES[choice]} {candidate.score:.6g}",
            f"{candidate.calls} calls",
            f"{candidate.waiting} waiting for a response",
            f"success rate {candidate.success:.1%}",
        ]
    return ", ".join(said)


#: What the score of a candidate is, by the way to choose; the lowest has the call.
_SCORES: Final[Mapping[str, str]] = {
    "latency": "cost",
    "order": "place",
    "weight": "distance from its turn",
    "load": "share of its calls",
}


def _explain_redirect(by: Router, call: Call, plan: Plan, steps: list[Step]) -> Explained:
    called = plan.called_number(call.number)
    uri = by.target(plan).uri_of(called)
    steps.append(("called, after the route's rewriting", called))
    return Explained(
        [*steps, ("Contact", uri or "none: nothing is left of the number")], plan, status=302 if uri else 484
    )


def _explain_trunks(
    by: Router, ask: Ask, call: Call, identity: Identity | None, plan: Plan, steps: list[Step]
) -> Explained:
    """The rest of a request that a provider has."""
    trunks = by.trunks
    spared = trunks.limits is not None and trunks.limits.spares(ask)
    walked = explain_walk(trunks, plan.value, call.now, ask.request.method == "INVITE", spared)
    for choice in walked.choices:
        state = trunks.find(choice.provider)
        way = "latency" if state is None else state.site.choice
        if choice.limit:
            steps.append((f"provider {choice.provider}", f"passed over: {choice.limit}"))
            continue
        resort = ", those that are believed not to work too" if choice.is_last_resort else ""
        steps.append((f"provider {choice.provider}", f"chooses by {way}{resort}"))
        steps += [(f"gateway {choice.provider}/{one.name}", describe(one, way)) for one in choice.candidates]
        if not choice.chosen:
            steps.append((f"provider {choice.provider}", "has no gateway for this call"))
    found = trunks.find(walked.provider)
    gateway = None if found is None else found.find(walked.gateway)
    if gateway is None:
        steps.append(("choice", f"no gateway: {walked.cause}"))
        return Explained(steps, plan, status=503, cause=walked.cause)
    steps.append(("choice", f"{walked.provider}/{walked.gateway}"))
    return _explain_out(ask.request, call, plan, by.side_of(walked.provider, gateway), identity, steps)


def _explain_out(
    request: Request, call: Call, plan: Plan, side: Side, identity: Identity | None, steps: list[Step]
) -> Explained:
    """What goes to a gateway or a target."""
    steps += explain_outgoing(request, call, plan, side, identity)
    out = make_outgoing(request, call, plan, side, identity)
    if out is None:
        return Explained(steps, plan, side.name, status=484)
    return Explained(steps, plan, side.name, out.uri)


def _explain_arrival(call: Call) -> list[Step]:
    """What routes look at."""
    steps = [("number", call.number or "none")]
    steps.append(("caller", call.caller or f"nobody proved, calling {call.calling or 'no number'}"))
    if call.sides:
        steps.append(("comes from", f"gateway {', '.join(sorted(one for one in call.sides if '/' in one))}"))
    return steps


def _chain(trunks: Trunks, name: str) -> list[ProviderState]:
    """A provider and its fallbacks, each once, be there a circle or not."""
    chain: list[ProviderState] = []
    state = trunks.find(name)
    while state is not None and state not in chain:
        chain.append(state)
        state = trunks.find(state.site.fallback) if state.site.fallback else None
    return chain


def _limit_of(trunks: Trunks, state: ProviderState, now: float) -> str:
    """Which limit besides its own a provider has no room in; "" for none."""
    full = None if trunks.limits is None else trunks.limits.full(state.site.name, len(state.held), now)
    return "" if full is None else full.cause


def _taken(choices: list[Choice], state: ProviderState, choice: Choice) -> Walked:
    return Walked([*choices, choice], state.site.name, choice.chosen, "")


def _destination(plan: Plan) -> str:
    value = without_uri_password(plan.value)
    kinds = {
        "provider": f"to provider {value}",
        "target": f"to {value}",
        "redirect": f"the caller is sent to {value}",
        "aor": f"to user {value}",
        "domain": f"to the user of {value} with this number",
        "refuse": f"the caller is answered {value}",
    }
    return kinds[plan.kind]


def _quoted(key: str) -> str:
    return f'"{key}"'
