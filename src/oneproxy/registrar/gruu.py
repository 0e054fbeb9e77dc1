"""GRUUs: URIs that lead to one instance of a user, wherever it is registered (RFC 5627).

    sip:alice@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6      public
    sip:tgruu.pnYf0kVt...@example.com;gr                                        temporary

A public one says whose it is and lasts for ever. A temporary one shows nothing: it is the
user's name and the *epoch* of the registration, sealed with a key of the farm's, so that any
node can read it and none has to remember it. The epoch is a hash over instance, Call-ID and
the time of the first REGISTER: when the registration ends, or goes on under another Call-ID,
no binding has that epoch any more, which is when RFC 5627 5.1 and 5.3 want it to be good for
nothing.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from oneproxy.registrar.bindings import Binding
from oneproxy.sip.uri import Uri, escape_parameter

_PREFIX: Final = "tgruu."
#: Octets: what makes two of one registration differ, the epoch, and what lengths are filled up to.
_SALT: Final = 8
_EPOCH: Final = 8
_BLOCK: Final = 16
#: Characters after the prefix of the longest that is looked at: a user of some 700.
_LONGEST: Final = 1024


class Gruus:
    """Makes GRUUs and reads them. secret: the farm's."""

    __slots__ = ("_cipher",)

    def __init__(self, secret: bytes) -> None:
        # SIV: with 8 octets of salt two texts may come to be equal, and must not tell more than that.
        self._cipher = AESSIV(HKDF(SHA256(), 32, salt=None, info=b"oneproxy temporary gruu").derive(secret))

    def temporary(self, aor: str, binding: Binding) -> str:
        """A temporary GRUU of the instance at `binding`, another one every time."""
        user, _, host = aor.rpartition("@")
        plain = os.urandom(_SALT) + _epoch(binding) + user.encode("latin-1")
        plain += b"\0" * (-len(plain) % _BLOCK)
        sealed = self._cipher.encrypt(plain, [host.encode("latin-1")])
        opaque = urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")
        return f"{_scheme(binding)}:{_PREFIX}{opaque}@{host};gr"

    def read(self, uri: Uri, host: str) -> tuple[str, bytes] | None:
        """The AoR and the epoch of a temporary GRUU of the domain `host`; None for what is none."""
        user = uri.user or ""
        opaque = user[len(_PREFIX) :]
        if not user.startswith(_PREFIX) or len(opaque) > _LONGEST or not opaque.isascii():
            return None
        try:
            sealed = urlsafe_b64decode(opaque + "=" * (-len(opaque) % 4))
            plain = self._cipher.decrypt(sealed, [host.encode("latin-1")])
        except (Error, ValueError, InvalidTag):
            # Made up, of another farm, or from before the secret changed.
            return None
        name = plain[_SALT + _EPOCH :].rstrip(b"\0").decode("latin-1")
        return f"{name}@{host}", plain[_SALT : _SALT + _EPOCH]


def public(aor: str, binding: Binding) -> str:
    """The public GRUU of the instance at `binding` of `aor` (RFC 5627 3.1.1)."""
    return f"{_scheme(binding)}:{aor};gr={escape_parameter(_name(binding.instance))}"


def of_instance(bindings: Sequence[Binding], name: str) -> list[Binding]:
    """Those of the instance that a public GRUU names in its "gr"."""
    wanted = name.lower()
    return [binding for binding in bindings if _name(binding.instance).lower() == wanted]


def of_epoch(bindings: Sequence[Binding], epoch: bytes) -> list[Binding]:
    """Those of the instance whose registration has this epoch; [] where it is over."""
    for binding in bindings:
        if binding.instance and _epoch(binding) == epoch:
            return [one for one in bindings if one.instance == binding.instance]
    return []


def _epoch(binding: Binding) -> bytes:
    registration = f"{binding.since!r}\n{binding.call_id}\n{binding.instance}"
    return blake2b(registration.encode("latin-1"), digest_size=_EPOCH).digest()


def _name(instance: str) -> str:
    """An instance as a "gr" has it: "<urn:uuid:1>" without its brackets."""
    return instance[1:-1] if len(instance) > 2 and instance[0] == "<" and instance[-1] == ">" else instance


def _scheme(binding: Binding) -> str:
    """RFC 5630 5.1.1: who registers a SIPS contact is given SIPS GRUUs."""
    return "sips" if binding.contact[:5].lower() == "sips:" else "sip"
