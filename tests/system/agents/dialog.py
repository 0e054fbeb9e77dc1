"""The dialogs of an agent (RFC 3261 12): tags, route set, remote target, CSeq."""

import secrets
from typing import Final, Self

from system.agents.agent import PATIENCE_S, Agent, Asked
from system.agents.message import Headers, Message, address_uri, parameter

SDP: Final = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
)
_SDP_TYPE: Final = ("Content-Type", "application/sdp")


class Dialog:
    """One side of a call."""

    def __init__(self, agent: Agent, identity: Headers, target: str, routes: list[str], cseq: int) -> None:
        self.agent = agent
        self._identity = identity
        self._target = target
        self.routes = routes
        self._cseq = cseq
        self._remote_cseq = 0
        self._check_routes()

    def _check_routes(self) -> None:
        """Our next hop has to be where our channel leads, or the route would be no way for us."""
        for route in self.routes:
            assert ";lr" in address_uri(route), f"no loose router: {route}"
        if self.routes:
            remote = self.agent.channel.remote
            uri = address_uri(self.routes[0])
            host = uri.partition(":")[2].partition(";")[0]
            named = parameter(uri, "transport") or "udp"
            spoken = {"WSS": "ws"}.get(remote.transport, remote.transport.lower())
            assert (host.rpartition("@")[2], named) == (remote.address, spoken), f"{uri} over {remote}"

    @classmethod
    def of_caller(cls, agent: Agent, answer: Message) -> Self:
        """From the 2xx to our INVITE (12.1.2)."""
        identity = [(name, answer.one(name)) for name in ("From", "To", "Call-ID")]
        routes = answer.all("Record-Route")[::-1]
        return cls(agent, identity, address_uri(answer.one("Contact")), routes, answer.cseq)

    @classmethod
    def of_callee(cls, agent: Agent, invite: Message, tag: str) -> Self:
        """From an INVITE that we answer with this tag (12.1.1)."""
        identity = [
            ("From", f"{invite.one('To')};tag={tag}"),
            ("To", invite.one("From")),
            ("Call-ID", invite.one("Call-ID")),
        ]
        made = cls(agent, identity, address_uri(invite.one("Contact")), invite.all("Record-Route"), 0)
        made._remote_cseq = invite.cseq
        return made

    def request(self, method: str, cseq: int, headers: Headers | None = None, body: str = "") -> Message:
        """A request within the dialog (12.2.1.1)."""
        routes = [("Route", route) for route in self.routes]
        more = [*routes, *(headers or [])]
        return self.agent.request(method, self._target, self._identity, cseq, more, body)

    def ask(self, method: str, body: str = "") -> Asked:
        """Send a new request within the dialog."""
        self._cseq += 1
        headers = [("Contact", f"<{self.agent.contact}>")] if method == "INVITE" else []
        if body:
            headers.append(_SDP_TYPE if method == "INVITE" else ("Content-Type", "application/dtmf-relay"))
        return self.agent.send(self.request(method, self._cseq, headers, body))

    def acknowledge(self) -> None:
        """ACK the 2xx to our last INVITE (13.2.2.4)."""
        self.agent.send(self.request("ACK", self._cseq))

    def expect(self, method: str, within_s: float = PATIENCE_S) -> Message:
        """The next request, which has to belong to this dialog and come in order."""
        request = self.agent.expect(method, within_s)
        local, remote, call_id = (value for _, value in self._identity)
        assert request.one("Call-ID") == call_id
        assert (request.one("From"), request.one("To")) == (remote, local)
        if method != "ACK":
            assert request.cseq > self._remote_cseq
            self._remote_cseq = request.cseq
        return request

    def accept(self, request: Message, body: str = "") -> None:
        """200 to a request within the dialog."""
        headers: Headers = []
        if request.method == "INVITE":
            headers = [("Contact", f"<{self.agent.contact}>"), _SDP_TYPE]
        self.agent.respond(request, 200, headers, body)


def invite(caller: Agent, uri: str, headers: Headers | None = None, body: str = SDP) -> Asked:
    """Start a call to `uri`, with credentials where they are asked for."""
    identity: Headers = [
        ("From", f"<{caller.aor}>;tag={secrets.token_hex(4)}"),
        ("To", f"<{uri}>"),
        ("Call-ID", secrets.token_hex(8)),
    ]
    contact: Headers = [("Contact", f"<{caller.contact}>"), _SDP_TYPE, *(headers or [])]
    asked, _ = caller.with_credentials(
        lambda cseq, more: caller.request("INVITE", uri, identity, cseq, [*contact, *more], body), 1
    )
    return asked


def answer(callee: Agent, request: Message) -> Dialog:
    """200 to an INVITE that starts a call."""
    tag = secrets.token_hex(4)
    callee.respond(request, 200, [("Contact", f"<{callee.contact}>"), _SDP_TYPE], SDP, tag)
    return Dialog.of_callee(callee, request, tag)
