"""Splitting a message once, and giving its header fields out as they are asked for.

A message is held as text in Latin-1, so that every octet that came is one character
and goes out again as it came, whatever its encoding was. `split` cuts the head into
lines, notes where each header begins, and interprets nothing: forwarding copies the
lines that nobody asked for. Folded lines (RFC 3261 7.3.1) are joined when they are
split, since their folding carries no meaning.

    lines   ["INVITE sip:bob@example.com SIP/2.0", "Via: ...", "f: ..."]
    values  ["",                                   " ...",     " ..."]
    first   {"via": 1, "from": 2}                 where a header stands first
    again   {"via": [1, 4]}                       only for headers that stand twice
"""

from typing import Final

from oneproxy.sip.malformed import Malformed

MAX_MESSAGE: Final = 65_535
MAX_HEADERS: Final = 256
MAX_HEADER: Final = 16_384

COMPACT: Final[dict[str, str]] = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

# Spellings seen so often that looking them up beats lowering them: 13 headers cost
# 0.5 us this way and 1.6 us through header_name().
_SPELLED: Final[dict[str, str]] = {
    spelled: spelled.lower()
    for spelled in (
        "Via From To Call-ID CSeq Max-Forwards Contact Content-Type Content-Length "
        "Route Record-Route User-Agent Server Allow Supported Require Proxy-Require "
        "Expires Authorization Proxy-Authorization WWW-Authenticate Proxy-Authenticate "
        "Accept Allow-Events Event Session-Expires Min-SE Path Subject Date Reason "
        "P-Asserted-Identity Privacy Unsupported Warning Retry-After RSeq RAck"
    ).split()
} | {short: long for short, long in COMPACT.items()}


def header_name(written: str) -> str:
    """The lower-case full name of a header as written, compact forms expanded."""
    name = written.strip(" \t").lower()
    return COMPACT.get(name, name)


class Message:
    """A request or a response after splitting; headers stay in order and as they came."""

    __slots__ = ("again", "body", "fault", "first", "lines", "values")

    def __init__(
        self,
        lines: list[str],
        values: list[str],
        first: dict[str, int],
        again: dict[str, list[int]],
        body: str,
        fault: Malformed | None,
    ) -> None:
        self.lines = lines
        self.values = values
        self.first = first
        self.again = again
        self.body = body
        #: What splitting found wrong; the message can still be answered.
        self.fault = fault

    def get(self, name: str) -> str | None:
        """The first value of header `name` (lower case, full form), or None."""
        at = self.first.get(name)
        return None if at is None else self.values[at].strip(" \t")

    def positions(self, name: str) -> list[int]:
        """Where header `name` stands in `lines`, in order."""
        many = self.again.get(name)
        if many is not None:
            return many
        at = self.first.get(name)
        return [] if at is None else [at]

    def all(self, name: str) -> list[str]:
        """The value of every line of header `name`, in order; comma lists are not cut."""
        return [self.values[at].strip(" \t") for at in self.positions(name)]

    def bytes(self) -> bytes:
        """The message as octets, folded lines joined."""
        return ("\r\n".join(self.lines) + "\r\n\r\n" + self.body).encode("latin-1")


class Request(Message):
    """A request: `method` and `uri` stand as they came (RFC 3261 7.1)."""

    __slots__ = ("call_id", "cseq", "from_tag", "max_forwards", "method", "to_tag", "uri", "version")

    method: str
    uri: str
    version: str
    # Filled in by sip.check, which every request passes that is not a retransmission.
    call_id: str
    cseq: int
    #: "" where there is none (RFC 2543 peers).
    from_tag: str
    to_tag: str
    #: None where the header is absent.
    max_forwards: int | None


class Response(Message):
    """A response: `status` is 100 to 699, `reason` may be empty (RFC 3261 7.2)."""

    __slots__ = ("reason", "status")

    status: int
    reason: str


def split(data: bytes) -> Request | Response | Malformed:
    """Split one datagram, or one framed message, into its lines.

    Returns a Malformed code only for what is no SIP message at all; a request with a
    fault that an answer can name comes back with `fault` set (the first one found).
    """
    if len(data) > MAX_MESSAGE:
        return Malformed.TOO_LARGE
    head, blank, body = data.decode("latin-1").partition("\r\n\r\n")
    if not blank:
        head = head.removesuffix("\r\n")
    if head[:2] == "\r\n":
        # RFC 3261 7.5: empty lines before the start line are ignored.
        return split(data.lstrip(b"\r\n"))
    message = _index(head, body)
    if not blank and isinstance(message, Message):
        message.fault = message.fault or Malformed.HEADER_LINE
    return message


def _index(head: str, body: str) -> Request | Response | Malformed:
    """Cut `head` into lines and note where each header stands."""
    lines = head.split("\r\n")
    ends = len(lines) - 1
    if ends >= MAX_HEADERS:
        return Malformed.TOO_MANY_HEADERS
    fault = None
    # A bare CR, LF or NUL inside a line is read differently by different peers: whoever
    # forwards it helps to smuggle a header past one of them.
    if head.count("\n") != ends or head.count("\r") != ends or "\0" in head:
        fault = Malformed.HEADER_LINE
    if len(head) > MAX_HEADER and max(map(len, lines)) > MAX_HEADER:
        fault = Malformed.HEADER_TOO_LONG
    values = [""]
    first: dict[str, int] = {}
    again: dict[str, list[int]] = {}
    spelled = _SPELLED
    headers = iter(lines)
    next(headers)
    at = 1
    for line in headers:
        written, colon, value = line.partition(":")
        name = spelled.get(written)
        if name is None:
            if written[:1] in (" ", "\t") and written:
                return _index(unfold(head), body)
            name = header_name(written)
        if name in first:
            again.setdefault(name, [first[name]]).append(at)
        else:
            first[name] = at
        values.append(value)
        if not colon or not name:
            fault = fault or Malformed.HEADER_LINE
        at += 1
    return _typed(lines, values, first, again, body, fault)


def _typed(
    lines: list[str],
    values: list[str],
    first: dict[str, int],
    again: dict[str, list[int]],
    body: str,
    fault: Malformed | None,
) -> Request | Response | Malformed:
    """Read the start line and make the message of its kind."""
    start = lines[0]
    if start.startswith("SIP/"):
        version, _, rest = start.partition(" ")
        code, _, reason = rest.partition(" ")
        if version.upper() != "SIP/2.0" or len(code) != 3 or not code.isdecimal() or not code.isascii():
            return Malformed.STATUS
        response = Response(lines, values, first, again, body, fault)
        response.status = int(code)
        response.reason = reason
        return response if 100 <= response.status <= 699 else Malformed.STATUS
    words = start.split(" ")
    if len(words) < 3:
        return Malformed.NOT_SIP
    request = Request(lines, values, first, again, body, fault)
    request.method = words[0]
    request.uri = words[1]
    request.version = words[-1]
    if len(words) != 3 or not words[1]:
        request.uri = " ".join(words[1:-1])
        request.fault = Malformed.START_LINE
    return request


def unfold(head: str) -> str:
    """Join folded lines with one space (RFC 3261 7.3.1)."""
    lines: list[str] = []
    for line in head.split("\r\n"):
        if line[:1] in (" ", "\t") and len(lines) > 1:
            lines[-1] = lines[-1].rstrip(" \t") + " " + line.lstrip(" \t")
        else:
            lines.append(line)
    return "\r\n".join(lines)
