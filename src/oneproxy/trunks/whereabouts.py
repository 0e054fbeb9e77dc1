"""The addresses of gateways that the site has by name: asked for beside the messages, again and again,
so that a call from one of them is known for what it is when it comes."""

from collections.abc import Callable
from typing import Final

from oneproxy.trunks.inbound import Peers

#: A place to look up, as the engine has it: transport, host, port; "" and 0 for whatever there is.
Hop = tuple[str, str, int]
Found = Callable[[float, list[Hop]], None]
#: As `transport.names.Names.find`.
Find = Callable[[float, Hop, Found], list[Hop] | None]

#: How often names are asked for. What name servers say is remembered for as long as they say.
EVERY_S: Final = 60.0


class Whereabouts:
    """Keeps `peers` told where names lead.

    on_sooner: called when `deadline` has become sooner.
    """

    __slots__ = ("_find", "_next_at", "_peers", "_seen", "on_sooner")

    def __init__(self, peers: Peers, find: Find) -> None:
        self._peers = peers
        self._find = find
        self._next_at = 0.0
        self.on_sooner: Callable[[], None] | None = None
        #: By name: the addresses that its own name and its services (RFC 3263 4.1) led to.
        self._seen: dict[str, dict[Hop, list[str]]] = {}

    def take(self) -> None:
        """The site has changed: ask at once."""
        self._next_at = 0.0
        if self.on_sooner is not None:
            self.on_sooner()

    def deadline(self) -> float | None:
        """When `expire` is wanted next; None where no gateway has a name."""
        return self._next_at if self._peers.names else None

    def expire(self, now: float) -> None:
        """Ask, if it is time."""
        if now < self._next_at:
            return
        self._next_at = now + EVERY_S
        names = self._peers.names
        self._seen = {name: self._seen.get(name, {}) for name in names}
        for name in names:
            for hop in (("", name, 0), ("UDP", name, 5060)):
                self._ask(now, name, hop)

    def _ask(self, now: float, name: str, hop: Hop) -> None:
        def found(_now: float, hops: list[Hop]) -> None:
            seen = self._seen.get(name)
            if seen is None or (not hops and seen.get(hop)):
                # Gone from the site; or the name server does not answer now: where it was, it is.
                return
            seen[hop] = [host for _, host, _ in hops]
            self._peers.resolved(name, [host for hosts in seen.values() for host in hosts])

        hops = self._find(now, hop, found)
        if hops is not None:
            found(now, hops)
