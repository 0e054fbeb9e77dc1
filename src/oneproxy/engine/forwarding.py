"""Making the copy of a request that goes on to one target (RFC 3261 16.6)."""

from typing import TYPE_CHECKING

from oneproxy.engine.routing import NO_ROUTE, ONLY_OURS, is_loose, route_values
from oneproxy.sip.address import parse_address
from oneproxy.sip.edit import Edit
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Response, split

if TYPE_CHECKING:
    from oneproxy.sip.message import Request


def forwarded(
    request: "Request",
    uri: str,
    via: str,
    passed: int,
    route: tuple[str, ...] = (),
    record_routes: tuple[str, ...] = (),
    consumed: tuple[int, ...] = (),
    headers: tuple[str, ...] = (),
    cseq_more: int = 0,
) -> bytes:
    """The octets to send. uri: the new Request-URI; via: our Via's value.

    passed: how many of its Route values are ours and go, or ONLY_OURS; NO_ROUTE for all of them.
    route: values to push. record_routes: lines to push, the last one on top. consumed:
    places of lines that go no further. headers: lines to add. cseq_more: as of `Target`.
    """
    edit = Edit(request)
    lines = edit.lines
    hops = request.max_forwards
    if hops is None:
        edit.append("Max-Forwards: 70")
    else:
        lines[request.first["max-forwards"]] = f"Max-Forwards: {hops - 1}"
    if "route" in request.first:
        if passed == NO_ROUTE:
            edit.drop_all("route")
        elif passed == ONLY_OURS:
            edit.drop(request.first["route"])
        else:
            uri = _follow(edit, request, uri, passed)
    for at in consumed:
        edit.drop(at)
    if route:
        if not is_loose(route[0]):
            uri, route = _strict(uri, route)
        if route:
            edit.push(f"Route: {', '.join(route)}")
    for line in headers:
        edit.append(line)
    for line in record_routes:
        edit.push(line)
    edit.push(f"Via: {via}")
    if cseq_more:
        _count_on(edit, request, cseq_more)
    lines[0] = f"{request.method} {uri} SIP/2.0"
    return edit.join()


def _count_on(edit: Edit, request: "Request", more: int) -> None:
    """Raise the number of a request, and that of the INVITE that a PRACK names (RFC 3262 7.2)."""
    edit.lines[request.first["cseq"]] = f"CSeq: {request.cseq + more} {request.method}"
    if request.method == "PRACK" and "rack" in request.first:
        parts = (request.get("rack") or "").split()
        if len(parts) == 3 and parts[1].isascii() and parts[1].isdecimal():
            edit.lines[request.first["rack"]] = f"RAck: {parts[0]} {int(parts[1]) + more} {parts[2]}"


def counted_back(data: bytes, more: int) -> bytes:
    """A response on its way to who has sent the request with another CSeq, by `more` lower."""
    response = split(data)
    if not isinstance(response, Response):
        return data
    number, _, method = (response.get("cseq") or "").strip(" \t").partition(" ")
    if not number.isascii() or not number.isdecimal():
        return data
    edit = Edit(response)
    edit.lines[response.first["cseq"]] = f"CSeq: {int(number) - more} {method.strip(' ')}"
    return edit.join()


def _follow(edit: Edit, request: "Request", uri: str, passed: int) -> str:
    """Take our own Route values off; the Request-URI, changed where a strict router is next."""
    left = route_values(request)[passed:]
    if left and not is_loose(left[0]):
        uri, strict = _strict(uri, tuple(left))
        left = list(strict)
    elif passed <= 1:
        if passed:
            edit.pop("route")
        return uri
    edit.drop_all("route")
    for value in reversed(left):
        edit.push(f"Route: {value}")
    return uri


def _strict(uri: str, route: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """RFC 3261 16.6 step 6: a strict router wants its own URI in the request line."""
    address = parse_address(route[0])
    if isinstance(address, Malformed):
        return uri, route
    return address.uri, (*route[1:], f"<{uri}>")
