"""What a registration leaves behind: bindings, the change of one AoR, and what becomes of it.

gc=False: they hold only what cannot refer back to them, and a million bindings that the
garbage collector need not visit make loading them twice as fast.
"""

from enum import Enum
from typing import Final

from msgspec import Struct

#: `Binding.source` of a binding that was added by hand: no REGISTER takes it away.
STATIC: Final = "static"
#: Its `expires_at`: it does not expire, and the seconds until then can be told to a phone
#: (RFC 3261 20.19: below 2**32).
NEVER: Final = float(2**32 - 1)


class Fate(Enum):
    """What became of a change that was to be stored."""

    STORED = "stored"
    #: The database does not have it: it was rolled back, and another time it may go well.
    REFUSED = "refused"
    #: Nor will it ever: no attempt can store it.
    UNFIT = "unfit"
    #: The database is away or silent: it may have the change or not.
    UNKNOWN = "unknown"


class Binding(Struct, frozen=True, array_like=True, gc=False):
    """A contact at which an address-of-record can be reached (RFC 3261 10)."""

    #: The contact's addr-spec as it was registered.
    contact: str
    #: Seconds since the epoch; a binding is gone from this instant on.
    expires_at: float
    #: Preference, 0 to 1000 (q = 0.0 to 1.0 in thousandths).
    q: int
    #: RFC 3261 10.3 step 7: a REGISTER overtaken on the wire must not undo a later one.
    call_id: str
    cseq: int
    #: Where the REGISTER came from: "udp:192.0.2.7:5060".
    source: str
    #: When this contact was registered first, or its instance by REGISTERs of this Call-ID;
    #: seconds since the epoch.
    since: float
    #: Path values, first hop first (RFC 3327).
    path: tuple[str, ...] = ()
    user_agent: str = ""
    #: RFC 5626: +sip.instance and reg-id, where the phone gave them.
    instance: str = ""
    reg_id: int = 0
    #: Name of the flow over which alone the contact can be reached, or is reached best
    #: (RFC 5626, or a phone behind NAT); empty: by its URI. Most bindings have none, and
    #: an empty text takes no memory of its own.
    flow: str = ""

    @property
    def key(self) -> str:
        """What is unique within an AoR, as `make_key` has it."""
        return make_key(self.contact, self.instance, self.reg_id) if self.reg_id else self.contact


def make_key(contact: str, instance: str, reg_id: int) -> str:
    """What is unique within an AoR: the contact, or, with a reg-id that counts, the flow.

    RFC 5626 6: a phone may register one contact over several flows, which are bindings of
    their own. No URI has a space in it.
    """
    return f"{contact} {reg_id} {instance}" if reg_id else contact


#: A binding as somebody knew it: its Call-ID, and its CSeq or that of a REGISTER that may undo it.
#: It is what is there if that is of the same Call-ID and its CSeq is no higher. None: whatever it is.
Meant = tuple[str, int] | None


class Change(Struct, frozen=True, array_like=True, gc=False):
    """What a REGISTER changes in the bindings of one AoR; committed whole or not at all."""

    #: "user@host", the host in lower case.
    aor: str
    #: Keys of the bindings that go, before others are stored.
    removed: tuple[str, ...]
    #: Bindings that are new or replace the one of the same key, if that `gives_way`.
    stored: tuple[Binding, ...]
    #: Which binding is meant by each of `removed`, in its order: another machine may have stored
    #: another one there. Empty: whatever is there goes.
    meant: tuple[Meant, ...] = ()


def meaning(binding: Binding) -> Meant:
    """This very binding, and what the same Call-ID had there before."""
    return (binding.call_id, binding.cseq)


def is_meant(binding: Binding, meant: Meant) -> bool:
    """Whether `binding` is what somebody meant who wants to remove it."""
    return meant is None or (binding.call_id == meant[0] and binding.cseq <= meant[1])


def gives_way(binding: Binding, fresh: Binding) -> bool:
    """Whether `binding` is replaced by `fresh`, which was made for the same key.

    What people added gives way to people alone. RFC 3261 10.3 step 7: a later REGISTER of the
    same Call-ID, which another machine may have committed first, is not undone by an earlier
    one, unless it was over already when that came. The table is kept by the same rule.
    """
    if binding.source == STATIC:
        return fresh.source == STATIC
    return binding.call_id != fresh.call_id or binding.cseq <= fresh.cseq or binding.expires_at <= fresh.since


def is_static(binding: Binding) -> bool:
    """Whether `binding` was added by hand."""
    return binding.source == STATIC


def static_binding(contact: str, q: int, now: float) -> Binding:
    """A binding of `contact` (an addr-spec) as people add it at `now`; q: 0 to 1000."""
    return Binding(contact, NEVER, q, "", 0, STATIC, now)
