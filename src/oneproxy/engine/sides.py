"""The two sides of a followed call, and the BYE that each is sent as if by the other
(RFC 3261 12.2.1.1)."""

from collections.abc import Callable
from typing import Final

from oneproxy.engine.origin import OwnRequest, originated
from oneproxy.engine.sessions import Asked
from oneproxy.engine.standing import UNSEEN, StandingSide
from oneproxy.sip.address import parse_address
from oneproxy.sip.fields import split_list
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Message
from oneproxy.sip.uri import Uri, parse_uri

#: Call-ID and tags are told apart by as many characters.
KEPT: Final = 256
#: What is longer is not kept, so that no peer makes a call cost more: it can't be ended from
#: the side then, since a BYE needs all of it.
_LONGEST: Final = 512
_LONGEST_ROUTES: Final = 2048
_MAX_CSEQ: Final = 2**31 - 1


class Offer:
    """What a refresh request of a side changes if it is answered 2xx."""

    __slots__ = ("asked", "contact", "cseq")

    def __init__(self, cseq: int, contact: str | None, asked: Asked | None) -> None:
        self.cseq = cseq
        #: A Contact value, "" for none; None where it is too long to be kept.
        self.contact = contact
        self.asked = asked


class Hangup:
    """A BYE that a side has sent: when, its Reason, and the tag of whom it is for."""

    __slots__ = ("at", "peer_tag", "reason")

    def __init__(self, at: float, reason: str, peer_tag: str) -> None:
        self.at = at
        self.reason = reason
        self.peer_tag = peer_tag


class Side:
    """What a call's caller or callee has said that a BYE to it, or in its name, is made from."""

    __slots__ = ("address", "contact", "cseq", "flow", "hangup", "more", "offer", "routes", "since")

    def __init__(self) -> None:
        #: Its From or To value, with its tag; None before, or where it is too long.
        self.address: str | None = None
        #: The value of its last Contact.
        self.contact: str | None = None
        #: Record-Route values as it came with them, ours among those of the callee.
        self.routes: str | None = ""
        #: The name of the flow over which alone it is reached; "" where it has an address.
        self.flow = ""
        #: The highest number that it has sent, and the highest when the call was answered.
        self.cseq = 0
        self.since = 0
        #: What is added to its numbers on their way to the other side (`Target.cseq_more`).
        self.more = 0
        self.offer: Offer | None = None
        self.hangup: Hangup | None = None

    def learn(self, message: Message, address: str) -> None:
        """Keep what starts the dialog: of its From or its To, its Contact, its Record-Routes."""
        self.address = kept(message.get(address))
        self.contact = kept(message.get("contact"))
        if "record-route" in message.first:
            self.routes = kept(", ".join(message.all("record-route")), _LONGEST_ROUTES)

    def standing(self) -> StandingSide:
        """What lasts of it."""
        return StandingSide(self.address, self.contact, self.routes, self.flow, self.cseq, self.since)

    def resume(self, standing: StandingSide) -> None:
        """Go on from what was kept of it."""
        self.address = standing.address
        self.contact = standing.contact
        self.routes = standing.routes
        self.flow = standing.flow
        self.cseq = min(standing.cseq + UNSEEN, _MAX_CSEQ)
        self.since = standing.since


def byes(
    call_id: str, caller: Side, callee: Side, reason: str, is_own_route: Callable[[Uri], bool]
) -> list[OwnRequest]:
    """A BYE to each side that enough is known of. reason: a Reason value, "" for none."""
    if caller.routes is None or callee.routes is None:
        return []
    # RFC 3261 12.1.1: the callee copied the Record-Routes of the INVITE below its own, in
    # between stands ours, or two of ours (RFC 5658).
    to_caller = split_list(caller.routes)
    to_callee = split_list(callee.routes)
    del to_callee[max(len(to_callee) - len(to_caller), 0) :]
    while to_callee and _is_own(to_callee[-1], is_own_route):
        to_callee.pop()
    to_callee.reverse()
    made = [
        _bye(call_id, caller, callee, tuple(to_callee), reason),
        _bye(call_id, callee, caller, tuple(to_caller), reason),
    ]
    return [request for request in made if request is not None]


def _bye(
    call_id: str, sender: Side, receiver: Side, route: tuple[str, ...], reason: str
) -> OwnRequest | None:
    """The BYE to `receiver` as `sender` would write it."""
    contacts = split_list(receiver.contact or "")
    target = parse_address(contacts[0]) if contacts else Malformed.CONTACT
    if isinstance(target, Malformed) or sender.address is None or receiver.address is None:
        return None
    # RFC 3261 12.2.1.1: above what the sender has used, or the BYE is out of order (12.2.2).
    return originated(
        "BYE",
        target.uri,
        from_=sender.address,
        to=receiver.address,
        call_id=call_id,
        cseq=min(sender.cseq + sender.more + 1, _MAX_CSEQ),
        headers=(f"Reason: {reason}",) if reason else (),
        route=route,
        flow=receiver.flow,
    )


def _is_own(route: str, is_own_route: Callable[[Uri], bool]) -> bool:
    address = parse_address(route)
    uri = address if isinstance(address, Malformed) else parse_uri(address.uri)
    return not isinstance(uri, Malformed) and is_own_route(uri)


def kept(value: str | None, longest: int = _LONGEST) -> str | None:
    """`value` unless it is longer than is kept."""
    return value if value is None or len(value) <= longest else None
