"""Who we are and where a request goes next (RFC 3261 16.4, 16.6 steps 6 and 7)."""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from oneproxy.engine.flow import BRANCH_COOKIE, Hop, Listener
from oneproxy.sip.address import parse_address
from oneproxy.sip.check import check
from oneproxy.sip.credentials import parse_credentials
from oneproxy.sip.edit import Edit
from oneproxy.sip.fields import split_list
from oneproxy.sip.host import parse_host
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request, split
from oneproxy.sip.uri import Uri, parse_uri
from oneproxy.sip.via import parse_via

#: In place of the number of Route values that are ours and go: there is one, and no other.
ONLY_OURS: Final = -2
#: No Route of the sender's is left, since policy alone says where a request goes outside of a
#: dialog.
NO_ROUTE: Final = -1

#: The parameter of our Record-Route that has the mark of the dialog (engine/dialog.py).
PARAMETER: Final = "mark"
MARK: Final = f";{PARAMETER}="

#: RFC 3261 19.1.2, RFC 7118 5.3: where a transport has a port of its own.
_PORTS: Final = {"TLS": 5061, "SIPS": 5061, "WS": 80, "WSS": 443}
#: What the transport parameter of a URI names in a SIP and in a SIPS URI (RFC 7118 5.2.3).
_SIP: Final = {"udp": "UDP", "tcp": "TCP", "tls": "TLS", "ws": "WS", "wss": "WSS"}
_SIPS: Final = {"tcp": "TLS", "tls": "TLS", "ws": "WSS", "wss": "WSS"}


#: Where URIs lead that were read before: a contact or a route is asked for again and again,
#: and this saves 1.5 us each time.
_known: dict[str, Hop] = {}
_KNOWN: Final = 4096
#: Route values of ours that are taken off at once: two for each time that a dialog comes by.
_MOST_OWN: Final = 8
_KNOWN_LENGTH: Final = 256


class Own:
    """The names under which others address this node.

    listeners: what it listens on. domains: hosts that it answers OPTIONS for as itself.
    also: further addresses that lead here, as host, port and whether for connections: those
    of the machine where it listens on all of them, or where others are told another one.
    """

    __slots__ = ("_addresses", "_domains", "_kinds", "_ports", "_routes")

    def __init__(
        self, listeners: list[Listener], domains: Iterable[str], also: Iterable[tuple[str, int, bool]] = ()
    ) -> None:
        #: The same, and whether for connections: somebody else may have the port for datagrams.
        told = [(listener.host, listener.port, listener.reliable) for listener in listeners]
        self._kinds = {(plain_host(host), port, reliable) for host, port, reliable in (*told, *also)}
        self._addresses = {(host, port) for host, port, _ in self._kinds}
        self._ports = {port for _, port in self._addresses}
        self._domains: frozenset[str] = frozenset()
        self.serve(domains)
        #: Our Record-Route as it comes back in a Route, up to its mark.
        self._routes = {f"<{listener.route_uri}" for listener in listeners} | {
            f"<{listener.sips_route_uri}" for listener in listeners
        }

    def serve(self, domains: Iterable[str]) -> None:
        """From now on these are the hosts that it answers for as itself."""
        self._domains = frozenset(map(plain_host, domains))

    def is_here(self, uri: Uri) -> bool:
        """Whether `uri` names this node or a domain that it serves."""
        host = plain_host(uri.host)
        return host in self._domains or self._is_own(host, uri)

    def is_next_hop(self, hop: Hop) -> bool:
        """Whether what goes to `hop` would come back here."""
        transport, host, port = hop
        port = port or _PORTS.get(transport, 5060)
        if port not in self._ports:
            return False
        host = plain_host(host)
        return host in self._domains or (host, port, transport not in ("UDP", "")) in self._kinds

    def passed(self, request: Request) -> tuple[int, str]:
        """How many of the top Route values are ours, and the mark of the last of them.

        ONLY_OURS where there is no other; two where the dialog changes transport or interface
        here (RFC 5658); 0 and "" where the first one is not ours. "" too where there is no
        mark in it.
        """
        at = request.first.get("route")
        if at is None:
            return 0, ""
        value = request.values[at].strip(" \t")
        if "," not in value and "route" not in request.again:
            # The way of nearly all requests of a dialog.
            route, found, rest = value.partition(MARK)
            if found and route in self._routes:
                return ONLY_OURS, rest.partition(">")[0].partition(";")[0]
        count = 0
        mark = ""
        for route in route_values(request)[:_MOST_OWN]:
            uri = _uri_of(route)
            if uri is None or not self._is_own(plain_host(uri.host), uri):
                break
            count += 1
            mark = uri.params.get(PARAMETER) or ""
        return count, mark

    def spent(self, request: Request) -> tuple[int, ...]:
        """Places of the proofs that a request has for this proxy (RFC 3261 22.3).

        Phones repeat them inside of a dialog, where nobody asks for them; who is called
        could use them.
        """
        if "proxy-authorization" not in request.first:
            return ()
        return tuple(
            at
            for at in request.positions("proxy-authorization")
            if _realm(request.values[at]) in self._domains
        )

    def is_own_route(self, uri: Uri) -> bool:
        """Whether `uri` is one that we put into a Record-Route (RFC 3261 16.4)."""
        return PARAMETER in uri.params and self._is_own(plain_host(uri.host), uri)

    def branch_of(self, value: str) -> str:
        """What follows the cookie of the branch in a Via that names us in an unusual spelling."""
        values = split_list(value)
        via = parse_via(values[0]) if values else Malformed.VIA
        if isinstance(via, Malformed):
            return ""
        port = via.port or _PORTS.get(via.transport, 5060)
        if (plain_host(via.host), port) not in self._addresses:
            return ""
        branch = via.branch or ""
        return branch[len(BRANCH_COOKIE) :] if branch.startswith(BRANCH_COOKIE) else ""

    def _is_own(self, host: str, uri: Uri) -> bool:
        return (host, uri.port or _PORTS.get(_transport(uri), 5060)) in self._addresses


