"""Which calls are never refused for want of room: emergency numbers, and the priority of who is trusted."""

from collections.abc import Container
from typing import Final

from oneproxy.sip.message import Request
from oneproxy.sip.uri import Uri, unescape

#: RFC 4412 10, RFC 7135: namespaces that nothing but emergencies is marked with, and those called to
#: them. The others have values for everyday calls. They are the default of a site.
NAMESPACES: Final = frozenset(("esnet", "ets", "wps"))


def is_to(numbers: Container[str], uri: Uri) -> bool:
    """Whether a Request-URI is one of these numbers, be it a SIP or a tel URI of any domain."""
    user = (uri.user or "").partition(";")[0]
    return (unescape(user) if "%" in user else user) in numbers


def may_be_to(numbers: Container[str], start: str) -> bool:
    """Whether `is_to` may be so of the start line of an INVITE, which has not been read."""
    user = start[7:].partition(":")[2].partition(" ")[0].partition("@")[0].partition(";")[0]
    return "%" in user or user.partition(":")[0] in numbers


def says_so(request: Request, namespaces: Container[str] = NAMESPACES) -> bool:
    """Whether a request says of itself that it is urgent (RFC 3261 20.26, RFC 4412 3.1).

    namespaces: those of Resource-Priority that count, in lower case.
    """
    first = request.first
    if "priority" in first and (request.get("priority") or "").strip(" \t").lower() == "emergency":
        return True
    if "resource-priority" not in first:
        return False
    values = ",".join(request.all("resource-priority")).split(",")
    return any(value.strip(" \t").lower().partition(".")[0] in namespaces for value in values)
