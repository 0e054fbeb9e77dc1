"""What the top Via of a request says: which transaction it is, and where answers go
(RFC 3261 17.2.3 and 18.2, RFC 3581)."""

from typing import Final

from oneproxy.engine.flow import BRANCH_COOKIE, Flow, Flows
from oneproxy.engine.routing import is_numeric, same_host
from oneproxy.sip.fields import format_params, is_token, split_list
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request
from oneproxy.sip.via import Via, parse_via

_MEMO_SIZE: Final = 16_384
_MEMO_LENGTH: Final = 128
#: Parameters that say nothing of where answers go (RFC 7339 4).
_PLAIN: Final = frozenset(("branch", "oc", "oc-algo"))
_MARK: Final = ";branch=" + BRANCH_COOKIE

#: Sent-by parts of Via seen before, read: a peer writes the same one into each request.
_known: dict[str, Via] = {}


def read_inbound(request: Request, flow: Flow, flows: Flows) -> tuple[str, Flow, bool] | Malformed:
    """The transaction key of `request`, the flow that its responses take, and whether its
    sender can be reached over that flow alone, since a NAT stands before it.

    Puts received and rport into its top Via where they belong, so that what is sent on
    and what is answered carry them. An ACK has the key of its INVITE.
    """
    at = request.first.get("via")
    if at is None:
        return Malformed.VIA
    value = request.values[at]
    sent, mark, rest = value.partition(_MARK)
    if mark and is_token(rest):
        # The way of nearly all requests whose sender asks for no rport: 0.6 us.
        via = _known.get(sent) or _learn(sent, value)
        if via is not None and via.host == flow.host:
            method = "INVITE" if request.method == "ACK" else request.method
            port = via.port or 5060
            reply_flow = flow if port == flow.port or flow.reliable else flows.beside(flow, port)
            return f"{rest};{via.host}:{port};{method}", reply_flow, False
    return _read_full(request, at, flow, flows)


def usual_key(value: str, method: str, flow: Flow) -> str | None:
    """The transaction key by a top Via of the usual spelling whose answer goes back on `flow`."""
    sent, mark, rest = value.partition(_MARK)
    if not mark or not is_token(rest):
        return None
    via = _known.get(sent)
    if via is None or via.host != flow.host:
        return None
    port = via.port or 5060
    return f"{rest};{via.host}:{port};{method}" if port == flow.port or flow.reliable else None


def _learn(sent: str, value: str) -> Via | None:
    """Read a Via and remember what stands before its branch; None where that says where answers go."""
    via = parse_via(value.strip(" \t"))
    if isinstance(via, Malformed) or len(sent) > _MEMO_LENGTH or not _PLAIN.issuperset(via.params):
        return None
    if len(_known) >= _MEMO_SIZE:
        _known.clear()
    _known[sent] = via
    return via


def _read_full(request: Request, at: int, flow: Flow, flows: Flows) -> tuple[str, Flow, bool] | Malformed:
    """As `read_inbound`, by the whole grammar."""
    values = split_list(request.values[at])
    via = parse_via(values[0].strip(" \t")) if values else Malformed.VIA
    if isinstance(via, Malformed):
        return via
    key = _key(request, at, via)
    asked = "rport" in via.params
    port = via.port or (5061 if via.transport == "TLS" else 5060)
    is_elsewhere = not same_host(via.host, flow.host)
    # RFC 3581 as if asked for where Via gives an address that is not the source's: the
    # answer would go to nobody. A name may well be the source's.
    is_natted = is_elsewhere and is_numeric(via.host)
    reply_flow = flow
    if asked:
        is_natted = is_elsewhere or port != flow.port
    elif not is_natted and not flow.reliable and port != flow.port:
        reply_flow = flows.beside(flow, port)
    if asked or is_elsewhere or "received" in via.params:
        _write_source(request, at, via, values, flow)
    return key, reply_flow, is_natted


def _key(request: Request, at: int, via: Via) -> str:
    """RFC 3261 17.2.3: by branch and sent-by; by its fields for an RFC 2543 peer."""
    method = "INVITE" if request.method == "ACK" else request.method
    branch = via.branch or ""
    if branch.startswith(BRANCH_COOKIE) and len(branch) > len(BRANCH_COOKIE):
        return f"{branch[len(BRANCH_COOKIE) :]};{via.host}:{via.port or 5060};{method}"
    number = (request.get("cseq") or "").replace("\t", " ").partition(" ")[0]
    fields = (request.uri, request.get("from"), request.get("call-id"), number, request.values[at])
    return f"{'|'.join(map(str, fields))};{method}"


def _write_source(request: Request, at: int, via: Via, values: list[str], flow: Flow) -> None:
    """Note in the top Via where the request really came from (RFC 3261 18.2.1, RFC 3581 4)."""
    params = via.params.copy()
    params.pop("received", None)
    if "rport" in params:
        params["rport"] = str(flow.port)
        params["received"] = flow.host
    elif not same_host(via.host, flow.host):
        params["received"] = flow.host
    head = values[0].partition(";")[0].strip(" \t")
    value = ", ".join([f"{head}{format_params(params)}", *values[1:]])
    request.values[at] = value
    request.lines[at] = f"Via: {value}"
