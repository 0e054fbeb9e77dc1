"""Telling neighbours who ask how much less we want (RFC 7339 5.2): in their Via of what they are answered.

Nobody is told anything while there is room, but for the first answers to one who asks, which tell him
that we would (5.1): so ordinary calls cost nothing. From the beginning of an overload until a minute
after its end every response to them says how it is.
"""

from typing import TYPE_CHECKING, Final

from oneproxy.sip.oc import ASKING, asks, replaced

if TYPE_CHECKING:
    from oneproxy.engine.flow import Flow
    from oneproxy.engine.gate import Gate

#: For how long what we say holds. He hears from us as often as he sends, and as long as he sends nothing
#: he has nothing to hold back.
VALID_MS: Final = 2000
#: For how long it is said that it is over, so that all hear of it.
_OVER_S: Final = 60.0
#: For how long the first answers to one who asks say something: a 100 comes by then (RFC 3261 17.2.1).
_FIRST_S: Final = 1.0
#: How many are remembered that have asked, and that were told.
_MOST: Final = 4096
_ASKING: Final = ASKING.encode("latin-1")
_REFUSAL: Final = b"SIP/2.0 503 "
_RETRY_AFTER: Final = b"\r\nRetry-After: "


class Telling:
    """What those who ask are told. is_on: whether they are told anything."""

    __slots__ = ("_gate", "_known", "_of", "_text", "_until", "is_on")

    def __init__(self, gate: "Gate") -> None:
        self._gate = gate
        self.is_on = False
        #: Until when there is something to say.
        self._until = 0.0
        #: Those that know that we do this.
        self._known: set[tuple[str, int]] = set()
        #: The parameters, and of which instant and loss they are.
        self._text = b""
        self._of = 0.0, 0

    def greet(self, now: float, flow: "Flow") -> None:
        """Somebody asks who is answered on `flow`: the first time he is told that we know of it."""
        if not self.is_on or (flow.host, flow.port) in self._known:
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known.add((flow.host, flow.port))
        self._until = max(self._until, now + _FIRST_S)

    def is_due(self, now: float) -> bool:
        """Whether there is something to say in what is sent now."""
        if self.is_on and self._gate.loss(now):
            self._until = now + _OVER_S
        return now < self._until

    def tell(self, now: float, out: "list[tuple[Flow, bytes]]") -> None:
        """Say it in all responses of `out` whose receiver asks."""
        percent = self._gate.loss(now)
        for at, (flow, data) in enumerate(out):
            if data.startswith(b"SIP/2.0 ") and b";oc" in data:
                told = self._told(now, percent, data)
                if told is not None:
                    out[at] = flow, told
                    if percent:
                        self._gate.note_told(flow, now + VALID_MS / 1000.0)

    def _told(self, now: float, percent: int, data: bytes) -> bytes | None:
        """The response with what we say; None where its receiver does not ask."""
        start = data.find(b"\r\n") + 2
        end = data.find(b"\r\n", start)
        while end > start and not _is_via(data[start:end]):
            start = end + 2
            end = data.find(b"\r\n", start)
        if end <= start:
            return None
        text = self._params(now, percent)
        line = data[start:end]
        if b"," not in line and _ASKING in line:
            # As we ask ourselves, and others will: 0.3 us instead of 8.
            line = line.replace(_ASKING, text)
        else:
            name, _, value = line.decode("latin-1").partition(":")
            if not asks(value):
                return None
            line = f"{name}: {replaced(value, text.decode('latin-1'))}".encode("latin-1")
        rest = data[end:]
        if percent and data.startswith(_REFUSAL):
            # RFC 7339 5.10.2: it would stop him, who does send less.
            before, found, after = rest.partition(_RETRY_AFTER)
            rest = before + after[after.find(b"\r\n") :] if found else rest
        return data[:start] + line + rest

    def _params(self, now: float, percent: int) -> bytes:
        if self._of != (now, percent):
            self._of = now, percent
            valid_ms = VALID_MS if percent else 0
            # RFC 7339 4.4: who gets two knows by it which one is the later.
            text = f';oc={percent};oc-algo="loss";oc-validity={valid_ms};oc-seq={now:.5f}'
            self._text = text.encode("latin-1")
        return self._text


def _is_via(line: bytes) -> bool:
    return line.startswith(b"Via:") or line.partition(b":")[0].strip(b" \t").lower() in (b"via", b"v")
