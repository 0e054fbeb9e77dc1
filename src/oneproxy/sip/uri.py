"""SIP, SIPS and tel URIs: reading, writing, comparing (RFC 3261 19.1 and 25.1, RFC 3966).

A URI of another scheme is read too, as its scheme and its text, since a request for
one is well formed and is answered 416 rather than 400. Reading follows the grammar;
the one liberty is a bare "#" in the user part, which phones send for dialled digits.
"""

from ipaddress import IPv6Address
from string import ascii_letters, digits, hexdigits
from typing import Final

from oneproxy.sip.host import format_host, parse_hostport
from oneproxy.sip.malformed import Malformed

_UNRESERVED: Final = ascii_letters + digits + "-_.!~*'()"
_USER: Final = _UNRESERVED + "&=+$,;?/"
_PARAMETER: Final = _UNRESERVED + "[]/:&+$"
# What may stand in each part, escapes included; checked as in host.py, by stripping.
_IN_USER: Final = _USER + "#%"
_IN_PASSWORD: Final = _UNRESERVED + "&=+$,%"
_IN_PARAMETERS: Final = _PARAMETER + ";=%"
_IN_HEADERS: Final = _UNRESERVED + "[]/?:+$&=%"
_IN_NUMBER: Final = hexdigits + "+*#-.()"
_IN_SCHEME: Final = ascii_letters + digits + "+-."
_VISUAL_SEPARATORS: Final = str.maketrans("", "", "-.()")

# RFC 3261 19.1.4: these matter even where only one of two URIs has them. The text
# leaves transport out, the examples below it do not.
_TELLING: Final = ("user", "ttl", "method", "maddr", "transport")

# Of ten thousand phones: their addresses-of-record and their contacts. 16 MB at most.
_REMEMBERED: Final = 32_768
_REMEMBERED_LENGTH: Final = 256


