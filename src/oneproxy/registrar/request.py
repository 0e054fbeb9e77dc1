"""Reading a REGISTER: what it wants bound to which address-of-record (RFC 3261 10.2, 10.3).

Contacts may be SIP, SIPS and tel URIs. RFC 3261 10.2.1 would let any URI be registered;
nothing here could reach one of another scheme, and a page that lists "mailto:" as a way
to reach somebody through a proxy misleads, so they are refused as a bad Contact.
"""

from typing import Final

from oneproxy.engine.flow import Flow
from oneproxy.registrar.reach import is_at_source, needed_flow, sole_via
from oneproxy.sip.address import Address, parse_address
from oneproxy.sip.fields import option_tags, parse_delta_seconds, parse_q, split_list
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request
from oneproxy.sip.uri import Uri, parse_uri
from oneproxy.site.model import Domain

# What one binding may take, so that a full table has a known size.
MAX_CONTACT: Final = 1024
MAX_CALL_ID: Final = 255
MAX_PATH: Final = 2048
MAX_NAME: Final = 255

#: RFC 3261 20.10: what a malformed time stands for.
FALLBACK_EXPIRES_S: Final = 3600
_FULL: Final = 1000
_SCHEMES: Final = ("sip", "sips", "tel")
_MAX_REG_ID: Final = 2**31 - 1


class Contact:
    """One Contact of a REGISTER. expires_s: its own time, None for that of the request."""

    __slots__ = ("expires_s", "flow", "instance", "q", "reg_id", "uri")

    def __init__(self, uri: Uri, expires_s: int | None, q: int, instance: str, reg_id: int) -> None:
        self.uri = uri
        self.expires_s = expires_s
        #: 0 to 1000.
        self.q = q
        self.instance = instance
        #: 0 where there is none, or none that counts.
        self.reg_id = reg_id
        #: Name of the flow over which it has to be reached; "" by its URI.
        self.flow = ""


class Wanted:
    """A REGISTER, read. No contacts: a query. everything: the contact "*"."""

    __slots__ = (
        "aor",
        "call_id",
        "contacts",
        "cseq",
        "domain",
        "everything",
        "expires_s",
        "gruu",
        "lacks_outbound",
        "outbound",
        "path",
        "shows_path",
        "source",
        "user_agent",
    )

    def __init__(self, aor: str, call_id: str, cseq: int, source: str) -> None:
        self.aor = aor
        self.call_id = call_id
        self.cseq = cseq
        #: Where the request came from: "udp:192.0.2.7:5060".
        self.source = source
        #: That of the AoR, as it was when the request came.
        self.domain: Domain | None = None
        self.contacts: list[Contact] = []
        self.everything = False
        #: The Expires header; None where there is none.
        self.expires_s: int | None = None
        self.path: tuple[str, ...] = ()
        #: RFC 3327 5.3: whether the client wants to see the path in the answer.
        self.shows_path = False
        self.user_agent = ""
        #: RFC 5626 6: whether a contact is bound to its flow by instance and reg-id; and
        #: whether that is wanted but the first proxy on the way did not do its part.
        self.outbound = False
        self.lacks_outbound = False
        #: RFC 5627 5.2: whether the client knows what a GRUU is.
        self.gruu = False


def read_register(request: Request, aor: str, flow: Flow) -> Wanted | Malformed:
    """Read a checked REGISTER for `aor` that came over `flow`.

    Malformed.CONTACT, EXPIRES, CALL_ID or ROUTE for what a 400 has to name; EXPIRES for
    a "*" without "Expires: 0" (RFC 3261 10.2.2, 10.3 step 6).
    """
    if len(request.call_id) > MAX_CALL_ID:
        return Malformed.CALL_ID
    wanted = Wanted(aor, request.call_id, request.cseq, format_source(flow))
    expires = request.get("expires")
    if expires is not None:
        wanted.expires_s = _read_expires(expires)
    wanted.user_agent = (request.get("user-agent") or "")[:MAX_NAME]
    # Once for all contacts: there may be a thousand, and as many tags.
    tags = _tags(request)
    wanted.gruu = "gruu" in tags
    if "path" in request.first:
        wanted.path = tuple(hop for value in request.all("path") for hop in split_list(value))
        if sum(map(len, wanted.path)) > MAX_PATH or not all(map(_is_hop, wanted.path)):
            return Malformed.ROUTE
        wanted.shows_path = "path" in tags
    values = [one for value in request.all("contact") for one in split_list(value)]
    if values == ["*"]:
        wanted.everything = True
        return wanted if expires is not None and parse_delta_seconds(expires) == 0 else Malformed.EXPIRES
    for value in values:
        contact = _read_contact(value)
        if isinstance(contact, Malformed):
            return contact
        wanted.contacts.append(contact)
    if wanted.contacts:
        _bind_to_flow(wanted, request, flow, tags)
    return wanted


