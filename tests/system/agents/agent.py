"""A small SIP user agent, one for each channel, which a test drives step by step.

    bob = Agent(connect(place, tls), "bob", "example.com", "secret")
    bob.register()
    invite = bob.expect("INVITE")
    bob.respond(invite, 180)

It is no phone: nothing happens by itself but what transactions owe each other: the ACK
for a refusal, the same response to the same request, and, over UDP, requests sent again.
Everything that arrives is checked against what RFC 3261 lets a proxy do to it.
"""

import secrets
import time
from collections.abc import Callable
from typing import Final

import waiting
from system.agents.channel import Channel
from system.agents.digest import credentials
from system.agents.message import Headers, Message

PATIENCE_S: Final = waiting.PATIENCE_S
_REASONS: Final = {
    100: "Trying",
    180: "Ringing",
    200: "OK",
    302: "Moved Temporarily",
    430: "Flow Failed",
    486: "Busy Here",
    503: "Service Unavailable",
}
_T1_S: Final = 0.5


class Asked:
    """A request of ours and what came back to it."""

    def __init__(self, request: Message) -> None:
        self.request = request
        self.responses: list[Message] = []
        self.sent_at = time.monotonic()

    @property
    def final(self) -> Message | None:
        """The final response, or None so far."""
        return next((response for response in self.responses if response.status >= 200), None)

    @property
    def statuses(self) -> list[int]:
        """Of all responses but 100, in their order."""
        return [response.status for response in self.responses if response.status != 100]


