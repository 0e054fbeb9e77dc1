"""The step that finds a user of a served domain: proxying or redirecting to the contacts.

403  the Request-URI's domain is not served here: only who is trusted, or has proved to be a
     subscriber, is relayed there, by its name (RFC 3263)
404  nobody of that name; 480  nobody there (RFC 3261 16.5)
503  the user's contacts are not loaded yet and can't be read
300, 301, 302  where the domain redirects (RFC 3261 8.3), with the preference of each contact

Contacts of one preference are tried at once, those of a lower one when all of these have
failed (RFC 3261 16.6). A GRUU leads to the contacts of one instance (RFC 5627 6.1), a number
to the user whose name or alias it is.
"""

from collections.abc import Container
from typing import Final

from oneproxy.engine.decisions import BEST, PENDING, Ask, Decision, Forward, Reply, Target
from oneproxy.policy.domains import Domains
from oneproxy.policy.targets import as_request_uri, find_targets, only_secure
from oneproxy.registrar.answer import format_q
from oneproxy.registrar.bindings import Binding, is_static
from oneproxy.registrar.gruu import Gruus, of_epoch, of_instance
from oneproxy.registrar.location import Location
from oneproxy.registrar.mirror import Mirror
from oneproxy.registrar.reach import FlowOf, is_reachable
from oneproxy.sip.address import parse_address
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import Uri, parse_uri
from oneproxy.site.model import Domain

NOT_SERVED: Final = Reply(403, "Domain Not Served", cause="not-served")
NOT_FOUND: Final = Reply(404, "Not Found")
UNAVAILABLE: Final = Reply(480, "Temporarily Unavailable")
NOT_KNOWN: Final = Reply(503, "Service Unavailable", ("Retry-After: 5",))

