"""Via values: where a response goes back to (RFC 3261 18.2.2, 20.42, 25.1; RFC 3581)."""

from typing import Final

from oneproxy.sip.fields import format_params, is_token, parse_params
from oneproxy.sip.host import format_host, parse_hostport, parse_port
from oneproxy.sip.malformed import Malformed

_SPACE: Final = " \t"
_PLAIN: Final = "SIP/2.0/"


class Via:
    """One Via value.

    transport: upper case. host: lower case, an IPv6 address without brackets. port: 1
    to 65535, None where none is written. params: names in lower case, quotes off, None
    for a parameter without "=". text: the value as it came.
    """

    __slots__ = ("host", "params", "port", "text", "transport")

    def __init__(
        self, transport: str, host: str, port: int | None, params: dict[str, str | None], text: str
    ) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.params = params
        self.text = text

    @property
    def branch(self) -> str | None:
        """The branch parameter, or None: an RFC 2543 peer wrote this Via."""
        return self.params.get("branch")

    @property
    def received(self) -> str | None:
        """The address that the request came from, IPv6 without brackets, or None.

        RFC 5118 4.5: peers write an IPv6 address with or without brackets.
        """
        received = self.params.get("received")
        return received.strip("[]") if received else None

    @property
    def rport(self) -> int | None:
        """The port that the request came from, or None: not there, or not filled in.

        `"rport" in via.params` tells whether it is asked for (RFC 3581 3).
        """
        return parse_port(self.params.get("rport") or "")

    def format(self) -> str:
        """The value written anew; reading it gives the same parts again."""
        port = "" if self.port is None else f":{self.port}"
        return f"{_PLAIN}{self.transport} {format_host(self.host)}{port}{format_params(self.params)}"

    def __repr__(self) -> str:
        return f"Via({self.text!r})"


def parse_via(value: str) -> Via | Malformed:
    """Read one Via value (the list is cut before), or Malformed.VIA.

    White space may stand around every separator. The protocol version is not looked
    at: a request of another version is answered 505, to where its Via says.
    """
    value = value.strip(_SPACE)
    sent, semicolon, rest = value.partition(";")
    transport, _, sent_by = sent[len(_PLAIN) :].partition(" ")
    if not sent.startswith(_PLAIN) or not is_token(transport):
        transport, sent_by = _spaced(sent)
        if not is_token(transport):
            return Malformed.VIA
    where = parse_hostport(_without_space(sent_by))
    params = parse_params(semicolon + rest) if semicolon else {}
    if where is None or params is None:
        return Malformed.VIA
    return Via(transport.upper(), where[0], where[1], params, value)


def _spaced(sent: str) -> tuple[str, str]:
    """Transport and sent-by where white space stands around the slashes; "" twice if none."""
    name, _, rest = sent.partition("/")
    version, slash, rest = rest.partition("/")
    if not slash or name.strip(_SPACE).upper() != "SIP" or not is_token(version.strip(_SPACE)):
        return "", ""
    transport, _, sent_by = rest.strip(_SPACE).replace("\t", " ").partition(" ")
    return transport, sent_by


def _without_space(sent_by: str) -> str:
    """`sent_by` without the white space around it and around its last colon."""
    sent_by = sent_by.strip(_SPACE)
    if " " not in sent_by and "\t" not in sent_by:
        return sent_by
    host, colon, port = sent_by.rpartition(":")
    return f"{host.rstrip(_SPACE)}{colon}{port.lstrip(_SPACE)}"
