"""What is asked of how full the limits of calls are: part of `ipc.desk`."""

from typing import Final

from msgspec import Struct

#: Limits of one node in an answer.
MAX_LIMITS: Final = 1_000


class AskLimits(Struct, tag=True, frozen=True):
    """How full are the limits?"""


class ShareFound(Struct, frozen=True):
    """One of those that have a limit each for himself; as of `LimitFound`."""

    of: str
    within: int
    calls_on: int
    refused: int


class LimitFound(Struct, frozen=True):
    """One limit, as one node knows it. node: its name, filled in by the recorder.

    kind: "node", "domain", "source", "provider" or "caller". whom: for whom it is, "*" for each by himself.
    calls, max_calls: 0 for no limit. within: how many calls have begun in the period_s that end now;
    calls_on: how many are on; both 0 where each has it for himself. refused: since the start. counted: how
    many of these have calls at present; uncounted: calls that there was no room to count. busiest: those
    of them that are nearest to their limit.
    """

    name: str
    kind: str
    whom: str
    calls: int
    period_s: float
    max_calls: int
    within: int
    calls_on: int
    refused: int
    counted: int = 1
    uncounted: int = 0
    busiest: list[ShareFound] = []
    node: str = ""


class LimitsFound(Struct, tag=True, frozen=True):
    """Of one node, or of all that answered, by node. left_out: limits beyond MAX_LIMITS."""

    limits: list[LimitFound]
    left_out: int = 0
    silent: tuple[str, ...] = ()
