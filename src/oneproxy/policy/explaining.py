"""A request explained: what every step would do with it, in their order, without placing a call.

The request is made up of who calls, whom, and where from. The steps are those that calls pass, as
they stand at this moment; each is asked in a way that changes nothing.
"""

from collections.abc import Iterable
from secrets import token_hex
from typing import Final, NamedTuple, TypeVar

from oneproxy.access.step import Access
from oneproxy.congestion.step import LimitStep
from oneproxy.engine.decisions import Ask, Decision, Forward, Reply
from oneproxy.engine.flow import Flow, Listener
from oneproxy.policy.location import LocationStep
from oneproxy.policy.order import Order
from oneproxy.policy.sanity import Sanity
from oneproxy.sip.check import check
from oneproxy.sip.host import format_host, to_address
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request, split
from oneproxy.sip.uri import Uri, escape_user, parse_uri
from oneproxy.trunks.explaining import Step
from oneproxy.trunks.step import TrunkStep

#: Characters of what people ask about.
_LONGEST: Final = 1024
_PORT: Final = 5060
_HERE: Final = "127.0.0.1"

_Kind = TypeVar("_Kind")


class Question(NamedTuple):
    """What people want to know of. from_, to: URIs, or "alice@example.com" and numbers as people write them.

    source: the IP address that it comes from; "" for this machine. transport: "udp", "tcp", "tls", "ws" or
    "wss".
    """

    from_: str
    to: str
    source: str = ""
    transport: str = "udp"
    method: str = "INVITE"


class Told(NamedTuple):
    """The steps, and in one line what becomes of it. targets: the Request-URIs that it goes out with."""

    steps: list[Step]
    verdict: str
    gateway: str = ""
    targets: tuple[str, ...] = ()
    status: int = 0


class Explainer:
    """Explains by the steps of an `Order`, which has those of a node."""

    __slots__ = ("_access", "_limits", "_location", "_sanity", "_trunks")

    def __init__(self, order: Order) -> None:
        self._access = _only(order, Access)
        self._limits = _only(order, LimitStep)
        self._sanity = _only(order, Sanity)
        self._trunks = _only(order, TrunkStep)
        self._location = _only(order, LocationStep).unwaiting()

    def explain(self, ask: Ask) -> Told:
        """What becomes of a request. ask: made to be explained; the steps change it as they would."""
        steps: list[Step] = [("Request-URI", f"{ask.request.method} {ask.request.uri}")]
        screened = self._access.explain_screen(ask)
        steps += screened.steps
        if screened.cause:
            return _refused(steps, screened.cause)
        refusal = self._sanity.decide(ask)
        if isinstance(refusal, Reply):
            return _answered([*steps, ("sanity", "refused")], refusal)
        let_in = self._access.explain(ask)
        steps += let_in.steps
        if let_in.cause:
            return _refused(steps, let_in.cause)
        if ask.request.method == "REGISTER":
            return Told([*steps, ("registrar", "has it")], "it goes to the registrar")
        limits, full = self._limits.explain(ask)
        steps += limits
        if full:
            return _no_room(steps, full)
        routed = self._trunks.explain(ask)
        steps += routed.steps
        if routed.status:
            return Told(steps, f"answered {routed.status}{_because(routed.cause)}", "", (), routed.status)
        if routed.uri:
            verdict = f"to {routed.gateway or 'the target of the route'} as {routed.uri}"
            return Told(steps, verdict, routed.gateway, (routed.uri,))
        return self._explain_location(ask, steps)

    def _explain_location(self, ask: Ask, steps: list[Step]) -> Told:
        limits, full = self._limits.explain_led(ask)
        steps += limits
        if full:
            return _no_room(steps, full)
        decision: Decision = self._location.decide(ask)
        if isinstance(decision, Reply):
            return _answered([*steps, ("location", f"{decision.status} {decision.reason}")], decision)
        assert isinstance(decision, Forward)
        targets = tuple([target.uri for target in decision.targets])
        over = {target.uri: f" over {target.flow.name}" for target in decision.targets if target.flow}
        steps += [("location", f"to {uri}{over.get(uri, '')}") for uri in targets]
        return Told(steps, f"to {', '.join(targets)}", "", targets)


