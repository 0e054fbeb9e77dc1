"""Keeps the answered calls of a node beyond its process: in its journal while they stand, and followed
again by the next process. Of every call that is over the journal has the record.

    answered, changed ---- what it is followed again from ----> journal
    ended, over -------------------------- its end, its record -->
    start   <----------------------------------- what stands --

What it is told is read when the journal is written: before anything is sent (`write_ahead`), for all
calls that one turn of the loop has gathered.
"""

from collections.abc import Callable, Container, Iterator
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
from oneproxy.records.record import Record, encode_record
from oneproxy.records.recording import Recording

log = structlog.get_logger()


class Kept(Struct, array_like=True, gc=False):
    """What the journal has of a call. provider, gateway: who has it, "" where no provider does.

    draft: the record of the call as far as it is known; None where none is made.
    """

    standing: Standing
    provider: str
    gateway: str
    draft: Record | None


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
_RECORD: Final = int(Kind.RECORD)
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

    __slots__ = ("_held",)

    def __init__(self, held: Held | None) -> None:
        self._held = held

    def note(self, now: float, _call: Call, event: CallEvent) -> None:
        """Nothing but the end is left to come."""
        if event is CallEvent.ENDED and self._held is not None:
            self._held.end(now)


class Keeper:
    """The calls of one node. size: octets of the entries of all that stand.

    path: of the journal. standing: what a call is followed again from (`Following.standing`). node: the
    name of this one, served: the domains of the site, shift: what is to be added to the engine's time
    for that of day, seconds; for records.
    """

    __slots__ = (
        "_calls",
        "_changed",
        "_claimed",
        "_ended",
        "_journal",
        "_last",
        "_path",
        "_records",
        "_shift",
        "_standing",
        "node",
        "served",
        "shift_s",
        "size",
        "unkept",
    )

    def __init__(
        self,
        path: str,
        standing: Callable[[Call], Standing | None],
        node: str = "",
        served: Container[str] = (),
        shift: Callable[[], float] = float,
    ) -> None:
        self._path = path
        self._standing = standing
        self._shift = shift
        self.node = node
        self.served = served
        self.shift_s = shift()
        #: Records to be written: the number of the call, 0 where it is in no file, and where it is from.
        self._records: list[tuple[int, Recording, Call]] = []
        #: Records that there was no journal for.
        self.unkept = 0
        self._calls: dict[Call, _Noted] = {}
        #: What the journal is yet to be told: of these calls, and that those with these numbers are
        #: over. 50 in a row cost half of what each costs by itself.
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
        """Records that are in no journal, since there was none, or no room, or by a fault of ours."""
        return self.unkept + (0 if self._journal is None else self._journal.lost)

    @property
    def is_full(self) -> bool:
        """Whether the journal wants no more calls."""
        return self._journal is not None and self._journal.is_full

    def bound(self, octets: int, when_full: str) -> None:
        """How much the journal may have, and what becomes of it beyond that (`Journal`)."""
        if self._journal is not None:
            self._journal.limit, self._journal.when_full = octets, when_full

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

    def answered(self, _now: float, call: Call) -> None:
        """`call` has been answered."""
        party = call.attempts[-1].target.party if call.attempts else None
        if call.watch.__class__ is not Recording:
            # Responses are of no more use to anybody.
            call.attempts.clear()
        if self._journal is None:
            return
        self._last += 1
        noted = (
            _Noted(self._last, "", "") if party is None else _Noted(self._last, party.provider, party.gateway)
        )
        self._calls[call] = self._changed[call] = noted
        self._wake()

    def party_of(self, call: Call) -> tuple[str, str]:
        """The provider and the gateway of an answered call that is kept; "" where no provider has it."""
        noted = self._calls.get(call)
        return ("", "") if noted is None else (noted.provider, noted.gateway)

    def changed(self, _now: float, call: Call) -> None:
        """It has been refreshed, say."""
        noted = self._calls.get(call)
        if noted is not None:
            self._changed[call] = noted
            self._wake()

    def ended(self, _now: float, call: Call) -> None:
        """It is over, and nobody has a record of it."""
        number = self._forget(call)
        if number:
            self._ended.append(number)
            self._wake()

    def over(self, recording: Recording, call: Call) -> None:
        """It is over, as its record will say."""
        number = self._forget(call)
        if self._journal is None:
            self.unkept += 1
            return
        self._records.append((number, recording, call))
        self._wake()

    def _forget(self, call: Call) -> int:
        """The call stands no more. Its number where the journal has it, else 0."""
        noted = self._calls.pop(call, None)
        if noted is None:
            return 0
        self.size -= noted.size
        self._changed.pop(call, None)
        return noted.number if noted.size else 0

    def close(self) -> None:
        """The node ends: the file has all that stands. It waits for the disk."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        give_back(self._claimed)
        self._claimed = TAKEN

    def write_ahead(self) -> None:
        """Write what has changed, before anybody hears of it.

        Whoever is told that a call is answered, or over, may rely on its record, whatever becomes of
        this process then.
        """
        if (self._records or self._changed or self._ended) and self._journal is not None:
            self._journal.write()

    def changes(self) -> list[bytes]:
        """Entries of what has changed, as `records.journal.Whole` wants them."""
        self.shift_s = self._shift()
        entries = [self._record(*one) for one in self._records]
        self._records.clear()
        entries += [encode(_ENDED, number) for number in self._ended]
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
        watch: Watch = Adopted(held)
        if kept.draft is not None:
            watch = Recording(self, None, kept.draft, watch)
        call = adopt(now, standing, watch)
        if call is None:
            if held is not None:
                held.end(now)
            return False
        noted = self._calls[call] = _Noted(number, kept.provider, kept.gateway)
        noted.size = len(encode(Kind.STANDS, number, data))
        self.size += noted.size
        return True

    def _record(self, number: int, recording: Recording, call: Call) -> bytes:
        try:
            return encode(_RECORD, number, encode_record(recording.complete(call)))
        except Exception:
            # Our own fault, in what we made of somebody's call, must not cost others their records.
            log.exception("call not recorded", call_id=call.call_id[:128])
            self.unkept += 1
            return encode(_ENDED, number)

    def _wake(self) -> None:
        if self._journal is not None:
            self._journal.wake()

    def _entry(self, call: Call, noted: _Noted) -> bytes:
        """What the journal says of a call now; b"" for one that is over."""
        standing = self._standing(call)
        if standing is None:
            return b""
        data = _ENCODER.encode(Kept(standing, noted.provider, noted.gateway, _draft_of(call)))
        entry = encode(_STANDS, noted.number, data)
        self.size += len(entry) - noted.size
        noted.size = len(entry)
        return entry


def _draft_of(call: Call) -> Record | None:
    """The record of a call that stands, as far as it is known."""
    watch = call.watch
    if not isinstance(watch, Recording):
        return None
    try:
        return watch.stand(call)
    except Exception:
        # Our own fault: the call is followed again all the same, and others are kept.
        log.exception("call not recorded", call_id=call.call_id[:128])
        return None
