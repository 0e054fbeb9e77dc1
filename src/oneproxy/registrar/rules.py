"""What a REGISTER does to the bindings of an address-of-record (RFC 3261 10.3, steps 6 to 8).

Pure: bindings, request and time go in, a change or a refusal comes out. All contacts
of a request are carried out or none is (10.3 step 7).
"""

from collections.abc import Callable, Sequence
from typing import Final

from oneproxy.registrar.bindings import Binding, Change
from oneproxy.registrar.request import Contact, Wanted
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import Uri, parse_uri, same_uri
from oneproxy.site.model import Domain


class Refusal:
    """The final response to a REGISTER that changes nothing. headers: whole lines."""

    __slots__ = ("headers", "reason", "status")

    def __init__(self, status: int, reason: str, headers: tuple[str, ...] = ()) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers


OUT_OF_ORDER: Final = Refusal(500, "Out of Order")
TOO_MANY: Final = Refusal(403, "Too Many Contacts")
#: RFC 5626 6 and 11.6: the client may try again without reg-id.
LACKS_OUTBOUND: Final = Refusal(439, "First Hop Lacks Outbound Support")
#: RFC 5626 6: a REGISTER binds one contact to the one flow that it came on.
ONE_FLOW: Final = Refusal(400, "One Contact for a Flow")


def register(
    stored: Sequence[Binding],
    wanted: Wanted,
    now: float,
    limits: Domain,
    is_gone: Callable[[Binding], bool] | None = None,
) -> Change | Refusal:
    """The change that `wanted` makes to the bindings `stored` of its AoR.

    now: when the request came, seconds since the epoch. limits: the domain of the AoR.
    is_gone: whether a contact can't be reached any more, though its time is not over.
    The change is empty for a query, and where what should go is already gone.
    Refusals: 423 for too short a time, 500 for a request that was overtaken by a later
    one of the same Call-ID, 403 for more contacts than the domain allows, 439 and 400 for
    a flow that cannot be bound (RFC 5626).
    """
    if wanted.lacks_outbound:
        return LACKS_OUTBOUND
    live = [binding for binding in stored if binding.expires_at > now]
    if wanted.everything:
        if any(_overtaken(binding, wanted) for binding in live):
            return OUT_OF_ORDER
        return Change(wanted.aor, tuple(binding.contact for binding in stored), ())
    if not wanted.contacts:
        return Change(wanted.aor, (), ())
    # Every contact is compared with every binding: the product is bounded here.
    if len(wanted.contacts) > 2 * limits.max_contacts:
        return TOO_MANY
    if wanted.outbound and sum(lasting_s(contact, wanted, limits) > 0 for contact in wanted.contacts) > 1:
        return ONE_FLOW
    written: dict[str, Binding] = {}
    left = live
    for contact in wanted.contacts:
        expires_s = lasting_s(contact, wanted, limits)
        if 0 < expires_s < limits.min_expires_s:
            return Refusal(423, "Interval Too Brief", (f"Min-Expires: {limits.min_expires_s}",))
        since = now
        kept: list[Binding] = []
        for binding in left:
            if not _is_at(binding, contact):
                kept.append(binding)
                continue
            if written.pop(binding.contact, None) is None and _overtaken(binding, wanted):
                return OUT_OF_ORDER
            since = min(since, binding.since)
        left = kept
        if expires_s:
            binding = _bind(contact, wanted, now, expires_s, since)
            written[binding.contact] = binding
            left.append(binding)
    if len(left) > limits.max_contacts and len(left) > len(live):
        # A page in a browser that is loaded again is a new contact, and the one before never
        # says that it is gone: such contacts make room.
        if is_gone is not None:
            left = [binding for binding in left if binding.contact in written or not is_gone(binding)]
        if len(left) > limits.max_contacts:
            return TOO_MANY
    staying = {binding.contact for binding in left}
    removed = tuple(binding.contact for binding in stored if binding.contact not in staying)
    return Change(wanted.aor, removed, tuple(written.values()))


def apply_change(stored: Sequence[Binding], change: Change) -> list[Binding]:
    """The bindings after `change`: those untouched first, in their order."""
    touched = set(change.removed)
    touched.update(binding.contact for binding in change.stored)
    return [binding for binding in stored if binding.contact not in touched] + list(change.stored)


def lasting_s(contact: Contact, wanted: Wanted, limits: Domain) -> int:
    """Seconds that the binding shall last; 0 takes it away (RFC 3261 10.3 step 7).

    The contact's own time counts before that of the request; without either the domain's
    longest is given, and never more than that (step 7: the registrar may shorten).
    """
    asked_s = contact.expires_s if contact.expires_s is not None else wanted.expires_s
    return limits.max_expires_s if asked_s is None else min(asked_s, limits.max_expires_s)


def _overtaken(binding: Binding, wanted: Wanted) -> bool:
    """Whether a later REGISTER than `wanted` wrote `binding` (RFC 3261 10.3 step 7)."""
    return binding.call_id == wanted.call_id and wanted.cseq <= binding.cseq


def _is_at(binding: Binding, contact: Contact) -> bool:
    """Whether `binding` is that of `contact`.

    By the comparison of URIs (RFC 3261 19.1.4), or because it is of the same flow of the
    same phone, which may have got another address meanwhile (RFC 5626 6).
    """
    if binding.contact == contact.uri.text:
        return True
    if contact.reg_id and binding.reg_id == contact.reg_id and binding.instance == contact.instance:
        return True
    bound: Uri | Malformed = parse_uri(binding.contact)
    return not isinstance(bound, Malformed) and same_uri(bound, contact.uri)


def _bind(contact: Contact, wanted: Wanted, now: float, expires_s: int, since: float) -> Binding:
    return Binding(
        contact=contact.uri.text,
        expires_at=now + expires_s,
        q=contact.q,
        call_id=wanted.call_id,
        cseq=wanted.cseq,
        source=wanted.source,
        since=since,
        path=wanted.path,
        user_agent=wanted.user_agent,
        instance=contact.instance,
        reg_id=contact.reg_id,
        flow=contact.flow,
    )
