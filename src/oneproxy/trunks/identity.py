"""Who calls, and how a gateway is told (RFC 3325, RFC 3323).

A caller is who has proved to be a subscriber, by the From that he may use, or who a trusted peer
says it is (P-Asserted-Identity). Who does not want to be known says so by Privacy, or by an anonymous
From; then nobody outside of the trust domain is told, and who is inside is told to keep it.
"""

from typing import Final

from oneproxy.sip.address import Address, parse_address
from oneproxy.sip.fields import quote, split_list
from oneproxy.sip.identity import ASSERTED
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request
from oneproxy.sip.uri import Uri, escape_user, parse_uri, unescape
from oneproxy.trunks.numbers import number_or_user

#: RFC 3323 4.2, RFC 3325 9.3: each of them says that the caller is not to be known.
_PRIVATE: Final = frozenset(("id", "user", "header", "session"))
#: RFC 3261 8.1.1.3 and RFC 3323 4.1.1.3: the From of who does not want to be known.
_ANONYMOUS_HOST: Final = "anonymous.invalid"
_ANONYMOUS: Final = "anonymous"
#: What says who somebody is, and is ours to say to a gateway.
SAYING: Final = (ASSERTED, "p-preferred-identity", "remote-party-id")


class Identity:
    """Who calls. display: "" for none; user: escapes off, a number without separators; host."""

    __slots__ = ("display", "host", "user")

    def __init__(self, display: str, user: str, host: str) -> None:
        self.display = display
        self.user = user
        self.host = host


def find_identity(request: Request, believed: bool, proved: str = "") -> Identity | None:
    """Who makes a call; None where nobody says so.

    believed: whether the sender may say who it is. proved: the AoR that proved a password; it
    counts where From names nobody.
    """
    if believed:
        for line in request.all(ASSERTED):
            for value in split_list(line):
                found = _read(parse_address(value))
                if found is not None:
                    return found
    found = _read(parse_address(request.get("from") or ""))
    if found is not None:
        return found
    user, at, host = proved.rpartition("@")
    return Identity("", unescape(user), host) if at else None


def wants_privacy(request: Request) -> bool:
    """Whether the caller does not want to be known."""
    wanted = privacy_values(request)
    if wanted:
        # RFC 3323 4.2: "none" says that nothing is to be withheld, whatever there is by default.
        return "none" not in wanted and not _PRIVATE.isdisjoint(wanted)
    written = request.get("from") or ""
    if _ANONYMOUS not in written.lower():
        # So it is with nearly all: 0.2 us to know it, and not the 4 of the grammar.
        return False
    address = parse_address(written)
    uri = Malformed.URI if isinstance(address, Malformed) else parse_uri(address.uri)
    return not isinstance(uri, Malformed) and _is_anonymous(uri)


def privacy_values(request: Request) -> list[str]:
    """What Privacy says, in lower case."""
    if "privacy" not in request.first:
        return []
    values = [one.strip(" \t").lower() for line in request.all("privacy") for one in line.split(";")]
    return [value for value in values if value]


def saying_lines(request: Request) -> list[int]:
    """Places of the lines that say who calls, beside From."""
    return [at for name in SAYING if name in request.first for at in request.positions(name)]


def assert_identity(identity: Identity, user: str, host: str, kind: str, withheld: bool) -> str:
    """The line that tells who calls. kind: "asserted" or "remote-party-id".

    user, host: as the gateway wants them. withheld: to be kept from others.
    """
    display = f"{quote(identity.display)} " if identity.display else ""
    address = f"{display}<sip:{escape_user(user)}@{host}>"
    if kind == "asserted":
        return f"P-Asserted-Identity: {address}"
    return f"Remote-Party-ID: {address};party=calling;screen=yes;privacy={'full' if withheld else 'off'}"


def _read(address: Address | Malformed) -> Identity | None:
    """An address as an identity; None for one that is not readable or is nobody's."""
    if isinstance(address, Malformed):
        return None
    uri = parse_uri(address.uri)
    if isinstance(uri, Malformed) or uri.user is None or _is_anonymous(uri):
        return None
    return Identity(address.display, number_or_user(uri), uri.host)


def _is_anonymous(uri: Uri) -> bool:
    return uri.host == _ANONYMOUS_HOST or (uri.user or "").lower() == _ANONYMOUS
