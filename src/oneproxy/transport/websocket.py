"""SIP over WebSocket, the server's side (RFC 7118, RFC 6455): one message in each frame.

The handshake, the frames, their masks and their pings are those of the `websockets` library.
"""

from typing import ClassVar, Final

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from oneproxy.sip.framing import PING, PONG
from oneproxy.sip.message import MAX_MESSAGE

_SUBPROTOCOLS: Final = [Subprotocol("sip")]
_SWITCHING: Final = 101

#: Frames may have six octets and cost 20 us each whatever is in them, so they are taken a
#: few at a time, and who sends more than this at once, where messages are hundreds of
#: octets and keep-alives come twice a minute, wants no phone call.
_FRAMES: Final = 128
_SLICE: Final = 512
#: What a frame costs beside its octets, by what octets of messages cost.
_WORTH: Final = 128


class WebSocketCodec:
    """One connection's. Whoever does not ask for the subprotocol "sip" is answered 400."""

    __slots__ = ("_held", "_own", "_protocol", "_text", "ended", "worth")

    most: ClassVar[int] = 4096

    def __init__(self) -> None:
        # Any origin may: who calls is a matter of SIP's own credentials, which a browser
        # does not send by itself. Compression would let a few octets become many.
        self._protocol = ServerProtocol(subprotocols=_SUBPROTOCOLS, max_size=MAX_MESSAGE)
        self._own = b""
        #: What has come of a message in fragments; None where none has begun. Octets, no
        #: list: a peer may send as many empty fragments as it likes.
        self._held: bytearray | None = None
        self._text = False
        self.ended = False
        self.worth = 0

    @property
    def open(self) -> bool:
        """Whether the handshake is over and nobody has said good-bye."""
        return self._protocol.state is State.OPEN

    @property
    def begun(self) -> bool:
        """Whether a message has begun."""
        return self._held is not None or bool(self._protocol.reader.buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Frames that are empty or keep the connection alive are no messages."""
        messages: list[bytes] = []
        protocol = self._protocol
        frames = 0
        at = 0
        while at < len(data) and not self.ended:
            protocol.receive_data(data[at : at + _SLICE])
            at += _SLICE
            for event in protocol.events_received():
                if isinstance(event, Request):
                    response = protocol.accept(event)
                    protocol.send_response(response)
                    if response.status_code != _SWITCHING:
                        break
                elif isinstance(event, Frame):
                    frames += 1
                    if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                        self._join(event, messages)
            if frames > _FRAMES and protocol.state is State.OPEN:
                protocol.fail(CloseCode.POLICY_VIOLATION, "too many frames")
            self._collect()
        self.worth = frames * _WORTH
        return messages

    def frame(self, message: bytes) -> bytes:
        """A text frame where the message is UTF-8 throughout, as RFC 7118 4.2 has it."""
        protocol = self._protocol
        if protocol.state is not State.OPEN:
            return b""
        if _is_text(message):
            protocol.send_text(message)
        else:
            protocol.send_binary(message)
        return b"".join(protocol.data_to_send())

    def take(self) -> bytes:
        """Pongs, the answer to the handshake, the end of it all."""
        own, self._own = self._own, b""
        return own

    def close(self) -> None:
        """RFC 6455 7.1.2."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.GOING_AWAY)
            self._collect()

    def _join(self, frame: Frame, messages: list[bytes]) -> None:
        if frame.opcode is not Opcode.CONT:
            self._text = frame.opcode is Opcode.TEXT
        if not frame.fin:
            if self._held is None:
                self._held = bytearray()
            self._held += frame.data
            return
        message = bytes(frame.data)
        if self._held is not None:
            message = bytes(self._held) + message
            self._held = None
        if self._text and not _is_text(message):
            # RFC 6455 8.1.
            self._protocol.fail(CloseCode.INVALID_DATA, "not UTF-8")
        elif message == PING:
            self._own += self.frame(PONG)
        elif message.strip(PONG):
            messages.append(message)

    def _collect(self) -> None:
        for data in self._protocol.data_to_send():
            # An empty one says that nothing follows.
            self._own += data
            self.ended = self.ended or not data


def _is_text(message: bytes) -> bool:
    if message.isascii():
        return True
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True
