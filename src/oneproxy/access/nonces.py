"""Nonces that any node of the farm can check and none has to remember.

    base64( made at, 4 octets | node, 4 | number, 4 | source, 4 | keyed BLAKE2b, 14 )

The 30 octets make 40 characters without padding. A nonce says by itself when it was made,
that one of us made it, and for whom, so challenges cost no memory however many are sent
(RFC 7616 5.4 and 5.10 on what goes into a nonce). Node and number make it the only one of
its kind: `replays` remembers which were used.

A nonce is good from wherever it comes back, as phones change their addresses. The source in it
only tells whose fault a wrong password is: anybody can forge the source of a datagram, but
nobody sees the nonce that was sent to another.
"""

import hmac
import os
from binascii import Error, a2b_base64, b2a_base64
from hashlib import blake2b
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LIFETIME_S: Final = 300
#: How far the clocks of two nodes may be apart.
SKEW_S: Final = 60

_NODE: Final = 4
_MARK: Final = 4
_SIGNED: Final = 4 + _NODE + 4 + _MARK
_SIGNATURE: Final = 14
_TEXT: Final = (_SIGNED + _SIGNATURE) // 3 * 4
_REMEMBERED: Final = 16_384


class Nonce:
    """One of ours that came back. made_at: seconds since the epoch, by its maker's clock."""

    __slots__ = ("is_own", "made_at", "mark", "name")

    def __init__(self, signed: bytes, node: bytes) -> None:
        self.made_at = int.from_bytes(signed[:4], "big")
        #: What tells it from all others.
        self.name = int.from_bytes(signed[4:12], "big")
        #: Whether this very node made it.
        self.is_own = signed[4:8] == node
        self.mark = signed[12:]

    def is_fresh(self, now: float) -> bool:
        """Whether it is younger than LIFETIME_S, and not from farther in the future than clocks differ."""
        return -SKEW_S <= now - self.made_at < LIFETIME_S


class Nonces:
    """Makes and checks nonces with a key derived from the farm's secret."""

    __slots__ = ("_keyed", "_marks", "_node", "_number")

    def __init__(self, secret: bytes) -> None:
        key = HKDF(SHA256(), 32, salt=None, info=b"oneproxy digest nonce").derive(secret)
        # Copying a keyed hash saves half of what keying a new one costs.
        self._keyed = blake2b(key=key, digest_size=_SIGNATURE)
        # A node that starts anew begins to count anew, so it takes another name each time.
        self._node = os.urandom(_NODE)
        self._number = 0
        self._marks: dict[str, bytes] = {}

    def make(self, now: float, source: str = "") -> str:
        """A nonce for `source`, made at `now`, seconds since the epoch."""
        self._number = number = (self._number + 1) & 0xFFFFFFFF
        signed = b"".join(
            (
                (int(now) & 0xFFFFFFFF).to_bytes(4, "big"),
                self._node,
                number.to_bytes(4, "big"),
                self._marks.get(source) or self._mark(source),
            )
        )
        return b2a_base64(signed + self._sign(signed), newline=False).decode("ascii")

    def read(self, text: str) -> Nonce | None:
        """The nonce, if one of us made it."""
        if len(text) != _TEXT:
            return None
        try:
            octets = a2b_base64(text)
        except (Error, ValueError):
            return None
        signed = octets[:_SIGNED]
        if not hmac.compare_digest(self._sign(signed), octets[_SIGNED:]):
            return None
        return Nonce(signed, self._node)

    def is_for(self, nonce: Nonce, source: str) -> bool:
        """Whether it was made for this source."""
        return nonce.mark == (self._marks.get(source) or self._mark(source))

    def _sign(self, signed: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(signed)
        return keyed.digest()

    def _mark(self, source: str) -> bytes:
        if len(self._marks) >= _REMEMBERED:
            self._marks.clear()
        mark = self._marks[source] = self._sign(source.encode("latin-1", "replace"))[:_MARK]
        return mark
