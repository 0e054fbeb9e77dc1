"""Telling a loop from a spiral (RFC 3261 16.3 step 4, RFC 5393 4.2)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from oneproxy.sip.fields import split_list

if TYPE_CHECKING:
    from oneproxy.sip.message import Request

#: RFC 3261 16.6 step 8: besides the request line, what decides on a request's way.
_DECIDING: Final = ("to", "from", "call-id", "cseq", "route", "proxy-require", "proxy-authorization")


def later_vias(request: "Request") -> Iterator[str]:
    """The Via values below the top one."""
    values = (value for at in request.positions("via") for value in split_list(request.values[at]))
    next(values, None)
    return values


def is_same_request(request: "Request", before: "Request") -> bool:
    """Whether routing would decide on `request` as it did on `before`."""
    return (
        request.method == before.method
        and request.uri == before.uri
        and all(request.all(name) == before.all(name) for name in _DECIDING)
    )
