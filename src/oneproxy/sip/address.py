"""Addresses in header fields: name-addr, addr-spec and their parameters (RFC 3261 20.10, 25.1)."""

from string import ascii_letters, digits
from typing import Final

from oneproxy.sip.fields import end_of_quoted, format_params, parse_params, quote, unquote
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import Uri, parse_uri

_SPACE: Final = " \t"
# Tokens with white space between them. Octets above ASCII would have to stand in
# quotes, but phones write names of people bare.
_IN_DISPLAY: Final = (
    ascii_letters + digits + "-.!%*_+`'~ \t" + "".join(chr(octet) for octet in range(0x80, 0x100))
)
# Visible characters but those that part a URI from what is around it; checked as in host.py.
_IN_URI: Final = "".join(chr(octet) for octet in range(0x21, 0x7F) if chr(octet) not in '<>"')


class Address:
    """An address: display (quotes off, "" for none), uri, header parameters, the text it came as.

    params: names in lower case, quotes off, None for a parameter without "=".
    """

    __slots__ = ("display", "params", "text", "uri")

    def __init__(self, display: str, uri: str, params: dict[str, str | None], text: str) -> None:
        self.display = display
        self.uri = uri
        self.params = params
        self.text = text

    @property
    def tag(self) -> str | None:
        """The tag parameter of From and To, or None."""
        return self.params.get("tag")

    def parsed(self) -> Uri | Malformed:
        """The URI, read."""
        return parse_uri(self.uri)

    def format(self) -> str:
        """The address written anew, with brackets; reading it gives the same parts again."""
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{format_params(self.params)}"

    def __repr__(self) -> str:
        return f"Address({self.text!r})"


def parse_address(value: str) -> Address | Malformed:
    """Read one address with its parameters, or Malformed.URI.

    What follows ";" belongs to the header field where there are no brackets, and a URI
    with "?" or "," has to stand in brackets (RFC 3261 20.10). The URI itself is only
    looked at as far as it takes to find its end; `parsed` reads it.
    """
    value = value.strip(_SPACE)
    display = ""
    rest = value
    if value[:1] == '"':
        end = end_of_quoted(value, 0)
        display = unquote(value[:end])
        rest = value[end:].lstrip(_SPACE)
        if end < 0 or rest[:1] != "<":
            return Malformed.URI
    # The first "<" could be inside a quoted parameter of a bare addr-spec.
    before, bracket, after = rest.partition("<")
    if bracket and ";" not in before:
        uri, closing, rest = after.partition(">")
        before = before.strip(_SPACE)
        if before.strip(_IN_DISPLAY) or not closing:
            return Malformed.URI
        display = display or before
    else:
        uri, semicolon, rest = rest.partition(";")
        uri = uri.rstrip(_SPACE)
        rest = semicolon + rest
        if "?" in uri or "," in uri:
            return Malformed.URI
    params = parse_params(rest) if rest else {}
    if params is None or not _could_be_uri(uri):
        return Malformed.URI
    return Address(display, uri, params, value)


def _could_be_uri(text: str) -> bool:
    """Whether `text` is a scheme and something, in visible ASCII characters."""
    scheme, colon, rest = text.partition(":")
    return bool(scheme and colon and rest) and not text.strip(_IN_URI)