def make_ask(question: Question, listeners: Iterable[Listener], now: float) -> Ask | str:
    """The request that people ask about, as it would come; or what is wrong with it, in one line."""
    address = to_address(question.source) if question.source else None
    if question.source and address is None:
        return f"source: found {question.source!r}; allowed an IP address"
    named = question.transport.upper()
    listener = next((one for one in listeners if one.transport == named), None)
    if listener is None:
        return f"transport: found {question.transport!r}; allowed one of a [[listen]] of this machine"
    host = str(address or _HERE)
    sender = _uri_of(question.from_, "")
    if isinstance(sender, Malformed):
        return f"from: found {question.from_!r}; allowed a SIP or tel URI, or user@domain"
    to = _uri_of(question.to, sender.host)
    if isinstance(to, Malformed):
        return f"to: found {question.to!r}; allowed a SIP or tel URI, user@domain, or a number"
    uri = to
    if question.method == "REGISTER":
        # RFC 3261 10.2: to the domain, for the user that To names.
        home = parse_uri(f"{to.scheme}:{format_host(to.host)}")
        uri = to if isinstance(home, Malformed) else home
    request = _request(question.method, uri, sender, to, (host, listener.transport))
    if request is None:
        return f"method: found {question.method!r}; allowed a method of SIP"
    name = f"{listener.transport.lower()}/explained/{format_host(host)}:{_PORT}"
    return Ask(request, uri, Flow(listener, host, _PORT, name), now)


def _request(method: str, uri: Uri, sender: Uri, to: Uri, via: tuple[str, str]) -> Request | None:
    host, transport = via
    lines = (
        f"{method} {uri.text} SIP/2.0",
        f"Via: SIP/2.0/{transport} {format_host(host)}:{_PORT};branch=z9hG4bK{token_hex(10)}",
        "Max-Forwards: 70",
        f"From: <{sender.text}>;tag={token_hex(4)}",
        f"To: <{to.text}>",
        f"Call-ID: {token_hex(16)}",
        f"CSeq: 1 {method}",
        "Content-Length: 0",
        "",
        "",
    )
    try:
        request = split("\r\n".join(lines).encode("latin-1"))
    except UnicodeEncodeError:
        return None
    return request if isinstance(request, Request) and check(request) is None else None


def _uri_of(written: str, domain: str) -> Uri | Malformed:
    """A URI as people write it, or "alice@example.com"; of a number alone the one in `domain`."""
    if len(written) > _LONGEST or not written.isprintable() or any(one in written for one in '<> "'):
        return Malformed.URI
    text = written.encode().decode("latin-1")
    scheme = text.partition(":")[0].lower()
    if scheme not in ("sip", "sips", "tel"):
        user, at, host = text.rpartition("@")
        if not at:
            user, host = text, format_host(domain)
        if not user or not host:
            return Malformed.URI
        text = f"sip:{escape_user(user)}@{host}"
    return parse_uri(text)


def _refused(steps: list[Step], cause: str) -> Told:
    return Told(steps, f"refused: {cause}")


def _no_room(steps: list[Step], cause: str) -> Told:
    return Told(steps, f"answered 503 Service Unavailable ({cause})", "", (), 503)


def _answered(steps: list[Step], reply: Reply) -> Told:
    return Told(steps, f"answered {reply.status} {reply.reason}{_because(reply.cause)}", "", (), reply.status)


def _because(cause: str) -> str:
    return f" ({cause})" if cause else ""


def _only(order: Order, kind: type[_Kind]) -> _Kind:
    return next(step for step in order.steps if isinstance(step, kind))
