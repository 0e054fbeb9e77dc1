"""What all connections together may do in one turn of the loop, so that others get theirs.

Without a bound two hundred busy connections make every datagram wait for all of them. Who has
no share in this turn is called again in the next ones, in the order in which they asked: the
loop tells again too, but always the same ones first, and nothing at all of a socket that has
an error (libuv stops watching it).
"""

from collections.abc import Callable
from typing import Final, Protocol

from oneproxy.transport.loop import Loop

#: Octets read in one turn: some fifty messages, which take some milliseconds.
OCTETS: Final = 32_768
#: Octets that one may read while others wait for their share: some messages, or a part of one.
SHARE: Final = 4_096
#: Handshakes taken a step further in one turn of the loop. A step of TLS takes a millisecond
#: or two, so when all phones come back at once, calls over UDP do not wait for all of them.
SHAKES: Final = 8


class Reader(Protocol):
    """Who wants to read."""

    def readable(self) -> None:
        """Ask for a share again, and read."""
        ...


class Turns:
    """Deals out the present turn. `start` it in the running loop."""

    __slots__ = ("_begun", "_loop", "_octets", "_reading", "_served", "_shakes", "_shaking", "on_waited")

    def __init__(self) -> None:
        self._loop: Loop | None = None
        self._octets = OCTETS
        self._shakes = SHAKES
        #: Whether `_next` is going to be called.
        self._begun = False
        #: Those who wait, in their order, with a handshake to make and without; and since when,
        #: by the loop's clock.
        self._shaking: dict[Reader, float] = {}
        self._reading: dict[Reader, float] = {}
        #: Whose turn it is of those.
        self._served: Reader | None = None
        #: Told how many seconds who has waited for longest to read has done so.
        self.on_waited: Callable[[float], None] | None = None

    def start(self, loop: Loop) -> None:
        """Turns are those of `loop`."""
        self._loop = loop

    def share(self, who: Reader, shaking: bool) -> int:
        """How many octets `who` may read now; 0: none, and `who.readable` is called later."""
        if not self._begun:
            self._begin()
        waiting = self._shaking if shaking else self._reading
        left = self._shakes if shaking else self._octets
        if left <= 0 or (waiting and who is not self._served):
            waiting.setdefault(who, 0.0 if self._loop is None else self._loop.time())
            return 0
        if shaking:
            self._shakes -= 1
            return SHARE
        return min(left, SHARE) if waiting else left

    def charge(self, octets: int) -> None:
        """So many were read, or what took as long was done."""
        self._octets -= octets

    def forget(self, who: Reader) -> None:
        """It is closed."""
        self._shaking.pop(who, None)
        self._reading.pop(who, None)

    def _begin(self) -> None:
        if self._loop is not None:
            self._begun = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        """The next turn has come: first those who wait."""
        self._octets = OCTETS
        self._shakes = SHAKES
        self._begun = False
        while self._shaking and self._shakes > 0:
            self._serve(self._shaking)
        if self._reading and self.on_waited is not None and self._loop is not None:
            self.on_waited(self._loop.time() - next(iter(self._reading.values())))
        while self._reading and self._octets > 0:
            self._serve(self._reading)
        if (self._shaking or self._reading) and not self._begun:
            self._begin()

    def _serve(self, waiting: dict[Reader, float]) -> None:
        who = next(iter(waiting))
        del waiting[who]
        self._served = who
        try:
            who.readable()
        finally:
            self._served = None
