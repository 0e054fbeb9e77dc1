"""Calls that come from gateways: which gateway, by the address, and which number is called.

A gateway is known by where it sends from: the address of its URI, what its name leads to, the
networks of its `sources`, or the name in its TLS certificate. That lets its calls in by the routes
that are made for it (`inbound`), and nothing else: it is trusted for what comes from there alone.
"""

from collections.abc import Iterable
from ipaddress import IPv6Network, ip_network
from typing import Final

from oneproxy.engine.decisions import Ask
from oneproxy.sip.address import parse_address
from oneproxy.sip.host import to_address
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request
from oneproxy.sip.uri import Uri, parse_uri
from oneproxy.site.model import Format
from oneproxy.trunks.numbers import number_or_user
from oneproxy.trunks.rewriting import Form

_REMEMBERED: Final = 16_384
_BITS: Final = 128
#: IPv4 in IPv6 (RFC 4291 2.5.5.2): one table holds both.
_MAPPED: Final = 0xFFFF << 32
_USUAL_PORT: Final = 5060


class Peer:
    """A gateway as inbound calls know it. host: in lower case; port: 5060 where the URI has none."""

    __slots__ = ("form", "format", "gateway", "host", "port", "provider", "sides", "sources")

    def __init__(
        self,
        provider: str,
        gateway: str,
        uri: str,
        sources: tuple[str, ...] = (),
        format_: Format | None = None,
    ) -> None:
        self.provider = provider
        self.gateway = gateway
        self.sources = sources
        self.format = Format() if format_ is None else format_
        self.form = Form(self.format.form, self.format.country)
        #: How routes name it.
        self.sides = frozenset((provider, f"{provider}/{gateway}"))
        read = parse_uri(uri)
        self.host = "" if isinstance(read, Malformed) else read.host
        self.port = _USUAL_PORT if isinstance(read, Malformed) else read.port or _USUAL_PORT


class Arrival:
    """Where a call came from. peers: the gateways that are there, the likeliest first."""

    __slots__ = ("peers", "sides")

    def __init__(self, peers: tuple[Peer, ...]) -> None:
        self.peers = peers
        #: For `Call.sides`.
        self.sides = frozenset().union(*[peer.sides for peer in peers])

    def number(self, request: Request, uri: Uri) -> str:
        """The number that is called, where the first gateway puts it, in the form "+351..."."""
        peer = self.peers[0]
        return peer.form.read(_called(request, uri, peer.format.called_in))


