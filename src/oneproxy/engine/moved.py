"""Where a side of a dialog is now that it has moved: what its mark leads to is of the beginning.

A mark is fixed with the route set, and a side may say at any time that it is elsewhere: by its
Contact in a target refresh request, or in the 2xx to one (RFC 3261 12.2). Where it says so through
this node that is noted here, and so is where policy let a request go that no mark led to. This is
memory, bounded and of one node: where it is gone, policy is asked.
"""

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from oneproxy.engine.context import Follow
    from oneproxy.engine.flow import Flow
    from oneproxy.engine.places import Places
    from oneproxy.sip.message import Request, Response

#: RFC 3261 12.2.1.2, RFC 3311 5.1, RFC 6665 4.4.1, 8.2.2: requests whose Contact says where their
#: sender is from now on.
_REFRESHES: Final = frozenset(("INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"))
#: A dialog whose name is longer is not remembered, so that no peer makes one cost more.
_LONGEST: Final = 256


class Moved:
    """Places of sides by dialog and side, those that moved last. capacity: the most."""

    __slots__ = ("_capacity", "_places", "_sides")

    def __init__(self, places: "Places", capacity: int) -> None:
        self._places = places
        self._capacity = capacity
        # A dict finds the oldest of its keys only by walking over those that were deleted.
        self._sides: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        """How many sides are remembered."""
        return len(self._sides)

    def leads_to(self, request: "Request", uri: str) -> bool:
        """Whether the receiver of `request` is known to be where requests for `uri` go."""
        if not self._sides:
            return False
        place = self._sides.get(_name(request.call_id, request.to_tag, request.from_tag))
        return place is not None and place == self._places.of(uri)

    def let(self, request: "Request", uri: str) -> None:
        """Policy has let `request` go where `uri` leads: its ACK and what follows go there too."""
        self._note(_name(request.call_id, request.to_tag, request.from_tag), self._places.of(uri))

    def follow(self, request: "Request", told: "Follow | None") -> "Follow | None":
        """Who is to be told of the answers to `request`, which goes on. told: who wants to know besides."""
        if request.method in _REFRESHES or (self._sides and request.method == "BYE"):
            return Refresh(self, request, told)
        return told

    def refreshed(self, sender: str, contact: str, receiver: str, response: "Response") -> None:
        """A 2xx to a target refresh request. sender, receiver: names of the sides."""
        if contact:
            self._note(sender, self._places.of_value(contact))
        contact = response.get("contact") or ""
        if contact:
            self._note(receiver, self._places.of_value(contact))

    def forget(self, *sides: str) -> None:
        """The dialog is over."""
        for side in sides:
            self._sides.pop(side, None)

    def _note(self, side: str, place: str) -> None:
        if not place or len(side) > _LONGEST:
            return
        if side in self._sides:
            self._sides.move_to_end(side)
        elif len(self._sides) >= self._capacity:
            self._sides.popitem(last=False)
        self._sides[side] = place


class Refresh:
    """One request that moves its sides, or ends their dialog, once it is answered."""

    __slots__ = ("_contact", "_is_end", "_is_taken", "_moved", "_receiver", "_sender", "_told")

    def __init__(self, moved: Moved, request: "Request", told: "Follow | None") -> None:
        self._moved = moved
        self._told = told
        self._is_end = request.method == "BYE"
        self._is_taken = False
        self._contact = request.get("contact") or ""
        self._sender = _name(request.call_id, request.from_tag, request.to_tag)
        self._receiver = _name(request.call_id, request.to_tag, request.from_tag)

    def responded(self, now: float, response: "Response", flow: "Flow | None") -> None:
        """A 101 to 299 goes back."""
        if response.status >= 200 and not self._is_taken:
            # A 2xx may come again after a later refresh has taken its sender elsewhere.
            self._is_taken = True
            if self._is_end:
                self._moved.forget(self._sender, self._receiver)
            else:
                self._moved.refreshed(self._sender, self._contact, self._receiver, response)
        if self._told is not None:
            self._told.responded(now, response, flow)

    def failed(self, now: float, status: int) -> None:
        """A final failure goes back."""
        if self._told is not None:
            self._told.failed(now, status)


def _name(call_id: str, tag: str, peer_tag: str) -> str:
    """The name of the side with this tag."""
    return f"{call_id}\n{tag}\n{peer_tag}"
