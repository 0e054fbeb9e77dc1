"""The step that finds a user of a served domain: proxying or redirecting to the contacts.

403  the Request-URI's domain is not served here: only who is trusted, or has proved to be a
     subscriber, is relayed there, by its name (RFC 3263)
404  nobody of that name; 480  nobody there (RFC 3261 16.5)
503  the user's contacts are not loaded yet and can't be read
302  where the domain redirects (RFC 3261 8.3), with the preference of each contact

Contacts of one preference are tried at once, those of a lower one when all of these have
failed (RFC 3261 16.6).
"""

from collections.abc import Callable, Container
from typing import Final

from oneproxy.engine.decisions import BEST, PENDING, Ask, Decision, Forward, Reply, Target
from oneproxy.registrar.answer import format_q
from oneproxy.registrar.bindings import Binding
from oneproxy.registrar.location import Location
from oneproxy.registrar.mirror import Mirror
from oneproxy.registrar.reach import FlowOf, is_reachable
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


class LocationStep:
    """The last step: a request for a user goes to the user's contacts."""

    __slots__ = ("_domain_of", "_flow_of", "_location", "_mirror", "_subscribers")

    def __init__(
        self,
        location: Location,
        domain_of: Callable[[Uri], tuple[Domain, str] | None],
        subscribers: Container[str],
        flow_of: FlowOf,
        mirror: Mirror | None = None,
    ) -> None:
        """flow_of: the flow of a name, None where it is closed. mirror: as the registrar has it."""
        self._location = location
        self._domain_of = domain_of
        self._subscribers = subscribers
        self._flow_of = flow_of
        self._mirror = mirror

    def decide(self, ask: Ask) -> Decision:
        """Forward, redirect or refuse; never passes."""
        uri = ask.uri
        served = self._domain_of(uri)
        if served is None:
            # A number without a domain is nobody's user; routes would know where it goes.
            return NOT_FOUND if uri.scheme == "tel" else _relay(ask)
        domain, aor = served
        bindings = self._location.lookup(aor, ask.now)
        if not bindings:
            if not self._location.knows(aor):
                waits = self._mirror is not None and self._mirror.wait(aor, ask, self._decide_late)
                return PENDING if waits else NOT_KNOWN
            return UNAVAILABLE if aor in self._subscribers else NOT_FOUND
        if domain.redirect:
            return _redirect(bindings)
        if uri.scheme == "sips":
            bindings = _only_secure(bindings)
        if not bindings:
            return UNAVAILABLE
        if bindings[0].q == bindings[-1].q:
            # One preference: so it is with nearly everybody, and nothing is remembered.
            targets = find_targets(bindings, self._flow_of, 0.0)
            return Forward(targets) if targets else UNAVAILABLE
        return _Groups(bindings, self._flow_of).decide(ask) or UNAVAILABLE

    def _decide_late(self, ask: Ask, known: bool) -> Decision:
        """Decide on a request that has waited for the contacts of its user."""
        return self.decide(ask) if known else NOT_KNOWN

    def redirected(self, ask: Ask, contacts: list[str]) -> list[Target]:
        """The contacts of the users of served domains that a 3xx names, and of nobody else.

        A callee must not send a call anywhere on our account, and to our own address least.
        """
        targets: list[Target] = []
        for contact in contacts:
            uri = parse_uri(contact)
            served = None if isinstance(uri, Malformed) else self._domain_of(uri)
            if served is not None:
                targets += find_targets(self._location.lookup(served[1], ask.now), self._flow_of, 0.0)
        return targets


class _Groups:
    """The contacts of a user that are left to try, best preference first."""

    __slots__ = ("_flow_of", "_left")

    def __init__(self, bindings: list[Binding], flow_of: FlowOf) -> None:
        self._left = bindings
        self._flow_of = flow_of

    def decide(self, ask: Ask) -> Decision | None:
        """Forward to the contacts of the next preference that can be reached; None without any."""
        if any(outcome.status >= 600 for outcome in ask.outcomes):
            # RFC 3261 16.7 step 5: the user was asked and wants the call nowhere.
            return BEST
        while self._left:
            q = self._left[0].q
            group = [binding for binding in self._left if binding.q == q]
            self._left = self._left[len(group) :]
            targets = find_targets(group, self._flow_of, NO_ANSWER_S if self._left else 0.0)
            if targets:
                ask.step = self
                return Forward(targets)
        return None


def _relay(ask: Ask) -> Decision:
    """To a domain that is not served here, for those who may have it."""
    if not ask.trusted and ask.subscriber is None:
        return NOT_SERVED
    request_uri = as_request_uri(ask.uri.text)
    return NOT_SERVED if request_uri is None else Forward([Target(request_uri)])


def find_targets(bindings: list[Binding], flow_of: FlowOf, no_answer_s: float) -> list[Target]:
    """A target for each of `bindings` that can be reached now.

    no_answer_s: how long each may take to answer; 0: as long as the caller waits.
    """
    targets: list[Target] = []
    for binding in bindings:
        contact = binding.contact
        if "?" in contact or ";m" in contact or ";M" in contact or contact[0] in "tT":
            request_uri = as_request_uri(contact)
            if request_uri is None:
                continue
            contact = request_uri
        flow = None
        if binding.flow:
            flow = flow_of(binding.flow)
            if flow is None and not is_reachable(binding):
                continue
        targets.append(Target(contact, binding.path, flow, no_answer_s=no_answer_s))
    return targets


def as_request_uri(contact: str) -> str | None:
    """A contact as a Request-URI; None for one that requests cannot be sent to.

    RFC 3261 19.1.1, 16.6 step 2: no headers and no method parameter stand in one. A
    number (tel) has no host to send to.
    """
    uri = parse_uri(contact)
    if isinstance(uri, Malformed) or not uri.host:
        return None
    params = {name: value for name, value in uri.params.items() if name != "method"}
    return Uri(uri.scheme, uri.user, uri.password, uri.host, uri.port, params, "", "").format()


def _only_secure(bindings: list[Binding]) -> list[Binding]:
    """RFC 5630 5.3: a SIPS request goes to SIPS contacts only."""
    return [binding for binding in bindings if binding.contact[:5].lower() == "sips:"]


def _redirect(bindings: list[Binding]) -> Reply:
    contacts = [f"Contact: <{binding.contact}>;q={format_q(binding.q)}" for binding in bindings]
    return Reply(302, "Moved Temporarily", tuple(contacts))
