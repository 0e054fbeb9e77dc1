"""A call as one gateway wants it: the Request-URI, and the header lines that go and come.

Route first, gateway then: the route's rewriting gives a number the form that all gateways of its
provider start from, and each makes of it what it wants. From and To are never changed.
"""

from typing import Final

from oneproxy.sip.host import format_host
from oneproxy.sip.malformed import Malformed
from oneproxy.sip.message import Request
from oneproxy.sip.uri import Uri, escape_user, parse_uri
from oneproxy.site.model import Format
from oneproxy.trunks.call import Call
from oneproxy.trunks.header_rules import make_rules
from oneproxy.trunks.identity import (
    Identity,
    assert_identity,
    privacy_values,
    saying_lines,
    wants_privacy,
)
from oneproxy.trunks.rewriting import Form, Rewriter, make_rewriter
from oneproxy.trunks.routes import Plan

_NONE: Final = "none"


class Outgoing:
    """What is sent to a gateway.

    uri: the Request-URI. headers: whole lines to add. dropped: places of lines of the request that
    are left out. called, calling: the numbers as the gateway gets them; calling is "" where it is
    not told.
    """

    __slots__ = ("called", "calling", "dropped", "headers", "uri")

    def __init__(
        self, uri: str, headers: tuple[str, ...], dropped: tuple[int, ...], called: str, calling: str
    ) -> None:
        self.uri = uri
        self.headers = headers
        self.dropped = dropped
        self.called = called
        self.calling = calling


class Side:
    """A gateway, or the target of a route, made ready: where it is and how it wants its calls.

    name: "provider/gateway", "" for a target. Raises ValueError for a URI that is none.
    """

    __slots__ = ("_after", "_before", "_user", "called", "calling", "form", "format", "name", "rules")

    def __init__(self, name: str, uri: str, format_: Format | None = None) -> None:
        self.name = name
        self.format = format_ = Format() if format_ is None else format_
        self.form = Form(format_.form, format_.country)
        self.called = make_rewriter(format_.called)
        self.calling = make_rewriter(format_.calling)
        self.rules = make_rules(format_.add, format_.remove)
        read = parse_uri(uri)
        if isinstance(read, Malformed) or not read.host:
            raise ValueError(f"no SIP URI: {uri!r}")
        #: A user that the URI names itself is called, whatever the number.
        self._user = read.user
        params = {name: value for name, value in read.params.items() if name != "method"}
        place = Uri(read.scheme, None, None, read.host, read.port, params, "", "").format()
        self._before = f"{read.scheme}:"
        self._after = f"@{place.partition(':')[2]}"

    def uri_of(self, number: str) -> str:
        """The Request-URI that calls a number; "" where nothing is left of it."""
        user = self._user or escape_user(number)
        return f"{self._before}{user}{self._after}" if user else ""

    def called_number(self, number: str) -> str:
        """The number called as it wants it, of one that a route has rewritten."""
        return self.form.write(number if self.called is None else self.called.apply(number))

    def calling_number(self, number: str) -> str:
        """The caller's number, likewise."""
        return self.form.write(number if self.calling is None else self.calling.apply(number))


def make_outgoing(
    request: Request, call: Call, plan: Plan, side: Side, identity: Identity | None
) -> Outgoing | None:
    """What goes to `side` of a request that `plan` leads there; None where no number is left to call.

    identity: who calls (`find_identity`).
    """
    called = side.called_number(plan.called_number(call.number))
    uri = side.uri_of(called)
    if not uri:
        return None
    calling = "" if identity is None else side.calling_number(plan.calling_number(identity.user))
    headers: list[str] = []
    dropped = saying_lines(request)
    private = plan.route.withhold or wants_privacy(request)
    format_ = side.format
    told = format_.identity != _NONE and (format_.trusted or not private)
    if identity is not None and calling and told:
        host = format_.domain or identity.host or call.domain
        headers.append(assert_identity(identity, calling, format_host(host), format_.identity, private))
    else:
        calling = ""
    if private:
        _ask_for_privacy(request, headers, dropped)
    if plan.rules is not None or side.rules is not None:
        _add_rules(request, call, plan, side, (called, calling), headers, dropped)
    return Outgoing(uri, tuple(headers), tuple(dropped), called, calling)


def explain_outgoing(
    request: Request, call: Call, plan: Plan, side: Side, identity: Identity | None
) -> list[tuple[str, str]]:
    """The same in words: what is done, and what comes out of it, step by step."""
    said = _explain_number("called", call.number, (plan.called, side.called), side)
    if identity is not None:
        said += _explain_number("calling", identity.user, (plan.calling, side.calling), side)
    out = make_outgoing(request, call, plan, side, identity)
    if out is None:
        return [*said, ("Request-URI", "none: nothing is left of the number")]
    said.append(("Request-URI", out.uri))
    if plan.route.withhold or wants_privacy(request):
        who = "the route" if plan.route.withhold else "the caller"
        told = "is told in confidence" if out.calling else "is not told"
        said.append(("privacy", f"{who} wants it; {side.name or 'target'} {told} who calls"))
    said += [("left out", request.lines[at].partition(":")[0]) for at in sorted(set(out.dropped))]
    return said + [("added", line) for line in out.headers]


def _explain_number(
    what: str, number: str, rewriters: tuple[Rewriter | None, Rewriter | None], side: Side
) -> list[tuple[str, str]]:
    """What becomes of a number: by the route, by the gateway, and by the form that it wants."""
    said = [(what, number)]
    whose = side.name or "target"
    for who, rewriter in zip(("route", whose), rewriters, strict=True):
        for done, after in [] if rewriter is None else rewriter.explain(said[-1][1]):
            said.append((f"{what}, {who}: {done}", after))
    return said + [(f"{what}, {whose}: {done}", after) for done, after in side.form.explain(said[-1][1])]


def _ask_for_privacy(request: Request, headers: list[str], dropped: list[int]) -> None:
    """Whoever gets the call is told that the caller is not to be known (RFC 3325 9.3)."""
    wanted = [value for value in privacy_values(request) if value != _NONE]
    if "id" in wanted:
        return
    dropped += request.positions("privacy")
    headers.append(f"Privacy: {';'.join([*wanted, 'id'])}")


def _add_rules(
    request: Request,
    call: Call,
    plan: Plan,
    side: Side,
    numbers: tuple[str, str],
    headers: list[str],
    dropped: list[int],
) -> None:
    """The header rules of the route, then those of the gateway."""
    fields = {
        "called": numbers[0],
        "calling": numbers[1],
        "domain": call.domain,
        "caller": call.caller,
        "source": call.source,
        "gateway": side.name,
    }
    for rules in (plan.rules, side.rules):
        if rules is not None:
            dropped += rules.removed(request)
            headers += rules.added(fields)