class Uri:
    """A URI, read. It is shared by all who read the same text: never change one.

    scheme: lower case. user, password: as written, None where there is none; of a tel
    URI, user is the number. host: lower case, an IPv6 address without brackets, ""
    where the scheme has none. port: 1 to 65535, None where none is written. params:
    names in lower case, escapes taken off, None for a parameter without "=". headers:
    what follows "?", as written. text: the whole URI as it came.
    """

    __slots__ = ("headers", "host", "params", "password", "port", "scheme", "text", "user")

    def __init__(
        self,
        scheme: str,
        user: str | None,
        password: str | None,
        host: str,
        port: int | None,
        params: dict[str, str | None],
        headers: str,
        text: str,
    ) -> None:
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.params = params
        self.headers = headers
        self.text = text

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 address."""
        return ":" in self.host

    def aor(self) -> str:
        """The address-of-record: "user@host", or "host" where there is no user.

        The user part is in the one form that equal users share: an escape stays only
        where its character could not stand bare, so "%61lice" is "alice" while an
        escaped NUL or "@" remains visible and cuts nothing off (RFC 4475 3.1.1.4).
        """
        user = self.user
        if user is None:
            return format_host(self.host)
        if "%" in user or "#" in user:
            user = escape_user(unescape(user))
        if not self.host:
            return user
        return f"{user}@{format_host(self.host)}"

    def format(self) -> str:
        """The URI written anew from its parts; reading it gives the same parts again."""
        if not self.host:
            if self.user is None:
                return self.text
            return f"{self.scheme}:{self.user}{_format_params(self.params)}"
        userinfo = ""
        if self.user is not None:
            password = "" if self.password is None else f":{self.password}"
            userinfo = f"{self.user}{password}@"
        port = "" if self.port is None else f":{self.port}"
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{userinfo}{format_host(self.host)}{port}{_format_params(self.params)}{headers}"

    def __repr__(self) -> str:
        return f"Uri({self.text!r})"


_memo: dict[str, Uri] = {}


def parse_uri(text: str) -> Uri | Malformed:
    """Read a URI (an addr-spec: no brackets, no space around it), or Malformed.URI.

    The same few texts come again and again, so the last ones are remembered: 0.1 us
    instead of 2 us for each.
    """
    uri = _memo.get(text)
    if uri is not None:
        return uri
    read = _read(text)
    if isinstance(read, Malformed):
        return read
    if len(text) <= _REMEMBERED_LENGTH:
        if len(_memo) >= _REMEMBERED:
            # Bounded, whatever comes; emptying costs less than keeping an order of use.
            _memo.clear()
        _memo[text] = read
    return read


def _read(text: str) -> Uri | Malformed:
    """Read `text` by its scheme."""
    written, colon, rest = text.partition(":")
    scheme = written.lower()
    if scheme in ("sip", "sips"):
        return _read_sip(scheme, rest, text)
    if not colon or not rest or not written[:1].isalpha() or written.strip(_IN_SCHEME):
        return Malformed.URI
    if scheme == "tel":
        return _read_tel(rest, text)
    if not text.isascii() or not text.isprintable() or any(character in text for character in ' <>"'):
        return Malformed.URI
    return Uri(scheme, None, None, "", None, {}, "", text)


def _read_sip(scheme: str, rest: str, text: str) -> Uri | Malformed:
    """Read what follows "sip:" or "sips:"."""
    user: str | None = None
    password: str | None = None
    # An "@" stands unescaped only after the user part: "?", ";" and "/" may be in it.
    userinfo, at, place = rest.partition("@")
    if not at:
        place = rest
    else:
        user, colon, secret = userinfo.partition(":")
        if not user or user.strip(_IN_USER):
            return Malformed.URI
        if colon:
            password = secret
            if secret.strip(_IN_PASSWORD):
                return Malformed.URI
    headers = ""
    if "?" in place:
        place, _, headers = place.partition("?")
        if not _are_headers(headers):
            return Malformed.URI
    hostport, semicolon, written = place.partition(";")
    where = parse_hostport(hostport)
    params = _read_params(written) if semicolon else {}
    if where is None or params is None or ("%" in text and not _has_whole_escapes(text)):
        return Malformed.URI
    return Uri(scheme, user, password, where[0], where[1], params, headers, text)


def _read_tel(rest: str, text: str) -> Uri | Malformed:
    """Read what follows "tel:" (RFC 3966 3)."""
    number, semicolon, written = rest.partition(";")
    params = _read_params(written) if semicolon else {}
    if not number or number.strip(_IN_NUMBER) or number.rfind("+") > 0 or params is None:
        return Malformed.URI
    if "%" in text and not _has_whole_escapes(text):
        return Malformed.URI
    return Uri("tel", number, None, "", None, params, "", text)


def _read_params(written: str) -> dict[str, str | None] | None:
    """Read the parameters after the first ";", or None where they are malformed."""
    if written.strip(_IN_PARAMETERS):
        return None
    params: dict[str, str | None] = {}
    for piece in written.split(";"):
        name, equals, value = piece.partition("=")
        if "=" in value:
            return None
        if "%" in piece:
            name = unescape(name)
            value = unescape(value)
        name = name.lower()
        # RFC 3261 19.1.1: a name appears once. Two peers that each take another one of
        # a pair would send the same request to different places.
        if not name or name in params or (equals and not value):
            return None
        params[name] = value if equals else None
    return params


def _are_headers(written: str) -> bool:
    """Whether `written` is what may follow "?": name=value, joined by "&"."""
    if written.strip(_IN_HEADERS):
        return False
    for piece in written.split("&"):
        name, equals, value = piece.partition("=")
        if not name or not equals or "=" in value:
            return False
    return True


def _format_params(params: dict[str, str | None]) -> str:
    """The parameters as they stand in a URI, from their first ";" on."""
    return "".join(
        f";{_escape(name, _PARAMETER)}"
        if value is None
        else f";{_escape(name, _PARAMETER)}={_escape(value, _PARAMETER)}"
        for name, value in params.items()
    )


def _has_whole_escapes(text: str) -> bool:
    """Whether every "%" in `text` begins an escape of two hexadecimal digits."""
    return all(_is_escape(piece) for piece in text.split("%")[1:])


def _is_escape(piece: str) -> bool:
    return len(piece) >= 2 and piece[0] in hexdigits and piece[1] in hexdigits


def unescape(text: str) -> str:
    """Take the %-escapes off, once: what they yield is not looked at again.

    Each gives the character of that octet (Latin-1); a "%" that begins no escape stays.
    """
    if "%" not in text:
        return text
    first, *pieces = text.split("%")
    return first + "".join(
        chr(int(piece[:2], 16)) + piece[2:] if _is_escape(piece) else f"%{piece}" for piece in pieces
    )


def escape_user(text: str) -> str:
    """Escape what cannot stand bare in a user part (RFC 3261 25.1: user)."""
    return _escape(text, _USER)


def escape_parameter(text: str) -> str:
    """Escape what cannot stand bare in the value of a parameter (RFC 3261 25.1: pvalue)."""
    return _escape(text, _PARAMETER)


def _escape(text: str, bare: str) -> str:
    """Escape every character of `text` (Latin-1) that is not in `bare`."""
    if not text.strip(bare):
        return text
    return "".join(character if character in bare else f"%{ord(character):02X}" for character in text)


def same_uri(a: Uri, b: Uri) -> bool:
    """Whether two URIs are equivalent (RFC 3261 19.1.4; RFC 3966 4 for tel)."""
    if a.text == b.text:
        return True
    if a.scheme != b.scheme or a.port != b.port or not _same_host(a.host, b.host):
        return False
    if a.scheme == "tel":
        return _same_number(a, b)
    if not a.host:
        # Of another scheme nothing is known but that the scheme has no case.
        return a.text.partition(":")[2] == b.text.partition(":")[2]
    if _plain(a.user) != _plain(b.user) or _plain(a.password) != _plain(b.password):
        return False
    return _same_params(a.params, b.params) and _header_set(a.headers) == _header_set(b.headers)


def _plain(part: str | None) -> str | None:
    return None if part is None else unescape(part)


def _same_host(a: str, b: str) -> bool:
    """Hosts are equal as text, or as IPv6 addresses of one value (RFC 5954 4.2)."""
    return a == b or (":" in a and ":" in b and IPv6Address(a) == IPv6Address(b))


def _same_params(a: dict[str, str | None], b: dict[str, str | None]) -> bool:
    """Parameters that both have agree, and what tells two places apart is in both."""
    if any((name in a) != (name in b) for name in _TELLING):
        return False
    return all((value or "").lower() == (b[name] or "").lower() for name, value in a.items() if name in b)


def _header_set(headers: str) -> list[tuple[str, str]]:
    """The headers in an order of their own, escapes off; none is ever ignored."""
    if not headers:
        return []
    pairs = (piece.partition("=") for piece in headers.split("&"))
    return sorted((unescape(name).lower(), unescape(value)) for name, _, value in pairs)


def _same_number(a: Uri, b: Uri) -> bool:
    """Numbers without their visual separators, and all of their parameters."""
    numbers = [(uri.user or "").translate(_VISUAL_SEPARATORS).lower() for uri in (a, b)]
    params = [{name: (value or "").lower() for name, value in uri.params.items()} for uri in (a, b)]
    return numbers[0] == numbers[1] and params[0] == params[1]
