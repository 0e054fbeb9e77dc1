"""The conditions of a route, made ready: whether a call is one that the route is for.

Each holds or not, and says in words what it looked at, for whoever asks why.
"""

from collections.abc import Callable
from ipaddress import IPv6Network, ip_network
from typing import Final, Protocol

from oneproxy.sip.host import to_address
from oneproxy.site.model import Route
from oneproxy.site.times import Span, find_zone, parse_times
from oneproxy.trunks.call import Call
from oneproxy.trunks.minutes import Minutes

#: How the site's AoRs are spelled in requests.
OnWire = Callable[[str], str]

_BITS: Final = {4: 32, 6: 128}


class Condition(Protocol):
    """One of the conditions of a route."""

    #: The key in [[route]].
    name: str

    def holds(self, call: Call) -> bool:
        """Whether it does for this call."""
        ...

    def found(self, call: Call) -> str:
        """What of the call it looks at."""
        ...


class _Domains:
    __slots__ = ("_domains", "name")

    def __init__(self, domains: tuple[str, ...]) -> None:
        self.name = "domains"
        self._domains = frozenset(domains)

    def holds(self, call: Call) -> bool:
        return call.domain in self._domains

    def found(self, call: Call) -> str:
        return f"domain {call.domain or 'none'}"


class _Callers:
    __slots__ = ("_aors", "_begins", "_domains", "name")

    def __init__(self, callers: tuple[str, ...], on_wire: OnWire) -> None:
        self.name = "callers"
        self._domains = frozenset([one[2:] for one in callers if one.startswith("*@")])
        named = [one for one in callers if not one.startswith("*@")]
        self._begins = tuple([one[:-1] for one in named if "@" not in one])
        self._aors = frozenset([on_wire(one) for one in named if "@" in one])

    def holds(self, call: Call) -> bool:
        caller = call.caller
        if caller and (caller in self._aors or caller.rpartition("@")[2] in self._domains):
            return True
        return bool(self._begins) and call.calling.startswith(self._begins)

    def found(self, call: Call) -> str:
        return f"caller {call.caller or 'nobody known'}, calling {call.calling or 'no number'}"


class _Sources:
    __slots__ = ("_networks", "name")

    def __init__(self, sources: tuple[str, ...]) -> None:
        self.name = "sources"
        #: The version of IP, how far an address is shifted, and what is left of it then.
        self._networks = tuple([_network(source) for source in sources])

    def holds(self, call: Call) -> bool:
        address = to_address(call.source)
        if address is None:
            return False
        version, number = address.version, int(address)
        return any(of == version and number >> shift == first for of, shift, first in self._networks)

    def found(self, call: Call) -> str:
        return f"source {call.source or 'unknown'}"


class _Times:
    __slots__ = ("_minutes", "_spans", "_zone", "name")

    def __init__(self, times: tuple[str, ...], time_zone: str, minutes: Minutes) -> None:
        self.name = "times"
        # A zone that this machine does not know, of a site that another one has checked: never.
        self._zone = find_zone(time_zone)
        self._spans: tuple[Span, ...] = parse_times(times)
        self._minutes = minutes

    def holds(self, call: Call) -> bool:
        if self._zone is None:
            return False
        minute = self._minutes.of_week(self._zone, call.now)
        return any(begins <= minute < ends for begins, ends in self._spans)

    def found(self, call: Call) -> str:
        if self._zone is None:
            return "a time zone that this machine does not know"
        minute = self._minutes.of_week(self._zone, call.now)
        day, minute = divmod(minute, 24 * 60)
        names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
        return f"{names[day]} {minute // 60:02}:{minute % 60:02} in {self._zone.key}"


class _Inbound:
    __slots__ = ("_sides", "name")

    def __init__(self, sides: tuple[str, ...]) -> None:
        self.name = "inbound"
        self._sides = frozenset(sides)

    def holds(self, call: Call) -> bool:
        if not call.sides:
            return not self._sides
        # What a gateway sends goes nowhere but by a route that is made for it: a number that
        # is dialled from outside must not get out again on our account.
        return not self._sides.isdisjoint(call.sides)

    def found(self, call: Call) -> str:
        return f"from gateway {', '.join(sorted(call.sides))}" if call.sides else "from no gateway"


class _Others:
    __slots__ = ("name",)

    def __init__(self) -> None:
        self.name = "users"

    def holds(self, call: Call) -> bool:
        return not call.is_user

    def found(self, call: Call) -> str:
        return "a user here" if call.is_user else "no user here"


def conditions_of(route: Route, minutes: Minutes, on_wire: OnWire) -> tuple[Condition, ...]:
    """The conditions of a route, those that cost least first."""
    found: list[Condition] = [_Inbound(route.inbound)]
    if not route.users:
        found.append(_Others())
    if route.domains:
        found.append(_Domains(route.domains))
    if route.callers:
        found.append(_Callers(route.callers, on_wire))
    if route.times:
        found.append(_Times(route.times, route.time_zone, minutes))
    if route.sources:
        found.append(_Sources(route.sources))
    return tuple(found)


def _network(source: str) -> tuple[int, int, int]:
    network = ip_network(source)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        # IPv4 in the clothes of IPv6 is IPv4, as sources are.
        shift = _BITS[6] - network.prefixlen
        return 4, shift, int(mapped) >> shift
    shift = _BITS[network.version] - network.prefixlen
    return network.version, shift, int(network.network_address) >> shift
