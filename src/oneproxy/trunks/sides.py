"""Gateways and targets made ready for calls, when the first call gets to them: how each wants its
calls, and the credentials that it asks for."""

from random import Random
from typing import Final

from oneproxy.site.model import Gateway, Registration, Site
from oneproxy.trunks.authenticator import Authenticator
from oneproxy.trunks.inbound import Peer
from oneproxy.trunks.outgoing import Side

#: Targets of routes that are remembered.
_REMEMBERED: Final = 4096


class Sides:
    """The sides that calls go out to."""

    __slots__ = ("_authenticators", "_gateways", "_random", "_targets")

    def __init__(self, random: Random) -> None:
        self._random = random
        #: By provider and gateway, with the entry of the site that it was made of.
        self._gateways: dict[tuple[str, str], tuple[Gateway, Side]] = {}
        self._authenticators: dict[tuple[str, str], tuple[Registration, Authenticator]] = {}
        self._targets: dict[str, Side] = {}

    def of(self, provider: str, gateway: Gateway) -> Side:
        """How a gateway wants its calls."""
        key = provider, gateway.name
        known = self._gateways.get(key)
        if known is None or known[0] is not gateway:
            side = Side(f"{provider}/{gateway.name}", gateway.uri, gateway.format)
            known = self._gateways[key] = gateway, side
        return known[1]

    def authenticator(self, provider: str, gateway: Gateway) -> Authenticator | None:
        """Who answers the challenges of a gateway; None where the site has no password for it."""
        register = gateway.register
        if register is None:
            return None
        key = provider, gateway.name
        known = self._authenticators.get(key)
        if known is None or known[0] != register:
            made = Authenticator(register.username, register.password, self._random)
            known = self._authenticators[key] = register, made
        return known[1]

    def of_target(self, uri: str) -> Side:
        """The target of a route."""
        side = self._targets.get(uri)
        if side is None:
            if len(self._targets) >= _REMEMBERED:
                self._targets.clear()
            side = self._targets[uri] = Side("", uri)
        return side

    def take(self, site: Site) -> None:
        """The site has changed: forget gateways that are gone."""
        there = {(one.name, gateway.name) for one in site.providers.values() for gateway in one.gateway}
        for table in (self._gateways, self._authenticators):
            for key in [key for key in table if key not in there]:
                del table[key]


def peers_of(site: Site) -> list[Peer]:
    """The gateways of a site, as inbound calls know them."""
    return [
        Peer(provider.name, gateway.name, gateway.uri, gateway.sources, gateway.format)
        for provider in site.providers.values()
        for gateway in provider.gateway
    ]
