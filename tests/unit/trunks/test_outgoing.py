"""A call as a gateway wants it."""

import pytest

from asking import NOW, request_of
from oneproxy.site.model import Format, Rewrite, Route
from oneproxy.trunks.call import Call
from oneproxy.trunks.identity import find_identity
from oneproxy.trunks.outgoing import Outgoing, Side, explain_outgoing, make_outgoing
from oneproxy.trunks.routes import Plan, Routes

CALL = Call("+351912345678", NOW, "example.com", "alice@example.com", "+351211", "192.0.2.7")
SENDER = '"Alice" <sip:+351211234567@example.com>'
URI = "sip:198.51.100.10:5060"
ASSERTED = Format(identity="asserted")
CONFIDENT = Format(identity="asserted", trusted=True)


def plan_of(route: Route) -> Plan:
    plan = Routes({"": route}).find(CALL)
    assert plan is not None
    return plan


def sent(
    *headers: str,
    route: Route = Route("", provider="a"),  # noqa: B008 - it cannot change
    format_: Format = Format(),  # noqa: B008
    uri: str = URI,
    sender: str = SENDER,
    believed: bool = False,
    number: str = CALL.number,
) -> tuple[Outgoing | None, list[str]]:
    """What goes out, and the names of the lines that are left out."""
    request = request_of("INVITE", "sip:912345678@example.com", *headers, sender=sender)
    call = Call(number, NOW, CALL.domain, CALL.caller, CALL.calling, CALL.source)
    identity = find_identity(request, believed, CALL.caller)
    plan, side = plan_of(route), Side("a/a1", uri, format_)
    out = make_outgoing(request, call, plan, side, identity)
    said = dict(reversed(explain_outgoing(request, call, plan, side, identity)))
    assert said["Request-URI"] == (out.uri if out else "none: nothing is left of the number")
    if out is None:
        return None, []
    return out, [request.lines[at].partition(":")[0] for at in sorted(set(out.dropped))]


@pytest.mark.parametrize(
    ("uri", "number", "expected"),
    [
        (URI, "+351912", "sip:+351912@198.51.100.10:5060"),
        (
            "sip:gw.example.com;transport=tcp;user=phone",
            "0912",
            "sip:0912@gw.example.com;transport=tcp;user=phone",
        ),
        ("sips:[2001:db8::1]", "*21#", "sips:*21%23@[2001:db8::1]"),
        ("sip:desk@gw.example.com", "0912", "sip:desk@gw.example.com"),
        (URI, "a b@\r\nc", "sip:a%20b%40%0D%0Ac@198.51.100.10:5060"),
    ],
)
def test_the_number_is_called_at_the_gateway(uri: str, number: str, expected: str) -> None:
    out, dropped = sent(uri=uri, number=number)
    assert out is not None
    assert (out.uri, out.headers, dropped) == (expected, (), [])


def test_a_route_rewrites_first_and_the_gateway_then() -> None:
    route = Route("", provider="a", strip=1, prepend="9", calling=Rewrite(strip=4))
    format_ = Format(called=Rewrite(pattern="9351", replace="+"), form="digits", identity="asserted")
    out, _ = sent(route=route, format_=format_)
    assert out is not None
    assert (out.uri, out.called, out.calling) == (
        "sip:912345678@198.51.100.10:5060",
        "912345678",
        "211234567",
    )
    assert out.headers == ('P-Asserted-Identity: "Alice" <sip:211234567@example.com>',)


def test_where_nothing_is_left_of_the_number_nothing_is_called() -> None:
    assert sent(route=Route("", provider="a", strip=64)) == (None, [])


def test_without_identity_what_says_who_calls_is_left_out() -> None:
    lines = (
        "P-Asserted-Identity: <sip:x@y>",
        "Remote-Party-ID: <sip:x@y>",
        "P-Preferred-Identity: <sip:x@y>",
    )
    out, dropped = sent(*lines, believed=True)
    assert out is not None
    assert out.headers == ()
    assert dropped == [line.partition(":")[0] for line in lines]


def test_the_identity_is_asserted_once() -> None:
    out, dropped = sent("P-Asserted-Identity: <sip:+44@carrier.example>", format_=ASSERTED, believed=True)
    assert out is not None
    assert (out.headers, dropped) == (
        ("P-Asserted-Identity: <sip:+44@carrier.example>",),
        ["P-Asserted-Identity"],
    )
    out, _ = sent(format_=Format(identity="remote-party-id", domain="pbx.example"))
    assert out is not None
    assert out.headers == (
        'Remote-Party-ID: "Alice" <sip:+351211234567@pbx.example>;party=calling;screen=yes;privacy=off',
    )


