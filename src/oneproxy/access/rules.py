"""Address rules: what a source may do, by its network or by the name in its TLS certificate.

The longest prefix that a rule with this method has wins; of one prefix, a rule for named
methods wins over one for all. A name that was proven in a certificate says more than any
address. Looking one up takes a step for each length of prefix that there is, whatever the
number of rules, and the hosts seen last are remembered.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from oneproxy.site.model import Rule

TRUST: Final = "trust"
ALLOW: Final = "allow"
DENY: Final = "deny"
#: No rule fits, which allows.
NONE: Final = ""
_STRICTNESS: Final = {NONE: 0, TRUST: 1, ALLOW: 2, DENY: 3}

_REMEMBERED: Final = 65_536
#: Stands for every method that no rule names.
_OTHERS: Final = ""
_BITS: Final = 128
#: Where IPv4 begins in IPv6 (RFC 4291 2.5.5.2): one table holds both.
_MAPPED: Final = 0xFFFF << 32
_MAPPED_BITS: Final = 96

_Actions = dict[str, str]


class Rules:
    """The rules of one site; another site gets other ones."""

    __slots__ = ("_by_client", "_by_length", "_known", "_named", "_spared", "any")

    def __init__(self, rules: Iterable[Rule]) -> None:
        tables: dict[int, dict[int, _Actions]] = {}
        self._by_client: dict[str, _Actions] = {}
        #: The first 64 bits of longer IPv6 networks that are trusted.
        self._spared: set[int] = set()
        named: set[str] = set()
        for rule in rules:
            named.update(rule.methods)
            if rule.client:
                actions = self._by_client.setdefault(rule.client.lower(), {})
            else:
                network, length = _place(rule.source)
                actions = tables.setdefault(length, {}).setdefault(network, {})
                if rule.action == TRUST and length > 64:
                    self._spared.add(network >> (length - 64))
            for method in rule.methods or (_OTHERS,):
                # Two rules that say different things of the same are a mistake of the site, and
                # never get here; if they did the first would hold.
                actions.setdefault(method, rule.action)
        #: The longest first: how far an address is shifted, and the networks of that length.
        self._by_length = [(_BITS - length, tables[length]) for length in sorted(tables, reverse=True)]
        self._named = frozenset(named)
        self._known: dict[str, _Actions] = {}
        self.any = bool(tables or self._by_client)

    def find(self, host: str, clients: Sequence[str], method: str) -> str:
        """What a peer may do: TRUST, ALLOW, DENY, or NONE where no rule fits.

        host: an IP address. clients: the names in its certificate, none where it showed none.
        """
        if method not in self._named:
            method = _OTHERS
        if clients and self._by_client:
            of_clients = self._of_clients(clients, method)
            if of_clients:
                return of_clients
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[host] = {}
        action = known.get(method)
        if action is None:
            action = known[method] = self._look_up(host, method)
        return action

    def explain(self, host: str, clients: Sequence[str], method: str) -> tuple[str, str]:
        """The rule that `find` goes by, as people write it, and its action; "" and NONE where none fits."""
        wanted = method if method in self._named else _OTHERS
        if clients and self._by_client:
            action = self._of_clients(clients, wanted)
            for client in clients if action else ():
                actions = self._by_client.get(client, {})
                if (actions.get(wanted) or actions.get(_OTHERS)) == action:
                    return f"client {client}{_for_method(actions, wanted)}", action
        number = _number(host)
        for shift, networks in self._lengths_for(number):
            actions = networks.get(number >> shift, {})
            action = actions.get(wanted) or actions.get(_OTHERS) or NONE
            if action:
                return f"{_network(number >> shift, shift)}{_for_method(actions, wanted)}", action
        return "", NONE

    def spares(self, host: str) -> bool:
        """Whether somebody at this address, or in its IPv6 network of 64 bits, is trusted.

        Then nothing may keep all of it out.
        """
        if not self.any:
            return False
        if any(self.find(host, (), method) == TRUST for method in (_OTHERS, *self._named)):
            return True
        return bool(self._spared) and ":" in host and _number(host) >> 64 in self._spared

    def _of_clients(self, clients: Sequence[str], method: str) -> str:
        """The strictest of the rules for these names: their order is the choice of who has them."""
        strictest: str = NONE
        for client in clients:
            actions = self._by_client.get(client)
            if actions is None:
                continue
            found = actions.get(method) or actions.get(_OTHERS)
            if found is not None and _STRICTNESS[found] > _STRICTNESS[strictest]:
                strictest = found
        return strictest

    def _look_up(self, host: str, method: str) -> str:
        number = _number(host)
        for shift, networks in self._lengths_for(number):
            actions = networks.get(number >> shift)
            if actions is not None:
                action = actions.get(method) or actions.get(_OTHERS)
                if action is not None:
                    return action
        return NONE

    def _lengths_for(self, number: int) -> list[tuple[int, dict[int, _Actions]]]:
        """The tables that an address may stand in; -1 stands in none."""
        if number < 0:
            return []
        if number >> (_BITS - _MAPPED_BITS) != 0xFFFF:
            return self._by_length
        # "::/0" is all of IPv6, and nothing of the IPv4 that lies in it here.
        return [one for one in self._by_length if one[0] <= _BITS - _MAPPED_BITS]


def _for_method(actions: _Actions, wanted: str) -> str:
    return f" for {wanted}" if wanted != _OTHERS and wanted in actions else ""


def _network(first: int, shift: int) -> str:
    """The first bits of a network, as people write it."""
    number, length = first << shift, _BITS - shift
    if number >> (_BITS - _MAPPED_BITS) == 0xFFFF and length >= _MAPPED_BITS:
        return str(IPv4Network((number & 0xFFFFFFFF, length - _MAPPED_BITS)))
    return str(IPv6Network((number, length)))


def _number(host: str) -> int:
    """An address as 128 bits; -1 for what is none."""
    try:
        address = ip_address(host)
    except ValueError:
        return -1
    return int(address) if isinstance(address, IPv6Address) else _MAPPED | int(address)


def _place(source: str) -> tuple[int, int]:
    """The first bits of a network, and how many they are of 128."""
    network = ip_network(source)
    length = network.prefixlen
    number = int(network.network_address)
    if not isinstance(network, IPv6Network):
        number |= _MAPPED
        length += _MAPPED_BITS
    return number >> (_BITS - length), length
