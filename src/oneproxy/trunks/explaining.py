"""A call explained to people: which route it takes and why, how it is rewritten, which gateway has it.

Nothing is changed and no call is placed: no gateway has a turn less for it, no random number is
drawn. What is said here is what a call does that is placed at the same time with nothing between.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from oneproxy.sip.message import Request
from oneproxy.trunks import answer
from oneproxy.trunks.call import Call
from oneproxy.trunks.candidate import Candidate, Why
from oneproxy.trunks.gateway import GatewayState
from oneproxy.trunks.health import State
from oneproxy.trunks.identity import Identity
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
    Why.CANARY: "left out: comes back by single calls, and the next one is not due",
}


class Choice(NamedTuple):
    """What one provider was asked for. is_last_resort: gateways that are believed not to work too.

    chosen: the name of its gateway, "" where it has none for the call.
    """

    provider: str
    is_last_resort: bool
    candidates: list[Candidate]
    chosen: str


class Walked(NamedTuple):
    """The beginning of a call's walk: the providers in the order in which they are asked.

    provider, gateway: who has the call, "" for nobody; then `cause` says why, as `answer.Answer` does.
    """

    choices: list[Choice]
    provider: str
    gateway: str
    cause: str


class Explained(NamedTuple):
    """What becomes of a call at routes and trunks.

    plan: the route that counts, None for none. gateway: "provider/gateway", "" where it goes to none.
    uri: the Request-URI that goes there or to the target, "" for none. cause: why no gateway has it.
    """

    steps: list[Step]
    plan: Plan | None = None
    gateway: str = ""
    uri: str = ""
    cause: str = ""


def explain_walk(trunks: Trunks, provider: str, now: float) -> Walked:
    """What `Trunks.walk(provider).begin(now)` gives, and why."""
    choices: list[Choice] = []
    chain = _chain(trunks, provider)
    is_full = False
    for state in chain:
        chosen, candidates = state.explain(now)
        if isinstance(chosen, GatewayState):
            return _taken(choices, state, Choice(state.site.name, False, candidates, chosen.site.name))
        is_full = is_full or chosen is Why.FULL
        choices.append(Choice(state.site.name, False, candidates, ""))
    if is_full:
        return Walked(choices, "", "", answer.FULL)
    for state in chain:
        chosen, candidates = state.explain(now, (), _ANY)
        if isinstance(chosen, GatewayState):
            return _taken(choices, state, Choice(state.site.name, True, candidates, chosen.site.name))
        choices.append(Choice(state.site.name, True, candidates, ""))
    return Walked(choices, "", "", answer.UNHEALTHY if chain else answer.UNKNOWN)


def explain_call(
    routes: Routes,
    trunks: Trunks,
    call: Call,
    request: Request,
    identity: Identity | None,
    side_of: Callable[[str, str], Side],
) -> Explained:
    """What becomes of `call`, step by step.

    request: as it came, and as access and the steps before let it pass. identity: who calls
    (`identity.find_identity`). side_of: gives the side of a provider and gateway, made ready.
    """
    steps = _explain_arrival(call)
    considered = routes.explain(call)
    steps += [(f"route {_quoted(one.key)}", f"not this one: {one.why}") for one in considered if one.why]
    if not considered or considered[-1].why:
        return Explained([*steps, ("route", "none: no route is for this number and this call")])
    plan = considered[-1].plan
    steps.append((f"route {_quoted(plan.key)}", f"counts: {_destination(plan)}"))
    if plan.kind == "provider":
        return _explain_trunks(trunks, call, request, identity, plan, side_of, steps)
    if plan.kind == "target":
        side = Side("", plan.value)
        out = make_outgoing(request, call, plan, side, identity)
        steps += explain_outgoing(request, call, plan, side, identity)
        return Explained(steps, plan, "", "" if out is None else out.uri)
    called = plan.called_number(call.number)
    if called != call.number:
        steps.append(("called, after the route's rewriting", called))
    return Explained(steps, plan)


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


def _explain_trunks(
    trunks: Trunks,
    call: Call,
    request: Request,
    identity: Identity | None,
    plan: Plan,
    side_of: Callable[[str, str], Side],
    steps: list[Step],
) -> Explained:
    """The rest of a call that a provider has."""
    walked = explain_walk(trunks, plan.value, call.now)
    for choice in walked.choices:
        state = trunks.find(choice.provider)
        way = "latency" if state is None else state.site.choice
        resort = ", those that are believed not to work too" if choice.is_last_resort else ""
        steps.append((f"provider {choice.provider}", f"chooses by {way}{resort}"))
        steps += [(f"gateway {choice.provider}/{one.name}", describe(one, way)) for one in choice.candidates]
        if not choice.chosen:
            steps.append((f"provider {choice.provider}", "has no gateway for this call"))
    if not walked.gateway:
        return Explained([*steps, ("choice", f"no gateway: {walked.cause}")], plan, cause=walked.cause)
    gateway = f"{walked.provider}/{walked.gateway}"
    steps.append(("choice", gateway))
    side = side_of(walked.provider, walked.gateway)
    out = make_outgoing(request, call, plan, side, identity)
    steps += explain_outgoing(request, call, plan, side, identity)
    return Explained(steps, plan, gateway, "" if out is None else out.uri)


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


def _taken(choices: list[Choice], state: ProviderState, choice: Choice) -> Walked:
    return Walked([*choices, choice], state.site.name, choice.chosen, "")


def _destination(plan: Plan) -> str:
    kinds = {
        "provider": f"to provider {plan.value}",
        "target": f"to {plan.value}",
        "redirect": f"the caller is sent to {plan.value}",
        "aor": f"to user {plan.value}",
        "domain": f"to the user of {plan.value} with this number",
        "refuse": f"the caller is answered {plan.value}",
    }
    return kinds[plan.kind]


def _quoted(key: str) -> str:
    return f'"{key}"'
