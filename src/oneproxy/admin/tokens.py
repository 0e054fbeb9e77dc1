"""Who may use the HTTP API: bearer tokens (RFC 6750), of which only the hashes are known here."""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from time import monotonic
from typing import Annotated, Final

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from oneproxy import logs
from oneproxy.admin.guesses import WINDOW_S, WRONG, Guesses
from oneproxy.admin.problem import ProblemError
from oneproxy.site.model import Token

READ: Final = "read"
WRITE: Final = "write"
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="oneproxy"'}

log = structlog.get_logger()
_seldom = logs.RateLimited(log)
_bearer = HTTPBearer(auto_error=False, description="a token that `oneproxy token` made")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


class Tokens:
    """The tokens of the configuration file, and who guesses them."""

    def __init__(self, tokens: Sequence[Token], guesses: Guesses | None = None) -> None:
        self._tokens = tuple(tokens)
        self.guesses = guesses or Guesses()

    def find(self, secret: str) -> Token | None:
        """Whose token `secret` is. All are compared, in constant time: how long it takes tells nothing."""
        hashed = sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for token in self._tokens:
            if hmac.compare_digest(token.sha256, hashed):
                found = token
        return found

    def __len__(self) -> int:
        return len(self._tokens)


def source_of(request: Request) -> str:
    """Where a request came from, for the log."""
    return f"{request.client.host}:{request.client.port}" if request.client else ""


async def reader(request: Request, credentials: _Credentials) -> Token:
    """Whoever asks has a token of any role."""
    tokens: Tokens = request.app.state.tokens
    if credentials is None:
        why = "a token" if len(tokens) else "tokens, of which none is configured: see `oneproxy token`"
        raise ProblemError(401, "no-token", f"this needs {why}", _CHALLENGE)
    found = tokens.find(credentials.credentials)
    host = request.client.host if request.client else ""
    guesses = tokens.guesses
    closed = guesses.is_closed(host, found.name if found else "")
    if found is None and len(tokens):
        guesses.wrong(host)
    if closed:
        _seldom.warning("tokens guessed", monotonic(), source=source_of(request))
        detail = f"{WRONG} wrong tokens came from this address; it is not listened to for a while"
        raise ProblemError(429, "guessed", detail, {"Retry-After": str(int(WINDOW_S))})
    if found is None:
        _seldom.warning("token refused", monotonic(), source=source_of(request))
        challenge = {"WWW-Authenticate": _CHALLENGE["WWW-Authenticate"] + ', error="invalid_token"'}
        raise ProblemError(401, "wrong-token", "nobody has this token", challenge)
    guesses.right(host, found.name)
    request.state.who = found.name
    return found


async def writer(token: Annotated[Token, Depends(reader)]) -> Token:
    """Whoever asks has a token of the role "write"."""
    if token.role != WRITE:
        raise ProblemError(403, "read-only", f'the token {token.name} has the role "{token.role}"')
    return token


Reader = Annotated[Token, Depends(reader)]
Writer = Annotated[Token, Depends(writer)]
