"""From DNS records to the ordered addresses of a hop (RFC 3263 4.1 and 4.2). Pure.

`locate` is a generator: it yields the questions that can be asked together, is sent their
answers in the same order, and returns the addresses. It knows neither sockets nor caches,
so that the cache answers a known name at once and a query answers an unknown one later,
with the same code, and each branch of the RFC is tested without a network.

    port said                   A and AAAA of the host
    neither port nor transport  NAPTR, then SRV of the services that it names
      no NAPTR                  SRV of each transport that we can
    transport said              SRV of it (WS, WSS: none are defined; A and AAAA)
      no SRV                    A and AAAA of the host, at the default port
"""

from collections.abc import Callable, Generator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from random import Random
from string import ascii_letters, digits
from typing import Final, NamedTuple

from oneproxy.engine.flow import Hop

#: Hosts whose addresses are asked for, for one hop: trying more would outlast every caller.
MAX_HOSTS: Final = 8

#: Whether some listener can reach addresses of an IP version (4 or 6) over a transport.
Can = Callable[[str, int], bool]

DEFAULT_PORTS: Final = {"UDP": 5060, "TCP": 5060, "TLS": 5061, "WS": 80, "WSS": 443}

#: RFC 3263 4.1: what a SIP or a SIPS URI may use where it says nothing, the default first.
_PLAIN: Final = ("UDP", "TCP")
_SECURE: Final = ("TLS",)
_SRV: Final = {"UDP": "_sip._udp.", "TCP": "_sip._tcp.", "TLS": "_sips._tcp."}
#: RFC 3263 4.1 and RFC 7118. SIPS+D2U would be DTLS, which nobody speaks.
_NAPTR: Final = {"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS", "SIP+D2W": "WS", "SIPS+D2W": "WSS"}

_MAX_NAME: Final = 253
_MAX_LABEL: Final = 63
_NAME: Final = ascii_letters + digits + "-._"

#: RFC 6724 2.1, without ::/0 (40) and the IPv4 row, which both have no network to look for.
_PRECEDENCE: Final = (
    (IPv6Network("::1/128"), 50),
    (IPv6Network("2002::/16"), 30),
    (IPv6Network("2001::/32"), 5),
    (IPv6Network("fc00::/7"), 3),
    (IPv6Network("::/96"), 1),
    (IPv6Network("fec0::/10"), 1),
    (IPv6Network("3ffe::/16"), 1),
)
_IPV6: Final = 40
_IPV4: Final = 35


class Question(NamedTuple):
    """A name in lower case without a dot at its end, and "A", "AAAA", "SRV" or "NAPTR"."""

    name: str
    kind: str


class Srv(NamedTuple):
    """An SRV record (RFC 2782). target: "" where the service is decidedly not available."""

    priority: int
    weight: int
    port: int
    target: str


class Naptr(NamedTuple):
    """A NAPTR record (RFC 3403). flags in lower case, service in upper case."""

    order: int
    preference: int
    flags: str
    service: str
    regexp: str
    replacement: str


class Answer(NamedTuple):
    """What became of one question; all empty where the name has no such records."""

    addresses: tuple[str, ...] = ()
    servers: tuple[Srv, ...] = ()
    services: tuple[Naptr, ...] = ()
    #: No name server said that there are records, or that there are none.
    failed: bool = False

    @property
    def found(self) -> bool:
        """Whether there are records."""
        return bool(self.addresses or self.servers or self.services)


NOTHING: Final = Answer()
FAILED: Final = Answer(failed=True)

Search = Generator[tuple[Question, ...], tuple[Answer, ...], list[Hop]]


