"""The overload control parameters of a Via value (RFC 7339 4): who asks, what is told, what is read.

;oc;oc-algo="loss"                                              of who sends a request
;oc=20;oc-algo="loss";oc-validity=500;oc-seq=1282321615.78200   in what he is answered
"""

from typing import Final

from oneproxy.sip.fields import parse_number, split_list, split_outside
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.via import Via, parse_via

#: What a client adds to its Via: it does as it is told, by the loss-based algorithm (4.1, 4.2).
ASKING: Final = ';oc;oc-algo="loss"'
#: RFC 7339 4.3: for as long as a value holds that does not say for how long.
VALID_MS: Final = 500
_NAMES: Final = ("oc", "oc-algo", "oc-validity", "oc-seq")
_SPACE: Final = " \t"


class Feedback:
    """What a server has said of itself. loss_percent: 0 to 100, of how much it wants less.

    valid_s: for how long; 0 where it says that it is over (RFC 7339 5.7). seq: what is lower than that
    of another one is older (4.4); 0.0 where it said none.
    """

    __slots__ = ("loss_percent", "seq", "valid_s")

    def __init__(self, loss_percent: int, valid_s: float, seq: float) -> None:
        self.loss_percent = loss_percent
        self.valid_s = valid_s
        self.seq = seq


def read_feedback(value: str) -> Feedback | None:
    """What the server before us says in our Via, or None: nothing, or nothing that can be read.

    value: a Via value, or a list that begins with it.
    """
    via = _first(value)
    if via is None:
        return None
    params = via.params
    loss_percent = parse_number(params.get("oc") or "")
    if loss_percent is None or loss_percent > 100:
        return None
    if "oc-algo" in params and not _has_loss(params["oc-algo"]):
        return None  # of another algorithm, whose numbers mean something else
    valid_ms: int | None = VALID_MS
    if "oc-validity" in params:
        valid_ms = parse_number(params["oc-validity"] or "")
    seq = _read_seq(params.get("oc-seq"))
    if valid_ms is None or seq is None:
        return None
    return Feedback(loss_percent, valid_ms / 1000.0, seq)


def asks(value: str) -> bool:
    """Whether who wrote this Via value, the first one of a list, does as it is told by loss."""
    via = _first(value)
    return via is not None and "oc" in via.params and _has_loss(via.params.get("oc-algo") or "loss")


def replaced(value: str, params: str) -> str:
    """A Via value, or a list that begins with it, with these parameters in place of those of its own.

    params: ";oc=20" and so on. Whatever else stands in it stays as it is written.
    """
    values = split_list(value)
    pieces = [one for one in split_outside(values[0], ";") if _name_of(one) not in _NAMES]
    return ", ".join([";".join(pieces) + params, *values[1:]])


def without_values(value: str) -> str:
    """All Via values of a line, without what a server would have said in them.

    Who has written `oc` there finds it as he wrote it (RFC 7339 5.4).
    """
    values: list[str] = []
    for one in split_list(value):
        pieces = split_outside(one, ";")
        if any(_name_of(piece) == "oc" and "=" in piece for piece in pieces):
            pieces = ["oc" if _name_of(piece) == "oc" else piece for piece in pieces]
            pieces = [piece for piece in pieces if _name_of(piece) not in ("oc-validity", "oc-seq")]
        values.append(";".join(pieces))
    return ", ".join(values)


def _first(value: str) -> Via | None:
    values = split_list(value)
    via = parse_via(values[0]) if values else Malformed.VIA
    return None if isinstance(via, Malformed) else via


def _has_loss(names: str | None) -> bool:
    return any(name.strip(_SPACE).lower() == "loss" for name in (names or "").split(","))


def _name_of(piece: str) -> str:
    return piece.partition("=")[0].strip(_SPACE).lower()


def _read_seq(written: str | None) -> float | None:
    """RFC 7339 9: seconds, a point, a fraction. 0.0 where there is none, None where it can't be read."""
    if written is None:
        return 0.0
    seconds, _, fraction = written.partition(".")
    if parse_number(seconds) is None or len(seconds) > 12 or (fraction and parse_number(fraction) is None):
        return None
    return float(f"{seconds}.{fraction or '0'}")
