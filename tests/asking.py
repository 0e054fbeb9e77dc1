"""Makes the asks that deciding rooms are tested with, from as little text as a test needs."""

from oneproxy.engine.decisions import Ask, Decision, Reply
from oneproxy.engine.flow import Flow, Listener
from oneproxy.sip.check import check
from oneproxy.sip.digest import ALGORITHMS, make_ha1, make_response
from oneproxy.sip.message import Request, split
from oneproxy.sip.uri import Uri, parse_uri
from oneproxy.site.model import Subscriber

NOW = 1_700_000_000.0
LISTENER = Listener("UDP", "192.0.2.1", 5060)
FLOW = Flow(LISTENER, "192.0.2.7", 5062, "udp/192.0.2.1:5060/192.0.2.7:5062")


def uri_of(text: str) -> Uri:
    uri = parse_uri(text)
    assert isinstance(uri, Uri), text
    return uri


def request_of(
    method: str,
    uri: str,
    *headers: str,
    sender: str = "<sip:alice@example.com>",
    to: str = "<sip:bob@example.com>",
    call_id: str = "a84b4c76e66710",
    cseq: int = 1,
    body: str = "",
) -> Request:
    lines = [
        f"{method} {uri} SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bK776asdhds",
        "Max-Forwards: 70",
        f"From: {sender};tag=1928301774",
        f"To: {to}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    request = split(("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1"))
    assert isinstance(request, Request)
    assert check(request) is None
    return request


def ask_of(request: Request, now: float = NOW, flow: Flow = FLOW) -> Ask:
    return Ask(request, uri_of(request.uri), flow, now)


def invite(
    uri: str = "sip:bob@example.com", *headers: str, now: float = NOW, sender: str = "<sip:alice@example.com>"
) -> Ask:
    return ask_of(request_of("INVITE", uri, *headers, sender=sender), now)


def register(
    *headers: str,
    uri: str = "sip:example.com",
    to: str = "<sip:alice@example.com>",
    call_id: str = "reg-1",
    cseq: int = 1,
    now: float = NOW,
    sender: str | None = None,
) -> Ask:
    """sender: who registers, where it is not the one that To names."""
    request = request_of(
        "REGISTER", uri, *headers, sender=to if sender is None else sender, to=to, call_id=call_id, cseq=cseq
    )
    return ask_of(request, now)


def subscriber(aor: str, password: str = "secret", may_use: tuple[str, ...] = ()) -> Subscriber:
    user, _, realm = aor.rpartition("@")
    ha1 = {name: make_ha1(name, user, realm, password) for name in ALGORITHMS}
    return Subscriber(aor, ha1, may_use=may_use)


def shown(decision: Decision | None) -> tuple[int, str, tuple[str, ...]]:
    """Status, reason and header lines of a reply."""
    assert isinstance(decision, Reply), decision
    return decision.status, decision.reason, decision.headers


def nonce_in(reply: Decision | None) -> str:
    assert isinstance(reply, Reply)
    return reply.headers[0].partition('nonce="')[2].partition('"')[0]


def credentials(
    nonce: str,
    method: str,
    uri: str,
    user: str = "alice",
    realm: str = "example.com",
    password: str = "secret",
    algorithm: str = "SHA-256",
    qop: str | None = "auth",
    body: str = "",
    nc: str = "00000001",
) -> str:
    """The value of an Authorization header that answers `nonce`."""
    ha1 = make_ha1(algorithm, user, realm, password)
    proved = make_response(algorithm, ha1, method, uri, nonce, qop, nc, "0a4f113b", body)
    end = "" if qop is None else f', qop={qop}, nc={nc}, cnonce="0a4f113b"'
    return (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}",'
        f' response="{proved}", algorithm={algorithm}{end}'
    )
