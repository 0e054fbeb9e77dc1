"""Changes on their way to the recorder: who waits for each, and the frame that carries some."""

from collections.abc import Callable
from typing import Final

import msgspec

from oneproxy.ipc.messages import EncodedSave
from oneproxy.ipc.stream import encode
from oneproxy.registrar.bindings import Change, Fate

Done = Callable[[Fate], None]

_encoder: Final = msgspec.msgpack.Encoder()


def encode_change(change: Change) -> bytes:
    """A change as a batch carries it."""
    return _encoder.encode(change)


class Waiting:
    """A change that waits to be sent."""

    __slots__ = ("change", "done", "since")

    def __init__(self, change: bytes, done: Done, since: float) -> None:
        self.change = change
        self.done = done
        self.since = since


class Batch:
    """A batch that is not answered yet, as the frame that carries it.

    changes: those who wait for its answer; none once that took too long.
    """

    __slots__ = ("changes", "frame", "number")

    def __init__(self, number: int, changes: list[Waiting]) -> None:
        self.number = number
        self.changes = changes
        self.frame = encode(EncodedSave(number, [msgspec.Raw(waiting.change) for waiting in changes]))
