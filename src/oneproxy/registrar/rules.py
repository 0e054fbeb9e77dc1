"""What a REGISTER does to the bindings of an address-of-record (RFC 3261 10.3, steps 6 to 8).

Pure: bindings, request and time go in, a change or a refusal comes out. All contacts
of a request are carried out or none is (10.3 step 7).

A binding is that of a contact by its URI (RFC 3261 19.1.4), or, where the phone gives a
reg-id that counts, by that and its instance alone (RFC 5626 6).
"""

from collections.abc import Callable, Container, Sequence
from typing import Final

from oneproxy.registrar.bindings import Binding, Change, Meant, gives_way, is_meant, make_key, meaning
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
#: RFC 5627 5.1: a GRUU leads to a contact, so a contact that is one would lead in a circle.
IS_GRUU: Final = Refusal(403, "Contact Is a GRUU")
#: RFC 5626 6 and 11.6: the client may try again without reg-id.
LACKS_OUTBOUND: Final = Refusal(439, "First Hop Lacks Outbound Support")
#: RFC 5626 6: a REGISTER binds one contact to the one flow that it came on.
ONE_FLOW: Final = Refusal(400, "One Contact for a Flow")
#: RFC 3261 10.3 step 7: who asks for an hour or more is not told that it is too short.
_NEVER_BRIEF_S: Final = 3600


def register(
    stored: Sequence[Binding],
    wanted: Wanted,
    now: float,
    limits: Domain,
    is_gone: Callable[[Binding], bool] | None = None,
    drawn: float = 0.0,
) -> Change | Refusal:
    """The change that `wanted` makes to the bindings `stored` of its AoR.

    now: when the request came, seconds since the epoch. limits: the domain of the AoR.
    is_gone: whether a contact can't be reached any more, though its time is not over.
    drawn: at random, 0 to 1: how much of what the time may be shortened by it is shortened.
    The change is empty for a query, for a request that was carried out before, and where what
    should go is already gone.
    Refusals: 423 for too short a time, 500 for a request that was overtaken by a later
    one of the same Call-ID, 403 for more contacts than the domain allows and for a GRUU,
    439 and 400 for a flow that cannot be bound (RFC 5626).
    """
    if wanted.lacks_outbound:
        return LACKS_OUTBOUND
    live = [binding for binding in stored if binding.expires_at > now]
    if wanted.everything:
        if any(_overtaken(binding, wanted) for binding in live):
            return OUT_OF_ORDER
        return _remove(stored, (), wanted)
    if not wanted.contacts:
        return Change(wanted.aor, (), ())
    # Every contact is compared with every binding: the product is bounded here.
    if len(wanted.contacts) > 2 * limits.max_contacts:
        return TOO_MANY
    lasting = [lasting_s(contact, wanted, limits) for contact in wanted.contacts]
    refusal = _refuse(wanted, lasting, limits)
    if refusal is not None:
        return refusal
    if _is_done(live, wanted, lasting):
        return Change(wanted.aor, (), ())
    written: dict[str, Binding] = {}
    left = live
    for at, contact in enumerate(wanted.contacts):
        expires_s = lasting[at]
        since = now
        kept: list[Binding] = []
        for binding in left:
            if not _is_at(binding, contact):
                kept.append(binding)
                if contact.instance == binding.instance != "" and binding.call_id == wanted.call_id:
                    # RFC 5627 5.1: its temporary GRUUs stay good, wherever it is now.
                    since = min(since, binding.since)
                continue
            if written.pop(binding.key, None) is None and _overtaken(binding, wanted):
                return OUT_OF_ORDER
            since = min(since, binding.since)
        left = kept
        if expires_s:
            binding = _bind(contact, wanted, now, _granted_s(expires_s, limits, drawn), since)
            written[binding.key] = binding
            left.append(binding)
    if len(left) > limits.max_contacts and len(left) > len(live):
        left = _make_room(left, written, limits, is_gone)
        if len(left) > limits.max_contacts:
            return TOO_MANY
    return _change(stored, left, tuple(written.values()), wanted)


def _change(
    stored: Sequence[Binding], left: Sequence[Binding], written: tuple[Binding, ...], wanted: Wanted
) -> Change:
    """What leaves of `stored` those that are `left`, and has `written` among them."""
    if not stored or (len(stored) == len(left) == 1 and stored[0].key == left[0].key):
        # So it is with nearly everybody: a phone registers anew.
        return Change(wanted.aor, (), written)
    staying = {binding.key for binding in left}
    gone = [binding for binding in stored if binding.key not in staying]
    return _remove(gone, written, wanted)


def apply_change(stored: Sequence[Binding], change: Change) -> list[Binding]:
    """The bindings after `change`: those untouched first, in their order.

    What the table has after it (`store.locations`).
    """
    if not stored:
        return list(change.stored)
    fresh = {binding.key: binding for binding in change.stored}
    left: list[Binding] = []
    for binding in stored:
        if change.removed and _is_removed(binding, change):
            continue
        instead = fresh.get(binding.key)
        if instead is None:
            left.append(binding)
        elif not gives_way(binding, instead):
            left.append(binding)
            del fresh[binding.key]
    left += fresh.values()
    return left


def _is_removed(binding: Binding, change: Change) -> bool:
    """Whether `change` takes `binding` away before it stores others."""
    key = binding.key
    if key not in change.removed:
        return False
    if not change.meant:
        return True
    return any(
        removed == key and is_meant(binding, meant)
        for removed, meant in zip(change.removed, change.meant, strict=True)
    )


