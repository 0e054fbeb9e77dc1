"""The mark by which a node of this farm knows a dialog that went through it.

The Record-Route that OneProxy writes carries a keyed hash over the Call-ID and the
caller's tag. A request inside of a dialog brings it back in its Route, with that tag
in From or in To, whoever sends it; a Route that somebody made up carries none. So no
node needs a memory of dialogs, and nobody gets a request relayed by naming OneProxy
in a Route of his own.
"""

from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from oneproxy.sip.message import Request

_LENGTH: Final = 8  # octets; 64 bits are out of reach of guessing over a network
PARAMETER: Final = "mark"


class DialogMark:
    """Makes and checks marks. key: 16 to 64 octets, the same on all nodes of a farm."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        # Copying a keyed state costs half of keying a new one.
        self._keyed = blake2b(key=key, digest_size=_LENGTH)

    def make(self, call_id: str, caller_tag: str) -> str:
        """The mark of a dialog, lower-case hex."""
        state = self._keyed.copy()
        state.update(f"{call_id}\n{caller_tag}".encode("latin-1"))
        return state.hexdigest()

    def holds(self, mark: str, request: Request) -> bool:
        """Whether `mark` belongs to the dialog that `request` says it is in."""
        if not request.to_tag or not mark.isascii():
            return False
        return compare_digest(mark, self.make(request.call_id, request.from_tag)) or compare_digest(
            mark, self.make(request.call_id, request.to_tag)
        )
