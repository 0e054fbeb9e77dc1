"""Making a response to a request (RFC 3261 8.2.6)."""

from collections.abc import Iterable

from oneproxy.sip.check import tag_of
from oneproxy.sip.message import Request


def respond(
    request: Request, status: int, reason: str, to_tag: str = "", headers: Iterable[str] = ()
) -> bytes:
    """A response without a body: Via lines, From, To, Call-ID and CSeq as they came.

    to_tag: added to To where the request has none; "" for 100 (RFC 3261 8.2.6.2).
    headers: whole lines. Header fields that the request lacks are left out, so that
    even a request refused for the lack of one can be answered.
    """
    lines = [f"SIP/2.0 {status} {reason}"]
    lines += [request.lines[at] for at in request.positions("via")]
    first = request.first
    for name in ("from", "to", "call-id", "cseq"):
        at = first.get(name)
        if at is not None:
            line = request.lines[at]
            if name == "to" and to_tag and not tag_of(request.values[at]):
                line = f"{line.rstrip(' ')};tag={to_tag}"
            lines.append(line)
    if status == 100:
        lines += [request.lines[at] for at in request.positions("timestamp")]
    if request.fault is not None:
        lines[1:] = [_legible(line) for line in lines[1:] if ":" in line]
    lines += headers
    lines.append("Content-Length: 0\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1")


def _legible(line: str) -> str:
    """A line of a faulty request such that it can't be taken for two, or for the end of one.

    What comes after a bare CR or LF is a header field of its own to some peers, and the
    answer has to be no worse than what it complains of.
    """
    return line.lstrip(" \t").replace("\r", " ").replace("\n", " ").replace("\0", " ")
