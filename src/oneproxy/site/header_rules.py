"""Header fields that the site adds to calls and takes from them: which it may, and how they are written.

    add    "X-Account: 7042"    "Diversion: <sip:{called}@example.com>;reason=unconditional"
    remove "X-Internal"

In braces stands what is of the call. What the proxy itself needs, and the addresses that make a
dialog, are nobody's to change: a From that is another one than the caller sent is not the caller's
in the answers, and what is inside of the dialog has the old one.
"""

import re
from typing import Final

#: What may stand in braces: the number called and calling, as the gateway gets them; the domain
#: that the call was made in; the caller's AoR; the source address; provider/gateway.
FIELDS: Final = ("called", "calling", "domain", "caller", "source", "gateway")
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_NAME: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{2,64}")
#: In lower case. Names of one letter are short for some of them, and are not allowed at all.
_PROTECTED: Final = frozenset(
    (
        "authorization",
        "call-id",
        "contact",
        "content-disposition",
        "content-encoding",
        "content-length",
        "content-type",
        "cseq",
        "from",
        "max-breadth",
        "max-forwards",
        "min-se",
        "proxy-authorization",
        "proxy-require",
        "rack",
        "record-route",
        "require",
        "route",
        "session-expires",
        "supported",
        "to",
        "via",
    )
)
_LONGEST: Final = 1_024


def check_name(name: str) -> None:
    """Raises ValueError for a name that is none, or not the site's to change."""
    if not _NAME.fullmatch(name) or name.lower() in _PROTECTED:
        raise ValueError("not a header field that may be changed")


def check_line(line: str) -> None:
    """The same of a line that is added, and of what stands in braces in it."""
    name, colon, value = line.partition(":")
    check_name(name)
    # What cannot be printed would end the line, or do worse; SIP texts are UTF-8.
    if not colon or not value.strip() or len(line) > _LONGEST or not value.isprintable():
        raise ValueError("no header line")
    if any(field not in FIELDS for field in _FIELD.findall(value)) or set(_FIELD.sub("", value)) & set("{}"):
        raise ValueError("an unknown field")
