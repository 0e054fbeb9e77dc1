"""Splitting a message once, and giving its header fields out as they are asked for.

A message is held as text in Latin-1, so that every octet that came is one character
and goes out again as it came, whatever its encoding was. `split` cuts the head into
lines, notes where each header begins, and interprets nothing: forwarding copies the
lines that nobody asked for, and of a response it nearly always asks for none. Folded
lines (RFC 3261 7.3.1) are joined when they are split, since their folding carries no
meaning.

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
_SPELLED: Final[dict[str, str]] = COMPACT | {
    spelled: spelled.lower()
    for spelled in (
        "Via From To Call-ID CSeq Max-Forwards Contact Content-Type Content-Length "
        "Route Record-Route User-Agent Server Allow Supported Require Proxy-Require "
        "Expires Authorization Proxy-Authorization WWW-Authenticate Proxy-Authenticate "
        "Accept Allow-Events Event Session-Expires Min-SE Path Subject Date Reason "
        "P-Asserted-Identity Privacy Unsupported Warning Retry-After RSeq RAck"
    ).split()
}


#: Controls and blanks of all kinds: no name has any, and peers differ in which of them they skip.
_AROUND: Final = "".join(map(chr, (*range(0x21), *range(0x7F, 0xA1))))


def header_name(written: str) -> str:
    """The lower-case full name of a header as written, compact forms expanded.

    Whatever a peer may skip around it is not of the name: a header field that is dropped must
    not get past us because of a form feed.
    """
    name = written.strip(_AROUND).lower()
    return COMPACT.get(name, name)


class Fields:
    """Header fields in order and as they came, and the body behind them."""

    __slots__ = ("again", "body", "fault", "first", "lines", "values")

    lines: list[str]
    values: list[str]
    first: dict[str, int]
    again: dict[str, list[int]]
    body: str
    #: What splitting found wrong; the message can still be answered.
    fault: Malformed | None

    def __init__(self, head: str, body: str) -> None:
        self.body = body
        self._index(head)

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

    def _index(self, head: str) -> None:
        """Cut `head` into lines and note where each header stands."""
        self.fault = None
        lines = head.split("\r\n")
        ends = len(lines) - 1
        # A bare CR, LF or NUL inside a line is read differently by different peers: whoever
        # forwards it helps to smuggle a header past one of them. Behind a backslash in a
        # quoted string a NUL is in order (RFC 4475 3.1.1.2).
        if head.count("\n") != ends or head.count("\r") != ends or ("\0" in head and _has_bare_nul(head)):
            self.fault = Malformed.HEADER_LINE
        if ends >= MAX_HEADERS:
            self.fault = Malformed.TOO_MANY_HEADERS
            del lines[MAX_HEADERS:]
        if len(head) > MAX_HEADER and max(map(len, lines)) > MAX_HEADER:
            self.fault = Malformed.HEADER_TOO_LONG
        self.lines = lines
        self.values = values = [""]
        first: dict[str, int] = {}
        self.first = first
        self.again = {}
        spelled = _SPELLED
        headers = iter(lines)
        next(headers)
        at = 1
        for line in headers:
            written, colon, value = line.partition(":")
            name = spelled.get(written)
            if name is None:
                if line[:1] in (" ", "\t") and line:
                    if at > 1:
                        self._index(unfold(head))
                        return
                    # RFC 3261 7.3.1: there is no header field yet that this could go on.
                    self.fault = self.fault or Malformed.HEADER_LINE
                name = header_name(written)
            if not colon or not name:
                self.fault = self.fault or Malformed.HEADER_LINE
            if name in first:
                self.again.setdefault(name, [first[name]]).append(at)
            else:
                first[name] = at
            values.append(value)
            at += 1


class Request(Fields):
    """A request: `method` and `uri` stand as they came (RFC 3261 7.1)."""

    __slots__ = ("call_id", "cseq", "from_tag", "max_forwards", "method", "to_tag", "uri", "version")

    # Filled in by sip.check, which every request passes that is not a retransmission.
    call_id: str
    cseq: int
    #: "" where there is none (RFC 2543 peers).
    from_tag: str
    to_tag: str
    #: None where the header is absent.
    max_forwards: int | None

    def __init__(self, method: str, uri: str, version: str, head: str, body: str) -> None:
        self.method = method
        self.uri = uri
        self.version = version
        # Not through super(): every request comes by here.
        self.body = body
        self._index(head)


class Response:
    """A response: `status` is 100 to 699, `reason` may be empty (RFC 3261 7.2).

    Its header fields are split when the first of them is asked for: a proxy passes
    nearly all responses on by their top Via alone, and half of what it gets are
    responses. `top_via`, `cseq_method` and `without_top_via` answer from the text as
    long as it is spelled as usual, and from the header fields otherwise.
    """

    __slots__ = ("_end", "_fields", "_text", "_top", "reason", "status", "top_via")

    def __init__(self, text: str, end: int, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        self._text = text
        #: Where the head ends.
        self._end = end
        self._fields: Fields | None = None
        #: From where to where the text goes when the top Via does, if that is the first
        #: header and not folded; else 0.
        self._top = 0, 0
        #: The top Via, or the list that begins with it; None where there is none.
        self.top_via: str | None
        start = text.index("\r\n") + 2
        after = text.find("\r\n", start, end + 2) + 2
        if text.startswith("Via: ", start) and after > 1 and text[after] not in " \t":
            via = text[start + 5 : after - 2]
            if "," not in via:
                self.top_via = via
                self._top = start, after
                return
            via, _, rest = via.partition(",")
            if via.strip(" \t") and '"' not in via and "<" not in via and rest.strip(" \t,"):
                self.top_via = via
                self._top = start + 5, start + 6 + len(via)
                return
        self.top_via = self.get("via")

    def cseq_method(self) -> str:
        """The method in CSeq; "" without one."""
        text = self._text
        at = text.find("\r\nCSeq: ", 0, self._end)
        if at >= 0:
            after = text.find("\r\n", at + 2)
            method = text[at:after].rpartition(" ")[2]
            if method.isalpha() and text[after + 2] not in " \t":
                return method
        return (self.get("cseq") or "").replace("\t", " ").rpartition(" ")[2]

    def may_hold(self, one: str, other: str) -> bool:
        """Whether one of these two may stand in the message: in lower case, ASCII."""
        text = self._text.lower()
        return one in text or other in text

    def without_top_via(self) -> bytes | None:
        """The response for the next hop upstream (RFC 3261 16.7 step 3).

        None where the top Via is spelled unusually: then the header fields tell more.
        """
        start, after = self._top
        if not after:
            return None
        text = self._text
        return (text[:start] + text[after:]).encode("latin-1")

    @property
    def fields(self) -> Fields:
        """The header fields, split when somebody first asks."""
        fields = self._fields
        if fields is None:
            self._fields = fields = Fields(self._text[: self._end], self._text[self._end + 4 :])
        return fields

    @property
    def lines(self) -> list[str]:
        """As of `Fields`; so are all that follow."""
        return self.fields.lines

    @property
    def values(self) -> list[str]:
        """The values of `lines`."""
        return self.fields.values

    @property
    def first(self) -> dict[str, int]:
        """Where a header stands first."""
        return self.fields.first

    @property
    def again(self) -> dict[str, list[int]]:
        """Where headers stand that stand twice."""
        return self.fields.again

    @property
    def body(self) -> str:
        """What follows the head."""
        return self._text[self._end + 4 :]

    @property
    def fault(self) -> Malformed | None:
        """What splitting found wrong."""
        return self.fields.fault

    def get(self, name: str) -> str | None:
        """The first value of header `name`, or None."""
        return self.fields.get(name)

    def positions(self, name: str) -> list[int]:
        """Where header `name` stands in `lines`, in order."""
        return self.fields.positions(name)

    def all(self, name: str) -> list[str]:
        """The value of every line of header `name`, in order."""
        return self.fields.all(name)

    def bytes(self) -> bytes:
        """The message as octets, folded lines joined."""
        return self.fields.bytes()


Message = Request | Response


def split(data: bytes) -> Request | Response | Malformed:
    """Split one datagram, or one framed message.

    Returns a Malformed code only for what is no SIP message at all; a request with a
    fault that an answer can name comes back with `fault` set (the first one found).
    """
    if len(data) > MAX_MESSAGE:
        return Malformed.TOO_LARGE
    text = data.decode("latin-1")
    if text[3:4] == "/":
        # No method has a "/": this is "SIP/2.0" in one case of letters or the other.
        return _read_response(text)
    if text.startswith("\r\n"):
        # RFC 3261 7.5: empty lines before the start line are ignored.
        return split(data.lstrip(b"\r\n"))
    head, blank, body = text.partition("\r\n\r\n")
    if not blank:
        head = head.removesuffix("\r\n")
    words = head.partition("\r\n")[0].split(" ")
    if len(words) == 3 and words[1]:
        request = Request(words[0], words[1], words[2], head, body)
    elif len(words) < 3:
        return Malformed.NOT_SIP
    else:
        request = Request(words[0], " ".join(words[1:-1]), words[-1], head, body)
        request.fault = Malformed.START_LINE
    if not blank:
        request.fault = request.fault or Malformed.HEADER_LINE
    return request


def _read_response(text: str) -> Response | Malformed:
    """Read the status line."""
    end = text.find("\r\n\r\n")
    if end < 0:
        return Malformed.HEADER_LINE
    ends = text.count("\r\n", 0, end)
    if text.count("\n", 0, end) != ends or text.count("\r", 0, end) != ends:
        return Malformed.HEADER_LINE
    start = text[: text.index("\r\n")]
    version, _, rest = start.partition(" ")
    code, _, reason = rest.partition(" ")
    if version.upper() != "SIP/2.0" or len(code) != 3 or not code.isdecimal() or not code.isascii():
        return Malformed.STATUS
    status = int(code)
    if not 100 <= status <= 699:
        return Malformed.STATUS
    return Response(text, end, status, reason)


def _has_bare_nul(head: str) -> bool:
    """Whether a NUL stands anywhere but behind a backslash, as in a quoted string."""
    return head.count("\0") != head.count("\\\0")


def unfold(head: str) -> str:
    """Join folded lines with one space (RFC 3261 7.3.1)."""
    lines: list[str] = []
    # The pieces of the present line. They are joined once: adding them one by one copies
    # what is there each time, 20 ms for the folded lines that one datagram has room for.
    pieces: list[str] = []
    for line in head.split("\r\n"):
        if line[:1] in (" ", "\t") and lines:
            before = pieces.pop().rstrip(" \t")
            if before or not pieces:
                pieces.append(before)
            pieces.append(line.lstrip(" \t"))
        else:
            if pieces:
                lines.append(" ".join(pieces))
            pieces = [line]
    lines.append(" ".join(pieces))
    return "\r\n".join(lines)
