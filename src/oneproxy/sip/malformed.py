"""What can be wrong with a message, each fault a value with a stable code.

A peer's fault is never an exception here: parsers return a `Malformed` member
instead of their result. The value of a member is the code that logs, metrics and
tests use; `REASONS` gives the reason phrase of the 400 that answers it, which names
the header so that whoever reads a trace finds the line.
"""

from enum import StrEnum
from typing import Final


class Malformed(StrEnum):
    """A fault in a message; the value is its stable code."""

    NOT_SIP = "not-sip"
    TOO_LARGE = "too-large"
    TOO_MANY_HEADERS = "too-many-headers"
    HEADER_TOO_LONG = "header-too-long"
    START_LINE = "start-line"
    VERSION = "version"
    STATUS = "status"
    HEADER_LINE = "header-line"
    URI = "uri"
    REQUEST_URI = "request-uri"
    VIA = "via"
    FROM = "from"
    TO = "to"
    CALL_ID = "call-id"
    CSEQ = "cseq"
    CSEQ_METHOD = "cseq-method"
    MAX_FORWARDS = "max-forwards"
    CONTENT_LENGTH = "content-length"
    CONTACT = "contact"
    ROUTE = "route"
    EXPIRES = "expires"
    CREDENTIALS = "credentials"
    REPEATED = "repeated"


REASONS: Final[dict[Malformed, str]] = {
    Malformed.NOT_SIP: "Bad Request",
    Malformed.TOO_LARGE: "Message Too Large",
    Malformed.TOO_MANY_HEADERS: "Too Many Header Fields",
    Malformed.HEADER_TOO_LONG: "Header Field Too Long",
    Malformed.START_LINE: "Bad Request Line",
    Malformed.VERSION: "Version Not Supported",
    Malformed.STATUS: "Bad Status Line",
    Malformed.HEADER_LINE: "Bad Header Field",
    Malformed.URI: "Bad URI",
    Malformed.REQUEST_URI: "Bad Request-URI",
    Malformed.VIA: "Bad Via",
    Malformed.FROM: "Bad From",
    Malformed.TO: "Bad To",
    Malformed.CALL_ID: "Bad Call-ID",
    Malformed.CSEQ: "Bad CSeq",
    Malformed.CSEQ_METHOD: "CSeq Method Does Not Match",
    Malformed.MAX_FORWARDS: "Bad Max-Forwards",
    Malformed.CONTENT_LENGTH: "Bad Content-Length",
    Malformed.CONTACT: "Bad Contact",
    Malformed.ROUTE: "Bad Route",
    Malformed.EXPIRES: "Bad Expires",
    Malformed.CREDENTIALS: "Bad Authorization",
    Malformed.REPEATED: "Repeated Header Field",
}
