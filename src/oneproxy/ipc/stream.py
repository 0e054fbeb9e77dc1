"""Frames on a byte stream: four octets of length, big-endian, then one msgpack structure.

Pure: octets in, structures out. Both ends are OneProxy's own processes, so what does
not fit this form is a fault of ours, or somebody else at the socket: it is raised as
`StreamError` and the connection is closed. Neither end remembers it, since whatever
was not acknowledged is sent again.
"""

from typing import Any, Final, Generic, TypeVar

import msgspec

Kind = TypeVar("Kind")

#: A site of 200,000 subscribers in a `Start` takes 40 MiB; nothing else comes near.
MAX_FRAME: Final = 64 * 1024 * 1024
LENGTH_OCTETS: Final = 4

_encoder = msgspec.msgpack.Encoder()


class StreamError(Exception):
    """The octets that came are no frame of the kind that is read here."""


def encode(message: object) -> bytes:
    """One frame that holds `message`, any of the structures of `ipc.messages`.

    Raises StreamError for a message above MAX_FRAME, which no peer would read.
    """
    frame = bytearray(LENGTH_OCTETS)
    _encoder.encode_into(message, frame, LENGTH_OCTETS)
    length = len(frame) - LENGTH_OCTETS
    if length > MAX_FRAME:
        raise StreamError(f"a frame of {length} octets is above the maximum of {MAX_FRAME}")
    frame[:LENGTH_OCTETS] = length.to_bytes(LENGTH_OCTETS, "big")
    return bytes(frame)


class Decoder(Generic[Kind]):
    """Reads the frames of one stream as they arrive.

    kind: the union of structures that may come. maximum: octets of the largest frame;
    what is kept between two calls is never more than one frame of that size.
    """

    __slots__ = ("_kept", "_reader", "maximum")

    def __init__(self, kind: Any, maximum: int = MAX_FRAME) -> None:
        self._reader: msgspec.msgpack.Decoder[Kind] = msgspec.msgpack.Decoder(kind)
        self._kept = bytearray()
        self.maximum = maximum

    def feed(self, data: bytes) -> list[Kind]:
        """The messages that `data` completes, in order; raises StreamError."""
        if not self._kept:
            messages, used = self._read(data)
            if used < len(data):
                self._kept += memoryview(data)[used:]
            return messages
        self._kept += data
        messages, used = self._read(self._kept)
        del self._kept[:used]
        return messages

    def _read(self, data: bytes | bytearray) -> tuple[list[Kind], int]:
        """The complete messages at the start of `data`, and the octets that they took."""
        messages: list[Kind] = []
        at = 0
        with memoryview(data) as view:
            while len(view) - at >= LENGTH_OCTETS:
                length = int.from_bytes(view[at : at + LENGTH_OCTETS], "big")
                if length > self.maximum:
                    raise StreamError(f"a frame of {length} octets is above the maximum of {self.maximum}")
                end = at + LENGTH_OCTETS + length
                if end > len(view):
                    break
                try:
                    messages.append(self._reader.decode(view[at + LENGTH_OCTETS : end]))
                except msgspec.MsgspecError as error:
                    raise StreamError(f"a frame that cannot be read: {error}") from None
                at = end
        return messages, at