def _bind_to_flow(wanted: Wanted, request: Request, flow: Flow, tags: frozenset[str]) -> None:
    """Find how each contact is to be reached (RFC 5626 6)."""
    contacts = wanted.contacts
    is_plain = len(contacts) == 1 and not contacts[0].reg_id and not wanted.path
    if is_plain and is_at_source(contacts[0].uri, request, flow):
        return
    via = None if wanted.path else sole_via(request)
    for contact in contacts:
        if contact.reg_id:
            if not contact.instance or "outbound" not in tags:
                # It counts with an instance only, and for who says what is meant by it.
                contact.reg_id = 0
            elif via is None and not (wanted.path and _has_ob(wanted.path[0])):
                wanted.lacks_outbound = True
            else:
                wanted.outbound = True
        if via is not None:
            contact.flow = needed_flow(contact.uri, via, flow, contact.reg_id > 0)


def _tags(request: Request) -> frozenset[str]:
    """The option tags that the client supports, in lower case."""
    return frozenset(tag.lower() for tag in option_tags(request.all("supported") + request.all("require")))


def _has_ob(hop: str) -> bool:
    """RFC 5626 5.1: whether the first proxy of a Path keeps the flow to the phone."""
    address = parse_address(hop)
    uri = address if isinstance(address, Malformed) else parse_uri(address.uri)
    return not isinstance(uri, Malformed) and "ob" in uri.params


def format_source(flow: Flow) -> str:
    """Where a request came from, as bindings keep it: "udp:192.0.2.7:5060"."""
    host = f"[{flow.host}]" if ":" in flow.host else flow.host
    return f"{flow.listener.transport.lower()}:{host}:{flow.port}"


def _read_expires(value: str) -> int:
    seconds = parse_delta_seconds(value)
    return FALLBACK_EXPIRES_S if seconds is None else seconds


def _read_contact(value: str) -> Contact | Malformed:
    """Read one element of a Contact list; "*" among others is none (RFC 3261 10.2.2)."""
    address = parse_address(value)
    if isinstance(address, Malformed) or len(address.uri) > MAX_CONTACT:
        return Malformed.CONTACT
    uri = parse_uri(address.uri)
    if isinstance(uri, Malformed) or uri.scheme not in _SCHEMES:
        return Malformed.CONTACT
    params = address.params
    if not params:
        return Contact(uri, None, _FULL, "", 0)
    q = params.get("q", "1")
    preference = None if q is None else parse_q(q)
    if preference is None:
        return Malformed.CONTACT
    expires_s = _read_expires(params["expires"] or "") if "expires" in params else None
    instance = params.get("+sip.instance") or ""
    if len(instance) > MAX_NAME:
        return Malformed.CONTACT
    return Contact(uri, expires_s, preference, instance, _read_reg_id(address))


def _read_reg_id(address: Address) -> int:
    """RFC 5626 4.2: 1 to 2**31 - 1; 0 stands for none, also where it makes no sense."""
    number = parse_delta_seconds(address.params.get("reg-id") or "")
    return number if number is not None and number <= _MAX_REG_ID else 0


def _is_hop(value: str) -> bool:
    """Whether `value` can stand in a Route: a SIP URI in brackets (RFC 3327 4)."""
    address = parse_address(value)
    if isinstance(address, Malformed) or "<" not in value:
        return False
    uri = parse_uri(address.uri)
    return not isinstance(uri, Malformed) and uri.scheme in ("sip", "sips")
