"""From a password to what is kept of it: the HA1 of RFC 7616 3.4.2, by algorithm."""

import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

#: RFC 8760 2.1: the algorithms that are offered, and the hash of each.
HASHES: Final[dict[str, Callable[[bytes], Any]]] = {
    "SHA-256": hashlib.sha256,
    "SHA-512-256": partial(hashlib.new, "sha512_256"),
    # MD5 stands here because RFC 3261 made it; a FIPS build of OpenSSL needs to be told.
    "MD5": partial(hashlib.md5, usedforsecurity=False),
}


def hash_password(aor: str, password: str, algorithms: Iterable[str]) -> dict[str, str]:
    """Algorithm to lower-case hex H(user ":" realm ":" password), the realm being the domain of `aor`.

    Texts are hashed as UTF-8 (RFC 7616 4); the user is the part of `aor` before "@".
    """
    user, _, realm = aor.rpartition("@")
    secret = f"{user}:{realm}:{password}".encode()
    return {algorithm: HASHES[algorithm](secret).hexdigest() for algorithm in algorithms}
