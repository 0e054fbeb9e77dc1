"""Requests that OneProxy makes itself: a probe, a registration at a provider, a BYE from the side.

`originated` gives an `OwnRequest`; the engine finds its address, writes a Via and starts
a client transaction, which tells an `Origin` what comes back.
"""

from typing import TYPE_CHECKING, Protocol

from oneproxy.engine.decisions import Answered, Result
from oneproxy.engine.routing import is_loose
from oneproxy.sip.address import parse_address
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import Uri, parse_uri

if TYPE_CHECKING:
    from oneproxy.engine.client import ClientTransaction
    from oneproxy.sip.message import Response


class OwnRequest:
    """A request without its Via.

    uri: the Request-URI. towards: the URI that says where it is sent. from_, to: header
    values, with their tags. route: values, first one first. headers: further whole lines.
    body: one character for each octet. flow: the name of the flow that it is sent on
    wherever `towards` leads; "" for none. Whoever sends one again (a REGISTER that
    refreshes, an answer to a challenge) keeps the Call-ID and raises the CSeq itself.
    """

    __slots__ = (
        "body",
        "call_id",
        "cseq",
        "flow",
        "from_",
        "headers",
        "max_forwards",
        "method",
        "route",
        "to",
        "towards",
        "uri",
    )

    def __init__(
        self,
        method: str,
        uri: str,
        towards: str,
        from_: str,
        to: str,
        call_id: str,
        cseq: int,
        headers: tuple[str, ...],
        route: tuple[str, ...],
        body: str,
        max_forwards: int,
        flow: str,
    ) -> None:
        self.method = method
        self.uri = uri
        self.towards = towards
        self.from_ = from_
        self.to = to
        self.call_id = call_id
        self.cseq = cseq
        self.headers = headers
        self.route = route
        self.body = body
        self.max_forwards = max_forwards
        self.flow = flow

    def render(self, via: str) -> bytes:
        """The octets to send. via: the value of our Via, with its branch.

        Raises ValueError where a part would end its header line and begin another one,
        which lets whoever chose that part write headers of his own.
        """
        lines = [f"{self.method} {self.uri} SIP/2.0", f"Via: {via}", f"Max-Forwards: {self.max_forwards}"]
        if self.route:
            lines.append(f"Route: {', '.join(self.route)}")
        lines.append(f"From: {self.from_}")
        lines.append(f"To: {self.to}")
        lines.append(f"Call-ID: {self.call_id}")
        lines.append(f"CSeq: {self.cseq} {self.method}")
        lines += self.headers
        lines.append(f"Content-Length: {len(self.body)}")
        for line in lines:
            if "\r" in line or "\n" in line:
                raise ValueError(f"a header line of our own {self.method} has a line end in it: {line!r}")
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode("latin-1")


def originated(
    method: str,
    uri: str,
    *,
    from_: str,
    to: str,
    call_id: str,
    cseq: int,
    headers: tuple[str, ...] = (),
    route: tuple[str, ...] = (),
    body: str = "",
    max_forwards: int = 70,
    flow: str = "",
) -> OwnRequest:
    """A request of our own to the target `uri` along `route` (RFC 3261 8.1.1, 12.2.1.1).

    route: the whole route set; where its first element is a strict router, that becomes
    the Request-URI and the target the last of the Route. INVITE is not for this.
    """
    target = _request_uri(uri)
    towards = target
    if route:
        first = parse_address(route[0])
        if not isinstance(first, Malformed):
            towards = first.uri
            if not is_loose(route[0]):
                route = (*route[1:], f"<{target}>")
                target = towards = _request_uri(first.uri)
    return OwnRequest(
        method, target, towards, from_, to, call_id, cseq, headers, route, body, max_forwards, flow
    )


def _request_uri(text: str) -> str:
    """A URI without what may not stand in a Request-URI (RFC 3261 19.1.1, table 1)."""
    if "?" not in text and "method=" not in text.lower():
        return text
    uri = parse_uri(text)
    if isinstance(uri, Malformed) or not uri.host:
        return text
    params = {name: value for name, value in uri.params.items() if name != "method"}
    return Uri(uri.scheme, uri.user, uri.password, uri.host, uri.port, params, "", "").format()


class Sending(Protocol):
    """Whoever starts client transactions for requests of our own."""

    def send_again(self, now: float, origin: "Origin", branch: "ClientTransaction") -> None:
        """Start a branch like this one, which failed, at the next of its `rest` of addresses."""
        ...


class Origin:
    """One request of our own, until its answer is there: then `answered` is called, once.

    now: when it is sent. answered: who wants to know; None: nobody, as for a BYE.
    """

    __slots__ = ("_answered", "_done", "_first_response_at", "_sending", "_started_at", "request")

    def __init__(self, request: OwnRequest, now: float, answered: Answered | None, sending: Sending) -> None:
        self.request = request
        self._answered = answered
        self._sending = sending
        self._started_at = now
        self._first_response_at = 0.0
        self._done = False

    def receive(self, now: float, branch: "ClientTransaction", response: "Response") -> None:
        """A response, be it provisional, has come."""
        if not self._first_response_at:
            self._first_response_at = now
        status = response.status
        if status == 503 and branch.rest and not self._done:
            # RFC 3263 4.3: another address of the same target may have room.
            self._sending.send_again(now, self, branch)
        elif status >= 200:
            self._conclude(now, status, None, response)

    def fail(self, now: float, branch: "ClientTransaction | None", status: int, error: str) -> None:
        """It timed out (408) or could not be sent (503); branch: None where it has no address."""
        if branch is not None and branch.rest and not self._done:
            self._sending.send_again(now, self, branch)
        else:
            self._conclude(now, status, error, None)

    def _conclude(self, now: float, status: int, error: str | None, response: "Response | None") -> None:
        answered = self._answered
        self._answered = None
        self._done = True
        if answered is not None:
            took = (self._first_response_at or now) - self._started_at
            answered(now, Result(status, error, response, took))
