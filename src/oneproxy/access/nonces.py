"""Nonces that any node of the farm can check and none has to remember.

    base64( seconds since the epoch, 4 octets | random, 7 octets | keyed BLAKE2b, 16 octets )

The 27 octets make 36 characters without padding. A nonce says by itself when it was
made and that one of us made it, so challenges cost no memory however many are sent
(RFC 7616 5.4 and 5.10 on what goes into a nonce). The price is that a nonce can be
used again until it is stale: `nc` is not counted.
"""

import hmac
import os
from binascii import Error, a2b_base64, b2a_base64
from enum import Enum
from hashlib import blake2b
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LIFETIME_S: Final = 300
#: How far the clocks of two nodes may be apart.
SKEW_S: Final = 60

_RANDOM: Final = 7
_SIGNED: Final = 4 + _RANDOM
_SIGNATURE: Final = 16
_TEXT: Final = (_SIGNED + _SIGNATURE) // 3 * 4


class Age(Enum):
    """What a nonce that came back is worth."""

    FRESH = "fresh"
    STALE = "stale"
    FORGED = "forged"


class Nonces:
    """Makes and checks nonces with a key derived from the farm's secret."""

    __slots__ = ("_keyed",)

    def __init__(self, secret: bytes) -> None:
        key = HKDF(SHA256(), 32, salt=None, info=b"oneproxy digest nonce").derive(secret)
        # Copying a keyed hash saves half of what keying a new one costs.
        self._keyed = blake2b(key=key, digest_size=_SIGNATURE)

    def make(self, now: float) -> str:
        """A nonce made at `now`, seconds since the epoch."""
        signed = (int(now) & 0xFFFFFFFF).to_bytes(4, "big") + os.urandom(_RANDOM)
        keyed = self._keyed.copy()
        keyed.update(signed)
        return b2a_base64(signed + keyed.digest(), newline=False).decode("ascii")

    def check(self, nonce: str, now: float) -> Age:
        """Whether `nonce` is ours, and if so whether it is younger than LIFETIME_S."""
        if len(nonce) != _TEXT:
            return Age.FORGED
        try:
            octets = a2b_base64(nonce)
        except (Error, ValueError):
            return Age.FORGED
        signed = octets[:_SIGNED]
        keyed = self._keyed.copy()
        keyed.update(signed)
        if not hmac.compare_digest(keyed.digest(), octets[_SIGNED:]):
            return Age.FORGED
        age_s = now - int.from_bytes(signed[:4], "big")
        return Age.FRESH if -SKEW_S <= age_s < LIFETIME_S else Age.STALE
