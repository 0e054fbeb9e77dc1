"""Cutting a byte stream into messages by Content-Length (RFC 3261 18.3, RFC 5626 4.4.1).

    framer = Framer()
    for item in framer.feed(data):
        if item == PING: answer PONG on the same connection
        elif isinstance(item, Malformed): answer framer.failed if need be, then close
        else: item is one whole message

What comes out depends on the octets alone, not on how the network cut them. A stream
whose length cannot be told is lost, since nothing says where its next message begins:
after a Malformed nothing more comes out (RFC 4475 3.1.2.2, 3.1.2.3, 3.3.9).
"""

from typing import Final

from oneproxy.sip.fields import parse_number
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import MAX_MESSAGE, header_name, unfold

PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"

_END_OF_HEAD: Final = b"\r\n\r\n"


class Framer:
    """The receiving side of one connection. It holds at most one message and one read.

    limit: the largest message in octets, head and body together.
    """

    __slots__ = ("_at", "_buffer", "_limit", "_searched", "_wanted", "failed")

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self._limit = limit
        self._buffer = b""
        #: Where in the buffer the next item begins; what lies before is given out.
        self._at = 0
        #: Up to where no end of the head was found, so that octets that come one by one
        #: are not searched again and again.
        self._searched = 0
        #: Where the message ends whose head is complete, 0 before.
        self._wanted = 0
        #: The head of the message whose length could not be told; an answer can be made
        #: of it. None while all is well, empty where not even the head came.
        self.failed: bytes | None = None

    @property
    def begun(self) -> bool:
        """Whether a message has begun to come that is not complete; an end of line is none."""
        buffer = self._buffer
        return len(buffer) >= len(PING) or bool(buffer.strip(PONG))

    def feed(self, data: bytes) -> list[bytes | Malformed]:
        """Take what was read; give what is complete: messages, PING, or a last Malformed."""
        items: list[bytes | Malformed] = []
        if self.failed is not None:
            return items
        self._buffer = self._buffer + data if self._buffer else data
        while (item := self._next()) is not None:
            items.append(item)
            if isinstance(item, Malformed):
                self._at = len(self._buffer)
                break
        # What was given out is cut off once a read, not once an item: a read full of
        # empty lines would be copied ten thousand times.
        at = self._at
        self._buffer = self._buffer[at:]
        self._searched = max(0, self._searched - at)
        self._wanted = max(0, self._wanted - at)
        self._at = 0
        return items

    def _next(self) -> bytes | Malformed | None:
        """The next item of the buffer, or None where it takes more octets."""
        buffer = self._buffer
        at = self._at
        if not self._wanted:
            if buffer.startswith(PING, at):
                self._at = at + len(PING)
                return PING
            if PING.startswith(buffer[at : at + len(PING)]):
                return None
            if buffer.startswith(PONG, at):
                # One empty line: a pong, or an end of line too many (RFC 3261 7.5).
                self._at = at + len(PONG)
            fault = self._find_length(buffer, self._at)
            if fault is not None:
                return fault
        at = self._at
        end = self._wanted
        if not end or len(buffer) < end:
            return None
        self._at = self._searched = end
        self._wanted = 0
        return buffer[at:end]

    def _find_length(self, buffer: bytes, at: int) -> Malformed | None:
        """Look for the end of the head that begins at `at`; set `_wanted` once it is there."""
        found = buffer.find(_END_OF_HEAD, max(at, self._searched))
        end = len(buffer) if found < 0 else found + len(_END_OF_HEAD)
        if end - at > self._limit:
            self.failed = b""
            return Malformed.TOO_LARGE
        if found < 0:
            self._searched = end - len(_END_OF_HEAD) + 1
            return None
        length = content_length(buffer[at:found])
        if length is None or end - at + length > self._limit:
            self.failed = buffer[at:end]
            return Malformed.CONTENT_LENGTH if length is None else Malformed.TOO_LARGE
        self._wanted = end + length
        return None


def fitted(message: bytes) -> bytes | None:
    """A message that came alone, in a datagram or a frame, as it can stand in a stream.

    The length that it says cuts its body, and is added where it says none (RFC 3261 18.3).
    None where the length can't be told or is more than there is: in a stream it would take
    what follows for its own.
    """
    head, blank, body = message.partition(_END_OF_HEAD)
    if not blank:
        return None
    if not _says_length(head):
        return b"%s\r\nContent-Length: %d\r\n\r\n%s" % (head, len(body), body)
    length = content_length(head)
    if length is None or length > len(body):
        return None
    return message if length == len(body) else head + blank + body[:length]


def _says_length(head: bytes) -> bool:
    """Whether there is a Content-Length in any spelling, be it a bad one."""
    lines = unfold(head.decode("latin-1")).split("\r\n")
    return any(header_name(line.partition(":")[0]) == "content-length" for line in lines)


def content_length(head: bytes) -> int | None:
    """The length of the body after `head` in octets; None where it is not said, badly, or twice.

    Two lines that agree are refused too: whoever writes two may mean either, and peers
    that take another one of them see another message than we do.
    """
    text = head.decode("latin-1")
    if "\r\n " in text or "\r\n\t" in text:
        text = unfold(text)
    found: int | None = None
    for line in text.split("\r\n"):
        # Few lines begin so: the rest of the work is done for one line of a message.
        if line[:1] in ("C", "c", "L", "l"):
            written, colon, value = line.partition(":")
            if colon and header_name(written) == "content-length":
                if found is not None:
                    return None
                found = parse_number(value)
                if found is None:
                    return None
    return found
