"""Telling a loop from a spiral (RFC 3261 16.3 step 4, RFC 5393 4.2)."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from oneproxy.sip.fields import split_list

if TYPE_CHECKING:
    from oneproxy.sip.message import Request

#: RFC 3261 16.6 step 8: besides the request line, what decides on a request's way.
_DECIDING: Final = ("to", "from", "call-id", "cseq", "route", "proxy-require", "proxy-authorization")


#: Via values that are looked at: no request has made more hops than Max-Forwards allows.
_MOST: Final = 71


def later_vias(request: "Request") -> Iterator[str]:
    """The Via values below the top one, as many as there can be."""
    values = (value for at in request.positions("via") for value in split_list(request.values[at]))
    return islice(values, 1, _MOST)


def is_same_request(request: "Request", before: "Request") -> bool:
    """Whether routing would decide on `request` as it did on `before`."""
    return (
        request.method == before.method
        and request.uri == before.uri
        and all(request.all(name) == before.all(name) for name in _DECIDING)
    )
