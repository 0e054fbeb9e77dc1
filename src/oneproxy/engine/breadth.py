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


def shares(request: "Request", count: int, taken: int) -> list[int] | None:
    """The Max-Breadth of each of `count` new branches; 0 for one that may not be started.

    None where none has to be written. taken: branches of this request that are under way.
    """
    if "max-breadth" not in request.first:
        if count + taken <= 1:
            return None
        breadth = MAX_BREADTH
    else:
        written = parse_number(request.get("max-breadth") or "")
        breadth = MAX_BREADTH if written is None else min(written, MAX_BREADTH)
    # What branches under way were given is not known to be free yet; one each is the least.
    left = max(0, breadth - taken)
    if not count:
        return []
    share, over = divmod(left, count)
    return [share + (at < over) for at in range(count)]
