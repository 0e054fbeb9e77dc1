"""The answer to a digest challenge (RFC 7616), as a phone makes it."""

import hashlib
import re
import secrets
from typing import Final

_HASHES: Final = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def credentials(challenge: str, method: str, uri: str, user: str, password: str) -> str:
    """The value of Authorization or Proxy-Authorization for one challenge."""
    asked = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge.partition(" ")[2]))
    algorithm = asked.get("algorithm", "MD5")

    def digest(*parts: str) -> str:
        return hashlib.new(_HASHES[algorithm], ":".join(parts).encode()).hexdigest()

    client_nonce = secrets.token_hex(8)
    response = digest(
        digest(user, asked["realm"], password),
        asked["nonce"],
        "00000001",
        client_nonce,
        "auth",
        digest(method, uri),
    )
    return (
        f'Digest username="{user}", realm="{asked["realm"]}", nonce="{asked["nonce"]}", uri="{uri}", '
        f'response="{response}", algorithm={algorithm}, cnonce="{client_nonce}", qop=auth, nc=00000001'
    )
