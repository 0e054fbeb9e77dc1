"""Where the requests of a dialog go next: the host beside us on either side, as its messages say.

Of the caller that is who stands on top of the Record-Routes when his request comes, of the callee
who stands above ours when the response comes (RFC 3261 12.1.1, 12.1.2), and for each of them the
Contact where nobody stands there. A place is a short keyed hash of that host, which a mark has in
it: nobody finds another name with the same one.

The host alone counts. What else a URI says (user, port, transport) is a phone's to change.
"""

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from oneproxy.engine.routing import hop_of, plain_host
from oneproxy.sip.address import parse_address
from oneproxy.sip.fields import split_list
from oneproxy.sip.malformed import Malformed

if TYPE_CHECKING:
    from oneproxy.engine.decisions import Target
    from oneproxy.sip.message import Message

#: Characters of a place. 32 bits are few, and enough: who looks for another name with the place of
#: some host needs a dialog of his own for each try, and may name any host in that dialog.
LENGTH: Final = 8
#: The place of what can't be sent anywhere.
NOWHERE: Final = "0" * LENGTH
#: URIs and values that are remembered, and the longest: a contact comes again with all requests
#: to it.
_REMEMBERED: Final = 4096
_REMEMBERED_LENGTH: Final = 256


class Places:
    """Places by what names them. key: 16 to 64 octets, the same on all nodes of a farm."""

    __slots__ = ("_keyed", "_known", "_values")

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=key, digest_size=LENGTH // 2, person=b"place")
        #: By URI, and by header value: one text may be both, and mean two hosts (maddr).
        self._known: dict[str, str] = {}
        self._values: dict[str, str] = {}

    def of(self, uri: str) -> str:
        """The place that requests for `uri` go to."""
        return self._known.get(uri) or self._read(uri)

    def of_value(self, value: str) -> str:
        """The place of the first of these addresses, as Contact, Route and Record-Route have them."""
        place = self._values.get(value)
        if place is None:
            before, bracket, after = value.partition("<")
            if bracket and not before.strip(" \t"):
                # So it is nearly always, and the grammar of all that may stand there costs 3 us.
                place = self.of(after.partition(">")[0])
            else:
                values = split_list(value)
                address = parse_address(values[0]) if values else Malformed.URI
                place = NOWHERE if isinstance(address, Malformed) else self.of(address.uri)
            _remember(self._values, value, place)
        return place

    def of_target(self, target: "Target") -> str:
        """The place that a request goes to next on its way to `target`, be it over a flow."""
        return self.of_value(target.route[0]) if target.route else self.of(target.uri)

    def of_sender(self, request: "Message", source: str) -> str:
        """Where requests to the sender of one that begins a dialog go.

        source: the host that it came from. Who does not say where he is, as peers of old, is there.
        """
        first = request.first
        at = first.get("record-route") or first.get("contact")
        if at is None:
            return self.of_host(source)
        value = request.values[at]
        return self._values.get(value) or self.of_value(value)

    def _read(self, uri: str) -> str:
        hop = hop_of(uri)
        place = NOWHERE if hop is None else self.of_host(hop[1])
        _remember(self._known, uri, place)
        return place

    def of_host(self, host: str) -> str:
        """The place that a host is, in whichever spelling."""
        state = self._keyed.copy()
        state.update(plain_host(host).encode("latin-1"))
        return state.hexdigest()


def _remember(known: dict[str, str], text: str, place: str) -> None:
    if len(text) <= _REMEMBERED_LENGTH:
        if len(known) >= _REMEMBERED:
            known.clear()
        known[text] = place
