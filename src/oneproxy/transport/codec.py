"""What makes messages of the octets of a connection, and octets of messages. Pure."""

from typing import ClassVar, Final, Protocol

from oneproxy.sip.framing import PING, PONG, Framer
from oneproxy.sip.malformed import Malformed

_END_OF_LINE: Final = b"\r\n"
_RESPONSE: Final = b"SIP/2.0 "


class Codec(Protocol):
    """One connection's, as it begins.

    open: whether messages can be sent. begun: whether a message has begun to come that is
    not complete. ended: nothing more comes out, and the connection is to be closed once
    what is to be sent has been. most: octets to read at once. worth: how many octets more
    the last `feed` would have been by the time that it took.
    """

    most: ClassVar[int]
    worth: int

    @property
    def open(self) -> bool: ...
    @property
    def begun(self) -> bool: ...
    @property
    def ended(self) -> bool: ...

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was read; give the whole messages in it."""
        ...

    def frame(self, message: bytes) -> bytes:
        """What to send for one message; b"" where nothing can be sent any more."""
        ...

    def take(self) -> bytes:
        """What the peer gets by itself: answers to keep-alives, the end of a handshake."""
        ...

    def close(self) -> None:
        """Say good-bye, if that is the custom."""
        ...


class StreamCodec:
    """TCP and TLS: messages by Content-Length, with keep-alives between (RFC 5626 3.5.1)."""

    __slots__ = ("_framer", "_pongs", "ended", "worth")

    open: ClassVar[bool] = True
    most: ClassVar[int] = 65_536

    def __init__(self) -> None:
        self._framer = Framer()
        self._pongs = 0
        self.ended = False
        self.worth = 0

    @property
    def begun(self) -> bool:
        """Whether a message has begun; an end of line is none."""
        return self._framer.begun

    def feed(self, data: bytes) -> list[bytes]:
        """Of a request whose length can't be told the head comes out, to be answered 400."""
        messages: list[bytes] = []
        for item in self._framer.feed(data):
            if isinstance(item, Malformed):
                self.ended = True
                messages += _answerable(self._framer.failed or b"", item)
            elif item == PING:
                self._pongs += 1
            else:
                messages.append(item)
        return messages

    def frame(self, message: bytes) -> bytes:
        """The message itself."""
        return message

    def take(self) -> bytes:
        """A PONG for every PING."""
        pongs, self._pongs = self._pongs, 0
        return PONG * pongs

    def close(self) -> None:
        """There is no custom."""


def _answerable(head: bytes, fault: Malformed) -> list[bytes]:
    """What to hand in of a message whose end nobody knows: RFC 3261 18.3 has a request refused
    and a response discarded."""
    if not head or head[: len(_RESPONSE)].upper() == _RESPONSE:
        return []
    if fault is Malformed.CONTENT_LENGTH:
        # Without a length a datagram would be all right. Here it is not, and has to look so.
        head = head[: -len(_END_OF_LINE)] + b"Content-Length: ?\r\n\r\n"
    return [head]