#: How long the contacts of one preference may ring where others wait for their turn: some
#: four rings, so that who carries the second phone gets to it before the caller gives up.
NO_ANSWER_S: Final = 20.0
_REASONS: Final = {300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily"}


class LocationStep:
    """The last step: a request for a user goes to the user's contacts."""

    __slots__ = ("_domains", "_find", "_flow_of", "_gruus", "_location", "_mirror", "_subscribers")

    def __init__(
        self,
        location: Location,
        domains: Domains,
        subscribers: Container[str],
        flow_of: FlowOf,
        gruus: Gruus,
        mirror: Mirror | None = None,
    ) -> None:
        """subscribers: the AoRs of who exists, asked anew each time. flow_of: the flow of a
        name, None where it is closed. mirror: as the registrar has it."""
        self._location = location
        self._domains = domains
        self._find = domains.find
        self._subscribers = subscribers
        self._flow_of = flow_of
        self._gruus = gruus
        self._mirror = mirror

    def decide(self, ask: Ask) -> Decision:
        """Forward, redirect or refuse; never passes."""
        uri = ask.uri
        served = self._find(uri) if uri.host else self._domains.find_number(uri, _caller(ask))
        if served is None:
            # A number that no domain can be told for is nobody's user.
            return NOT_FOUND if uri.scheme == "tel" else _relay(ask)
        domain, aor = served
        if uri.params and "gr" in uri.params:
            aor, bindings, refusal = self._instance(uri, domain, aor, ask.now)
        else:
            bindings = self._bound(domain, aor, ask.now)
            refusal = UNAVAILABLE if aor in self._subscribers else NOT_FOUND
        if not bindings:
            if not self._location.knows(aor):
                waits = self._mirror is not None and self._mirror.wait(aor, ask, self._decide_late)
                return PENDING if waits else NOT_KNOWN
            return refusal
        if uri.scheme == "sips":
            bindings = only_secure(bindings)
            if not bindings:
                return UNAVAILABLE
        if domain.redirect:
            return _redirect(bindings, domain, ask.now)
        recurse = domain.follow_redirects
        if bindings[0].q == bindings[-1].q:
            # One preference: so it is with nearly everybody, and nothing is remembered.
            targets = find_targets(bindings, self._flow_of, 0.0)
            return Forward(targets, recurse) if targets else UNAVAILABLE
        return _Groups(self, domain, aor, bindings).decide(ask) or UNAVAILABLE

    def unwaiting(self) -> "LocationStep":
        """The same step, for people: what is not known yet it is not, and nobody waits for it."""
        return LocationStep(self._location, self._domains, self._subscribers, self._flow_of, self._gruus)

    def _bound(self, domain: Domain, aor: str, now: float) -> list[Binding]:
        """The bindings of `aor` that may be called.

        Where only subscribers register and this is none any more, what was registered is not
        called for as long as it lasts; what people added by hand is, whoever that is for.
        """
        return self.still_called(domain, aor, self._location.lookup(aor, now))

    def still_called(self, domain: Domain, aor: str, bindings: list[Binding]) -> list[Binding]:
        """Those of `bindings`, of `aor`, that may be called as the site is now."""
        if aor in self._subscribers or domain.is_open:
            return bindings
        return [binding for binding in bindings if is_static(binding)]

    def targets_of(self, bindings: list[Binding], no_answer_s: float) -> list[Target]:
        """As `find_targets`, over the flows of this node."""
        return find_targets(bindings, self._flow_of, no_answer_s)

    def _decide_late(self, ask: Ask, known: bool) -> Decision:
        """Decide on a request that has waited for the contacts of its user."""
        return self.decide(ask) if known else NOT_KNOWN

    def redirected(self, ask: Ask, contacts: list[str]) -> list[Target]:
        """Where the contacts of a 3xx lead: to those of the users of served domains.

        Elsewhere for callers alone who may send calls out: a callee must not have anybody's
        call sent anywhere on our account, and to our own address nobody.
        """
        targets: list[Target] = []
        for contact in contacts:
            uri = parse_uri(contact)
            if isinstance(uri, Malformed):
                continue
            if ask.uri.scheme == "sips" and uri.scheme != "sips":
                # RFC 3261 16.5: what is to be secure on the whole way goes on so.
                continue
            served = self._find(uri) if uri.host else self._domains.find_number(uri, _caller(ask))
            if served is not None:
                bindings = self.bindings_of(uri, served, ask.now)
                if uri.scheme == "sips":
                    bindings = only_secure(bindings)
                targets += find_targets(bindings, self._flow_of, 0.0)
            elif (ask.trusted or ask.subscriber is not None) and not self._domains.is_here(uri):
                elsewhere = as_request_uri(contact) if uri.scheme in ("sip", "sips") else None
                targets += [] if elsewhere is None else [Target(elsewhere)]
        return targets

    def placed(self, ask: Ask) -> Decision:
        """Where a GRUU leads, for a request inside of a dialog: as `decide` would have it, but
        redirected nowhere, since whoever sends it is in a call already (RFC 5627 4.4)."""
        uri = ask.uri
        served = self._find(uri)
        if served is None:
            return NOT_FOUND
        aor, bindings, refusal = self._instance(uri, *served, ask.now)
        if not bindings:
            if not self._location.knows(aor):
                waits = self._mirror is not None and self._mirror.wait(aor, ask, self._place_late)
                return PENDING if waits else NOT_KNOWN
            return refusal
        if uri.scheme == "sips":
            bindings = only_secure(bindings)
        targets = find_targets(bindings, self._flow_of, 0.0)
        return Forward(targets) if targets else UNAVAILABLE

    def _place_late(self, ask: Ask, known: bool) -> Decision:
        """Place a request that has waited for the contacts of its user."""
        return self.placed(ask) if known else NOT_KNOWN

    def bindings_of(self, uri: Uri, served: tuple[Domain, str], now: float) -> list[Binding]:
        """The bindings that `uri`, of a served domain and AoR, leads to."""
        domain, aor = served
        if "gr" in uri.params:
            return self._instance(uri, domain, aor, now)[1]
        return self._bound(domain, aor, now)

    def _instance(self, uri: Uri, domain: Domain, aor: str, now: float) -> tuple[str, list[Binding], Reply]:
        """Whose a GRUU is, the bindings that it leads to, and what is answered where there are none.

        RFC 5627 6.1: 404 for what is no GRUU of anybody, 480 for an instance that is not
        registered. A temporary one of a registration that is over is nobody's; so is one that was
        made up, for which nothing has to be loaded: "".
        """
        name = uri.params["gr"]
        if name is None:
            owner = self._gruus.read(uri, domain.name)
            if owner is None:
                return "", [], NOT_FOUND
            bindings = of_epoch(self._bound(domain, owner[0], now), owner[1])
            return owner[0], _newest(bindings), NOT_FOUND
        bindings = self._bound(domain, aor, now)
        is_known = bool(bindings) or aor in self._subscribers
        return aor, _newest(of_instance(bindings, name)), UNAVAILABLE if is_known else NOT_FOUND


class _Groups:
    """The contacts of a user that are left to try, best preference first."""

    __slots__ = ("_aor", "_domain", "_left", "_step")

    def __init__(self, step: LocationStep, domain: Domain, aor: str, bindings: list[Binding]) -> None:
        self._step = step
        self._domain = domain
        self._aor = aor
        self._left = bindings

    def decide(self, ask: Ask) -> Decision | None:
        """Forward to the contacts of the next preference that can be reached; None without any."""
        if any(outcome.status >= 600 for outcome in ask.outcomes):
            # RFC 3261 16.7 step 5: the user was asked and wants the call nowhere.
            return BEST
        if ask.outcomes:
            # Whoever is taken out of the site while his first phones ring has no others either.
            self._left = self._step.still_called(self._domain, self._aor, self._left)
        while self._left:
            q = self._left[0].q
            group = [binding for binding in self._left if binding.q == q]
            phones = {binding.instance for binding in group if binding.reg_id}
            left: list[Binding] = []
            for binding in self._left[len(group) :]:
                # RFC 5626 5.3: who has answered over one flow is not asked over another.
                (group if binding.reg_id and binding.instance in phones else left).append(binding)
            self._left = left
            targets = self._step.targets_of(group, NO_ANSWER_S if left else 0.0)
            if targets:
                ask.step = self
                return Forward(targets, self._domain.follow_redirects)
        return None


def _newest(bindings: list[Binding]) -> list[Binding]:
    """Of one instance: its flows, or else the contact that it registered last (RFC 5627 6.1)."""
    flows = [binding for binding in bindings if binding.reg_id]
    if flows or len(bindings) < 2:
        return flows or bindings
    return [max(bindings, key=_expiry)]


def _relay(ask: Ask) -> Decision:
    """To a domain that is not served here, for those who may have it."""
    if not ask.trusted and ask.subscriber is None:
        return NOT_SERVED
    request_uri = as_request_uri(ask.uri.text)
    return NOT_SERVED if request_uri is None else Forward([Target(request_uri)])


def _expiry(binding: Binding) -> float:
    return binding.expires_at


def _caller(ask: Ask) -> Uri | None:
    """Who calls: the one that was proved, else who the From says."""
    if ask.subscriber is not None:
        uri = parse_uri(f"sip:{ask.subscriber}")
    else:
        address = parse_address(ask.request.get("from") or "")
        uri = address if isinstance(address, Malformed) else parse_uri(address.uri)
    return None if isinstance(uri, Malformed) else uri


def _redirect(bindings: list[Binding], domain: Domain, now: float) -> Reply:
    """RFC 3261 8.3, 21.3: where the user is, how much it likes to be called there, how long yet.

    Without the contacts that only we can reach.
    """
    contacts = [
        f"Contact: <{binding.contact}>;q={format_q(binding.q)};expires={round(binding.expires_at - now)}"
        for binding in bindings
        if not binding.flow or is_reachable(binding)
    ]
    if not contacts:
        return UNAVAILABLE
    return Reply(domain.redirect_status, _REASONS[domain.redirect_status], tuple(contacts))
