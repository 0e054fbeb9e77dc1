"""Keeps the answered calls of a node beyond its process: in its journal while they stand, and followed
again by the next process.

    answered, changed ---- what it is followed again from ----> journal
    ended ------------------------------------------ its end -->
    start   <----------------------------------- what stands --
"""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

import structlog
from msgspec import DecodeError, Struct
from msgspec.msgpack import Decoder, Encoder

from oneproxy.engine.call import Call, CallEvent, Watch
from oneproxy.engine.standing import Standing
from oneproxy.records.entries import Kind, encode
from oneproxy.records.file import TAKEN, claim, give_back
from oneproxy.records.journal import Journal
from oneproxy.records.reading import read

log = structlog.get_logger()


class Kept(Struct, array_like=True, gc=False):
    """What the journal has of a call. provider, gateway: who has it, "" where no provider does."""

    standing: Standing
    provider: str
    gateway: str


class Held(Protocol):
    """What counts a call of a gateway, until it is told the end."""

    def end(self, now: float) -> None:
        """The call is over."""
        ...


#: Follow a call again; None where there is no room: `engine.following.Following.adopt`.
Adopt = Callable[[float, Standing, Watch], Call | None]
#: Count a call again, of a provider, a gateway, since when: `trunks.trunks.Trunks.adopt`.
Hold = Callable[[str, str, float], Held]

_STANDS: Final = int(Kind.STANDS)
_ENDED: Final = int(Kind.ENDED)
_ENCODER: Final = Encoder()
_DECODER: Final = Decoder(Kept)


class _Noted:
    """A call that is in the journal. size: octets of its entry."""

    __slots__ = ("gateway", "number", "provider", "size")

    def __init__(self, number: int, provider: str, gateway: str) -> None:
        self.number = number
        self.provider = provider
        self.gateway = gateway
        self.size = 0


class Adopted:
    """The watch of a call that is followed again: its end makes room."""

    __slots__ = ("_held", "_keeper")

    def __init__(self, keeper: "Keeper", held: Held | None) -> None:
        self._keeper = keeper
        self._held = held

    def note(self, now: float, call: Call, event: CallEvent) -> None:
        """Nothing but the end is left to come."""
        if event is CallEvent.ENDED:
            self._keeper.ended(call)
            if self._held is not None:
                self._held.end(now)


class Keeper:
    """The calls of one node. size: octets of the entries of all that stand.

    path: the file. standing: what a call is followed again from (`Following.standing`).
    """

    __slots__ = (
        "_calls",
        "_changed",
        "_claimed",
        "_ended",
        "_journal",
        "_last",
        "_path",
        "_standing",
        "size",
    )

    def __init__(self, path: str, standing: Callable[[Call], Standing | None]) -> None:
        self._path = path
        self._standing = standing
        self._calls: dict[Call, _Noted] = {}
        #: What the journal is yet to be told: of these calls, and that those with these numbers are
        #: over. All at once, when it writes: 50 in a row take 3.3 us for a call, each by itself 4.6.
        self._changed: dict[Call, _Noted] = {}
        self._ended: list[int] = []
        self._last = 0
        self._journal: Journal | None = None
        self._claimed = TAKEN
        self.size = 0

    def __len__(self) -> int:
        """How many calls stand."""
        return len(self._calls)

    @property
    def is_kept(self) -> bool:
        """Whether calls would outlive the process if it died now."""
        return self._journal is not None and self._journal.is_kept

    @property
    def lost(self) -> int:
        """Entries that are in no file, since it could not be written."""
        return 0 if self._journal is None else self._journal.lost

    def start(self, now: float, adopt: Adopt, hold: Hold) -> int:
        """Follow again what stands by the journal, and keep calls from now on; how many stand.

        To be called once, in the loop, before anything is received. now: seconds since the epoch.
        """
        self._claimed = claim(self._path)
        if self._claimed == TAKEN:
            # Its calls are that one's, which would be ended here for want of refreshes.
            log.error("calls not kept", file=self._path, reason="another process keeps its calls there")
            return 0
        found = read(self._path)
        self._last = found.last
        journal = self._journal = Journal(self._path, self, found.good)
        left_out = 0
        for number, data in found.standing.items():
            if not self._take(now, number, data, adopt, hold):
                left_out += 1
                self._ended.append(number)
                journal.wake()
        if found.standing:
            log.info("calls followed again", file=self._path, calls=len(self._calls), left_out=left_out)
        return len(self._calls)

    def answered(self, call: Call, provider: str = "", gateway: str = "") -> None:
        """`call` has been answered; a gateway has it, or none."""
        if self._journal is None:
            return
        self._last += 1
        self._calls[call] = self._changed[call] = _Noted(self._last, provider, gateway)
        self._wake()

    def changed(self, _now: float, call: Call) -> None:
        """It has been refreshed, say (`Following.on_changed`)."""
        noted = self._calls.get(call)
        if noted is not None:
            self._changed[call] = noted
            self._wake()

    def ended(self, call: Call) -> None:
        """It is over."""
        noted = self._calls.pop(call, None)
        if noted is not None:
            self.size -= noted.size
            self._changed.pop(call, None)
            if noted.size:
                self._ended.append(noted.number)
                self._wake()

    def close(self) -> None:
        """The node ends: the file has all that stands. It waits for the disk."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        give_back(self._claimed)
        self._claimed = TAKEN

    def changes(self) -> list[bytes]:
        """Entries of what has changed, as `records.journal.Whole` wants them."""
        entries = [encode(_ENDED, number) for number in self._ended]
        self._ended.clear()
        for call, noted in self._changed.items():
            entry = self._entry(call, noted)
            if entry:
                entries.append(entry)
        self._changed.clear()
        return entries

    def entries(self) -> Iterator[bytes]:
        """An entry for each call that stands, as `records.journal.Whole` wants it."""
        # Not their items: to make a pair for each of many has garbage collected, which takes long.
        for call in list(self._calls):
            noted = self._calls.get(call)
            if noted is not None:
                entry = self._entry(call, noted)
                if entry:
                    yield entry

    def _take(self, now: float, number: int, data: bytes, adopt: Adopt, hold: Hold) -> bool:
        try:
            kept = _DECODER.decode(data)
        except (DecodeError, UnicodeDecodeError):
            return False  # of a version that kept something else of a call
        standing = kept.standing
        held = hold(kept.provider, kept.gateway, standing.started_at) if kept.provider else None
        call = adopt(now, standing, Adopted(self, held))
        if call is None:
            if held is not None:
                held.end(now)
            return False
        noted = self._calls[call] = _Noted(number, kept.provider, kept.gateway)
        noted.size = len(encode(Kind.STANDS, number, data))
        self.size += noted.size
        return True

    def _wake(self) -> None:
        if self._journal is not None:
            self._journal.wake()

    def _entry(self, call: Call, noted: _Noted) -> bytes:
        """What the journal says of a call now; b"" for one that is over."""
        standing = self._standing(call)
        if standing is None:
            return b""
        data = _ENCODER.encode(Kept(standing, noted.provider, noted.gateway))
        entry = encode(_STANDS, noted.number, data)
        self.size += len(entry) - noted.size
        noted.size = len(entry)
        return entry
