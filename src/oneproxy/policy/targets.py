"""From bindings to the targets that a request is sent to (RFC 3261 16.5, RFC 5626 5.3)."""

from oneproxy.engine.decisions import Target
from oneproxy.registrar.bindings import Binding
from oneproxy.registrar.reach import FlowOf, is_reachable
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.uri import Uri, parse_uri


def find_targets(bindings: list[Binding], flow_of: FlowOf, no_answer_s: float) -> list[Target]:
    """A target for each of `bindings` that can be reached now, and one for all flows of a phone.

    no_answer_s: how long each may take to answer; 0: as long as the caller waits. Of the flows
    of one instance the one registered last comes first, and each has the one before it to
    fall back on: RFC 5626 5.3 wants them tried one at a time.
    """
    targets: list[Target] = []
    flows: dict[str, Target] | None = None
    for binding in bindings:
        contact = binding.contact
        if "?" in contact or ";m" in contact or ";M" in contact or contact[0] in "tT":
            request_uri = as_request_uri(contact)
            if request_uri is None:
                continue
            contact = request_uri
        flow = None
        if binding.flow:
            flow = flow_of(binding.flow)
            if flow is None and (binding.reg_id or not is_reachable(binding)):
                continue
        target = Target(contact, binding.path, flow, no_answer_s=no_answer_s, source=binding.source)
        if binding.reg_id:
            if flows is None:
                flows = {}
            earlier = flows.get(binding.instance)
            flows[binding.instance] = target
            if earlier is not None:
                target.instead = earlier
                targets[targets.index(earlier)] = target
                continue
        targets.append(target)
    return targets


def as_request_uri(contact: str) -> str | None:
    """A contact as a Request-URI; None for one that requests cannot be sent to.

    RFC 3261 19.1.1, 16.6 step 2: no headers and no method parameter stand in one. A
    number (tel) has no host to send to.
    """
    uri = parse_uri(contact)
    if isinstance(uri, Malformed) or not uri.host:
        return None
    params = {name: value for name, value in uri.params.items() if name != "method"}
    return Uri(uri.scheme, uri.user, uri.password, uri.host, uri.port, params, "", "").format()


def only_secure(bindings: list[Binding]) -> list[Binding]:
    """RFC 5630 5.3: a SIPS request goes to SIPS contacts only."""
    return [binding for binding in bindings if binding.contact[:5].lower() == "sips:"]
