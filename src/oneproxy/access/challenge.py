"""Challenges: what a client has to prove, one header field per algorithm (RFC 8760 2.3).

The field differs from one request to the next in its nonce only, so all that stands
around it is made once for each domain. "auth" is what is offered; a client that
protects the body too ("auth-int") is understood, but many stumble over a list here.
"""

from typing import Final

from oneproxy.engine.decisions import Reply
from oneproxy.sip.fields import quote
from oneproxy.site.model import Domain

_STALE: Final = ", stale=true"


class Challenge:
    """The 401 or 407 of one domain, without its nonce."""

    __slots__ = ("_pieces", "_reason", "_status")

    def __init__(self, domain: Domain, status: int) -> None:
        """status: 401, of the registrar, or 407, of the proxy (RFC 3261 22.2, 22.3)."""
        self._status = status
        self._reason = "Unauthorized" if status == 401 else "Proxy Authentication Required"
        header = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        before = f'{header}: Digest realm={quote(domain.name)}, nonce="'
        # In the domain's order: a client takes the first that it knows (RFC 7616 3.7).
        self._pieces = [(before, f'", algorithm={name}, qop="auth"') for name in domain.algorithms]

    def make(self, nonce: str, stale: bool, cause: str) -> Reply:
        """The response. stale: only the nonce was not good (RFC 7616 3.3). cause: why it is sent."""
        end = _STALE if stale else ""
        headers = tuple([f"{before}{nonce}{after}{end}" for before, after in self._pieces])
        return Reply(self._status, self._reason, headers, stateless=True, cause=cause)
