"""What header values are made of: tokens, quoted strings, lists, parameters, numbers.

RFC 3261 7.3.1 and 25.1. All of it takes values whose folding is already joined, so
that white space is space and tab.
"""

from string import ascii_letters, digits
from typing import Final

from oneproxy.sip.malformed import Malformed

_TOKEN: Final = ascii_letters + digits + "-.!%*_+`'~"
# The grammar has tokens and hosts here; peers also write base64 and whole URIs, which
# can be told apart from what follows just as well.
_IN_VALUE: Final = _TOKEN + "[]:@/=?&$#(){}|^\\"
_SPACE: Final = " \t"
_MAX_CSEQ: Final = 2**31
_MAX_SECONDS: Final = 2**32 - 1


def is_token(text: str) -> bool:
    """Whether `text` is a token: one or more of letters, digits and -.!%*_+`'~"""
    return bool(text) and not text.strip(_TOKEN)


def quote(text: str) -> str:
    r"""`text` as a quoted string, with \ before what would end it."""
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def unquote(text: str) -> str:
    r"""What a quoted string says; text that is not quoted comes back as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    said: list[str] = []
    escaped = False
    for character in inner:
        if character == "\\" and not escaped:
            escaped = True
        else:
            said.append(character)
            escaped = False
    return "".join(said)


def end_of_quoted(text: str, start: int) -> int:
    """Where the quoted string that begins at `start` ends: behind its last quote, or -1."""
    at = start + 1
    while True:
        at = text.find('"', at)
        if at < 0:
            return -1
        if text[at - 1] != "\\":
            return at + 1
        before = at - 1
        while text[before - 1] == "\\":
            before -= 1
        # The opening quote stops the walk; an even number of \ leaves this quote bare.
        if (at - before) % 2 == 0:
            return at + 1
        at += 1


def split_outside(text: str, separator: str) -> list[str]:
    """Cut `text` at every `separator` outside of quoted strings and of <>.

    A quoted string or a < that is never closed goes on to the end.
    """
    pieces: list[str] = []
    start = at = 0
    while at < len(text):
        character = text[at]
        if character == separator:
            pieces.append(text[start:at])
            start = at + 1
        elif character == '"':
            at = end_of_quoted(text, at) - 1
        elif character == "<":
            at = text.find(">", at)
        if at < 0:
            break
        at += 1
    pieces.append(text[start:])
    return pieces


def split_list(value: str) -> list[str]:
    """The elements of a comma list, without white space around them; none of "".

    Empty elements between commas are kept, since most headers allow none.
    """
    value = value.strip(_SPACE)
    if "," not in value:
        return [value] if value else []
    pieces = split_outside(value, ",") if "<" in value or '"' in value else value.split(",")
    return [piece.strip(_SPACE) for piece in pieces]


def parse_params(text: str) -> dict[str, str | None] | None:
    """Read parameters: "" or ";name=value;name", or None where they are malformed.

    Names are given in lower case, quoted strings without their quotes; a parameter
    without "=" is None. A name that stands twice is a fault (RFC 3261 7.3.1).
    """
    pieces = split_outside(text, ";") if '"' in text else text.split(";")
    if pieces[0].strip(_SPACE):
        return None
    params: dict[str, str | None] = {}
    is_spaced = " " in text or "\t" in text
    for piece in pieces[1:]:
        name, equals, value = piece.partition("=")
        name = name.lower()
        if is_spaced:
            name = name.strip(_SPACE)
            value = value.strip(_SPACE)
        if not name or name.strip(_TOKEN) or name in params:
            return None
        if not equals:
            params[name] = None
        elif value and not value.strip(_IN_VALUE):
            params[name] = value
        elif value[:1] == '"' and end_of_quoted(value, 0) == len(value):
            params[name] = unquote(value)
        else:
            return None
    return params


def format_params(params: dict[str, str | None]) -> str:
    """Write parameters, from their first ";" on; what must be quoted is quoted.

    RFC 3840 9: the value of a feature tag ("+sip.instance") always is.
    """
    written: list[str] = []
    for name, value in params.items():
        if value is None:
            written.append(f";{name}")
        elif not value or name[0] == "+" or value.strip(_IN_VALUE):
            written.append(f";{name}={quote(value)}")
        else:
            written.append(f";{name}={value}")
    return "".join(written)


def parse_number(value: str) -> int | None:
    """One or more decimal digits, of any number, or None; far too large a number is 2**64.

    The length is looked at first: reading a number of thousands of digits takes long.
    """
    value = value.strip(_SPACE)
    if not value.isdecimal() or not value.isascii():
        return None
    if len(value) > 19:
        value = value.lstrip("0") or "0"
        if len(value) > 19:
            return 2**64
    return int(value)


def parse_cseq(value: str) -> tuple[int, str] | Malformed:
    """Number (0 to 2**31 - 1) and method of a CSeq (RFC 3261 8.1.1.5, 20.16)."""
    written, _, method = value.strip(_SPACE).replace("\t", " ").partition(" ")
    method = method.lstrip(" ")
    number = parse_number(written)
    if number is None or number >= _MAX_CSEQ or not is_token(method):
        return Malformed.CSEQ
    return number, method


def parse_delta_seconds(value: str) -> int | None:
    """A time in seconds, 0 to 2**32 - 1, or None where it is no number.

    RFC 4475 3.1.2.4: a larger number means the largest.
    """
    number = parse_number(value)
    return None if number is None else min(number, _MAX_SECONDS)


def parse_q(value: str) -> int | None:
    """A preference of "0" to "1.000" in thousandths, 0 to 1000, or None (RFC 3261 25.1: qvalue)."""
    whole, _, fraction = value.partition(".")
    if (
        whole not in ("0", "1")
        or len(fraction) > 3
        or not (fraction + "0").isdecimal()
        or not value.isascii()
    ):
        return None
    thousandths = int(whole) * 1000 + int(fraction.ljust(3, "0"))
    return thousandths if thousandths <= 1000 else None


def option_tags(values: list[str]) -> list[str]:
    """All option tags of these header values, in order, as they are written (RFC 3261 19.2)."""
    return [tag for value in values for tag in split_list(value) if tag]
