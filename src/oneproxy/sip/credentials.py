"""Challenges and credentials: the four header fields of digest access (RFC 3261 22, RFC 7616 3).

Only their syntax; what a response must be is reckoned elsewhere. Parameters are given
without quotes, and whether one came in quotes is forgotten: phones differ in which of
qop, nc and algorithm they quote.
"""

from typing import Final

from oneproxy.sip.fields import end_of_quoted, is_token, quote, unquote
from oneproxy.sip.malformed import Malformed

_SPACE: Final = " \t"
# RFC 7616 3.3 and 3.4: these stand without quotes, all else is quoted.
_BARE_IN_CHALLENGE: Final = frozenset(("algorithm", "stale", "userhash"))
_BARE_IN_CREDENTIALS: Final = frozenset(("algorithm", "nc", "qop", "userhash"))
# Names as they are usually written, behind a comma and a space or without one.
_SPELLED: Final[dict[str, str]] = {
    space + name: name
    for name in (
        *("username", "realm", "nonce", "uri", "response", "algorithm", "cnonce", "opaque", "qop", "nc"),
        *("stale", "domain", "userhash"),
    )
    for space in ("", " ")
}


# How credentials look without what stands in quotes, and what follows from it: the names of
# what does, and the parameters that do not. A client writes all of its credentials in one way.
_Shape = tuple[str, ...]
_shapes: dict[_Shape, tuple[tuple[str, ...], dict[str, str]]] = {}
_SHAPES: Final = 1024
_SHAPE_LENGTH: Final = 256


class _Scheme:
    """A scheme and its parameters.

    scheme: "Digest" however it was written, any other as it came. params: names in lower
    case, quotes off; empty for a scheme whose value is one opaque string. text: the
    value as it came, "" for one made here.
    """

    __slots__ = ("params", "scheme", "text")

    _bare: frozenset[str] = frozenset()

    def __init__(self, scheme: str, params: dict[str, str], text: str = "") -> None:
        self.scheme = scheme
        self.params = params
        self.text = text

    @property
    def is_digest(self) -> bool:
        """Whether the scheme is Digest."""
        return self.scheme == "Digest"

    def format(self) -> str:
        """The header value written anew; reading it gives the same parts again."""
        if not self.params:
            return self.text
        bare = self._bare
        return f"{self.scheme} " + ", ".join(
            f"{name}={value}" if name in bare and is_token(value) else f"{name}={quote(value)}"
            for name, value in self.params.items()
        )


class Challenge(_Scheme):
    """A value of WWW-Authenticate or Proxy-Authenticate."""

    __slots__ = ()

    _bare = _BARE_IN_CHALLENGE


class Credentials(_Scheme):
    """A value of Authorization or Proxy-Authorization."""

    __slots__ = ()

    _bare = _BARE_IN_CREDENTIALS


def parse_credentials(value: str) -> Credentials | Malformed:
    """Read one Authorization or Proxy-Authorization line, or Malformed.CREDENTIALS.

    A line holds one set of credentials: its commas part the parameters (RFC 3261 7.3.1).
    A scheme other than Digest is never malformed here, as nobody here knows its syntax
    (RFC 4475 3.3.7).
    """
    read = _parse(value)
    return read if isinstance(read, Malformed) else Credentials(*read)


def parse_challenge(value: str) -> Challenge | Malformed:
    """Read one WWW-Authenticate or Proxy-Authenticate line, or Malformed.CREDENTIALS."""
    read = _parse(value)
    return read if isinstance(read, Malformed) else Challenge(*read)


def _parse(value: str) -> tuple[str, dict[str, str], str] | Malformed:
    """Scheme, parameters and text of a header value."""
    value = value.strip(_SPACE)
    end = value.find(" ")
    tab = value.find("\t")
    if tab >= 0 and (end < 0 or tab < end):
        end = tab
    if end < 0:
        end = len(value)
    scheme = value[:end]
    if not is_token(scheme):
        return Malformed.CREDENTIALS
    params = _parse_params(value[end:])
    if scheme.lower() != "digest":
        return scheme, params or {}, value
    if not params:
        return Malformed.CREDENTIALS
    return "Digest", params, value


def _parse_params(text: str) -> dict[str, str] | None:
    """Read `name=token, name="quoted"`, or None. A name that stands twice is a fault.

    By their shape where it was seen before: 2 us for the ten of an INVITE, not 11.
    """
    pieces = text.split('"')
    if "\\" in text or not len(pieces) & 1:
        return _parse_each(text)
    shape = tuple(pieces[::2])
    known = _shapes.get(shape)
    if known is not None:
        return dict(zip(known[0], pieces[1::2], strict=True)) | known[1]
    params = _parse_each(text)
    if params:
        _learn(shape, pieces[1::2], params)
    return params


def _learn(shape: _Shape, quoted: list[str], params: dict[str, str]) -> None:
    """Remember a shape that was read, if what stands in quotes is each the value of a name."""
    names = tuple([piece.rpartition(",")[2].strip(_SPACE + "=").lower() for piece in shape[:-1]])
    if [params.get(name) for name in names] != quoted or sum(map(len, shape)) > _SHAPE_LENGTH:
        return
    if len(_shapes) >= _SHAPES:
        _shapes.clear()
    _shapes[shape] = names, {name: value for name, value in params.items() if name not in names}


def _parse_each(text: str) -> dict[str, str] | None:
    """As `_parse_params`, one after the other."""
    params: dict[str, str] = {}
    has_escapes = "\\" in text
    at = 0
    while True:
        equals = text.find("=", at)
        written = text[at:equals]
        name = _SPELLED.get(written)
        if name is None:
            name = written.strip(_SPACE).lower()
            if not is_token(name):
                return None
        if equals < 0 or name in params:
            return None
        start = equals + 1
        if text[start : start + 1] == '"' and not has_escapes:
            # As nearly all are written: 11 us for the ten of an INVITE, not 20.
            end = text.find('"', start + 1)
            if end > 0 and text[end + 1 : end + 2] in ("", ","):
                params[name] = text[start + 1 : end]
                at = end + 2
                if at > len(text):
                    return params
                continue
        comma, value = _parse_value(text, start)
        if value is None:
            return None
        params[name] = value
        if comma < 0:
            return params
        at = comma + 1


def _parse_value(text: str, start: int) -> tuple[int, str | None]:
    """Where the comma after the value at `start` is, or -1, and the value, or None."""
    while start < len(text) and text[start] in _SPACE:
        start += 1
    is_quoted = text[start : start + 1] == '"'
    # A quoted value may hold commas, so the search for one begins behind it.
    end = end_of_quoted(text, start) if is_quoted else start
    comma = text.find(",", end) if end >= 0 else -1
    value = (text[start:comma] if comma >= 0 else text[start:]).strip(_SPACE)
    if is_quoted:
        return comma, unquote(value) if len(value) == end - start else None
    return comma, value if is_token(value) else None