def locate(hop: Hop, can: Can, random: Random) -> Search:
    """The addresses of `hop` as whole hops, in the order in which to try them.

    random: draws among SRV records of one priority, and among addresses of one host.
    """
    transport, host, port = hop
    usable = _usable(transport, can)
    numeric = parse_address(host)
    if port or numeric or transport in ("WS", "WSS"):
        if not usable:
            return []
        place = (usable[0], host, port or DEFAULT_PORTS[usable[0]])
        return (yield from _addresses([place], can, random))
    if not is_name(host):
        return []
    services: list[tuple[str, str]] = []
    if transport in ("", "SIPS"):
        (answer,) = yield (Question(host, "NAPTR"),)
        # A failure is taken for no records: there are name servers and middle boxes that
        # know no NAPTR, and the SRV records that follow say the same with less choice.
        services = choose(answer.services, transport == "SIPS", can)
    services = services or [(one, _SRV[one] + host) for one in usable]
    if not services:
        return []
    # The prefix makes a name of nearly full length too long to have any.
    asked = [service for service in services if is_name(service[1])]
    answers = (yield tuple(Question(name, "SRV") for _, name in asked)) if asked else ()
    places = [
        (service[0], server.target, server.port)
        for service, answer in zip(asked, answers, strict=True)
        for server in draw(answer.servers, random)
        if server.target and server.port
    ]
    if any(answer.servers for answer in answers):
        return (yield from _addresses(places, can, random))
    if any(answer.failed for answer in answers):
        # Whether there are SRV records is not known: the host of the domain may be its
        # web server, and a call that goes there ends later and worse than one refused now.
        return []
    transport = services[0][0]
    return (yield from _addresses([(transport, host, DEFAULT_PORTS[transport])], can, random))


def choose(records: Sequence[Naptr], secure: bool, can: Can) -> list[tuple[str, str]]:
    """Transport and SRV name of the services that we can use, the preferred one first.

    secure: only those of SIPS (RFC 3263 4.1). Records of other applications are passed
    over. RFC 3403 4.1: after a match, records of a higher order must not be considered.
    """
    services: list[tuple[str, str]] = []
    matched = -1
    for record in sorted(records):
        transport = _NAPTR.get(record.service)
        if transport is None or record.flags != "s" or record.regexp or not is_name(record.replacement):
            continue
        if secure and not record.service.startswith("SIPS+"):
            continue
        if not (can(transport, 4) or can(transport, 6)):
            continue
        if matched not in (-1, record.order):
            break
        matched = record.order
        services.append((transport, record.replacement))
    return services


def draw(servers: Sequence[Srv], random: Random) -> list[Srv]:
    """SRV records in the order in which to try them: by priority, then as RFC 2782 draws.

    Of one priority, each is drawn next with the chance of its weight among those that are
    left; those of weight 0 come first in the list, so that they have a small chance too.
    """
    drawn: list[Srv] = []
    for priority in sorted({server.priority for server in servers}):
        left = sorted((one for one in servers if one.priority == priority), key=_weight)
        while len(left) > 1:
            # From 0 to the sum, both included; ten times as fast as randint.
            mark = int(random.random() * (sum(map(_weight, left)) + 1))
            at = 0
            reached = left[0].weight
            while reached < mark:
                at += 1
                reached += left[at].weight
            drawn.append(left.pop(at))
        drawn += left
    return drawn


def parse_address(written: str) -> IPv4Address | IPv6Address | None:
    """The IP address that `written` is, or None where it is a name."""
    # Names begin with a letter nearly always, and only IPv6 addresses hold a colon.
    if ":" not in written and not written[:1].isdecimal():
        return None
    try:
        return ip_address(written)
    except ValueError:
        return None


# The same few names come again and again, once or twice for every call: 2 us each.
@lru_cache(maxsize=4096)
def is_name(written: str) -> bool:
    """Whether `written` can be asked for: labels of 1 to 63 of the octets that hosts have.

    A last label of digits alone is no top-level domain (RFC 3261 25.1: toplabel), but a
    mistyped address; no name server needs to be asked about that one.
    """
    if not written or len(written) > _MAX_NAME or written.strip(_NAME):
        return False
    labels = written.split(".")
    return all(0 < len(label) <= _MAX_LABEL for label in labels) and not labels[-1].isdecimal()


