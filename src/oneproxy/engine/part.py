"""One request inside of a followed call: what its answer means is for the call to say."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneproxy.engine.flow import Flow
    from oneproxy.engine.following import Followed
    from oneproxy.sip.message import Request, Response


class Part:
    """Remembers of a request what the call wants to know once it is answered."""

    __slots__ = ("_cseq", "_followed", "_is_from_caller", "_method")

    def __init__(self, followed: "Followed", request: "Request") -> None:
        self._followed = followed
        self._method = request.method
        self._cseq = request.cseq
        self._is_from_caller = followed.is_from_caller(request)

    def responded(self, now: float, response: "Response", _flow: "Flow | None") -> None:
        """A 101 to 299 goes back."""
        if response.status >= 200:
            self._tell(now, response, response.status)

    def failed(self, now: float, status: int) -> None:
        """A final failure goes back."""
        self._tell(now, None, status)

    def _tell(self, now: float, response: "Response | None", status: int) -> None:
        self._followed.answered(now, self._method, self._cseq, self._is_from_caller, response, status)
