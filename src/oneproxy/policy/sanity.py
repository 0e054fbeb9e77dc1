"""What a proxy and a registrar refuse before anything else (RFC 3261 16.3, 8.2.2).

416  a Request-URI of a scheme that is not understood (16.3 step 2)
420  Proxy-Require, or Require in a REGISTER, of what is not understood (16.3 step 5)
403  a Route that leads somewhere else: nobody outside a dialog may send through us
"""

from collections.abc import Callable
from typing import Final

from oneproxy.engine.decisions import Ask, Decision, Reply
from oneproxy.sip import read
from oneproxy.sip.malformed import REASONS, Malformed
from oneproxy.sip.message import Request
from oneproxy.sip.uri import Uri, parse_uri

SCHEMES: Final = frozenset(("sip", "sips", "tel"))

UNSUPPORTED_SCHEME: Final = Reply(416, "Unsupported URI Scheme")
FOREIGN_ROUTE: Final = Reply(403, "Route Not Allowed")
BAD_ROUTE: Final = Reply(400, REASONS[Malformed.ROUTE])


class Sanity:
    """The first step. is_here: whether a URI names this node or a served domain."""

    __slots__ = ("_is_here", "_register_tags")

    def __init__(self, is_here: Callable[[Uri], bool], register_tags: frozenset[str]) -> None:
        """register_tags: the option tags that the registrar understands, in lower case."""
        self._is_here = is_here
        self._register_tags = register_tags

    def decide(self, ask: Ask) -> Decision | None:
        """Refuse, or pass."""
        request = ask.request
        if ask.uri.scheme not in SCHEMES:
            return UNSUPPORTED_SCHEME
        first = request.first
        if "proxy-require" in first:
            refused = _refuse_tags(read.proxy_require(request), frozenset())
            if refused is not None:
                return refused
        if "require" in first and request.method == "REGISTER":
            refused = _refuse_tags(read.require(request), self._register_tags)
            if refused is not None:
                return refused
        return self._check_route(request) if "route" in first else None

    def _check_route(self, request: Request) -> Reply | None:
        """Pass a Route of our own, of a client that has us for its outbound proxy."""
        routes = read.routes(request)
        if isinstance(routes, Malformed):
            return BAD_ROUTE
        for route in routes:
            uri = parse_uri(route.uri)
            if isinstance(uri, Malformed):
                return BAD_ROUTE
            if not self._is_here(uri):
                return FOREIGN_ROUTE
        return None


def _refuse_tags(tags: list[str], known: frozenset[str]) -> Reply | None:
    """The 420 that names the option tags that are not in `known` (RFC 3261 8.2.2.3)."""
    unknown = [tag for tag in tags if tag.lower() not in known]
    if not unknown:
        return None
    return Reply(420, "Bad Extension", (f"Unsupported: {', '.join(unknown)}",))
