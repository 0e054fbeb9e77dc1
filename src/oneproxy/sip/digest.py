"""The arithmetic of Digest authentication (RFC 7616 3.4, RFC 8760, RFC 2069), and nothing else.

Text that people wrote (user, realm, password) is hashed as UTF-8, as RFC 7616 4 asks;
text off the wire is in Latin-1, one character an octet, and is hashed as those octets.
"""

import hashlib
import hmac
import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, Final

# MD5 stands here because RFC 3261 made it. Python's own takes 0.2 us for what is hashed here; it
# is not in every build, and OpenSSL's takes 0.8, and needs to be told in one that is FIPS.
_md5: Callable[[bytes], Any]
try:
    _md5 = importlib.import_module("_md5").md5
except ImportError:
    _md5 = partial(hashlib.md5, usedforsecurity=False)

_HASHES: Final[dict[str, Callable[[bytes], Any]]] = {
    "MD5": _md5,
    "SHA-256": hashlib.sha256,
    "SHA-512-256": partial(hashlib.new, "sha512_256"),
}
_SESSION: Final = "-sess"

ALGORITHMS: Final = tuple(_HASHES)


def hash_text(algorithm: str, octets: bytes) -> str:
    """H(octets) in lower-case hexadecimal; `algorithm` is one of ALGORITHMS."""
    digest: str = _HASHES[algorithm](octets).hexdigest()
    return digest


def make_ha1(algorithm: str, user: str, realm: str, password: str) -> str:
    """H(user:realm:password), which is all that is kept of a password (RFC 7616 3.4.2)."""
    return hash_text(algorithm.removesuffix(_SESSION), f"{user}:{realm}:{password}".encode())


def make_response(
    algorithm: str,
    ha1: str,
    method: str,
    uri: str,
    nonce: str,
    qop: str | None = None,
    nc: str = "",
    cnonce: str = "",
    body: str = "",
) -> str:
    """The response that proves `ha1`, in lower-case hexadecimal (RFC 7616 3.4.1 to 3.4.3).

    algorithm: one of ALGORITHMS, or with "-sess" behind it. qop: "auth", "auth-int" or,
    for clients that know RFC 2069 only, None. uri: as the credentials have it. body: of
    the request, in Latin-1; it counts for "auth-int".
    """
    plain = algorithm.removesuffix(_SESSION)
    make = _HASHES[plain]
    if plain is not algorithm:
        ha1 = make(f"{ha1}:{nonce}:{cnonce}".encode("latin-1")).hexdigest()
    request = f"{method}:{uri}"
    if qop == "auth-int":
        request = f"{request}:{hash_text(plain, body.encode('latin-1'))}"
    ha2 = make(request.encode("latin-1")).hexdigest()
    proved = f"{ha1}:{nonce}:{ha2}" if qop is None else f"{ha1}:{nonce}:{nc}:{cnonce}:{qop}:{ha2}"
    response: str = make(proved.encode("latin-1")).hexdigest()
    return response


def same_response(expected: str, given: str) -> bool:
    """Whether `given` (off the wire, any case) is `expected`; takes as long if it is not."""
    return hmac.compare_digest(expected.encode("latin-1"), given.lower().encode("latin-1", "replace"))
