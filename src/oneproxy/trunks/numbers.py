"""Telephone numbers as names of users: one spelling for all of a number (RFC 3966 5.1.1, 4).

    +351-21-123.45.67                        +351211234567
    (21) 123;phone-context=+351              +35121123, else 21123
    7042;phone-context=example.com           7042 of that domain

Only what says that it is a number is taken for one: a tel URI, a SIP URI with "user=phone"
(RFC 3261 19.1.6), or a user that begins with "+". A user "7-11" is what it is.
"""

from typing import Final

from oneproxy.sip.uri import Uri, unescape
from oneproxy.site.users import DIGITS, SEPARATORS

_KEYPAD: Final = "0123456789*#"


class Number:
    """A number: its digits, with "+" where it is a global one, and the context of a local one.

    context: digits that begin with "+", or a domain in lower case; "" for none.
    """

    __slots__ = ("context", "digits")

    def __init__(self, digits: str, context: str) -> None:
        self.digits = digits
        self.context = context

    @property
    def users(self) -> list[str]:
        """The users that it may be, the likeliest first, as AoRs have them."""
        # RFC 3966 5.1.5: what lies within such a context usually, not always, goes on its digits.
        users = [self.context + self.digits] if self.context[:1] == "+" else []
        return [user.replace("#", "%23") for user in (*users, self.digits)]


def number_or_user(uri: Uri) -> str:
    """The number in a URI, made a global one where its context says so; else its user, escapes off."""
    number = read_number(uri) if is_number(uri) else None
    if number is None:
        return unescape(uri.user or "")
    return number.context + number.digits if number.context[:1] == "+" else number.digits


def dialled_number(uri: Uri) -> str:
    """The same of a URI that is for no user here: digits are a number though nothing says so.

    "1-900-555" would not have the prefix "1900", and the gateway takes it for that number.
    """
    written = number_or_user(uri)
    digits = written.translate(SEPARATORS)
    return digits if digits and not digits.strip(_KEYPAD) else written


def is_number(uri: Uri) -> bool:
    """Whether the user of a SIP URI, or a tel URI, says that it is a number."""
    user = uri.user
    if user is None:
        return False
    return user[0] == "+" or uri.scheme == "tel" or (uri.params.get("user") or "").lower() == "phone"


def read_number(uri: Uri) -> Number | None:
    """The number in a URI that `is_number`; None where there is something else."""
    written, _, params = unescape(uri.user or "").partition(";")
    digits = written.translate(SEPARATORS)
    if not digits.removeprefix("+") or digits.removeprefix("+").strip(DIGITS):
        return None
    context = ""
    if digits[0] != "+":
        # In a SIP URI the parameters of the number are part of the user (RFC 3261 19.1.6).
        context = uri.params.get("phone-context") or "" if uri.scheme == "tel" else _context(params)
        if context[:1] == "+":
            context = context.translate(SEPARATORS)
    return Number(digits, context.lower())


def _context(params: str) -> str:
    for piece in params.split(";"):
        name, _, value = piece.partition("=")
        if name.lower() == "phone-context":
            return value
    return ""