@pytest.mark.parametrize(
    ("headers", "withhold"), [(("Privacy: id",), False), ((), True), (("Privacy: none",), True)]
)
def test_who_does_not_want_to_be_known_is_told_in_confidence_alone(
    headers: tuple[str, ...], withhold: bool
) -> None:
    route = Route("", provider="a", withhold=withhold)
    out, dropped = sent(*headers, route=route, format_=ASSERTED)
    assert out is not None
    assert (out.calling, [line for line in out.headers if "Asserted" in line]) == ("", [])
    told, _ = sent(*headers, route=route, format_=CONFIDENT)
    assert told is not None
    assert told.headers[0] == 'P-Asserted-Identity: "Alice" <sip:+351211234567@example.com>'
    # Whoever gets it is told so, by the caller's own line or by ours in its place.
    asked = [line for line in told.headers if line.startswith("Privacy")]
    assert asked == (["Privacy: id"] if withhold else [])
    assert dropped == (["Privacy"] if withhold and headers else [])


def test_what_else_privacy_says_is_kept() -> None:
    out, dropped = sent("Privacy: user;critical", format_=CONFIDENT)
    assert out is not None
    assert (out.headers[-1], dropped) == ("Privacy: user;critical;id", ["Privacy"])
    out, _ = sent(sender='"Anonymous" <sip:anonymous@anonymous.invalid>', format_=CONFIDENT)
    assert out is not None
    assert out.headers == ("P-Asserted-Identity: <sip:alice@example.com>", "Privacy: id")


def test_header_rules_of_the_route_and_of_the_gateway_are_carried_out() -> None:
    route = Route(
        "",
        provider="a",
        add=("X-Who: {caller} {calling} {called}", "X-Name: ol\u00e1"),
        remove=("x-Internal",),
    )
    format_ = Format(add=("X-From: {source} {domain} {gateway}",), remove=("Subject",), identity="asserted")
    out, dropped = sent("X-Internal: 1", "s: hi", "X-INTERNAL: 2", route=route, format_=format_)
    assert out is not None
    assert out.headers[1:] == (
        "X-Who: alice@example.com +351211234567 +351912345678",
        "X-Name: ol\u00c3\u00a1",
        "X-From: 192.0.2.7 example.com a/a1",
    )
    assert dropped == ["X-Internal", "s", "X-INTERNAL"]


def test_what_a_stranger_dialled_ends_no_header_line() -> None:
    out, _ = sent(number='1\r\nVia: x"<>', route=Route("", provider="a", add=("X-Called: <sip:{called}@h>",)))
    assert out is not None
    assert out.headers == ("X-Called: <sip:1%0D%0AVia%3A%20x%22%3C%3E@h>",)


def test_an_explanation_tells_every_step() -> None:
    request = request_of("INVITE", "sip:1@example.com", "Privacy: id", "X-Internal: 1", sender=SENDER)
    route = Route("", provider="a", strip=1, calling=Rewrite(strip=1), remove=("X-Internal",))
    side = Side(
        "a/a1", URI, Format(called=Rewrite(prepend="+"), form="digits", identity="asserted", trusted=True)
    )
    identity = find_identity(request, False)
    assert explain_outgoing(request, CALL, plan_of(route), side, identity) == [
        ("called", "+351912345678"),
        ("called, route: strip 1", "351912345678"),
        ("called, a/a1: prepend +", "+351912345678"),
        ("called, a/a1: form digits", "351912345678"),
        ("calling", "+351211234567"),
        ("calling, route: strip 1", "351211234567"),
        ("Request-URI", "sip:351912345678@198.51.100.10:5060"),
        ("privacy", "the caller wants it; a/a1 is told in confidence who calls"),
        ("left out", "X-Internal"),
        ("added", 'P-Asserted-Identity: "Alice" <sip:351211234567@example.com>'),
    ]
    target = Side("", URI)
    said = explain_outgoing(request, CALL, plan_of(Route("", target=URI, withhold=True)), target, identity)
    assert ("privacy", "the route wants it; target is not told who calls") in said


@pytest.mark.parametrize("uri", ["tel:+351", "sip:", "198.51.100.10"])
def test_a_gateway_has_to_be_a_place(uri: str) -> None:
    with pytest.raises(ValueError, match="no SIP URI"):
        Side("a/a1", uri)
