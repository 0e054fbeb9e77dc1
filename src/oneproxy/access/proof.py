"""Digest credentials as a request presents them, checked for what they must hold (RFC 7616 3.4)."""

from string import hexdigits
from typing import Final

from oneproxy.access.replays import ONCE
from oneproxy.sip.credentials import Credentials
from oneproxy.sip.malformed import Malformed

_NC_DIGITS: Final = 8
_ALGORITHMS: Final = {"MD5": "MD5", "SHA-256": "SHA-256", "SHA-512-256": "SHA-512-256"}


class Proof:
    """What a client says to prove that it knows the password.

    algorithm: spelled as we spell it, "" for one that is unknown here. qop: "auth",
    "auth-int", or None from a client of RFC 2069. count: what nc says, ONCE without one.
    """

    __slots__ = ("algorithm", "cnonce", "count", "nc", "nonce", "qop", "response", "uri", "user")

    def __init__(self, user: str, nonce: str, uri: str, response: str) -> None:
        self.user = user
        self.nonce = nonce
        self.uri = uri
        self.response = response
        self.algorithm = "MD5"
        self.qop: str | None = None
        self.nc = ""
        self.count = ONCE
        self.cnonce = ""


def read_proof(credentials: Credentials) -> Proof | Malformed:
    """The proof in Digest `credentials`, or Malformed.CREDENTIALS where one cannot be made.

    RFC 7616 3.4: a parameter that is required and absent, or improper, is a 400. A
    missing qop is what RFC 2069 looks like; SHA-256 and later never came without one
    (RFC 8760 2.6), so there it is a fault.
    """
    params = credentials.params
    try:
        proof = Proof(params["username"], params["nonce"], params["uri"], params["response"])
    except KeyError:
        return Malformed.CREDENTIALS
    written = params.get("algorithm")
    if written is not None:
        proof.algorithm = _ALGORITHMS.get(written) or _ALGORITHMS.get(written.upper(), "")
    qop = params.get("qop")
    if qop is None:
        return proof if proof.algorithm == "MD5" else Malformed.CREDENTIALS
    proof.qop = qop if qop == "auth" else qop.lower()
    proof.nc = nc = params.get("nc", "")
    proof.cnonce = params.get("cnonce", "")
    if proof.qop not in ("auth", "auth-int") or not proof.cnonce:
        return Malformed.CREDENTIALS
    # RFC 7616 3.4: eight hexadecimal digits; fewer say as much.
    if not nc or len(nc) > _NC_DIGITS or nc.strip(hexdigits):
        return Malformed.CREDENTIALS
    proof.count = int(nc, 16)
    return proof
