"""Max-Breadth: into how many branches at once a request may still be divided (RFC 5393 5.3).

A request that comes without it may be divided 60-fold. It is written into what goes on
only where it came, or where something is divided: elsewhere it would say what its absence
says too.
"""

from typing import TYPE_CHECKING, Final

from oneproxy.sip.fields import parse_number

if TYPE_CHECKING:
    from oneproxy.sip.message import Request

#: RFC 5393 5.3.3: what is taken for one that is absent, or larger.
MAX_BREADTH: Final = 60


def available(request: "Request") -> int:
    """The Max-Breadth of a request as it came."""
    if "max-breadth" not in request.first:
        return MAX_BREADTH
    written = parse_number(request.get("max-breadth") or "")
    return MAX_BREADTH if written is None else min(written, MAX_BREADTH)


def divide(breadth: int, count: int) -> list[int]:
    """The Max-Breadth of each of `count` branches; 0 for one that may not be started."""
    share, over = divmod(breadth, count)
    return [share + (at < over) for at in range(count)]
