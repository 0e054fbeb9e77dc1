"""The mark by which a node of this farm knows a dialog that went through it, and where it leads.

The Record-Route that OneProxy writes carries a keyed hash over the Call-ID, the caller's
tag, the places of caller and callee, which are the hosts beside us on either side (`places`),
and the flows that lead to them. A request inside of a dialog brings it back in its Route,
with that tag in From or in To, whoever sends it; a Route that somebody made up carries none.
So no node needs a memory of dialogs, nobody gets a request relayed by naming OneProxy in a
Route of his own, and who has a dialog sends requests to its other side and to nobody else.

                                 hash            caller  callee
    sip:192.0.2.1:5060;lr;mark=5f2c90a1b3d4e6877d01c2a9e4b3a0ff                   by their places
    sip:192.0.2.1:5060;lr;mark=5f2c90a1b3d4e6877d01c2a9e4b3a0ff-b10c42d0-8d03..f1-  the caller over a flow
    sip:192.0.2.1:5060;lr;mark=5f2c90a1b3d4e6877d01c2a9e4b3a0ff1                  CSeq is one more there

Where a callee is, is known for certain when he says so: where that is not where the request went,
the response has another mark for the caller (`record`).

Where the INVITE went on with another CSeq (`Target.cseq_more`), all that follows from the caller
does: a digit behind the places says how many more.

The flow of a side stands there where it can be reached over a flow alone: a phone behind NAT, or
one that has opened a connection (RFC 5626 5.3). The names of flows contain addresses that the
other side need not learn, so they are covered with a key stream of the dialog's own.
"""

from hashlib import blake2b
from hmac import compare_digest
from secrets import token_hex
from typing import Final

from oneproxy.engine.places import LENGTH, Places
from oneproxy.sip.message import Request

_LENGTH: Final = 8  # octets; 64 bits are out of reach of guessing over a network
_HASH: Final = 2 * _LENGTH  # characters
_COVER: Final = 64  # octets of key stream at once: what blake2b gives


class DialogMark:
    """Makes and checks marks. key: 16 to 64 octets, the same on all nodes of a farm."""

    __slots__ = ("_cover", "_keyed", "places")

    def __init__(self, key: bytes) -> None:
        # Copying a keyed state costs half of keying a new one, and one whose key is worked in
        # already, which takes an octet more, two thirds of that.
        self._keyed = blake2b(b"\n", key=key, digest_size=_LENGTH)
        self._cover = blake2b(key=key, digest_size=_COVER, person=b"flow")
        self.places = Places(key)

    def make(
        self,
        call_id: str,
        caller_tag: str,
        caller_place: str,
        callee_place: str,
        caller: str = "",
        callee: str = "",
        cseq_more: int = 0,
    ) -> str:
        """The mark of a dialog. caller, callee: names of the flows to the sides, "" for none.

        cseq_more: 0 to 9.
        """
        rest = caller_place + callee_place
        if cseq_more:
            rest = f"{rest}{cseq_more}"
        if caller or callee:
            # Who has a dialog of the same name with a flow that he knows learns nothing from it.
            salt = token_hex(4)
            salted = f"{salt}\n{call_id}\n{caller_tag}"
            rest = f"{rest}-{salt}-{self._covered(caller, salted, 0)}-{self._covered(callee, salted, 1)}"
        state = self._keyed.copy()
        state.update(f"{rest}\n{call_id}\n{caller_tag}".encode("latin-1"))
        return state.hexdigest() + rest

    def with_callee(self, mark: str, call_id: str, caller_tag: str, place: str) -> str:
        """The mark of the same dialog with the callee at `place`.

        mark: as `make` gave it; of another dialog it stays as it is.
        """
        rest = mark[_HASH:]
        if self._hashed(f"{rest}\n{call_id}\n{caller_tag}") != mark[:_HASH]:
            return mark
        rest = rest[:LENGTH] + place + rest[2 * LENGTH :]
        return self._hashed(f"{rest}\n{call_id}\n{caller_tag}") + rest

    def read(self, mark: str, request: Request) -> tuple[str, str, int] | None:
        """Where `mark` leads `request`: the name of the flow to its receiver, "" where it has none,
        the receiver's place, and how much is added to its CSeq on the way there.

        None where the mark does not belong to the dialog that the request says it is in.
        """
        if not request.to_tag or not mark.isascii():
            return None
        # A URI's parameters have no case (RFC 3261 19.1.4), and some peers write them all large.
        mark = mark.lower()
        given, rest = mark[:_HASH], mark[_HASH:]
        # Who sends with the caller's tag in From is the caller, and it goes on to the callee.
        for receiver, tag in ((1, request.from_tag), (0, request.to_tag)):
            state = self._keyed.copy()
            state.update(f"{rest}\n{request.call_id}\n{tag}".encode("latin-1"))
            if compare_digest(given, state.hexdigest()):
                place = rest[LENGTH : 2 * LENGTH] if receiver else rest[:LENGTH]
                if len(rest) == 2 * LENGTH:
                    return "", place, 0
                places, *flows = rest.split("-")
                more = int(places[2 * LENGTH :] or 0) if receiver else 0
                if not flows:
                    return "", place, more
                salt, *covered = flows
                salted = f"{salt}\n{request.call_id}\n{tag}"
                name = self._crossed(bytes.fromhex(covered[receiver]), salted, receiver)
                return name.decode("latin-1"), place, more
        return None

    def _hashed(self, text: str) -> str:
        state = self._keyed.copy()
        state.update(text.encode("latin-1"))
        return state.hexdigest()

    def _covered(self, name: str, dialog: str, side: int) -> str:
        return self._crossed(name.encode("latin-1"), dialog, side).hex()

    def _crossed(self, data: bytes, dialog: str, side: int) -> bytes:
        """`data` with the key stream of one side of a dialog, each of which knows his own name."""
        stream = b""
        while len(stream) < len(data):
            state = self._cover.copy()
            state.update(f"{side}\n{len(stream)}\n{dialog}".encode("latin-1"))
            stream += state.digest()
        return bytes([octet ^ key for octet, key in zip(data, stream, strict=False)])
