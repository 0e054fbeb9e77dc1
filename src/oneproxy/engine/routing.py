"""Who we are and where a request goes next (RFC 3261 16.4, 16.6 steps 6 and 7)."""

from typing import Final

from oneproxy.engine.dialog import PARAMETER
from oneproxy.engine.flow import BRANCH_COOKIE, Listener
from oneproxy.sip.address import parse_address
from oneproxy.sip.fields import split_list
from oneproxy.sip.host import parse_host
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request
from oneproxy.sip.uri import Uri, parse_uri
from oneproxy.sip.via import parse_via

_MARK: Final = f";{PARAMETER}="

Hop = tuple[str, str, int]


class Own:
    """The names under which others address this node.

    listeners: what it listens on. domains: hosts that it answers OPTIONS for as itself.
    """

    __slots__ = ("_addresses", "_domains", "_ports", "_routes")

    def __init__(self, listeners: list[Listener], domains: frozenset[str]) -> None:
        self._addresses = {(listener.host, listener.port) for listener in listeners}
        self._ports = {listener.port for listener in listeners}
        self._domains = domains
        #: Our Record-Route as it comes back in a Route, up to its mark.
        self._routes = {f"<{listener.route_uri}" for listener in listeners}

    def is_here(self, uri: Uri) -> bool:
        """Whether `uri` names this node or a domain that it serves."""
        return uri.host in self._domains or (uri.host, uri.port or 5060) in self._addresses

    def is_next_hop(self, host: str, port: int) -> bool:
        """Whether what goes to `host` and `port` would come back here."""
        return port in self._ports and (host in self._domains or (host, port) in self._addresses)

    def mark(self, request: Request) -> str | None:
        """The dialog mark in the top Route if that is ours; "" without one, None if not ours."""
        value = request.values[request.first["route"]].strip(" \t")
        route, found, rest = value.partition(_MARK)
        if found and route in self._routes:
            return rest.partition(">")[0]
        address = parse_address(split_list(value)[0]) if value else Malformed.ROUTE
        if isinstance(address, Malformed):
            return None
        uri = parse_uri(address.uri)
        if isinstance(uri, Malformed) or (uri.host, uri.port or 5060) not in self._addresses:
            return None
        return uri.params.get(PARAMETER) or ""

    def branch_of(self, value: str) -> str:
        """What follows the cookie of the branch in a Via that names us in an unusual spelling."""
        values = split_list(value)
        via = parse_via(values[0]) if values else Malformed.VIA
        if isinstance(via, Malformed) or (via.host, via.port or 5060) not in self._addresses:
            return ""
        branch = via.branch or ""
        return branch[len(BRANCH_COOKIE) :] if branch.startswith(BRANCH_COOKIE) else ""


def next_hop(request: Request, uri: str, in_dialog: bool, route: tuple[str, ...] = ()) -> Hop | None:
    """Transport, host and port of the next hop, or None where there is no way to know.

    uri: the new Request-URI. route: Route values that will be pushed. in_dialog: the
    request follows its own Route, of which the top value is ours and goes.
    """
    if route:
        return _hop_of_route(route[0])
    if in_dialog:
        left = _next_route(request)
        if left is not None:
            return _hop_of_route(left)
    return _hop(uri)


def _next_route(request: Request) -> str | None:
    """The second Route value of `request`, or None."""
    values = [value for at in request.positions("route") for value in split_list(request.values[at])]
    return values[1] if len(values) > 1 else None


def _hop_of_route(value: str) -> Hop | None:
    address = parse_address(value)
    return None if isinstance(address, Malformed) else _hop(address.uri)


def _hop(text: str) -> Hop | None:
    """RFC 3261 16.6 step 7 for a URI that names its transport, host and port."""
    uri = parse_uri(text)
    if isinstance(uri, Malformed) or not uri.host:
        return None
    params = uri.params
    host = uri.host
    transport = "UDP"
    if params:
        transport = (params.get("transport") or "udp").upper()
        maddr = params.get("maddr")
        if maddr:
            # Read as a host, or our own name in capitals would not be known for ours.
            host = parse_host(maddr) or ""
    if uri.scheme == "sips":
        transport = "TLS"
    return (transport, host, uri.port or (5061 if transport == "TLS" else 5060)) if host else None
