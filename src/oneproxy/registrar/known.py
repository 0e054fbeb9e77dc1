"""Whether a REGISTER keeps up a binding that is there: such ones are refused last when there is no time."""

from collections.abc import Callable

from oneproxy.registrar.location import Location
from oneproxy.sip.message import Request
from oneproxy.sip.read import address_uri
from oneproxy.sip.uri import Uri
from oneproxy.site.model import Domain


def keeps_up(
    request: Request, now: float, find: Callable[[Uri], tuple[Domain, str] | None], location: Location
) -> bool:
    """Whether one of the bindings of its AoR is of this Call-ID, or of its contact.

    RFC 3261 10.2: a phone's REGISTERs have one Call-ID for as long as it runs. Where the bindings
    have not been loaded yet it may be so, and nobody is asked. find: as `Domains.find`.
    """
    uri = address_uri(request, "to")
    if uri is None:
        return False
    found = find(uri)
    if found is None:
        return False
    aor = found[1]
    if not location.knows(aor):
        return True
    call_id, contacts = request.get("call-id"), request.get("contact") or ""
    return any(one.call_id == call_id or one.contact in contacts for one in location.lookup(aor, now))