def _realm(value: str) -> str:
    """The realm of credentials; "" where there is none to be read."""
    realm, found, _ = value.partition('realm="')[2].partition('"')
    if not found:
        credentials = parse_credentials(value)
        realm = "" if isinstance(credentials, Malformed) else credentials.params.get("realm", "")
    return realm.lower()


def unstrict(request: Request, own: Own) -> tuple[Request, str]:
    """Undo what a strict router did (RFC 3261 16.4): our route in the request line, and what
    belongs there behind all other Route values. The request as it was meant, and our mark.
    """
    uri = parse_uri(request.uri)
    if isinstance(uri, Malformed) or not own.is_own_route(uri):
        return request, ""
    left = route_values(request)
    address = parse_address(left.pop()) if left else Malformed.ROUTE
    if isinstance(address, Malformed):
        return request, ""
    edit = Edit(request)
    edit.drop_all("route")
    if left:
        edit.push(f"Route: {', '.join(left)}")
    edit.lines[0] = f"{request.method} {address.uri} SIP/2.0"
    # Strict routers are few: splitting anew is dear and simple.
    meant = split(edit.join())
    if not isinstance(meant, Request) or check(meant) is not None:
        return request, ""
    return meant, uri.params.get(PARAMETER) or ""


def next_hop(request: Request, uri: str, passed: int, route: tuple[str, ...] = ()) -> Hop | None:
    """The next hop of `request`, or None where there is no way to know.

    uri: the new Request-URI. route: Route values that will be pushed. passed: how many of
    its Route values are ours and go; the next one says the way. ONLY_OURS, NO_ROUTE: none does.
    """
    if route:
        return _hop_of_route(route[0])
    if passed >= 0 and "route" in request.first:
        values = route_values(request)
        if len(values) > passed:
            return _hop_of_route(values[passed])
    return hop_of(uri)


def next_uri(request: Request, passed: int) -> str:
    """The URI that says where `request` goes on its own route: the next Route's, or its own.

    passed: as for `next_hop`. "" where the next Route can't be read.
    """
    if passed >= 0 and "route" in request.first:
        values = route_values(request)
        if len(values) > passed:
            address = parse_address(values[passed])
            return "" if isinstance(address, Malformed) else address.uri
    return request.uri


def hop_of(text: str) -> Hop | None:
    """Where a request for the URI `text` goes: as much of it as the URI says (16.6 step 7)."""
    hop = _known.get(text)
    if hop is None:
        hop = _read_hop(text)
        if hop is not None and len(text) <= _KNOWN_LENGTH:
            if len(_known) >= _KNOWN:
                _known.clear()
            _known[text] = hop
    return hop


def _read_hop(text: str) -> Hop | None:
    uri = parse_uri(text)
    if isinstance(uri, Malformed) or not uri.host:
        return None
    host: str | None = uri.host
    transport = _transport(uri)
    if uri.params:
        maddr = uri.params.get("maddr")
        if maddr:
            # Read as a host, or our own name in capitals would not be known for ours.
            host = parse_host(maddr)
        if not transport and "transport" in uri.params:
            return None
    if not host:
        return None
    port = uri.port or 0
    if port or is_numeric(host):
        # RFC 3263 4.1, 4.2: there is nothing to look up but, maybe, the address.
        if transport in ("", "SIPS"):
            transport = "TLS" if transport else "UDP"
        return transport, host, port or _PORTS.get(transport, 5060)
    return transport, host, 0


def is_numeric(host: str) -> bool:
    """Whether `host`, well-formed, is an IP address."""
    return ":" in host or (host[-1].isdigit() and host.replace(".", "").isdigit())


def same_host(a: str, b: str) -> bool:
    """Whether two hosts are one, however an IPv6 address is spelled."""
    return a == b or (":" in a and ":" in b and plain_host(a) == plain_host(b))


def is_loose(route: str) -> bool:
    """Whether the element that a Route value names is a loose router (RFC 3261 19.1.1)."""
    uri = _uri_of(route)
    return uri is None or "lr" in uri.params


def route_values(request: Request) -> list[str]:
    """Every Route value of `request`, the next hop first."""
    return [value for at in request.positions("route") for value in split_list(request.values[at])]


def _transport(uri: Uri) -> str:
    """The transport that `uri` names; "" for none, or for one that there is not."""
    if uri.scheme == "sips":
        return _SIPS.get((uri.params.get("transport") or "").lower(), "SIPS") if uri.params else "SIPS"
    return _SIP.get((uri.params.get("transport") or "").lower(), "") if uri.params else ""


def _uri_of(route: str) -> Uri | None:
    address = parse_address(route)
    uri = address if isinstance(address, Malformed) else parse_uri(address.uri)
    return None if isinstance(uri, Malformed) else uri


def _hop_of_route(value: str) -> Hop | None:
    address = parse_address(value)
    return None if isinstance(address, Malformed) else hop_of(address.uri)


def plain_host(host: str) -> str:
    """A host, in lower case, in the one spelling that equal hosts share."""
    if ":" not in host:
        return host.rstrip(".") if host[-1:] == "." else host
    try:
        address = ip_address(host)
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
