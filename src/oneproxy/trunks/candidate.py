"""Why a gateway was chosen or not, for whoever asks."""

from enum import StrEnum


class Why(StrEnum):
    """Why a gateway may not take a call; one that may, and did, was `CHOSEN`."""

    CHOSEN = "chosen"
    COSTS_MORE = "costs-more"  # another one was better, or its turn
    NOT_DRAWN = "not-drawn"  # not one of the two that were compared
    TRIED = "tried"  # it had this call already
    DRAINED = "drained"
    SPARE = "spare"  # weight 0, and others may take the call
    FULL = "full"  # max_calls
    PACE = "pace"  # max_calls_per_s
    PROVIDER_FULL = "provider-full"  # max_calls of its provider
    UNREGISTERED = "unregistered"  # it takes calls of who is registered there, and we are not
    RESTING = "resting"  # Retry-After
    EJECTED = "ejected"
    DOWN = "down"
    CANARY = "canary"  # its next call is not due yet


#: Reasons that are none of health: there is no room.
ROOM = frozenset((Why.FULL, Why.PACE, Why.PROVIDER_FULL))


class Candidate:
    """One gateway as it stood when a choice was made. score: the lower, the better; of the way
    to choose: cost, load, place, or how far it is from its turn."""

    __slots__ = ("calls", "name", "score", "success", "waiting", "why")

    def __init__(
        self, name: str, score: float, calls: int, waiting: int, success: float, why: Why | None = None
    ) -> None:
        self.name = name
        self.score = score
        self.calls = calls
        self.waiting = waiting
        #: The success rate, 0 to 1.
        self.success = success
        #: None until the choice is made.
        self.why = why
