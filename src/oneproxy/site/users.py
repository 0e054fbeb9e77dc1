"""Users in the one spelling that equal ones share: escapes off (RFC 3261 19.1.4), and of a global
number what stands in it to please the eye (RFC 3966 5.1.1)."""

from typing import Final
from urllib.parse import unquote_to_bytes

SEPARATORS: Final = str.maketrans("", "", "-.() ")
#: Of local numbers: what may be dialled on a keypad (RFC 3966 3, phonedigit-hex).
DIGITS: Final = "0123456789*#ABCDEFabcdef"


def plain_number(written: str) -> str:
    """A number without its visual separators; what is no number stays as it is."""
    digits = written.translate(SEPARATORS)
    local = digits.removeprefix("+")
    return digits if local and not local.strip(DIGITS) else written


def plain_user(written: str) -> str:
    """What users are compared by: two are one for requests where this is the same."""
    if written[:1] == "+":
        written = plain_number(written)
    if "%" not in written and written.isascii():
        return written
    return unquote_to_bytes(written).decode("latin-1")
