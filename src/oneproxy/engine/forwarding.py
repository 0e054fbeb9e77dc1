"""Making the copy of a request that goes on to one target (RFC 3261 16.6)."""

from typing import TYPE_CHECKING

from oneproxy.sip.edit import Edit

if TYPE_CHECKING:
    from oneproxy.sip.message import Request


def forwarded(
    request: "Request",
    uri: str,
    via: str,
    in_dialog: bool,
    route: tuple[str, ...] = (),
    record_route: str = "",
    consumed: tuple[int, ...] = (),
) -> bytes:
    """The octets to send. uri: the new Request-URI; via: our Via's value.

    in_dialog: the request follows its Route, whose top value is ours and goes; outside of
    a dialog policy alone says where a request goes, and no Route of the sender's is left.
    route: values to push. record_route: our Record-Route's value; "" for none.
    consumed: places of lines that go no further.
    """
    edit = Edit(request)
    lines = edit.lines
    lines[0] = f"{request.method} {uri} SIP/2.0"
    hops = request.max_forwards
    if hops is None:
        edit.append("Max-Forwards: 70")
    else:
        lines[request.first["max-forwards"]] = f"Max-Forwards: {hops - 1}"
    if "route" in request.first:
        if in_dialog:
            edit.pop("route")
        else:
            edit.drop_all("route")
    for at in consumed:
        edit.drop(at)
    if route:
        edit.push(f"Route: {', '.join(route)}")
    if record_route:
        edit.push(f"Record-Route: {record_route}")
    edit.push(f"Via: {via}")
    return edit.join()
