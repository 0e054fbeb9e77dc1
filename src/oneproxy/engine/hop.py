"""The two requests that belong to an INVITE of ours and go one hop: its CANCEL, and the
ACK for a final response that is no 2xx (RFC 3261 9.1 and 17.1.1.3)."""

from typing import cast

from oneproxy.sip.message import Request, split


def accompany(invite: bytes, method: str, to_line: str | None = None, headers: tuple[str, ...] = ()) -> bytes:
    """`method` ("ACK" or "CANCEL") for the INVITE that was sent as `invite`.

    to_line: the To line of the response that is acknowledged; None keeps the INVITE's.
    headers: further whole lines.
    Both take the INVITE's Request-URI, top Via and Route, so that they take its way.
    """
    # Splitting our own octets again costs some microseconds on a rare path and saves
    # keeping the split message for every call.
    request = cast(Request, split(invite))
    lines = [f"{method} {request.uri} SIP/2.0", request.lines[request.first["via"]]]
    lines += [request.lines[at] for at in request.positions("route")]
    lines.append("Max-Forwards: 70")
    lines.append(request.lines[request.first["from"]])
    lines.append(to_line or request.lines[request.first["to"]])
    lines.append(request.lines[request.first["call-id"]])
    number = (request.get("cseq") or "").replace("\t", " ").partition(" ")[0]
    lines.append(f"CSeq: {number} {method}")
    lines += headers
    lines.append("Content-Length: 0\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1")