def _remove(gone: Sequence[Binding], stored: tuple[Binding, ...], wanted: Wanted) -> Change:
    """The change that takes these away, as they are known here, and stores others."""
    if not gone:
        return Change(wanted.aor, (), stored)
    removed = tuple(binding.key for binding in gone)
    return Change(wanted.aor, removed, stored, tuple(_meant(binding, wanted) for binding in gone))


def _meant(binding: Binding, wanted: Wanted) -> Meant:
    """Which binding `wanted` takes away where `binding` is known to be.

    RFC 3261 10.3 step 7: one that it names may have been refreshed elsewhere, by an earlier REGISTER
    than this. One that only makes room, or is over, goes as it is known.
    """
    if binding.call_id == wanted.call_id and (
        wanted.everything or any(_is_at(binding, contact) for contact in wanted.contacts)
    ):
        return (binding.call_id, max(binding.cseq, wanted.cseq))
    return meaning(binding)


def lasting_s(contact: Contact, wanted: Wanted, limits: Domain) -> int:
    """Seconds that the binding may last; 0 takes it away (RFC 3261 10.3 step 7).

    The contact's own time counts before that of the request; without either the domain's
    default is given, and never more than its longest (step 7: the registrar may shorten).
    """
    asked_s = contact.expires_s if contact.expires_s is not None else wanted.expires_s
    if asked_s is None:
        asked_s = limits.default_expires_s or limits.max_expires_s
    return min(asked_s, limits.max_expires_s)


def _refuse(wanted: Wanted, lasting: list[int], limits: Domain) -> Refusal | None:
    """What stands in the way of all contacts, whatever is bound. lasting: `lasting_s` of each."""
    shortest_s = min(limits.min_expires_s, _NEVER_BRIEF_S)
    bound = 0
    for at, contact in enumerate(wanted.contacts):
        expires_s = lasting[at]
        if expires_s:
            bound += 1
            if expires_s < shortest_s:
                return Refusal(423, "Interval Too Brief", (f"Min-Expires: {limits.min_expires_s}",))
            if contact.uri.params and "gr" in contact.uri.params and _is_of(contact.uri, limits):
                return IS_GRUU
    return ONE_FLOW if wanted.outbound and bound > 1 else None


def _is_of(uri: Uri, domain: Domain) -> bool:
    return uri.host == domain.name.strip("[]") or uri.host in domain.aliases


def _is_done(live: Sequence[Binding], wanted: Wanted, lasting: list[int]) -> bool:
    """Whether this very request was carried out before.

    Its transaction is over, or was another node's, and the phone never got the answer: told
    "out of order", it would take itself for not registered. 10.3 step 7 means later requests.
    """
    written: dict[str, Binding] = {}
    for binding in live:
        if binding.cseq == wanted.cseq and binding.call_id == wanted.call_id:
            written[binding.key] = binding
    if not written:
        return False
    for contact, expires_s in zip(wanted.contacts, lasting, strict=True):
        if not expires_s:
            if any(_is_at(binding, contact) for binding in live):
                return False
            continue
        found = written.get(make_key(contact.uri.text, contact.instance, contact.reg_id))
        if found is None or found.q != contact.q:
            return False
        if found.flow != contact.flow or found.path != wanted.path:
            return False
    return any(lasting)


def _granted_s(expires_s: int, limits: Domain, drawn: float) -> int:
    """What is granted of `expires_s`: a little less, each time another.

    Phones that registered in one second, after a power cut, would come back together for ever.
    """
    if expires_s <= limits.min_expires_s:
        return expires_s
    shortened_s = expires_s - int(expires_s * limits.spread_percent * drawn / 100)
    return shortened_s if shortened_s > limits.min_expires_s else max(limits.min_expires_s, 1)


def _make_room(
    left: list[Binding],
    written: Container[str],
    limits: Domain,
    is_gone: Callable[[Binding], bool] | None,
) -> list[Binding]:
    """`left` without contacts that have to go for those that are `written`."""
    if is_gone is not None:
        # A page in a browser that is loaded again is a new contact, and the one before may not
        # have said that it is gone: such contacts make room.
        left = [binding for binding in left if binding.key in written or not is_gone(binding)]
    too_many = len(left) - limits.max_contacts
    if too_many > 0 and limits.when_full == "replace":
        old = sorted((one for one in left if one.key not in written), key=_registered_at)
        gone = {binding.key for binding in old[:too_many]}
        left = [binding for binding in left if binding.key not in gone]
    return left


def _registered_at(binding: Binding) -> float:
    return binding.since


def _overtaken(binding: Binding, wanted: Wanted) -> bool:
    """Whether a later REGISTER than `wanted` wrote `binding` (RFC 3261 10.3 step 7)."""
    return binding.call_id == wanted.call_id and wanted.cseq <= binding.cseq


def _is_at(binding: Binding, contact: Contact) -> bool:
    """Whether `binding` is that of `contact`.

    One of a flow is told by instance and reg-id: the phone may have got another address, and
    two flows may have one contact (RFC 5626 6). Others by the comparison of URIs, also where
    the phone has begun or ceased to do outbound.
    """
    if contact.reg_id and binding.reg_id:
        return binding.reg_id == contact.reg_id and binding.instance == contact.instance
    if binding.contact == contact.uri.text:
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
