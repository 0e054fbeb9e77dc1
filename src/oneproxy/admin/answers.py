"""What the recorder answers, as the routes want it: the kind that was asked for, or a problem."""

from typing import Final, TypeVar

from oneproxy.admin.asking import Desk
from oneproxy.admin.problem import ProblemError
from oneproxy.ipc.desk import Question, Refused

_Kind = TypeVar("_Kind")

#: Status and code of what is refused.
_REFUSALS: Final = {
    "database": (503, "database-away"),
    "busy": (503, "busy"),
    "unfit": (422, "unfit"),
    "slow": (422, "slow-search"),
    "fault": (500, "fault"),
}


async def find(desk: Desk, question: Question, kind: type[_Kind]) -> _Kind:
    """The answer to `question`, which is a `kind`. Raises ProblemError and RecorderAwayError."""
    found = await desk.ask(question)
    if isinstance(found, Refused):
        raise refusal(found)
    if not isinstance(found, kind):
        raise TypeError(f"{type(found).__name__} as an answer to {type(question).__name__}")
    return found


def refusal(refused: Refused) -> ProblemError:
    """The problem that says so."""
    status, code = _REFUSALS.get(refused.code, (500, "fault"))
    again = {"Retry-After": "1"} if status == 503 else None
    return ProblemError(status, code, refused.reason, again)
