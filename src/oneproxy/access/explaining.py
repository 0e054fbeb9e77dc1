"""What access does with a request, explained to people: address rule, bans, whose password is asked for.

It is what `Access.decide` would say if whoever the From names answered with the right password. It
is asked in another way, so that nothing is counted and no nonce made.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from oneproxy.access import causes
from oneproxy.access.bans import Ban
from oneproxy.access.guard import Guard
from oneproxy.access.owners import Owners
from oneproxy.access.rules import DENY, TRUST, Rules
from oneproxy.access.sources import shut_key, source_of
from oneproxy.access.verify import CALLERS, PROVED, Domains, Realm, Verifier
from oneproxy.engine.decisions import Ask
from oneproxy.engine.flow import Flow
from oneproxy.sip.read import address_uri

#: What was looked at, and what was found there.
Step = tuple[str, str]


class Told(NamedTuple):
    """cause: why the request is refused, "" for one that is let in, with what its ask says then."""

    steps: list[Step]
    cause: str = ""


class Parts(NamedTuple):
    """What access decides by."""

    rules: Rules
    guard: Guard
    domains: Domains
    owners: Owners
    verifier: Verifier
    realms: Mapping[str, Realm]
    #: Those that some domain asks a password for.
    methods: frozenset[str]
    #: Which gateway sends from where a flow leads.
    neighbour: Callable[[Flow], object | None]


def explain_screen(parts: Parts, ask: Ask) -> Told:
    """Address rules and flood guard alone."""
    ask.screened = True
    flow = ask.flow
    ask.peer = parts.neighbour(flow)
    rule, action = parts.rules.explain(flow.host, flow.client_names, ask.request.method)
    steps = [("address rule", f"{rule}: {action}" if rule else "none fits, which allows")]
    if action == TRUST:
        ask.trusted = True
        return Told([*steps, ("access", "trusted: no password is asked for")])
    if action == DENY:
        return _refused(steps, causes.ADDRESS_DENIED)
    if ask.peer is not None:
        return Told([*steps, ("source", "a gateway, which is never banned")])
    guard = parts.guard
    ban = guard.bans.find(source_of(flow.host), ask.now)
    steps.append(("source", "not banned" if ban is None else _describe(ban, _is_shut(guard, ban))))
    cause = guard.foresee(flow.host, ask.now)
    return _refused(steps, cause) if cause else Told(steps)


def explain_access(parts: Parts, ask: Ask) -> Told:
    """All of access; `ask.subscriber` and `ask.trusted` become what they would be."""
    steps: list[Step] = []
    if not ask.screened:
        steps, cause = explain_screen(parts, ask)
        if cause:
            return Told(steps, cause)
    if ask.trusted:
        return Told(steps)
    request, domains = ask.request, parts.domains
    if ask.peer is not None and request.method != "REGISTER":
        return _without(steps, "a gateway needs none, and gets out by routes for its calls alone")
    served = domains.find(ask.uri)
    if request.method == "REGISTER" and served is not None:
        return _explain_registrant(parts, ask, parts.realms[served[0].name], steps)
    is_elsewhere = served is None and ask.uri.scheme != "tel" and not domains.is_node(ask.uri)
    if not is_elsewhere and request.method not in parts.methods:
        return _without(steps, f"no domain asks for one for {request.method}")
    uri = address_uri(request, "from")
    if uri is None or uri.scheme not in CALLERS:
        return _refused([*steps, ("From", "nobody who can be read")], causes.BAD_FROM)
    claimed = domains.claimed(uri)
    if claimed is None:
        return _without(steps, f"{uri.text} is of no domain here, and may call its users only")
    domain, aor = claimed
    steps.append(("From", f"{aor}, of the domain {domain.name}"))
    if request.method not in domain.authenticate and not is_elsewhere:
        return _without(steps, f"{domain.name} asks for none for {request.method}")
    why = f"for {request.method}" if request.method in domain.authenticate else "of who calls elsewhere"
    steps.append(("password", f"asked for (407) by {domain.name}, {why}"))
    return _explain_account(parts, ask, parts.realms[domain.name], aor, [aor], steps)


def _explain_registrant(parts: Parts, ask: Ask, realm: Realm, steps: list[Step]) -> Told:
    """A REGISTER for a served domain."""
    if realm.domain.is_open:
        return _without(steps, f"{realm.name} asks for none for REGISTER")
    steps.append(("password", f"asked for (401) by {realm.name}, for REGISTER"))
    used: list[str] = []
    for field in ("from", "to"):
        uri = address_uri(ask.request, field)
        claimed = None if uri is None else parts.domains.claimed(uri)
        used.append("" if claimed is None else claimed[1])
    # From registers, mostly for itself; who is of another domain has no password here.
    registrant = next((one for one in used if one.rpartition("@")[2] == realm.name), "")
    return _explain_account(parts, ask, realm, registrant, used, steps)


def _explain_account(
    parts: Parts, ask: Ask, realm: Realm, aor: str, used: list[str], steps: list[Step]
) -> Told:
    """The account `aor`, which answers the challenge. used: the AoRs that the request claims to be."""
    cause = parts.verifier.foresee(aor, realm, ask.flow.host, ask.now)
    if cause == causes.UNKNOWN_USER:
        found = f"{aor or 'nobody'} is no subscriber of {realm.name}; who has it in `may_use` may be it"
        return _refused([*steps, ("account", found)], cause)
    ban = parts.guard.bans.find(aor, ask.now)
    steps.append(("account", f"{aor}, not banned" if ban is None else _describe(ban, False)))
    if cause != PROVED:
        return _refused(steps, cause)
    foreign = [one for one in used if not one or not parts.owners.may_use(aor, one)]
    if foreign:
        return _refused(
            [*steps, ("account", f"may not be {foreign[0] or 'who is not here'}")], causes.OTHER_USER
        )
    cause = parts.guard.foresee_account(aor, ask.now)
    if cause:
        return _refused(steps, cause)
    ask.subscriber = aor
    return Told([*steps, ("access", f"let in as {aor}, if the password is right")])


def _without(steps: list[Step], why: str) -> Told:
    """Let in, and nobody knows who it is."""
    return Told([*steps, ("password", f"not asked for: {why}"), ("access", "let in")])


def _refused(steps: list[Step], cause: str) -> Told:
    return Told([*steps, ("access", f"refused: {cause}")], cause)


def _describe(ban: Ban, is_shut: bool) -> str:
    until = datetime.fromtimestamp(ban.until, UTC).strftime("%Y-%m-%d %H:%M:%S")
    heard = "; nothing is read of it, and nothing answered" if is_shut else ""
    return f"{ban.name}, banned until {until} UTC for {ban.why}{heard}"


def _is_shut(guard: Guard, ban: Ban) -> bool:
    return shut_key(ban.name) in guard.bans.shut