def usable_address(written: str) -> bool:
    """Whether an address record can be the place of somebody else's SIP server.

    0.0.0.0 would be ourselves, and one datagram to a multicast group many.
    """
    address = parse_address(written)
    if address is None or address.is_unspecified or address.is_multicast:
        return False
    if address.version == 6:
        return address.ipv4_mapped is None
    return str(address) != "255.255.255.255"


def parse_hosts(text: str) -> dict[str, tuple[str, ...]]:
    """The names of a hosts file (hosts(5)) and their addresses."""
    hosts: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].lower().split()
        if len(words) < 2 or not usable_address(words[0]):
            continue
        address = str(ip_address(words[0]))
        for name in words[1:]:
            hosts[name] = (*hosts.get(name, ()), address)
    return hosts


def local_answer(question: Question, hosts: dict[str, tuple[str, ...]]) -> Answer | None:
    """The answer that needs no name server, or None where one has to be asked.

    RFC 6761 6.3: localhost never goes to a name server. A name of the hosts file is what
    the file says and has no other records, as with getaddrinfo.
    """
    host = question.name
    if question.kind == "SRV":
        # "_sip._udp.host": of the host in the file, there are no services.
        host = host.split(".", 2)[-1]
    addresses = hosts.get(host)
    if addresses is None:
        if host != "localhost" and not host.endswith(".localhost"):
            return None
        addresses = ("::1", "127.0.0.1")
    if question.kind not in ("A", "AAAA"):
        return NOTHING
    return Answer(tuple(one for one in addresses if (":" in one) == (question.kind == "AAAA")))


def _usable(transport: str, can: Can) -> list[str]:
    if transport == "SIPS":
        wanted: tuple[str, ...] = _SECURE
    else:
        wanted = (transport,) if transport else _PLAIN
    return [one for one in wanted if can(one, 4) or can(one, 6)]


def _addresses(places: list[Hop], can: Can, random: Random) -> Search:
    """Places with an address instead of a name, in the order of `places`."""
    questions = _address_questions(places, can)
    answers = (yield questions) if questions else ()
    found: dict[str, list[str]] = {}
    for question, answer in zip(questions, answers, strict=True):
        found.setdefault(question.name, []).extend(answer.addresses)
    for addresses in found.values():
        if len(addresses) < 2:
            continue
        # The name servers would take turns; they do not where their answer is kept.
        random.shuffle(addresses)
        # RFC 7984: addresses of both families are tried in the order of RFC 6724, which
        # has most of IPv6 before IPv4. Where IPv6 does not work, the first call notices, and
        # for the calls after it the addresses that failed come last.
        addresses.sort(key=_precedence, reverse=True)
    hops: list[Hop] = []
    for transport, host, port in places:
        for address in (host,) if parse_address(host) else found.get(host, ()):
            hop = (transport, address, port)
            if can(transport, 6 if ":" in address else 4) and hop not in hops:
                hops.append(hop)
    return hops


def _address_questions(places: list[Hop], can: Can) -> tuple[Question, ...]:
    questions: dict[Question, None] = {}
    hosts: set[str] = set()
    for transport, host, _ in places:
        if parse_address(host) or not is_name(host) or (len(hosts) == MAX_HOSTS and host not in hosts):
            continue
        hosts.add(host)
        for kind, version in (("AAAA", 6), ("A", 4)):
            if can(transport, version):
                questions[Question(host, kind)] = None
    return tuple(questions)


def _precedence(written: str) -> int:
    if ":" not in written:
        return _IPV4
    address = IPv6Address(written)
    return next((precedence for network, precedence in _PRECEDENCE if address in network), _IPV6)


def _weight(server: Srv) -> int:
    return server.weight
