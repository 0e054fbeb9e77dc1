"""The mark by which a node of this farm knows a dialog that went through it.

The Record-Route that OneProxy writes carries a keyed hash over the Call-ID, the caller's
tag and the flows that lead to either side. A request inside of a dialog brings it back in
its Route, with that tag in From or in To, whoever sends it; a Route that somebody made up
carries none. So no node needs a memory of dialogs, and nobody gets a request relayed by
naming OneProxy in a Route of his own.

    sip:192.0.2.1:5060;lr;mark=5f2c90a1b3d4e687                   both sides by their routes
    sip:192.0.2.1:5060;lr;mark=5f2c90a1b3d4e687-b10c-8d03..f1-    the caller over a flow

A side stands there where it can be reached over a flow alone: a phone behind NAT, or one
that has opened a connection (RFC 5626 5.3). The names of flows contain addresses that the
other side need not learn, so they are covered with a key stream of the dialog's own.
"""

from hashlib import blake2b
from hmac import compare_digest
from secrets import token_hex
from typing import Final

from oneproxy.sip.message import Request

_LENGTH: Final = 8  # octets; 64 bits are out of reach of guessing over a network
_COVER: Final = 64  # octets of key stream at once: what blake2b gives
PARAMETER: Final = "mark"


class DialogMark:
    """Makes and checks marks. key: 16 to 64 octets, the same on all nodes of a farm."""

    __slots__ = ("_cover", "_keyed")

    def __init__(self, key: bytes) -> None:
        # Copying a keyed state costs half of keying a new one.
        self._keyed = blake2b(key=key, digest_size=_LENGTH)
        self._cover = blake2b(key=key, digest_size=_COVER, person=b"flow")

    def make(self, call_id: str, caller_tag: str, caller: str = "", callee: str = "") -> str:
        """The mark of a dialog. caller, callee: names of the flows to the sides, "" for none."""
        state = self._keyed.copy()
        dialog = f"{call_id}\n{caller_tag}"
        if not caller and not callee:
            state.update(dialog.encode("latin-1"))
            return state.hexdigest()
        # Who has a dialog of the same name with a flow that he knows learns nothing from it.
        salt = token_hex(4)
        salted = f"{salt}\n{dialog}"
        sides = f"{salt}-{self._covered(caller, salted, 0)}-{self._covered(callee, salted, 1)}"
        state.update(f"{dialog}\n{sides}".encode("latin-1"))
        return f"{state.hexdigest()}-{sides}"

    def flow(self, mark: str, request: Request) -> str | None:
        """The name of the flow on which `request` goes on, "" where its route says how.

        None where `mark` does not belong to the dialog that the request says it is in.
        """
        if not request.to_tag or not mark.isascii():
            return None
        if len(mark) == 2 * _LENGTH:
            given, sides = mark, ""
        else:
            given, _, sides = mark.partition("-")
            sides = f"\n{sides}"
        # Who sends with the caller's tag in From is the caller, and it goes on to the callee.
        for receiver, tag in ((1, request.from_tag), (0, request.to_tag)):
            dialog = f"{request.call_id}\n{tag}"
            state = self._keyed.copy()
            state.update(f"{dialog}{sides}".encode("latin-1"))
            if compare_digest(given, state.hexdigest()):
                if not sides:
                    return ""
                salt, *covered = sides[1:].split("-")
                name = self._crossed(bytes.fromhex(covered[receiver]), f"{salt}\n{dialog}", receiver)
                return name.decode("latin-1")
        return None

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
