"""How long what has come waits until it is read: by the kernel's stamps, and by the lag of the loop.

Linux stamps datagrams as they come (SO_TIMESTAMPNS). The oldest one in a socket has waited for longest, so
a look at that one is enough: it is not taken out for it, and looked at only now and then (`Waits.ask`),
at 1.5 us a time. With it the kernel says how many datagrams it dropped since there was no more room.

Stamps are of the clock that people set. Where it was set since the last look, what came before does not
count: nobody knows by which time it was stamped.
"""

import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Final

from oneproxy.transport.loop import Loop

# Of Linux; the socket module does not name all of them in every version.
_SO_TIMESTAMPNS: Final = 35
_SO_MEMINFO: Final = 55
_TIMESPEC: Final = struct.Struct("@ll")
#: SK_MEMINFO_VARS words, the last one of which is SK_MEMINFO_DROPS.
_MEMINFO: Final = struct.Struct("=9I")
_ANCILLARY: Final = 64

#: Between two looks at a socket in which nothing waits for long.
_EVERY_S: Final = 0.01
#: From here on there is a queue: it is looked at before each batch, and batches are short, since
#: what is read last in one waits for all the others.
BUSY_S: Final = 0.005
#: By how much two clocks may differ since the last look before one has been set: what they drift
#: apart by, and a part of the time that has passed (500 in a million is what adjtime may do).
_SET_S: Final = 0.002
_DRIFT: Final = 0.001

#: Told how long something waited, at which time, and how many datagrams were dropped since the last time.
Tell = Callable[[float, float, int], None]


class Waits:
    """The looks at one UDP socket. wall: the clock that stamps, steady: one that never jumps; in seconds."""

    __slots__ = (
        "_buffer",
        "_dropped",
        "_offset",
        "_seen_at",
        "_since",
        "_socket",
        "_steady",
        "_wall",
        "due_at",
    )

    def __init__(
        self,
        sock: socket.socket,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._socket = sock
        self._wall = wall
        self._steady = steady
        self._buffer = [bytearray(1)]
        self._dropped = 0
        self._seen_at = steady()
        self._offset = wall() - self._seen_at
        #: What was stamped before this does not count.
        self._since = 0.0
        #: When the next look is due, by the time that `look` is told.
        self.due_at = 0.0

    def look(self, now: float) -> tuple[float, int] | None:
        """How long the oldest datagram has waited, in seconds, and how many were dropped since the last look.

        None where nobody knows. now: seconds, by which looks are due. Raises OSError, which is of a datagram
        that was sent earlier: the look has taken it from the socket, and nobody else hears of it.
        """
        self.due_at = now + _EVERY_S
        try:
            _, ancillary, _, _ = self._socket.recvmsg_into(self._buffer, _ANCILLARY, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        waited_s = self.waited_s(_stamp(ancillary))
        if waited_s is None:
            return None
        if waited_s >= BUSY_S:
            self.due_at = now
        return waited_s, self._drops()

    def waited_s(self, stamp: float | None) -> float | None:
        """How long ago it was by the wall's clock; None where that says nothing."""
        wall, steady = self._wall(), self._steady()
        offset = wall - steady
        passed = steady - self._seen_at
        if abs(offset - self._offset) > _SET_S + _DRIFT * passed:
            self._since = wall
        self._offset, self._seen_at = offset, steady
        if stamp is None or stamp < self._since:
            return None
        # A stamp of the time before the clock was set back is of the future.
        return max(0.0, wall - stamp)

    def _drops(self) -> int:
        """Datagrams that the kernel had no room for since the last time."""
        try:
            said = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        except OSError:
            return 0
        if len(said) < _MEMINFO.size:
            return 0
        total: int = _MEMINFO.unpack(said)[-1]
        fresh = (total - self._dropped) % 2**32
        self._dropped = total
        return fresh


def stamped(sock: socket.socket) -> Waits | None:
    """Have the kernel stamp what comes to a UDP socket; None where it can't."""
    if sys.platform != "linux":
        return None
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    except OSError:
        return None
    return Waits(sock)


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> float | None:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
            seconds: int
            nanoseconds: int
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return seconds + nanoseconds / 1e9
    return None


class Lag:
    """How late the loop does what is due: all that is known of how long others wait for it.

    It costs a wake-up every tenth of a second, so it runs only where sockets do not tell by themselves.
    """

    __slots__ = ("_due", "_loop", "_now", "_steady", "_stopped", "_tell")

    def __init__(
        self, loop: Loop, now: Callable[[], float], tell: Tell, steady: Callable[[], float] = time.monotonic
    ) -> None:
        """now: what `tell` is told the time by."""
        self._loop = loop
        self._now = now
        self._tell = tell
        self._steady = steady
        self._stopped = False
        self._due = 0.0
        self._wait(_LAG_EVERY_S)

    def stop(self) -> None:
        """It is over."""
        self._stopped = True

    def _wait(self, delay_s: float) -> None:
        self._due = self._steady() + delay_s
        self._loop.call_later(delay_s, self._look)

    def _look(self) -> None:
        if self._stopped:
            return
        late_s = max(0.0, self._steady() - self._due - _ROUNDED_S)
        self._tell(self._now(), late_s, 0)
        self._wait(_LAG_BUSY_S if late_s >= BUSY_S else _LAG_EVERY_S)


_LAG_EVERY_S: Final = 0.1
_LAG_BUSY_S: Final = 0.01
#: Timers of the loop are of whole milliseconds.
_ROUNDED_S: Final = 0.001
