"""What a proxy and a registrar refuse before anything else (RFC 3261 16.3, 8.2.1, 8.2.2).

416  a Request-URI of a scheme that is not understood (16.3 step 2)
420  Proxy-Require, or Require in a REGISTER, of what is not understood (16.3 step 5)
403  a Route that leads somewhere else: nobody outside a dialog may send through us
481  a request that says it is inside of a dialog: those of dialogs that went through this
     farm come with its mark, and are asked about only where they go elsewhere
405  a method that this node, or a domain without a user in it, does not serve (8.2.1);
501  one that nobody here has heard of (21.5.2)
"""

from collections.abc import Callable
from typing import Final

from oneproxy.engine.decisions import Ask, Decision, Reply
from oneproxy.sip import read
from oneproxy.sip.malformed import REASONS, Malformed
from oneproxy.sip.message import Request
from oneproxy.sip.uri import Uri, parse_uri

SCHEMES: Final = frozenset(("sip", "sips", "tel"))

#: What is done with a request to the node itself. The engine answers OPTIONS and CANCEL.
SERVED: Final = frozenset(("CANCEL", "OPTIONS", "REGISTER"))
#: Methods that an answer tells from a slip: RFC 3261, 3262, 3311, 3428, 3515, 3903, 6086, 6665.
KNOWN: Final = SERVED | frozenset(
    ("ACK", "BYE", "INFO", "INVITE", "MESSAGE", "NOTIFY", "PRACK", "PUBLISH", "REFER", "SUBSCRIBE", "UPDATE")
)
ALLOW: Final = (f"Allow: {', '.join(sorted(SERVED))}",)

#: Lines of Route, and characters in one, that are read of who has proved nothing yet.
_MOST: Final = 20
_LONGEST: Final = 1024

NOT_ALLOWED: Final = Reply(405, "Method Not Allowed", ALLOW)
NOT_IMPLEMENTED: Final = Reply(501, "Not Implemented", ALLOW)
UNSUPPORTED_SCHEME: Final = Reply(416, "Unsupported URI Scheme")
FOREIGN_ROUTE: Final = Reply(403, "Route Not Allowed")
NO_DIALOG: Final = Reply(481, "Call/Transaction Does Not Exist")
BAD_ROUTE: Final = Reply(400, REASONS[Malformed.ROUTE])


class Sanity:
    """The first step."""

    __slots__ = ("_is_here", "_is_node", "_register_tags")

    def __init__(
        self,
        is_here: Callable[[Uri], bool],
        is_node: Callable[[Uri], bool],
        register_tags: frozenset[str],
    ) -> None:
        """is_here: whether a URI names this node or a served domain, whoever the user.

        is_node: the same, without a user. register_tags: the option tags that the registrar
        understands, in lower case.
        """
        self._is_here = is_here
        self._is_node = is_node
        self._register_tags = register_tags

    def decide(self, ask: Ask) -> Decision | None:
        """Refuse, or pass."""
        request = ask.request
        if ask.uri.scheme not in SCHEMES:
            return UNSUPPORTED_SCHEME
        if request.to_tag and request.method != "REGISTER" and not ask.inside:
            # Some peers put a tag into the To of a REGISTER; nothing is relayed by one.
            return NO_DIALOG
        first = request.first
        if "proxy-require" in first:
            refused = _refuse_tags(read.proxy_require(request), frozenset())
            if refused is not None:
                return refused
        if "require" in first and request.method == "REGISTER":
            refused = _refuse_tags(read.require(request), self._register_tags)
            if refused is not None:
                return refused
        if "route" in first and not ask.inside:
            refused = self._check_route(request)
            if refused is not None:
                return refused
        if ask.uri.user is None and request.method not in SERVED and self._is_node(ask.uri):
            return NOT_ALLOWED if request.method in KNOWN else NOT_IMPLEMENTED
        return None

    def _check_route(self, request: Request) -> Reply | None:
        """Pass a Route of our own, of a client that has us for its outbound proxy."""
        if len(request.positions("route")) > _MOST or max(map(len, request.all("route"))) > _LONGEST:
            return BAD_ROUTE
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