class Peers:
    """The gateways by where they send from."""

    __slots__ = (
        "_any",
        "_arrivals",
        "_by_address",
        "_by_length",
        "_by_name",
        "_known",
        "_named",
        "_names_at",
    )

    def __init__(self, peers: Iterable[Peer] = ()) -> None:
        self._by_address: dict[int, list[Peer]] = {}
        self._by_length: list[tuple[int, dict[int, list[Peer]]]] = []
        #: By the host of the URI, where that is a name: whose certificate and addresses count.
        self._by_name: dict[str, list[Peer]] = {}
        #: What names lead to, as it was told; and which of them lead to an address.
        self._named: dict[str, tuple[int, ...]] = {}
        self._names_at: dict[int, list[str]] = {}
        #: By address and certificate, whatever the port: strangers come from as many as they like.
        self._known: dict[tuple[str, str], _Found] = {}
        self._arrivals: dict[tuple[str, int, str], Arrival] = {}
        self._any = False
        self.take(peers)

    def take(self, peers: Iterable[Peer]) -> None:
        """These are the gateways from now on. What names lead to is still known."""
        self._by_address, self._by_name = {}, {}
        lengths: dict[int, dict[int, list[Peer]]] = {}
        for peer in peers:
            number = _number(peer.host)
            if number >= 0:
                self._by_address.setdefault(number, []).append(peer)
            elif peer.host:
                self._by_name.setdefault(peer.host, []).append(peer)
            for source in peer.sources:
                first, length = _place(source)
                lengths.setdefault(length, {}).setdefault(first, []).append(peer)
        self._by_length = [(_BITS - length, lengths[length]) for length in sorted(lengths, reverse=True)]
        self._any = bool(self._by_address or self._by_name or lengths)
        self._named = {name: found for name, found in self._named.items() if name in self._by_name}
        self._names_at = {}
        for name, found in self._named.items():
            self._lead(name, found)
        self._forget()

    def __contains__(self, host: object) -> bool:
        """Whether some gateway sends from this IP address."""
        return self._any and isinstance(host, str) and self._found(host, "") is not _NOBODY

    def is_client(self, name: str) -> bool:
        """Whether a gateway has this name, which its TLS certificate may show."""
        return name.lower() in self._by_name

    @property
    def names(self) -> list[str]:
        """The host names of gateways, whose addresses somebody has to look up."""
        return list(self._by_name)

    def resolved(self, name: str, addresses: Iterable[str]) -> None:
        """A host name leads to these IP addresses from now on."""
        if name in self._by_name:
            found = tuple([_number(address) for address in addresses])
            before = self._named.get(name, ())
            if before != found:
                self._named[name] = found
                for number in dict.fromkeys(before):
                    names = self._names_at[number]
                    names.remove(name)
                    if not names:
                        del self._names_at[number]
                self._lead(name, found)
                self._forget()

    def find(self, host: str, port: int, client: str = "") -> Arrival | None:
        """The gateways that send from an IP address; None where none does.

        port: where it was sent from; it tells gateways of one address apart. client: the name in
        the verified TLS certificate, "" for none.
        """
        if not self._any:
            return None
        found = self._found(host, client)
        if found is _NOBODY:
            return None
        key = host, port, client
        arrival = self._arrivals.get(key)
        if arrival is None:
            if len(self._arrivals) >= _REMEMBERED:
                self._arrivals.clear()
            arrival = self._arrivals[key] = Arrival(found.likeliest(port))
        return arrival

    def _lead(self, name: str, found: tuple[int, ...]) -> None:
        for number in dict.fromkeys(found):
            self._names_at.setdefault(number, []).append(name)

    def _forget(self) -> None:
        self._known, self._arrivals = {}, {}

    def _found(self, host: str, client: str) -> "_Found":
        found = self._known.get((host, client))
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[host, client] = self._look_up(host, client)
        return found

    def _look_up(self, host: str, client: str) -> "_Found":
        by_name = self._by_name.get(client.lower(), []) if client else []
        number = _number(host)
        if number < 0:
            return _Found(by_name, [], []) if by_name else _NOBODY
        at_address = self._by_address.get(number, [])
        for name in self._names_at.get(number, ()):
            at_address = at_address + self._by_name[name]
        nearby: list[Peer] = []
        for shift, networks in self._by_length:
            nearby += networks.get(number >> shift, ())
        return _Found(by_name, at_address, nearby) if by_name or at_address or nearby else _NOBODY


class _Found:
    """The gateways of one place: by their certificate, their address, their networks."""

    __slots__ = ("_at_address", "_by_name", "_nearby")

    def __init__(self, by_name: list[Peer], at_address: list[Peer], nearby: list[Peer]) -> None:
        self._by_name = by_name
        self._at_address = at_address
        self._nearby = nearby

    def likeliest(self, port: int) -> tuple[Peer, ...]:
        """All of them, those that send from this port before others of the address."""
        same = [peer for peer in self._at_address if peer.port == port]
        others = [peer for peer in self._at_address if peer.port != port]
        return tuple(dict.fromkeys([*self._by_name, *same, *others, *self._nearby]))


_NOBODY: Final = _Found([], [], [])


def may_go_out(ask: Ask) -> bool:
    """Whether who asks may use providers and targets on our account."""
    return ask.trusted or ask.subscriber is not None or isinstance(ask.peer, Arrival)


def _called(request: Request, uri: Uri, called_in: str) -> str:
    """The user of the URI that says who is called; that of the Request-URI where it says nothing."""
    if called_in != "uri":
        address = parse_address(request.get(called_in) or "")
        read = Malformed.URI if isinstance(address, Malformed) else parse_uri(address.uri)
        if not isinstance(read, Malformed) and read.user:
            return number_or_user(read)
    return number_or_user(uri)


def _number(host: str) -> int:
    """An address as 128 bits; -1 for what is none."""
    address = to_address(host)
    if address is None:
        return -1
    return int(address) if address.version == 6 else _MAPPED | int(address)


def _place(source: str) -> tuple[int, int]:
    """The first bits of a network, and how many they are of 128."""
    network = ip_network(source)
    length, number = network.prefixlen, int(network.network_address)
    if not isinstance(network, IPv6Network):
        number |= _MAPPED
        length += _BITS - 32
    return number >> (_BITS - length), length
