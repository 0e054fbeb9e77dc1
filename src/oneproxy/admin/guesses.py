"""Who guesses tokens: an address that came with too many wrong ones is not listened to for a while.

From there only those tokens open anything that did so before from the same address. So who has
one goes on, though somebody guesses from behind the same proxy, and a guesser learns nothing by
the right token. Other addresses do not notice.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final

from oneproxy.access.sources import source_of
from oneproxy.access.window import Window

#: Wrong tokens from one IPv4 address, or one IPv6 network of 64 bits, in a time that slides.
WRONG: Final = 10
WINDOW_S: Final = 60.0
#: Addresses that are counted, and tokens that are known from where they came.
CAPACITY: Final = 10_000


class Guesses:
    """The memory of the admin process. clock: seconds, and does not go back."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self._wrong = Window(WINDOW_S, CAPACITY)
        #: Source and the token's name, the one that was used last at the end.
        self._proved: dict[tuple[str, str], None] = {}

    def is_closed(self, host: str, name: str = "") -> bool:
        """Whether nothing is taken from this address; name: of the right token that came, if one did."""
        source = source_of(host)
        if self._wrong.count(source, self.clock()) < WRONG:
            return False
        return (source, name) not in self._proved

    def wrong(self, host: str) -> None:
        """A wrong token came."""
        self._wrong.add(source_of(host), self.clock())

    def right(self, host: str, name: str) -> None:
        """The token of this name came."""
        key = (source_of(host), name)
        self._proved.pop(key, None)
        self._proved[key] = None
        if len(self._proved) > CAPACITY:
            del self._proved[next(iter(self._proved))]
