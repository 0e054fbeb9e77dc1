"""One branch of a target set from its start to its outcome: what is tried, and what is left to try."""

from typing import TYPE_CHECKING, Final

from oneproxy.engine.decisions import Target

if TYPE_CHECKING:
    from oneproxy.engine.flow import Hop


class Attempt:
    """A target that is being tried, at whichever of its addresses."""

    __slots__ = ("answer_by", "breadth", "depth", "first_response_at", "started_at", "target")

    def __init__(self, target: Target, depth: int, breadth: int, started_at: float) -> None:
        self.target = target
        #: After how many 3xx responses the target was found.
        self.depth = depth
        #: The Max-Breadth that it is sent with; 0 where there is nothing to divide (RFC 5393).
        self.breadth = breadth
        self.started_at = started_at
        #: 0 before.
        self.first_response_at = 0.0
        #: When a final response is waited for no longer; 0 for Timer C alone.
        self.answer_by = started_at + target.no_answer_s if target.no_answer_s else 0.0


class Addresses:
    """Addresses of a target that were not tried yet (RFC 3263 4.3).

    name: whom they belong to. is_fallback: the first of them is for the datagram that a large
    request may still go in where TCP is refused (RFC 3261 18.1.1).
    """

    __slots__ = ("hops", "is_fallback", "name")

    def __init__(self, name: str, hops: "list[Hop]", is_fallback: bool = False) -> None:
        self.name = name
        self.hops = hops
        self.is_fallback = is_fallback


#: Of client transactions that are no branch of a target set: a CANCEL, our own requests.
NO_ATTEMPT: Final = Attempt(Target(""), 0, 0, 0.0)
NO_ATTEMPT.first_response_at = 1.0