class Agent:
    """One user at one channel.

    contact: host, port and parameters of our Contact, the channel's where it is left out.
    challenged: the methods for which a challenge is expected, if there is a password.
    """

    def __init__(
        self,
        channel: Channel,
        user: str,
        domain: str,
        password: str = "",
        contact: str = "",
        challenged: tuple[str, ...] = ("REGISTER",),
    ) -> None:
        self.channel = channel
        self.user = user
        self.domain = domain
        self._password = password
        self._challenged = challenged
        self.contact = f"sip:{user}@{contact or channel.contact}"
        #: The Request-URIs that lead to us.
        self.reached_by = {self.contact}
        self._asked: dict[str, Asked] = {}
        self._requests: list[Message] = []
        #: Those that came, by branch and method.
        self._seen: set[tuple[str, str]] = set()
        #: Our last response to each request, by its branch and method.
        self._responded: dict[tuple[str, str], bytes] = {}
        #: ACKs for refusals of ours that came.
        self._acknowledged = 0
        self._register_call_id = secrets.token_hex(8)
        self._register_cseq = 0

    @property
    def aor(self) -> str:
        """Who we are, as a URI."""
        return f"sip:{self.user}@{self.domain}"

    # Requests of ours.

    def via(self) -> str:
        """A new Via."""
        asks_for_port = ";rport" if self.channel.remote.transport == "UDP" else ""
        return (
            f"SIP/2.0/{self.channel.remote.transport} {self.channel.sent_by}{asks_for_port}"
            f";branch=z9hG4bK{secrets.token_hex(8)}"
        )

    def request(
        self,
        method: str,
        uri: str,
        identity: Headers,
        cseq: int,
        headers: Headers | None = None,
        body: str = "",
    ) -> Message:
        """A request. identity: From, To and Call-ID."""
        made: Headers = [("Via", self.via()), ("Max-Forwards", "70"), *identity, ("CSeq", f"{cseq} {method}")]
        return Message(f"{method} {uri} SIP/2.0", made + (headers or []), body)

    def send(self, request: Message) -> Asked:
        """Send a request; what comes back is found in what this returns."""
        asked = Asked(request)
        if request.method != "ACK":
            self._asked[request.branch] = asked
        self.channel.send(request.write())
        return asked

    def final(self, asked: Asked, within_s: float = PATIENCE_S) -> Message:
        """Wait for the final response."""
        self._wait(
            lambda: asked.final is not None, within_s, f"final response to {asked.request.start}", asked
        )
        assert asked.final is not None
        return asked.final

    def provisional(self, asked: Asked, status: int, within_s: float = PATIENCE_S) -> Message:
        """Wait for a provisional response."""
        self._wait(lambda: status in asked.statuses, within_s, f"{status} to {asked.request.start}", asked)
        return next(response for response in asked.responses if response.status == status)

    def with_credentials(self, make: Callable[[int, Headers], Message], cseq: int) -> tuple[Asked, int]:
        """Send what `make` makes of a CSeq and headers, and once more if it is challenged.

        Returns what is under way, which may not have its final response yet, and its CSeq.
        """
        asked = self.send(make(cseq, []))
        if not self._password or asked.request.method not in self._challenged:
            return asked, cseq
        self._wait(lambda: bool(asked.statuses), PATIENCE_S, f"challenge to {asked.request.start}", asked)
        for status, challenge, answer in (
            (401, "WWW-Authenticate", "Authorization"),
            (407, "Proxy-Authenticate", "Proxy-Authorization"),
        ):
            if asked.final is not None and asked.final.status == status:
                request = asked.request
                value = credentials(
                    asked.final.one(challenge), request.method, request.uri, self.user, self._password
                )
                return self.send(make(cseq + 1, [(answer, value)])), cseq + 1
        return asked, cseq

    def register(self, expires_s: int = 600, headers: Headers | None = None) -> Message:
        """Register the contact, authenticated if asked to; the final response, 200 or not."""
        identity: Headers = [
            ("From", f"<{self.aor}>;tag={secrets.token_hex(4)}"),
            ("To", f"<{self.aor}>"),
            ("Call-ID", self._register_call_id),
        ]
        contact: Headers = [("Contact", f"<{self.contact}>"), ("Expires", str(expires_s)), *(headers or [])]
        asked, self._register_cseq = self.with_credentials(
            lambda cseq, more: self.request(
                "REGISTER", f"sip:{self.domain}", identity, cseq, [*contact, *more]
            ),
            self._register_cseq + 1,
        )
        return self.final(asked)

    # Requests of others.

    def expect(self, method: str, within_s: float = PATIENCE_S) -> Message:
        """The next request, which has to be a `method`."""
        self._wait(lambda: bool(self._requests), within_s, method, None)
        request = self._requests.pop(0)
        assert request.method == method, f"{request.start} where {method} was due"
        return request

    def expect_acknowledgement(self, within_s: float = PATIENCE_S) -> None:
        """Wait until the ACK for a refusal of ours has come."""
        self._wait(lambda: self._acknowledged > 0, within_s, "ACK for a refusal", None)
        self._acknowledged -= 1

    def poll(self) -> None:
        """Take in what has arrived, and wait for nothing."""
        while self._take(0):
            pass

    def respond(
        self, request: Message, status: int, headers: Headers | None = None, body: str = "", tag: str = ""
    ) -> None:
        """Answer a request; tag: ours, where its To has none."""
        kept = [(name, value) for name, value in request.headers if name in ("Via", "Record-Route")]
        to = request.one("To")
        if tag and not request.tag("To"):
            to += f";tag={tag}"
        named = [("From", request.one("From")), ("To", to)]
        named += [(name, request.one(name)) for name in ("Call-ID", "CSeq")]
        response = Message(f"SIP/2.0 {status} {_REASONS[status]}", [*kept, *named, *(headers or [])], body)
        data = response.write()
        self._responded[request.branch, request.method] = data
        self.channel.send(data)

    # What arrives.

    def _wait(self, enough: Callable[[], bool], within_s: float, what: str, asked: Asked | None) -> None:
        until = time.monotonic() + within_s
        again_s = _T1_S
        again_at = time.monotonic() + again_s
        # RFC 3261 17.1: a test must not fail of one lost datagram.
        repeated = asked if self.channel.remote.transport == "UDP" else None
        while not enough():
            now = time.monotonic()
            if now > until:
                got = asked.statuses if asked else []
                raise TimeoutError(f"{self.user} over {self.channel.remote}: no {what}, only {got}")
            if repeated is None or repeated.responses:
                self._take(until - now)
            elif now < again_at:
                self._take(again_at - now)
            else:
                self.channel.send(repeated.request.write())
                again_s *= 2
                again_at = now + again_s

    def _take(self, within_s: float) -> bool:
        """Take in one message; whether there was one."""
        data = self.channel.receive(within_s)
        if data is None:
            return False
        if data.strip():
            message = Message.read(data)
            if message.status:
                self._take_response(message)
            else:
                self._take_request(message)
        return True

    def _take_response(self, response: Message) -> None:
        vias = response.all("Via")
        assert len(vias) == 1, f"a response with the Vias of others: {vias}"
        asked = self._asked.get(response.branch)
        if asked is None:
            # Of a call that is over.
            return
        assert response.method == asked.request.method, response.start
        if response.status >= 300 and response.method == "INVITE":
            self.channel.send(self._refusal_ack(asked.request, response).write())
        if asked.final is not None and asked.final.start == response.start:
            # RFC 3261 17.2.1: sent again, since our ACK had no turn in time.
            return
        asked.responses.append(response)

    def _refusal_ack(self, invite: Message, response: Message) -> Message:
        """RFC 3261 17.1.1.3: the ACK of the transaction itself."""
        kept = {name: invite.one(name) for name in ("Via", "From", "Call-ID")}
        routes = [(name, value) for name, value in invite.headers if name == "Route"]
        headers = [*kept.items(), *routes, ("To", response.one("To")), ("CSeq", f"{invite.cseq} ACK")]
        return Message(f"ACK {invite.uri} SIP/2.0", [*headers, ("Max-Forwards", "70")])

    def _take_request(self, request: Message) -> None:
        known = self._responded.get((request.branch, request.method))
        if known is not None:
            self.channel.send(known)
            return
        if request.method == "ACK" and (request.branch, "INVITE") in self._responded:
            # For a refusal: it ends the transaction and is nobody's request.
            self._acknowledged += 1
            return
        self._check(request)
        if (request.branch, request.method) not in self._seen:
            self._seen.add((request.branch, request.method))
            self._requests.append(request)

    def _check(self, request: Message) -> None:
        """What every request has to be that a proxy sends on to us (RFC 3261 16.6)."""
        remote = self.channel.remote
        vias = request.all("Via")
        top = f"SIP/2.0/{remote.transport} {remote.address};"
        assert vias[0].startswith(top), f"{vias[0]} where {top} was due"
        assert len(vias) >= 2, vias
        assert 0 < int(request.one("Max-Forwards")) < 70
        assert request.uri in self.reached_by, f"{request.uri} is not among {self.reached_by}"
        assert not request.all("Route"), f"Routes were left: {request.all('Route')}"

    def close(self) -> None:
        """Close the channel."""
        self.channel.close()
