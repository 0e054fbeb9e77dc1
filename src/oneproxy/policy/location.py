"""The step that finds a user of a served domain: proxying or redirecting to the contacts.

403  the Request-URI's domain is not served here: no relaying for everybody
404  nobody of that name; 480  nobody there (RFC 3261 16.5)
302  where the domain redirects (RFC 3261 8.3), with the preference of each contact
"""

from collections.abc import Callable
from typing import Final

from oneproxy.engine.decisions import Ask, Decision, Forward, Reply, Target
from oneproxy.registrar.answer import format_q
from oneproxy.registrar.bindings import Binding
from oneproxy.registrar.location import Location
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import Uri, parse_uri
from oneproxy.site.model import Domain

NOT_SERVED: Final = Reply(403, "Domain Not Served")
NOT_FOUND: Final = Reply(404, "Not Found")
UNAVAILABLE: Final = Reply(480, "Temporarily Unavailable")


class LocationStep:
    """The last step: a request for a user goes to the user's contacts, all at once."""

    __slots__ = ("_domain_of", "_location", "_subscribers")

    def __init__(
        self,
        location: Location,
        domain_of: Callable[[Uri], tuple[Domain, str] | None],
        subscribers: frozenset[str],
    ) -> None:
        self._location = location
        self._domain_of = domain_of
        self._subscribers = subscribers

    def decide(self, ask: Ask) -> Decision:
        """Forward, redirect or refuse; never passes."""
        uri = ask.uri
        served = self._domain_of(uri)
        if served is None:
            # A number without a domain is nobody's user; routes would know where it goes.
            return NOT_FOUND if uri.scheme == "tel" else NOT_SERVED
        domain, aor = served
        bindings = self._location.lookup(aor, ask.now)
        if not bindings:
            return UNAVAILABLE if aor in self._subscribers else NOT_FOUND
        if domain.redirect:
            return _redirect(bindings)
        if uri.scheme == "sips":
            bindings = _only_secure(bindings)
        targets: list[Target] = []
        for binding in bindings:
            contact = binding.contact
            if "?" in contact or ";m" in contact or ";M" in contact or contact[0] in "tT":
                request_uri = as_request_uri(contact)
                if request_uri is None:
                    continue
                contact = request_uri
            targets.append(Target(contact, binding.path))
        return Forward(targets) if targets else UNAVAILABLE


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
