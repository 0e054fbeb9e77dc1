"""Whose a URI is: which served domain it belongs to, and which address-of-record it is there.

A node's own address stands for the domain where only one is served: gateways call and
simple phones register at "user@192.0.2.1", and can mean nothing else.

Domains and users may have other names: those of a domain are looked up like its own, and
whatever a URI says, what comes out is the one AoR that bindings and passwords are kept under.
"""

from collections.abc import Container, Mapping
from types import MappingProxyType
from typing import Final

from oneproxy.sip.host import to_address
from oneproxy.sip.uri import Uri
from oneproxy.site.model import Domain, Site
from oneproxy.trunks.numbers import is_number, read_number

_USUAL_PORTS: Final = frozenset((5060, 5061))
_NO_ALIASES: Final[Mapping[str, str]] = MappingProxyType({})


def names_of(domains: Mapping[str, Domain]) -> list[str]:
    """All names of the domains, aliases too."""
    return [name for domain in domains.values() for name in (domain.name, *domain.aliases)]


class Domains:
    """The served domains, and the addresses of this node."""

    __slots__ = ("_aliases", "_by_host", "_domains", "_hosts", "_only", "_ports", "_subscribers")

    def __init__(
        self,
        domains: Mapping[str, Domain],
        own_hosts: set[str],
        aliases: Mapping[str, str] = _NO_ALIASES,
        subscribers: Container[str] = (),
    ) -> None:
        """domains: by name, in lower case. own_hosts: "host:port" and "host" of every
        listener and of what it advertises, IPv6 with or without brackets. aliases: other AoRs
        of a user, as requests name them, to the AoR. subscribers: AoRs of those who exist. Both
        are looked at anew each time.
        """
        self._aliases = aliases
        self._subscribers = subscribers
        self._by_host: dict[str, Domain] = {}
        self._domains: tuple[Domain, ...] = ()
        self._only: Domain | None = None
        self._hosts: set[str] = set()
        self._ports: set[int] = set()
        self._serve(domains)
        for own in own_hosts:
            host, colon, port = own.lower().rpartition(":")
            if colon and port.isdecimal() and (host.endswith("]") or ":" not in host):
                self._ports.add(int(port))
            else:
                host = own.lower()
            host = host.strip("[]")
            self._hosts.update((host, _plain(host)))

    def take(self, site: Site) -> None:
        """The site has changed: decide by this one from now on."""
        self._serve(site.domains)

    def _serve(self, domains: Mapping[str, Domain]) -> None:
        self._by_host = {}
        for domain in domains.values():
            for name in (*domain.aliases, domain.name):
                host = name.strip("[]")
                self._by_host[host] = self._by_host[_plain(host)] = domain
        self._domains = tuple(domains.values())
        self._only = self._domains[0] if len(domains) == 1 else None

    def find(self, uri: Uri) -> tuple[Domain, str] | None:
        """The served domain of a SIP or SIPS URI and its AoR there, or None.

        The AoR is "user@domain", or the domain's name alone where there is no user.
        """
        host = uri.host
        domain = self._by_host.get(host)
        if domain is None:
            if self._only is None or not self._is_own(uri):
                return None
            domain = self._only
        elif uri.port is not None and not self._is_port(uri):
            return None
        return domain, self._aor(uri, domain)

    def find_number(self, uri: Uri, caller: Uri | None) -> tuple[Domain, str] | None:
        """The served domain and AoR that the number of a tel URI is for, or None.

        The domain is that of its context, else the caller's, else the only one.
        """
        number = read_number(uri)
        if number is None:
            return None
        domain = self._by_host.get(number.context)
        if domain is None and caller is not None:
            domain = self._by_host.get(caller.host)
        domain = domain or self._only
        return None if domain is None else (domain, self._aor_of_number(uri, domain))

    def claimed(self, uri: Uri) -> tuple[Domain, str] | None:
        """The served domain that a caller of this URI claims to belong to, and the AoR.

        Stricter than `find`: an odd port, a dot behind the host or another spelling of an IPv6
        address still says to whoever reads it that the caller is of the domain, and must not
        save the proof of it. Nor must a number that is somebody's here, whose name phones show.
        """
        if not uri.host:
            return self._claimed_number(uri)
        domain = self._by_host.get(uri.host)
        if domain is None:
            host = _plain(uri.host)
            domain = self._by_host.get(host)
            if domain is None and self._only is not None and host != uri.host and host in self._hosts:
                domain = self._only
        return self.find(uri) if domain is None else (domain, self._aor(uri, domain))

    def _claimed_number(self, uri: Uri) -> tuple[Domain, str] | None:
        """The same of a tel URI: of the domain in its context, or of where it is somebody's."""
        number = read_number(uri)
        if number is None:
            return None
        domain = self._by_host.get(_plain(number.context))
        if domain is not None:
            return domain, self._aor_of_number(uri, domain)
        for domain in self._domains:
            aor = self._aor_of_number(uri, domain)
            if aor in self._subscribers:
                return domain, aor
        return None

    def is_node(self, uri: Uri) -> bool:
        """Whether `uri` names this node or a served domain, and no user there."""
        return uri.user is None and self.is_here(uri)

    def is_here(self, uri: Uri) -> bool:
        """Whether a request for `uri`, whoever the user, is at its destination here."""
        if uri.host in self._by_host and (uri.port is None or self._is_port(uri)):
            return True
        return self._is_own(uri)

    def _is_own(self, uri: Uri) -> bool:
        return uri.host in self._hosts and (uri.port is None or uri.port in self._ports)

    def _is_port(self, uri: Uri) -> bool:
        """Whether the port of a URI with a served host is one of ours.

        A domain may be reached through ports that are not ours (a load balancer's). A
        domain that is an address of this machine may have phones at its other ports.
        """
        return uri.port in self._ports or (uri.port in _USUAL_PORTS and uri.host not in self._hosts)

    def _aor(self, uri: Uri, domain: Domain) -> str:
        user = uri.user
        if user is None:
            return domain.name
        if user[0] == "+" or (uri.params and "user" in uri.params):
            return self._aor_of_number(uri, domain)
        if "%" in user or "#" in user:
            user = uri.aor().rpartition("@")[0]
        aor = f"{user}@{domain.name}"
        aliases = self._aliases
        return aliases.get(aor, aor) if aliases else aor

    def _aor_of_number(self, uri: Uri, domain: Domain) -> str:
        """The AoR where the user may be a number: the first of its spellings that is somebody's."""
        number = read_number(uri) if is_number(uri) else None
        users = [uri.aor().rpartition("@")[0]] if number is None else number.users
        aors = [f"{user}@{domain.name}" for user in users]
        for aor in aors:
            if aor in self._aliases:
                return self._aliases[aor]
            if aor in self._subscribers:
                return aor
        return aors[0]


def _plain(host: str) -> str:
    """A host in the one spelling that equal hosts share."""
    host = host.rstrip(".")
    address = to_address(host) if ":" in host else None
    return host if address is None else str(address)
